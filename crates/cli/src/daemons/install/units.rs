//! The units, as text. Pure.
//!
//! Server, router and launcher are services of their own and any of them restarts freely; systemd holds the listeners meanwhile. What
//! apps run in is one more service, which nothing restarts.

use super::wanted::{FINGERPRINT_KEY, Wanted};
use crate::daemons::settings::{MIRRORS, Settings};
use crate::daemons::systemd::router_environment;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

/// Everything at once: what `systemctl start` and `stop` are told.
pub const TARGET: &str = "dozen.target";
/// The service that the apps' processes live in.
pub const APPS: &str = "dozen-apps.service";
pub const LAUNCHER: &str = "dozen-launcher.service";
pub const SERVER: &str = "dozen-server.service";
pub const ROUTER: &str = "dozen-router.service";
pub const SERVER_SOCKET: &str = "dozen-server.socket";
pub const ROUTER_SOCKET: &str = "dozen-router.socket";
/// What systemd makes by itself around all services, and keeps when they have gone, until it is stopped.
pub const SLICE: &str = "dozen.slice";
/// Where systemd puts the control groups of [`APPS`].
pub const DELEGATED: &str = "/sys/fs/cgroup/dozen.slice/dozen-apps.service";
/// The variable by which a running daemon shows which installation it belongs to.
pub const INSTALLED_VARIABLE: &str = "DOZEN_INSTALLED";
/// Hex digits of a fingerprint.
const FINGERPRINT_DIGITS: usize = 16;

/// What installing does about a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Target,
    /// Started, and never again while the machine is up.
    Apps,
    /// Started again whenever the program, the settings or the unit have changed.
    Daemon,
    /// Stopped and started, with its service, when the unit has changed.
    Socket {
        service: &'static str,
    },
}

/// A unit's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub name: &'static str,
    pub kind: Kind,
    pub text: String,
    /// What a daemon of this installation shows, and no other.
    pub fingerprint: Option<String>,
}

/// Names of all units, in the order in which they are written and enabled.
pub const ALL: [&str; 7] = [TARGET, APPS, LAUNCHER, SERVER_SOCKET, ROUTER_SOCKET, SERVER, ROUTER];

/// Every unit, in the order of [`ALL`].
pub fn render(wanted: &Wanted, program_digest: &str) -> Vec<Unit> {
    let settings = &wanted.settings;
    let daemon = |name, text: String| fingerprinted(name, &text, wanted, program_digest);
    vec![
        plain(TARGET, Kind::Target, target()),
        plain(APPS, Kind::Apps, apps(wanted)),
        daemon(LAUNCHER, launcher(wanted)),
        plain(
            SERVER_SOCKET,
            Kind::Socket { service: SERVER },
            socket("the API and git", "api", settings.api_listen),
        ),
        plain(
            ROUTER_SOCKET,
            Kind::Socket { service: ROUTER },
            socket("where apps answer", "http", settings.http_listen),
        ),
        daemon(SERVER, server(wanted)),
        daemon(ROUTER, router(wanted)),
    ]
}

const fn plain(name: &'static str, kind: Kind, text: String) -> Unit {
    Unit { name, kind, text, fingerprint: None }
}

/// Whoever runs shows in its environment what it was started from: an installation that was cut off is seen to be unfinished.
fn fingerprinted(name: &'static str, text: &str, wanted: &Wanted, program_digest: &str) -> Unit {
    let mut hash = Sha256::new();
    for part in [text, &wanted.environment.render(), program_digest] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut fingerprint = hex::encode(hash.finalize());
    fingerprint.truncate(FINGERPRINT_DIGITS);
    let line = format!("[Service]\nEnvironment={INSTALLED_VARIABLE}={fingerprint}\n");
    Unit {
        name,
        kind: Kind::Daemon,
        text: text.replacen("[Service]\n", &line, 1),
        fingerprint: Some(fingerprint),
    }
}

const HEAD: &str =
    "# Written by `dozen install`, which overwrites it. Put changes into a drop-in: systemctl edit NAME\n";

fn target() -> String {
    format!("{HEAD}[Unit]\nDescription=Dozen, and every app on it\n\n[Install]\nWantedBy=multi-user.target\n")
}

/// By its name nobody stops it, neither a person by mistake nor a tool that restarts what uses old libraries. A process of an app
/// that runs out of memory is the app's affair, not the service's.
fn apps(wanted: &Wanted) -> String {
    let (program, environment) = (wanted.program.display(), wanted.environment_file.display());
    format!(
        "{HEAD}\
# Processes of apps live in the control group of this unit. Nothing restarts it; `systemctl stop {TARGET}` stops it, and every app.
[Unit]
Description=Processes of Dozen's apps
PartOf={TARGET}
After=network.target
RefuseManualStop=yes
StartLimitIntervalSec=0

[Service]
Type=notify
Slice=dozen.slice
EnvironmentFile={environment}
ExecStart={program} hold-apps
ExecStop={program} stop-apps
Delegate=yes
OOMPolicy=continue
OOMScoreAdjust=-1000
TasksMax=infinity
TimeoutStopSec=60
Restart=always
RestartSec=1

[Install]
WantedBy={TARGET}
"
    )
}

