//! Sockets that whoever starts the program has opened for it (systemd socket activation, sd_listen_fds(3)).
//!
//! They stay open while one process ends and the next one starts: what comes meanwhile waits in them, and nobody is
//! refused. Each is taken once, by the address that the configuration names; what nobody names is closed.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use listenfd::ListenFd;

/// What was given to the process and has not been taken.
#[derive(Debug, Default)]
struct Inherited {
    datagrams: Vec<UdpSocket>,
    listeners: Vec<TcpListener>,
}

static INHERITED: Mutex<Inherited> = Mutex::new(Inherited { datagrams: Vec::new(), listeners: Vec::new() });

/// Receives the sockets. Comes before any thread is started, for it reads and clears the environment.
///
/// # Errors
/// When something that was given is no socket of a kind that we use.
pub fn receive() -> io::Result<()> {
    let mut given = ListenFd::from_env();
    let mut inherited = Inherited::default();
    for index in 0..given.len() {
        // A socket of another kind stays where it is.
        if let Ok(Some(socket)) = given.take_udp_socket(index) {
            socket.set_nonblocking(true)?;
            inherited.datagrams.push(socket);
        } else if let Some(socket) = given.take_tcp_listener(index)? {
            socket.set_nonblocking(true)?;
            inherited.listeners.push(socket);
        }
    }
    *INHERITED.lock().unwrap_or_else(PoisonError::into_inner) = inherited;
    Ok(())
}

/// The UDP socket at `address`, when there is one; it does not block.
pub fn datagrams(address: SocketAddr) -> Option<UdpSocket> {
    let sockets = &mut INHERITED.lock().unwrap_or_else(PoisonError::into_inner).datagrams;
    take(sockets, |socket| socket.local_addr().ok() == Some(address))
}

/// The TCP socket that listens at `address`, when there is one; it does not block.
pub fn listener(address: SocketAddr) -> Option<TcpListener> {
    let sockets = &mut INHERITED.lock().unwrap_or_else(PoisonError::into_inner).listeners;
    take(sockets, |socket| socket.local_addr().ok() == Some(address))
}

/// Closes what nobody has taken; where it was.
pub fn close_rest() -> Vec<SocketAddr> {
    let Inherited { datagrams, listeners } =
        std::mem::take(&mut *INHERITED.lock().unwrap_or_else(PoisonError::into_inner));
    let datagrams = datagrams.iter().filter_map(|socket| socket.local_addr().ok());
    datagrams.chain(listeners.iter().filter_map(|socket| socket.local_addr().ok())).collect()
}

fn take<T>(sockets: &mut Vec<T>, is_it: impl Fn(&T) -> bool) -> Option<T> {
    let index = sockets.iter().position(is_it)?;
    Some(sockets.swap_remove(index))
}
