//! What the front door takes, and how it refuses more.

use crate::Case;
use crate::client::{read_answer, read_head};
use crate::world::World;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

pub const CASES: &[Case] = &[
    ("limits::large_headers", large_headers),
    ("limits::large_bodies", large_bodies),
    ("limits::plain_http_is_told", plain_http_is_told),
    ("limits::garbage_is_dropped", garbage_is_dropped),
    ("limits::an_address_that_holds_connections_keeps_out_itself_alone", held_connections),
    ("limits::keep_alive", keep_alive),
    ("limits::http2", http2),
    ("limits::the_certificate_is_for_every_name", the_certificate_is_for_every_name),
];

fn large_headers() {
    let world = World::start();
    let client = world.client();
    let ids = "0123456789abcdef,".repeat(1000);
    assert_eq!(
        client.send("GET", "/account", &[("Request-Id", &ids)], b"").status,
        200,
        "clients send this much"
    );
    for kilobytes in [80, 160, 10 * 1024] {
        let huge = "x".repeat(kilobytes * 1024);
        let refused = client.send("GET", "/account", &[("X-Huge", &huge)], b"");
        assert_eq!(refused.status, 431, "{kilobytes} KB are refused, and the answer can be read");
    }
    let mut tls = client.connect();
    let many: String = (0..5000).map(|n| format!("X-{n}: y\r\n")).collect();
    tls.write_all(format!("GET /account HTTP/1.1\r\nHost: x\r\n{many}\r\n").as_bytes()).unwrap();
    assert_eq!(read_answer(&mut tls).status, 431);
}

fn large_bodies() {
    let world = World::start();
    let client = world.client();
    let refused = client.post("/apps", &format!("{{\"name\":\"{}\"}}", "x".repeat(3 * 1024 * 1024)));
    assert_eq!((refused.status, refused.json()["id"].as_str()), (413, Some("request_too_large")));
}

fn plain_http_is_told() {
    let world = World::start();
    let _ready = world.client();
    let mut plain = TcpStream::connect(world.address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
}

fn garbage_is_dropped() {
    let world = World::start();
    let client = world.client();
    for garbage in [b"\x16\x03\x01\x00\x01\x00".as_slice(), b"\x00\x00\x00", b"\xff".as_slice()] {
        let mut tcp = TcpStream::connect(world.address).unwrap();
        tcp.write_all(garbage).unwrap();
        tcp.shutdown(std::net::Shutdown::Write).unwrap();
        let _alert = tcp.read_to_end(&mut Vec::new());
    }
    for inside in [
        format!("rdv{}\r\n", "0".repeat(64)),
        "rdvnonsense and more of it than a secret has, to be sure of it, and yet more\r\n\r\n".into(),
    ] {
        let mut tls = client.connect();
        tls.write_all(inside.as_bytes()).unwrap();
        let mut said = Vec::new();
        let _closed = tls.read_to_end(&mut said);
        assert!(said.is_empty(), "an unknown secret learns nothing");
    }
    assert_eq!(client.get("/account").status, 200, "the server is well");
}

fn held_connections() {
    let world = World::start();
    let client = world.client();
    assert_eq!(client.get("/account").status, 200);
    let held: Vec<_> = (0..300).map(|_| TcpStream::connect(world.address).unwrap()).collect();
    let elsewhere = client.clone().with_address([127, 0, 0, 2].into());
    assert_eq!(elsewhere.get("/account").status, 200, "others come in");
    let closed = held.iter().filter(|connection| is_closed(connection)).count();
    assert!((1..100).contains(&closed), "{closed} of 300 were too many for one address");
    drop(held);
    let deadline = std::time::Instant::now() + crate::world::PATIENCE;
    while client.try_connect().is_err() {
        assert!(std::time::Instant::now() < deadline, "its places never came free");
    }
}

/// Whether the server has closed it. What it still waits for says nothing.
fn is_closed(connection: &TcpStream) -> bool {
    connection.set_read_timeout(Some(std::time::Duration::from_millis(1))).unwrap();
    match connection.peek(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn keep_alive() {
    let world = World::start();
    let client = world.client();
    let mut tls = client.connect();
    for _ in 0..3 {
        tls.write_all(b"GET /dozen/server HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut reader = BufReader::new(&mut tls);
        let (status, headers) = read_head(&mut reader);
        let length = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        assert_eq!(status, 200);
    }
}

/// With curl, where there is one.
fn http2() {
    let world = World::start();
    assert_eq!(world.client().get("/dozen/server").status, 200);
    let url = format!("https://localhost:{}/account", world.address.port());
    let ask = |headers: &[String]| {
        let mut curl = std::process::Command::new("curl");
        curl.args([
            "--silent",
            "--http2",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_version} %{http_code}",
            "--cacert",
        ]);
        curl.arg(world.ca());
        for header in headers {
            curl.args(["--header", header]);
        }
        curl.arg(&url).output().map(|done| String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let token = format!("Authorization: Bearer {}", world.token);
    let Ok(first) = ask(std::slice::from_ref(&token)) else {
        eprintln!("skipped: HTTP/2, there is no curl");
        return;
    };
    assert_eq!(first, "2 200");
    let ids = format!("Request-Id: {}", "0123456789abcdef,".repeat(900));
    assert_eq!(ask(&[token.clone(), ids]).unwrap(), "2 200", "clients send this much");
    let large = |kilobytes: usize| -> Vec<String> {
        let headers = (0..kilobytes / 10).map(|n| format!("X-Large-{n}: {}", "x".repeat(10_000)));
        std::iter::once(token.clone()).chain(headers).collect()
    };
    // Whether curl itself gives up or the server ends the connection over so many frames is its affair.
    assert_ne!(ask(&large(1000)).unwrap(), "2 200");
    assert_eq!(ask(&large(0)).unwrap(), "2 200", "the server is well");
}

fn the_certificate_is_for_every_name() {
    let world = World::start();
    let client = world.client();
    // The client's own connection checks `localhost`; curl, where there is one, checks the others.
    assert_eq!(client.get("/dozen/server").status, 200);
    let port = world.address.port();
    for name in ["localhost", "127.0.0.1", "paas.example"] {
        let curl = std::process::Command::new("curl")
            .args(["--silent", "--show-error", "--cacert"])
            .arg(world.ca())
            .args([
                "--resolve",
                &format!("{name}:{port}:127.0.0.1"),
                &format!("https://{name}:{port}/dozen/server"),
            ])
            .output();
        match curl {
            Ok(done) => assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr)),
            Err(_) => eprintln!("skipped: {name}, there is no curl"),
        }
    }
}
