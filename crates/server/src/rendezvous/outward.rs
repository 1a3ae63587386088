//! From the process to the client.

use super::bridge::Form;
use super::descriptor::ReadEnd;
use super::output::Records;
use api::frame::{Channel, encode_bytes};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// How long the beginning of what may be Heroku's exit-status marker waits for its rest.
const MARKER_WAIT: Duration = Duration::from_millis(50);
const PIECE: usize = 16 * 1024;

/// One output of a process.
struct Lane {
    from: ReadEnd,
    channel: Channel,
    records: Records,
    buffer: Vec<u8>,
}

/// Both outputs; an output that has ended is absent.
pub struct Lanes {
    output: Option<Lane>,
    error: Option<Lane>,
}

impl Lanes {
    /// A terminal has one output.
    pub fn new(output: ReadEnd, error: Option<ReadEnd>) -> Self {
        let lane =
            |from, channel| Lane { from, channel, records: Records::default(), buffer: vec![0; PIECE] };
        Self {
            output: Some(lane(output, Channel::Output)),
            error: error.map(|from| lane(from, Channel::ErrorOutput)),
        }
    }
}

/// Reads a lane once; an absent one never answers.
async fn read(lane: &mut Option<Lane>) -> io::Result<usize> {
    match lane {
        Some(lane) => lane.from.read(&mut lane.buffer).await,
        None => std::future::pending().await,
    }
}

fn is_waiting(lane: &Option<Lane>) -> bool {
    lane.as_ref().is_some_and(|lane| lane.records.is_waiting())
}

/// Copies until both outputs have ended.
pub async fn copy(mut lanes: Lanes, mut to: impl AsyncWrite + Unpin, form: Form) -> io::Result<()> {
    while lanes.output.is_some() || lanes.error.is_some() {
        let waiting = is_waiting(&lanes.output) || is_waiting(&lanes.error);
        tokio::select! {
            read = read(&mut lanes.output) => forward(&mut lanes.output, read?, &mut to, form).await?,
            read = read(&mut lanes.error) => forward(&mut lanes.error, read?, &mut to, form).await?,
            () = tokio::time::sleep(MARKER_WAIT), if waiting => {
                for lane in [&mut lanes.output, &mut lanes.error].into_iter().flatten() {
                    send_record(&lane.records.flush(), &mut to).await?;
                }
            }
        }
    }
    Ok(())
}

/// Sends what was read; 0 bytes are the lane's end.
async fn forward(
    slot: &mut Option<Lane>,
    count: usize,
    to: &mut (impl AsyncWrite + Unpin),
    form: Form,
) -> io::Result<()> {
    let Some(lane) = slot else { return Ok(()) };
    let bytes = lane.buffer.get(..count).unwrap_or_default();
    match form {
        Form::Framed => {
            let mut frames = Vec::with_capacity(bytes.len() + 16);
            encode_bytes(lane.channel, bytes, &mut frames);
            to.write_all(&frames).await?;
            to.flush().await?;
        }
        Form::Raw(_) => {
            for record in lane.records.push(bytes) {
                send_record(&record, to).await?;
            }
        }
    }
    if count == 0 {
        send_record(&lane.records.flush(), to).await?;
        *slot = None;
    }
    Ok(())
}

/// One write and one flush: one TLS record.
async fn send_record(record: &[u8], to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    if record.is_empty() {
        return Ok(());
    }
    to.write_all(record).await?;
    to.flush().await
}
