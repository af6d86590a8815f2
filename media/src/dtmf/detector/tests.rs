//! Keys within the limits are heard, keys beyond are not: frequency, twist, level, noise, length, companding, loss.

use proptest::prelude::*;

use super::*;
use crate::g711::{self, Law};

/// A key as a generator for measurements makes it: hard edges, any fault.
#[derive(Debug, Clone, Copy)]
struct Signal {
    row_shift: f32,
    column_shift: f32,
    /// The level of the row, dBm0.
    level_dbm0: f32,
    /// The column above the row, dB.
    twist_db: f32,
    noise_db: Option<f32>,
    tone_ms: usize,
    pause_ms: usize,
}

const PLAIN: Signal = Signal {
    row_shift: 0.0,
    column_shift: 0.0,
    level_dbm0: -12.0,
    twist_db: 0.0,
    noise_db: None,
    tone_ms: 60,
    pause_ms: 60,
};

#[test]
fn frequencies_within_limits() {
    for (shift, heard) in [(0.015, true), (-0.015, true), (0.035, false), (-0.035, false), (0.05, false)] {
        check(Signal { row_shift: shift, ..PLAIN }, heard);
        check(Signal { column_shift: shift, ..PLAIN }, heard);
        check(Signal { row_shift: shift, column_shift: shift, ..PLAIN }, heard);
    }
    check(Signal { row_shift: 0.015, column_shift: -0.015, ..PLAIN }, true);
}

#[test]
fn twist_within_limits() {
    for (twist_db, heard) in [(6.0, true), (-6.0, true), (10.0, false), (-10.0, false)] {
        check(Signal { twist_db, ..PLAIN }, heard);
    }
}

#[test]
fn levels_within_limits() {
    for (level_dbm0, heard) in [(-3.5, true), (-30.0, true), (-35.0, true), (-45.0, false)] {
        check(Signal { level_dbm0, ..PLAIN }, heard);
    }
}

#[test]
fn times_within_limits() {
    check(Signal { tone_ms: 40, pause_ms: 40, ..PLAIN }, true);
    check(Signal { tone_ms: 45, pause_ms: 41, ..PLAIN }, true);
    check(Signal { tone_ms: 20, ..PLAIN }, false);
}

#[test]
fn noise_within_limits() {
    let noise = Signal { noise_db: Some(15.0), ..PLAIN };
    check(noise, true);
    check(Signal { row_shift: 0.015, column_shift: -0.015, twist_db: 4.0, ..noise }, true);
    check(Signal { noise_db: Some(0.0), ..PLAIN }, false);
}

#[test]
fn companding_changes_nothing() {
    for law in [Law::Mu, Law::A] {
        for signal in [PLAIN, Signal { tone_ms: 40, pause_ms: 40, noise_db: Some(15.0), ..PLAIN }] {
            for key in keys() {
                let mut octets = Vec::new();
                let mut samples = Vec::new();
                g711::encode(law, &signal.samples(&[key; 4], 0), &mut octets);
                g711::decode(law, &octets, &mut samples);
                assert_eq!(downs(&samples), [key; 4], "{law:?} {signal:?}");
            }
        }
    }
}

#[test]
fn a_lost_packet_makes_no_second_press() {
    // 5 % of all packets are lost and silence is played instead.
    let signal = Signal { tone_ms: 120, pause_ms: 100, ..PLAIN };
    let (mut wrong, mut presses) = (0, 0);
    let mut random = Random(7);
    for round in 0..10 {
        for key in keys() {
            let mut samples = signal.samples(&[key; 4], round * 37);
            for packet in samples.chunks_mut(160) {
                if random.next().is_multiple_of(20) {
                    packet.fill(0);
                }
            }
            presses += 4;
            wrong += downs(&samples).len().abs_diff(4);
        }
    }
    assert!(wrong * 100 <= presses, "{wrong} of {presses} presses were missed or doubled");
}

