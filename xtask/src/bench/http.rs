//! The plainest possible request: one connection, one `GET`, the whole answer.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// An answer: its status, and all that came after the status line.
pub struct Answer {
    pub status: u16,
    pub rest: String,
}

/// `GET /` of a port of this machine.
pub fn get(port: u16, host: &str) -> Result<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    // In one piece: nobody waits for a second segment.
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (line, rest) = text.split_once("\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Answer { status: status.ok_or_else(|| Error::other(line.to_owned()))?, rest: rest.to_owned() })
}
