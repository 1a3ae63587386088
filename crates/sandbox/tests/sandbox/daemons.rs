//! The launcher's long-lived children: users, listeners, restarts, adoption. The daemon is this binary again.

use crate::waiting::until;
use crate::world::{Case, World};
use domain::ids::WriterId;
use sandbox::client::{LISTENERS_VARIABLE, Launcher, take_inherited_listeners};
use sandbox::launcher::{
    DEFAULT_ROUTER_UID, DaemonSettings, ListenerSettings, StartDaemon, WRITERS_VARIABLE,
};
use sandbox::layout::DataFolder;
use sandbox::protocol::{Daemon, DaemonState, ListenerName};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;

pub const CASES: &[Case] = &[
    ("a_daemon_runs_as_its_user_with_its_listeners", daemon),
    ("no_connection_is_refused_while_a_daemon_is_restarted", restart),
    ("a_new_launcher_adopts_the_daemons_of_the_old", adoption),
];

const PORT: u16 = 7300;

pub fn listeners() -> Vec<ListenerSettings> {
    vec![ListenerSettings {
        name: ListenerName::Http,
        address: SocketAddr::from(([127, 0, 0, 1], PORT)),
        sockets: 2,
    }]
}

pub fn daemons() -> Vec<DaemonSettings> {
    vec![DaemonSettings {
        daemon: Daemon::Router,
        arguments: vec!["daemon".to_owned(), "answer".to_owned()],
        environment: vec![("GREETING".to_owned(), "good day".to_owned())],
        listeners: vec![ListenerName::Http],
        journal_writers: 2,
        start: StartDaemon::OnRequest,
        // Longer than any case waits: a daemon that does not hear SIGTERM fails it.
        stop_grace_seconds: 600,
    }]
}

/// The daemons' part of this binary, and the strangers'.
pub fn be_daemon(what: &str) -> ExitCode {
    match what {
        "answer" => answer_for_ever(),
        "ask-launcher" => tell(
            Launcher::connect(&data().launcher_socket()).and_then(|mut launcher| launcher.status()).is_ok(),
        ),
        "ask-shim" => {
            let process = std::env::var("PROCESS").unwrap().parse().unwrap();
            // Refused by the shim as meaningless counts as answered: it was heard.
            let outcome = sandbox::control::diagnose(&data(), process);
            tell(matches!(outcome, Err(sandbox::control::ControlError::Refused { .. })));
        }
        _ => return ExitCode::from(64),
    }
    ExitCode::SUCCESS
}

fn data() -> DataFolder {
    DataFolder::new(std::env::var("DATA").unwrap())
}

fn tell(answered: bool) {
    println!("{}", if answered { "answered" } else { "refused" });
}

/// Each connection is told who answers.
fn answer_for_ever() {
    let taken = take_inherited_listeners(&std::env::var(LISTENERS_VARIABLE).unwrap()).unwrap();
    let text = format!(
        "{} {} {} {} {} {}",
        std::process::id(),
        rustix::process::getuid().as_raw(),
        std::env::var("GREETING").unwrap(),
        rustix::process::getgroups().unwrap().len(),
        std::env::vars().count(),
        std::env::var(WRITERS_VARIABLE).unwrap(),
    );
    let threads = taken.into_iter().map(|bound| {
        let text = text.clone();
        bound.listener.set_nonblocking(false).unwrap();
        std::thread::spawn(move || {
            for connection in bound.listener.incoming().flatten() {
                let _ = (&connection).write_all(text.as_bytes());
            }
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| drop(thread.join()));
}

fn ask() -> Vec<String> {
    let mut text = String::new();
    let mut connection = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
    connection.read_to_string(&mut text).unwrap();
    text.split(' ').map(str::to_owned).collect()
}

fn running(world: &World) -> Option<u32> {
    let status = world.connect().status().unwrap();
    match status.daemons[0].state {
        DaemonState::Running { pid } => Some(pid),
        DaemonState::BackingOff | DaemonState::Stopped => None,
    }
}

fn start(world: &World) -> u32 {
    world.connect().start_daemon(Daemon::Router).unwrap();
    until("the daemon runs", || running(world))
}

fn stop(world: &World) {
    world.connect().stop_daemon(Daemon::Router).unwrap();
    until("the daemon has stopped", || {
        (world.connect().status().unwrap().daemons[0].state == DaemonState::Stopped).then_some(())
    });
}

fn daemon(world: &World) {
    assert_eq!(running(world), None, "not before it is asked for");
    let pid = start(world);
    let said = ask();
    // It has answered, so it is past its start, during which everything is blocked.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("SigBlk:\t0000000000000000"), "it hears when it is told to stop: {status}");
    // pid, uid, the two words of the greeting, supplementary groups, variables, writers
    assert_eq!(said[0], pid.to_string());
    assert_eq!(said[1], DEFAULT_ROUTER_UID.to_string());
    assert_eq!(&said[2..6], ["good", "day", "0", "3"]);
    let writers: Vec<WriterId> = said[6].split(',').map(|id| id.parse().unwrap()).collect();
    assert_eq!(writers.len(), 2);
    for writer in writers {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(world.data.log(writer)).unwrap();
        let found = (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777);
        assert_eq!(found, (DEFAULT_ROUTER_UID, sandbox::launcher::DEFAULT_SERVER_UID, 0o2770));
    }
    let passed = world.connect().listeners(ListenerName::Http).unwrap();
    assert!(passed.len() == 2 && passed.iter().all(|bound| bound.address.port() == PORT));
    assert!(world.connect().start_daemon(Daemon::Server).is_err(), "the settings know none");
    stop(world);
}

fn restart(world: &World) {
    let first = start(world);
    ask();
    let pid = rustix::process::Pid::from_raw(i32::try_from(first).unwrap()).unwrap();
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    // Until it has ended it may still accept.
    let mut fds = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut fds, None).unwrap();
    // Asked at once: the connection waits in the launcher's socket for the next daemon.
    for _ in 0..10 {
        let said = ask();
        assert!(said.len() == 7, "{said:?}");
    }
    let second = until("it runs again", || running(world));
    assert_ne!(first, second);
    assert!(world.connect().status().unwrap().daemons[0].restarts >= 1);
    stop(world);
}

fn adoption(world: &World) {
    let pid = start(world);
    world.kill_launcher();
    world.restart_launcher();
    assert_eq!(running(world), Some(pid));
    assert_eq!(ask()[0], pid.to_string());
    stop(world);
    assert!(!std::path::Path::new(&format!("/proc/{pid}/exe")).exists());
}
