//! What one leg does beside its audio: control packets, key presses, connectivity checks, handshake datagrams.

use std::net::SocketAddr;
use std::time::Duration;

use super::partner::Early;
use super::{Captures, Leg};
use crate::engine::{Arrival, Channel, LegSlot, Output, Way};
use crate::packet::RtpHeader;
use crate::quality::LegQuality;
use crate::srtp::TRAILER_BYTES_MAX;
use crate::stun::{self, Answer};
use crate::{ControlPort, Event, dtmf, rtcp};

impl Leg {
    /// Takes a control packet; false when it is refused.
    pub(crate) fn control_packet(&mut self, now: Duration, arrival: &mut Arrival<'_>, out: &mut Output) -> bool {
        let Some(length) = self.protection.open_control(&mut arrival.bytes[..arrival.length]) else {
            self.unauthentic += 1;
            return false;
        };
        if !self.knows(arrival.from) || self.session.receive(now, &arrival.bytes[..length]).is_err() {
            return false;
        }
        if arrival.channel == Channel::Control {
            self.control_source = Some(arrival.from);
        }
        let captures = &mut Captures::new(&mut out.captures, &mut out.captures_left_out);
        let course = (Way::Said, arrival.channel, arrival.from);
        self.capture.take(arrival.at, course, &arrival.bytes[..length], captures);
        true
    }

    /// Sends the report that is due, if one is.
    pub(crate) fn report(&mut self, now: Duration, slot: LegSlot, out: &mut Output) {
        if self.session.deadline().is_some_and(|(due, _)| due <= now) {
            self.send_report(now, slot, false, out);
        }
    }

    /// Sends the last report.
    pub(crate) fn say_goodbye(&mut self, now: Duration, slot: LegSlot, out: &mut Output) {
        if self.packets_sent > 0 || self.counts.received() > 0 {
            self.send_report(now, slot, true, out);
        }
    }

    /// How the call sounds here, by all that is known.
    pub(crate) fn quality(&self) -> LegQuality {
        self.session.quality(&self.counts, rtcp::Playout::default())
    }

    /// Answers a connectivity check; true when there was something to answer.
    pub(crate) fn answer_check(
        &mut self,
        now: Duration,
        slot: LegSlot,
        arrival: &Arrival<'_>,
        out: &mut Output,
    ) -> bool {
        let Some(credentials) = self.settings.as_ref().and_then(|settings| settings.ice.as_ref()) else {
            return false;
        };
        let request = &arrival.bytes[..arrival.length];
        let start = out.made.len();
        let answer = stun::respond(request, arrival.from, credentials, &mut out.made);
        if out.made.len() == start {
            return false;
        }
        super::sending::push_tail(slot, arrival.channel, arrival.from, start, out);
        if let Answer::Responded { nominated: true } = answer {
            match arrival.channel {
                Channel::Control => self.control_source = Some(arrival.from),
                Channel::Media => {
                    if self.latch.nominate(now, arrival.from) {
                        out.events.push(Event::Latched { leg: self.id, source: arrival.from });
                    }
                }
            }
        }
        !matches!(answer, Answer::Refused(_))
    }

    /// Hands a datagram of the key handshake on; false when none is expected, it is a stranger's, or too many come.
    pub(crate) fn hear_handshake(&mut self, now: Duration, arrival: &Arrival<'_>, events: &mut Vec<Event>) -> bool {
        let (channel, from) = (arrival.channel, arrival.from);
        let datagram = || arrival.bytes[..arrival.length].to_vec();
        if self.settings.is_none() {
            self.partner.keep(Early { channel, from, datagram: datagram() });
            return true;
        }
        let is_taken = self.admits_handshake(now, channel, from);
        if is_taken {
            events.push(Event::Handshake { leg: self.id, channel, datagram: datagram() });
        }
        is_taken
    }

