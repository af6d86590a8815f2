//! The way of one RTP packet: open, check, copy, rewrite, seal, send.

use std::time::Duration;

use super::{Arrival, Channel, Datagram, Departure, Engine, LegSlot, Output, TapFrame, Way};
use crate::LegId;
use crate::dtmf::Key;
use crate::leg::{Captures, Leg, Passage, PayloadKind, Received, Reception, rescale_duration};
use crate::packet::{HEADER_BYTES, RtpHeader};
use crate::playout::{Packet, Payload};
use crate::relay::Relayed;
use crate::transcode::Spoken;

/// A packet that was taken, on its way to those who hear it.
struct Heard<'a> {
    now: Duration,
    slot: u32,
    speaker: LegId,
    received: Received,
    buffer: u16,
    bytes: &'a mut [u8],
}

impl Engine {
    /// Takes one RTP packet and gives it to everybody who hears its sender.
    pub(super) fn audio_packet(&mut self, now: Duration, mut arrival: Arrival<'_>, out: &mut Output) {
        let LegSlot(slot) = arrival.slot;
        let Some(leg) = self.leg_mut(slot) else {
            return;
        };
        let spoken = leg.spoken();
        let reception = leg.receive(now, &mut arrival, &mut out.events);
        if leg.spoken() != spoken {
            self.arrange(now, slot, out);
        }
        let Some(leg) = self.leg_mut(slot) else {
            return;
        };
        if !matches!(reception, Reception::Refused) {
            let captures = &mut Captures::new(&mut out.captures, &mut out.captures_left_out);
            let course = (Way::Said, Channel::Media, arrival.from);
            leg.capture.take(arrival.at, course, &arrival.bytes[..arrival.length], captures);
        }
        let received = match reception {
            Reception::Taken(received) => received,
            Reception::Withheld => {
                let peer = leg.peer;
                if let Some(hearer) = peer.and_then(|peer| self.leg_mut(peer)) {
                    hearer.interrupt();
                }
                return;
            }
            Reception::Refused => {
                self.refused += 1;
                return;
            }
        };
        let codec = match received.kind {
            PayloadKind::Audio(codec) => Some(codec),
            PayloadKind::KeyPress { .. } | PayloadKind::ComfortNoise => None,
        };
        let packet = &arrival.bytes[..arrival.length];
        if leg.is_tapped() {
            match TapFrame::new(leg.id, arrival.at, codec, packet) {
                Some(frame) => out.frames.push(frame),
                None => leg.tap_dropped += 1,
            }
        }
        leg.copy(Way::Said, arrival.at, codec, packet, &mut out.copies);

        let (speaker, peer) = (leg.id, leg.peer);
        let has_third_parties = leg.supervised || leg.supervises.is_some();
        let interrupts = received.key_down && leg.voice.as_ref().is_some_and(|voice| voice.key_ends());
        if interrupts {
            self.end_play(now, slot, out);
        }
        let Arrival { buffer, bytes, .. } = arrival;
        let heard = Heard { now, slot, speaker, received, buffer, bytes };
        if has_third_parties {
            self.tell_third_parties(&heard);
        }
        if let Some(peer) = peer {
            self.pass_on(peer, heard, out);
        }
    }

