//! Captures one leg's packets for whoever looks for a fault: as they stand on the wire, but for protection.
//!
//! While something of the call is secret, and for a while after, headers alone are kept, whatever was asked for: the far
//! end is sent the same digits that the caller types, and some of them a little later.

use std::net::SocketAddr;
use std::time::Duration;

use crate::engine::{CapturedPacket, Capturing, Channel, Depth, TAP_BYTES_MAX, Way};
use crate::packet::HEADER_BYTES;

/// What one leg knows of its capture.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    wanted: Option<Capturing>,
    /// Something of the call is secret now.
    is_secret: bool,
    /// Until when headers alone are kept after that.
    secret_until: Duration,
}

impl Capture {
    /// Captures from now on, or no longer.
    pub(crate) fn set(&mut self, wanted: Option<Capturing>) {
        self.wanted = wanted;
    }

    /// Something of the leg's call is secret from now on, or no longer.
    pub(crate) fn hide(&mut self, now: Duration, is_secret: bool) {
        if self.is_secret && !is_secret {
            self.secret_until = now + SECRET_AFTER;
        }
        self.is_secret = is_secret;
    }

    /// Takes a packet that is not protected, or not any more, with the moment at which it came or leaves.
    pub(crate) fn take(
        &self,
        at: Duration,
        (way, channel, far): (Way, Channel, SocketAddr),
        packet: &[u8],
        out: &mut Captures<'_>,
    ) {
        let Some(wanted) = self.wanted else { return };
        if out.packets.len() == out.packets.capacity() {
            *out.left_out += 1;
            return;
        }
        let is_report = crate::rtcp::is_control(packet);
        let is_whole = wanted.depth == Depth::Whole && !self.is_secret && at >= self.secret_until;
        let octets_max = if is_report || is_whole { TAP_BYTES_MAX } else { HEADER_BYTES };
        out.packets.push(CapturedPacket::new(wanted, (way, channel, far), at, packet, octets_max));
    }
}

/// Where captured packets go: to a list with room for so many, and to a count of those that found none.
pub(crate) struct Captures<'a> {
    packets: &'a mut Vec<CapturedPacket>,
    left_out: &'a mut u64,
}

impl<'a> Captures<'a> {
    /// To these two fields of an [`Output`](crate::Output).
    pub(crate) fn new(packets: &'a mut Vec<CapturedPacket>, left_out: &'a mut u64) -> Self {
        Self { packets, left_out }
    }
}

/// How long headers alone are kept once nothing is secret any more: longer than as many keys as may wait take to be sent on.
const SECRET_AFTER: Duration = Duration::from_secs(20);
