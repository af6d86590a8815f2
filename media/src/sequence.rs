//! Names every received packet by a 64-bit position, tells sources apart and drops what was already taken.
//!
//! Does not reorder and does not wait (RFC 3550 §A.1, without its probation: the first packet counts at once).

use crate::packet::Ssrc;

/// Where a packet stands: the epoch is the source it belongs to, the position grows by one per packet sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Counts the sources heard on this leg; a new one begins a new count of positions.
    pub epoch: u32,
    /// The widened sequence number.
    pub position: u64,
}

impl Place {
    /// One number for both: more by one per packet of a source, and far more with another source.
    pub(crate) fn number(self) -> u64 {
        (u64::from(self.epoch) << 32) + self.position
    }
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first packet of a source.
    Begins(Place),
    /// The next one, perhaps after a gap.
    Advances(Place),
    /// Late, and not seen before.
    Fills(Place),
    /// Seen before.
    Duplicate,
    /// Too late to place, or from a source that has ended.
    Stale,
    /// Far from where the source was; believed when the next one follows it.
    Jumped,
}

/// The sequence numbers of what one leg receives.
#[derive(Debug, Default)]
pub struct Sequencer {
    current: Option<Source>,
    /// The source before, so that its stragglers are known.
    ended: Option<(Ssrc, u16)>,
    epoch: u32,
    /// Packets missing in sources that have ended.
    lost_before: u64,
}

#[derive(Debug)]
struct Source {
    ssrc: Ssrc,
    first: u64,
    highest: u64,
    received: u64,
    /// Bit n: position `highest - n` was taken.
    taken: u64,
    /// The sequence number that would confirm a jump.
    awaited: Option<u16>,
}

impl Sequencer {
    /// Counts sources from `epoch` on.
    pub fn counting_from(epoch: u32) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// Places one packet.
    pub fn place(&mut self, ssrc: Ssrc, sequence: u16) -> Verdict {
        if let Some(source) = &mut self.current
            && source.ssrc == ssrc
        {
            return match source.place(sequence) {
                Step::Confirmed => self.begin(ssrc, sequence),
                Step::Advances(position) => Verdict::Advances(Place { epoch: self.epoch, position }),
                Step::Fills(position) => Verdict::Fills(Place { epoch: self.epoch, position }),
                Step::Duplicate => Verdict::Duplicate,
                Step::Stale => Verdict::Stale,
                Step::Jumped => Verdict::Jumped,
            };
        }

        if self.is_straggler(ssrc, sequence) {
            return Verdict::Stale;
        }
        self.begin(ssrc, sequence)
    }

    /// A late packet of the source before: behind its end, or just beyond it while the new source has hardly begun.
    fn is_straggler(&self, ssrc: Ssrc, sequence: u16) -> bool {
        let Some((_, highest)) = self.ended.filter(|(ended, _)| *ended == ssrc) else { return false };
        let (behind, ahead) = (highest.wrapping_sub(sequence), sequence.wrapping_sub(highest));
        let begun = self.current.as_ref().is_some_and(|source| source.received > u64::from(AHEAD_MAX));
        behind < STRAGGLERS_MAX || !begun && ahead <= AHEAD_MAX
    }

    /// Packets missing so far, over all sources; a late one counts until it comes.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.current.as_ref().map_or(0, Source::lost)
    }

    /// The next packet begins anew, whatever its number: the source has sent elsewhere meanwhile.
    pub fn renew(&mut self) {
        self.lost_before += self.current.take().map_or(0, |source| source.lost());
        self.ended = None;
    }

    fn begin(&mut self, ssrc: Ssrc, sequence: u16) -> Verdict {
        if let Some(source) = self.current.take() {
            self.lost_before += source.lost();
            self.ended = Some((source.ssrc, source.highest as u16));
        }
        // One cycle up, so that nothing near the first packet is below zero.
        let position = CYCLE + u64::from(sequence);
        self.epoch = self.epoch.wrapping_add(1);
        let (first, highest) = (position, position);
        self.current = Some(Source { ssrc, first, highest, received: 1, taken: 1, awaited: None });
        Verdict::Begins(Place { epoch: self.epoch, position })
    }
}

enum Step {
    Advances(u64),
    Fills(u64),
    Duplicate,
    Stale,
    Jumped,
    Confirmed,
}

impl Source {
    fn place(&mut self, sequence: u16) -> Step {
        // The signed difference modulo 2^16 is the short way round the circle.
        let step = i64::from(sequence.wrapping_sub(self.highest as u16) as i16);
        match step {
            1..=DROPOUT_MAX => self.advance(step as u64),
            MISORDER_MIN..=0 => self.fill(step.unsigned_abs()),
            _ if self.awaited == Some(sequence) => Step::Confirmed,
            _ => {
                self.awaited = Some(sequence.wrapping_add(1));
                Step::Jumped
            }
        }
    }

