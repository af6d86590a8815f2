//! The times at which the kernel received datagrams (`SO_TIMESTAMPNS`, socket(7)).

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt::ReceiveTimestampns,
};
use nix::sys::time::TimeSpec;

/// Octets of the control message that carries one time.
pub(super) const CONTROL_BYTES: usize = 32;

/// Lets the kernel note when datagrams of a socket come.
pub(super) fn request(socket: &UdpSocket) -> nix::Result<()> {
    setsockopt(socket, ReceiveTimestampns, &true)
}

/// Reads one datagram: its octets, who sent it, and when it came, since 1970. What is longer than the buffer is cut.
pub(super) fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
    control: &mut [u8],
) -> Option<(usize, SocketAddr, Option<Duration>)> {
    let mut parts = [std::io::IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(control), flags).ok()?;
    let from = address(message.address.as_ref()?)?;
    let at = message.cmsgs().ok().and_then(|mut messages| {
        messages.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
            _ => None,
        })
    });
    Some((message.bytes, from, at))
}

/// Room for the control message of one datagram.
pub(super) fn control_room() -> Vec<u8> {
    nix::cmsg_space!(TimeSpec)
}

/// The time in a control message as the kernel lays it out on 64-bit machines (cmsg(3)); `None` when it is another one.
pub(super) fn read(control: &[u8]) -> Option<Duration> {
    let word = |from: usize| Some(i64::from_ne_bytes(control.get(from..from + 8)?.try_into().ok()?));
    let kind = |from: usize| Some(i32::from_ne_bytes(control.get(from..from + 4)?.try_into().ok()?));
    if kind(8)? != libc::SOL_SOCKET || kind(12)? != libc::SCM_TIMESTAMPNS {
        return None;
    }
    Some(Duration::new(word(16)?.try_into().ok()?, word(24)?.try_into().ok()?))
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|address| SocketAddr::from(*address));
    v4.or_else(|| storage.as_sockaddr_in6().map(|address| SocketAddr::from(*address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_message() {
        let mut bytes = Vec::new();
        bytes.extend(32_u64.to_ne_bytes());
        bytes.extend(libc::SOL_SOCKET.to_ne_bytes());
        bytes.extend(libc::SCM_TIMESTAMPNS.to_ne_bytes());
        bytes.extend(1_700_000_000_i64.to_ne_bytes());
        bytes.extend(5_000_i64.to_ne_bytes());
        assert_eq!(bytes.len(), CONTROL_BYTES);
        assert_eq!(read(&bytes), Some(Duration::new(1_700_000_000, 5_000)));
        bytes[12] ^= 1;
        assert_eq!((read(&bytes), read(&bytes[..20]), read(&[])), (None, None, None));
    }
}
