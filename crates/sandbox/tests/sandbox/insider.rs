//! What the test binary does when a sandboxed process executes it.

use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

pub fn act(words: &[&str]) -> ExitCode {
    match words {
        ["listen", address] => listen(address),
        ["eat", megabytes] => eat(megabytes.parse().unwrap()),
        ["environment"] => print_environment(),
        _ => return ExitCode::from(64),
    }
    ExitCode::SUCCESS
}

/// Accepts for ever.
fn listen(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    say(&format!("listening on {}", listener.local_addr().unwrap()));
    for connection in listener.incoming() {
        drop(connection);
    }
}

/// Touches so much memory, and waits.
fn eat(megabytes: usize) {
    let mut eaten = Vec::new();
    for _ in 0..megabytes {
        eaten.push(vec![1_u8; 1024 * 1024]);
    }
    say(&format!("ate {}", eaten.len()));
    std::thread::sleep(Duration::from_secs(1));
}

fn print_environment() {
    let mut variables: Vec<String> =
        std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    variables.sort();
    variables.iter().for_each(|variable| say(variable));
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
