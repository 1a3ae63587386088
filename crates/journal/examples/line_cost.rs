//! What a line costs: CPU time of appending lines of 100 bytes and of reading them back, per line.
//!
//! `cargo run --release -p journal --example line_cost [FOLDER]`; the folder's file system decides what the kernel's share is.

use domain::ids::{AppId, ProcessId, WriterId};
use journal::{Caps, Entry, Event, SegmentReader, SegmentWriter, Stamp, Stream};
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;

const LINES: u64 = 1_000_000;

fn cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    (time.tv_sec * 1_000_000_000 + time.tv_nsec) as u64
}

/// Appends all lines, `batch` of them between two flushes.
fn append_all(folder: &Path, batch: u64) -> Result<(), journal::OpenError> {
    let mut writer = SegmentWriter::open(folder, WriterId::from_u128(1), Caps::DEFAULT)?;
    let payload = [b'x'; 100];
    for line in 0..LINES {
        writer.append(&Entry {
            app: AppId::from_u128(1),
            process: Some(ProcessId::from_u128(1)),
            name: "web.1",
            stream: Stream::Stdout,
            stamp: Stamp::now(),
            payload: &payload,
        });
        if line % batch == 0 {
            writer.flush();
        }
    }
    writer.close(Stamp::now());
    Ok(())
}

fn read_all(folder: &Path) -> Result<u64, journal::ReadError> {
    let mut reader = SegmentReader::from_start(folder.to_owned(), WriterId::from_u128(1));
    let mut lines = 0;
    loop {
        match reader.next_event()? {
            Event::Frame { .. } => lines += 1,
            Event::Idle => return Ok(lines),
            Event::SegmentEnd { .. } | Event::Damaged { .. } | Event::Unreadable { .. } => {}
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parent = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    for batch in [1, 10, 100, 1000] {
        let folder = tempfile::tempdir_in(&parent)?;
        let start = cpu_nanos();
        append_all(folder.path(), batch)?;
        let appended = cpu_nanos();
        let lines = read_all(folder.path())?;
        let read = cpu_nanos();
        let per_line = |nanos: u64| nanos / LINES;
        println!(
            "{batch:>5} lines a flush: append {:>5} ns, read {:>4} ns per line ({lines} read)",
            per_line(appended - start),
            per_line(read - appended)
        );
    }
    Ok(())
}
