//! A thread's lines on their way to the sink: gathered, then handed over in batches through a bounded queue.

use crate::access_log::sink::{Batch, Dropped, Message};
use domain::ids::AppId;
use journal::Stamp;
use std::collections::HashMap;
use std::sync::mpsc::{SyncSender, TrySendError};

/// Handed over when this much text has gathered; else each second.
const BATCH_BYTES: usize = 64 * 1024;
/// Gathered at most while the sink does not keep up; the oldest go first.
const BACKLOG_BYTES: usize = 4 * 1024 * 1024;

/// One line with what its frame needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub app: AppId,
    pub stamp: Stamp,
    pub text: String,
}

/// One thread's gathered lines.
#[derive(Debug)]
pub(crate) struct Buffer {
    thread: usize,
    entries: Vec<Entry>,
    bytes: usize,
    /// When to try again with a sink that is behind.
    next_try: usize,
    dropped: HashMap<AppId, Dropped>,
    sink: Option<SyncSender<Message>>,
}

impl Buffer {
    /// `sink` is `None` where no access log is kept.
    pub(crate) fn new(thread: usize, sink: Option<SyncSender<Message>>) -> Self {
        Self { thread, entries: Vec::new(), bytes: 0, next_try: BATCH_BYTES, dropped: HashMap::new(), sink }
    }

    pub(crate) fn push(&mut self, app: AppId, text: String) {
        if self.sink.is_none() {
            return;
        }
        self.bytes += text.len();
        self.entries.push(Entry { app, stamp: Stamp::now(), text });
        if self.bytes >= self.next_try {
            self.flush();
        }
    }

    /// Hands over what has gathered. What a sink that is behind cannot take stays here, up to a limit, and is counted beyond it.
    pub(crate) fn flush(&mut self) {
        let Some(sink) = &self.sink else { return };
        if self.entries.is_empty() && self.dropped.is_empty() {
            return;
        }
        let batch = Batch {
            thread: self.thread,
            entries: std::mem::take(&mut self.entries),
            dropped: std::mem::take(&mut self.dropped),
        };
        match sink.try_send(Message::Lines(batch)) {
            Ok(()) => (self.bytes, self.next_try) = (0, BATCH_BYTES),
            Err(TrySendError::Full(Message::Lines(batch))) => self.take_back(batch),
            Err(TrySendError::Full(Message::Stop) | TrySendError::Disconnected(_)) => {
                tracing::error!(
                    "the access log has ended before the router: its lines are lost from here on"
                );
                self.sink = None;
            }
        }
    }

    fn take_back(&mut self, batch: Batch) {
        (self.entries, self.dropped) = (batch.entries, batch.dropped);
        if self.bytes > BACKLOG_BYTES {
            let surplus = self.entries.len() / 2;
            for entry in self.entries.drain(..surplus) {
                self.bytes -= entry.text.len();
                let first = Dropped { count: 0, since: entry.stamp };
                self.dropped.entry(entry.app).or_insert(first).count += 1;
            }
        }
        self.next_try = self.bytes + BATCH_BYTES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn a_sink_that_is_behind_costs_counted_lines_and_no_memory() {
        let (sender, receiver) = sync_channel(1);
        let mut buffer = Buffer::new(0, Some(sender));
        let app = AppId::from_u128(1);
        for _ in 0..10_000 {
            buffer.push(app, "x".repeat(1000));
        }
        assert!(buffer.bytes <= BACKLOG_BYTES + BATCH_BYTES);
        let mut seen = 0;
        while let Ok(Message::Lines(batch)) = receiver.try_recv() {
            seen += batch.entries.len() as u64 + batch.dropped.get(&app).map_or(0, |dropped| dropped.count);
            buffer.flush();
        }
        assert_eq!(seen, 10_000, "every line is either handed over or counted");
    }
}
