//! The UDP sockets of one media thread, by numbers that the thread gives them, and the ways to wait for all of them.
//!
//! Knows no legs and no RTP: datagrams in, datagrams out. Which way is used is settled when the thread starts.

mod epoll;
mod ring;
mod stamp;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use self::epoll::EpollSockets;
use self::ring::RingSockets;

/// How a media thread waits for datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MediaIo {
    /// What was measured to be cheaper; see `docs/PERFORMANCE.md`.
    #[default]
    Auto,
    /// epoll, with a receive and a send call for each datagram.
    Epoll,
    /// io_uring; epoll and a warning where the kernel refuses it.
    IoUring,
}

/// A datagram that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// The number of the socket.
    pub(super) socket: u32,
    /// Who sent it; an IPv4 sender has an IPv4 address on every socket.
    pub(super) from: SocketAddr,
    /// How much of the buffer it fills.
    pub(super) bytes: usize,
    /// When the kernel received it, since 1970, if it was asked to say so.
    pub(super) stamp: Option<Duration>,
}

/// All sockets of a thread.
#[derive(Debug)]
pub(super) enum Sockets {
    Epoll(EpollSockets),
    Ring(Box<RingSockets>),
}

impl Sockets {
    /// Room for `sockets_max` sockets, and the bell that ends a wait; with `stamps` the kernel says when datagrams come.
    ///
    /// # Errors
    /// When the system gives no epoll instance.
    pub(super) fn new(io: MediaIo, stamps: bool, sockets_max: usize, bell: BorrowedFd<'_>) -> io::Result<Self> {
        if io == MediaIo::IoUring {
            match RingSockets::new(stamps, sockets_max, bell) {
                Ok(ring) => return Ok(Self::Ring(Box::new(ring))),
                Err(error) => tracing::warn!(%error, "the kernel refuses io_uring, a media thread uses epoll instead"),
            }
        }
        EpollSockets::new(stamps, sockets_max, bell).map(Self::Epoll)
    }

    /// To be called once by the thread that will do all the waiting.
    ///
    /// # Errors
    /// When the kernel does not start the ring.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        match self {
            Self::Epoll(_) => Ok(()),
            Self::Ring(ring) => ring.begin(),
        }
    }

    /// Begins to wait for datagrams of a socket under a number that is free.
    ///
    /// # Errors
    /// When the kernel does not watch it, or the number is beyond `sockets_max`.
    pub(super) fn insert(&mut self, number: u32, socket: UdpSocket) -> io::Result<()> {
        match self {
            Self::Epoll(epoll) => epoll.insert(number, socket),
            Self::Ring(ring) => ring.insert(number, socket),
        }
    }

    /// Closes a socket; none of its datagrams comes any more, its port and its number are free again.
    pub(super) fn remove(&mut self, number: u32) {
        match self {
            Self::Epoll(epoll) => epoll.remove(number),
            Self::Ring(ring) => ring.remove(number),
        }
    }

    /// Ties a socket to one far end, from which alone it receives then, or lets it hear everybody again. To send to whom
    /// it is tied is cheaper; to others it can be sent as before.
    ///
    /// # Errors
    /// When the system refuses; then it hears everybody.
    pub(super) fn tie(&mut self, number: u32, to: Option<SocketAddr>) -> io::Result<()> {
        let tied = match self {
            Self::Epoll(epoll) => epoll.tied(number),
            Self::Ring(ring) => ring.tied(number),
        };
        tied.map_or(Ok(()), |tied| tied.change(to))
    }

    /// Sends what waits to be sent, then waits until a datagram comes, the bell rings or the time is over; true when
    /// the bell rang.
    ///
    /// # Errors
    /// When the kernel can no longer wait.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        match self {
            Self::Epoll(epoll) => epoll.wait(timeout),
            Self::Ring(ring) => ring.wait(timeout),
        }
    }

    /// Takes one of the datagrams that came; what is longer than the buffer is cut.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Option<Arrival> {
        let arrival = match self {
            Self::Epoll(epoll) => epoll.receive(buffer),
            Self::Ring(ring) => ring.receive(buffer),
        }?;
        let from = SocketAddr::new(arrival.from.ip().to_canonical(), arrival.from.port());
        Some(Arrival { from, ..arrival })
    }

    /// Sends one datagram, at the latest with the next `wait`; false when it was not taken.
    pub(super) fn send(&mut self, number: u32, bytes: &[u8], to: SocketAddr) -> bool {
        match self {
            Self::Epoll(epoll) => epoll.send(number, bytes, to),
            Self::Ring(ring) => ring.send(number, bytes, to),
        }
    }

    /// Datagrams that were taken to be sent and then refused by the system, since this was last asked.
    pub(super) fn failed_since(&mut self) -> u64 {
        match self {
            Self::Epoll(_) => 0,
            Self::Ring(ring) => ring.failed_since(),
        }
    }
}

/// Binds a socket that receives on `port` of one address; the unspecified IPv6 address takes IPv4 as well.
///
/// # Errors
/// When the address is not this machine's or the port is taken.
pub(super) fn bind(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let local = SocketAddr::new(address, port);
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    // Expedited forwarding is a wish that networks may ignore; so do we when the system will not have it.
    let _ = match address {
        IpAddr::V4(_) => socket.set_tos_v4(EXPEDITED_FORWARDING),
        IpAddr::V6(_) => socket.set_tclass_v6(EXPEDITED_FORWARDING),
    };
    if address.is_ipv6() {
        socket.set_only_v6(address != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    }
    if address == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        // What leaves as IPv4 has a mark of its own.
        let _ = socket.set_tos_v4(EXPEDITED_FORWARDING);
    }
    socket.bind(&local.into())?;
    Ok(socket.into())
}

/// A socket, and the far end that it is tied to.
#[derive(Debug)]
struct Tied {
    socket: UdpSocket,
    is_ipv6: bool,
    to: Option<SocketAddr>,
}

impl Tied {
    fn new(socket: UdpSocket) -> io::Result<Self> {
        let is_ipv6 = socket.local_addr()?.is_ipv6();
        Ok(Self { socket, is_ipv6, to: None })
    }

    /// Where a datagram has to be said to go; `None` when the kernel knows.
    fn written(&self, to: SocketAddr) -> Option<SocketAddr> {
        (self.to != Some(to)).then(|| written(to, self.is_ipv6))
    }

    fn change(&mut self, to: Option<SocketAddr>) -> io::Result<()> {
        self.to = None;
        let Some(to) = to else {
            return Ok(rustix::net::connect_unspec(&self.socket)?);
        };
        self.socket.connect(written(to, self.is_ipv6))?;
        self.to = Some(to);
        Ok(())
    }
}

/// A destination as a socket of this family writes it.
fn written(to: SocketAddr, is_ipv6: bool) -> SocketAddr {
    match to {
        SocketAddr::V4(v4) if is_ipv6 => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        to => to,
    }
}

/// Some seconds of one leg's packets, as far as the system allows.
pub const RECEIVE_BUFFER_BYTES: usize = 256 * 1024;

/// DSCP EF (RFC 3246) in the upper six bits of the traffic class.
const EXPEDITED_FORWARDING: u32 = 46 << 2;
