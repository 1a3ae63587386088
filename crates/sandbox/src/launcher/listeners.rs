//! The sockets that the launcher binds for the daemons, ports below 1024 included. They stay open while the launcher lives: a
//! restart of the server or the router refuses no connection, it only lets them wait.

use super::error::LauncherError;
use super::settings::ListenerSettings;
use crate::protocol::ListenerName;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::net::{SocketAddr, TcpListener};

/// Connections that wait for a daemon to accept; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A bound socket.
#[derive(Debug)]
pub struct Bound {
    pub name: ListenerName,
    pub address: SocketAddr,
    pub listener: TcpListener,
}

/// Binds all of them, or says which cannot be bound. A port of 0 is chosen once and shared by its sockets.
pub fn bind_all(settings: &[ListenerSettings]) -> Result<Vec<Bound>, LauncherError> {
    let mut bound = Vec::new();
    for setting in settings {
        let mut address = setting.address;
        for _ in 0..setting.sockets.max(1) {
            let listener = bind(address)
                .map_err(|source| LauncherError::Listen { address: address.to_string(), source })?;
            address = listener
                .local_addr()
                .map_err(|source| LauncherError::Listen { address: address.to_string(), source })?;
            bound.push(Bound { name: setting.name, address, listener });
        }
    }
    Ok(bound)
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_one_name_share_a_port() {
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let setting = ListenerSettings { name: ListenerName::Http, address, sockets: 3 };
        let bound = bind_all(std::slice::from_ref(&setting)).unwrap();
        assert_eq!(bound.len(), 3);
        assert!(bound.iter().all(|socket| socket.address == bound[0].address && socket.address.port() != 0));
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let plain = std::net::TcpListener::bind(taken).unwrap();
        let error = bind_all(&[ListenerSettings { address: plain.local_addr().unwrap(), ..setting }]).unwrap_err();
        assert!(error.to_string().contains(&plain.local_addr().unwrap().to_string()), "{error}");
    }
}
