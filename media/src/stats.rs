//! What one leg receives, in figures: loss, jitter, bursts and discards (RFC 3550 §A.3 and §A.8, RFC 3611 §4.7).
//!
//! Only counts: it neither drops nor delays anything. Arrival is an argument: the loop's time or the kernel's.

mod bursts;

use std::time::Duration;

pub(crate) use self::bursts::ratio;
pub use self::bursts::{GAP_PACKETS_MIN, Pattern};
use crate::packet::{RtpHeader, Ssrc};
use crate::sequence::{Place, Verdict};

/// Samples per second of the telephone's clock.
pub(crate) const CLOCK_HZ: u64 = 8_000;

/// The reception figures of one leg, over all sources it heard.
#[derive(Debug)]
pub struct Reception {
    clock_hz: u32,
    received: u64,
    bytes: u64,
    /// Expected and missing in sources that have ended.
    expected_before: u64,
    lost_before: u64,
    current: Option<Run>,
    bursts: bursts::Bursts,
    /// Ticks of `clock_hz`.
    jitter_ticks: f32,
    /// Ticks in one packet, as timestamps show it.
    packet_ticks: Option<u32>,
}

/// What a report block says of one source (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Who is reported on.
    pub source: Ssrc,
    /// Lost since the last account, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the source began; less than zero when packets came twice.
    pub lost: i32,
    /// The highest sequence number with its count of cycles.
    pub highest: u32,
    /// Interarrival jitter, ticks of the timestamp's clock.
    pub jitter_ticks: u32,
}

/// A source's packets.
#[derive(Debug)]
struct Run {
    source: Ssrc,
    first: u64,
    highest: u64,
    received: u64,
    /// Arrival minus timestamp, ticks modulo 2^32, of the last audio packet.
    transit: Option<u32>,
    /// Position and timestamp of the newest audio packet.
    newest: Option<(u64, u32)>,
    /// Expected and received when the last account was given.
    told: (u64, u64),
}

impl Default for Reception {
    fn default() -> Self {
        Self {
            clock_hz: CLOCK_HZ as u32,
            received: 0,
            bytes: 0,
            expected_before: 0,
            lost_before: 0,
            current: None,
            bursts: bursts::Bursts::default(),
            jitter_ticks: 0.0,
            packet_ticks: None,
        }
    }
}

impl Reception {
    /// Timestamps count at this rate from now on, Hz; `Codec::clock_hz` tells it.
    pub fn set_clock(&mut self, clock_hz: u32) {
        if clock_hz == self.clock_hz || clock_hz == 0 {
            return;
        }
        self.jitter_ticks *= clock_hz as f32 / self.clock_hz as f32;
        self.clock_hz = clock_hz;
        self.packet_ticks = None;
        if let Some(run) = &mut self.current {
            run.transit = None;
            run.newest = None;
        }
    }

    /// Counts a packet that was placed; `audio` is false for packets whose timestamp does not tell their time.
    pub fn count(&mut self, arrival: Duration, verdict: Verdict, header: &RtpHeader, audio: bool) {
        let place = match verdict {
            Verdict::Begins(place) => {
                self.begin(place, header.ssrc);
                place
            }
            Verdict::Advances(place) | Verdict::Fills(place) => {
                self.follow(place, header.ssrc);
                place
            }
            Verdict::Duplicate | Verdict::Stale | Verdict::Jumped => return,
        };
        self.received += 1;
        self.bytes += header.payload_bytes() as u64;
        if audio {
            self.measure_packet(place, header.timestamp);
            self.measure_jitter(arrival, header.timestamp);
        }
    }

    /// A packet that was counted came too late or found no room: the jitter buffer threw it away.
    pub fn discard(&mut self, place: Place) {
        self.bursts.discard(place.position);
    }

    /// Packets taken.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Payload octets taken.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Packets sent to us so far, over all sources, as their numbers tell.
    pub fn expected(&self) -> u64 {
        self.expected_before + self.current.as_ref().map_or(0, Run::expected)
    }

