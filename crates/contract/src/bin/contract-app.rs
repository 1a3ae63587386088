//! The app that vectors deploy: a small web server on the standard library alone, which tells what it sees and obeys orders.
//!
//! `GET /` release, name and number of this process; `POST /sh` runs the body as a script of `/bin/sh`: code, output, errors;
//! `POST /say` and `/say-error` write the body to standard output and error as it is; `GET /input` how many bytes there are on standard
//! input; `/exit?code=N`; `/slow?ms=N` answers late; `/drip?ms=N` answers in two pieces; `/see?path=P` whether there is such a file, 200
//! or 503; `/alive` the same of `/tmp/alive`, and says in the log that it was asked; `/memory?mb=N` takes and keeps memory;
//! `/threads?most=N` and `/files?most=N` how many could be had and why no more; `/loopback` connects to itself; `/connect?to=ADDRESS`;
//! `/echo` an upgrade to a protocol that gives every byte back; anything else the request as it came.
//!
//! It listens at `$BIND` (0.0.0.0) and `$LISTEN_PORT` (`$PORT`) after `$BOOT_MS` milliseconds; nowhere if `$BIND` is `none`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const PIECE_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 4096;

/// What `/memory` has taken.
static TAKEN: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
/// Whether threads of `/threads` may end.
static OVER: AtomicBool = AtomicBool::new(false);

fn main() {
    if variable("BIND") == "none" {
        println!("listening nowhere");
        wait_for_ever();
    }
    thread::sleep(Duration::from_millis(variable("BOOT_MS").parse().unwrap_or(0)));
    let listener = TcpListener::bind(place()).expect("the place is free");
    println!("listening at {}", place());
    for stream in listener.incoming().flatten() {
        // While threads take all the room, visitors wait.
        while !serve_apart(&stream) {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn wait_for_ever() -> ! {
    loop {
        thread::park();
    }
}

fn place() -> SocketAddr {
    let bind = Some(variable("BIND")).filter(|bind| !bind.is_empty()).unwrap_or_else(|| "0.0.0.0".to_owned());
    let port =
        Some(variable("LISTEN_PORT")).filter(|port| !port.is_empty()).unwrap_or_else(|| variable("PORT"));
    let address: IpAddr = bind.parse().expect("BIND is an address");
    SocketAddr::new(address, port.parse().expect("PORT is a number"))
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn serve_apart(stream: &TcpStream) -> bool {
    let Ok(own) = stream.try_clone() else { return true };
    thread::Builder::new().spawn(move || serve(own)).is_ok()
}

/// A request as it came.
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn serve(stream: TcpStream) {
    let Ok(mut out) = stream.try_clone() else { return };
    let mut input = BufReader::new(stream);
    while let Some(request) = read_request(&mut input) {
        let path = request.target.split('?').next().unwrap_or_default();
        let done = match path {
            "/drip" => drip(&request, &mut out),
            "/echo" => return echo(&mut input, &mut out),
            _ => {
                let (status, body) = answer(path, &request);
                write_answer(&mut out, status, &body)
            }
        };
        if done.is_err() {
            return;
        }
    }
}

fn answer(path: &str, request: &Request) -> (u16, String) {
    let number = || argument(request).parse::<usize>().unwrap_or(0);
    let fine = |body: String| (200, body);
    match path {
        "/" => fine(describe()),
        "/sh" => fine(run_script(&request.body)),
        "/say" => {
            fine(told(std::io::stdout().write_all(&request.body).and_then(|()| std::io::stdout().flush())))
        }
        "/say-error" => fine(told(std::io::stderr().write_all(&request.body))),
        "/input" => fine(told(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))),
        "/exit" => std::process::exit(argument(request).parse().unwrap_or(1)),
        "/slow" => {
            thread::sleep(Duration::from_millis(number() as u64));
            println!("the slow request is answered");
            fine(describe())
        }
        "/see" => see(argument(request)),
        "/alive" => {
            println!("asked whether it is alive");
            see("/tmp/alive")
        }
        "/memory" => fine(take_memory(number())),
        "/threads" => fine(start_threads(number())),
        "/files" => fine(open_files(number())),
        "/loopback" => fine(told(try_loopback())),
        "/connect" => fine(told(connect(argument(request)))),
        _ => fine(render_request(request)),
    }
}

/// The value of the one parameter.
fn argument(request: &Request) -> &str {
    request.target.split_once('=').map_or("", |(_, value)| value)
}

fn describe() -> String {
    let names = [("release", "HEROKU_RELEASE_VERSION"), ("dyno", "DYNO"), ("id", "HEROKU_DYNO_ID")];
    let fields: Vec<String> =
        names.iter().map(|(field, name)| format!("\"{field}\":{}", quote(&variable(name)))).collect();
    format!("{{{},\"pid\":{}}}", fields.join(","), std::process::id())
}

fn run_script(script: &[u8]) -> String {
    let script = String::from_utf8_lossy(script).into_owned();
    match Command::new("/bin/sh").arg("-c").arg(script).stdin(Stdio::null()).output() {
        Ok(output) => format!(
            "{{\"code\":{},\"out\":{},\"err\":{}}}",
            output.status.code().unwrap_or(-1),
            quote(&String::from_utf8_lossy(&output.stdout)),
            quote(&String::from_utf8_lossy(&output.stderr))
        ),
        Err(error) => format!("{{\"code\":-1,\"out\":\"\",\"err\":{}}}", quote(&error.to_string())),
    }
}

fn told<T: std::fmt::Debug>(tried: std::io::Result<T>) -> String {
    tried.map_or_else(|error| format!("refused: {error}"), |found| format!("{found:?}"))
}

fn see(path: &str) -> (u16, String) {
    if std::path::Path::new(path).exists() {
        (200, "seen".to_owned())
    } else {
        (503, format!("{path} is not there"))
    }
}

fn take_memory(megabytes: usize) -> String {
    for _ in 0..megabytes {
        let mut piece = vec![0; PIECE_BYTES];
        piece.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
        TAKEN.lock().expect("nobody panics with it").push(piece);
    }
    format!("{} taken", TAKEN.lock().expect("nobody panics with it").len())
}

/// Threads: the kernel counts them as it counts processes. All of them end before the answer.
fn start_threads(most: usize) -> String {
    let mut all = Vec::new();
    OVER.store(false, Ordering::Relaxed);
    let refusal = loop {
        if all.len() == most {
            break "none".to_owned();
        }
        let wait = || {
            while !OVER.load(Ordering::Relaxed) {
                thread::park_timeout(Duration::from_millis(200));
            }
        };
        match thread::Builder::new().stack_size(64 << 10).spawn(wait) {
            Ok(one) => all.push(one),
            Err(error) => break format!("{:?}", error.kind()),
        }
    };
    OVER.store(true, Ordering::Relaxed);
    let count = all.len();
    all.into_iter().for_each(|one| drop(one.join()));
    format!("{{\"count\":{count},\"refusal\":{}}}", quote(&refusal))
}

fn open_files(most: usize) -> String {
    let mut all = Vec::new();
    let refusal = loop {
        if all.len() == most {
            break "none".to_owned();
        }
        match File::open("/dev/null") {
            Ok(one) => all.push(one),
            Err(error) => break error.raw_os_error().unwrap_or(0).to_string(),
        }
    };
    format!("{{\"count\":{},\"refusal\":{}}}", all.len(), quote(&refusal))
}

/// Listens there and connects, for both families of addresses.
fn try_loopback() -> std::io::Result<usize> {
    let mut count = 0;
    for place in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(place)?;
        TcpStream::connect_timeout(&listener.local_addr()?, CONNECT_TIMEOUT)?;
        count += 1;
    }
    Ok(count)
}

fn connect(to: &str) -> std::io::Result<&'static str> {
    let address = to.parse().map_err(std::io::Error::other)?;
    TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).map(|_| "connected")
}

