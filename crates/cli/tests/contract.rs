//! The vectors of the runtime contract against a server of their own: all that they get of it is its address, a token, its roots of
//! trust and its router. See the crate `contract`.

#[path = "support/mod.rs"]
mod support;

use contract::platform;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use support::ordinary::is_root;
use support::outside::{NEIGHBOUR, Outside};
use support::repository::probe;
use support::server::Server;

/// Short, so that what has to wait for it does not wait long; long enough for a busy machine.
const BOOT_TIMEOUT_SECONDS: &str = "10";
const ROLLBACK_CRASHES: &str = "2";
const OUTSIDE_PORT: u16 = 80;

/// What a machine may lack without breaking the contract: limits apart, an app cannot tell. A network for each app is more than that,
/// and excused by name.
const FALLBACKS: &[(&str, &str)] = &[
    (
        "DOZEN_PROBE_MASK",
        "landlock,ipc_namespace,cgroup_namespace,cgroup_memory,cgroup_cpu,cgroup_pids,cgroup_kill,nftables",
    ),
    ("DOZEN_ALLOW_WEAKER", "nftables"),
];
/// Scenes in which no limit and no long time matters.
const SCENES_OF_FALLBACKS: [&str; 2] = ["surroundings", "stop"];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outside = is_root().then(|| Outside::make(&probe(), OUTSIDE_PORT, &[]));
    let whole = run(&[], &words, outside.is_some());
    let named = words.iter().any(|word| !word.starts_with('-'));
    if named || !is_root() {
        return whole;
    }
    println!("\nthe same with the fall-backs of a machine that lacks most of what may be missing:");
    let weaker = run(FALLBACKS, &SCENES_OF_FALLBACKS.map(str::to_owned), outside.is_some());
    if whole == ExitCode::SUCCESS { weaker } else { whole }
}

fn run(settings: &[(&str, &str)], words: &[String], has_outside: bool) -> ExitCode {
    let own = [
        ("DOZEN_BOOT_TIMEOUT_SECONDS", BOOT_TIMEOUT_SECONDS),
        ("DOZEN_ROLLBACK_CRASHES", ROLLBACK_CRASHES),
        // Every look at a log is a request.
        ("DOZEN_LOG", "warn"),
    ];
    let server = Server::start_with(&[&own, settings].concat());
    let app = compile_app(server.folder());
    let variables = variables(&server, &app, has_outside);
    let lookup =
        |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
    let platform = contract::Platform::from_environment(&lookup).expect("a server that has started");
    let code = contract::run(&platform, words);
    if code != ExitCode::SUCCESS {
        eprintln!("---- output of the server\n{}\n----", server.output());
    }
    code
}

fn variables(server: &Server, app: &Path, has_outside: bool) -> Vec<(&'static str, String)> {
    let text = std::fs::read_to_string(server.folder().join("config/credentials.json")).expect("credentials");
    let credentials: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let url = credentials["current"].as_str().expect("a server").to_owned();
    let login = &credentials["servers"][&url];
    let text = |name: &str| login[name].as_str().expect("a text").to_owned();
    let mut variables = vec![
        (platform::TOKEN, text("token")),
        (platform::CA_FILE, text("ca_file")),
        (platform::URL, url),
        (platform::ROUTER, server.router().to_string()),
        (platform::APP, app.display().to_string()),
        (platform::BOOT_TIMEOUT, BOOT_TIMEOUT_SECONDS.to_owned()),
        (platform::ROLLBACK_CRASHES, ROLLBACK_CRASHES.to_owned()),
    ];
    if has_outside {
        variables.push((platform::OUTBOUND, format!("{NEIGHBOUR}:{OUTSIDE_PORT}")));
    }
    if !is_root() {
        variables.push((platform::LACKS, platform::Lack::ALL.map(platform::Lack::word).join(",")));
    }
    variables
}

/// Compiled here, unless somebody without a compiler has brought it.
fn compile_app(folder: &Path) -> PathBuf {
    if let Some(path) = std::env::var_os(platform::APP) {
        return path.into();
    }
    let program = folder.join("contract-app");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../contract/src/bin/contract-app.rs");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-O", "-C", "strip=symbols", "-o"]).arg(&program).arg(source);
    assert!(rustc.status().expect("rustc runs").success(), "the app of the vectors compiles");
    program
}
