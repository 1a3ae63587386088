//! What lies beyond the host, all of it made here: an uplink to a second network namespace in which a listener holds addresses of
//! the test's choice. Nothing leaves for a network that is not ours.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The host's address on its uplink.
pub const UPLINK: &str = "192.0.2.1";
/// A host of the outside that apps may reach.
pub const NEIGHBOUR: &str = "198.51.100.7";
/// The metadata service of clouds.
pub const METADATA: &str = "169.254.169.254";

/// The outside. Dropping it takes the uplink away.
pub struct Outside {
    listener: Child,
}

impl Outside {
    /// `listener` is a program that listens on every address and on the port that the variable `PORT` names; `variables`
    /// are for it as well.
    pub fn make(listener: &Path, port: u16, variables: &[(&str, String)]) -> Self {
        assert_own_network();
        let script = format!(
            "echo apart && read go && ip link set lo up && ip addr add 192.0.2.2/24 dev down0 && ip link set down0 up && \
             ip addr add {METADATA}/32 dev lo && ip addr add {NEIGHBOUR}/32 dev lo && exec \"$0\""
        );
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "sh", "-c", &script]).arg(listener).env("PORT", port.to_string());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut next = move || lines.next().expect("a line").expect("of text");
        assert_eq!(next(), "apart");
        let pid = child.id().to_string();
        ip(&["link", "add", "up0", "type", "veth", "peer", "name", "down0"]);
        ip(&["link", "set", "down0", "netns", &pid]);
        ip(&["addr", "add", &format!("{UPLINK}/24"), "dev", "up0"]);
        ip(&["link", "set", "up0", "up"]);
        ip(&["route", "add", "default", "via", "192.0.2.2"]);
        child.stdin.take().expect("a pipe").write_all(b"go\n").expect("it listens");
        assert!(next().starts_with("listening on"));
        Self { listener: child }
    }
}

impl Outside {
    /// A program in the outside's network.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.listener.id().to_string(), "--net", "--"]).arg(program);
        command
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ended = self.listener.kill();
        let _reaped = self.listener.wait();
        // The kernel takes the namespace away when it has time; the next outside wants the same names now.
        let _gone_with_it = Command::new("ip").args(["link", "delete", "up0"]).output();
    }
}

/// `ip` with these words must succeed.
pub fn ip(words: &[&str]) {
    let output = Command::new("ip").args(words).output().expect("ip runs");
    assert!(output.status.success(), "ip {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Fails in the machine's own network: what these tests do there would meet others. Of the processes that led to this one, the
/// first that can be asked lives in the machine's network.
pub fn assert_own_network() {
    let of = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let ours = of(std::process::id()).expect("our own namespace can be read");
    let mut pid = std::process::id();
    let mut machines = None;
    while let Some(parent) = parent_of(pid).filter(|parent| *parent > 0) {
        machines = of(parent).or(machines);
        pid = parent;
    }
    let machines = machines.expect("the namespace of some process that led to this one can be read");
    assert_ne!(ours, machines, "run this test in a network namespace of its own, as `cargo xtask test` does");
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}
