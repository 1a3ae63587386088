//! A small web server without dependencies, compiled by the tests and pushed as a finished program: what it answers shows which
//! release and process served a request, and whether a process is still the same.
//!
//! `GET /` what it is; `GET /slow?ms=N` the same, late; `POST /upload` the number of body bytes; `GET /connect?to=HOST:PORT` whether a
//! TCP connection succeeds, and `/udp?to=`, `/unix?path=`, `/abstract?name=`, `/see?path=` the same of a datagram that is answered, a
//! socket by its path, one by its abstract name, a file; `GET /crash` ends the process; `GET /env?name=N` a variable.
//!
//! `PROBE_BIND` is the address it listens on (`none`: it does not), `PROBE_PORT` the port instead of `PORT`, `PROBE_WORKER_PORT` the one
//! on which a worker listens too.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

fn main() {
    let port = given("PROBE_PORT").or_else(|| given("PORT")).unwrap_or_else(|| "5000".into());
    if std::env::args().nth(1).as_deref() == Some("worker") {
        println!("worker of release {} at work", variable("HEROKU_RELEASE_VERSION"));
        let _listening = given("PROBE_WORKER_PORT").map(|port| TcpListener::bind(format!("0.0.0.0:{port}")).expect("the port is free"));
        sleep_for_ever();
    }
    let host = given("PROBE_BIND").unwrap_or_else(|| "0.0.0.0".into());
    if host == "none" {
        println!("listening nowhere");
        sleep_for_ever();
    }
    let delay = std::env::var("PROBE_BOOT_MS").ok().and_then(|ms| ms.parse().ok()).unwrap_or(0);
    std::thread::sleep(Duration::from_millis(delay));
    let listener = TcpListener::bind(format!("{host}:{port}")).expect("the port is free");
    println!("listening on {host}:{port}");
    let count = Arc::new(AtomicU64::new(0));
    for stream in listener.incoming().flatten() {
        let count = Arc::clone(&count);
        std::thread::spawn(move || serve(stream, &count));
    }
}

fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// A variable that is set to something.
fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn serve(stream: TcpStream, count: &AtomicU64) {
    let Ok(mut out) = stream.try_clone() else { return };
    let mut input = BufReader::new(stream);
    while let Some((method, target, length)) = read_head(&mut input) {
        let received = if length == u64::MAX { read_chunks(&mut input) } else { read_exactly(&mut input, length) };
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let argument = query.split_once('=').map_or("", |(_, value)| value);
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        let body = match path {
            "/slow" => {
                std::thread::sleep(Duration::from_millis(argument.parse().unwrap_or(0)));
                describe(number)
            }
            "/upload" => format!("{{\"method\":\"{method}\",\"bytes\":{received},\"release\":\"{}\"}}", variable("HEROKU_RELEASE_VERSION")),
            "/connect" => connect(argument),
            "/udp" => told(ask_by_datagram(argument), "answered"),
            "/unix" => told(UnixStream::connect(argument), "connected"),
            "/abstract" => told(UnixAddress::from_abstract_name(argument).and_then(|to| UnixStream::connect_addr(&to)), "connected"),
            "/see" => told(std::fs::symlink_metadata(argument), "seen"),
            "/env" => variable(argument),
            "/crash" => std::process::exit(3),
            _ => describe(number),
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        // In one piece: a second one would wait for the first to be acknowledged.
        if out.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn describe(number: u64) -> String {
    let version = std::fs::read_to_string("/app/version").unwrap_or_default();
    let started = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let started = started.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19).map(str::to_owned)).unwrap_or_default();
    format!(
        "{{\"release\":\"{}\",\"dyno\":\"{}\",\"version\":\"{}\",\"count\":{number},\"started\":\"{started}\"}}",
        variable("HEROKU_RELEASE_VERSION"),
        variable("DYNO"),
        version.trim(),
    )
}

/// `connected`, or how it failed.
fn connect(to: &str) -> String {
    let to = to.replace("%3A", ":");
    let Some(address) = to.to_socket_addrs().ok().and_then(|mut all| all.next()) else { return "unresolved".into() };
    match TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
        Ok(_) => "connected".into(),
        Err(error) => format!("refused: {error}"),
    }
}

fn told<T>(tried: std::io::Result<T>, word: &str) -> String {
    tried.map_or_else(|error| format!("refused: {error}"), |_| word.to_owned())
}

fn ask_by_datagram(to: &str) -> std::io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.connect(to)?;
    socket.send(b"anybody there?")?;
    socket.recv(&mut [0; 64]).map(drop)
}

/// Method, target and body length; `u64::MAX` for a chunked body.
fn read_head(input: &mut impl BufRead) -> Option<(String, String, u64)> {
    let mut line = String::new();
    if input.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut length = 0;
    loop {
        let mut header = String::new();
        input.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            return Some((method, target, length));
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if header.starts_with("transfer-encoding:") {
            length = u64::MAX;
        }
    }
}

fn read_exactly(input: &mut impl Read, length: u64) -> u64 {
    std::io::copy(&mut input.take(length), &mut std::io::sink()).unwrap_or(0)
}

fn read_chunks(input: &mut impl BufRead) -> u64 {
    let mut total = 0;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).unwrap_or(0) == 0 {
            return total;
        }
        let size = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
        total += read_exactly(input, size);
        let mut end = String::new();
        let _ = input.read_line(&mut end);
        if size == 0 {
            return total;
        }
    }
}
