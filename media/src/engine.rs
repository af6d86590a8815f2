//! The media path as a state machine: packets, orders and time go in; datagrams, copies and events come out.
//!
//! Owns all legs of one media thread and nothing else: sockets, clock and queues are its owner's. The path of a packet
//! allocates nothing and waits for nothing.

mod law;
mod orders;
mod output;
mod playing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use self::law::Tables;
pub use self::output::{Datagram, Departure, LegSlot, Output, TAP_BYTES_MAX, TapFrame};
use crate::leg::{Arrival, Leg, PayloadKind, Received};
use crate::packet::HEADER_BYTES;
use crate::play::Hold;
use crate::relay::Relayed;
use crate::{Command, Event, LegId, LegStats};

/// One thing that happens to the media path.
#[derive(Debug)]
pub enum Input<'a> {
    /// An order of call control.
    Command(Command),
    /// A datagram on a leg's socket. It may be rewritten in place to become the one that leaves.
    Packet {
        /// The leg whose socket received it.
        slot: LegSlot,
        /// Who sent it.
        from: SocketAddr,
        /// The owner's number of the buffer, returned in [`Datagram::Received`].
        buffer: u16,
        /// The datagram.
        bytes: &'a mut [u8],
    },
    /// The deadline has come.
    Tick,
}

/// The state of all legs of one media thread.
#[derive(Debug)]
pub struct Engine {
    legs: Vec<Option<Leg>>,
    free: Vec<u32>,
    slots: BTreeMap<LegId, u32>,
    /// The slots of legs to which a sound plays.
    playing: Vec<u32>,
    /// Buffers for ducking, ready for use.
    holds: Vec<Hold>,
    tables: Tables,
    random: Random,
    play_due: Option<Duration>,
    watch_due: Duration,
    refused: u64,
}

impl Engine {
    /// An engine for at most `legs_max` legs; `seed` chooses SSRCs and first numbers.
    pub fn new(legs_max: usize, seed: u64) -> Self {
        let legs_max = u32::try_from(legs_max).unwrap_or(u32::MAX);
        Self {
            legs: (0..legs_max).map(|_| None).collect(),
            free: (0..legs_max).rev().collect(),
            slots: BTreeMap::new(),
            playing: Vec::with_capacity(legs_max as usize),
            holds: Vec::with_capacity(legs_max as usize),
            tables: Tables::new(),
            random: Random(seed),
            play_due: None,
            watch_due: Duration::ZERO,
            refused: 0,
        }
    }

    /// Takes one input at `now`, the time since start; `now` never runs backwards.
    pub fn handle(&mut self, now: Duration, input: Input<'_>, out: &mut Output) {
        match input {
            Input::Packet { slot, from, buffer, bytes } => self.packet(now, slot, from, buffer, bytes, out),
            Input::Command(command) => self.order(now, command, out),
            Input::Tick => self.tick(now, out),
        }
    }

    /// When a `Tick` is due next, and why; in the past when the lists of the last one were full.
    pub fn deadline(&self) -> Option<(Duration, &'static str)> {
        if self.slots.is_empty() {
            return None;
        }
        match self.play_due {
            Some(due) if due < self.watch_due => Some((due, "next frame of a sound")),
            Some(_) | None => Some((self.watch_due, "look for silent legs")),
        }
    }

    /// The slot of an open leg.
    pub fn slot(&self, leg: LegId) -> Option<LegSlot> {
        self.slots.get(&leg).copied().map(LegSlot)
    }

    /// The figures of an open leg so far.
    pub fn stats(&self, leg: LegId) -> Option<LegStats> {
        let slot = *self.slots.get(&leg)?;
        self.leg(slot).map(Leg::stats)
    }

    /// Datagrams refused so far, on all legs.
    pub fn packets_refused(&self) -> u64 {
        self.refused
    }

    /// Remembers that a copied packet of `leg` was dropped before the listening side took it.
    pub fn count_tap_drop(&mut self, leg: LegId) {
        if let Some(&slot) = self.slots.get(&leg)
            && let Some(leg) = self.leg_mut(slot)
        {
            leg.tap_dropped += 1;
        }
    }

