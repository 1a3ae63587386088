//! What a line costs end to end: appended by one writer in batches, followed by the hub, and (in the second run) given to a tail.
//! CPU time per line of 100 bytes; then the wall time of a query for the last 100 lines, warm and just after a restart.
//!
//! `cargo run --release -p logs --example hub_cost [FOLDER]`

use domain::ids::{AppId, ProcessId, WriterId};
use journal::{Caps, Entry, FreeSpaceFloor, SegmentWriter, Stamp, Stream, WriterFolder};
use logs::{Filter, Hub, HubSettings, Start};
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::time::Instant;

const LINES: u64 = 1_000_000;
const BATCH: u64 = 20;
const APP: AppId = AppId::from_u128(1);

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    (time.tv_sec * 1_000_000_000 + time.tv_nsec) as u64
}

/// Appends all lines; gives the CPU time of this thread.
fn append_all(root: &Path, writer: WriterId) -> Result<u64, Box<dyn std::error::Error>> {
    let folder = root.join(writer.to_string());
    WriterFolder::make(&folder, 0o770)?;
    let caps = Caps { floor: FreeSpaceFloor::NONE, ..Caps::DEFAULT };
    let mut writer = SegmentWriter::open(&folder, writer, caps)?;
    let start = nanos(ClockId::ThreadCPUTime);
    for line in 0..LINES {
        writer.append(&Entry {
            app: APP,
            process: Some(ProcessId::from_u128(1)),
            name: "web.1",
            stream: Stream::Stdout,
            stamp: Stamp::now(),
            payload: &[b'x'; 100],
        });
        if line % BATCH == 0 {
            writer.flush();
        }
    }
    writer.close(Stamp::now());
    Ok(nanos(ClockId::ThreadCPUTime) - start)
}

fn query_millis(hub: &Hub) -> f64 {
    let start = Instant::now();
    let found = hub.query(APP, &Filter::default(), 100).len();
    assert_eq!(found, 100);
    start.elapsed().as_secs_f64() * 1000.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parent = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let root = tempfile::tempdir_in(&parent)?;
    let hub = Hub::open(root.path(), HubSettings::new(WriterId::from_u128(99)))?;
    let start = nanos(ClockId::ProcessCPUTime);
    let writer = append_all(root.path(), WriterId::from_u128(1))?;
    hub.status();
    let total = nanos(ClockId::ProcessCPUTime) - start;
    println!("no tail: writer {} ns, hub {} ns per line", writer / LINES, (total - writer) / LINES);

    let mut tail = hub.tail(APP, Filter::default(), Start::Last(0))?;
    let start = nanos(ClockId::ProcessCPUTime);
    let reader = std::thread::spawn(move || (0..LINES).filter(|_| tail.blocking_next().is_some()).count());
    let writer = append_all(root.path(), WriterId::from_u128(2))?;
    let read = reader.join().map_err(|_| "the reader panicked")?;
    let total = nanos(ClockId::ProcessCPUTime) - start;
    println!(
        "one tail: writer {} ns, hub and reader {} ns per line ({read} read)",
        writer / LINES,
        (total - writer) / LINES
    );
    println!("query of 100: {:.2} ms, again {:.2} ms", query_millis(&hub), query_millis(&hub));
    drop(hub);
    let start = Instant::now();
    let hub = Hub::open(root.path(), HubSettings::new(WriterId::from_u128(99)))?;
    let opened = start.elapsed().as_secs_f64() * 1000.0;
    println!("after a restart: open {opened:.2} ms, query of 100: {:.2} ms", query_millis(&hub));
    println!("{:?}", hub.status());
    Ok(())
}