    /// Packets missing so far, over all sources.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.current.as_ref().map_or(0, Run::lost)
    }

    /// Packets that the jitter buffer threw away.
    pub fn discarded(&self) -> u64 {
        self.bursts.discarded()
    }

    /// How lost and discarded packets lie.
    pub fn pattern(&self) -> Pattern {
        self.bursts.pattern()
    }

    /// Interarrival jitter, milliseconds.
    pub fn jitter_ms(&self) -> f32 {
        self.jitter_ticks * 1_000.0 / self.clock_hz as f32
    }

    /// Milliseconds of audio in one packet, once two neighbours came.
    pub fn packet_ms(&self) -> Option<f32> {
        self.packet_ticks.map(|ticks| ticks as f32 * 1_000.0 / self.clock_hz as f32)
    }

    /// Who is heard at present.
    pub fn source(&self) -> Option<Ssrc> {
        self.current.as_ref().map(|run| run.source)
    }

    /// The account of the present source since the last one; `None` when nothing came since.
    pub fn account(&mut self) -> Option<Account> {
        let jitter_ticks = self.jitter_ticks as u32;
        let run = self.current.as_mut()?;
        let (expected, received) = (run.expected(), run.received);
        let (expected_told, received_told) = std::mem::replace(&mut run.told, (expected, received));
        if received == received_told {
            return None;
        }

        let expected_since = expected - expected_told;
        let lost_since = expected_since.saturating_sub(received - received_told);
        let fraction = (lost_since * 256).checked_div(expected_since).unwrap_or(0);
        Some(Account {
            source: run.source,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: i32::try_from(run.lost()).unwrap_or(i32::MAX),
            // The first cycle has the number one inside, and the number zero on the wire.
            highest: run.highest.saturating_sub(1 << 16) as u32,
            jitter_ticks,
        })
    }

    fn begin(&mut self, place: Place, source: Ssrc) {
        (self.expected_before, self.lost_before) = (self.expected(), self.lost());
        self.bursts.begin(place.position);
        self.current = Some(Run {
            source,
            first: place.position,
            highest: place.position,
            received: 1,
            transit: None,
            newest: None,
            told: (0, 0),
        });
    }

    fn follow(&mut self, place: Place, source: Ssrc) {
        let Some(run) = &mut self.current else {
            return self.begin(place, source);
        };
        run.highest = run.highest.max(place.position);
        run.received += 1;
        self.bursts.take(place.position);
    }

    fn measure_packet(&mut self, place: Place, timestamp: u32) {
        let Some(run) = &mut self.current else {
            return;
        };
        if let Some((position, before)) = run.newest
            && place.position == position + 1
        {
            let ticks = timestamp.wrapping_sub(before);
            // Longer steps are pauses.
            if (1..=self.clock_hz / 5).contains(&ticks) {
                self.packet_ticks = Some(ticks);
            }
        }
        if run.newest.is_none_or(|(position, _)| place.position > position) {
            run.newest = Some((place.position, timestamp));
        }
    }

    fn measure_jitter(&mut self, arrival: Duration, timestamp: u32) {
        let Some(run) = &mut self.current else {
            return;
        };
        let transit = (ticks(arrival, self.clock_hz) as u32).wrapping_sub(timestamp);
        if let Some(before) = run.transit.replace(transit) {
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // A timestamp jump is not jitter.
            if difference < self.clock_hz {
                self.jitter_ticks += (difference as f32 - self.jitter_ticks) / 16.0;
            }
        }
    }
}

impl Run {
    fn expected(&self) -> u64 {
        self.highest - self.first + 1
    }

    fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }
}

