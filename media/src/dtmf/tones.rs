//! A key as the two tones that a telephone makes of it (ITU-T Q.23), for legs that agreed no telephone-event.
//!
//! Makes samples frame by frame at any rate; keys that wait and the pauses between them are the caller's.

use std::f64::consts::TAU;

use super::{COLUMNS_HZ, Key, ROWS_HZ};
use crate::tone::{SINE_0_DBM0, edge};

/// One key that sounds.
#[derive(Debug, Clone)]
pub struct Tones {
    /// Turns per sample of the two tones; none for a key without.
    steps: Option<[f64; 2]>,
    ramp: usize,
    length: usize,
    position: usize,
}

impl Tones {
    /// A key for a time within the limits of [`Sender`](super::Sender), at a sample rate in Hz. The hook is silent.
    pub fn new(key: Key, duration_ms: u32, rate_hz: u32) -> Self {
        let duration_ms = duration_ms.clamp(super::Sender::DURATION_MS_MIN, super::Sender::DURATION_MS_MAX);
        let steps = key.tones().map(|(row, column)| [ROWS_HZ[row], COLUMNS_HZ[column]]);
        Self {
            steps: steps.map(|tones| tones.map(|tone| f64::from(tone) / f64::from(rate_hz.max(1)))),
            ramp: samples(RAMP_MS, rate_hz),
            length: samples(duration_ms, rate_hz),
            position: 0,
        }
    }

    /// Writes the next samples; what is past the end is silence. True while there is more.
    pub fn next_frame(&mut self, frame: &mut [i16]) -> bool {
        for sample in frame {
            *sample = self.next_sample();
        }
        self.position < self.length
    }

    fn next_sample(&mut self) -> i16 {
        let Some([row, column]) = self.steps.filter(|_| self.position < self.length) else {
            self.position = self.position.saturating_add(1);
            return 0;
        };
        let n = self.position as f64;
        let sum =
            ROW_PEAK * (TAU * (row * n).fract()).sin() as f32 + COLUMN_PEAK * (TAU * (column * n).fract()).sin() as f32;
        let shaped = sum * edge(self.position, self.length, self.ramp);
        self.position += 1;
        (shaped * f32::from(i16::MAX)).round() as i16
    }
}

/// -11 dBm0.
const ROW_PEAK: f32 = SINE_0_DBM0 * 0.281_8;
/// -9 dBm0: lines lose more of the high tones.
const COLUMN_PEAK: f32 = SINE_0_DBM0 * 0.354_8;
const RAMP_MS: u32 = 3;

fn samples(duration_ms: u32, rate_hz: u32) -> usize {
    (u64::from(duration_ms) * u64::from(rate_hz) / 1_000) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::{Detector, Press};

    #[test]
    fn every_key_is_heard() {
        let mut detector = Detector::new();
        let mut out = Vec::new();
        let keys: Vec<Key> = "1234567890*#ABCD55".chars().map(|key| key.try_into().expect("a key")).collect();
        for &key in &keys {
            let mut tones = Tones::new(key, 60, 8_000);
            let mut frame = [0; 160];
            while tones.next_frame(&mut frame) {
                detector.handle(&frame, &mut out);
            }
            detector.handle(&frame, &mut out);
            detector.handle(&[0; 480], &mut out);
        }
        let heard: Vec<Key> =
            out.iter().filter_map(|press| if let Press::Down(key) = press { Some(*key) } else { None }).collect();
        assert_eq!(heard, keys);
    }

    #[test]
    fn it_begins_and_ends_softly_and_is_not_too_loud() {
        let mut samples = vec![0; 900];
        let mut tones = Tones::new(Key::at(0, 0), 100, 8_000);
        assert!(!tones.next_frame(&mut samples));
        let peak = samples.iter().map(|sample| sample.abs()).max().expect("samples");
        assert!((13_000..15_000).contains(&peak), "{peak}");
        assert_eq!((samples[0], samples[799]), (0, 0));
        assert!(samples[..4].iter().chain(&samples[796..]).all(|sample| sample.abs() < 600));
    }

    #[test]
    fn any_frames_give_the_same_samples() {
        let mut whole = vec![0; 2_000];
        Tones::new(Key::at(1, 2), 100, 16_000).next_frame(&mut whole);
        let mut tones = Tones::new(Key::at(1, 2), 100, 16_000);
        let mut pieces = vec![0; 2_000];
        for piece in pieces.chunks_mut(77) {
            tones.next_frame(piece);
        }
        assert_eq!(whole, pieces);
    }

    #[test]
    fn the_hook_has_no_tone() {
        let mut frame = [9; 160];
        assert!(Tones::new(Key::FLASH, 100, 8_000).next_frame(&mut frame));
        assert_eq!(frame, [0; 160]);
    }
}