fn render_request(request: &Request) -> String {
    let headers: Vec<String> =
        request.headers.iter().map(|(name, value)| format!("[{},{}]", quote(name), quote(value))).collect();
    format!(
        "{{\"method\":{},\"target\":{},\"bytes\":{},\"headers\":[{}]}}",
        quote(&request.method),
        quote(&request.target),
        request.body.len(),
        headers.join(",")
    )
}

/// Two chunks with a pause between them.
fn drip(request: &Request, out: &mut TcpStream) -> std::io::Result<()> {
    out.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")?;
    thread::sleep(Duration::from_millis(argument(request).parse().unwrap_or(0)));
    out.write_all(b"6\r\nsecond\r\n0\r\n\r\n")
}

fn echo(input: &mut BufReader<TcpStream>, out: &mut TcpStream) {
    let head = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    if out.write_all(head).is_ok() {
        let _ = std::io::copy(input, out);
    }
}

fn write_answer(out: &mut TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    let reason = if status == 200 { "OK" } else { "Service Unavailable" };
    let head = format!("HTTP/1.1 {status} {reason}\r\ncontent-length: {}\r\n\r\n", body.len());
    // In one piece: a second one would wait for the first to be acknowledged.
    out.write_all(format!("{head}{body}").as_bytes())
}

fn read_request(input: &mut impl BufRead) -> Option<Request> {
    let first = read_line(input)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let line = read_line(input)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    input.read_exact(&mut body).ok()?;
    Some(Request { method, target, headers, body })
}

fn read_line(input: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    input.read_line(&mut line).ok().filter(|count| *count > 0)?;
    Some(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// As a string of JSON.
fn quote(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\u{0}'..='\u{1f}' => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
