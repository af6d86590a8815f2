//! What leaves on one leg: sealed, numbered and counted, whatever it is made from.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Captures, Leg, Passage, PayloadKind, Received};
use crate::dtmf::EventPacket;
use crate::engine::{Channel, CopiedPacket, Datagram, Departure, LegSlot, Output, TapFrame, Way};
use crate::packet::{HEADER_BYTES, Stamp};
use crate::relay::Relayed;
use crate::srtp::TRAILER_BYTES_MAX;
use crate::voice::BURST_MAX;
use crate::{Codec, Event, LegId};

impl Leg {
    /// Seals a packet of `length` octets in place; `None` while there are no keys.
    pub(crate) fn seal(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        self.protection.seal(buffer, length)
    }

    /// Counts a packet that leaves.
    pub(crate) fn count_sent(&mut self, now: Duration, stamp: &Stamp, payload_bytes: usize) {
        self.packets_sent += 1;
        self.session.sent(now, stamp.timestamp, payload_bytes);
    }

    /// The codec of what leaves under this payload type; `None` for anything but audio.
    pub(crate) fn codec_sent(&self, payload_type: u8) -> Option<Codec> {
        let settings = self.settings.as_ref()?;
        (settings.payload_type == payload_type).then_some(settings.codec)
    }

    /// Copies a plain packet of the party's call for whoever records, if anybody does; `codec` is that of its audio.
    pub(crate) fn copy(
        &mut self,
        way: Way,
        at: Duration,
        codec: Option<Codec>,
        packet: &[u8],
        copies: &mut Vec<CopiedPacket>,
    ) {
        if !self.copied || self.secure {
            return;
        }
        push_copy(way, TapFrame::new(self.id, at, codec, packet), &mut self.tap_dropped, copies);
    }

    /// Says once per bridge that `speaker` is heard here.
    pub(crate) fn say_bridged(&mut self, speaker: LegId, events: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.bridged_said, true) {
            events.push(Event::Bridged { leg: self.id, from: speaker });
        }
    }

    /// Sends the packets that the transcoder has ready; true when there was one.
    pub(crate) fn send_transcoded(&mut self, now: Duration, slot: LegSlot, out: &mut Output) -> bool {
        let Some(passage) = self.target().and_then(|target| self.passage(PayloadKind::Audio(target.codec))) else {
            return false;
        };
        let mut sent = false;
        while !out.is_full() {
            let start = out.made.len();
            out.made.resize(start + HEADER_BYTES, 0);
            let Some(produced) = self.transcoder.as_mut().and_then(|transcoder| transcoder.next(&mut out.made)) else {
                out.made.truncate(start);
                break;
            };
            let Some(produced) = produced else {
                out.made.truncate(start);
                continue;
            };
            let packet = Relayed {
                from: TRANSCODED,
                place: produced.place,
                timestamp: produced.timestamp,
                marker: produced.marker,
                audio_ticks: Some(produced.ticks),
                payload_type: passage.payload_type,
            };
            match self.outgoing.relay(now, packet) {
                Some(stamp) => sent |= self.send_made(now, slot, start, stamp, passage.to, out),
                None => out.made.truncate(start),
            }
        }
        sent
    }

    /// Sends a key press of the other side on beside transcoded audio, its times turned to this leg's clock.
    pub(crate) fn send_key_through(
        &mut self,
        now: Duration,
        slot: LegSlot,
        passage: Passage,
        received: &Received,
        payload: &[u8],
        out: &mut Output,
    ) {
        let PayloadKind::KeyPress { clock_hz } = received.kind else { return };
        let Some(transcoder) = &mut self.transcoder else { return };
        transcoder.pass_over(received.place);
        let produced = transcoder.hand_through(received.header.timestamp, clock_hz);
        let packet = Relayed {
            from: TRANSCODED,
            place: produced.place,
            timestamp: produced.timestamp,
            marker: received.header.marker,
            audio_ticks: None,
            payload_type: passage.payload_type,
        };
        let Some(stamp) = self.outgoing.relay(now, packet) else { return };
        let start = out.made.len();
        out.made.resize(start + HEADER_BYTES, 0);
        out.made.extend_from_slice(payload);
        rescale_duration(&mut out.made[start + HEADER_BYTES..], clock_hz, passage.event_clock_hz);
        self.send_made(now, slot, start, stamp, passage.to, out);
    }

    /// Makes and sends what is due on the tick; true when the sound that plays is over and has had its time.
    pub(crate) fn speak(&mut self, now: Duration, slot: LegSlot, out: &mut Output) -> bool {
        for _ in 0..BURST_MAX {
            match &self.voice {
                Some(voice) if voice.due() > now => return false,
                Some(voice) if !voice.is_over() => {}
                Some(_) => return true,
                None => return false,
            }
            if out.is_full() {
                return false;
            }
            self.speak_once(now, slot, out);
        }
        if let Some(voice) = &mut self.voice
            && voice.due() <= now
        {
            voice.postpone(now);
        }
        false
    }

    /// Sends a datagram of the key handshake.
    pub(crate) fn send_handshake(&self, slot: LegSlot, channel: Channel, datagram: &[u8], out: &mut Output) {
        let to = self.partner.source(channel).or_else(|| self.far_port(channel));
        let Some(to) = to.filter(|_| self.protection.shakes_hands(channel)) else { return };
        let start = out.made.len();
        out.made.extend_from_slice(datagram);
        push_tail(slot, channel, to, start, out);
    }

    fn speak_once(&mut self, now: Duration, slot: LegSlot, out: &mut Output) {
        let passage = self.target().and_then(|target| self.passage(PayloadKind::Audio(target.codec)));
        let event_type = self.event();
        let Some(voice) = &mut self.voice else { return };
        let start = out.made.len();
        out.made.resize(start + HEADER_BYTES, 0);
        let made = voice.make(now, self.copied && !self.secure, &mut out.made);
        let (Some(made), Some(passage)) = (made, passage) else {
            out.made.truncate(start);
            return voice.missed();
        };
        if made.event.is_some() && event_type.is_none() {
            // The far end has taken events back while a key waited.
            out.made.truncate(start);
            return voice.missed();
        }
        let mut stamp = self.outgoing.make(now, passage.payload_type, made.ticks, made.resumes);
        if let (Some(event), Some((payload_type, clock_hz))) = (made.event, event_type) {
            let back = scaled(event.timestamp_back, clock_hz, passage.codec.clock_hz());
            stamp = event_stamp(stamp, event, payload_type, back);
        }
        let sent = if made.copied_apart {
            self.copy_apart(now, stamp, &mut out.copies);
            out.made[start..start + HEADER_BYTES].copy_from_slice(&stamp.to_bytes());
            self.seal_made(now, slot, start, stamp, passage.to, out)
        } else {
            self.send_made(now, slot, start, stamp, passage.to, out)
        };
        if !sent {
            return;
        }
        let player = self.voice.as_mut().and_then(|voice| voice.player());
        if let Some(player) = player
            && player.sent()
        {
            out.events.extend(player.prompt().map(|prompt| Event::PlayStarted { leg: self.id, prompt }));
        }
    }

    /// Completes the packet that begins at `start` of `out.made`, seals and sends it; false when it cannot leave.
    fn send_made(
        &mut self,
        now: Duration,
        slot: LegSlot,
        start: usize,
        stamp: Stamp,
        to: SocketAddr,
        out: &mut Output,
    ) -> bool {
        out.made[start..start + HEADER_BYTES].copy_from_slice(&stamp.to_bytes());
        let codec = self.codec_sent(stamp.payload_type);
        self.copy(Way::Heard, now, codec, &out.made[start..], &mut out.copies);
        self.seal_made(now, slot, start, stamp, to, out)
    }

    /// Copies, in the place of the packet that is sent, the one without what is for the hearer's ear alone.
    fn copy_apart(&mut self, now: Duration, stamp: Stamp, copies: &mut Vec<CopiedPacket>) {
        let codec = self.codec_sent(stamp.payload_type);
        let Some(voice) = &mut self.voice else { return };
        let packet = voice.copied();
        if let Some(header) = packet.first_chunk_mut::<HEADER_BYTES>() {
            *header = stamp.to_bytes();
            push_copy(Way::Heard, TapFrame::new(self.id, now, codec, packet), &mut self.tap_dropped, copies);
        }
    }

    /// Seals and sends the complete packet that begins at `start` of `out.made`; false when it cannot leave.
    fn seal_made(
        &mut self,
        now: Duration,
        slot: LegSlot,
        start: usize,
        stamp: Stamp,
        to: SocketAddr,
        out: &mut Output,
    ) -> bool {
        let length = out.made.len() - start;
        let captured = out.captures.len();
        let captures = &mut Captures::new(&mut out.captures, &mut out.captures_left_out);
        self.capture.take(now, (Way::Heard, Channel::Media, to), &out.made[start..], captures);
        out.made.resize(start + length + TRAILER_BYTES_MAX, 0);
        let Some(sealed) = self.protection.seal(&mut out.made[start..], length) else {
            out.made.truncate(start);
            out.captures.truncate(captured);
            return false;
        };
        out.made.truncate(start + sealed);
        self.count_sent(now, &stamp, length - HEADER_BYTES);
        push_tail(slot, Channel::Media, to, start, out);
        true
    }
}

