//! RTP timestamps of one leg → positions on the receiver's time axis, in samples of the output rate.
//!
//! A jump of the sender's timestamps or a new source never takes the position back, and never far from real time.

/// Where the sender's clock stands on our axis.
#[derive(Debug)]
pub(super) struct Timeline {
    rate_hz: i64,
    clock_hz: i64,
    /// The newest timestamp, on the wire and widened.
    newest: Option<(u32, i64)>,
    /// Added to the widened timestamp at the output rate.
    shift: i64,
    /// The number of the first packet that stands by this shift.
    since: u64,
    /// The end of the newest packet, and its number.
    end: i64,
    newest_position: i64,
}

/// A newest packet's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    /// Of its first sample.
    pub(super) position: i64,
    /// Its timestamp could not be followed.
    pub(super) is_moved: bool,
}

impl Timeline {
    pub(super) fn new(rate_hz: u32, clock_hz: u32) -> Self {
        Self {
            rate_hz: i64::from(rate_hz),
            clock_hz: i64::from(clock_hz),
            newest: None,
            shift: 0,
            since: 0,
            end: i64::MIN,
            newest_position: 0,
        }
    }

    /// Places a packet that is newer than all before. By its timestamp, when that lies in `plausible`; else at
    /// `otherwise`, and behind what there is.
    pub(super) fn newest(
        &mut self,
        number: u64,
        timestamp: u32,
        samples: usize,
        (plausible, otherwise): (std::ops::RangeInclusive<i64>, i64),
    ) -> Placement {
        let wide = self.widen(timestamp);
        let by_timestamp = self.scaled(wide) + self.shift;
        let is_first = self.newest.is_none();
        let is_moved = is_first || by_timestamp < self.end || !plausible.contains(&by_timestamp);
        let position = if is_moved { otherwise.max(self.end) } else { by_timestamp };
        if is_moved {
            self.shift = position - self.scaled(wide);
            self.since = number;
        }
        self.newest = Some((timestamp, wide));
        self.newest_position = position;
        self.end = position + samples as i64;
        Placement { position, is_moved: is_moved && !is_first }
    }

    /// The place of a packet that is older than the newest; `None` when its timestamp cannot be true.
    pub(super) fn older(&self, number: u64, timestamp: u32) -> Option<i64> {
        let position = self.scaled(self.widen(timestamp)) + self.shift;
        (number >= self.since && position <= self.newest_position).then_some(position)
    }

    fn widen(&self, timestamp: u32) -> i64 {
        let Some((wire, wide)) = self.newest else { return i64::from(timestamp) };
        // The signed difference modulo 2^32 is the short way round the circle.
        wide + i64::from(timestamp.wrapping_sub(wire) as i32)
    }

    fn scaled(&self, wide: i64) -> i64 {
        (wide * self.rate_hz).div_euclid(self.clock_hz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_over_the_edge_and_at_every_clock() {
        for (rate_hz, clock_hz) in [(8_000, 8_000), (16_000, 8_000), (8_000, 16_000), (16_000, 48_000), (8_000, 48_000)]
        {
            let mut timeline = Timeline::new(rate_hz, clock_hz);
            let (packet, ticks) = (rate_hz / 50, clock_hz / 50);
            let first = 0_u32.wrapping_sub(2 * ticks);
            for n in 0..5_u32 {
                let timestamp = first.wrapping_add(n * ticks);
                let at = timeline.newest(u64::from(n), timestamp, packet as usize, (0..=i64::MAX, 700));
                assert_eq!(at, Placement { position: 700 + i64::from(n * packet), is_moved: false });
            }
            assert_eq!(timeline.older(2, first.wrapping_add(2 * ticks)), Some(700 + 2 * i64::from(packet)));
        }
    }

    #[test]
    fn a_jump_goes_on_where_real_time_is_and_never_back() {
        for jump in [1_000_000_u32, 0x8000_0000, 0_u32.wrapping_sub(800)] {
            let mut timeline = Timeline::new(8_000, 8_000);
            timeline.newest(1, 500, 160, (0..=1_000, 100));
            let at = timeline.newest(2, 660_u32.wrapping_add(jump), 160, (0..=1_000, 250));
            assert_eq!(at, Placement { position: 260, is_moved: true }, "{jump}");
            let at = timeline.newest(3, 820_u32.wrapping_add(jump), 160, (0..=1_000, 9_999));
            assert_eq!(at, Placement { position: 420, is_moved: false }, "{jump}");
            assert_eq!(timeline.older(1, 500), None, "from before the jump");
        }
    }
}
