//! Sends the archive and shows how far it is.

use crate::failure::Failure;
use crate::output::tell;
use crate::pack::Packed;
use crate::session::Session;
use api::client::Client;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};

/// How often an upload is sent in all: a second PUT of the same bytes is the same upload.
const ATTEMPTS: usize = 3;

pub fn send(session: &Session, client: &Client, address: &str, mut packed: Packed) -> Result<(), Failure> {
    let progress = session.output.begin("Uploading");
    let mut sent = Ok(());
    for _ in 0..ATTEMPTS {
        packed.file.rewind()?;
        let mut counted = Counted::new(&mut packed.file, packed.bytes);
        sent = client.upload(address, &mut counted, packed.bytes);
        match &sent {
            Err(error) if error.may_pass() => {}
            Ok(()) | Err(_) => break,
        }
    }
    sent?;
    progress.done("");
    Ok(())
}

/// A file that tells on a terminal how much of it was read.
struct Counted<'a> {
    file: &'a mut File,
    total: u64,
    read: u64,
    told: u64,
    visible: bool,
}

impl<'a> Counted<'a> {
    fn new(file: &'a mut File, total: u64) -> Self {
        Self { file, total, read: 0, told: 0, visible: io::stderr().is_terminal() }
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        let percent = percent(self.read, self.total);
        if self.visible && percent > self.told {
            self.told = percent;
            tell(&format!("\rUploading... {percent} % of {} ", render_bytes(self.total)));
        }
        Ok(count)
    }
}

fn percent(read: u64, total: u64) -> u64 {
    read.saturating_mul(100).checked_div(total).unwrap_or(100)
}

/// `512 B`, `1.5 kB`, `3.2 MB`.
pub fn render_bytes(bytes: u64) -> String {
    let in_tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", in_tenths(1_000)),
        _ => format!("{} MB", in_tenths(1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_shares() {
        for (bytes, text) in [(0, "0 B"), (999, "999 B"), (1_550, "1.5 kB"), (3_250_000, "3.2 MB")] {
            assert_eq!(render_bytes(bytes), text);
        }
        assert_eq!((percent(0, 0), percent(1, 3), percent(3, 3)), (100, 33, 100));
    }
}
