//! The frames of an attached process in Dozen's own mode: what goes both ways after a client has sent `SECRET?dozen=1` and
//! the server has answered with its greeting.
//!
//! Heroku's form is a raw stream: output channels are merged, the byte 0x04 ends the input, and there is no exit code. Ours keeps
//! every byte, keeps stdout and stderr apart, says when the input ends and how the process ended. A frame is one byte for the
//! channel, four for the length of the payload (big-endian), then the payload.
//!
//! | channel | direction | payload |
//! |---|---|---|
//! | 0 end of input | to the server | empty; nothing but the end of the connection follows |
//! | 1 input | to the server | 1 to 65536 bytes |
//! | 2 standard output | to the client | 1 to 65536 bytes |
//! | 3 standard error | to the client | 1 to 65536 bytes |
//! | 4 exit code | to the client | one byte, as a shell reports it; the last frame |
//! | 5 notice | to the client | UTF-8, one sentence of the platform, such as why it waits |
//! | 6 window size | to the server | columns and lines, two bytes each (big-endian), neither of them 0 |
//!
//! A connection that ends without frame 4 tells nothing about the process: its end is then to be asked for by
//! [`crate::dozen::process`].

/// The query that chooses this mode, and with it this revision of the frames.
pub const MODE_QUERY: &str = "dozen=1";

/// The first bytes of the server in either mode, sent as a TLS record of their own.
pub const GREETING: &[u8] = b"rendezvous\r\n";

/// Most bytes in one frame.
pub const MAX_PAYLOAD: usize = 64 * 1024;

const HEADER: usize = 5;

/// A message on an attached connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    InputEnd,
    Input(Vec<u8>),
    Output(Vec<u8>),
    ErrorOutput(Vec<u8>),
    ExitCode(u8),
    Notice(String),
    Resize(WindowSize),
}

/// How much a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    pub columns: u16,
    pub lines: u16,
}

/// A channel that carries bytes of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    Input,
    Output,
    ErrorOutput,
}

/// Bytes that are no frames. The connection is of no use after any of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame names channel {channel}, which does not exist")]
    UnknownChannel { channel: u8 },
    #[error("a frame of channel {channel} has {length} bytes, which that channel does not allow")]
    BadLength { channel: u8, length: u32 },
    #[error("a notice is not UTF-8")]
    NoticeNotText,
    #[error("a window of no columns or no lines")]
    EmptyWindow,
}

impl Channel {
    const fn number(self) -> u8 {
        match self {
            Self::Input => 1,
            Self::Output => 2,
            Self::ErrorOutput => 3,
        }
    }
}

/// Appends bytes of a channel, in as many frames as they need; none for no bytes.
pub fn encode_bytes(channel: Channel, bytes: &[u8], into: &mut Vec<u8>) {
    for chunk in bytes.chunks(MAX_PAYLOAD) {
        encode_raw(channel.number(), chunk, into);
    }
}

/// Appends the end of the input.
pub fn encode_input_end(into: &mut Vec<u8>) {
    encode_raw(0, &[], into);
}

/// Appends the exit code.
pub fn encode_exit_code(code: u8, into: &mut Vec<u8>) {
    encode_raw(4, &[code], into);
}

/// Appends a notice, cut at the frame's limit.
pub fn encode_notice(text: &str, into: &mut Vec<u8>) {
    let end = text.floor_char_boundary(MAX_PAYLOAD);
    if end > 0 {
        encode_raw(5, &text.as_bytes()[..end], into);
    }
}

/// Appends the size of the client's terminal, which has changed.
pub fn encode_resize(size: WindowSize, into: &mut Vec<u8>) {
    let [[a, b], [c, d]] = [size.columns.to_be_bytes(), size.lines.to_be_bytes()];
    encode_raw(6, &[a, b, c, d], into);
}

fn encode_raw(channel: u8, payload: &[u8], into: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).expect("callers keep payloads within MAX_PAYLOAD");
    into.push(channel);
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(payload);
}

/// Takes bytes as they come and gives frames. Holds at most one frame and what was pushed last.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out already.
    taken: usize,
}

