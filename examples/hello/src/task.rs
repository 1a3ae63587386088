//! Things done once: the release phase, and admin tasks on the same code and config as the app itself.

use crate::backing::Service;
use crate::config::Config;
use crate::log;
use std::process::ExitCode;

/// What must hold before this release may serve: here, that the config can be used.
pub fn release(config: &Config) -> ExitCode {
    log::event("release-phase", &[("release", &config.release), ("commit", &config.commit)]);
    if config.release_fails {
        log::event("release-failed", &[("reason", "RELEASE_FAIL is set")]);
        return ExitCode::FAILURE;
    }
    if let Some(Err(problem)) = config.backing_url.as_deref().map(Service::parse) {
        log::event("release-failed", &[("reason", &problem)]);
        return ExitCode::FAILURE;
    }
    log::event("release-ready", &[]);
    ExitCode::SUCCESS
}

/// `None` for a task that does not exist.
pub fn run(config: &Config, name: &str) -> Option<ExitCode> {
    let code = match name {
        "greet" => {
            println!("{} from {} ({})", config.greeting, config.process, config.release);
            ExitCode::SUCCESS
        }
        "env" => {
            // Names only: values may be secrets.
            let mut names: Vec<String> =
                std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
            names.sort();
            println!("{}", names.join("\n"));
            ExitCode::SUCCESS
        }
        "backing" => backing(config),
        "fail" => ExitCode::from(7),
        _ => return None,
    };
    Some(code)
}

fn backing(config: &Config) -> ExitCode {
    let Some(url) = &config.backing_url else {
        println!("BACKING_URL is not set");
        return ExitCode::SUCCESS;
    };
    match Service::parse(url).and_then(|service| service.check().map(|answer| (service.shown(), answer))) {
        Ok((service, answer)) => {
            println!("{service}: {answer}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            println!("not reachable: {problem}");
            ExitCode::FAILURE
        }
    }
}
