//! How long audio has to wait, so that all but the latest packets are there in time: arrivals in, target out.
//!
//! A packet's offset is its arrival minus its position. The smallest offset of the last seconds is the network at its
//! fastest; how far the others lie above it is the jitter.

/// The target of one leg; times are in samples.
#[derive(Debug)]
pub(super) struct Delay {
    window: Box<[Heard; WINDOW]>,
    next: usize,
    count: usize,
    histogram: [u16; BINS],
    bin: i64,
    age_max: i64,
    floor: i64,
    ceiling: i64,
    /// The smallest offset in the window.
    fastest: i64,
    jitter: i64,
    /// Packets since the window was read.
    unread: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    arrival: i64,
    offset: i64,
}

/// Packets that are remembered: five seconds of 20 ms.
const WINDOW: usize = 256;
/// Older packets say nothing any more, seconds.
const AGE_SECONDS_MAX: i64 = 6;
/// The histogram has bins of 2 ms.
const BINS: usize = 128;
const BINS_PER_SECOND: i64 = 500;
/// Packets in a thousand that are late at most.
const LATE_PER_MILLE: usize = 20;
/// Of the packets just heard, two late ones are no accident.
const RECENT: usize = 16;
/// So many packets in a row, all beyond the ceiling, are a longer way and not jitter.
const STEP: usize = 10;
/// After so many packets the fastest is known: one that is faster by so many bins has come by a shorter way.
const STEADY: usize = 50;
const STEP_BINS: i64 = 10;
/// The window is read once in so many packets, and whenever one is late.
const READ_EVERY: u32 = 8;

impl Delay {
    pub(super) fn new(rate_hz: u32, floor: i64, ceiling: i64) -> Self {
        Self {
            window: Box::new([Heard::default(); WINDOW]),
            next: 0,
            count: 0,
            histogram: [0; BINS],
            bin: i64::from(rate_hz) / BINS_PER_SECOND,
            age_max: i64::from(rate_hz) * AGE_SECONDS_MAX,
            floor,
            ceiling,
            fastest: 0,
            jitter: 0,
            unread: 0,
        }
    }

    /// The smallest offset; `None` before the first packet.
    pub(super) fn fastest(&self) -> Option<i64> {
        (self.count > 0).then_some(self.fastest)
    }

    /// How far all but the latest packets lie above the fastest.
    pub(super) fn jitter(&self) -> i64 {
        self.jitter
    }

    /// The longest delay there may be, above the fastest.
    pub(super) fn ceiling(&self) -> i64 {
        self.ceiling
    }

    /// The delay to aim at above the fastest; `frame` is what is taken at once.
    pub(super) fn target(&self, frame: i64) -> i64 {
        // A packet is needed up to one frame before its own time, if frames do not begin where packets do.
        (self.jitter + frame).clamp(self.floor, self.ceiling)
    }

    /// Takes one packet.
    pub(super) fn heard(&mut self, arrival: i64, offset: i64) {
        // Nothing is faster than the way allows: a packet that is has come by a shorter way.
        let shorter = self.fastest - offset;
        if self.count >= STEADY && shorter > (2 * self.jitter).max(STEP_BINS * self.bin) {
            self.count = 0;
            self.jitter = 0;
        }
        let is_late = offset > self.fastest + self.jitter;
        self.window[self.next] = Heard { arrival, offset };
        self.next = (self.next + 1) % WINDOW;
        self.count = (self.count + 1).min(WINDOW);
        if self.count == 1 {
            self.fastest = offset;
        }
        self.fastest = self.fastest.min(offset);
        self.unread += 1;
        if is_late || self.unread >= READ_EVERY {
            self.read(arrival);
        }
    }

    fn read(&mut self, now: i64) {
        self.unread = 0;
        let since = now - self.age_max;
        self.count = self.newest_first().take_while(|heard| heard.arrival >= since).count().max(1);
        let fastest = |count: usize| self.newest_first().take(count).map(|heard| heard.offset).min();
        let stepped = self.count >= STEP && fastest(STEP) > fastest(self.count).map(|all| all + self.ceiling);
        if stepped {
            self.count = STEP;
        }
        self.fastest = self.newest_first().map(|heard| heard.offset).min().unwrap_or(self.fastest);
        self.jitter = self.usual().max(self.recent());
    }

    /// What all but a few of the window lie below.
    fn usual(&mut self) -> i64 {
        self.histogram = [0; BINS];
        for back in 0..self.count {
            let above = self.back(back).offset - self.fastest;
            // Rounded up; exactly the fastest stays at zero.
            let bin = (above + self.bin - 1) / self.bin;
            self.histogram[(bin as usize).min(BINS - 1)] += 1;
        }
        let mut late = 0;
        let late_max = self.count * LATE_PER_MILLE / 1_000;
        for bin in (1..BINS).rev() {
            late += usize::from(self.histogram[bin]);
            if late > late_max {
                return bin as i64 * self.bin;
            }
        }
        0
    }

    /// The second latest of the packets just heard.
    fn recent(&self) -> i64 {
        let (mut latest, mut second) = (i64::MIN, i64::MIN);
        for heard in self.newest_first().take(RECENT) {
            second = second.max(heard.offset.min(latest));
            latest = latest.max(heard.offset);
        }
        second.max(self.fastest) - self.fastest
    }

    fn newest_first(&self) -> impl Iterator<Item = Heard> {
        (0..self.count).map(|back| self.back(back))
    }

    fn back(&self, count: usize) -> Heard {
        self.window[(self.next + WINDOW - 1 - count) % WINDOW]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: i64 = 160;

    #[test]
    fn a_calm_network_needs_the_floor() {
        assert_eq!(after(&[0; 50]), 160);
    }

    #[test]
    fn one_late_packet_is_an_accident_two_are_not() {
        assert_eq!(after(&[&[0; 50][..], &[800]].concat()), 160);
        assert_eq!(after(&[&[0; 50][..], &[800, 0, 800]].concat()), 960);
    }

    #[test]
    fn the_target_falls_when_the_late_ones_are_history() {
        let late: Vec<i64> = (0..100).map(|n| n % 5 * 160).collect();
        assert_eq!(after(&late), 800);
        assert_eq!(after(&[&late[..], &[0; 260]].concat()), 160);
    }

    #[test]
    fn the_ceiling_holds() {
        let late: Vec<i64> = (0..100).map(|n| n % 9 * 400).collect();
        assert_eq!(after(&late), 1_600);
    }

    #[test]
    fn a_longer_way_is_believed_soon() {
        let offsets = [&[0; 50][..], &[2_400; STEP]].concat();
        let delay = heard(&offsets);
        assert_eq!((delay.fastest(), delay.target(160)), (Some(2_400), 160));
    }

    #[test]
    fn a_shorter_way_is_no_jitter() {
        let delay = heard(&[&[0; 50][..], &[-2_400]].concat());
        assert_eq!((delay.fastest(), delay.target(160)), (Some(-2_400), 160));
    }

    #[track_caller]
    fn after(offsets: &[i64]) -> i64 {
        heard(offsets).target(160)
    }

    fn heard(offsets: &[i64]) -> Delay {
        let mut delay = Delay::new(8_000, 160, 1_600);
        for (n, offset) in offsets.iter().enumerate() {
            delay.heard(n as i64 * PACKET + offset, *offset);
        }
        delay
    }
}
