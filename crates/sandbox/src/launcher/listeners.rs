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
///
/// `bound`: sockets that a living daemon holds already. They are taken over as they are: a second set beside them would get its
/// share of the connections, and nobody would accept those.
pub fn bind_all(settings: &[ListenerSettings], mut bound: Vec<Bound>) -> Result<Vec<Bound>, LauncherError> {
    for setting in settings {
        let held: Vec<_> =
            bound.iter().filter(|socket| matches(setting, socket)).map(|socket| socket.address).collect();
        let mut address = held.first().copied().unwrap_or(setting.address);
        for _ in held.len()..setting.sockets.max(1) as usize {
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

/// Whether a socket is one of those that a setting asks for, whatever port was chosen.
fn matches(setting: &ListenerSettings, socket: &Bound) -> bool {
    let same_port = setting.address.port() == 0 || setting.address.port() == socket.address.port();
    setting.name == socket.name && setting.address.ip() == socket.address.ip() && same_port
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
        let settings = std::slice::from_ref(&setting);
        let mut bound = bind_all(settings, Vec::new()).unwrap();
        assert_eq!(bound.len(), 3);
        assert!(bound.iter().all(|socket| socket.address == bound[0].address && socket.address.port() != 0));
        let (first, address) = (bound.remove(0), bound[0].address);
        let completed = bind_all(settings, vec![first]).unwrap();
        assert!(completed.len() == 3 && completed.iter().all(|socket| socket.address == address));
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let plain = std::net::TcpListener::bind(taken).unwrap();
        let other = ListenerSettings { address: plain.local_addr().unwrap(), ..setting };
        let error = bind_all(&[other], Vec::new()).unwrap_err();
        assert!(error.to_string().contains(&plain.local_addr().unwrap().to_string()), "{error}");
    }
}
