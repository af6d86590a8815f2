//! Telephone-events as they leave: which payload goes out on which 20 ms tick (RFC 4733 §2.5.1).
//!
//! Sequence numbers, timestamps and the audio that an event stands in for are the leg's.

use std::collections::VecDeque;

use super::Key;

/// The keys that wait to be sent on one leg.
#[derive(Debug)]
pub struct Sender {
    clock_hz: u32,
    queue: VecDeque<Order>,
    state: State,
}

/// One packet of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPacket {
    /// The four octets of RFC 4733 §2.3.
    pub payload: [u8; 4],
    /// The packet's timestamp is this much before that of the audio of this tick: all packets of one event carry the
    /// timestamp of its first.
    pub timestamp_back: u32,
    /// The marker bit: the first packet of an event.
    pub marker: bool,
    /// The event is over; the last packets of it all say so.
    pub end: bool,
}

/// No room for more keys; none of them was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} keys wait to be sent already", Sender::KEYS_MAX)]
pub struct QueueFull;

#[derive(Debug, Clone, Copy)]
struct Order {
    key: Key,
    duration: u16,
    gap_ticks: u32,
}

#[derive(Debug)]
enum State {
    Idle,
    /// An event that was begun so many units ago.
    Pressed {
        order: Order,
        elapsed: u32,
    },
    /// The pause after an event, at the beginning of which its end is repeated.
    Released {
        order: Order,
        elapsed: u32,
        ticks: u32,
    },
}

impl Sender {
    /// The most keys that wait.
    pub const KEYS_MAX: usize = 64;
    /// The shortest press, milliseconds (ITU-T Q.24).
    pub const DURATION_MS_MIN: u32 = 40;
    /// The longest press, milliseconds.
    pub const DURATION_MS_MAX: u32 = 5_000;
    /// The shortest pause after a press, milliseconds; the repeated end fills it.
    pub const GAP_MS_MIN: u32 = 40;
    /// The longest pause, milliseconds.
    pub const GAP_MS_MAX: u32 = 5_000;

    /// For events at this RTP clock rate, Hz.
    pub fn new(clock_hz: u32) -> Self {
        Self { clock_hz, queue: VecDeque::with_capacity(Self::KEYS_MAX), state: State::Idle }
    }

    /// The RTP clock rate of its events, Hz.
    pub fn clock_hz(&self) -> u32 {
        self.clock_hz
    }

    /// Takes keys, all or none. Times outside the limits above are brought to the nearest limit; a press is never
    /// longer than its duration field can say at this clock rate.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn press(
        &mut self,
        keys: impl ExactSizeIterator<Item = Key>,
        duration_ms: u32,
        gap_ms: u32,
    ) -> Result<(), QueueFull> {
        if self.queue.len() + keys.len() > Self::KEYS_MAX {
            return Err(QueueFull);
        }
        let duration_ms = duration_ms.clamp(Self::DURATION_MS_MIN, Self::DURATION_MS_MAX);
        let units = u64::from(duration_ms) * u64::from(self.clock_hz) / 1_000;
        let duration = units.try_into().unwrap_or(u16::MAX);
        let gap_ticks = gap_ms.clamp(Self::GAP_MS_MIN, Self::GAP_MS_MAX).div_ceil(TICK_MS);
        self.queue.extend(keys.map(|key| Order { key, duration, gap_ticks }));
        Ok(())
    }

    /// True when nothing waits and nothing is being sent.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && matches!(self.state, State::Idle)
    }

    /// Forgets what waits; what is being sent ends as it would.
    pub fn clear(&mut self) {
        self.queue.clear();
    }

    /// What to send on this tick in the place of audio; `None` leaves it to the audio.
    pub fn tick(&mut self) -> Option<EventPacket> {
        if let State::Idle = self.state {
            let order = self.queue.pop_front()?;
            self.state = State::Pressed { order, elapsed: 0 };
        }

        let step = self.clock_hz / TICKS_PER_SECOND;
        match &mut self.state {
            State::Idle => None,
            State::Pressed { order, elapsed } => {
                let (order, back) = (*order, *elapsed);
                *elapsed += step;
                let reached = u16::try_from(*elapsed).unwrap_or(u16::MAX);
                let end = reached >= order.duration;
                if end {
                    self.state = State::Released { order, elapsed: back, ticks: 0 };
                }
                Some(order.packet(reached, back, end))
            }
            State::Released { order, elapsed, ticks } => {
                *elapsed += step;
                *ticks += 1;
                let packet = (*ticks < ENDS).then(|| order.packet(order.duration, *elapsed, true));
                if *ticks >= order.gap_ticks {
                    self.state = State::Idle;
                }
                packet
            }
        }
    }
}

