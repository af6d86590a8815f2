//! A key as the two tones that a telephone makes of it (ITU-T Q.23), for legs that agreed no telephone-event.
//!
//! Makes samples frame by frame at any rate, of one key or of several that wait for one another.

use std::collections::VecDeque;
use std::f64::consts::TAU;

use super::{COLUMNS_HZ, Key, QueueFull, ROWS_HZ, Sender};
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

/// The keys that wait to sound on one leg.
#[derive(Debug)]
pub struct ToneSender {
    rate_hz: u32,
    queue: VecDeque<Key>,
    /// The key that sounds, or did before the pause that is behind it.
    tones: Option<Tones>,
    /// Samples left of it and of that pause.
    left: usize,
}

impl ToneSender {
    /// For samples at a rate in Hz.
    pub fn new(rate_hz: u32) -> Self {
        Self { rate_hz, queue: VecDeque::with_capacity(Sender::KEYS_MAX), tones: None, left: 0 }
    }

    /// Takes a key.
    ///
    /// # Errors
    /// When [`Sender::KEYS_MAX`] wait.
    pub fn press(&mut self, key: Key) -> Result<(), QueueFull> {
        if self.queue.len() >= Sender::KEYS_MAX {
            return Err(QueueFull);
        }
        self.queue.push_back(key);
        Ok(())
    }

    /// True when nothing waits and nothing sounds.
    pub fn is_idle(&self) -> bool {
        self.left == 0 && self.queue.is_empty()
    }

    /// Writes the next samples: a key, its pause, the next one; silence when there is none.
    pub fn next_frame(&mut self, mut frame: &mut [i16]) {
        while !frame.is_empty() {
            if self.left == 0 {
                let Some(key) = self.queue.pop_front() else { return frame.fill(0) };
                self.tones = Some(Tones::new(key, KEY_MS, self.rate_hz));
                self.left = samples(KEY_MS + PAUSE_MS, self.rate_hz);
            }
            let (part, rest) = frame.split_at_mut(self.left.min(frame.len()));
            if let Some(tones) = &mut self.tones {
                tones.next_frame(part);
            }
            self.left -= part.len();
            frame = rest;
        }
    }
}

/// How long a key sounds, and how long the pause behind it is, ms (ITU-T Q.24 wants 40 at least).
const KEY_MS: u32 = 100;
const PAUSE_MS: u32 = 100;
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
    fn keys_wait_for_one_another() {
        for frame_samples in [80, 160, 240, 480] {
            let mut sender = ToneSender::new(8_000);
            let keys: Vec<Key> = "1123*".chars().map(|key| key.try_into().expect("a key")).collect();
            keys.iter().for_each(|key| sender.press(*key).expect("there is room"));
            let (mut detector, mut out, mut frames) = (Detector::new(), Vec::new(), 0);
            let mut frame = vec![0; frame_samples];
            while !sender.is_idle() {
                sender.next_frame(&mut frame);
                detector.handle(&frame, &mut out);
                frames += 1;
            }
            let heard: Vec<Key> =
                out.iter().filter_map(|press| if let Press::Down(key) = press { Some(*key) } else { None }).collect();
            assert_eq!(heard, keys, "frames of {frame_samples} samples");
            assert_eq!(frames, (5 * 1_600_usize).div_ceil(frame_samples));
            sender.next_frame(&mut frame);
            assert_eq!(frame, vec![0; frame_samples]);
        }
        let mut sender = ToneSender::new(8_000);
        (0..Sender::KEYS_MAX).for_each(|_| sender.press(Key::at(0, 0)).expect("there is room"));
        assert_eq!(sender.press(Key::at(0, 0)), Err(QueueFull));
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
