//! The one stream a leg's far end receives from us, whatever feeds it: relayed packets, prompts, one after the other.
//!
//! Only numbers packets (RFC 3550 §5.1); payload and addresses are not its business. Within one relayed source, gaps
//! and reordering stay visible; where the source changes, the sequence goes on by one and time by what has passed.

use std::time::Duration;

use crate::packet::{Ssrc, Stamp};
use crate::sequence::Place;

/// A relayed packet as the stream sees it.
#[derive(Debug, Clone, Copy)]
pub struct Relayed {
    /// Who sent it: a number that names the sending leg.
    pub from: u32,
    /// Where it stands among that leg's packets.
    pub place: Place,
    /// Its timestamp on the wire.
    pub timestamp: u32,
    /// Its marker bit.
    pub marker: bool,
    /// Ticks of audio it carries; `None` for telephone-events, whose timestamp is that of the key press.
    pub audio_ticks: Option<u32>,
    /// The payload type to send it with.
    pub payload_type: u8,
}

/// The numbering of what we send on one leg.
#[derive(Debug)]
pub struct Outgoing {
    ssrc: Ssrc,
    /// Ticks of the timestamp per second.
    clock_hz: u32,
    /// The highest sequence sent, widened.
    sequence: u64,
    /// The highest timestamp sent, widened.
    timestamp: u64,
    /// Ticks in the packet that carries `timestamp`.
    span: u32,
    /// When the packet that carries `timestamp` was sent; `None` before the first.
    sent_at: Option<Duration>,
    feed: Feed,
    /// The next audio packet begins a talkspurt.
    marker_due: bool,
}

/// What feeds the stream at present.
#[derive(Debug)]
enum Feed {
    Nothing,
    Own,
    Relay(Anchor),
}

/// How one relayed source's numbers map to ours.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    from: u32,
    epoch: u32,
    position: u64,
    sequence: u64,
    /// The lowest sequence that may still be filled.
    sequence_min: u64,
    /// The lowest timestamp of this mapping.
    timestamp_min: u64,
    /// A pair of equal moments, moved along so that differences stay small.
    theirs: u32,
    ours: u64,
}

