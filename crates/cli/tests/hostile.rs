//! A hostile app beside another one, through a whole server. It tries the other app's ports, Dozen's sockets and files, the host's
//! services and clouds' metadata, and does its worst with what it is given; the other app is asked all the time. What it may try on
//! the kernel and on files is in `crates/sandbox/tests/sandbox/hostile`.
//!
//! Everything is tried outside as well, where it must succeed.

mod support;

use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use support::eventually;
use support::ordinary::{needs_root, plays};
use support::outside::METADATA;
use support::reach::{Attempt, WORKER_PORT, World};
use support::server::Server;

/// Questions to the other app before each bomb, and at least as many during it.
const QUESTIONS: usize = 60;
/// Least time that a bomb has.
const LASTS: Duration = Duration::from_secs(3);

/// What must come of an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Refused,
    /// This form does not protect against it, which `docs/explanation/isolation.md` and `dozen doctor` say.
    Open,
}

/// Two apps: one that serves and one that attacks. What the first has, and everything that is the host's.
fn set_the_scene(world: &World) -> Vec<Attempt> {
    world.push_probe("victim");
    world.server.dozen(&["config:set", &format!("PROBE_WORKER_PORT={WORKER_PORT}"), "-a", "victim"]);
    world.server.dozen(&["ps:scale", "worker=1", "-a", "victim"]);
    world.push_probe("attacker");
    eventually("the victim has a route", 30, || {
        (world.endpoints("victim").len() == 1 && told(&world.server, "worker of release")).then_some(())
    });
    let endpoint = world.endpoints("victim")[0];
    let worker = Attempt::Tcp(SocketAddr::new(endpoint.ip(), WORKER_PORT));
    eventually("the victim's worker listens", 30, || worker.try_outside().ok());
    [vec![Attempt::Tcp(endpoint), worker], world.of_the_host(), world.of_shims()].concat()
}

fn told(server: &Server, text: &str) -> bool {
    server.dozen(&["logs", "-n", "200", "-a", "victim"]).contains(text)
}

/// What the attempt is aimed at, for people.
fn aim(world: &World, attempt: &Attempt) -> &'static str {
    let ends = |path: &std::path::Path, name: &str| path.to_string_lossy().ends_with(name);
    match attempt {
        Attempt::Tcp(to) if to.port() == world.server.api_port => "the API",
        Attempt::Tcp(to) if to.port() == world.server.http_port => "the router",
        Attempt::Tcp(to) if to.port() == WORKER_PORT => "another app's worker",
        Attempt::Tcp(to) if to.ip().to_string() == METADATA => "the cloud's metadata",
        Attempt::Tcp(to) if world.endpoints("victim").contains(to) => "another app's web process",
        Attempt::Tcp(_) | Attempt::Udp(_) => "a service of the host",
        Attempt::Packets(path) if ends(path, "launcher.sock") => "the launcher's socket",
        Attempt::Packets(_) => "a shim's socket",
        Attempt::Unix(path) if ends(path, "hook.sock") => "the socket for git's hooks",
        Attempt::Unix(_) => "the router's control socket",
        Attempt::Abstract(_) => "a socket without a path",
        Attempt::File(_) => "a file of Dozen's",
    }
}

/// Makes each attempt and prints the table. What did not come to what it must.
fn try_all(world: &World, attempts: &[Attempt], expected: impl Fn(&Attempt) -> Expected) -> Vec<String> {
    println!("  {:<28} {:<70} {:<10} {:<40} verdict", "attempt", "way", "outside", "inside");
    let mut wrong = Vec::new();
    for attempt in attempts {
        let outside = attempt.try_outside().map_or_else(|error| error, |()| "succeeded".to_owned());
        let (way, target) = attempt.words();
        let inside = world.server.get("attacker", &format!("/{way}={target}")).text();
        let refused = match attempt {
            // What has a path is not even there.
            Attempt::Unix(_) | Attempt::Packets(_) | Attempt::File(_) => {
                inside.starts_with("refused: No such file or directory")
            }
            Attempt::Tcp(_) | Attempt::Udp(_) | Attempt::Abstract(_) => inside.starts_with("refused: "),
        };
        let verdict = match (expected(attempt), outside.as_str(), refused) {
            (_, other, _) if other != "succeeded" => "shows nothing: it fails outside as well",
            (Expected::Refused, _, true) => "refused",
            (Expected::Open, _, false) => "open in this form",
            (Expected::Refused, _, false) => "GOT OUT",
            (Expected::Open, _, true) => "refused now: say so in the documentation",
        };
        let aim = aim(world, attempt);
        println!("  {aim:<28} {:<70} {outside:<10} {inside:<40} {verdict}", format!("{way}={target}"));
        if !["refused", "open in this form"].contains(&verdict) {
            wrong.push(format!("{aim}: {verdict}"));
        }
    }
    wrong
}

