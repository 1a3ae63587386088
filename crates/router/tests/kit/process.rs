//! A process of an app: a small HTTP server in threads, which does what the test tells it.

use super::{PATIENCE, Wire, routed};
use domain::endpoint::Endpoint;
use domain::ids::ProcessId;
use domain::route::RoutedProcess;
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

type Streams = Arc<Mutex<HashMap<usize, TcpStream>>>;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A running server.
pub struct Process {
    pub id: ProcessId,
    number: u128,
    pub address: SocketAddr,
    /// Connections accepted so far.
    pub connections: Arc<AtomicUsize>,
    /// Requests whose head was read.
    pub requests: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    /// Second handles of the open connections, by number: for [`Process::kill`].
    streams: Streams,
}

/// A request as the process saw it.
#[derive(Debug, Clone)]
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

impl Process {
    /// Each connection is given to `talk`.
    pub fn raw(talk: impl Fn(Wire) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        Self::on(listener, talk)
    }

    pub fn on(listener: TcpListener, talk: impl Fn(Wire) + Send + Sync + 'static) -> Self {
        let number = u128::from(NEXT.fetch_add(1, Ordering::SeqCst));
        let address = listener.local_addr().expect("bound");
        let (connections, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let streams = Streams::default();
        let process = Self {
            id: ProcessId::from_u128(number),
            number,
            address,
            connections: Arc::clone(&connections),
            requests: Arc::default(),
            stop: Arc::clone(&stop),
            streams: Arc::clone(&streams),
        };
        let talk = Arc::new(talk);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let (stream, talk, streams) =
                    (stream.expect("accepted"), Arc::clone(&talk), Arc::clone(&streams));
                streams.lock().expect("no panic").insert(number, stream.try_clone().expect("cloned"));
                std::thread::spawn(move || {
                    talk(wire(stream));
                    streams.lock().expect("no panic").remove(&number);
                });
            }
        });
        process
    }

    /// A server that keeps connections alive and answers each request, body read, with the bytes of `answer`. An answer with
    /// `Connection: close` in it closes.
    pub fn http(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let requests: Arc<AtomicUsize> = Arc::default();
        let counted = Arc::clone(&requests);
        let mut process = Self::raw(move |mut wire| {
            while let Some(request) = read_request(&mut wire, &counted) {
                let answer = answer(&request);
                let closes = answer.windows(17).any(|window| window == b"Connection: close");
                if std::io::Write::write_all(&mut wire.stream, &answer).is_err() || closes {
                    return;
                }
            }
        });
        process.requests = requests;
        process
    }

    /// Answers "hello from" and its number.
    pub fn hello() -> Self {
        let number = NEXT.load(Ordering::SeqCst);
        Self::http(move |_| respond(200, format!("hello from {number}").as_bytes()))
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint(self.address)
    }

    pub fn routed(&self) -> RoutedProcess {
        routed(self.number, self.address)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Accepts nothing any more: connections are refused.
    pub fn close(&self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread, which then drops the listener.
        drop(TcpStream::connect(self.address));
        super::until("the port is closed", || TcpStream::connect(self.address).is_err());
    }
}

impl Process {
    /// Ends at once, as by SIGKILL: nothing is accepted, every connection is cut.
    pub fn kill(&self) {
        self.close();
        for (_, stream) in self.streams.lock().expect("no panic").drain() {
            stream.shutdown(std::net::Shutdown::Both).ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn wire(stream: TcpStream) -> Wire {
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.set_nodelay(true).expect("set");
    Wire::of(stream)
}

fn read_request(wire: &mut Wire, counter: &AtomicUsize) -> Option<Request> {
    let head = wire.head();
    if head.is_empty() {
        return None;
    }
    counter.fetch_add(1, Ordering::SeqCst);
    let mut request = Request { head, body: Vec::new() };
    if request.header("expect").is_some() {
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    if request.header("transfer-encoding").is_some() {
        request.body = wire.chunked();
    } else if let Some(length) = request.header("content-length") {
        request.body = wire.exactly(length.parse().expect("a length"));
    }
    Some(request)
}

/// A response with a length.
pub fn respond(status: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status} Reason\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