    /// Gives a packet to the leg on the other side of the call.
    fn pass_on(&mut self, peer: u32, mut heard: Heard<'_>, out: &mut Output) {
        let Some(hearer) = self.leg_mut(peer) else {
            return;
        };
        if let Some(voice) = &mut hearer.voice {
            let is_mixed = voice.hear(heard.now, heard.slot, &heard.packet());
            match heard.received.kind {
                PayloadKind::Audio(_) if is_mixed => hearer.say_bridged(heard.speaker, &mut out.events),
                PayloadKind::KeyPress { .. } => self.press_anew(peer, &heard, out),
                PayloadKind::Audio(_) | PayloadKind::ComfortNoise => {}
            }
            return;
        }
        let Some(passage) = hearer.passage(heard.received.kind) else {
            return self.without_passage(peer, &heard, out);
        };
        if let PayloadKind::Audio(codec) = heard.received.kind
            && !hearer.repacks
            && hearer.is_too_long(codec, heard.payload())
        {
            hearer.repacks = true;
            self.arrange(heard.now, peer, out);
        }
        let tables = &self.tables;
        let Some(hearer) = self.legs.get_mut(peer as usize).and_then(Option::as_mut) else {
            return;
        };
        if hearer.transcoder.is_some() {
            return self.transcode(peer, passage, &heard, out);
        }
        if let (PayloadKind::Audio(from), Some(to)) = (heard.received.kind, passage.codec.law())
            && let Some(from) = from.law()
        {
            let Received { header, .. } = heard.received;
            tables.convert(from, to, &mut heard.bytes[header.payload_start..header.payload_end]);
        }
        relay(hearer, LegSlot(peer), passage, &mut heard, out);
    }

    /// A packet that the hearer cannot be given as it is: a key press becomes two tones, comfort noise a pause.
    fn without_passage(&mut self, peer: u32, heard: &Heard<'_>, out: &mut Output) {
        let Some(hearer) = self.leg_mut(peer) else {
            return;
        };
        let is_key = matches!(heard.received.kind, PayloadKind::KeyPress { .. });
        match &mut hearer.transcoder {
            // What comes behind a pause says by its time how long that was.
            Some(transcoder) => transcoder.pass_over(heard.received.place),
            None if !is_key => hearer.interrupt(),
            None => {}
        }
        if is_key {
            self.press_anew(peer, heard, out);
        }
    }

    /// Presses the key that a packet tells of for a hearer who cannot be given the packet itself.
    fn press_anew(&mut self, peer: u32, heard: &Heard<'_>, out: &mut Output) {
        let Some(id) = self.leg(peer).map(|hearer| hearer.id) else { return };
        if let Some(key) = Key::from_event(heard.payload().first().copied().unwrap_or(u8::MAX))
            && heard.received.key_down
        {
            self.press(heard.now, id, key, out);
        }
    }

    /// Gives a packet to the hearer's transcoder and sends what it makes of it.
    fn transcode(&mut self, peer: u32, passage: Passage, heard: &Heard<'_>, out: &mut Output) {
        let Some(hearer) = self.legs.get_mut(peer as usize).and_then(Option::as_mut) else {
            return;
        };
        let Received { header, place, kind, .. } = heard.received;
        match kind {
            PayloadKind::Audio(_) => {
                let Some(transcoder) = &mut hearer.transcoder else { return };
                let spoken = Spoken { place, timestamp: header.timestamp, payload: heard.payload() };
                let late = transcoder.stats().late;
                transcoder.take(heard.now, spoken);
                let (holds, is_late) = (transcoder.deadline(), transcoder.stats().late > late);
                if hearer.send_transcoded(heard.now, LegSlot(peer), out) {
                    hearer.say_bridged(heard.speaker, &mut out.events);
                }
                if holds.is_some() {
                    self.hold_back(peer);
                }
                if is_late && let Some(speaker) = self.leg_mut(heard.slot) {
                    speaker.discard(place);
                }
            }
            PayloadKind::KeyPress { .. } => {
                hearer.send_key_through(heard.now, LegSlot(peer), passage, &heard.received, heard.payload(), out);
            }
            PayloadKind::ComfortNoise => {
                if let Some(transcoder) = &mut hearer.transcoder {
                    transcoder.pass_over(place);
                }
            }
        }
    }

