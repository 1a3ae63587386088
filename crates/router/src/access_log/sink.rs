//! The one thread of a router that writes to the disk: it owns the journal writers of all threads.

use crate::access_log::buffer::Entry;
use crate::settings::JournalSettings;
use domain::ids::AppId;
use journal::{Caps, OpenError, SegmentWriter, Stamp, Stream};
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Batches that may wait for the disk.
const WAITING_BATCHES: usize = 64;
/// How often the writers are asked to sync and seal.
const TICK: Duration = Duration::from_secs(1);
/// The name of the router in log lines.
const NAME: &str = "router";

/// To the sink.
#[derive(Debug)]
pub(crate) enum Message {
    Lines(Batch),
    /// Everything was sent.
    Stop,
}

/// Lines of one thread.
#[derive(Debug)]
pub(crate) struct Batch {
    pub thread: usize,
    pub entries: Vec<Entry>,
    pub dropped: HashMap<AppId, Dropped>,
}

/// Lines that were never handed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropped {
    pub count: u64,
    pub since: Stamp,
}

/// The running sink.
#[derive(Debug)]
pub(crate) struct Sink {
    sender: SyncSender<Message>,
    thread: JoinHandle<()>,
}

impl Sink {
    /// Opens the writers and starts the thread. `None` if there is no journal.
    pub(crate) fn start(journals: &[JournalSettings]) -> Result<Option<Self>, OpenError> {
        if journals.is_empty() {
            return Ok(None);
        }
        let open =
            |journal: &JournalSettings| SegmentWriter::open(&journal.dir, journal.writer, Caps::DEFAULT);
        let writers = journals.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let (sender, receiver) = sync_channel(WAITING_BATCHES);
        let thread = std::thread::spawn(move || run(writers, &receiver));
        Ok(Some(Self { sender, thread }))
    }

    pub(crate) fn sender(&self) -> SyncSender<Message> {
        self.sender.clone()
    }

    /// Writes what was sent before, and ends.
    pub(crate) fn stop(self) {
        if self.sender.send(Message::Stop).is_ok() && self.thread.join().is_err() {
            tracing::error!("the access log's thread has panicked");
        }
    }
}

fn run(mut writers: Vec<SegmentWriter>, messages: &Receiver<Message>) {
    loop {
        match messages.recv_timeout(TICK) {
            Ok(Message::Lines(batch)) => {
                if let Some(writer) = writers.get_mut(batch.thread) {
                    write(writer, &batch);
                }
            }
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = Stamp::now();
        for writer in &mut writers {
            writer.sync_if_due(now);
            writer.seal_if_due(now);
        }
    }
    for writer in writers {
        writer.close(Stamp::now());
    }
}

fn write(writer: &mut SegmentWriter, batch: &Batch) {
    for (app, dropped) in &batch.dropped {
        let text = render_dropped(*dropped);
        append(writer, *app, Stream::Platform, dropped.since, &text);
    }
    for entry in &batch.entries {
        append(writer, entry.app, Stream::Router, entry.stamp, &entry.text);
    }
    writer.flush();
}

fn append(writer: &mut SegmentWriter, app: AppId, stream: Stream, stamp: Stamp, text: &str) {
    let payload = text.as_bytes();
    writer.append(&journal::Entry { app, process: None, name: NAME, stream, stamp, payload });
}

/// Heroku's words.
fn render_dropped(dropped: Dropped) -> String {
    let micros = i64::try_from(dropped.since.wall_micros).unwrap_or(i64::MAX);
    let since = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let since = since.strftime("%Y-%m-%dT%H:%M:%S+00:00");
    format!("Error L12 (Local buffer overflow): {} messages dropped since {since}.", dropped.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_lines_are_told_in_herokus_words() {
        let since = Stamp { wall_micros: 1_366_225_486_123_456, ..Stamp::default() };
        assert_eq!(
            render_dropped(Dropped { count: 500, since }),
            "Error L12 (Local buffer overflow): 500 messages dropped since 2013-04-17T19:04:46+00:00."
        );
    }
}