/// A span in ticks of a clock, rounded down to whole ticks of whole microseconds.
pub(crate) fn ticks(span: Duration, clock_hz: u32) -> u64 {
    let clock_hz = u64::from(clock_hz);
    span.as_secs() * clock_hz + u64::from(span.subsec_micros()) * clock_hz / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Stamp;
    use crate::sequence::Sequencer;

    #[test]
    fn nothing_lost() {
        check(&[(1, 1), (1, 2), (1, 3)], 3, 0);
    }

    #[test]
    fn gap_and_late_packet() {
        check(&[(1, 1), (1, 5)], 2, 3);
        check(&[(1, 1), (1, 5), (1, 3)], 3, 2);
    }

    #[test]
    fn duplicates_hide_no_loss() {
        check(&[(1, 1), (1, 3), (1, 3), (1, 3)], 2, 1);
    }

    #[test]
    fn loss_adds_up_over_sources() {
        check(&[(1, 1), (1, 3), (2, 50), (2, 52), (2, 53)], 5, 2);
    }

    #[test]
    fn steady_arrival_has_no_jitter() {
        for clock_hz in [8_000, 16_000, 48_000] {
            assert!(jitter(clock_hz, &[0, 20, 40, 60, 80]) < 0.01);
        }
    }

    #[test]
    fn jitter_follows_the_formula_at_every_clock() {
        // Twice 5 ms late, by A.8: 5/16, then another (5 - 5/16)/16.
        let expected = 5.0 / 16.0 + (5.0 - 5.0 / 16.0) / 16.0;
        for clock_hz in [8_000, 16_000, 48_000] {
            assert!((jitter(clock_hz, &[0, 25, 40]) - expected).abs() < 0.01);
        }
    }

    #[test]
    fn another_clock_keeps_the_jitter_and_counts_no_jump() {
        let mut stage = Stage::new();
        stage.take(0, 1, 0, 0);
        stage.take(25, 1, 1, 160);
        let before = stage.reception.jitter_ms();
        stage.reception.set_clock(48_000);
        assert!((stage.reception.jitter_ms() - before).abs() < 0.001);
        stage.take(45, 1, 2, 900_000);
        assert!((stage.reception.jitter_ms() - before).abs() < 0.001);
    }

    #[test]
    fn account_tells_what_is_new_and_what_is_all() {
        let mut stage = Stage::new();
        for sequence in [65_534, 65_535, 1] {
            stage.take(0, 9, sequence, 0);
        }
        let first = Account { source: Ssrc(9), fraction_lost: 64, lost: 1, highest: 0x1_0001, jitter_ticks: 0 };
        assert_eq!(stage.reception.account(), Some(first));
        assert_eq!(stage.reception.account(), None);

        stage.take(0, 9, 2, 0);
        let second = Account { fraction_lost: 0, highest: 0x1_0002, ..first };
        assert_eq!(stage.reception.account(), Some(second));
    }

    #[test]
    fn a_late_packet_makes_no_negative_fraction() {
        let mut stage = Stage::new();
        for sequence in [10, 12] {
            stage.take(0, 9, sequence, 0);
        }
        assert_eq!(stage.reception.account().map(|account| account.fraction_lost), Some(85));
        stage.take(0, 9, 11, 0);
        let account = stage.reception.account().expect("a packet came");
        assert_eq!((account.fraction_lost, account.lost), (0, 0));
    }

    #[test]
    fn packets_tell_their_length() {
        let mut stage = Stage::new();
        stage.take(0, 1, 0, 0);
        assert_eq!(stage.reception.packet_ms(), None);
        stage.take(30, 1, 1, 240);
        stage.take(60, 1, 2, 80_000);
        assert_eq!(stage.reception.packet_ms(), Some(30.0));
    }

    #[test]
    fn discards_are_counted() {
        let mut stage = Stage::new();
        for sequence in 0..100 {
            stage.take(0, 1, sequence, 0);
        }
        let place = Place { epoch: 1, position: (1 << 16) + 90 };
        stage.reception.discard(place);
        assert_eq!((stage.reception.discarded(), stage.reception.lost()), (1, 0));
        assert_eq!(stage.reception.pattern().gap_density, 0.01);
    }

    #[track_caller]
    fn check(packets: &[(u32, u16)], received: u64, lost: u64) {
        let mut stage = Stage::new();
        for &(ssrc, sequence) in packets {
            stage.take(0, ssrc, sequence, 0);
        }
        let reception = stage.reception;
        assert_eq!((reception.received(), reception.lost()), (received, lost));
        assert_eq!(reception.expected(), received + lost);
        assert_eq!(reception.bytes(), received * 160);
    }

    /// The jitter after packets of 20 ms that arrive at these milliseconds.
    fn jitter(clock_hz: u32, arrivals_ms: &[u64]) -> f32 {
        let mut stage = Stage::new();
        stage.reception.set_clock(clock_hz);
        for (n, &ms) in arrivals_ms.iter().enumerate() {
            stage.take(ms, 1, n as u16, n as u32 * clock_hz / 50);
        }
        stage.reception.jitter_ms()
    }

    struct Stage {
        sequencer: Sequencer,
        reception: Reception,
    }

    impl Stage {
        fn new() -> Self {
            Self { sequencer: Sequencer::default(), reception: Reception::default() }
        }

        /// An audio packet of 160 octets.
        fn take(&mut self, at_ms: u64, ssrc: u32, sequence: u16, timestamp: u32) {
            let stamp = Stamp { marker: false, payload_type: 0, sequence, timestamp, ssrc: Ssrc(ssrc) };
            let mut bytes = [0; 172];
            bytes[..12].copy_from_slice(&stamp.to_bytes());
            let header = RtpHeader::parse(&bytes).expect("a plain packet");
            let verdict = self.sequencer.place(header.ssrc, header.sequence);
            self.reception.count(Duration::from_millis(at_ms), verdict, &header, true);
        }
    }
}
