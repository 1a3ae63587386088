//! A TLS connection whose two directions are held by two threads. They share the TLS state, which is locked only to encrypt or
//! decrypt, never during a read or write of the socket: a peer that does not read cannot keep us from reading what it writes.

use rustls::Connection;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard};

/// Bytes encrypted at a time: one TLS record.
const RECORD_BYTES: usize = 16 * 1024;
/// What precedes each record: its type, a version, its length.
const RECORD_HEADER: usize = 5;

/// A connection after its handshake.
pub(super) struct Link {
    tls: Mutex<Connection>,
    /// Held while encrypted bytes are made and written, so that records leave in the order in which they were made.
    writing: Mutex<()>,
    pub(super) socket: TcpStream,
}

/// Whether more may follow what was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    More,
    /// The peer has closed its side in good order.
    Last,
}

/// Finds where records end in bytes that come in any pieces. Pure.
#[derive(Debug, Default)]
pub(super) struct Records {
    header: [u8; RECORD_HEADER],
    have: usize,
    body_left: usize,
}

impl Records {
    /// How many of the bytes, of which there are some, belong to the record that is going on or begins with them.
    fn next(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while self.have < RECORD_HEADER {
            let Some(byte) = bytes.get(taken) else { return taken };
            self.header[self.have] = *byte;
            self.have += 1;
            taken += 1;
            if self.have == RECORD_HEADER {
                self.body_left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
            }
        }
        let body = self.body_left.min(bytes.len() - taken);
        self.body_left -= body;
        if self.body_left == 0 {
            self.have = 0;
        }
        taken + body
    }
}

impl Link {
    /// Shakes hands.
    pub(super) fn open(mut tls: Connection, socket: TcpStream) -> io::Result<Self> {
        let mut shared = &socket;
        while tls.is_handshaking() {
            tls.complete_io(&mut shared)?;
        }
        while tls.wants_write() {
            tls.write_tls(&mut shared)?;
        }
        Ok(Self { tls: Mutex::new(tls), writing: Mutex::new(()), socket })
    }

    fn tls(&self) -> MutexGuard<'_, Connection> {
        self.tls.lock().expect("no thread panics while it holds the TLS state")
    }

    /// Encrypts and writes, record by record.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let _in_order = self.writing.lock().expect("no thread panics while it writes");
        for chunk in bytes.chunks(RECORD_BYTES) {
            self.write(|tls| tls.writer().write_all(chunk))?;
        }
        Ok(())
    }

    /// Closes our side in good order.
    pub(super) fn close(&self) -> io::Result<()> {
        let _in_order = self.writing.lock().expect("no thread panics while it writes");
        self.write(|tls| {
            tls.send_close_notify();
            Ok(())
        })?;
        self.socket.shutdown(Shutdown::Write)
    }

    fn write(&self, say: impl FnOnce(&mut Connection) -> io::Result<()>) -> io::Result<()> {
        let mut encrypted = Vec::with_capacity(RECORD_BYTES + 64);
        {
            let mut tls = self.tls();
            say(&mut tls)?;
            while tls.wants_write() {
                tls.write_tls(&mut encrypted)?;
            }
        }
        (&self.socket).write_all(&encrypted)
    }

    /// Ends both directions at once.
    pub(super) fn cut(&self) {
        let _closed_already = self.socket.shutdown(Shutdown::Both);
    }

    /// Waits for bytes and appends what they hold. May append nothing.
    pub(super) fn receive(&self, into: &mut Vec<u8>) -> io::Result<Received> {
        let mut buffer = [0; RECORD_BYTES];
        let read = self.read(&mut buffer)?;
        self.decrypt(&buffer[..read], into)
    }

    /// The same, with what each record held by itself: some peers care where records end.
    pub(super) fn receive_records(
        &self,
        records: &mut Records,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Received> {
        let mut buffer = [0; RECORD_BYTES];
        let read = self.read(&mut buffer)?;
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let (record, after) = rest.split_at(records.next(rest));
            rest = after;
            let mut held = Vec::new();
            let received = self.decrypt(record, &mut held)?;
            if !held.is_empty() {
                each(&held)?;
            }
            if received == Received::Last {
                return Ok(Received::Last);
            }
        }
        Ok(Received::More)
    }

    /// What came together with the end of the handshake.
    pub(super) fn received_early(&self) -> io::Result<Vec<u8>> {
        let mut tls = self.tls();
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let mut early = vec![0; state.plaintext_bytes_to_read()];
        tls.reader().read_exact(&mut early)?;
        Ok(early)
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.socket).read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was cut"));
                }
                done => return done,
            }
        }
    }

    fn decrypt(&self, mut encrypted: &[u8], into: &mut Vec<u8>) -> io::Result<Received> {
        let mut tls = self.tls();
        while !encrypted.is_empty() {
            tls.read_tls(&mut encrypted)?;
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            let start = into.len();
            into.resize(start + state.plaintext_bytes_to_read(), 0);
            tls.reader().read_exact(&mut into[start..])?;
            if state.peer_has_closed() {
                return Ok(Received::Last);
            }
        }
        Ok(Received::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_end_where_they_do_in_any_pieces(
            lengths in prop::collection::vec(0..600_usize, 1..20), piece in 1..700_usize,
        ) {
            let mut wire = Vec::new();
            for length in &lengths {
                wire.extend([23, 3, 3]);
                wire.extend(u16::try_from(*length).expect("small").to_be_bytes());
                wire.extend(vec![7; *length]);
            }
            let (mut records, mut ends, mut at) = (Records::default(), Vec::new(), 0);
            for mut chunk in wire.chunks(piece) {
                while !chunk.is_empty() {
                    let taken = records.next(chunk);
                    prop_assert!(taken > 0);
                    at += taken;
                    chunk = &chunk[taken..];
                    if records.have == 0 {
                        ends.push(at);
                    }
                }
            }
            let expected: Vec<usize> =
                lengths.iter().scan(0, |end, length| { *end += RECORD_HEADER + length; Some(*end) }).collect();
            prop_assert_eq!(ends, expected);
        }
    }
}
