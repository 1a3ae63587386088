//! The server over real sockets.

use super::*;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream as Client};
use tokio::sync::oneshot;

struct Running {
    site: tempfile::TempDir,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Running {
    fn new(files: &[(&str, &[u8])], missing_path: MissingPath) -> Self {
        let site = tempfile::tempdir().expect("a folder");
        for (name, content) in files {
            let path = site.path().join(name);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, content).expect("written");
        }
        let root = Arc::new(Root::open(site.path()).expect("opens"));
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
                tell.send(listener.local_addr().expect("has one")).expect("is awaited");
                let stop = async { drop(stopped.await) };
                accept_until(stop, listener, Site { root, missing_path }).await;
            });
        });
        Self { site, address: told.recv().expect("told"), stop: Some(stop), thread: Some(thread) }
    }

    fn connect(&self) -> Client {
        let client = Client::connect(self.address).expect("connects");
        client.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        client
    }

    fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect();
        let request = request.replace('\n', "\r\n");
        write!(client, "{request}\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).expect("answered");
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Answer { status, head, body: bytes[end + 4..].to_vec() }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("ended well");
        }
    }
}

const SITE: [(&str, &[u8]); 6] = [
    ("index.html", b"<h1>top</h1>"),
    ("docs/index.html", b"docs"),
    ("a b.txt", b"0123456789"),
    ("style.css", b"body{}"),
    ("404.html", b"not here"),
    ("Procfile", b"web: x"),
];

#[test]
fn files_are_answered_with_their_type_and_tag() {
    let site = Running::new(&SITE, MissingPath::NotFound);
    let cases = [
        ("/", 200, "<h1>top</h1>", "text/html; charset=utf-8"),
        ("/index.html", 200, "<h1>top</h1>", "text/html; charset=utf-8"),
        ("/?x=1", 200, "<h1>top</h1>", "text/html; charset=utf-8"),
        ("/docs/", 200, "docs", "text/html; charset=utf-8"),
        ("/a%20b.txt", 200, "0123456789", "text/plain; charset=utf-8"),
        ("/style.css", 200, "body{}", "text/css; charset=utf-8"),
        ("/none", 404, "not here", "text/html; charset=utf-8"),
        ("/Procfile", 404, "not here", "text/html; charset=utf-8"),
        ("/../../etc/passwd", 404, "not here", "text/html; charset=utf-8"),
        ("/%2e%2e/%2e%2e/etc/passwd", 404, "not here", "text/html; charset=utf-8"),
    ];
    for (path, status, body, media) in cases {
        let answer = site.get(path);
        assert_eq!((answer.status, String::from_utf8_lossy(&answer.body).as_ref()), (status, body), "{path}");
        assert_eq!(answer.header("content-type"), Some(media), "{path}");
        assert_eq!(answer.header("content-length"), Some(body.len().to_string().as_str()), "{path}");
        assert_eq!(answer.header("etag").is_some(), status == 200, "{path}");
    }
}

#[test]
fn head_is_the_same_without_the_body() {
    let site = Running::new(&SITE, MissingPath::NotFound);
    for path in ["/", "/a%20b.txt", "/none", "/docs"] {
        let (get, head) = (site.get(path), site.ask(&format!("HEAD {path} HTTP/1.1")));
        assert!(head.body.is_empty(), "{path}");
        let without_date = |answer: &Answer| {
            let mut lines: Vec<_> =
                answer.head.lines().filter(|line| !line.starts_with("date")).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(without_date(&get), without_date(&head), "{path}");
    }
}

#[test]
fn folders_redirect_within_the_site() {
    let site = Running::new(&SITE, MissingPath::NotFound);
    assert_eq!(site.get("/docs").header("location"), Some("/docs/"));
    assert_eq!(site.get("//docs").header("location"), Some("/docs/"));
    fs::create_dir(site.site.path().join("evil.example")).expect("made");
    fs::write(site.site.path().join("evil.example/index.html"), "x").expect("written");
    assert_eq!(site.get("//evil.example").header("location"), Some("/evil.example/"));
}

#[test]
fn known_versions_are_not_sent_again() {
    let site = Running::new(&SITE, MissingPath::NotFound);
    let tag = site.get("/").header("etag").expect("a tag").to_owned();
    for list in [tag.clone(), format!("\"x\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
        let answer = site.ask(&format!("GET / HTTP/1.1\nif-none-match: {list}"));
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{list}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
    }
    assert_eq!(site.ask("GET / HTTP/1.1\nif-none-match: \"x\"").status, 200);
}

#[test]
fn parts_of_a_file() {
    let site = Running::new(&SITE, MissingPath::NotFound);
    let ask = |range: &str| site.ask(&format!("GET /a%20b.txt HTTP/1.1\nrange: {range}"));
    let answer = ask("bytes=2-4");
    assert_eq!((answer.status, answer.body.as_slice()), (206, &b"234"[..]));
    assert_eq!(answer.header("content-range"), Some("bytes 2-4/10"));
    let answer = ask("bytes=20-");
    assert_eq!((answer.status, answer.header("content-range")), (416, Some("bytes */10")));
    assert_eq!(ask("bytes=1-2,4-5").status, 200);
    let answer = site.ask("GET /a%20b.txt HTTP/1.1\nrange: bytes=2-4\nif-range: \"other\"");
    assert_eq!((answer.status, answer.body.len()), (200, 10));
}

#[test]
fn single_page_apps_answer_every_path_but_missing_files() {
    let site = Running::new(&SITE, MissingPath::Index);
    assert_eq!(site.get("/users/7").body, b"<h1>top</h1>");
    assert_eq!(site.get("/users/").body, b"<h1>top</h1>");
    assert_eq!(site.get("/missing.js").status, 404);
    assert_eq!(site.get("/.env").status, 404);
}

#[test]
fn other_methods_and_bad_requests_are_refused() {
    let site = Running::new(&SITE, MissingPath::NotFound);
    let answer = site.ask("POST / HTTP/1.1\ncontent-length: 0");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    let answer = site.ask("NONSENSE");
    assert_eq!(answer.status, 400);
    let long = format!("GET /{} HTTP/1.1", "x".repeat(5000));
    assert_eq!(site.ask(&long).status, 404);
}

#[test]
fn connections_are_kept_and_large_files_arrive_whole() {
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let site = Running::new(&[("large.bin", &large), ("small.txt", b"s")], MissingPath::NotFound);
    assert!(site.get("/large.bin").body == large);
    let mut client = site.connect();
    for _ in 0..3 {
        client.write_all(b"GET /small.txt HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
        let mut bytes = Vec::new();
        let mut piece = [0; 1024];
        while !bytes.ends_with(b"\r\n\r\ns") {
            let read = client.read(&mut piece).expect("answered");
            assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&piece[..read]);
        }
    }
}

#[test]
fn told_to_stop_it_ends_what_is_in_flight() {
    let large = vec![b'x'; 8_000_000];
    let mut site = Running::new(&[("large.bin", &large)], MissingPath::NotFound);
    let mut client = site.connect();
    client.write_all(b"GET /large.bin HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    let mut first = [0; 1000];
    client.read_exact(&mut first).expect("has begun");
    drop(site.stop.take());
    // Not accepted any more: the listener closes before what is in flight ends.
    while Client::connect(site.address).is_ok_and(|late| {
        let _ = late.shutdown(Shutdown::Both);
        true
    }) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).expect("ends, and the connection with it");
    let head = first.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head") + 4;
    assert_eq!(first.len() - head + rest.len(), large.len());
}
