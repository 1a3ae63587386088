//! Downloads from real TLS servers on this machine, which an administrator would have to allow.

#![allow(clippy::unwrap_used, clippy::panic_in_result_fn, reason = "helpers of tests")]

use outbound::{Allowed, DownloadError, DownloadLimits, Outbound, Trust};
use rustls::pki_types::PrivateKeyDer;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that gives every request the same answer.
struct Server {
    address: SocketAddr,
    trust: Trust,
    connections: Arc<AtomicUsize>,
}

fn serve(answer: impl Fn(SocketAddr) -> String) -> Server {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (config, connections) = (Arc::new(config), Arc::new(AtomicUsize::new(0)));
    let (answer, counted) = (answer(address), Arc::clone(&connections));
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::StreamOwned::new(connection, tcp);
            let mut head = [0; 4096];
            if tls.read(&mut head).is_ok() && tls.write_all(answer.as_bytes()).is_ok() {
                tls.conn.send_close_notify();
                let _gone = tls.flush();
            }
        }
    });
    Server { address, trust: Trust::Only(vec![certificate]), connections }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn download(server: &Server, allowed: &[&str], bytes: u64) -> Result<String, DownloadError> {
    let allowed: Vec<Allowed> = allowed.iter().map(|text| text.parse().unwrap()).collect();
    let outbound = Outbound::new(allowed, server.trust.clone());
    let mut into = Vec::new();
    let url = format!("https://{}/file?token=s3cret", server.address);
    let limits = DownloadLimits { bytes, time: PATIENCE };
    let count = outbound.download(&url, &limits, &mut into)?;
    assert_eq!(count, into.len() as u64);
    Ok(String::from_utf8(into).unwrap())
}

#[test]
fn an_allowed_place_gives_its_file() {
    let server = serve(|_| ok("hello"));
    assert_eq!(download(&server, &["127.0.0.0/8"], 5).unwrap(), "hello");
    let error = download(&server, &["127.0.0.1"], 4).unwrap_err();
    assert!(matches!(error, DownloadError::TooLarge { limit: 4, .. }), "{error}");
}

#[test]
fn this_machine_is_not_asked_and_sees_no_connection() {
    let server = serve(|_| ok("hello"));
    for allowed in [&[][..], &["10.0.0.0/8", "localhost"]] {
        let error = download(&server, allowed, 5).unwrap_err();
        assert!(matches!(error, DownloadError::Forbidden(_)), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn a_redirect_is_checked_like_the_first_address() {
    let inner = serve(|_| ok("secret"));
    // The first hop is allowed by its address, the second leads to a name that is not.
    let port = inner.address.port();
    let outer = serve(|_| redirect(&format!("https://127.0.0.2:{port}/x")));
    let error = download(&outer, &["127.0.0.1"], 100).unwrap_err();
    assert!(matches!(error, DownloadError::Forbidden(_)), "{error}");
    assert_eq!(inner.connections.load(Ordering::SeqCst), 0);
    for to in ["http://127.0.0.1/x", "file:///etc/passwd"] {
        let error = download(&serve(|_| redirect(to)), &["127.0.0.1"], 100).unwrap_err();
        assert!(matches!(error, DownloadError::Redirect { .. }), "{error}");
    }
}

#[test]
fn a_loop_of_redirects_ends() {
    let server = serve(|address| redirect(&format!("https://{address}/again")));
    let error = download(&server, &["127.0.0.1"], 100).unwrap_err();
    assert!(matches!(error, DownloadError::TooManyRedirects { .. }), "{error}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 6, "each hop is a connection of its own");
}

#[test]
fn a_refusal_a_cut_body_and_an_unknown_certificate_are_errors() {
    let status =
        |text: &str| serve(|_| format!("HTTP/1.1 {text}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    let error = download(&status("404 Not Found"), &["127.0.0.1"], 100).unwrap_err();
    assert!(matches!(error, DownloadError::Status { status: 404, .. }), "{error}");
    let cut = serve(|_| "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf".to_owned());
    let error = download(&cut, &["127.0.0.1"], 100).unwrap_err();
    assert!(matches!(error, DownloadError::Broken { .. } | DownloadError::Transport { .. }), "{error}");
    let stranger = Server { trust: serve(|_| ok("x")).trust, ..serve(|_| ok("x")) };
    let error = download(&stranger, &["127.0.0.1"], 100).unwrap_err();
    assert!(matches!(error, DownloadError::Transport { .. }), "{error}");
}

#[test]
fn a_silent_server_does_not_hold_us() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let outbound = Outbound::new(vec!["127.0.0.1".parse().unwrap()], Trust::Only(Vec::new()));
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let limits = DownloadLimits { bytes: 1, time: Duration::from_millis(200) };
    let error = outbound.download(&url, &limits, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, DownloadError::TooSlow { .. } | DownloadError::Transport { .. }), "{error}");
}
