//! After "101 Switching Protocols": bytes both ways until both sides have ended, each side's end passed on by itself (half-close). The
//! process counts as busy until then.

use crate::access_log::record::Record;
use crate::client_io::ClientIo;
use crate::codes::Code;
use crate::drain::Permit;
use crate::metered::Metered;
use crate::proxy::Client;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

const BUFFER_BYTES: usize = 16 * 1024;

/// Both ends of a tunnel, and what it holds while it lasts.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub client: Rc<Client>,
    pub record: Record,
    pub permit: Rc<Permit>,
    pub to_client: OnUpgrade,
    pub to_process: OnUpgrade,
}

/// One end: its stream, and bytes that it sent before the tunnel was there.
struct End {
    stream: TcpStream,
    early: Vec<u8>,
}

impl Tunnel {
    /// Runs to the end of the tunnel.
    pub(crate) async fn run(self) {
        let Self { client, mut record, permit, to_client, to_process } = self;
        let ends = async { Some((client_end(to_client.await.ok()?)?, process_end(to_process.await.ok()?)?)) };
        let Some((client_side, process_side)) = ends.await else { return };
        let idle = client.worker.shared.timeouts.idle;
        let (bytes, outcome) = carry(client_side, process_side, idle).await;
        record.add_bytes(bytes);
        match outcome {
            Outcome::Ended => record.complete(),
            Outcome::Idle => record.break_off(Code::H15),
        }
        drop(permit);
    }
}

fn client_end(upgraded: Upgraded) -> Option<End> {
    let parts = upgraded.downcast::<ClientIo<TcpStream>>().ok()?;
    let mut remains = parts.io.into_remains();
    let mut early = parts.read_buf.to_vec();
    early.append(&mut remains.early);
    Some(End { stream: remains.stream, early })
}

fn process_end(upgraded: Upgraded) -> Option<End> {
    let parts = upgraded.downcast::<TokioIo<Metered>>().ok()?;
    Some(End { stream: parts.io.into_inner().into_stream(), early: parts.read_buf.to_vec() })
}

/// How a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Both sides ended, or one was cut.
    Ended,
    Idle,
}

/// Carries bytes until the end; returns how many went to the client.
async fn carry(client: End, process: End, idle: Duration) -> (usize, Outcome) {
    let (activity, down) = (Cell::new(Instant::now()), Cell::new(0));
    let (mut client_read, mut client_write) = client.stream.into_split();
    let (mut process_read, mut process_write) = process.stream.into_split();
    let upward = pump(&client.early, &mut client_read, &mut process_write, |_| activity.set(Instant::now()));
    let downward = pump(&process.early, &mut process_read, &mut client_write, |length| {
        activity.set(Instant::now());
        down.set(down.get() + length);
    });
    let both = async { tokio::try_join!(upward, downward) };
    let outcome = tokio::select! {
        // An error is a side that was cut: there is nobody to tell.
        _ = both => Outcome::Ended,
        () = wait_idle(&activity, idle) => Outcome::Idle,
    };
    (down.get(), outcome)
}

async fn wait_idle(activity: &Cell<Instant>, idle: Duration) {
    while activity.get() + idle > Instant::now() {
        sleep_until(activity.get() + idle).await;
    }
}

/// Copies until the end of `from`, then ends `to`.
async fn pump(
    early: &[u8],
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    moved: impl Fn(usize),
) -> io::Result<()> {
    to.write_all(early).await?;
    moved(early.len());
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
        moved(length);
    }
}
