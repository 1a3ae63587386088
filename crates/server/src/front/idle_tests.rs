//! Connections on which nobody asks for anything, by a clock that runs when nothing else does.

use super::*;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

/// Far beyond what an idle connection is kept.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// A request that takes longer than an idle connection is kept.
const LONG: Duration = Duration::from_secs(10 * 75);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty frame of settings, and the acknowledgement of the other side's.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const SETTINGS_ACK: &[u8] = &[0, 0, 0, 4, 1, 0, 0, 0, 0];
const SETTINGS_FRAME: u8 = 4;
const PING_FRAME: u8 = 6;
const ACK: u8 = 1;

fn routes() -> axum::Router {
    let slow = || async {
        sleep(LONG).await;
        "late"
    };
    axum::Router::new().route("/", get(|| async { "here" })).route("/slow", get(slow))
}

/// A served connection: the client's end, and the end of serving.
fn served() -> (DuplexStream, tokio::task::JoinHandle<()>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let serving = async move { serve_http(server, routes(), &CancellationToken::new()).await };
    (client, tokio::spawn(serving))
}

async fn is_let_go(serving: tokio::task::JoinHandle<()>) -> bool {
    timeout(PATIENCE, serving).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn whoever_says_nothing_or_begins_and_never_ends_is_let_go() {
    for said in [b"".as_slice(), b"P", b"PRI * HTTP/2.0\r\n", b"GET / HT", PREFACE] {
        let (mut client, serving) = served();
        client.write_all(said).await.unwrap();
        assert!(is_let_go(serving).await, "{:?}", String::from_utf8_lossy(said));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_only_answers_pings_is_let_go() {
    let (client, serving) = served();
    let (mut from_server, mut to_server) = tokio::io::split(client);
    to_server.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    let pings = tokio::spawn(async move {
        let mut pings = 0;
        let mut head = [0; 9];
        while from_server.read_exact(&mut head).await.is_ok() {
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            from_server.read_exact(&mut payload).await.unwrap();
            let answer = match (head[3], head[4]) {
                (SETTINGS_FRAME, 0) => SETTINGS_ACK.to_vec(),
                (PING_FRAME, 0) => {
                    pings += 1;
                    [&[0, 0, 8, PING_FRAME, ACK, 0, 0, 0, 0], payload.as_slice()].concat()
                }
                _ => continue,
            };
            if to_server.write_all(&answer).await.is_err() {
                break;
            }
        }
        pings
    });
    assert!(is_let_go(serving).await);
    assert!(pings.await.unwrap() > 0, "it was asked whether it is there, and answered");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_an_answer_is_waited_for() {
    let (mut client, serving) = served();
    let begun = Instant::now();
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("late"), "{answer}");
    assert!(begun.elapsed() >= LONG);
    assert!(is_let_go(serving).await);
}
