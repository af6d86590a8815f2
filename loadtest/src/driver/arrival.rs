//! Reads datagrams together with the time at which the kernel received them (`SO_TIMESTAMPNS`, socket(7)).

use std::io::IoSliceMut;
use std::os::fd::RawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::time::TimeSpec;

/// Turns the kernel's wall-clock times into times since start.
pub(super) struct Arrivals {
    control: Vec<u8>,
    /// The wall clock at our start, since 1970.
    began: Duration,
}

impl Arrivals {
    pub(super) fn new() -> Self {
        Arrivals { control: nix::cmsg_space!(TimeSpec), began: Duration::ZERO }
    }

    /// Holds the two clocks side by side; a wall clock that was set matters for one collection only.
    pub(super) fn set_clock(&mut self, since_start: Duration, wall: SystemTime) {
        let wall = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.began = wall.saturating_sub(since_start);
    }

    /// One datagram: its length, and when it came, as far as the kernel says. `None` when there is none.
    pub(super) fn receive(&mut self, socket: RawFd, buffer: &mut [u8]) -> Option<(usize, Option<Duration>)> {
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(socket, &mut parts, Some(&mut self.control), MsgFlags::MSG_DONTWAIT).ok()?;
        let at = message.cmsgs().ok().and_then(|mut messages| {
            messages.find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
                _ => None,
            })
        });
        Some((message.bytes, at.map(|at| at.saturating_sub(self.began))))
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::time::Instant;

    use nix::sys::socket::{setsockopt, sockopt};

    use super::*;

    #[test]
    fn a_datagram_came_before_it_was_read() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).expect("Linux has it");
        let (epoch, mut arrivals) = (Instant::now(), Arrivals::new());
        let sent = epoch.elapsed();
        socket.send_to(b"now", socket.local_addr().expect("its address")).expect("loopback takes it");
        arrivals.set_clock(epoch.elapsed(), SystemTime::now());

        let mut buffer = [0; 16];
        let (length, at) = arrivals.receive(socket.as_raw_fd(), &mut buffer).expect("it is there");
        let at = at.expect("the kernel says when");
        assert_eq!(&buffer[..length], b"now");
        // The two clocks are read one after the other, and may be adjusted meanwhile.
        assert!(at + Duration::from_millis(5) >= sent && at <= epoch.elapsed() + Duration::from_millis(5), "{at:?}");
        assert!(arrivals.receive(socket.as_raw_fd(), &mut buffer).is_none());
    }
}
