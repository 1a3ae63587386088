//! The door as an HTTP proxy: `CONNECT` to the server or to the door itself. Every other host is refused, so that a client that was
//! told to use this proxy sends its token nowhere else.

use super::Door;
use crate::client::rendezvous;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

/// Longest request head.
const MAX_HEAD: usize = 8 * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const CONNECTED: &[u8] = b"HTTP/1.1 200 Connected\r\n\r\n";
const REFUSED: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

pub fn serve(door: &Door, mut stream: TcpStream) -> io::Result<()> {
    let head = read_head(&mut stream)?;
    let Some(wanted) = parse_target(&head) else { return refuse(door, stream, "something") };
    let is_server = wanted.host.eq_ignore_ascii_case(&door.host) && wanted.port == door.port;
    let is_self = ["127.0.0.1", "localhost"].contains(&wanted.host) && wanted.port == door.own.port();
    let far = match (is_self, is_server) {
        (true, _) => TcpStream::connect(door.own)?,
        (false, true) => rendezvous::connect(&door.host, door.port)?,
        (false, false) => return refuse(door, stream, &format!("{}:{}", wanted.host, wanted.port)),
    };
    stream.write_all(CONNECTED)?;
    stream.set_read_timeout(None)?;
    join(stream, far)
}

fn refuse(door: &Door, mut stream: TcpStream, wanted: &str) -> io::Result<()> {
    (door.refused)(wanted);
    stream.write_all(REFUSED)
}

/// Byte by byte at the end, so that nothing behind the head is taken.
fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while head.len() < MAX_HEAD && !head.ends_with(END_OF_HEAD) {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// Where a client wants to be connected to.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    host: &'a str,
    port: u16,
}

/// `CONNECT HOST:PORT HTTP/1.1`; plain requests through the proxy name no target that may be reached.
fn parse_target(head: &str) -> Option<Target<'_>> {
    let (host, port) = head.strip_prefix("CONNECT ")?.split(' ').next()?.rsplit_once(':')?;
    Some(Target { host: host.trim_matches(['[', ']']), port: port.parse().ok()? })
}

fn join(near: TcpStream, far: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (far.try_clone()?, near.try_clone()?);
    let back = std::thread::spawn(move || {
        let _broken = io::copy(&mut from, &mut to);
        let _closed = to.shutdown(Shutdown::Write);
    });
    let _broken = io::copy(&mut &near, &mut &far);
    let _closed = far.shutdown(Shutdown::Write);
    back.join().map_err(|_| io::Error::other("a direction broke"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let target = |host, port| Some(Target { host, port });
        for (head, expected) in [
            ("CONNECT api.heroku.com:443 HTTP/1.1\r\n\r\n", target("api.heroku.com", 443)),
            ("CONNECT [::1]:8443 HTTP/1.1\r\n\r\n", target("::1", 8443)),
            ("CONNECT api.heroku.com HTTP/1.1\r\n\r\n", None),
            ("GET http://api.heroku.com/ HTTP/1.1\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(parse_target(head), expected, "{head}");
        }
    }
}
