//! Which packet of a source this is: the newest, a late one, one seen before, or the first of a new source.
//!
//! For those who play or listen; the relay numbers its packets in `sequence`. Does not hold packets and does not know
//! time (RFC 3550 §A.1, without its probation).

/// The sequence numbers of one leg.
#[derive(Debug, Default)]
pub(crate) struct Order {
    current: Option<Source>,
    /// The source before, whose stragglers are not taken for a new one.
    ended: Option<(u32, u16)>,
    /// Packets missing in sources that have ended.
    lost_before: u64,
}

/// What a packet is, with its widened number: one more per packet of a source, and a new source begins far above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// The first of a source, or of a source that starts over.
    Begins(u64),
    /// Newer than all before.
    Newest(u64),
    /// Older than the newest, not seen before.
    Older(u64),
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
/// One cycle of the 16-bit numbers.
const CYCLE: u64 = 1 << 16;

impl Order {
    pub(crate) fn place(&mut self, ssrc: u32, wire: u16) -> Placed {
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
    pub(crate) fn lost(&self) -> u64 {
        self.lost_before + self.current.as_ref().map_or(0, Source::lost)
    }

    fn begin(&mut self, ssrc: u32, wire: u16) -> Placed {
        // One whole cycle of numbers stays free below, so that older packets have a number of their own.
        let mut cycle = 1;
        if let Some(source) = self.current.take() {
            cycle = source.highest / CYCLE + 2;
            self.lost_before += source.lost();
            self.ended = (source.ssrc != ssrc).then_some((source.ssrc, source.highest as u16));
        }
        let first = cycle * CYCLE + u64::from(wire);
        self.current = Some(Source { ssrc, first, highest: first, received: 1, seen: 1, awaited: None });
        Placed::Begins(first)
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
            return Some(Placed::Newest(self.highest));
        }
        let bit = 1_u128 << -step;
        if self.seen & bit != 0 {
            return Some(Placed::Duplicate);
        }
        self.seen |= bit;
        self.received += 1;
        let number = self.highest - step.unsigned_abs();
        self.first = self.first.min(number);
        Some(Placed::Older(number))
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
        check(&[(1, 65_534), (1, 65_535), (1, 0)], "65534b 65535n 65536n", 0);
    }

    #[test]
    fn late_and_twice() {
        check(&[(1, 5), (1, 8), (1, 6), (1, 6), (1, 8)], "5b 8n 6o d d", 1);
    }

    #[test]
    fn a_jump_is_believed_when_the_next_follows() {
        check(&[(1, 5), (1, 30_000), (1, 6), (1, 30_000), (1, 30_001)], "5b s 6n s 161073b", 0);
    }

    #[test]
    fn stragglers_of_the_source_before() {
        check(&[(1, 5), (2, 90), (1, 4), (2, 91)], "5b 131162b s 131163n", 0);
    }

    #[test]
    fn a_source_may_come_back() {
        check(&[(1, 5), (2, 90), (1, 6), (1, 10)], "5b 131162b s 262154b", 0);
    }

    #[test]
    fn older_than_the_first() {
        check(&[(1, 3), (1, 65_530)], "3b -6o", 8);
    }

    /// `expected`: the widened number, counted from the first cycle's start, and b begins, n newest, o older; d
    /// duplicate, s stale.
    #[track_caller]
    fn check(packets: &[(u32, u16)], expected: &str, lost: u64) {
        let mut order = Order::default();
        let number = |number: u64, what: char| format!("{}{what}", number as i64 - CYCLE as i64);
        let got: Vec<String> = packets
            .iter()
            .map(|(ssrc, wire)| match order.place(*ssrc, *wire) {
                Placed::Begins(n) => number(n, 'b'),
                Placed::Newest(n) => number(n, 'n'),
                Placed::Older(n) => number(n, 'o'),
                Placed::Duplicate => "d".into(),
                Placed::Stale => "s".into(),
            })
            .collect();
        assert_eq!(got.join(" "), expected);
        assert_eq!(order.lost(), lost);
    }
}