impl Decoder {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` until more bytes are pushed.
    ///
    /// # Errors
    /// Bytes that are no frame. A wrong header is told before its payload has come.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = &self.buffer[self.taken..];
        let Some((header, body)) = rest.split_first_chunk::<HEADER>() else { return Ok(None) };
        let (channel, length) = parse_header(*header)?;
        let Some(payload) = body.get(..length) else { return Ok(None) };
        let frame = parse_frame(channel, payload)?;
        self.taken += HEADER + length;
        Ok(Some(frame))
    }

    /// Whether the bytes so far end with a whole frame.
    pub fn is_at_boundary(&self) -> bool {
        self.taken == self.buffer.len()
    }
}

fn parse_header([channel, length @ ..]: [u8; HEADER]) -> Result<(u8, usize), FrameError> {
    let length = u32::from_be_bytes(length);
    let size = length as usize;
    let allowed = match channel {
        0 => size == 0,
        4 => size == 1,
        6 => size == 4,
        1 | 2 | 3 | 5 => (1..=MAX_PAYLOAD).contains(&size),
        _ => return Err(FrameError::UnknownChannel { channel }),
    };
    if allowed { Ok((channel, size)) } else { Err(FrameError::BadLength { channel, length }) }
}

fn parse_frame(channel: u8, payload: &[u8]) -> Result<Frame, FrameError> {
    match (channel, payload) {
        (0, _) => Ok(Frame::InputEnd),
        (1, bytes) => Ok(Frame::Input(bytes.to_vec())),
        (2, bytes) => Ok(Frame::Output(bytes.to_vec())),
        (3, bytes) => Ok(Frame::ErrorOutput(bytes.to_vec())),
        (4, [code]) => Ok(Frame::ExitCode(*code)),
        (5, bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| FrameError::NoticeNotText)?;
            Ok(Frame::Notice(text.to_owned()))
        }
        (6, [a, b, c, d]) => {
            let [columns, lines] = [[*a, *b], [*c, *d]].map(u16::from_be_bytes);
            let seen = columns > 0 && lines > 0;
            seen.then_some(Frame::Resize(WindowSize { columns, lines })).ok_or(FrameError::EmptyWindow)
        }
        _ => Err(FrameError::UnknownChannel { channel }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(frame: &Frame, into: &mut Vec<u8>) {
        match frame {
            Frame::InputEnd => encode_input_end(into),
            Frame::Input(bytes) => encode_bytes(Channel::Input, bytes, into),
            Frame::Output(bytes) => encode_bytes(Channel::Output, bytes, into),
            Frame::ErrorOutput(bytes) => encode_bytes(Channel::ErrorOutput, bytes, into),
            Frame::ExitCode(code) => encode_exit_code(*code, into),
            Frame::Notice(text) => encode_notice(text, into),
            Frame::Resize(size) => encode_resize(*size, into),
        }
    }

    fn decode_in_pieces(bytes: &[u8], piece: usize) -> Result<Vec<Frame>, FrameError> {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        for chunk in bytes.chunks(piece) {
            decoder.push(chunk);
            while let Some(frame) = decoder.next_frame()? {
                frames.push(frame);
            }
        }
        if decoder.is_at_boundary() { Ok(frames) } else { Err(FrameError::NoticeNotText) }
    }

    /// The layout is a contract with every client: these bytes never change.
    #[test]
    fn golden_bytes() {
        for (frame, expected) in [
            (Frame::InputEnd, &b"\0\0\0\0\0"[..]),
            (Frame::Input(b"\x04".to_vec()), b"\x01\0\0\0\x01\x04"),
            (Frame::Output(b"hi".to_vec()), b"\x02\0\0\0\x02hi"),
            (Frame::ErrorOutput(b"oh".to_vec()), b"\x03\0\0\0\x02oh"),
            (Frame::ExitCode(3), b"\x04\0\0\0\x01\x03"),
            (Frame::Notice("so".to_owned()), b"\x05\0\0\0\x02so"),
            (Frame::Resize(WindowSize { columns: 300, lines: 24 }), b"\x06\0\0\0\x04\x01\x2c\0\x18"),
        ] {
            let mut bytes = Vec::new();
            encode(&frame, &mut bytes);
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn refuses_what_is_no_frame() {
        for (bytes, error) in [
            (&b"\x07\0\0\0\0"[..], FrameError::UnknownChannel { channel: 7 }),
            (b"\x06\0\0\0\x05", FrameError::BadLength { channel: 6, length: 5 }),
            (b"\x06\0\0\0\x04\0\x50\0\0", FrameError::EmptyWindow),
            (b"\x00\0\0\0\x01", FrameError::BadLength { channel: 0, length: 1 }),
            (b"\x01\0\0\0\0", FrameError::BadLength { channel: 1, length: 0 }),
            (b"\x02\0\x01\0\x01", FrameError::BadLength { channel: 2, length: 65537 }),
            (b"\x04\0\0\0\x02", FrameError::BadLength { channel: 4, length: 2 }),
            (b"\x05\0\0\0\x01\xff", FrameError::NoticeNotText),
        ] {
            let mut decoder = Decoder::default();
            decoder.push(bytes);
            assert_eq!(decoder.next_frame(), Err(error));
        }
    }

    #[test]
    fn long_bytes_are_split_and_long_notices_cut() {
        let long = vec![7; MAX_PAYLOAD * 2 + 1];
        let mut bytes = Vec::new();
        encode_bytes(Channel::Output, &long, &mut bytes);
        assert_eq!(decode_in_pieces(&bytes, bytes.len()).expect("frames").len(), 3);

        let mut bytes = Vec::new();
        encode_notice(&"ä".repeat(MAX_PAYLOAD), &mut bytes);
        assert_eq!(
            decode_in_pieces(&bytes, bytes.len()),
            Ok(vec![Frame::Notice("ä".repeat(MAX_PAYLOAD / 2))])
        );
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        let bytes = || prop::collection::vec(any::<u8>(), 1..300);
        prop_oneof![
            Just(Frame::InputEnd),
            bytes().prop_map(Frame::Input),
            bytes().prop_map(Frame::Output),
            bytes().prop_map(Frame::ErrorOutput),
            any::<u8>().prop_map(Frame::ExitCode),
            ".{1,40}".prop_map(Frame::Notice),
            (1..=u16::MAX, 1..=u16::MAX)
                .prop_map(|(columns, lines)| Frame::Resize(WindowSize { columns, lines })),
        ]
    }

    proptest! {
        #[test]
        fn round_trip_in_any_pieces(frames in prop::collection::vec(any_frame(), 0..20), piece in 1..700_usize) {
            let mut bytes = Vec::new();
            frames.iter().for_each(|frame| encode(frame, &mut bytes));
            prop_assert_eq!(decode_in_pieces(&bytes, piece), Ok(frames));
        }

        #[test]
        fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next_frame() {}
        }
    }
}
