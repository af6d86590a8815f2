//! What arrives on a leg's ports beside audio: control packets, connectivity checks, handshake datagrams.

use std::time::Duration;

use super::{Arrival, Engine, LegSlot, Output};

impl Engine {
    /// Takes a control packet (RFC 3550 §6).
    pub(super) fn control_packet(&mut self, now: Duration, mut arrival: Arrival<'_>, out: &mut Output) {
        let LegSlot(slot) = arrival.slot;
        if self.leg_mut(slot).is_some_and(|leg| !leg.control_packet(now, &mut arrival, out)) {
            self.refused += 1;
        }
    }

    /// Answers a connectivity check (RFC 8445 §7.3).
    pub(super) fn check(&mut self, now: Duration, arrival: &Arrival<'_>, out: &mut Output) {
        let LegSlot(slot) = arrival.slot;
        if self.leg_mut(slot).is_some_and(|leg| !leg.answer_check(now, arrival.slot, arrival, out)) {
            self.refused += 1;
        }
    }

    /// Hands a handshake datagram on to whoever shakes hands (RFC 5764 §5.1.2).
    pub(super) fn shake_hands(&mut self, now: Duration, arrival: &Arrival<'_>, out: &mut Output) {
        let LegSlot(slot) = arrival.slot;
        if self.leg_mut(slot).is_some_and(|leg| !leg.hear_handshake(now, arrival, &mut out.events)) {
            self.refused += 1;
        }
    }
}
