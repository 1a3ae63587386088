//! The client of attached processes against a TLS server made here.

#[path = "stub/tls.rs"]
mod tls;

use api::client::rendezvous::{self, AttachUrl, Input, Mode, Output, RendezvousError};
use api::client::{Client, Target, Trust};
use api::frame::{self, Channel, Decoder, Frame, GREETING};
use std::io::{Read, Write};
use std::thread::JoinHandle;
use tls::{Tls, close, read_line};

const SECRET: &str = "0123456789abcdef";

/// Runs `serve` for one connection; gives the port and the roots that trust it.
fn server<T: Send + 'static>(serve: impl FnOnce(Tls) -> T + Send + 'static) -> (u16, Trust, JoinHandle<T>) {
    let server = tls::start(serve);
    let trust = Trust::from_pem("test", server.certificate.as_bytes()).expect("a certificate");
    (server.port, trust, server.thread)
}

fn attach(port: u16, trust: &Trust, mode: Mode) -> Result<(Input, Output), RendezvousError> {
    let url: AttachUrl = format!("rendezvous://localhost:{port}/{SECRET}").parse()?;
    rendezvous::attach(&url, trust, mode)
}

fn all_frames(output: &mut Output) -> Result<Vec<Frame>, RendezvousError> {
    std::iter::from_fn(|| output.next_frame().transpose()).collect()
}

#[test]
fn frames_pass_both_ways_with_every_byte() {
    let every_byte: Vec<u8> = (0..=255).collect();
    let expected = every_byte.clone();
    let (port, trust, thread) = server(move |mut tls| {
        assert_eq!(read_line(&mut tls), format!("{SECRET}?dozen=1\r\n"));
        tls.write_all(GREETING).expect("greeted");
        tls.flush().expect("greeted");
        let mut decoder = Decoder::default();
        let mut received = Vec::new();
        'input: loop {
            let mut buffer = [0; 100];
            let read = tls.read(&mut buffer).expect("bytes");
            assert_ne!(read, 0, "the input ends by a frame");
            decoder.push(&buffer[..read]);
            while let Some(frame) = decoder.next_frame().expect("frames") {
                match frame {
                    Frame::Input(bytes) => received.extend(bytes),
                    Frame::InputEnd => break 'input,
                    other => panic!("{other:?}"),
                }
            }
        }
        let mut answer = Vec::new();
        frame::encode_notice("hello", &mut answer);
        frame::encode_bytes(Channel::Output, &received, &mut answer);
        frame::encode_bytes(Channel::ErrorOutput, b"oh", &mut answer);
        frame::encode_exit_code(3, &mut answer);
        tls.write_all(&answer).expect("answered");
        close(tls);
    });
    let (input, mut output) = attach(port, &trust, Mode::Dozen).expect("attached");
    input.send(&every_byte).expect("sent");
    input.end().expect("ended");
    let frames = all_frames(&mut output).expect("frames");
    let notice = Frame::Notice("hello".to_owned());
    assert_eq!(
        frames,
        [notice, Frame::Output(expected), Frame::ErrorOutput(b"oh".to_vec()), Frame::ExitCode(3)]
    );
    thread.join().expect("the server is content");
}

#[test]
fn herokus_form_is_raw_and_ends_with_0x04() {
    let (port, trust, thread) = server(|mut tls| {
        assert_eq!(read_line(&mut tls), format!("{SECRET}\r\n"));
        // Greeting and output in one record: nothing of the output may be lost.
        tls.write_all(b"rendezvous\r\nready\n").expect("greeted");
        tls.flush().expect("greeted");
        let mut received = [0; 4];
        tls.read_exact(&mut received).expect("input and its end");
        close(tls);
        received
    });
    let (input, mut output) = attach(port, &trust, Mode::Heroku).expect("attached");
    input.send(b"abc").expect("sent");
    input.end().expect("ended");
    assert_eq!(all_frames(&mut output).expect("output"), [Frame::Output(b"ready\n".to_vec())]);
    assert_eq!(thread.join().expect("content"), *b"abc\x04");
}

/// A process that writes much before it reads anything: both directions are full at once, and none may wait for the other.
#[test]
fn a_server_that_does_not_read_is_still_heard() {
    const SIZE: usize = 8 * 1024 * 1024;
    let (port, trust, thread) = server(|mut tls| {
        read_line(&mut tls);
        tls.write_all(GREETING).expect("greeted");
        let mut output = Vec::new();
        frame::encode_bytes(Channel::Output, &vec![1; SIZE], &mut output);
        tls.write_all(&output).expect("written while nobody has been read");
        let mut input = Vec::new();
        frame::encode_bytes(Channel::Input, &vec![2; SIZE], &mut input);
        frame::encode_input_end(&mut input);
        let mut received = vec![0; input.len()];
        tls.read_exact(&mut received).expect("all of the input");
        assert!(received == input);
        close(tls);
    });
    let (input, mut output) = attach(port, &trust, Mode::Dozen).expect("attached");
    let sender = std::thread::spawn(move || {
        for chunk in vec![2; SIZE].chunks(frame::MAX_PAYLOAD) {
            input.send(chunk).expect("sent");
        }
        input.end().expect("ended");
    });
    let mut size = 0;
    while let Some(frame) = output.next_frame().expect("unbroken") {
        match frame {
            Frame::Output(bytes) => size += bytes.len(),
            other => panic!("{other:?}"),
        }
    }
    sender.join().expect("sent");
    thread.join().expect("the server is content");
    assert_eq!(size, SIZE);
}

#[test]
fn a_cut_connection_is_not_an_end() {
    let (port, trust, thread) = server(|mut tls| {
        read_line(&mut tls);
        tls.write_all(GREETING).expect("greeted");
        tls.flush().expect("greeted");
    });
    let (_input, mut output) = attach(port, &trust, Mode::Dozen).expect("attached");
    thread.join().expect("cut");
    assert!(matches!(output.next_frame(), Err(RendezvousError::Broken(_))));
}

#[test]
fn a_wrong_secret_a_wrong_greeting_and_a_stranger_are_told_apart() {
    let (port, trust, thread) = server(|mut tls| {
        read_line(&mut tls);
        close(tls);
    });
    let refused = attach(port, &trust, Mode::Dozen).err().expect("refused");
    assert!(matches!(refused, RendezvousError::Greeting { .. }), "{refused:?}");
    thread.join().expect("content");

    let (port, trust, thread) = server(|mut tls| {
        read_line(&mut tls);
        tls.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("written");
        close(tls);
    });
    let refused = attach(port, &trust, Mode::Dozen).err().expect("refused");
    assert!(matches!(refused, RendezvousError::Greeting { .. }), "{refused:?}");
    thread.join().expect("content");

    let (port, _, thread) = server(|mut tls| tls.flush());
    let (_, other, unused) = server(drop);
    let refused = attach(port, &other, Mode::Dozen).err().expect("refused");
    assert!(matches!(refused, RendezvousError::Tls { .. }), "{refused:?}");
    assert!(thread.join().expect("ended").is_err());
    drop(unused);
}

#[test]
fn a_stranger_is_not_trusted_over_https_either() {
    let (port, _, thread) = server(|mut tls| tls.flush());
    let (_, other, unused) = server(drop);
    let url = format!("https://localhost:{port}").parse().expect("an address");
    let client = Client::new(Target { url, token: None, trust: other }, "dozen/test").expect("a client");
    let error = client.account().expect_err("not trusted");
    assert!(error.is_distrust() && !error.may_pass(), "{error:?}");
    assert!(thread.join().expect("ended").is_err());
    drop(unused);
}
