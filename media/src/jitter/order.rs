//! Which packet of a source this is: the newest, a late one, one seen before, or the first of a new source.
//!
//! Does not hold packets and does not know time (RFC 3550 §A.1, without its probation).

/// The sequence numbers of one leg.
#[derive(Debug, Default)]
pub(super) struct Order {
    current: Option<Source>,
    /// The source before, whose stragglers are not taken for a new one.
    ended: Option<(u32, u16)>,
    /// Packets missing in sources that have ended.
    lost_before: u64,
}

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// The first of a source, or of a source that starts over.
    Begins,
    /// Newer than all before.
    Newest,
    /// Older than the newest, not seen before.
    Older,
    /// Seen before.
    Duplicate,
    /// Too old to tell, of a source that has ended, or not yet believed.
    Stale,
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    first: u64,
    highest: u64,
    received: u64,
    /// Bit n: `highest - n` was seen.
    seen: u128,
    /// The number that would confirm a jump.
    awaited: Option<u16>,
}

/// How far back a packet can be told from a duplicate.
const HISTORY: i64 = 128;
/// Packets of an ended source beyond its highest that are late ones still; more, and it has come back.
const STRAGGLERS_MAX: i64 = 4;
/// Packets ahead of the newest that are believed at once (RFC 3550: MAX_DROPOUT).
const AHEAD_MAX: i64 = 3_000;
/// One cycle of the 16-bit numbers; sources start one up, so that older packets have a number.
const CYCLE: u64 = 1 << 16;

impl Order {
    pub(super) fn place(&mut self, ssrc: u32, wire: u16) -> Placed {
        if let Some(source) = &mut self.current
            && source.ssrc == ssrc
        {
            return match source.place(wire) {
                Some(placed) => placed,
                None => self.begin(ssrc, wire),
            };
        }
        let step_after = |highest: u16| i64::from(wire.wrapping_sub(highest) as i16);
        let straggles = |highest: u16| step_after(highest) > -HISTORY && step_after(highest) <= STRAGGLERS_MAX;
        if self.ended.is_some_and(|(ended, highest)| ended == ssrc && straggles(highest)) {
            return Placed::Stale;
        }
        self.begin(ssrc, wire)
    }

    /// Packets missing so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost_before + self.current.as_ref().map_or(0, Source::lost)
    }

    fn begin(&mut self, ssrc: u32, wire: u16) -> Placed {
        if let Some(source) = self.current.take() {
            self.lost_before += source.lost();
            self.ended = (source.ssrc != ssrc).then_some((source.ssrc, source.highest as u16));
        }
        let first = CYCLE + u64::from(wire);
        self.current = Some(Source { ssrc, first, highest: first, received: 1, seen: 1, awaited: None });
        Placed::Begins
    }
}

impl Source {
    /// `None` when the source has started over.
    fn place(&mut self, wire: u16) -> Option<Placed> {
        // The signed difference modulo 2^16 is the short way round the circle.
        let step = i64::from(wire.wrapping_sub(self.highest as u16) as i16);
        if step > AHEAD_MAX || step <= -HISTORY {
            if self.awaited == Some(wire) {
                return None;
            }
            self.awaited = Some(wire.wrapping_add(1));
            return Some(Placed::Stale);
        }
        self.awaited = None;

        if step > 0 {
            self.seen = self.seen.checked_shl(step as u32).unwrap_or(0) | 1;
            self.highest += step as u64;
            self.received += 1;
            return Some(Placed::Newest);
        }
        let bit = 1_u128 << -step;
        if self.seen & bit != 0 {
            return Some(Placed::Duplicate);
        }
        self.seen |= bit;
        self.received += 1;
        self.first = self.first.min(self.highest - step.unsigned_abs());
        Some(Placed::Older)
    }

    fn lost(&self) -> u64 {
        (self.highest - self.first + 1).saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_and_over_the_edge() {
        check(&[(1, 65_534), (1, 65_535), (1, 0)], &[Placed::Begins, Placed::Newest, Placed::Newest], 0);
    }

    #[test]
    fn late_and_twice() {
        let expected = [Placed::Begins, Placed::Newest, Placed::Older, Placed::Duplicate, Placed::Duplicate];
        check(&[(1, 5), (1, 8), (1, 6), (1, 6), (1, 8)], &expected, 1);
    }

    #[test]
    fn a_jump_is_believed_when_the_next_follows() {
        let expected = [Placed::Begins, Placed::Stale, Placed::Newest, Placed::Stale, Placed::Begins];
        check(&[(1, 5), (1, 30_000), (1, 6), (1, 30_000), (1, 30_001)], &expected, 0);
    }

    #[test]
    fn stragglers_of_the_source_before() {
        check(&[(1, 5), (2, 90), (1, 4), (2, 91)], &[Placed::Begins, Placed::Begins, Placed::Stale, Placed::Newest], 0);
    }

    #[test]
    fn a_source_may_come_back() {
        check(&[(1, 5), (2, 90), (1, 6), (1, 10)], &[Placed::Begins, Placed::Begins, Placed::Stale, Placed::Begins], 0);
    }

    #[track_caller]
    fn check(packets: &[(u32, u16)], expected: &[Placed], lost: u64) {
        let mut order = Order::default();
        let got: Vec<Placed> = packets.iter().map(|(ssrc, wire)| order.place(*ssrc, *wire)).collect();
        assert_eq!(got, expected);
        assert_eq!(order.lost(), lost);
    }
}
