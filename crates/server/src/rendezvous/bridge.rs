//! The two directions of a conversation between a client and a process, run side by side until one of them ends it.

use super::descriptor::{ReadEnd, WriteEnd};
use super::input::EndRule;
use super::{inward, outward};
use engine::ports::Attached;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// Pieces of input on their way to a process that does not read at the moment. While there is room, the client's leaving is
/// noticed; then the client has to wait.
const INPUT_PIECES: usize = 64;

/// How bytes go over the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Heroku's: no framing, both outputs merged.
    Raw(EndRule),
    /// Ours.
    Framed,
}

/// Who ended a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The process closed its output.
    Output,
    /// The client left.
    Client,
}

/// The outer ends of a process's streams, ready to be awaited.
pub struct Streams {
    sink: inward::Sink,
    lanes: outward::Lanes,
}

impl Streams {
    pub fn new(attached: Attached) -> io::Result<Self> {
        match attached {
            Attached::Pipes { input, output, error } => Ok(Self {
                sink: inward::Sink::Pipe(WriteEnd::new(input)?),
                lanes: outward::Lanes::new(ReadEnd::new(output)?, Some(ReadEnd::new(error)?)),
            }),
            Attached::Terminal(master) => Ok(Self {
                sink: inward::Sink::Terminal(WriteEnd::new(master.try_clone()?)?),
                lanes: outward::Lanes::new(ReadEnd::new(master)?, None),
            }),
        }
    }
}

/// Runs a conversation to its end. The connection stays open for last words.
pub async fn converse<S>(stream: &mut S, streams: Streams, form: Form) -> io::Result<Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (reader, writer) = tokio::io::split(stream);
    let (pieces, queue) = mpsc::channel(INPUT_PIECES);
    tokio::select! {
        ended = outward::copy(streams.lanes, writer, form) => ended.map(|()| Ended::Output),
        left = inward::receive(reader, pieces, form) => left.map(|()| Ended::Client),
        never = inward::deliver(queue, streams.sink) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::frame::{Channel, Decoder, Frame, encode_bytes, encode_input_end};
    use std::os::fd::OwnedFd;
    use std::process::{Command, Stdio};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    struct Run {
        client: DuplexStream,
        serving: tokio::task::JoinHandle<io::Result<Ended>>,
        child: std::process::Child,
    }

    fn run(script: &str, form: Form) -> Run {
        let mut command = Command::new("/bin/sh");
        let stdio = || Stdio::piped();
        let mut child =
            command.args(["-c", script]).stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        let input: OwnedFd = child.stdin.take().unwrap().into();
        let output: OwnedFd = child.stdout.take().unwrap().into();
        let error: OwnedFd = child.stderr.take().unwrap().into();
        let streams = Streams::new(Attached::Pipes { input, output, error }).unwrap();
        let (client, mut server) = tokio::io::duplex(256 * 1024);
        let serving = tokio::spawn(async move { converse(&mut server, streams, form).await });
        Run { client, serving, child }
    }

    impl Run {
        async fn ended(mut self) -> (Ended, Vec<u8>) {
            let mut output = Vec::new();
            self.client.read_to_end(&mut output).await.unwrap();
            self.child.wait().unwrap();
            (self.serving.await.unwrap().unwrap(), output)
        }
    }

    const RAW: Form = Form::Raw(EndRule::Pipes);

    #[tokio::test]
    async fn raw_input_ends_with_its_last_byte() {
        let mut run = run("cat; echo done >&2", RAW);
        let binary: Vec<u8> = (0..=255u8).cycle().take(300_000).collect();
        run.client.write_all(&binary[..1000]).await.unwrap();
        run.client.write_all(b"\x04").await.unwrap();
        let (ended, output) = run.ended().await;
        assert_eq!(ended, Ended::Output);
        assert_eq!(output, [&binary[..1000], b"done\n"].concat());
    }

    #[tokio::test]
    async fn frames_keep_every_byte_and_both_outputs_apart() {
        let mut run = run("cat; echo done >&2", Form::Framed);
        let binary: Vec<u8> = (0..=255u8).cycle().take(1_000_000).collect();
        let mut sent = Vec::new();
        encode_bytes(Channel::Input, &binary, &mut sent);
        encode_input_end(&mut sent);
        let (mut reader, mut writer) = tokio::io::split(run.client);
        let sending = tokio::spawn(async move {
            writer.write_all(&sent).await.unwrap();
            writer
        });
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).await.unwrap();
        run.child.wait().unwrap();
        drop(sending.await.unwrap());
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        let (mut output, mut error) = (Vec::new(), Vec::new());
        while let Some(frame) = decoder.next_frame().unwrap() {
            match frame {
                Frame::Output(bytes) => output.extend(bytes),
                Frame::ErrorOutput(bytes) => error.extend(bytes),
                other => panic!("{other:?}"),
            }
        }
        assert!(output == binary, "{} bytes", output.len());
        assert_eq!(error, b"done\n");
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_noticed_though_the_process_does_not_read() {
        for form in [RAW, Form::Framed] {
            let mut run = run("sleep 600", form);
            let mut sent = Vec::new();
            encode_bytes(Channel::Input, &[b'x'; 200_000], &mut sent);
            run.client.write_all(&sent).await.unwrap();
            drop(run.client);
            assert_eq!(run.serving.await.unwrap().unwrap(), Ended::Client);
            run.child.kill().unwrap();
            run.child.wait().unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_no_frame_ends_the_conversation() {
        let mut run = run("sleep 600", Form::Framed);
        run.client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(run.serving.await.unwrap().is_err());
        run.child.kill().unwrap();
        run.child.wait().unwrap();
    }
}