impl Outgoing {
    /// A stream that begins at random numbers, as RFC 3550 §5.1 wants.
    pub fn new(ssrc: Ssrc, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            clock_hz: 8_000,
            // One cycle up: the numbers are widened and never go below zero.
            sequence: (1 << 16) + u64::from(sequence),
            timestamp: (1 << 32) + u64::from(timestamp),
            span: 0,
            sent_at: None,
            feed: Feed::Nothing,
            marker_due: true,
        }
    }

    /// Sets the clock of the codec that was agreed; what was sent keeps its numbers (RFC 7160 §4.1).
    pub fn set_clock(&mut self, clock_hz: u32) {
        self.clock_hz = clock_hz;
    }

    /// The name of the stream.
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Numbers a packet that we make ourselves, `span` ticks long; `resumes` after a pause in our own making.
    pub fn make(&mut self, now: Duration, payload_type: u8, span: u32, resumes: bool) -> Stamp {
        let continues = matches!(self.feed, Feed::Own) && !resumes;
        let timestamp = if continues { self.timestamp + u64::from(self.span) } else { self.next_timestamp(now) };
        self.feed = Feed::Own;
        let stamp = Stamp {
            marker: !continues,
            payload_type,
            sequence: (self.sequence + 1) as u16,
            timestamp: timestamp as u32,
            ssrc: self.ssrc,
        };
        self.marker_due = false;
        self.sent(now, self.sequence + 1, timestamp, span);
        stamp
    }

    /// Numbers a relayed packet; `None` when it is too late to have a number of its own.
    pub fn relay(&mut self, now: Duration, packet: Relayed) -> Option<Stamp> {
        let anchor = match self.feed {
            Feed::Relay(anchor) if anchor.from == packet.from && anchor.epoch == packet.place.epoch => anchor,
            Feed::Nothing | Feed::Own | Feed::Relay(_) => self.take_over(now, &packet),
        };

        let sequence = (anchor.sequence + packet.place.position).checked_sub(anchor.position)?;
        if sequence < anchor.sequence_min {
            return None;
        }
        let timestamp = if sequence > self.sequence {
            self.advance(now, anchor, sequence, &packet)
        } else {
            self.fill(anchor, &packet)?
        };

        let marker_due = packet.audio_ticks.is_some() && std::mem::take(&mut self.marker_due);
        Some(Stamp {
            marker: packet.marker || marker_due,
            payload_type: packet.payload_type,
            sequence: sequence as u16,
            timestamp: timestamp as u32,
            ssrc: self.ssrc,
        })
    }

    /// A packet is withheld: what comes next follows what was sent, so that a hold does not look like loss.
    pub fn interrupt(&mut self) {
        if let Feed::Relay(_) = self.feed {
            self.feed = Feed::Nothing;
        }
    }

    /// The anchor of a new source, whose first packet follows what was sent.
    fn take_over(&mut self, now: Duration, packet: &Relayed) -> Anchor {
        let sequence = self.sequence + 1;
        let timestamp = self.next_timestamp(now);
        self.marker_due = true;
        Anchor {
            from: packet.from,
            epoch: packet.place.epoch,
            position: packet.place.position,
            sequence,
            sequence_min: sequence,
            timestamp_min: timestamp,
            theirs: packet.timestamp,
            ours: timestamp,
        }
    }

    /// The timestamp of a packet newer than all before; mends the anchor when the source's clock has jumped.
    fn advance(&mut self, now: Duration, mut anchor: Anchor, sequence: u64, packet: &Relayed) -> u64 {
        let mapped = anchor.map(packet.timestamp);
        let elapsed = self.sent_at.map_or(0, |at| self.ticks(now.saturating_sub(at)));
        let jump = JUMP_S * u64::from(self.clock_hz);
        let latest = self.timestamp + elapsed + jump;
        let earliest = match packet.audio_ticks {
            Some(_) => self.timestamp,
            None => self.timestamp.saturating_sub(jump),
        };

        let timestamp = match mapped {
            Some(mapped) if (earliest..=latest).contains(&mapped) => mapped,
            Some(_) | None => {
                self.marker_due = true;
                anchor.theirs = packet.timestamp;
                anchor.ours = self.next_timestamp(now);
                anchor.sequence_min = sequence;
                anchor.timestamp_min = anchor.ours;
                anchor.ours
            }
        };
        if packet.audio_ticks.is_some() {
            anchor.theirs = packet.timestamp;
            anchor.ours = timestamp;
        }
        self.feed = Feed::Relay(anchor);
        self.sent(now, sequence, timestamp, packet.audio_ticks.unwrap_or(0));
        timestamp
    }

    /// The timestamp of a late packet, which must lie among those already sent.
    fn fill(&self, anchor: Anchor, packet: &Relayed) -> Option<u64> {
        let mapped = anchor.map(packet.timestamp)?;
        let among = packet.audio_ticks.is_none() || (anchor.timestamp_min..=self.timestamp).contains(&mapped);
        among.then_some(mapped)
    }

    /// The moment after everything sent: real time has passed, and at least the last packet.
    fn next_timestamp(&self, now: Duration) -> u64 {
        let Some(at) = self.sent_at else {
            return self.timestamp;
        };
        self.timestamp + self.ticks(now.saturating_sub(at)).max(u64::from(self.span))
    }

    /// A span of real time in ticks, rounded down.
    fn ticks(&self, span: Duration) -> u64 {
        let clock_hz = u64::from(self.clock_hz);
        span.as_secs() * clock_hz + u64::from(span.subsec_micros()) * clock_hz / 1_000_000
    }

    fn sent(&mut self, now: Duration, sequence: u64, timestamp: u64, span: u32) {
        self.sequence = sequence;
        if timestamp > self.timestamp || self.sent_at.is_none() {
            self.timestamp = timestamp;
            self.sent_at = Some(now);
            self.span = if span == 0 { self.span } else { span };
        }
    }
}

impl Anchor {
    fn map(&self, theirs: u32) -> Option<u64> {
        // The signed difference modulo 2^32 is the short way round the circle.
        let step = theirs.wrapping_sub(self.theirs) as i32;
        self.ours.checked_add_signed(i64::from(step))
    }
}