    /// The way of one packet: check, copy, rewrite, send.
    fn packet(
        &mut self,
        now: Duration,
        LegSlot(slot): LegSlot,
        from: SocketAddr,
        buffer: u16,
        bytes: &mut [u8],
        out: &mut Output,
    ) {
        let Some(leg) = self.leg_mut(slot) else {
            return;
        };
        let received = match leg.receive(now, from, bytes, &mut out.events) {
            Arrival::Taken(received) => received,
            Arrival::Withheld => {
                let peer = leg.peer;
                if let Some(hearer) = peer.and_then(|peer| self.leg_mut(peer)) {
                    hearer.outgoing.interrupt();
                }
                return;
            }
            Arrival::Refused => {
                self.refused += 1;
                return;
            }
        };
        if leg.tapped {
            match TapFrame::new(leg.id, now, bytes) {
                Some(frame) => out.frames.push(frame),
                None => leg.tap_dropped += 1,
            }
        }

        let speaker = leg.id;
        let Some(peer) = leg.peer else {
            return;
        };
        if let Some((start, end, to)) = self.pass_on(now, slot, speaker, peer, received, bytes, out) {
            let datagram = Datagram::Received { buffer, start: start as u16, end: end as u16 };
            out.packets.push(Departure { slot: LegSlot(peer), to, datagram });
        }
    }

    /// Gives a packet to the leg that hears it; returns where the rewritten datagram lies and where it goes.
    #[expect(clippy::too_many_arguments, reason = "one packet's way, spelled out")]
    fn pass_on(
        &mut self,
        now: Duration,
        from: u32,
        speaker: LegId,
        hearer: u32,
        received: Received,
        bytes: &mut [u8],
        out: &mut Output,
    ) -> Option<(usize, usize, SocketAddr)> {
        let tables = &self.tables;
        let hearer = self.legs.get_mut(hearer as usize)?.as_mut()?;
        let Some(passage) = hearer.passage(received.kind) else {
            hearer.outgoing.interrupt();
            return None;
        };
        let Received { header, place, kind } = received;
        let payload = bytes.get_mut(header.payload_start..header.payload_end)?;

        if let Some(player) = &mut hearer.player {
            let other = player.other()?;
            if let PayloadKind::Audio(codec) = kind {
                other.put(from, place, header.timestamp, law::decode(codec.law()?, payload));
                say_bridged(hearer, speaker, &mut out.events);
            }
            return None;
        }

        let audio_samples = match kind {
            PayloadKind::Audio(codec) => {
                tables.convert(codec.law()?, passage.codec.law()?, payload);
                Some(payload.len() as u32)
            }
            PayloadKind::ComfortNoise => Some(0),
            PayloadKind::KeyPress => None,
        };
        let packet = Relayed {
            from,
            place,
            timestamp: header.timestamp,
            marker: header.marker,
            audio_samples,
            payload_type: passage.payload_type,
        };
        let stamp = hearer.outgoing.relay(now, packet)?;

        // Our header stands directly before the payload; whatever else the old one carried is left out.
        let start = header.payload_start - HEADER_BYTES;
        bytes.get_mut(start..header.payload_start)?.copy_from_slice(&stamp.to_bytes());
        hearer.packets_sent += 1;
        say_bridged(hearer, speaker, &mut out.events);
        Some((start, header.payload_end, passage.to))
    }

    fn tick(&mut self, now: Duration, out: &mut Output) {
        self.play(now, out);
        if now >= self.watch_due {
            self.watch(now, out);
        }
    }

    /// Says which legs are silent.
    fn watch(&mut self, now: Duration, out: &mut Output) {
        for leg in self.legs.iter_mut().flatten() {
            if out.is_full() {
                return;
            }
            if let Some(silence) = leg.silence_to_say(now) {
                out.events.push(Event::Silent { leg: leg.id, silence });
            }
        }
        self.watch_due = now + WATCH_EVERY;
    }

    fn leg(&self, slot: u32) -> Option<&Leg> {
        self.legs.get(slot as usize)?.as_ref()
    }

    fn leg_mut(&mut self, slot: u32) -> Option<&mut Leg> {
        self.legs.get_mut(slot as usize)?.as_mut()
    }
}

/// Says once per bridge that `speaker` reached `hearer`.
fn say_bridged(hearer: &mut Leg, speaker: LegId, events: &mut Vec<Event>) {
    if !std::mem::replace(&mut hearer.bridged_said, true) {
        events.push(Event::Bridged { leg: hearer.id, from: speaker });
    }
}

/// How often silence is looked for.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// SplitMix64: numbers that a stranger does not guess by chance; no secrets depend on them.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
