//! An open-loop load: requests are sent at their scheduled instants whatever becomes of earlier ones, never repeated, and counted as
//! failed if they cannot even be sent within a second of their time.

use super::http::{self, Response};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A send later than this counts as failed.
const LATEST_SEND: Duration = Duration::from_secs(1);
/// Threads that send. With answers of up to 2 s, enough that none waits for another.
const SENDERS: u64 = 160;
const UPLOAD_BYTES: usize = 1_000_000;

/// What is sent where.
#[derive(Clone)]
pub struct Target {
    pub router: SocketAddr,
    pub host: String,
    pub per_second: u64,
}

/// What came of a load.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    pub sent: u64,
    pub answered: u64,
    /// One line for each failure, at most a hundred kept.
    pub failures: Vec<String>,
    pub failed: u64,
    pub latest_send_millis: u64,
    pub releases: BTreeSet<String>,
    pub by_status: BTreeMap<u16, u64>,
}

/// A load under way.
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    outcome: Arc<Mutex<Outcome>>,
    pub count: Arc<AtomicU64>,
}

/// What one request is.
#[derive(Clone, Copy)]
struct Shot {
    number: u64,
    at: Instant,
}

impl Load {
    pub fn start(target: Target) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let outcome = Arc::new(Mutex::new(Outcome::default()));
        let count = Arc::new(AtomicU64::new(0));
        let (shots, queue) = sync_channel::<Shot>(10_000);
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::new();
        for _ in 0..SENDERS {
            let (queue, outcome, target) = (Arc::clone(&queue), Arc::clone(&outcome), target.clone());
            threads.push(std::thread::spawn(move || send_all(&queue, &outcome, &target)));
        }
        let (stopping, counting) = (Arc::clone(&stop), Arc::clone(&count));
        threads.push(std::thread::spawn(move || {
            let start = Instant::now();
            let gap = Duration::from_nanos(1_000_000_000 / target.per_second);
            let mut number = 0;
            while !stopping.load(Ordering::Relaxed) {
                let at = start + gap * u32::try_from(number).expect("a bounded load");
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                if shots.send(Shot { number, at }).is_err() {
                    return;
                }
                number += 1;
                counting.store(number, Ordering::Relaxed);
            }
        }));
        Self { stop, threads, outcome, count }
    }

    /// Lets every request end and tells what came of them.
    pub fn finish(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a sender ends");
        }
        let outcome = self.outcome.lock().expect("no sender panicked");
        outcome.clone()
    }
}

fn send_all(queue: &Mutex<Receiver<Shot>>, outcome: &Mutex<Outcome>, target: &Target) {
    let mut kept: Option<BufReader<TcpStream>> = None;
    loop {
        let shot = queue.lock().expect("no sender panicked").recv();
        let Ok(shot) = shot else { return };
        let late = Instant::now().saturating_duration_since(shot.at);
        let answer = send(shot, &mut kept, target);
        let mut outcome = outcome.lock().expect("no sender panicked");
        outcome.note(shot, late, answer);
    }
}

/// Every second request has a connection of its own; the others go over one that is kept, if there is one.
fn send(shot: Shot, kept: &mut Option<BufReader<TcpStream>>, target: &Target) -> std::io::Result<Response> {
    let fresh = shot.number.is_multiple_of(2);
    let mut stream = match kept.take().filter(|_| !fresh) {
        Some(stream) => stream,
        None => BufReader::new(http::connect(target.router)?),
    };
    stream.get_mut().write_all(&render(shot, fresh, target))?;
    let response = http::read_response(&mut stream)?;
    let closes = response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    *kept = (!fresh && !closes).then_some(stream);
    Ok(response)
}

/// Two in 50 take two seconds, one in 50 uploads a megabyte, the rest are quick. A `POST` is never sent again by a router.
fn render(shot: Shot, fresh: bool, target: &Target) -> Vec<u8> {
    let connection = if fresh { "close" } else { "keep-alive" };
    let (line, body) = match shot.number % 50 {
        7 => ("GET /slow?ms=2000", 0),
        32 => ("POST /slow?ms=2000", 0),
        18 => ("POST /upload", UPLOAD_BYTES),
        _ => ("GET /", 0),
    };
    let mut bytes = format!(
        "{line} HTTP/1.1\r\nhost: {}\r\nconnection: {connection}\r\ncontent-length: {body}\r\n\r\n",
        target.host
    )
    .into_bytes();
    bytes.resize(bytes.len() + body, b'x');
    bytes
}

impl Outcome {
    fn note(&mut self, shot: Shot, late: Duration, answer: std::io::Result<Response>) {
        self.sent += 1;
        self.latest_send_millis = self.latest_send_millis.max(late.as_millis() as u64);
        match answer {
            _ if late > LATEST_SEND => self.fail(format!("request {} was sent {late:?} late", shot.number)),
            Err(error) => self.fail(format!("request {}: {error}", shot.number)),
            Ok(response) => self.judge(shot, &response),
        }
    }

    fn judge(&mut self, shot: Shot, response: &Response) {
        *self.by_status.entry(response.status).or_default() += 1;
        if response.status != 200 {
            return self.fail(format!(
                "request {}: status {} {}",
                shot.number,
                response.status,
                response.text()
            ));
        }
        self.answered += 1;
        if let Some(release) = serde_json::from_slice::<serde_json::Value>(&response.body)
            .ok()
            .and_then(|body| body["release"].as_str().map(str::to_owned))
        {
            self.releases.insert(release);
        }
    }

    fn fail(&mut self, line: String) {
        self.failed += 1;
        if self.failures.len() < 100 {
            self.failures.push(line);
        }
    }
}
