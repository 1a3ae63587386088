//! Cuts merged output into TLS records in Heroku's mode. `heroku run -x` looks for its exit-status marker in each record by
//! itself, so a marker must not be cut: a record ends before a marker that may not be whole yet. Pure; the clock is the caller's.

/// Plain bytes in one record; TLS allows 16384.
pub const RECORD: usize = 16 * 1024;
/// U+FFFF, with which the marker begins: `\u{ffff} heroku-command-exit-status: 0\n`.
const MARKER: [u8; 3] = [0xef, 0xbf, 0xbf];
/// The marker, its number and the line's end.
const MARKER_LENGTH: usize = MARKER.len() + " heroku-command-exit-status: 255\r\n".len();

/// Output on its way into records.
#[derive(Debug, Default)]
pub struct Records {
    pending: Vec<u8>,
}

impl Records {
    /// Takes bytes and gives the records that are ready.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.pending.extend_from_slice(bytes);
        let mut ready = Vec::new();
        loop {
            let end = cut(&self.pending);
            if end == 0 {
                return ready;
            }
            let rest = self.pending.split_off(end);
            ready.push(std::mem::replace(&mut self.pending, rest));
        }
    }

    /// Whether the beginning of what may be a marker waits for its rest.
    pub fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What waited: no more will come, or it took too long.
    pub fn flush(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }
}

/// How many of the bytes make the next record. The whole of them, unless that would cut a marker.
fn cut(bytes: &[u8]) -> usize {
    let end = bytes.len().min(RECORD);
    let search = end.saturating_sub(MARKER_LENGTH);
    (search..end).find(|start| is_unfinished(&bytes[*start..end])).unwrap_or(end)
}

/// Whether this may be a marker whose line has not ended.
fn is_unfinished(bytes: &[u8]) -> bool {
    let shared = bytes.len().min(MARKER.len());
    bytes[..shared] == MARKER[..shared] && !bytes.contains(&b'\n') && bytes.len() < MARKER_LENGTH
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHOLE: &str = "\u{ffff} heroku-command-exit-status: 7\n";

    fn records(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut records = Records::default();
        let mut all: Vec<Vec<u8>> = chunks.iter().flat_map(|chunk| records.push(chunk)).collect();
        all.push(records.flush());
        all.retain(|record| !record.is_empty());
        all
    }

    #[test]
    fn output_goes_out_at_once() {
        assert_eq!(records(&[b"a", b"b\n"]), [b"a".to_vec(), b"b\n".to_vec()]);
        assert_eq!(records(&[WHOLE.as_bytes()]), [WHOLE.as_bytes()]);
        let mut waiting = Records::default();
        assert!(waiting.push(b"\xef").is_empty() && waiting.is_waiting());
        assert_eq!(waiting.push(b"\xbb\xbf is not it"), [b"\xef\xbb\xbf is not it".to_vec()]);
    }

    #[test]
    fn a_marker_is_never_cut() {
        for position in RECORD - 60..RECORD + 10 {
            for cut in 0..WHOLE.len() {
                let (front, back) = WHOLE.as_bytes().split_at(cut);
                let first = [vec![b'x'; position], front.to_vec()].concat();
                let all = records(&[&first, back]);
                assert!(all.iter().all(|record| record.len() <= RECORD));
                let whole = all.iter().any(|record| record.ends_with(WHOLE.as_bytes()));
                assert!(whole, "position {position}, cut {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost(chunks in proptest::collection::vec(proptest::collection::vec(
            prop_oneof![Just(0xefu8), Just(0xbf), Just(b'\n'), any::<u8>()], 0..200), 0..20)) {
            let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let expected = chunks.concat();
            prop_assert_eq!(records(&slices).concat(), expected);
        }
    }
}
