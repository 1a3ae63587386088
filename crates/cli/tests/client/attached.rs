//! `run`: bytes, channels, exit codes, over TLS.

use crate::dozen::{Dozen, Ended};
use crate::stub::{Reply, Stub};
use crate::tls::{self, Tls, TlsServer, close, read_line};
use crate::{json, refusal, samples};
use api::dozen::process::{End, Process};
use api::dyno::DynoState;
use api::frame::{self, Channel, Decoder, Frame, GREETING};
use std::io::{Read, Write};

/// An API server whose processes are attached to at a TLS server; `end` is what it knows of the process's end.
fn api_server(port: u16, end: Option<End>) -> Stub {
    let mut dyno = samples::dyno("run.4821", DynoState::Starting);
    dyno.attach_url = Some(format!("rendezvous://localhost:{port}/0123456789abcdef"));
    let process = Process {
        id: dyno.id,
        name: dyno.name.clone(),
        app: dyno.app.clone(),
        release: dyno.release.clone(),
        process_type: dyno.process_type.clone(),
        command: dyno.command.clone(),
        state: DynoState::Down,
        created_at: samples::at(),
        started_at: Some(samples::at()),
        ended_at: Some(samples::now()),
        end,
        waits: None,
        usage: None,
    };
    let path = format!("GET /dozen/apps/hello/processes/{}", dyno.id);
    Stub::start(move |request| match request.line() {
        line if line == "POST /apps/hello/dynos" => {
            Reply::Json(201, serde_json::to_string(&dyno).expect("json"))
        }
        line if line == path => json(&process),
        _ => refusal(request),
    })
}

fn greet(tls: &mut Tls) {
    assert_eq!(read_line(tls), "0123456789abcdef?dozen=1\r\n");
    tls.write_all(GREETING).and_then(|()| tls.flush()).expect("greeted");
}

/// All input up to its end.
fn read_input(tls: &mut Tls) -> Vec<u8> {
    let (mut decoder, mut input) = (Decoder::default(), Vec::new());
    loop {
        let mut buffer = [0; 4096];
        let read = tls.read(&mut buffer).expect("bytes");
        assert_ne!(read, 0, "the input ends by a frame");
        decoder.push(&buffer[..read]);
        while let Some(frame) = decoder.next_frame().expect("frames") {
            match frame {
                Frame::Input(bytes) => input.extend(bytes),
                Frame::InputEnd => return input,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn run<T>(server: &TlsServer<T>, api: &Stub, arguments: &[&str], input: &[u8]) -> Ended {
    let dozen = Dozen::at(&api.url());
    let ca = dozen.path("ca.pem");
    std::fs::write(&ca, &server.certificate).expect("written");
    dozen.with("DOZEN_CA_FILE", ca).run_with_input(arguments, input)
}

#[test]
fn every_byte_passes_channels_stay_apart_and_the_code_comes_back() {
    let server = tls::start(|mut tls| {
        greet(&mut tls);
        let input = read_input(&mut tls);
        let mut answer = Vec::new();
        frame::encode_notice("waiting for a place", &mut answer);
        frame::encode_bytes(Channel::Output, &input, &mut answer);
        frame::encode_bytes(Channel::ErrorOutput, b"to stderr\n", &mut answer);
        frame::encode_exit_code(42, &mut answer);
        tls.write_all(&answer).expect("written");
        close(tls);
    });
    let api = api_server(server.port, None);
    // Among these bytes is 0x04, which ends the input in Heroku's form.
    let input: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let ended = run(&server, &api, &["run", "-a", "hello", "-e", "K=v", "--", "cat", "a b"], &input);
    server.thread.join().expect("the server is content");
    assert_eq!(ended.code, Some(42), "{}", ended.stderr);
    assert!(ended.stdout == input);
    let told = "Running cat 'a b' on hello... done, run.4821 on v3\nwaiting for a place\nto stderr\n";
    assert_eq!(ended.stderr, told);
    assert_eq!(
        api.requests()[0].body,
        r#"{"attach":true,"command":"cat 'a b'","env":{"K":"v"},"force_no_tty":true}"#
    );
}

#[test]
fn a_connection_without_a_code_is_followed_by_a_question() {
    let exited = End::Exited { code: 3, signal: None, out_of_memory: false, stop_requested: false };
    for (end, code) in
        [(exited, 3), (End::Lost, 125), (End::NotStarted { reason: "no place".to_owned() }, 127)]
    {
        let server = tls::start(|mut tls| {
            greet(&mut tls);
            close(tls);
        });
        let api = api_server(server.port, Some(end));
        let ended = run(&server, &api, &["run", "-a", "hello", "true"], b"");
        server.thread.join().expect("the server is content");
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    }
}

#[test]
fn a_process_that_cannot_be_reached_is_our_failure_and_not_the_commands() {
    let server = tls::start(|mut tls| {
        read_line(&mut tls);
        close(tls);
    });
    let api = api_server(server.port, None);
    let ended = run(&server, &api, &["run", "-a", "hello", "true"], b"");
    server.thread.join().expect("the server is content");
    assert_eq!(ended.code, Some(125));
    assert!(ended.stderr.contains("did not greet"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("0123456789abcdef"), "the secret is never shown: {}", ended.stderr);
}

#[test]
fn a_detached_process_is_named() {
    let api = api_server(1, None);
    let ended = Dozen::at(&api.url()).run(&["run:detached", "-a", "hello", "--time-to-live", "60", "worker"]);
    assert_eq!((ended.code, ended.stdout()), (Some(0), "run.4821\n"));
    assert_eq!(api.requests()[0].body, r#"{"attach":false,"command":"worker","time_to_live":60}"#);
}
