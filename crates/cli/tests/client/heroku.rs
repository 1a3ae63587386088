//! `heroku`: what the client's program is started with, and how it and we end. Programs of our own stand in for the client.

use crate::dozen::{Dozen, Ended, end_of, mode_of, until};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Nobody listens there, and nobody is asked.
const SERVER: &str = "https://127.0.0.1:1";

/// A home with a program called `heroku` in it.
fn with_client(text: &str) -> Dozen {
    let dozen = Dozen::at(SERVER);
    let programs = dozen.path("bin");
    std::fs::create_dir(&programs).expect("a folder");
    std::fs::write(programs.join("heroku"), text).expect("written");
    let may_run = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(programs.join("heroku"), may_run).expect("executable");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&path)));
    dozen.with("PATH", path.expect("a path"))
}

fn run(dozen: &Dozen, words: &[&str]) -> Ended {
    let words: Vec<_> = ["heroku", "--"].iter().chain(words).copied().collect();
    dozen.run(&words)
}

/// What is left of the folders of runs.
fn folders(dozen: &Dozen) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dozen.home()).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

#[test]
fn what_talks_to_heroku_alone_is_not_started() {
    let dozen = with_client("#!/bin/sh\ntouch \"$HOME/started\"\n");
    let refused = run(&dozen, &["mcp:start"]);
    assert_eq!((refused.code, refused.stdout()), (Some(1), ""));
    assert!(refused.stderr.contains("talks to api.heroku.com and to no other server"), "{}", refused.stderr);
    assert!(!dozen.path("started").exists() && folders(&dozen).is_empty());
    assert_eq!(run(&dozen, &["ps"]).code, Some(0));
    assert!(dozen.path("started").exists() && folders(&dozen).is_empty());
}

/// The client's own programs, what they start, and ways that heed no proxy.
#[test]
fn programs_on_node_connect_to_this_machine_and_the_server_alone() {
    if Command::new("node").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: there is no Node.js");
        return;
    }
    let here = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = here.local_addr().expect("bound").port();
    let dozen = with_client(
        "#!/usr/bin/env node\n\
         const { execFileSync } = require('node:child_process')\n\
         const fetched = `fetch('https://api.heroku.com/apps').catch(error => console.log(String(error.cause)))`\n\
         const { NODE_USE_ENV_PROXY, ...env } = process.env\n\
         console.log('started', execFileSync(process.execPath, ['-e', fetched], { env }).toString().trim())\n\
         const failed = name => error => console.log(name, error.message)\n\
         require('node:https').get('https://api.heroku.com/apps').on('error', failed('https'))\n\
         require('node:tls').connect(443, '198.51.100.7').on('error', failed('tls'))\n\
         require('node:net').connect({ port: 2, host: '127.0.0.1.example.com' }).on('error', failed('net'))\n\
         const socket = require('node:net').connect(Number(process.argv[2]), 'localhost')\n\
         socket.on('connect', () => { console.log('here'); socket.destroy() })\n",
    );
    let dozen = dozen.with("NODE_OPTIONS", "--no-warnings");
    let ended = run(&dozen, &[&port.to_string()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let refused = "which is not your server, and was refused";
    for line in [
        format!("started Error: the program asked for api.heroku.com:443, {refused}\n"),
        format!("tls the program asked for 198.51.100.7:443, {refused}\n"),
        format!("net the program asked for 127.0.0.1.example.com:2, {refused}\n"),
        "here\n".to_owned(),
    ] {
        assert!(ended.stdout().contains(&line), "no {line}{}{}", ended.stdout(), ended.stderr);
    }
    assert!(ended.stdout().contains("https "), "by proxy or by itself, it fails: {}", ended.stdout());
    assert!(
        ended.stderr.contains("asked for api.heroku.com:443, which is not your server"),
        "{}",
        ended.stderr
    );
}

#[test]
fn settings_of_git_in_the_environment_stay() {
    let dozen = with_client("#!/bin/sh\ngit config first.name && git config --get-regexp '^credential'\n")
        .with("GIT_CONFIG_COUNT", "1")
        .with("GIT_CONFIG_KEY_0", "first.name")
        .with("GIT_CONFIG_VALUE_0", "theirs");
    let ended = run(&dozen, &["ps"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout().starts_with("theirs\n"), "{}", ended.stdout());
    assert!(ended.stdout().contains(&format!("credential.{SERVER}.helper")), "{}", ended.stdout());
}

#[test]
fn whoever_ends_us_ends_the_client_and_nothing_stays() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::HUP] {
        let dozen = with_client(
            "#!/bin/sh\ntrap 'echo TERM; exit 7' TERM\ntrap 'echo HUP; exit 8' HUP\n\
             touch \"$HOME/ready\"\nwhile :; do sleep 0.05; done\n",
        );
        let mut command = dozen.command(Dozen::program());
        let mut child =
            command.args(["heroku", "--", "logs", "--tail"]).stdout(Stdio::piped()).spawn().expect("runs");
        until("the client is ready", &mut child, || dozen.path("ready").exists());
        let left = folders(&dozen);
        let modes: Vec<_> = left.iter().map(|folder| mode_of(folder)).collect();
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).expect("it runs");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!((left.len(), modes), (1, vec![0o700]));
        let (code, said) = if signal == rustix::process::Signal::TERM { (7, "TERM\n") } else { (8, "HUP\n") };
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(code), said.as_bytes()));
        assert!(folders(&dozen).is_empty());
    }
}

#[test]
fn a_missing_client_is_told_and_nothing_stays() {
    let dozen = Dozen::at(SERVER);
    let mut command = dozen.command(Dozen::program());
    let ended = end_of(command.env("PATH", "/nonexistent").args(["heroku", "--", "ps"]), b"");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("error: the Heroku client is not installed"), "{}", ended.stderr);
    assert!(folders(&dozen).is_empty());
}