/// Hands over a packet for copies; one that is too long for them is counted.
fn push_copy(way: Way, frame: Option<TapFrame>, dropped: &mut u64, copies: &mut Vec<CopiedPacket>) {
    match frame {
        Some(frame) => copies.push(CopiedPacket { way, frame }),
        None => *dropped += 1,
    }
}

/// Sends what lies in `out.made` from `start` on.
pub(super) fn push_tail(slot: LegSlot, channel: Channel, to: SocketAddr, start: usize, out: &mut Output) {
    let datagram = Datagram::Made { start: start as u32, end: out.made.len() as u32 };
    out.packets.push(Departure { slot, channel, to, datagram });
}

/// The header of a key's packet: all packets of one press carry the timestamp of the first (RFC 4733 §2.5.1.2).
fn event_stamp(stamp: Stamp, event: EventPacket, payload_type: u8, back: u32) -> Stamp {
    let timestamp = stamp.timestamp.wrapping_sub(back);
    Stamp { payload_type, timestamp, marker: event.marker, ..stamp }
}

/// Ticks of one clock in ticks of another.
fn scaled(ticks: u32, from_hz: u32, to_hz: u32) -> u32 {
    (u64::from(ticks) * u64::from(to_hz) / u64::from(from_hz.max(1))) as u32
}

/// Turns the duration of a telephone-event to another clock (RFC 4733 §2.3.5).
pub(crate) fn rescale_duration(payload: &mut [u8], from_hz: u32, to_hz: u32) {
    if let Some([high, low]) = payload.get(2..4).and_then(|octets| octets.first_chunk::<2>())
        && from_hz != to_hz
    {
        let ticks = scaled(u32::from(u16::from_be_bytes([*high, *low])), from_hz, to_hz);
        let ticks = u16::try_from(ticks).unwrap_or(u16::MAX);
        payload[2..4].copy_from_slice(&ticks.to_be_bytes());
    }
}

/// Names a leg's own transcoder as the source of its packets; no slot has this number.
const TRANSCODED: u32 = u32::MAX;