    /// Hands on what came before anything was agreed.
    pub(crate) fn take_early_handshakes(&mut self, now: Duration, events: &mut Vec<Event>) {
        for Early { channel, from, datagram } in self.partner.take_early() {
            if self.admits_handshake(now, channel, from) {
                events.push(Event::Handshake { leg: self.id, channel, datagram });
            }
        }
    }

    /// Takes a telephone-event; true when it is the moment at which a key goes down.
    pub(super) fn hear_key(
        &mut self,
        now: Duration,
        clock_hz: u32,
        header: &RtpHeader,
        payload: &[u8],
        events: &mut Vec<Event>,
    ) -> bool {
        self.presses.clear();
        if self.key_receiver.clock_hz() != clock_hz {
            self.key_receiver = dtmf::Receiver::new(clock_hz);
        }
        self.key_receiver.handle(now, header.timestamp, header.marker, payload, &mut self.presses);
        let mut down = false;
        for press in &self.presses {
            if let dtmf::Press::Down(key) = *press {
                down = true;
                events.push(Event::Key { leg: self.id, key });
            }
        }
        down
    }

    /// Lets time pass for what is not looked at on every packet.
    pub(crate) fn watch(&mut self, now: Duration) {
        self.presses.clear();
        self.key_receiver.tick(now, &mut self.presses);
        self.partner.refill();
    }

    /// Whether control and handshake packets are taken from there: as for audio, once it is known where that comes
    /// from, only that host counts.
    fn knows(&self, from: SocketAddr) -> bool {
        self.latch.target().is_none_or(|target| target.ip() == from.ip()) || self.latch.is_unheard()
    }

    fn admits_handshake(&mut self, now: Duration, channel: Channel, from: SocketAddr) -> bool {
        let named = self.far_port(channel);
        self.protection.shakes_hands(channel)
            && (named == Some(from) || self.knows(from))
            && self.partner.admit(now, channel, from, named)
    }

    /// Where the far end's port is that belongs to one of ours, by all that is known.
    pub(super) fn far_port(&self, channel: Channel) -> Option<SocketAddr> {
        match channel {
            Channel::Media => self.latch.target(),
            Channel::Control => self.control_target().map(|(to, _)| to),
        }
    }

    /// Where control packets go, and from which of our ports.
    fn control_target(&self) -> Option<(SocketAddr, Channel)> {
        let target = self.latch.target()?;
        match self.settings.as_ref()?.control {
            ControlPort::Shared => Some((target, Channel::Media)),
            ControlPort::At(address) => Some((self.control_source.unwrap_or(address), Channel::Control)),
            ControlPort::Next => {
                let next = SocketAddr::new(target.ip(), target.port().checked_add(1)?);
                Some((self.control_source.unwrap_or(next), Channel::Control))
            }
        }
    }

    fn send_report(&mut self, now: Duration, slot: LegSlot, goodbye: bool, out: &mut Output) {
        let start = out.made.len();
        let playout = rtcp::Playout::default();
        if goodbye {
            self.session.write_goodbye(now, &mut self.counts, playout, &mut out.made);
        } else {
            self.session.write(now, &mut self.counts, playout, &mut out.made);
        }
        let length = out.made.len() - start;
        let captured = out.captures.len();
        if let Some((to, channel)) = self.control_target() {
            let captures = &mut Captures::new(&mut out.captures, &mut out.captures_left_out);
            self.capture.take(now, (Way::Heard, channel, to), &out.made[start..], captures);
        }
        out.made.resize(start + length + TRAILER_BYTES_MAX, 0);
        let sealed = self.protection.seal_control(&mut out.made[start..], length);
        match (sealed, self.control_target()) {
            (Some(sealed), Some((to, channel))) if length > 0 => {
                out.made.truncate(start + sealed);
                super::sending::push_tail(slot, channel, to, start, out);
            }
            _ => {
                out.made.truncate(start);
                out.captures.truncate(captured);
            }
        }
    }
}
