//! The app that the virtual machine runs: a small web server without dependencies, compiled on the host and pushed as a finished program.
//!
//! `GET /` how often it was asked, and when the kernel started it; `/memory` takes memory until it is killed; `/processes` starts
//! children until it is refused, which may take longer than a request may, so `/counted` says how many there were.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// More children than any limit of the tests.
const MOST_CHILDREN: usize = 5_000;
const PIECE_BYTES: usize = 16 << 20;
const PAGE_BYTES: usize = 4096;

static COUNT: AtomicU64 = AtomicU64::new(0);
static COUNTED: Mutex<String> = Mutex::new(String::new());

fn main() {
    let port = std::env::var("PORT").unwrap_or_else(|_| "5000".into());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).expect("the port is free");
    println!("listening on {port}");
    for stream in listener.incoming().flatten() {
        // While children take all the room, visitors wait.
        while !serve_apart(&stream) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// False if the kernel allows no further thread.
fn serve_apart(stream: &TcpStream) -> bool {
    let Ok(own) = stream.try_clone() else { return true };
    std::thread::Builder::new().spawn(move || serve(own)).is_ok()
}

fn serve(stream: TcpStream) {
    let Ok(mut out) = stream.try_clone() else { return };
    let mut input = BufReader::new(stream);
    while let Some(path) = read_head(&mut input) {
        let number = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        let body = match path.as_str() {
            "/memory" => take_memory(),
            "/processes" => {
                std::thread::spawn(|| *COUNTED.lock().expect("nobody panics") = start_children());
                "{}".to_owned()
            }
            "/counted" => COUNTED.lock().expect("nobody panics").clone(),
            _ => format!("{{\"count\":{number},\"started\":{},\"release\":\"{}\"}}", started(), release()),
        };
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if out.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_head(input: &mut impl BufRead) -> Option<String> {
    let mut first = String::new();
    input.read_line(&mut first).ok().filter(|count| *count > 0)?;
    let mut line = String::new();
    while input.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    first.split(' ').nth(1).map(str::to_owned)
}

fn release() -> String {
    std::env::var("HEROKU_RELEASE_VERSION").unwrap_or_default()
}

/// In clock ticks since boot: field 22 of its own `stat`.
fn started() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_whitespace().nth(19).and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn take_memory() -> ! {
    let mut pieces = Vec::new();
    loop {
        let mut piece = vec![0u8; PIECE_BYTES];
        piece.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
        pieces.push(piece);
    }
}

/// Threads: the kernel counts them as it counts processes, and they are started sooner.
fn start_children() -> String {
    let over = Arc::new(AtomicBool::new(false));
    let mut children = Vec::new();
    let refusal = loop {
        if children.len() == MOST_CHILDREN {
            break "none".to_owned();
        }
        let over = Arc::clone(&over);
        let wait = move || while !over.load(Ordering::Relaxed) { std::thread::park_timeout(Duration::from_secs(1)) };
        match std::thread::Builder::new().stack_size(64 << 10).spawn(wait) {
            Ok(child) => children.push(child),
            Err(error) => break format!("{:?}", error.kind()),
        }
    };
    over.store(true, Ordering::Relaxed);
    format!("{{\"children\":{},\"refusal\":\"{refusal}\"}}", children.len())
}