/// How far a source's clock may run from real time before it counts as a jump.
const JUMP_S: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_keeps_its_gaps() {
        let mut script = Script::new();
        script.relay(0, 1, 10, 0);
        script.relay(20, 1, 11, 160);
        script.relay(80, 1, 14, 640);
        script.expect(&[(0, 0, true), (1, 160, false), (4, 640, false)]);
    }

    #[test]
    fn late_packet_keeps_its_place() {
        let mut script = Script::new();
        script.relay(0, 1, 10, 0);
        script.relay(40, 1, 12, 320);
        script.relay(41, 1, 11, 160);
        script.expect(&[(0, 0, true), (2, 320, false), (1, 160, false)]);
    }

    #[test]
    fn change_of_source_goes_on_by_one_and_by_time() {
        let mut script = Script::new();
        script.relay(0, 1, 10, 0);
        script.relay(5, 2, 900, 77_777);
        script.relay(25, 2, 901, 77_937);
        script.relay(525, 1, 50, 4_000);
        script.expect(&[(0, 0, true), (1, 160, true), (2, 320, false), (3, 320 + 4_000, true)]);
    }

    #[test]
    fn prompt_between_relayed_packets() {
        let mut script = Script::new();
        script.relay(0, 1, 10, 0);
        script.make(10, false);
        script.make(30, false);
        script.relay(60, 1, 13, 480);
        script.expect(&[(0, 0, true), (1, 160, true), (2, 320, false), (3, 560, true)]);
    }

    #[test]
    fn pause_in_our_own_making_counts_as_time() {
        let mut script = Script::new();
        script.make(0, false);
        script.make(1_000, true);
        script.expect(&[(0, 0, true), (1, 8_000, true)]);
    }

    #[test]
    fn clock_jump_inside_a_source_is_mended() {
        let mut script = Script::new();
        script.relay(0, 1, 10, 1_000_000);
        script.relay(20, 1, 11, 5);
        script.relay(40, 1, 12, 165);
        script.relay(41, 1, 10, 0);
        script.expect(&[(0, 0, true), (1, 160, true), (2, 320, false)]);
    }

    #[test]
    fn key_press_keeps_its_own_time() {
        let mut script = Script::new();
        script.relay(0, 1, 10, 0);
        script.event(20, 1, 11, 160);
        script.relay(21, 1, 12, 160);
        script.relay(40, 1, 13, 320);
        script.event(41, 1, 14, 160);
        script.relay(60, 1, 15, 480);
        script.expect(&[
            (0, 0, true),
            (1, 160, false),
            (2, 160, false),
            (3, 320, false),
            (4, 160, false),
            (5, 480, false),
        ]);
    }

    #[test]
    fn wire_numbers_roll_over() {
        let mut stream = Outgoing::new(Ssrc(9), u16::MAX, u32::MAX);
        let first = stream.make(Duration::ZERO, 0, 160, false);
        let second = stream.make(Duration::from_millis(20), 0, 160, false);
        assert_eq!((first.sequence, first.timestamp), (0, u32::MAX));
        assert_eq!((second.sequence, second.timestamp), (1, 159));
    }

    /// A stream that begins at sequence -1 and timestamp 0, so that expectations count from zero.
    struct Script {
        stream: Outgoing,
        got: Vec<(u16, u32, bool)>,
    }

    impl Script {
        fn new() -> Self {
            Self { stream: Outgoing::new(Ssrc(9), u16::MAX, 0), got: Vec::new() }
        }

        fn make(&mut self, at_ms: u64, resumes: bool) {
            let stamp = self.stream.make(Duration::from_millis(at_ms), 0, 160, resumes);
            self.got.push((stamp.sequence, stamp.timestamp, stamp.marker));
        }

        fn relay(&mut self, at_ms: u64, source: u32, position: u64, timestamp: u32) {
            self.packet(at_ms, source, position, timestamp, Some(160));
        }

        fn event(&mut self, at_ms: u64, source: u32, position: u64, timestamp: u32) {
            self.packet(at_ms, source, position, timestamp, None);
        }

        fn packet(&mut self, at_ms: u64, source: u32, position: u64, timestamp: u32, audio_ticks: Option<u32>) {
            let place = Place { epoch: source, position };
            let packet = Relayed { from: source, place, timestamp, marker: false, audio_ticks, payload_type: 0 };
            if let Some(stamp) = self.stream.relay(Duration::from_millis(at_ms), packet) {
                self.got.push((stamp.sequence, stamp.timestamp, stamp.marker));
            }
        }

        #[track_caller]
        fn expect(&self, expected: &[(u16, u32, bool)]) {
            assert_eq!(self.got, expected);
        }
    }
}