    /// Gives a packet to those who mix it beside the ordinary way: supervisors, and whoever hears a supervisor.
    fn tell_third_parties(&mut self, heard: &Heard<'_>) {
        let Some(speaker) = self.leg(heard.slot) else { return };
        let (is_supervisor, peer) = (speaker.supervises.is_some(), speaker.peer);
        let sides = self.sides(heard.slot);
        let is_secure = sides.into_iter().flatten().any(|side| self.leg(side).is_some_and(|leg| leg.secure));
        let packet = heard.packet();
        // While a card number is typed or said, supervisors hear the sound of the room.
        let kept_back = Packet { payload: Payload::Other, ..packet };
        let packet = if is_secure && !is_supervisor { kept_back } else { packet };
        for hearer in sides.into_iter().flatten().filter(|&side| side != heard.slot && Some(side) != peer) {
            if let Some(voice) = self.leg_mut(hearer).and_then(|leg| leg.voice.as_mut()) {
                voice.hear(heard.now, heard.slot, &packet);
            }
        }
        for index in 0..self.supervisors.len() {
            let hearer = self.supervisors[index];
            if hearer != heard.slot
                && self.supervises_one_of(hearer, sides)
                && let Some(voice) = self.leg_mut(hearer).and_then(|leg| leg.voice.as_mut())
            {
                voice.hear(heard.now, heard.slot, &packet);
            }
        }
    }
}

impl Heard<'_> {
    /// The packet as a mixer takes it.
    fn packet(&self) -> Packet<'_> {
        let RtpHeader { ssrc, sequence, timestamp, .. } = self.received.header;
        let payload = match self.received.kind {
            PayloadKind::Audio(_) => Payload::Audio(self.payload()),
            PayloadKind::ComfortNoise => {
                Payload::ComfortNoise { level: self.payload().first().copied().unwrap_or(NOISE_LEVEL) & 0x7f }
            }
            PayloadKind::KeyPress { .. } => Payload::Other,
        };
        Packet { ssrc, sequence, timestamp, payload }
    }

    fn payload(&self) -> &[u8] {
        &self.bytes[self.received.header.payload_start..self.received.header.payload_end]
    }
}

/// Rewrites a packet in place and sends it.
fn relay(hearer: &mut Leg, slot: LegSlot, passage: Passage, heard: &mut Heard<'_>, out: &mut Output) {
    let Received { header, place, kind, .. } = heard.received;
    let audio_ticks = match kind {
        PayloadKind::Audio(codec) => Some(codec.ticks_in(&heard.bytes[header.payload_start..header.payload_end])),
        PayloadKind::ComfortNoise => Some(0),
        PayloadKind::KeyPress { clock_hz } => {
            let press = &mut heard.bytes[header.payload_start..header.payload_end];
            rescale_duration(press, clock_hz, passage.event_clock_hz);
            None
        }
    };
    let packet = Relayed {
        from: heard.slot,
        place,
        timestamp: header.timestamp,
        marker: header.marker,
        audio_ticks,
        payload_type: passage.payload_type,
    };
    let Some(stamp) = hearer.outgoing.relay(heard.now, packet) else {
        return;
    };

    // Our header stands directly before the payload; whatever else the old one carried is left out.
    let start = header.payload_start - HEADER_BYTES;
    heard.bytes[start..header.payload_start].copy_from_slice(&stamp.to_bytes());
    let codec = hearer.codec_sent(stamp.payload_type);
    hearer.copy(Way::Heard, heard.now, codec, &heard.bytes[start..header.payload_end], &mut out.copies);
    let captured = out.captures.len();
    let captures = &mut Captures::new(&mut out.captures, &mut out.captures_left_out);
    let course = (Way::Heard, Channel::Media, passage.to);
    hearer.capture.take(heard.now, course, &heard.bytes[start..header.payload_end], captures);
    let Some(length) = hearer.seal(&mut heard.bytes[start..], header.payload_end - start) else {
        return out.captures.truncate(captured);
    };
    hearer.count_sent(heard.now, &stamp, header.payload_bytes());
    hearer.say_bridged(heard.speaker, &mut out.events);
    let datagram = Datagram::Received { buffer: heard.buffer, start: start as u16, end: (start + length) as u16 };
    out.packets.push(Departure { slot, channel: Channel::Media, to: passage.to, datagram });
}

/// What an empty comfort-noise packet is taken to say, -dBov.
const NOISE_LEVEL: u8 = 70;