impl Order {
    fn packet(self, reached: u16, timestamp_back: u32, end: bool) -> EventPacket {
        let [high, low] = reached.min(self.duration).to_be_bytes();
        let payload = [self.key.event(), u8::from(end) << 7 | VOLUME, high, low];
        EventPacket { payload, timestamp_back, marker: timestamp_back == 0, end }
    }
}

const TICKS_PER_SECOND: u32 = 50;
const TICK_MS: u32 = 1_000 / TICKS_PER_SECOND;
/// -10 dBm0.
const VOLUME: u8 = 10;
/// How often the end is said (RFC 4733 §2.5.1.4).
const ENDS: u32 = 3;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dtmf::{Press, Receiver};

    #[test]
    fn a_press_on_its_ticks() {
        let mut sender = Sender::new(8_000);
        press(&mut sender, "5", 60, 100);
        let packets: Vec<Option<EventPacket>> = (0..10).map(|_| sender.tick()).collect();
        let packet = |flags, duration, timestamp_back, marker| {
            Some(EventPacket { payload: [5, flags, 1, duration], timestamp_back, marker, end: flags & 0x80 != 0 })
        };
        let first = EventPacket { payload: [5, 10, 0, 160], timestamp_back: 0, marker: true, end: false };
        let expected = [
            Some(first),
            packet(10, 64, 160, false),
            packet(0x8a, 224, 320, false),
            packet(0x8a, 224, 480, false),
            packet(0x8a, 224, 640, false),
        ];
        assert_eq!(packets[..5], expected);
        assert_eq!(packets[5..], [None; 5]);
        assert!(sender.is_idle());
    }

    #[test]
    fn times_are_kept_within_limits() {
        for (clock_hz, duration_ms, gap_ms, expected_ms, ticks) in [
            (8_000, 0, 0, 40, 4),
            (8_000, 50, 50, 50, 6),
            (8_000, 99_999, 0, 5_000, 252),
            (48_000, 99_999, 0, 1_365, 71),
            (16_000, 100, 20, 100, 7),
        ] {
            let mut sender = Sender::new(clock_hz);
            press(&mut sender, "1", duration_ms, gap_ms);
            let mut last = 0;
            let mut count = 0;
            while !sender.is_idle() {
                let packet = sender.tick();
                last = packet.map_or(last, |packet| u16::from_be_bytes([packet.payload[2], packet.payload[3]]));
                count += 1;
            }
            assert_eq!((u64::from(last) * 1_000 / u64::from(clock_hz), count), (expected_ms, ticks), "{duration_ms}");
        }
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut sender = Sender::new(8_000);
        let keys = [Key::FLASH; Sender::KEYS_MAX];
        assert_eq!(sender.press(keys.into_iter(), 100, 100), Ok(()));
        assert_eq!(sender.press([Key::FLASH].into_iter(), 100, 100), Err(QueueFull));
        sender.tick();
        sender.clear();
        assert!(!sender.is_idle(), "what is under way ends as it would");
        assert_eq!((0..20).filter_map(|_| sender.tick()).filter(|packet| packet.end).count(), 3);
        assert!(sender.is_idle());
    }

    #[test]
    fn a_receiver_hears_what_was_sent_even_if_most_is_lost() {
        for kept in [1, 2, 3] {
            let mut sender = Sender::new(8_000);
            press(&mut sender, "1234567890*#ABCD!11", 100, 60);
            let mut receiver = Receiver::new(8_000);
            let (mut out, mut tick) = (Vec::new(), 0_u32);
            while !sender.is_idle() {
                let now = Duration::from_millis(20) * tick;
                receiver.tick(now, &mut out);
                if let Some(packet) = sender.tick().filter(|_| tick.is_multiple_of(kept)) {
                    let timestamp = (tick * 160).wrapping_sub(packet.timestamp_back);
                    receiver.handle(now, timestamp, packet.marker, &packet.payload, &mut out);
                }
                tick += 1;
            }
            receiver.tick(Duration::from_secs(1_000), &mut out);
            let heard: String = out.iter().filter_map(|press| down(*press)).collect();
            assert_eq!(heard, "1234567890*#ABCD!11", "one packet of {kept} arrives");
        }
    }

    fn down(press: Press) -> Option<String> {
        if let Press::Down(key) = press { Some(key.to_string()) } else { None }
    }

    fn press(sender: &mut Sender, keys: &str, duration_ms: u32, gap_ms: u32) {
        let keys: Vec<Key> = keys.chars().map(|letter| Key::try_from(letter).expect("a key")).collect();
        sender.press(keys.into_iter(), duration_ms, gap_ms).expect("they fit");
    }
}
