//! How lost and discarded packets lie: alone in a gap, or close together in a burst (RFC 3611 §4.7.2).
//!
//! Judges a packet only when it can no longer come late. Whether a gap is the network's doing is not its business.

/// Received packets in a row that end a burst (RFC 3611 §4.7.2, the recommended value).
pub const GAP_PACKETS_MIN: u8 = 16;

/// Positions that wait for late packets: as far back as the sequencer lets one come.
const WINDOW: u64 = 64;

/// What one leg remembers of its losses, over all sources.
#[derive(Debug, Default)]
pub(crate) struct Bursts {
    window: Option<Window>,
    settled: Tally,
    discarded: u64,
}

/// How the losses of a stream lie.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pattern {
    /// Lost or discarded packets per packet inside bursts, 0-1.
    pub burst_density: f32,
    /// Lost or discarded packets per packet inside gaps, 0-1.
    pub gap_density: f32,
    /// Mean length of a burst, packets; 0 without bursts.
    pub burst_packets: f32,
    /// Mean length of a gap, packets.
    pub gap_packets: f32,
    /// Mean run of losses against that of random loss (G.107 §7.5); 1 when random.
    pub burst_ratio: f32,
}

/// The packets that are still awaited or may still be discarded.
#[derive(Debug)]
struct Window {
    /// The lowest position not judged yet.
    next: u64,
    highest: u64,
    /// Bit `position % 64`: it came and was not discarded.
    kept: u64,
}

/// Counts of packets that are judged.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    packets: u64,
    missing: u64,
    /// Runs of neighbouring losses.
    runs: u64,
    in_run: bool,
    in_gap: bool,
    bursts: u64,
    burst_packets: u64,
    burst_missing: u64,
    gaps: u64,
    gap_packets: u64,
    gap_missing: u64,
    open: Option<Suspect>,
}

/// Losses that may yet become a burst.
#[derive(Debug, Clone, Copy)]
struct Suspect {
    /// Packets from the first loss to the last.
    span: u64,
    missing: u64,
    /// Packets that came since the last loss.
    clean: u64,
}

impl Bursts {
    /// A source begins at this position.
    pub(crate) fn begin(&mut self, position: u64) {
        self.settled = self.so_far();
        self.window = Some(Window { next: position, highest: position, kept: bit(position) });
    }

    /// A packet of the current source came, in order or late.
    pub(crate) fn take(&mut self, position: u64) {
        let Some(window) = &mut self.window else {
            return self.begin(position);
        };
        window.highest = window.highest.max(position);
        while window.next + WINDOW <= position {
            self.settled.judge(window.kept & bit(window.next) == 0);
            window.kept &= !bit(window.next);
            window.next += 1;
        }
        if position >= window.next {
            window.kept |= bit(position);
        }
    }

    /// A packet that came was of no use to the jitter buffer.
    pub(crate) fn discard(&mut self, position: u64) {
        self.discarded += 1;
        if let Some(window) = &mut self.window
            && (window.next..=window.highest).contains(&position)
        {
            window.kept &= !bit(position);
        }
    }

    /// Packets that came and were thrown away.
    pub(crate) fn discarded(&self) -> u64 {
        self.discarded
    }

    /// How the losses lie, up to the newest packet.
    pub(crate) fn pattern(&self) -> Pattern {
        self.so_far().pattern()
    }

    fn so_far(&self) -> Tally {
        let mut tally = self.settled;
        if let Some(window) = &self.window {
            (window.next..=window.highest).for_each(|position| tally.judge(window.kept & bit(position) == 0));
        }
        tally
    }
}

impl Tally {
    fn judge(&mut self, missing: bool) {
        self.packets += 1;
        if missing {
            self.missing += 1;
            self.runs += u64::from(!self.in_run);
            let before = self.open.unwrap_or(Suspect { span: 0, missing: 0, clean: 0 });
            self.open = Some(Suspect { span: before.span + before.clean + 1, missing: before.missing + 1, clean: 0 });
        } else if let Some(suspect) = &mut self.open {
            suspect.clean += 1;
            if suspect.clean >= u64::from(GAP_PACKETS_MIN) {
                self.close();
            }
        } else {
            self.count_gap(1, 0);
        }
        self.in_run = missing;
    }

    /// The suspected burst is one when it holds more than one loss.
    fn close(&mut self) {
        let Some(suspect) = self.open.take() else {
            return;
        };
        if suspect.missing == 1 {
            self.count_gap(1, 1);
        } else {
            self.bursts += 1;
            self.burst_packets += suspect.span;
            self.burst_missing += suspect.missing;
            self.in_gap = false;
        }
        self.count_gap(suspect.clean, 0);
    }

    fn count_gap(&mut self, packets: u64, missing: u64) {
        if packets == 0 {
            return;
        }
        self.gaps += u64::from(!self.in_gap);
        self.in_gap = true;
        self.gap_packets += packets;
        self.gap_missing += missing;
    }

