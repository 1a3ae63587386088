//! A log hub from memory.

use server::ports::{Follow, LogFeed, LogHub, LogNext, LogQuery, LogRecord};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

#[derive(Default)]
pub struct MemoryHub {
    lines: Arc<Lines>,
    queries: Mutex<Vec<LogQuery>>,
}

#[derive(Default)]
struct Lines {
    all: Mutex<Vec<String>>,
    changed: Condvar,
}

impl MemoryHub {
    pub fn append(&self, line: &str) {
        self.lines.all.lock().unwrap().push(line.to_owned());
        self.lines.changed.notify_all();
    }

    pub fn queries(&self) -> Vec<LogQuery> {
        self.queries.lock().unwrap().clone()
    }
}

impl LogHub for MemoryHub {
    fn open(&self, query: &LogQuery) -> Result<Box<dyn LogFeed>, String> {
        self.queries.lock().unwrap().push(query.clone());
        let count = self.lines.all.lock().unwrap().len();
        let after = query.after.as_ref().and_then(|cursor| cursor.parse::<usize>().ok());
        let next = after.unwrap_or(count.saturating_sub(query.lines));
        Ok(Box::new(Feed { lines: self.lines.clone(), next, follow: query.follow }))
    }
}

struct Feed {
    lines: Arc<Lines>,
    next: usize,
    follow: Follow,
}

impl LogFeed for Feed {
    fn next(&mut self, at_most: Duration) -> LogNext {
        let mut all = self.lines.all.lock().unwrap();
        if all.len() <= self.next && self.follow == Follow::GoOn {
            all = self.lines.changed.wait_timeout(all, at_most).unwrap().0;
        }
        if all.len() <= self.next {
            return if self.follow == Follow::GoOn { LogNext::Quiet } else { LogNext::End };
        }
        let record = |(index, message): (usize, &String)| LogRecord {
            cursor: (self.next + index + 1).to_string(),
            line: format!("2026-01-01T00:00:00.000000+00:00 app[web.1]: {message}"),
            message: message.clone(),
        };
        let records: Vec<_> = all[self.next..].iter().enumerate().map(record).collect();
        self.next = all.len();
        LogNext::Lines(records)
    }
}
