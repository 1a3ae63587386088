//! Makes each thread its own listening sockets.

use crate::settings::ListenerSettings;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Connections that the kernel completes and keeps for a thread that is busy.
const BACKLOG: i32 = 4096;

/// Why the router cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("cannot use a listener that was passed in")]
    Inherit { source: io::Error },
}

/// The listeners of every thread, and the addresses that they are bound to.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub addresses: Vec<SocketAddr>,
    /// One list per thread.
    pub by_thread: Vec<Vec<TcpListener>>,
}

impl Listeners {
    pub(crate) fn open(settings: Vec<ListenerSettings>, threads: usize) -> Result<Self, ListenError> {
        let mut by_thread: Vec<Vec<TcpListener>> = (0..threads).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        for listener in settings {
            let (address, copies) = match listener {
                ListenerSettings::Bind(address) => {
                    bind_all(address, threads).map_err(|source| ListenError::Bind { address, source })?
                }
                ListenerSettings::Inherited(listener) => {
                    duplicate(&listener, threads).map_err(|source| ListenError::Inherit { source })?
                }
            };
            addresses.push(address);
            by_thread.iter_mut().zip(copies).for_each(|(thread, copy)| thread.push(copy));
        }
        Ok(Self { addresses, by_thread })
    }
}

/// Binds the first, and the others to the port that the first was given.
fn bind_all(address: SocketAddr, threads: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let first = bind(address)?;
    let address = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..threads {
        all.push(bind(address)?);
    }
    Ok((address, all))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn duplicate(listener: &TcpListener, threads: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    listener.set_nonblocking(true)?;
    let copies = (0..threads).map(|_| listener.try_clone()).collect::<io::Result<Vec<_>>>()?;
    Ok((listener.local_addr()?, copies))
}
