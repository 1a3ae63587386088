//! Requests from outside the machine, one after the other, while something happens in it.

use crate::demo::http;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);

/// What came of them.
#[derive(Debug, Default)]
pub struct Outcome {
    pub answered: u64,
    pub failures: Vec<String>,
    pub slowest: Duration,
}

pub struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Outcome>,
}

impl Load {
    pub fn start(port: u16, host: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut outcome = Outcome::default();
            while !stopped.load(Ordering::Relaxed) {
                outcome.take(port, host);
                std::thread::sleep(PAUSE);
            }
            outcome
        });
        Self { stop, thread }
    }

    pub fn end(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

impl Outcome {
    fn take(&mut self, port: u16, host: &str) {
        let sent = Instant::now();
        match http::get(port, host, "/") {
            Ok((200, _)) => self.answered += 1,
            Ok((status, body)) => {
                let line = body.lines().next().unwrap_or_default().to_owned();
                self.failures.push(format!("{status}: {line}"));
            }
            Err(error) => self.failures.push(format!("{error:#}")),
        }
        self.slowest = self.slowest.max(sent.elapsed());
    }
}
