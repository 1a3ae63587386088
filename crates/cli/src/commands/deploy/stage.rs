//! What to tell somebody who presses Ctrl-C: what has happened, and what goes on without them.

use crate::failure::Failure;
use crate::output::tell;
use std::sync::{Arc, Mutex, PoisonError};

/// How far a deploy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The server has not been asked for a build.
    Uploading,
    /// It has, and has not answered.
    Asking,
    Building {
        build: String,
    },
    Releasing,
    Over,
}

/// Waits for Ctrl-C beside the deploy.
pub struct Watch {
    stage: Arc<Mutex<Stage>>,
}

impl Watch {
    pub fn start(app: &str) -> Result<Self, Failure> {
        let stage = Arc::new(Mutex::new(Stage::Uploading));
        let (watched, app) = (Arc::clone(&stage), app.to_owned());
        listen(move || {
            let stage = watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
            tell(&render_interrupted(&stage, &app));
        })?;
        Ok(Self { stage })
    }

    pub fn enter(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    pub fn end(&self) {
        self.enter(Stage::Over);
    }
}

/// Of a build for which the server was asked, and nothing came back.
pub fn render_asked(app: &str) -> String {
    format!("The server may have accepted the build: dozen builds -a {app}")
}

fn render_interrupted(stage: &Stage, app: &str) -> String {
    match stage {
        Stage::Uploading => "\nInterrupted: nothing was deployed.\n".to_owned(),
        Stage::Asking => format!("\nInterrupted. {}\n", render_asked(app)),
        Stage::Building { build } => format!(
            "\nInterrupted: the build goes on without you.\n  To follow it:  dozen builds:output {build} -a {app}\n  \
             To cancel it:  dozen builds:cancel {build} -a {app}\n"
        ),
        Stage::Releasing => {
            format!("\nInterrupted: the build is done and its release goes on: dozen releases -a {app}\n")
        }
        Stage::Over => String::new(),
    }
}

/// 128 + SIGINT, as shells count.
#[cfg(unix)]
const INTERRUPTED: i32 = 130;

#[cfg(unix)]
fn listen(interrupted: impl Fn() + Send + 'static) -> Result<(), Failure> {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;
    const LOOK: Duration = Duration::from_millis(50);
    let flag = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&flag))?;
    std::thread::spawn(move || {
        while !flag.load(Ordering::Acquire) {
            std::thread::sleep(LOOK);
        }
        interrupted();
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

/// Ctrl-C ends the program by itself here, and nothing is told.
#[cfg(not(unix))]
fn listen(_: impl Fn() + Send + 'static) -> Result<(), Failure> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_told() {
        let building = Stage::Building { build: "BUILD".into() };
        let stages = [Stage::Uploading, Stage::Asking, building, Stage::Releasing, Stage::Over];
        let told: String = stages.iter().map(|stage| render_interrupted(stage, "hello")).collect();
        insta::assert_snapshot!(told);
    }
}
