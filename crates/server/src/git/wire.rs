//! What the hook and the server say to each other over `DATA/run/hook.sock`: one byte for the kind, four for the length of the
//! payload (big-endian), the payload. Both ends are of one version of one program; the greeting says `format: 1` all the same,
//! for a hook may outlive the server that it was started under.

use domain::names::CommitId;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use tokio::io::{AsyncRead, AsyncReadExt};

pub const FORMAT: u32 = 1;
/// Payload of one message at most.
pub const MAX_PAYLOAD: usize = 1024 * 1024;
/// Bytes of a tree in one message.
pub const TREE_PIECE: usize = 64 * 1024;
const HEADER: usize = 5;

/// Which hook git started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookKind {
    PreReceive,
    PostReceive,
}

impl HookKind {
    pub const ALL: [Self; 2] = [Self::PreReceive, Self::PostReceive];

    /// The file name under which git looks for it.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::PreReceive => "pre-receive",
            Self::PostReceive => "post-receive",
        }
    }
}

/// How a hook introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub format: u32,
    /// The secret that the server gave to the git child of this push.
    pub push: String,
    pub hook: HookKind,
    /// The lines of the hook's standard input.
    pub updates: Vec<String>,
}

/// How the sending of a tree ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEnd {
    /// Why it is not whole.
    pub error: Option<String>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Hook to server.
    Hello(Hello),
    /// Hook to server: a piece of the commit's tree as a tar.
    Tree(Vec<u8>),
    TreeEnd(TreeEnd),
    /// Server to hook: text for the person who pushes.
    Output(Vec<u8>),
    /// Server to hook: send this commit's tree.
    SendTree(CommitId),
    /// Server to hook: the end of the conversation.
    Verdict(Verdict),
}

/// Whether git goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Refuse,
}

/// Bytes that are no message.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("a message of kind {kind} with {length} bytes is not part of format {FORMAT}")]
    BadHeader { kind: u8, length: usize },
    #[error("the payload of a message of kind {kind} is not what it should be")]
    BadPayload { kind: u8 },
    #[error("the connection between git's hook and the server broke")]
    Broken(#[from] io::Error),
}

impl Message {
    const fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => 1,
            Self::Tree(_) => 2,
            Self::TreeEnd(_) => 3,
            Self::Output(_) => 16,
            Self::SendTree(_) => 17,
            Self::Verdict(_) => 18,
        }
    }

    fn payload(self) -> Vec<u8> {
        match self {
            Self::Hello(hello) => serde_json::to_vec(&hello).expect("text and numbers serialise"),
            Self::TreeEnd(end) => serde_json::to_vec(&end).expect("text serialises"),
            Self::Tree(bytes) | Self::Output(bytes) => bytes,
            Self::SendTree(commit) => commit.as_str().as_bytes().to_vec(),
            Self::Verdict(Verdict::Accept) => vec![0],
            Self::Verdict(Verdict::Refuse) => vec![1],
        }
    }

    pub fn encode(self) -> Vec<u8> {
        let kind = self.kind();
        let payload = self.payload();
        let length = u32::try_from(payload.len()).expect("senders keep payloads within MAX_PAYLOAD");
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.push(kind);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&payload);
        bytes
    }

    /// A message out of kind and payload.
    fn decode(kind: u8, payload: Vec<u8>) -> Result<Self, WireError> {
        let bad = || WireError::BadPayload { kind };
        match (kind, payload.as_slice()) {
            (1, json) => serde_json::from_slice(json).map(Self::Hello).map_err(|_| bad()),
            (3, json) => serde_json::from_slice(json).map(Self::TreeEnd).map_err(|_| bad()),
            (17, text) => {
                let commit = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                commit.map(Self::SendTree).ok_or_else(bad)
            }
            (18, [0]) => Ok(Self::Verdict(Verdict::Accept)),
            (18, [1]) => Ok(Self::Verdict(Verdict::Refuse)),
            (2, _) => Ok(Self::Tree(payload)),
            (16, _) => Ok(Self::Output(payload)),
            _ => Err(bad()),
        }
    }
}

fn parse_header([kind, length @ ..]: [u8; HEADER]) -> Result<(u8, usize), WireError> {
    let length = u32::from_be_bytes(length) as usize;
    let known = matches!(kind, 1..=3 | 16..=18);
    if known && length <= MAX_PAYLOAD {
        Ok((kind, length))
    } else {
        Err(WireError::BadHeader { kind, length })
    }
}

/// Reads the next message; `None` at an orderly end between messages.
pub fn read(from: &mut impl Read) -> Result<Option<Message>, WireError> {
    let mut header = [0u8; HEADER];
    match from.read(&mut header[..1]) {
        Ok(0) => return Ok(None),
        Ok(_) => from.read_exact(&mut header[1..])?,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return read(from),
        Err(error) => return Err(error.into()),
    }
    let (kind, length) = parse_header(header)?;
    let mut payload = vec![0; length];
    from.read_exact(&mut payload)?;
    Message::decode(kind, payload).map(Some)
}

/// As [`read`], for the server.
pub async fn read_async(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<Message>, WireError> {
    let mut header = [0u8; HEADER];
    if from.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut header[1..]).await?;
    let (kind, length) = parse_header(header)?;
    let mut payload = vec![0; length];
    from.read_exact(&mut payload).await?;
    Message::decode(kind, payload).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages() -> Vec<Message> {
        let hello =
            Hello { format: 1, push: "s".into(), hook: HookKind::PreReceive, updates: vec!["a b c".into()] };
        vec![
            Message::Hello(hello),
            Message::Tree(vec![1, 2, 3]),
            Message::TreeEnd(TreeEnd { error: Some("no".into()) }),
            Message::Output(b"-----> x\n".to_vec()),
            Message::SendTree("a".repeat(40).parse().unwrap()),
            Message::Verdict(Verdict::Refuse),
            Message::Verdict(Verdict::Accept),
        ]
    }

    #[tokio::test]
    async fn what_is_written_is_read_back() {
        let bytes: Vec<u8> = messages().into_iter().flat_map(Message::encode).collect();
        let (mut sync, mut asynchronous) = (bytes.as_slice(), bytes.as_slice());
        for expected in messages() {
            assert_eq!(read(&mut sync).unwrap(), Some(expected.clone()));
            assert_eq!(read_async(&mut asynchronous).await.unwrap(), Some(expected));
        }
        assert_eq!(read(&mut sync).unwrap(), None);
        assert_eq!(read_async(&mut asynchronous).await.unwrap(), None);
    }

    #[test]
    fn the_greeting_is_pinned() {
        let bytes = messages().remove(0).encode();
        let json = r#"{"format":1,"push":"s","hook":"pre-receive","updates":["a b c"]}"#;
        assert_eq!(&bytes[5..], json.as_bytes());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut rest = bytes.as_slice();
            while let Ok(Some(_)) = read(&mut rest) {}
        }
    }
}