/// No setting here may give it a mount namespace of its own: networks of apps are mounts, and must outlive it. Nothing either that a
/// child inherits and an app would suffer from: system call filters, a score for the killer of processes.
fn launcher(wanted: &Wanted) -> String {
    let (program, environment) = (wanted.program.display(), wanted.environment_file.display());
    format!(
        "{HEAD}\
[Unit]
Description=Dozen's launcher: starts processes of apps in their sandboxes
PartOf={TARGET}
Requires={APPS}
After={APPS} network.target nftables.service
StartLimitIntervalSec=0

[Service]
Type=notify
Slice=dozen.slice
EnvironmentFile={environment}
ExecStart={program} launcher
KillMode=process
Restart=always
RestartSec=1
LimitNOFILE=524288
# No mount namespace of its own (networks of apps are mounts and outlive it), and nothing that apps would inherit.
NoNewPrivileges=yes
CapabilityBoundingSet={LAUNCHER_CAPABILITIES}

[Install]
WantedBy={TARGET}
"
    )
}

/// Namespaces, mounts and networks; other users' files and processes; becoming other users; listeners of daemons that it adopts.
const LAUNCHER_CAPABILITIES: &str = "CAP_SYS_ADMIN CAP_NET_ADMIN CAP_SYS_CHROOT CAP_MKNOD CAP_CHOWN CAP_FOWNER CAP_FSETID CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_KILL CAP_SYS_PTRACE CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_SYS_RESOURCE";

/// The server, and git below it, write in the data folder alone. It sets the group bit of folders, so that has to be allowed.
fn server(wanted: &Wanted) -> String {
    let data = wanted.settings.data.root().display();
    let rest = format!(
        "ReadWritePaths={data}\n{UNPRIVILEGED}PrivateTmp=yes\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
    );
    daemon(
        wanted,
        &Daemon {
            about: "Dozen's server: the API, git, builds and releases",
            socket: SERVER_SOCKET,
            word: "serve",
            user: &wanted.server_user,
            stop_seconds: 20,
            before: String::new(),
            rest,
        },
    )
}

/// The router finishes requests before it ends. It builds nothing, so passwords of mirrors are not for it, nor is by what they could be
/// guessed. It writes its log and its control folder, and nothing else.
fn router(wanted: &Wanted) -> String {
    let data = &wanted.settings.data;
    let before = format!(
        "EnvironmentFile=-{}\nUnsetEnvironment={}\nExecStartPre=+{} prepare-router\n",
        router_environment(data.root()).display(),
        [&MIRRORS[..], &[FINGERPRINT_KEY]].concat().join(" "),
        wanted.program.display()
    );
    let rest = format!(
        "ReadWritePaths=-{} -{}\n{UNPRIVILEGED}PrivateTmp=yes\nRestrictSUIDSGID=yes\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\nOOMScoreAdjust=-500\nCPUWeight=200\n",
        data.logs().display(),
        data.run().join("router").display(),
    );
    daemon(
        wanted,
        &Daemon {
            about: "Dozen's router: carries requests to apps",
            socket: ROUTER_SOCKET,
            word: "router",
            user: &wanted.router_user,
            stop_seconds: 45,
            before,
            rest,
        },
    )
}

/// What the server and the router have in common.
const UNPRIVILEGED: &str = "\
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
";

struct Daemon<'a> {
    about: &'a str,
    socket: &'a str,
    word: &'a str,
    user: &'a str,
    stop_seconds: u32,
    before: String,
    rest: String,
}

fn daemon(wanted: &Wanted, daemon: &Daemon<'_>) -> String {
    let (program, environment) = (wanted.program.display(), wanted.environment_file.display());
    let Daemon { about, socket, word, user, stop_seconds, before, rest } = daemon;
    format!(
        "{HEAD}\
[Unit]
Description={about}
PartOf={TARGET}
Requires={socket}
Wants={LAUNCHER}
After={socket} {LAUNCHER} {APPS}
StartLimitIntervalSec=0

[Service]
Type=notify
Slice=dozen.slice
User={user}
Group={user}
EnvironmentFile={environment}
{before}ExecStart={program} {word}
KillMode=process
TimeoutStopSec={stop_seconds}
Restart=always
RestartSec=1
LimitNOFILE=524288
{rest}
[Install]
WantedBy={TARGET}
"
    )
}

/// Connections wait here while the service restarts; however often it does, the socket stays.
fn socket(about: &str, name: &str, address: SocketAddr) -> String {
    let family = if address.is_ipv6() { "BindIPv6Only=both\n" } else { "" };
    format!(
        "{HEAD}\
[Unit]
Description=Dozen: {about}
PartOf={TARGET}

[Socket]
ListenStream={address}
{family}FreeBind=yes
FileDescriptorName={name}
Backlog=4096
TriggerLimitIntervalSec=0

[Install]
WantedBy={TARGET}
"
    )
}

/// The digest that stands for a program.
pub fn digest(program: &[u8]) -> String {
    hex::encode(Sha256::digest(program))
}

/// The users of the settings must be the users of the units.
pub fn users(settings: &Settings) -> [(&'static str, u32, &'static str); 2] {
    [
        (super::wanted::SERVER_USER, settings.uid, "Dozen's server"),
        (super::wanted::ROUTER_USER, settings.router_uid, "Dozen's router"),
    ]
}