#[test]
fn presses_have_their_length() {
    for tone_ms in [40, 80, 200, 1_000] {
        let mut out = Vec::new();
        Detector::new().handle(&Signal { tone_ms, ..PLAIN }.samples(&[Key::at(1, 1)], 0), &mut out);
        let Some(&Press::Up { duration_ms, .. }) = out.last() else { panic!("{out:?}") };
        assert!(duration_ms.abs_diff(tone_ms as u32) <= 16, "{duration_ms} of {tone_ms}");
    }
}

#[test]
fn single_tones_are_no_keys() {
    for frequency_hz in (300..2_000).step_by(10) {
        let sine = |n: usize| (8_000.0 * (TAU * frequency_hz as f32 * n as f32 / 8_000.0).sin()) as i16;
        let samples: Vec<i16> = (0..4_000).map(sine).collect();
        assert_eq!(downs(&samples), [], "{frequency_hz} Hz");
    }
}

proptest! {
    #[test]
    fn pieces_change_nothing(pieces in proptest::collection::vec(1_usize..400, 1..40), seed in 1_u32..) {
        let mut random = Random(seed);
        let keys: Vec<Key> = (0..6).map(|_| Key::at(random.next() as usize % 4, random.next() as usize % 4)).collect();
        let samples = Signal { noise_db: Some(20.0), ..PLAIN }.samples(&keys, seed as usize % 100);
        let (mut whole, mut cut) = (Vec::new(), Vec::new());
        Detector::new().handle(&samples, &mut whole);
        let mut detector = Detector::new();
        let mut rest = &samples[..];
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            detector.handle(now, &mut cut);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&whole, &cut);
        prop_assert_eq!(whole.len(), 12);
    }

    #[test]
    fn any_samples_are_survived(samples: Vec<i16>) {
        Detector::new().handle(&samples, &mut Vec::new());
    }
}

/// Every key four times, the frames beginning anywhere in it; each is heard once, or none is.
#[track_caller]
fn check(signal: Signal, heard: bool) {
    for key in keys() {
        for offset in [0, 13, 29, 41, 53] {
            let expected = if heard { vec![key; 4] } else { vec![] };
            assert_eq!(downs(&signal.samples(&[key; 4], offset)), expected, "{key}, {offset}: {signal:?}");
        }
    }
}

fn keys() -> impl Iterator<Item = Key> {
    (0..16).map(|place| Key::at(place / 4, place % 4))
}

fn downs(samples: &[i16]) -> Vec<Key> {
    let mut out = Vec::new();
    Detector::new().handle(samples, &mut out);
    out.iter().filter_map(|press| if let Press::Down(key) = press { Some(*key) } else { None }).collect()
}

impl Signal {
    fn samples(self, keys: &[Key], offset: usize) -> Vec<i16> {
        let mut random = Random(offset as u32 + 1);
        let mut samples = vec![0.0; 400 + offset];
        let peak = crate::tone::SINE_0_DBM0 * 10_f32.powf(self.level_dbm0 / 20.0);
        let column_peak = peak * 10_f32.powf(self.twist_db / 20.0);
        for key in keys {
            let (row, column) = key.tones().expect("a key with tones");
            let turn = |frequency_hz: f32, n: usize| (TAU * frequency_hz * n as f32 / 8_000.0 + 0.7).sin();
            samples.extend((0..self.tone_ms * 8).map(|n| {
                peak * turn(ROWS_HZ[row] * (1.0 + self.row_shift), n)
                    + column_peak * turn(COLUMNS_HZ[column] * (1.0 + self.column_shift), n)
            }));
            samples.resize(samples.len() + self.pause_ms * 8, 0.0);
        }
        samples.resize(samples.len() + 800, 0.0);
        // Even noise from -p to p has the power p²/3.
        let power = (peak * peak + column_peak * column_peak) / 2.0;
        let noise = self.noise_db.map_or(0.0, |noise_db| (3.0 * power / 10_f32.powf(noise_db / 10.0)).sqrt());
        samples.iter().map(|sample| g711::to_i16(sample + noise * random.even())).collect()
    }
}

struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 >> 3
    }

    fn even(&mut self) -> f32 {
        self.next() as f32 / (1_u32 << 28) as f32 - 1.0
    }
}
