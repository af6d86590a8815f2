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

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first packet of a source.
    Begins(Place),
    /// The next one, perhaps after a gap.
    Advances(Place),
    /// Late, and not seen before.
    Fills(Place),
    /// Seen before, too late to place, or from a source that has ended.
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
}

#[derive(Debug)]
struct Source {
    ssrc: Ssrc,
    first: u64,
    highest: u64,
    /// Bit n: position `highest - n` was taken.
    taken: u64,
    /// The sequence number that would confirm a jump.
    awaited: Option<u16>,
}

impl Sequencer {
    /// Places one packet.
    pub fn place(&mut self, ssrc: Ssrc, sequence: u16) -> Verdict {
        if let Some(source) = &mut self.current
            && source.ssrc == ssrc
        {
            return match source.place(sequence) {
                Step::Confirmed => self.begin(ssrc, sequence),
                Step::Advances(position) => Verdict::Advances(Place { epoch: self.epoch, position }),
                Step::Fills(position) => Verdict::Fills(Place { epoch: self.epoch, position }),
                Step::Stale => Verdict::Stale,
                Step::Jumped => Verdict::Jumped,
            };
        }

        if let Some((ended, highest)) = self.ended
            && ended == ssrc
            && highest.wrapping_sub(sequence) < STRAGGLERS_MAX
        {
            return Verdict::Stale;
        }
        self.begin(ssrc, sequence)
    }

    fn begin(&mut self, ssrc: Ssrc, sequence: u16) -> Verdict {
        if let Some(source) = self.current.take() {
            self.ended = Some((source.ssrc, source.highest as u16));
        }
        // One cycle up, so that nothing near the first packet is below zero.
        let position = CYCLE + u64::from(sequence);
        self.epoch = self.epoch.wrapping_add(1);
        self.current = Some(Source { ssrc, first: position, highest: position, taken: 1, awaited: None });
        Verdict::Begins(Place { epoch: self.epoch, position })
    }
}

enum Step {
    Advances(u64),
    Fills(u64),
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
        self.taken = u32::try_from(step).ok().and_then(|s| self.taken.checked_shl(s)).unwrap_or(0) | 1;
        self.awaited = None;
        Step::Advances(self.highest)
    }

    fn fill(&mut self, back: u64) -> Step {
        let position = self.highest - back;
        let bit = 1 << back;
        if position < self.first || self.taken & bit != 0 {
            return Step::Stale;
        }
        self.taken |= bit;
        Step::Fills(position)
    }
}

const CYCLE: u64 = 1 << 16;

/// A larger step forward is a restart, not loss (RFC 3550 §A.1, `MAX_DROPOUT`).
const DROPOUT_MAX: i64 = 3_000;

/// The furthest a late packet may lie back; one bit of memory each.
const MISORDER_MIN: i64 = -63;

/// How far behind its end a source's packet is a straggler; further, or ahead, the source speaks again.
const STRAGGLERS_MAX: u16 = 100;

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
        check(&[(1, 10), (1, 12), (1, 11), (1, 11), (1, 12)], "B A F s s");
    }

    #[test]
    fn older_than_the_first() {
        check(&[(1, 10), (1, 9)], "B s");
    }

    #[test]
    fn new_source_and_stragglers() {
        check(&[(1, 10), (2, 500), (1, 9), (1, 10), (2, 501), (1, 11)], "B B s s A B");
    }

    #[test]
    fn jump_needs_a_second_packet() {
        check(&[(1, 10), (1, 40_000), (1, 11), (1, 40_000), (1, 40_001), (1, 40_002)], "B j A j B A");
    }

    #[test]
    fn restart_backwards() {
        check(&[(1, 1_000), (1, 100), (1, 101)], "B j B");
    }

    /// `expected`: B begins, A advances, F fills, s stale, j jumped.
    #[track_caller]
    fn check(packets: &[(u32, u16)], expected: &str) {
        let mut sequencer = Sequencer::default();
        let got: Vec<&str> = packets
            .iter()
            .map(|&(ssrc, sequence)| match sequencer.place(Ssrc(ssrc), sequence) {
                Verdict::Begins(_) => "B",
                Verdict::Advances(_) => "A",
                Verdict::Fills(_) => "F",
                Verdict::Stale => "s",
                Verdict::Jumped => "j",
            })
            .collect();
        assert_eq!(got.join(" "), expected);
    }
}
