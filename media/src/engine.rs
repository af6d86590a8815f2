//! The media path as a state machine: packets, orders and time go in; datagrams, copies and events come out.
//!
//! Owns all legs of one media thread and nothing else: sockets, clock and queues are its owner's. The path of a packet
//! allocates nothing and waits for nothing.

mod audio;
mod control;
mod hearing;
mod law;
mod orders;
mod output;
#[cfg(test)]
mod tests;
mod ticking;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

pub use self::hearing::SUPERVISORS_MAX;
use self::law::Tables;
pub use self::output::{
    Channel, CopiedPacket, Datagram, Departure, LegSlot, Output, TAP_BYTES_MAX, TapFrame, Tie, Way,
};
use crate::leg::Leg;
use crate::packet::PACKET_BYTES_MAX;
use crate::srtp::TRAILER_BYTES_MAX;
use crate::{Command, Event, LegId, LegStats, rtcp, stun};

/// Octets of a buffer for datagrams: the longest packet, one more so that what was cut short is refused, and room for
/// what protection adds.
pub const BUFFER_BYTES: usize = PACKET_BYTES_MAX + 1 + TRAILER_BYTES_MAX;

/// One thing that happens to the media path.
#[derive(Debug)]
pub enum Input<'a> {
    /// An order of call control.
    Command(Command),
    /// A datagram on a leg's socket.
    Packet(Arrival<'a>),
    /// The deadline has come.
    Tick,
}

/// A datagram as it arrived. It may be rewritten in place to become the one that leaves.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// The leg whose socket received it.
    pub slot: LegSlot,
    /// On which of its two ports.
    pub channel: Channel,
    /// Who sent it.
    pub from: SocketAddr,
    /// When it reached this machine, since start; not later than now.
    pub at: Duration,
    /// The owner's number of the buffer, returned in [`Datagram::Received`].
    pub buffer: u16,
    /// The whole buffer, of [`BUFFER_BYTES`].
    pub bytes: &'a mut [u8],
    /// Octets of the datagram, at the buffer's beginning.
    pub length: usize,
}

/// The state of all legs of one media thread.
#[derive(Debug)]
pub struct Engine {
    legs: Vec<Option<Leg>>,
    free: Vec<u32>,
    slots: BTreeMap<LegId, u32>,
    /// The slots of legs for which audio is made on the tick.
    voiced: Vec<u32>,
    /// The slots of legs whose transcoder holds a packet back.
    holding: Vec<u32>,
    /// The slots of supervisors.
    supervisors: Vec<u32>,
    tables: Tables,
    random: Random,
    tick_due: Option<Duration>,
    watch_due: Duration,
    refused: u64,
    /// Legs opened so far.
    opened: u32,
}

impl Engine {
    /// An engine for at most `legs_max` legs; `seed` chooses SSRCs and first numbers.
    pub fn new(legs_max: usize, seed: u64) -> Self {
        let legs_max = u32::try_from(legs_max).unwrap_or(u32::MAX);
        Self {
            legs: (0..legs_max).map(|_| None).collect(),
            free: (0..legs_max).rev().collect(),
            slots: BTreeMap::new(),
            voiced: Vec::with_capacity(legs_max as usize),
            holding: Vec::with_capacity(legs_max as usize),
            supervisors: Vec::new(),
            tables: Tables::new(),
            random: Random(seed),
            tick_due: None,
            watch_due: Duration::ZERO,
            refused: 0,
            opened: 0,
        }
    }

    /// Takes one input at `now`, the time since start; `now` never runs backwards.
    pub fn handle(&mut self, now: Duration, input: Input<'_>, out: &mut Output) {
        match input {
            Input::Packet(arrival) => self.packet(now, arrival, out),
            Input::Command(command) => self.order(now, command, out),
            Input::Tick => self.tick(now, out),
        }
    }

    /// When a `Tick` is due next, and why; in the past when the lists of the last one were full.
    pub fn deadline(&self) -> Option<(Duration, &'static str)> {
        if self.slots.is_empty() {
            return None;
        }
        match self.tick_due {
            Some(due) if due < self.watch_due => Some((due, "next frame of a sound")),
            Some(_) | None => Some((self.watch_due, "look for silent legs, reports that are due and ties")),
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

    /// Tells what arrives on a leg's ports apart (RFC 7983, RFC 5761 §4).
    fn packet(&mut self, now: Duration, arrival: Arrival<'_>, out: &mut Output) {
        let datagram = &arrival.bytes[..arrival.length];
        match datagram.first() {
            None => {}
            Some(0..=3) if stun::is_stun(datagram) => self.check(now, &arrival, out),
            Some(20..=63) => self.shake_hands(now, &arrival, out),
            Some(_) if arrival.channel == Channel::Control || rtcp::is_control(datagram) => {
                self.control_packet(now, arrival);
            }
            Some(_) => self.audio_packet(now, arrival, out),
        }
    }

    fn tick(&mut self, now: Duration, out: &mut Output) {
        self.make_audio(now, out);
        if now >= self.watch_due {
            self.watch(now, out);
        }
    }

    /// Says which legs are silent, and sends the reports that are due.
    fn watch(&mut self, now: Duration, out: &mut Output) {
        for slot in 0..self.legs.len() as u32 {
            if out.is_full() {
                return;
            }
            let Some(leg) = self.leg_mut(slot) else { continue };
            if let Some(silence) = leg.silence_to_say(now) {
                out.events.push(Event::Silent { leg: leg.id, silence });
            }
            leg.watch(now);
            leg.report(now, LegSlot(slot), out);
            let slot = LegSlot(slot);
            out.ties.extend(leg.judge_tie(now).map(|to| Tie { slot, to }));
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

/// How often silence, due reports and ties are looked for.
const WATCH_EVERY: Duration = Duration::from_millis(100);

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
