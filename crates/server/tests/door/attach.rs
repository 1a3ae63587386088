//! Attached processes over TLS, in Heroku's form and in ours.

use crate::Case;
use crate::git::Repo;
use crate::world::{World, wait_until};
use api::frame::{Channel, Decoder, Frame, encode_bytes, encode_input_end};
use std::io::{Read, Write};

pub const CASES: &[Case] = &[
    ("attach::raw", raw),
    ("attach::the_exit_marker_is_whole", the_exit_marker_is_whole),
    ("attach::the_exit_code_is_the_servers_word", the_exit_code_is_the_servers_word),
    ("attach::framed", framed),
    ("attach::who_leaves_hangs_up", who_leaves_hangs_up),
    ("attach::a_secret_opens_once", a_secret_opens_once),
];

fn world() -> World {
    let world = World::start();
    world.app("hello");
    Repo::new(&world, "hello", &[("web", "serve")]).push(&["main"]).says(&["Released v1"]);
    world
}

/// The line to say, and the id of the process.
fn attached(world: &World, command: &str) -> (String, String) {
    let body = serde_json::json!({"command": command, "attach": true, "force_no_tty": true});
    let made = world.client().post("/apps/hello/dynos", &body.to_string());
    assert_eq!(made.status, 201, "{}", made.text());
    let url = made.json()["attach_url"].as_str().unwrap().to_owned();
    let prefix = format!("rendezvous://localhost:{}/", world.address.port());
    let secret = url.strip_prefix(&prefix).unwrap_or_else(|| panic!("{url}")).to_owned();
    assert_eq!(secret.len(), 67, "of a fixed length, for clients that end it with nothing");
    (secret, made.json()["id"].as_str().unwrap().to_owned())
}

fn raw() {
    let world = world();
    // One client ends the line, another does not.
    for end in ["\r\n", ""] {
        let (secret, _) = attached(&world, "cat; echo bye >&2");
        let mut tls = world.client().connect();
        tls.write_all(format!("{secret}{end}").as_bytes()).unwrap();
        let mut greeting = [0; 12];
        tls.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"rendezvous\r\n");
        tls.write_all(b"some input\n").unwrap();
        tls.write_all(b"\x04").unwrap();
        let mut output = String::new();
        tls.read_to_string(&mut output).expect("an orderly TLS end");
        assert_eq!(output, "some input\nbye\n");
    }
}

/// The lengths of the TLS records that carry data, as they were on the wire.
fn record_lengths(wire: &[u8]) -> Vec<usize> {
    let (mut rest, mut lengths) = (wire, Vec::new());
    while let [kind, _, _, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == 23 {
            lengths.push(length);
        }
        rest = &after[length.min(after.len())..];
    }
    lengths
}

/// TLS 1.3: a byte for the content type and 16 of the cipher.
const OVERHEAD: usize = 17;

fn the_exit_marker_is_whole() {
    let world = world();
    let command = "head -c 100000 /dev/zero | tr '\\0' x; echo \"\u{ffff} heroku-command-exit-status: 0\"";
    let (secret, _) = attached(&world, command);
    let (mut tls, wire) = world.client().connect_tapped();
    tls.write_all(format!("{secret}\r\n").as_bytes()).unwrap();
    let mut all = Vec::new();
    tls.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 12 + 100_000 + "\u{ffff} heroku-command-exit-status: 0\n".len());
    let lengths = record_lengths(&wire.lock().unwrap());
    let greeting = lengths
        .iter()
        .position(|length| *length == 12 + OVERHEAD)
        .expect("the greeting is a record of its own");
    let data: Vec<usize> = lengths[greeting + 1..].iter().map(|length| length - OVERHEAD).collect();
    let mut start = 12;
    let marker = all.windows(3).position(|window| window == "\u{ffff}".as_bytes()).unwrap();
    for length in data {
        let cut = start < all.len() && start > marker;
        assert!(!cut, "a record begins at {start}, within the marker at {marker}");
        start += length;
    }
}

/// As `heroku run -x` sends it: its own `echo` would never be reached here.
fn the_exit_code_is_the_servers_word() {
    let world = world();
    let command = "printf out; exit 7 ; echo \"\u{ffff} heroku-command-exit-status: $?\"";
    let (secret, id) = attached(&world, command);
    let (mut tls, wire) = world.client().connect_tapped();
    tls.write_all(format!("{secret}\r\n").as_bytes()).unwrap();
    let mut said = String::new();
    tls.read_to_string(&mut said).expect("an orderly TLS end");
    let marker = "\u{ffff} heroku-command-exit-status: 7\n";
    assert_eq!(said, format!("rendezvous\r\nout{marker}"));
    let lengths = record_lengths(&wire.lock().unwrap());
    assert!(lengths.contains(&(marker.len() + OVERHEAD)), "a record of its own: {lengths:?}");
    let told = world.client().get(&format!("/dozen/apps/hello/processes/{id}")).json();
    assert_eq!(told["command"], "printf out; exit 7", "the command is shown as it was typed");
}

fn framed() {
    let world = world();
    let (secret, id) = attached(&world, "cat; echo bye >&2; exit 7");
    let mut tls = world.client().connect();
    tls.write_all(format!("{secret}?dozen=1\r\n").as_bytes()).unwrap();
    let mut greeting = [0; 12];
    tls.read_exact(&mut greeting).unwrap();
    let mut sent = Vec::new();
    encode_bytes(Channel::Input, b"\x04 is data here\x04", &mut sent);
    encode_input_end(&mut sent);
    tls.write_all(&sent).unwrap();
    let mut bytes = Vec::new();
    tls.read_to_end(&mut bytes).expect("an orderly TLS end");
    let mut decoder = Decoder::default();
    decoder.push(&bytes);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        frames.push(frame);
    }
    assert!(frames.contains(&Frame::Output(b"\x04 is data here\x04".to_vec())), "{frames:?}");
    assert!(frames.contains(&Frame::ErrorOutput(b"bye\n".to_vec())), "{frames:?}");
    assert_eq!(frames.last(), Some(&Frame::ExitCode(7)));
    let told = world.client().get(&format!("/dozen/apps/hello/processes/{id}")).json();
    assert_eq!(told["end"]["code"], 7);
}

fn who_leaves_hangs_up() {
    let world = world();
    let (secret, id) = attached(&world, "sleep 600");
    let mut tls = world.client().connect();
    tls.write_all(format!("{secret}\r\n").as_bytes()).unwrap();
    let mut greeting = [0; 12];
    tls.read_exact(&mut greeting).unwrap();
    wait_until("it runs", || world.backend.living() == 1);
    drop(tls);
    wait_until("it has ended", || {
        !world.client().get(&format!("/dozen/apps/hello/processes/{id}")).json()["end"].is_null()
    });
}

fn a_secret_opens_once() {
    let world = world();
    let (secret, _) = attached(&world, "true");
    let said = || {
        let mut tls = world.client().connect();
        tls.write_all(format!("{secret}\r\n").as_bytes()).unwrap();
        let mut said = Vec::new();
        let _closed = tls.read_to_end(&mut said);
        said
    };
    assert_eq!(said(), b"rendezvous\r\n");
    assert_eq!(said(), b"");
}