    fn pattern(mut self) -> Pattern {
        self.close();
        let loss = ratio(self.missing, self.packets);
        Pattern {
            burst_density: ratio(self.burst_missing, self.burst_packets),
            gap_density: ratio(self.gap_missing, self.gap_packets),
            burst_packets: ratio(self.burst_packets, self.bursts),
            gap_packets: ratio(self.gap_packets, self.gaps),
            burst_ratio: (ratio(self.missing, self.runs) * (1.0 - loss)).max(1.0),
        }
    }
}

/// A share that is 0 where nothing was counted.
pub(crate) fn ratio(part: u64, whole: u64) -> f32 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64) as f32 }
}

fn bit(position: u64) -> u64 {
    1 << (position % WINDOW)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_missing_is_one_gap() {
        check(&".".repeat(200), Pattern { gap_packets: 200.0, burst_ratio: 1.0, ..Pattern::default() });
    }

    #[test]
    fn one_loss_belongs_to_the_gap() {
        let line = format!("{0}x{0}", ".".repeat(20));
        check(&line, Pattern { gap_packets: 41.0, gap_density: 1.0 / 41.0, burst_ratio: 1.0, ..Pattern::default() });
    }

    #[test]
    fn losses_less_than_sixteen_apart_are_a_burst() {
        let line = format!("{}x{}xx{}", ".".repeat(30), ".".repeat(15), ".".repeat(18));
        let expected = Pattern {
            burst_density: 3.0 / 18.0,
            gap_density: 0.0,
            burst_packets: 18.0,
            gap_packets: 24.0,
            burst_ratio: 1.5 * (1.0 - 3.0 / 66.0),
        };
        check(&line, expected);
    }

    #[test]
    fn losses_sixteen_apart_are_not() {
        let line = format!("{}x{}x{}", ".".repeat(30), ".".repeat(16), ".".repeat(18));
        let pattern = pattern(&line);
        assert_eq!((pattern.burst_packets, pattern.gap_packets), (0.0, 66.0));
    }

    #[test]
    fn a_long_outage_is_a_burst_and_not_random() {
        let pattern = pattern(&format!("{0}{1}{0}", ".".repeat(500), "x".repeat(100)));
        assert_eq!((pattern.burst_packets, pattern.burst_density), (100.0, 1.0));
        assert!(pattern.burst_ratio > 80.0, "{pattern:?}");
    }

    #[test]
    fn late_packets_are_not_missing() {
        let mut bursts = Bursts::default();
        bursts.begin(100);
        for position in [101, 104, 103, 102, 105] {
            bursts.take(position);
        }
        assert_eq!(bursts.pattern().gap_packets, 6.0);
        assert_eq!(bursts.pattern().gap_density, 0.0);
    }

    #[test]
    fn discarded_counts_like_lost() {
        let mut bursts = Bursts::default();
        bursts.begin(0);
        (1..50).for_each(|position| bursts.take(position));
        bursts.discard(20);
        bursts.discard(21);
        assert_eq!((bursts.discarded(), bursts.pattern().burst_packets), (2, 2.0));
    }

    #[test]
    fn sources_follow_one_another() {
        let mut bursts = Bursts::default();
        bursts.begin(1_000);
        bursts.take(1_001);
        bursts.begin(5);
        bursts.take(6);
        assert_eq!(bursts.pattern().gap_packets, 4.0);
    }

    proptest! {
        /// Every packet is in a burst or in a gap, every loss too, and densities are shares.
        #[test]
        fn nothing_is_counted_twice(missing in proptest::collection::vec(any::<bool>(), 1..400)) {
            let mut tally = Tally::default();
            missing.iter().for_each(|&missing| tally.judge(missing));
            let losses = missing.iter().filter(|&&missing| missing).count() as u64;
            tally.close();
            prop_assert_eq!(tally.burst_packets + tally.gap_packets, missing.len() as u64);
            prop_assert_eq!(tally.burst_missing + tally.gap_missing, losses);
            let pattern = tally.pattern();
            prop_assert!((0.0..=1.0).contains(&pattern.burst_density) && (0.0..=1.0).contains(&pattern.gap_density));
            prop_assert!(pattern.burst_ratio >= 1.0);
        }
    }

    #[track_caller]
    fn check(line: &str, expected: Pattern) {
        assert_eq!(pattern(line), expected);
    }

    /// The pattern of a line of packets, `x` where one is missing; the first and the last came.
    fn pattern(line: &str) -> Pattern {
        let mut bursts = Bursts::default();
        for (position, packet) in line.bytes().enumerate() {
            match (position, packet) {
                (0, _) => bursts.begin(7_000),
                (_, b'.') => bursts.take(7_000 + position as u64),
                (_, _) => {}
            }
        }
        bursts.pattern()
    }
}
