//! `dozen server`: starts the launcher (or finds it running), waits until the server answers, tells people what they have, and
//! stays until told to stop.
//!
//! `dozen server stop [--apps]` stops the daemons; with `--apps` the apps' processes, too.

use super::first_login::{self, FirstLogin};
use super::settings::{Settings, Who};
use sandbox::client::{ClientError, Launcher};
use sandbox::control;
use sandbox::probe::Privilege;
use sandbox::protocol::{LauncherStatus, RefusalReason};
use sandbox::run_folder;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the daemons may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Greets the launcher as newer than any server: from then on it hears no server that is still about.
const SUPERVISOR: u64 = u64::MAX >> 1;
const POLL: Duration = Duration::from_millis(50);
/// How long apps' processes may take to stop: the longest grace and a little.
const STOP_APPS_TIMEOUT: Duration = Duration::from_secs(40);
/// A launcher that hears of the last end later than that hears of nothing.
const LET_GO_TIMEOUT: Duration = Duration::from_secs(10);
/// The daemons' log is started anew when it is larger than this at a start.
const LOG_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// Why the server is not up.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    #[error(
        "systemd runs Dozen on this machine: its units start the server and the router\n  hint: systemctl status 'dozen-*'; systemctl stop dozen.target stops everything, the apps too"
    )]
    Units,
    #[error("cannot use the data folder {}", path.display())]
    Data { path: PathBuf, source: std::io::Error },
    #[error("cannot start the launcher")]
    Launcher(#[source] std::io::Error),
    #[error("the {what} did not come up within {} seconds\n  hint: the daemons' log is {}", START_TIMEOUT.as_secs(), log.display())]
    NotUp { what: &'static str, log: PathBuf },
    #[error("cannot reach the launcher")]
    Away(#[from] ClientError),
    #[error("{0} processes did not stop in time; they are left as they are")]
    StillRunning(usize),
    #[error(transparent)]
    FirstLogin(#[from] first_login::FirstLoginError),
    #[error("cannot watch for signals")]
    Signals(#[source] std::io::Error),
}

/// Starts everything and stays.
pub fn run(settings: &Settings) -> Result<(), SuperviseError> {
    let stop = watch_signals()?;
    let mut log = open_log(settings)?;
    let adopted = launcher_answers(settings);
    if adopted {
        refuse_units(&mut Launcher::connect(&settings.data.launcher_socket())?)?;
    } else {
        start_launcher(settings)?;
    }
    wait_for("launcher", settings, &stop, || launcher_answers(settings))?;
    wait_for("server", settings, &stop, || {
        std::net::TcpStream::connect(dialable(settings.api_listen)).is_ok() && is_ready(settings)
    })?;
    let first = first_login::take(settings)?;
    let status = Launcher::connect(&settings.data.launcher_socket())?.status()?;
    print!("{}", render_banner(settings, first.as_ref(), adopted));
    print!("{}", render_form(&status));
    let _unwritable = std::io::stdout().flush();
    while !stop.load(Ordering::Relaxed) {
        follow(&mut log);
        std::thread::sleep(POLL);
        if !launcher_lives(settings) && !is_ready(settings) {
            println!("stopped");
            return Ok(());
        }
    }
    println!("stopping; processes of apps go on and are found again at the next start");
    stop_daemons(settings)
}

/// A launcher that has no daemons of its own is a unit: somebody else starts it, and them, again.
fn refuse_units(launcher: &mut Launcher) -> Result<(), SuperviseError> {
    if launcher.status()?.daemons.is_empty() { Err(SuperviseError::Units) } else { Ok(()) }
}

/// Stops the daemons, and the apps' processes if asked for.
pub fn stop(settings: &Settings, words: &[String]) -> Result<(), SuperviseError> {
    refuse_units(&mut Launcher::connect(&settings.data.launcher_socket())?)?;
    if words.iter().any(|word| word == "--apps") {
        // The server must not start anew what is stopped here.
        let mut launcher = Launcher::connect(&settings.data.launcher_socket())?;
        launcher.hello(SUPERVISOR)?;
        launcher.stop_daemon(sandbox::protocol::Daemon::Server)?;
        stop_apps(settings, &mut launcher)?;
    }
    stop_daemons(settings)
}

fn stop_apps(settings: &Settings, launcher: &mut Launcher) -> Result<(), SuperviseError> {
    let deadline = Instant::now() + STOP_APPS_TIMEOUT;
    loop {
        let boot = sandbox::system::boot_id().map_err(SuperviseError::Launcher)?;
        let scan = run_folder::observe_all(&settings.data, &boot).unwrap_or_default();
        let live: Vec<_> = scan.processes.iter().filter(|seen| seen.state.is_live()).collect();
        for seen in scan.processes.iter().filter(|seen| !seen.state.is_live()) {
            let _busy = launcher.remove_process(seen.spec.process);
        }
        if live.is_empty() {
            break;
        }
        if Instant::now() >= deadline {
            return Err(SuperviseError::StillRunning(live.len()));
        }
        live.iter().for_each(|seen| drop(control::stop(&settings.data, seen.spec.process)));
        std::thread::sleep(POLL);
    }
    let deadline = Instant::now() + LET_GO_TIMEOUT;
    let networks = std::fs::read_dir(settings.data.networks()).into_iter().flatten().flatten();
    for app in networks.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        remove_network(launcher, app, deadline)?;
    }
    Ok(())
}

/// A process has ended by its own account a moment before the launcher hears of it and lets its network go.
fn remove_network(
    launcher: &mut Launcher,
    app: domain::ids::AppId,
    deadline: Instant,
) -> Result<(), SuperviseError> {
    loop {
        match launcher.remove_network(app) {
            Err(error) if error.refusal() == Some(RefusalReason::Busy) && Instant::now() < deadline => {
                std::thread::sleep(POLL);
            }
            ended => return Ok(ended?),
        }
    }
}

fn stop_daemons(settings: &Settings) -> Result<(), SuperviseError> {
    let mut launcher = Launcher::connect(&settings.data.launcher_socket())?;
    launcher.hello(SUPERVISOR)?;
    launcher.shutdown()?;
    let ended = || !launcher_lives(settings);
    let deadline = Instant::now() + STOP_APPS_TIMEOUT;
    while !ended() && Instant::now() < deadline {
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn watch_signals() -> Result<Arc<AtomicBool>, SuperviseError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(SuperviseError::Signals)?;
    }
    Ok(stop)
}

fn log_path(settings: &Settings) -> PathBuf {
    settings.data.root().join("dozen.log")
}

/// The daemons' log, at its end.
fn open_log(settings: &Settings) -> Result<File, SuperviseError> {
    let root = settings.data.root();
    let failed = |source| SuperviseError::Data { path: root.to_owned(), source };
    make_data_folder(settings).map_err(failed)?;
    let path = log_path(settings);
    if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_LIMIT_BYTES) {
        std::fs::rename(&path, root.join("dozen.log.1")).map_err(failed)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o640).open(&path).map_err(failed)?;
    let mut log = File::open(&path).map_err(failed)?;
    log.seek(SeekFrom::End(0)).map_err(failed)?;
    Ok(log)
}

/// Others may pass through root's; an ordinary user's is closed from the first moment.
fn make_data_folder(settings: &Settings) -> std::io::Result<()> {
    let mode = match settings.who {
        Who::Root => 0o755,
        Who::OrdinaryUser(_) => 0o700,
    };
    DirBuilder::new().recursive(true).mode(mode).create(settings.data.root())
}

fn launcher_lives(settings: &Settings) -> bool {
    run_folder::is_lock_held(&settings.data.launcher_lock()).unwrap_or(false)
}

fn launcher_answers(settings: &Settings) -> bool {
    launcher_lives(settings) && Launcher::connect(&settings.data.launcher_socket()).is_ok()
}

/// In a session of its own, so that nothing that happens to this terminal reaches it.
fn start_launcher(settings: &Settings) -> Result<(), SuperviseError> {
    let log = OpenOptions::new().append(true).open(log_path(settings)).map_err(SuperviseError::Launcher)?;
    let copy = log.try_clone().map_err(SuperviseError::Launcher)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("dozen").arg("launcher").stdin(Stdio::null()).stdout(log).stderr(copy).current_dir("/");
    command.spawn().map(drop).map_err(SuperviseError::Launcher)
}

/// The server says so itself: it holds this file's lock from when it answers to its end, however it ends.
pub fn ready_file(settings: &Settings) -> PathBuf {
    settings.data.run().join("server.ready")
}

fn is_ready(settings: &Settings) -> bool {
    run_folder::is_lock_held(&ready_file(settings)).unwrap_or(false)
}

/// Takes the lock of the file of readiness, for as long as what is returned lives.
pub fn hold_ready(settings: &Settings) -> std::io::Result<File> {
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(ready_file(settings))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

fn wait_for(
    what: &'static str,
    settings: &Settings,
    stop: &AtomicBool,
    up: impl Fn() -> bool,
) -> Result<(), SuperviseError> {
    let deadline = Instant::now() + START_TIMEOUT;
    while !up() {
        if Instant::now() >= deadline || stop.load(Ordering::Relaxed) {
            return Err(SuperviseError::NotUp { what, log: log_path(settings) });
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Where a client on this machine reaches a listener that may be bound to every address.
pub fn dialable(listen: std::net::SocketAddr) -> std::net::SocketAddr {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// Prints what the daemons have logged since the last time.
fn follow(log: &mut File) {
    let mut text = Vec::new();
    if log.read_to_end(&mut text).is_ok() && !text.is_empty() {
        let _unwritable = std::io::stderr().write_all(&text);
    }
}

fn render_banner(settings: &Settings, first: Option<&FirstLogin>, adopted: bool) -> String {
    let mut text = format!(
        "Dozen {} {}\n  API and git  https://{}:{}\n  apps         http://NAME.{}:{}\n  data         {}\n",
        env!("CARGO_PKG_VERSION"),
        if adopted { "runs already; watching it" } else { "is up" },
        settings.api_host,
        settings.api_listen.port(),
        settings.base_domain,
        settings.http_listen.port(),
        settings.data.root().display(),
    );
    if let Some(first) = first {
        text.push_str(&first_login_text(first, &settings.data.root().join("ca/ca.pem")));
    }
    text.push_str("Ctrl-C stops the server; apps' processes go on.\n");
    text
}

/// What protects apps less than it could, loudly: at every start.
fn render_form(status: &LauncherStatus) -> String {
    let mut text = String::new();
    if status.probe.privilege == Privilege::OrdinaryUser {
        text.push_str(
            "\nWARNING: this server runs as an ordinary user. Apps are apart by namespaces alone: no user id and no network of \
             their own.\n  For what that means see `dozen doctor`; to have all of it, start the server as root.\n",
        );
    }
    for weaker in &status.weaker {
        text.push_str(&format!("  {weaker}\n"));
    }
    if let Some(reason) = &status.cannot_start {
        text.push_str(&format!("\nNO APP CAN BE STARTED: {reason}\n"));
    }
    text
}

fn first_login_text(first: &FirstLogin, ca: &Path) -> String {
    format!(
        "First start. The administrator is {}; the token is shown this once:\n\n    {}\n\nThis user's client is logged in. \
         Elsewhere: dozen login --url {} --ca-file {}\n\nNext:\n  dozen apps:create hello\n  dozen git:remote -a hello\n  git push dozen main\n",
        first.email,
        first.token,
        first.url,
        ca.display(),
    )
}
