//! Sockets by epoll: one call to wait for all, then a receive and a send call for each datagram.
//!
//! Level-triggered: each round takes one datagram per ready socket, so a flooded one cannot starve the others.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::{Arrival, Tied, stamp};

#[derive(Debug)]
pub(in super::super) struct EpollSockets {
    epoll: Epoll,
    sockets: Vec<Option<Tied>>,
    /// Room for the kernel's times, when they are wanted.
    control: Option<Vec<u8>>,
    events: Vec<EpollEvent>,
    ready: usize,
    /// How many of the ready ones had their turn.
    seen: usize,
}

impl EpollSockets {
    pub(super) fn new(stamps: bool, sockets_max: usize, bell: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        let sockets = (0..sockets_max).map(|_| None).collect();
        let control = stamps.then(stamp::control_room);
        Ok(Self { epoll, sockets, control, events: vec![EpollEvent::empty(); EVENTS_MAX], ready: 0, seen: 0 })
    }

    pub(super) fn insert(&mut self, number: u32, socket: UdpSocket) -> io::Result<()> {
        let place = self.sockets.get_mut(number as usize).ok_or(io::ErrorKind::InvalidInput)?;
        if self.control.is_some() {
            stamp::request(&socket)?;
        }
        self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(number)))?;
        *place = Some(Tied::new(socket)?);
        Ok(())
    }

    pub(super) fn remove(&mut self, number: u32) {
        if let Some(place) = self.sockets.get_mut(number as usize) {
            *place = None;
        }
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        // Rounded up: waking early would only mean waking twice.
        let timeout = timeout.map_or(EpollTimeout::NONE, |timeout| {
            EpollTimeout::from(u16::try_from(timeout.as_micros().div_ceil(1_000)).unwrap_or(u16::MAX))
        });
        self.seen = 0;
        self.ready = match self.epoll.wait(&mut self.events, timeout) {
            Ok(ready) => ready,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        Ok(self.events[..self.ready].iter().any(|event| event.data() == BELL))
    }

    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Option<Arrival> {
        while self.seen < self.ready {
            let number = self.events[self.seen].data();
            self.seen += 1;
            // The bell, or a socket that was closed in this round.
            let Some(Some(tied)) = self.sockets.get(number as usize) else { continue };
            let received = match &mut self.control {
                None => tied.socket.recv_from(buffer).ok().map(|(bytes, from)| (bytes, from, None)),
                Some(control) => stamp::receive(&tied.socket, buffer, control),
            };
            if let Some((bytes, from, stamp)) = received {
                return Some(Arrival { socket: number as u32, from, bytes, stamp });
            }
        }
        None
    }

    pub(super) fn send(&mut self, number: u32, bytes: &[u8], to: SocketAddr) -> bool {
        let Some(Some(tied)) = self.sockets.get(number as usize) else {
            return false;
        };
        match tied.written(to) {
            Some(to) => tied.socket.send_to(bytes, to),
            None => tied.socket.send(bytes),
        }
        .is_ok()
    }

    pub(super) fn tied(&mut self, number: u32) -> Option<&mut Tied> {
        self.sockets.get_mut(number as usize)?.as_mut()
    }
}

/// The bell's token; no socket has that number.
const BELL: u64 = u64::MAX;

/// Sockets looked at in one round.
const EVENTS_MAX: usize = 256;
