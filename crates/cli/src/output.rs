//! Where output goes: data to standard output, everything else to standard error.

use crate::environment::Environment;
use crate::failure::Failure;
use crate::text::Style;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// In which form data is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// The two streams and how they may look.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub format: Format,
    /// Of standard output.
    pub style: Style,
    /// Of standard error.
    pub error_style: Style,
}

/// An action that was announced: `Creating hello... `, to be followed by its end.
pub struct Progress {
    style: Style,
    open: bool,
}

impl Output {
    pub fn new(environment: &Environment, format: Format) -> Self {
        let style = |terminal: bool| {
            if terminal && !environment.refuses_colour() { Style::Colour } else { Style::Plain }
        };
        Self {
            format,
            style: style(io::stdout().is_terminal()),
            error_style: style(io::stderr().is_terminal()),
        }
    }

    /// Data: the object itself with `--json`, else the text for people.
    pub fn data(&self, object: &impl Serialize, text: impl FnOnce(Style) -> String) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print(&render_json(object)),
            Format::Text => self.print(&text(self.style)),
        }
    }

    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// A line for the person, none of the data.
    pub fn note(&self, text: &str) {
        tell(&format!("{text}\n"));
    }

    /// A line as well; one that was begun before begins again behind it.
    pub fn warn(&self, text: &str) {
        let warning = format!("{} {text}\n", self.error_style.yellow("warning:"));
        match &*begun() {
            Some(line) => tell(&format!("\n{warning}{line}")),
            None => tell(&warning),
        }
    }

    /// Announces an action. If it fails, dropping the progress ends the line.
    pub fn begin(&self, what: &str) -> Progress {
        let line = format!("{what}... ");
        tell(&line);
        *begun() = Some(line);
        Progress { style: self.error_style, open: true }
    }
}

impl Progress {
    /// `done`, or `done, v14`.
    pub fn done(mut self, detail: &str) {
        self.open = false;
        *begun() = None;
        let separator = if detail.is_empty() { "" } else { ", " };
        tell(&format!("{}{separator}{detail}\n", self.style.green("done")));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.open {
            *begun() = None;
            tell(&format!("{}\n", self.style.red("failed")));
        }
    }
}

/// The action that is announced and has not ended.
fn begun() -> MutexGuard<'static, Option<String>> {
    static BEGUN: Mutex<Option<String>> = Mutex::new(None);
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes to standard error. If nobody reads it, nothing can be done about it.
pub fn tell(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Standard error, as [`tell`] writes to it.
pub struct Told;

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _unread = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Pretty-printed, with an end of line.
pub fn render_json(object: &impl Serialize) -> String {
    let mut text =
        serde_json::to_string_pretty(object).expect("wire types hold nothing that JSON cannot express");
    text.push('\n');
    text
}
