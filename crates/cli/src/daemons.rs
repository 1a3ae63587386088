//! The words that start a daemon or a helper of one. They are no commands for people and appear in no help text, but for `server`.
//!
//! `shim` comes first: it is looked for before the arguments are even collected.

mod first_login;
pub mod install;
mod launcher;
mod router;
mod serve;
mod settings;
mod static_server;
mod supervise;
mod systemd;
mod toolchains;

use domain::cause::chain;
use settings::{Settings, SettingsError};
use std::error::Error;
use std::ffi::OsStr;
use std::process::ExitCode;

/// Bad settings: `EX_USAGE` of sysexits.
const EXIT_SETTINGS: u8 = 64;

/// What a word starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Daemon {
    Shim,
    /// A shim that goes on as this program.
    ShimResume,
    Launcher,
    Router,
    /// What people start: the launcher, and through it the rest.
    Server,
    /// The control plane itself.
    Serve,
    BuildStep,
    StaticServer,
    /// What the units of a service manager execute beside the daemons.
    Unit(systemd::Word),
}

fn parse_word(word: &OsStr) -> Option<Daemon> {
    match word.to_str()? {
        "shim" => Some(Daemon::Shim),
        sandbox::shim::RESUME_WORD => Some(Daemon::ShimResume),
        "launcher" => Some(Daemon::Launcher),
        "router" => Some(Daemon::Router),
        "server" => Some(Daemon::Server),
        "serve" => Some(Daemon::Serve),
        "build-step" => Some(Daemon::BuildStep),
        "static-server" => Some(Daemon::StaticServer),
        word => systemd::Word::parse(word).map(Daemon::Unit),
    }
}

/// Runs the daemon that the first argument names, or the git hook that the program is called as; `None` if it is neither.
pub fn dispatch() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let program = words.next()?;
    if let Some(hook) = server::git::HookKind::from_program(&program) {
        return Some(server::git::hook::run(hook, |name| std::env::var_os(name)));
    }
    let daemon = parse_word(&words.next()?)?;
    Some(start(daemon))
}

fn start(daemon: Daemon) -> ExitCode {
    match daemon {
        Daemon::Shim => sandbox::shim::run(),
        Daemon::ShimResume => sandbox::shim::resume(),
        Daemon::BuildStep => builder::step::run(&words_after(2)),
        Daemon::StaticServer => static_server::run(&words_after(2)),
        Daemon::Launcher => with_own_settings(|settings| launcher::run(settings).map_err(Into::into)),
        Daemon::Router => with_daemon_settings(|settings| router::run(settings).map_err(Into::into)),
        Daemon::Serve => with_daemon_settings(|settings| serve::run(settings).map_err(Into::into)),
        Daemon::Server => with_own_settings(supervise_server),
        Daemon::Unit(word) => {
            with_daemon_settings(|settings| systemd::run(word, settings).map_err(Into::into))
        }
    }
}

fn words_after(count: usize) -> Vec<String> {
    std::env::args_os().skip(count).map(|word| word.to_string_lossy().into_owned()).collect()
}

fn supervise_server(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let words = words_after(2);
    match words.first().map(String::as_str) {
        None => Ok(supervise::run(settings)?),
        Some("stop") => Ok(supervise::stop(settings, &words)?),
        Some("settings") => {
            print!("{}", settings::render_reference());
            Ok(())
        }
        Some(other) => Err(format!(
            "dozen server knows no \"{other}\"\n  usage: dozen server [stop [--apps] | settings]"
        )
        .into()),
    }
}

/// For what people or a service manager start: some settings follow from the user.
fn with_own_settings(run: impl FnOnce(&Settings) -> Result<(), Box<dyn Error>>) -> ExitCode {
    with_settings(Settings::of_process(), run)
}

/// For what is started as a user chosen by the settings.
fn with_daemon_settings(run: impl FnOnce(&Settings) -> Result<(), Box<dyn Error>>) -> ExitCode {
    with_settings(Settings::of_daemon(), run)
}

fn with_settings(
    settings: Result<Settings, SettingsError>,
    run: impl FnOnce(&Settings) -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EXIT_SETTINGS);
        }
    };
    log_to_stdout(&settings);
    match run(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Our own log: one line an event, to standard output.
fn log_to_stdout(settings: &Settings) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::new(&settings.log);
    let _second_time =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_target(false).try_init();
}

/// A seed from the operating system's random source.
fn random_seed() -> std::io::Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(u128::from_ne_bytes(bytes))
}
