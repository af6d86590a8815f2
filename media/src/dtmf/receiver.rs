//! Telephone-events as they arrive: one press for the many packets that tell of it (RFC 4733 §2.5).
//!
//! Packets may be lost, late and twice. Knows one leg; a new source begins a new [`Receiver`].

use std::time::Duration;

use super::{Key, Press};

/// The presses of one leg.
#[derive(Debug)]
pub struct Receiver {
    clock_hz: u32,
    down: Option<Down>,
    /// The newest timestamp that was told of, and when.
    newest: Option<(u32, Duration)>,
}

/// A key that is down.
#[derive(Debug)]
struct Down {
    key: Key,
    /// Timestamp units of the segments before this one (RFC 4733 §2.5.1.3).
    earlier: u64,
    /// Units of this segment so far.
    duration: u16,
}

impl Receiver {
    /// For events at this RTP clock rate, Hz.
    pub fn new(clock_hz: u32) -> Self {
        Self { clock_hz: clock_hz.max(1), down: None, newest: None }
    }

    /// The RTP clock rate of its events, Hz.
    pub fn clock_hz(&self) -> u32 {
        self.clock_hz
    }

    /// Takes one telephone-event packet; at most three presses follow. Only the payload's first event counts.
    pub fn handle(&mut self, now: Duration, timestamp: u32, marker: bool, payload: &[u8], out: &mut Vec<Press>) {
        let Some(&[code, flags, high, low]) = payload.first_chunk::<4>() else { return };
        let Some(key) = Key::from_event(code) else { return };
        let duration = u16::from_be_bytes([high, low]);

        match self.newest.map(|(newest, at)| (timestamp.wrapping_sub(newest), now.saturating_sub(at))) {
            Some((0, _)) => {
                let Some(down) = self.down.as_mut().filter(|down| down.key == key) else { return };
                down.duration = down.duration.max(duration);
            }
            // Late: an event that is over. After a while it is rather a sender that counts anew.
            Some((step, since)) if (step as i32) < 0 && since < FORGET_AFTER => return,
            Some((step, _)) => match &mut self.down {
                Some(down) if down.key == key && !marker && down.is_continued_after(step) => {
                    down.earlier += u64::from(step);
                    down.duration = duration;
                }
                _ => self.begin(key, duration, out),
            },
            None => self.begin(key, duration, out),
        }
        self.newest = Some((timestamp, now));
        if flags & END != 0 {
            self.end(out);
        }
    }

    /// When [`tick`](Self::tick) has something to say, if nothing arrives before.
    pub fn deadline(&self) -> Option<Duration> {
        let (_, heard) = self.newest.filter(|_| self.down.is_some())?;
        Some(heard.saturating_add(LOST_AFTER))
    }

    /// Lets go of a key whose last packets were lost.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Press>) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.end(out);
        }
    }

    fn begin(&mut self, key: Key, duration: u16, out: &mut Vec<Press>) {
        self.end(out);
        self.down = Some(Down { key, earlier: 0, duration });
        out.push(Press::Down(key));
    }

    fn end(&mut self, out: &mut Vec<Press>) {
        if let Some(down) = self.down.take() {
            let units = down.earlier.saturating_add(down.duration.into());
            let duration_ms = units.saturating_mul(1_000) / u64::from(self.clock_hz);
            out.push(Press::Up { key: down.key, duration_ms: duration_ms.try_into().unwrap_or(u32::MAX) });
        }
    }
}

impl Down {
    /// A long press goes on under a new timestamp: where this segment ended, or, if its last packets were lost, about
    /// as far on as one segment can reach.
    fn is_continued_after(&self, step: u32) -> bool {
        step == u32::from(self.duration) || LONG_SEGMENT.contains(&step)
    }
}