#[test]
fn c_139_an_app_reaches_no_other_app_and_nothing_of_dozen_or_the_host() {
    if needs_root("for networks and user ids of apps") {
        return;
    }
    let world = World::start();
    let attempts = set_the_scene(&world);
    println!("hostile, as root, over the network:");
    assert_eq!(try_all(&world, &attempts, |_| Expected::Refused), [""; 0]);
    assert!(attempts.len() >= 30, "{} attempts", attempts.len());
    a_neighbour_is_served_during_the_worst(&world.server);
}

#[test]
fn an_ordinary_users_apps_reach_ports_and_nothing_else() {
    if !plays("an_ordinary_users_apps_reach_ports_and_nothing_else") {
        return;
    }
    let world = World::start_as_ordinary_user();
    let attempts = set_the_scene(&world);
    let doctor = world.server.try_dozen(&["doctor"]);
    let has_scopes = !String::from_utf8_lossy(&doctor.stdout).contains("no landlock (");
    println!("hostile, as an ordinary user, over the network:");
    let expected = |attempt: &Attempt| match attempt {
        Attempt::Tcp(_) | Attempt::Udp(_) => Expected::Open,
        Attempt::Abstract(_) if !has_scopes => Expected::Open,
        Attempt::Abstract(_) | Attempt::Unix(_) | Attempt::Packets(_) | Attempt::File(_) => Expected::Refused,
    };
    assert_eq!(try_all(&world, &attempts, expected), [""; 0]);
}

/// What an app does with all that it is given, as one-off processes of their own size.
const BOMBS: [(&str, &str); 5] = [
    ("processes", "bomb() { bomb | bomb & }; bomb; sleep 60"),
    ("memory", "head -c 4000000000 /dev/zero | tail"),
    ("disk", "cat /dev/zero > /tmp/full; sleep 60"),
    ("lines of log", "yes 'a line that nobody reads'"),
    ("cores", "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; wait"),
];

fn a_neighbour_is_served_during_the_worst(server: &Server) {
    println!("\n  {:<14} another app's answers (median, worst of N): before; during", "bomb");
    for (name, line) in BOMBS {
        let before = ask(server, Duration::ZERO);
        let started = server.dozen(&["run:detached", "--json", "-a", "attacker", "--", line]);
        let started = serde_json::from_str(&started).expect("JSON");
        let during = ask(server, LASTS);
        println!("  {name:<14} {}; {}", shown(&before), shown(&during));
        end(server, &started);
    }
}

/// Asks the victim, which must answer each time. How long each took, in order of length.
fn ask(server: &Server, at_least: Duration) -> Vec<Duration> {
    let begin = Instant::now();
    let mut took = Vec::new();
    while took.len() < QUESTIONS || begin.elapsed() < at_least {
        let start = Instant::now();
        assert_eq!(server.get("victim", "/").status, 200);
        took.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    took.sort();
    took
}

fn shown(took: &[Duration]) -> String {
    let millis = |at: usize| took[at].as_secs_f64() * 1000.0;
    format!("{:.1} ms, {:.1} ms of {}", millis(took.len() / 2), millis(took.len() - 1), took.len())
}

/// It may have ended on its own.
fn end(server: &Server, started: &Value) {
    let name = started["name"].as_str().expect("a name");
    server.try_dozen(&["ps:stop", name, "-a", "attacker"]);
    eventually("the bomb is over", 60, || {
        let processes = server.json(&["ps", "-a", "attacker"]);
        let lives = processes.as_array()?.iter().any(|process| process["name"] == *name);
        (!lives).then_some(())
    });
}