    fn advance(&mut self, step: u64) -> Step {
        self.highest += step;
        self.received += 1;
        self.taken = u32::try_from(step).ok().and_then(|s| self.taken.checked_shl(s)).unwrap_or(0) | 1;
        self.awaited = None;
        Step::Advances(self.highest)
    }

    fn fill(&mut self, back: u64) -> Step {
        let position = self.highest - back;
        let bit = 1 << back;
        if position < self.first {
            return Step::Stale;
        }
        if self.taken & bit != 0 {
            return Step::Duplicate;
        }
        self.taken |= bit;
        self.received += 1;
        Step::Fills(position)
    }

    fn lost(&self) -> u64 {
        (self.highest - self.first + 1).saturating_sub(self.received)
    }
}

const CYCLE: u64 = 1 << 16;

/// A larger step forward is a restart, not loss (RFC 3550 §A.1, `MAX_DROPOUT`).
const DROPOUT_MAX: i64 = 3_000;

/// The furthest a late packet may lie back; one bit of memory each.
const MISORDER_MIN: i64 = -63;

/// How far behind its end a source's packet is a straggler; further, the source speaks again.
const STRAGGLERS_MAX: u16 = 100;
/// Packets of two sources that may overtake each other where one gives way to the other.
const AHEAD_MAX: u16 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order() {
        check(&[(1, 10), (1, 11), (1, 12)], "B A A");
    }

    #[test]
    fn rolls_over() {
        check(&[(1, 65_534), (1, 65_535), (1, 0), (1, 1)], "B A A A");
    }

    #[test]
    fn late_fills_once() {
        check(&[(1, 10), (1, 12), (1, 11), (1, 11), (1, 12)], "B A F d d");
    }

    #[test]
    fn older_than_the_first() {
        check(&[(1, 10), (1, 9)], "B s");
    }

    #[test]
    fn new_source_and_stragglers() {
        check(&[(1, 10), (2, 500), (1, 9), (1, 10), (2, 501), (1, 11)], "B B s s A s");
        let begun = [(1, 10), (2, 500), (2, 501), (2, 502), (2, 503), (2, 504)];
        check(&[&begun[..], &[(1, 10), (1, 11), (1, 12)]].concat(), "B B A A A A s B A");
        check(&[&begun[..2], &[(1, 15), (1, 16)]].concat(), "B B B A");
    }

    #[test]
    fn jump_needs_a_second_packet() {
        check(&[(1, 10), (1, 40_000), (1, 11), (1, 40_000), (1, 40_001), (1, 40_002)], "B j A j B A");
    }

    #[test]
    fn restart_backwards() {
        check(&[(1, 1_000), (1, 100), (1, 101)], "B j B");
    }

    #[test]
    fn what_is_missing_is_counted_over_all_sources() {
        let mut sequencer = Sequencer::default();
        for (packets, lost) in [(&[(1, 10), (1, 14)][..], 3), (&[(1, 12), (1, 12)], 2), (&[(2, 9), (2, 11)], 3)] {
            packets.iter().for_each(|&(ssrc, sequence)| _ = sequencer.place(Ssrc(ssrc), sequence));
            assert_eq!(sequencer.lost(), lost, "{packets:?}");
        }
    }

    #[test]
    fn what_went_elsewhere_is_not_missing() {
        let mut sequencer = Sequencer::default();
        for sequence in [10, 12] {
            sequencer.place(Ssrc(1), sequence);
        }
        sequencer.renew();
        assert!(matches!(sequencer.place(Ssrc(1), 14), Verdict::Begins(_)));
        assert!(matches!(sequencer.place(Ssrc(1), 15), Verdict::Advances(_)));
        assert_eq!(sequencer.lost(), 1, "what was missing before still is");
    }

    #[test]
    fn numbers_grow_with_packets_and_jump_with_sources() {
        let mut sequencer = Sequencer::default();
        let mut number = |ssrc: u32, sequence: u16| match sequencer.place(Ssrc(ssrc), sequence) {
            Verdict::Begins(place) | Verdict::Advances(place) | Verdict::Fills(place) => place.number(),
            other => panic!("{other:?}"),
        };
        let (first, wrapped, late) = (number(1, 65_534), number(1, 0), number(1, 65_535));
        assert_eq!((wrapped - first, late - first), (2, 1));
        assert!(number(2, 5) > wrapped + 1_000_000);
    }

    /// `expected`: B begins, A advances, F fills, d duplicate, s stale, j jumped.
    #[track_caller]
    fn check(packets: &[(u32, u16)], expected: &str) {
        let mut sequencer = Sequencer::default();
        let got: Vec<&str> = packets
            .iter()
            .map(|&(ssrc, sequence)| match sequencer.place(Ssrc(ssrc), sequence) {
                Verdict::Begins(_) => "B",
                Verdict::Advances(_) => "A",
                Verdict::Fills(_) => "F",
                Verdict::Duplicate => "d",
                Verdict::Stale => "s",
                Verdict::Jumped => "j",
            })
            .collect();
        assert_eq!(got.join(" "), expected);
    }
}