const END: u8 = 0x80;
/// Senders repeat every 50 ms or faster; three lost in a row are no end yet.
const LOST_AFTER: Duration = Duration::from_millis(250);
/// No network delays a packet as long.
const FORGET_AFTER: Duration = Duration::from_secs(3);
const LONG_SEGMENT: std::ops::RangeInclusive<u32> = 0xf000..=0xffff;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Milliseconds, timestamp, marker, key, end, duration.
    type Packet = (u64, u32, bool, char, bool, u16);

    #[test]
    fn a_press_is_told_once_down_and_once_up() {
        check(
            &[
                (0, 800, true, '5', false, 160),
                (20, 800, false, '5', false, 320),
                (40, 800, false, '5', true, 480),
                (40, 800, false, '5', true, 480),
                (40, 800, false, '5', true, 480),
            ],
            "0:5 40:5/60",
        );
    }

    #[test]
    fn the_marker_may_be_lost() {
        check(&[(20, 800, false, '5', false, 320), (40, 800, false, '5', true, 480)], "20:5 40:5/60");
    }

    #[test]
    fn an_end_alone_is_a_press() {
        check(&[(0, 800, false, '#', true, 480), (1, 800, false, '#', true, 480)], "0:# 0:#/60");
    }

    #[test]
    fn lost_ends_are_noticed() {
        check(&[(0, 800, true, '5', false, 160), (20, 800, false, '5', false, 320)], "0:5 270:5/40");
    }

    #[test]
    fn the_next_press_ends_one_whose_end_was_lost() {
        check(
            &[
                (0, 800, true, '5', false, 160),
                (100, 1_600, true, '5', false, 160),
                (120, 1_600, false, '5', true, 320),
            ],
            "0:5 100:5/20 100:5 120:5/40",
        );
    }

    #[test]
    fn late_and_reordered_packets_change_nothing() {
        check(
            &[
                (0, 800, false, '5', false, 320),
                (1, 800, true, '5', false, 160),
                (20, 800, false, '5', true, 480),
                (21, 800, false, '5', false, 400),
                (100, 1_600, true, '6', false, 160),
                (101, 800, false, '5', true, 480),
                (120, 1_600, false, '6', true, 320),
            ],
            "0:5 20:5/60 100:6 120:6/40",
        );
    }

    #[test]
    fn a_long_press_is_one_press() {
        // 8.2 s at 8 kHz fill the duration field.
        let mut packets: Vec<Packet> = (1..=409).map(|n| (n * 20, 0, n == 1, '1', false, (n * 160) as u16)).collect();
        packets.push((8_192, 0, false, '1', false, 0xffff));
        packets.push((8_200, 0xffff, false, '1', false, 160));
        packets.push((8_220, 0xffff, false, '1', true, 320));
        check(&packets, "20:1 8220:1/8231");
        // The same without the packet that fills it.
        packets.remove(409);
        check(&packets, "20:1 8220:1/8231");
    }

    #[test]
    fn a_sender_may_count_anew_after_a_while() {
        check(
            &[(0, 900_000, true, '1', true, 320), (100, 5, true, '2', true, 320), (4_000, 5, true, '3', true, 320)],
            "0:1 0:1/40 4000:3 4000:3/40",
        );
    }

    #[test]
    fn the_timestamp_may_wrap() {
        check(
            &[(0, u32::MAX - 5, true, '1', true, 320), (200, 1_600, true, '2', true, 320)],
            "0:1 0:1/40 200:2 200:2/40",
        );
    }

    #[test]
    fn other_events_and_short_payloads_are_passed_over() {
        let mut receiver = Receiver::new(8_000);
        let mut out = Vec::new();
        receiver.handle(Duration::ZERO, 0, true, &[17, 0, 0, 160], &mut out);
        receiver.handle(Duration::ZERO, 0, true, &[5, 0, 0], &mut out);
        receiver.handle(Duration::ZERO, 0, true, &[], &mut out);
        assert_eq!((out, receiver.deadline()), (vec![], None));
    }

    #[test]
    fn the_clock_rate_counts() {
        let mut receiver = Receiver::new(48_000);
        let mut out = Vec::new();
        receiver.handle(Duration::ZERO, 0, true, &[16, 0x80, 0x12, 0xc0], &mut out);
        assert_eq!(out, [Press::Down(Key::FLASH), Press::Up { key: Key::FLASH, duration_ms: 100 }]);
    }

    proptest! {
        #[test]
        fn downs_and_ups_take_turns(packets: Vec<(u8, u32, bool, u8, u8, u16)>) {
            let mut receiver = Receiver::new(8_000);
            let (mut now, mut out) = (Duration::ZERO, Vec::new());
            for (wait, timestamp, marker, code, flags, duration) in packets {
                now += Duration::from_millis(u64::from(wait) * 4);
                receiver.tick(now, &mut out);
                let [high, low] = duration.to_be_bytes();
                receiver.handle(now, timestamp, marker, &[code % 20, flags, high, low], &mut out);
            }
            receiver.tick(now + LOST_AFTER, &mut out);
            prop_assert_eq!(receiver.deadline(), None);
            for pair in out.chunks(2) {
                let [Press::Down(down), Press::Up { key, .. }] = pair else { panic!("{pair:?}") };
                prop_assert_eq!(down, key);
            }
        }
    }

    /// Presses are written `ms:key` and `ms:key/duration`.
    #[track_caller]
    fn check(packets: &[Packet], expected: &str) {
        let mut receiver = Receiver::new(8_000);
        let mut told = Vec::new();
        let tell = |at: Duration, out: &mut Vec<Press>, told: &mut Vec<String>| {
            told.extend(out.drain(..).map(|press| match press {
                Press::Down(key) => format!("{}:{key}", at.as_millis()),
                Press::Up { key, duration_ms } => format!("{}:{key}/{duration_ms}", at.as_millis()),
            }));
        };
        let mut out = Vec::new();
        for &(at_ms, timestamp, marker, letter, end, duration) in packets {
            let now = Duration::from_millis(at_ms);
            receiver.tick(now, &mut out);
            let key = Key::try_from(letter).expect("a key");
            let [high, low] = duration.to_be_bytes();
            receiver.handle(now, timestamp, marker, &[key.event(), u8::from(end) << 7 | 10, high, low], &mut out);
            tell(now, &mut out, &mut told);
        }
        if let Some(deadline) = receiver.deadline() {
            receiver.tick(deadline, &mut out);
            tell(deadline, &mut out, &mut told);
        }
        assert_eq!(told.join(" "), expected);
    }
}
