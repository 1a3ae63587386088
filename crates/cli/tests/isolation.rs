//! What an app reaches of another app, of Dozen and of the host: nothing, while the other app has crashed and during a build (while it
//! runs: `hostile`). Everything that is refused inside succeeds outside at the same moment, or the test fails.

mod support;

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::outside::NEIGHBOUR;
use support::reach::{Attempt, WORKER_PORT, World};
use support::repository::{Repository, probe};
use support::{eventually, rust};

/// The app that attacks tries all of it; the test itself succeeds with each.
fn assert_refused(world: &World, moment: &str, attempts: &[Attempt]) {
    assert_reached_outside(moment, attempts);
    let neighbour = format!("/connect?to={NEIGHBOUR}:80");
    assert_eq!(world.server.get("attacker", &neighbour).text(), "connected", "what is not denied is open");
    let tried = attempts.iter().map(|attempt| {
        let (way, target) = attempt.words();
        (format!("{way}={target}"), world.server.get("attacker", &format!("/{way}={target}")).text())
    });
    assert_all_refused(moment, tried.collect());
    assert_reached_outside(moment, attempts);
}

fn assert_reached_outside(moment: &str, attempts: &[Attempt]) {
    for attempt in attempts {
        attempt
            .try_outside()
            .unwrap_or_else(|error| panic!("{moment}: {attempt:?} fails outside as well: {error}"));
    }
}

fn assert_all_refused(moment: &str, tried: Vec<(String, String)>) {
    for (what, answer) in &tried {
        println!("{moment}: {what} -> {answer}");
    }
    // What has a path is not even there.
    let wanted =
        |what: &str| if what.contains("path=") { "refused: No such file or directory" } else { "refused: " };
    let through: Vec<_> = tried.iter().filter(|(what, answer)| !answer.starts_with(wanted(what))).collect();
    assert!(through.is_empty(), "{moment}: these got through: {through:?}");
}

/// Holds the very endpoint that a crashed process had, inside its app's network.
struct Stand {
    child: Child,
}

impl Stand {
    fn at(network: &Path, endpoint: SocketAddr) -> Self {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", network.display()))
            .arg(probe())
            .env("PORT", endpoint.port().to_string());
        let child = command.stdin(Stdio::null()).spawn().expect("nsenter runs");
        let stand = Self { child };
        eventually("the endpoint is held", 10, || TcpStream::connect(endpoint).ok());
        stand
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn an_app_reaches_nothing_of_a_crashed_app_nor_during_its_build() {
    if support::ordinary::needs_root("for networks and user ids of apps") {
        return;
    }
    let world = World::start();
    world.push_probe("victim");
    world.server.dozen(&["config:set", &format!("PROBE_WORKER_PORT={WORKER_PORT}"), "-a", "victim"]);
    world.server.dozen(&["ps:scale", "web=2", "worker=1", "-a", "victim"]);
    let attacker = world.push_probe("attacker");
    let endpoints = eventually("the victim has two routes", 30, || {
        Some(world.endpoints("victim")).filter(|all| all.len() == 2)
    });
    let worker = Attempt::Tcp(SocketAddr::new(endpoints[0].ip(), WORKER_PORT));
    eventually("the victim's worker listens", 30, || worker.try_outside().ok());

    let endpoint = crash_until_it_waits(&world);
    let network =
        world.server.data().join("run/net").join(world.table("victim")["app"].as_str().expect("an id"));
    let stand = Stand::at(&network, endpoint);
    let mut attempts = vec![Attempt::Tcp(endpoint), worker];
    attempts.extend(world.of_the_host());
    assert_eq!(world.table("victim")["gate"], "crashed");
    assert_refused(&world, "crashed", &attempts);
    assert_eq!(world.table("victim")["gate"], "crashed", "all of it happened during the back-off");

    try_during_a_build(&world, &attacker, &attempts);
    drop(stand);
}

/// One web process, crashed so often that it stays away for a while. Returns the endpoint that it had.
fn crash_until_it_waits(world: &World) -> SocketAddr {
    world.server.dozen(&["ps:scale", "web=1", "-a", "victim"]);
    let mut endpoint = eventually("one route is left", 60, || {
        world.endpoints("victim").first().copied().filter(|_| world.endpoints("victim").len() == 1)
    });
    for crash in 1..=6 {
        let deadline =
            format!("crash {crash}; {}", world.server.dozen(&["logs", "-n", "30", "-a", "victim"]));
        eventually(&deadline, 60, || {
            let up = world.endpoints("victim");
            endpoint = *up.first()?;
            world.server.get("victim", "/crash");
            eventually("the table tells of the crash", 20, || {
                world.endpoints("victim").is_empty().then_some(())
            });
            Some(())
        });
    }
    eventually("the gate says crashed", 20, || (world.table("victim")["gate"] == "crashed").then_some(()));
    endpoint
}

/// The build script makes the same attempts and prints what comes of them.
fn try_during_a_build(world: &World, repository: &Repository, attempts: &[Attempt]) {
    if rust::toolchain().is_none() {
        println!("skipped: attempts during a build: there is no Rust toolchain");
        return;
    }
    rust::write(repository, BUILD_SCRIPT);
    let neighbour = Attempt::tcp(NEIGHBOUR, 80);
    let all = attempts.iter().chain([&neighbour]);
    let lines: Vec<_> = all.map(Attempt::words).map(|(way, target)| format!("{way}={target}\n")).collect();
    repository.write("targets.txt", &lines.concat());
    repository.commit("targets");
    assert_reached_outside("build", attempts);
    let said = repository.push(&world.server);
    assert_reached_outside("build", attempts);
    let mut tried: Vec<(String, String)> = said
        .lines()
        .filter_map(|line| line.split_once("TRIED ")?.1.split_once(" -> "))
        .map(|(what, answer)| (what.to_owned(), answer.trim().to_owned()))
        .collect();
    assert_eq!(tried.len(), attempts.len() + 1, "every attempt was made: {said}");
    assert_eq!(tried.pop().expect("the last one").1, "connected", "what is not denied is open to builds too");
    assert_all_refused("build", tried);
}

const BUILD_SCRIPT: &str = r#"
use std::net::{TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

fn datagram(to: &str) -> std::io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.connect(to)?;
    socket.send(b"anybody there?")?;
    socket.recv(&mut [0; 64]).map(drop)
}

fn main() {
    println!("cargo:rerun-if-changed=targets.txt");
    for line in std::fs::read_to_string("targets.txt").unwrap().lines() {
        let (way, target) = line.split_once('=').unwrap();
        let tried = match way {
            "connect?to" => TcpStream::connect_timeout(&target.parse().unwrap(), Duration::from_secs(2)).map(drop),
            "udp?to" => datagram(target),
            "unix?path" => UnixStream::connect(target).map(drop),
            "abstract?name" => SocketAddr::from_abstract_name(target).and_then(|to| UnixStream::connect_addr(&to)).map(drop),
            "see?path" => std::fs::symlink_metadata(target).map(drop),
            other => panic!("{other}"),
        };
        let answer = tried.map_or_else(|error| format!("refused: {error}"), |()| "connected".to_owned());
        println!("cargo:warning=TRIED {line} -> {answer}");
    }
}
"#;
