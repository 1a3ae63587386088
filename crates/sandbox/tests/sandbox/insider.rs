//! What the test binary does when a sandboxed process executes it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

pub fn act(words: &[&str]) -> ExitCode {
    match words {
        ["listen", address, ..] => listen(address),
        ["eat", megabytes] => eat(megabytes.parse().unwrap(), Duration::from_secs(1)),
        ["hold", megabytes] => eat(megabytes.parse().unwrap(), Duration::from_secs(600)),
        ["fork", count] => use_up(count, || std::process::Command::new("/bin/sleep").arg("600").spawn()),
        ["open", count] => use_up(count, || std::fs::File::open("/dev/null")),
        ["files", folder, count] => {
            let mut number = 0;
            use_up(count, || {
                number += 1;
                std::fs::File::create(format!("{folder}/{number}")).map(drop)
            });
        }
        ["serve", address, file] => serve(address, file),
        ["who"] => say(&rustix::process::geteuid().as_raw().to_string()),
        ["walk"] => crate::hostile::walk::walk(),
        ["fill", folder, count] => {
            use_up(count, || fill(folder));
        }
        ["watch", count] => {
            use_up(count, || Ok(rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::empty())?))
        }
        ["terminals", count] => {
            use rustix::pty::{OpenptFlags, openpt};
            use_up(count, || Ok(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?));
        }
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

/// Takes so many of a thing, or as many as it gets; says so, and waits with them.
fn use_up<T>(count: &str, mut take: impl FnMut() -> std::io::Result<T>) {
    let mut taken = Vec::new();
    for _ in 0..count.parse().unwrap() {
        match take() {
            Ok(one) => taken.push(one),
            Err(error) => {
                say(&format!("took {} of {count}: {}", taken.len(), error.raw_os_error().unwrap()));
                return std::thread::sleep(Duration::from_secs(600));
            }
        }
    }
    say(&format!("took {count} of {count}"));
    std::thread::sleep(Duration::from_secs(600));
}

/// A megabyte more.
fn fill(folder: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::options().append(true).create(true).open(format!("{folder}/filled"))?;
    file.write_all(&[1; 1024 * 1024])
}

/// Answers every request with what the file holds: a status and a line.
fn serve(address: &str, file: &str) {
    let listener = TcpListener::bind(address).unwrap();
    say(&format!("serving on {}", listener.local_addr().unwrap()));
    for connection in listener.incoming() {
        let mut connection = connection.unwrap();
        let mut request = [0; 4096];
        // A connection that says nothing was only to see whether somebody accepts.
        if connection.read(&mut request).unwrap_or(0) == 0 {
            continue;
        }
        let text = std::fs::read_to_string(file).unwrap_or_else(|_| "503 Not Yet".to_owned());
        let (status, body) = text.trim_end().split_once('\n').unwrap_or((text.trim_end(), "soon"));
        let length = body.len();
        let _ = write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
    }
}

/// Touches so much memory, and waits.
fn eat(megabytes: usize, wait: Duration) {
    let mut eaten = Vec::new();
    for _ in 0..megabytes {
        eaten.push(vec![1_u8; 1024 * 1024]);
    }
    say(&format!("ate {}", eaten.len()));
    std::thread::sleep(wait);
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
