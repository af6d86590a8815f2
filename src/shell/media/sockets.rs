//! The RTP sockets of one media thread, by the engine's leg slots.
//!
//! Level-triggered: each round takes one datagram per ready socket, so a flooded leg cannot starve the others.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use media::LegSlot;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Protocol, Socket, Type};

#[derive(Debug)]
pub(super) struct Sockets {
    address: IpAddr,
    epoll: Epoll,
    by_slot: Vec<Option<UdpSocket>>,
    events: Vec<EpollEvent>,
    ready: usize,
}

/// What a round of waiting found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// The inbox's bell rings.
    Bell,
    /// A datagram waits on this leg's socket.
    Leg(LegSlot),
}

impl Sockets {
    /// Room for `legs_max` sockets on `address`.
    pub(super) fn new(address: IpAddr, legs_max: usize, bell: impl AsFd) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        let by_slot = (0..legs_max).map(|_| None).collect();
        Ok(Self { address, epoll, by_slot, events: vec![EpollEvent::empty(); EVENTS_MAX], ready: 0 })
    }

    /// Binds a socket that receives on `port`.
    pub(super) fn bind(&self, address: Option<IpAddr>, port: u16) -> io::Result<UdpSocket> {
        let local = SocketAddr::new(address.unwrap_or(self.address), port);
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        // Expedited forwarding is a wish that networks may ignore; so do we when the system will not have it.
        let _ = match local.ip() {
            IpAddr::V4(_) => socket.set_tos_v4(EXPEDITED_FORWARDING),
            IpAddr::V6(_) => socket.set_tclass_v6(EXPEDITED_FORWARDING),
        };
        socket.bind(&local.into())?;
        Ok(socket.into())
    }

    /// Begins to wait for datagrams of a leg.
    pub(super) fn insert(&mut self, LegSlot(slot): LegSlot, socket: UdpSocket) -> io::Result<()> {
        self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(slot)))?;
        if let Some(place) = self.by_slot.get_mut(slot as usize) {
            *place = Some(socket);
        }
        Ok(())
    }

    /// Closes a leg's socket.
    pub(super) fn remove(&mut self, LegSlot(slot): LegSlot) {
        if let Some(place) = self.by_slot.get_mut(slot as usize) {
            *place = None;
        }
    }

    /// Waits until something is ready or the time is over; returns how many are ready.
    pub(super) fn wait(&mut self, timeout: EpollTimeout) -> io::Result<usize> {
        self.ready = match self.epoll.wait(&mut self.events, timeout) {
            Ok(ready) => ready,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        Ok(self.ready)
    }

    /// The `index`-th of those that were ready.
    pub(super) fn ready(&self, index: usize) -> Option<Ready> {
        let event = self.events[..self.ready].get(index)?;
        match event.data() {
            BELL => Some(Ready::Bell),
            slot => Some(Ready::Leg(LegSlot(slot as u32))),
        }
    }

    /// Takes one datagram of a leg; `None` when there is none.
    pub(super) fn receive(&self, LegSlot(slot): LegSlot, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let socket = self.by_slot.get(slot as usize)?.as_ref()?;
        socket.recv_from(buffer).ok()
    }

    /// Sends one datagram of a leg; false when the system did not take it.
    pub(super) fn send(&self, LegSlot(slot): LegSlot, bytes: &[u8], to: SocketAddr) -> bool {
        let socket = self.by_slot.get(slot as usize).and_then(Option::as_ref);
        socket.is_some_and(|socket| socket.send_to(bytes, to).is_ok())
    }
}

/// The bell's token; no slot is that large.
const BELL: u64 = u64::MAX;

/// Sockets looked at in one round.
const EVENTS_MAX: usize = 256;

/// Some seconds of one leg's packets, as far as the system allows.
const RECEIVE_BUFFER_BYTES: usize = 256 * 1024;

/// DSCP EF (RFC 3246) in the upper six bits of the traffic class.
const EXPEDITED_FORWARDING: u32 = 46 << 2;
