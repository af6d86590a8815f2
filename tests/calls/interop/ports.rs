//! Ports for programs that cannot be told "any": blocks below those that systems give out by themselves.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Where the blocks lie: below the ports of the server's own plans.
const FIRST: u16 = 2_000;
/// Ports of one block.
const SIZE: u16 = 40;
/// How many blocks there are.
const BLOCKS: u16 = 150;
/// Ports at the beginning of a block that are for TCP too.
const TCP: u16 = 4;
/// Blocks that this process has asked for.
static ASKED: AtomicU16 = AtomicU16::new(0);

/// A block of ports that nobody else has.
pub struct Ports {
    first: u16,
    /// Keeps others away: the last port of the block.
    _claim: UdpSocket,
}

impl Ports {
    /// A block that is free.
    pub fn claim() -> Ports {
        let start = std::process::id() as u16 % BLOCKS + ASKED.fetch_add(1, Ordering::Relaxed);
        let found = (0..BLOCKS).find_map(|step| Ports::at(FIRST + (start + step) % BLOCKS * SIZE));
        found.expect("loopback has a free block of ports")
    }

    fn at(first: u16) -> Option<Ports> {
        let claim = UdpSocket::bind((Ipv4Addr::LOCALHOST, first + SIZE - 1)).ok()?;
        let udp = (first..first + SIZE - 1).all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
        let tcp = (first..first + TCP).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
        (udp && tcp).then_some(Ports { first, _claim: claim })
    }

    /// For SIP; the next port is for TLS, which some programs open without being asked.
    pub fn sip(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.first).into()
    }

    /// For orders to the program.
    pub fn control(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.first + 2).into()
    }

    /// First and last port for audio.
    pub fn audio(&self) -> (u16, u16) {
        (self.first + TCP, self.first + SIZE - 2)
    }
}
