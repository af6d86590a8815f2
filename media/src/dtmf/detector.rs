//! Keys that are heard in the audio of a leg without telephone-events (limits: ITU-T Q.24).
//!
//! Every 8 ms the last 16 ms are measured at the eight frequencies, as Goertzel's recursion would. Two tones are a key
//! when they are nearly all there is, hold their frequencies from one measurement to the next, and last.

use std::f32::consts::{PI, TAU};
use std::sync::LazyLock;

use super::{COLUMNS_HZ, Key, Press, ROWS_HZ};
use crate::wav::RATE_HZ;

#[cfg(test)]
mod tests;

/// The keys in one leg's samples at 8 kHz.
#[derive(Debug)]
pub struct Detector {
    /// The samples to be measured; the older half was measured before.
    frame: [f32; FRAME],
    filled: usize,
    before: Measure,
    /// The key of the last measurements, and how many in a row they were.
    run: Option<(Key, u32)>,
    down: Option<Down>,
}

#[derive(Debug)]
struct Down {
    key: Key,
    /// Measurements since the first that heard it, up to the last that did.
    span: u32,
    /// Measurements since then that did not.
    misses: u32,
}

/// One frame at the eight frequencies, rows first.
#[derive(Debug, Clone, Copy, Default)]
struct Measure {
    tones: [Complex; 8],
}

#[derive(Debug, Clone, Copy, Default)]
struct Complex {
    re: f32,
    im: f32,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// Hears nothing yet.
    pub fn new() -> Self {
        Self { frame: [0.0; FRAME], filled: HOP, before: Measure::default(), run: None, down: None }
    }

    /// Takes samples in any pieces; where they are cut changes nothing. Lost packets have to be put in as silence or
    /// as what is played in their place.
    pub fn handle(&mut self, mut samples: &[i16], out: &mut Vec<Press>) {
        while !samples.is_empty() {
            let (taken, rest) = samples.split_at(samples.len().min(FRAME - self.filled));
            for (place, sample) in self.frame[self.filled..].iter_mut().zip(taken) {
                *place = f32::from(*sample) / -f32::from(i16::MIN);
            }
            self.filled += taken.len();
            samples = rest;
            if self.filled == FRAME {
                let key = self.measure();
                self.follow(key, out);
                self.frame.copy_within(HOP.., 0);
                self.filled = HOP;
            }
        }
    }

    /// The key in the present frame, if it is one.
    fn measure(&mut self) -> Option<Key> {
        let table = &*TABLE;
        let total = power(&self.frame, table);
        if total < POWER_MIN {
            self.before = Measure::default();
            return None;
        }
        let now = Measure { tones: std::array::from_fn(|tone| table.tones[tone].correlate(&self.frame)) };
        let before = std::mem::replace(&mut self.before, now);
        let row = loudest(&now.tones[..4]);
        let column = 4 + loudest(&now.tones[4..]);

        let row_power = now.power(row, &before, table)?;
        let column_power = now.power(column, &before, table)?;
        let balanced = column_power < row_power * TWIST_MAX && row_power < column_power * TWIST_MAX;
        let alone = row_power + column_power > total * SHARE_MIN;
        if !balanced || !alone || row_power.min(column_power) < POWER_MIN {
            return None;
        }
        // Voices have overtones, telephones have not. The rows' overtones lie among the columns: the share counts them.
        let overtone = table.overtones[column - 4].correlate(&self.frame).power();
        (overtone < column_power * OVERTONE_MAX).then(|| Key::at(row, column - 4))
    }

    fn follow(&mut self, heard: Option<Key>, out: &mut Vec<Press>) {
        self.run = heard.map(|key| match self.run {
            Some((before, count)) if before == key => (key, count.saturating_add(1)),
            _ => (key, 1),
        });
        if let Some(down) = &mut self.down {
            if heard == Some(down.key) {
                down.span = down.span.saturating_add(down.misses + 1);
                down.misses = 0;
            } else {
                down.misses += 1;
            }
        }

        let begins =
            self.run.filter(|(key, count)| *count == HITS && self.down.as_ref().is_none_or(|down| down.key != *key));
        if begins.is_some() || self.down.as_ref().is_some_and(|down| down.misses >= MISSES) {
            self.end(out);
        }
        if let Some((key, count)) = begins {
            self.down = Some(Down { key, span: count, misses: 0 });
            out.push(Press::Down(key));
        }
    }

    fn end(&mut self, out: &mut Vec<Press>) {
        if let Some(down) = self.down.take() {
            let duration_ms = down.span.saturating_mul(HOP_MS).saturating_add(UNHEARD_MS);
            out.push(Press::Up { key: down.key, duration_ms });
        }
    }
}

impl Measure {
    /// The power of a tone, if it goes on from the measurement before at its frequency and at about its level.
    fn power(&self, tone: usize, before: &Measure, table: &Table) -> Option<f32> {
        let (now, before) = (self.tones[tone], before.tones[tone]);
        if now.power() > before.power() * STEP_MAX || before.power() > now.power() * STEP_MAX {
            return None;
        }
        let turn = now.times(before.conjugate()).times(table.tones[tone].expected.conjugate());
        let deviation_hz = turn.im.atan2(turn.re) / TAU * RATE_HZ as f32 / HOP as f32;
        let limit_hz = table.tones[tone].frequency_hz * DEVIATION_MAX + DEVIATION_HZ;
        (deviation_hz.abs() <= limit_hz).then(|| now.power() / response(deviation_hz))
    }
}

impl Complex {
    fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    fn conjugate(self) -> Self {
        Self { re: self.re, im: -self.im }
    }

    fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

/// What every detector multiplies its frames with.
struct Table {
    tones: [Tone; 8],
    /// Twice the columns' frequencies.
    overtones: [Tone; 4],
    /// The window squared, so that its sum over a steady signal is the power.
    weights: [f32; FRAME],
}

/// A windowed sine and cosine; the square of a correlation with them is the power of the sine that was met.
struct Tone {
    frequency_hz: f32,
    re: [f32; FRAME],
    im: [f32; FRAME],
    /// How far the tone turns from one frame to the next.
    expected: Complex,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let weights: [f32; FRAME] = std::array::from_fn(|n| window(n) * window(n));
    let sum: f32 = weights.iter().sum();
    let frequency = |tone: usize| if tone < 4 { ROWS_HZ[tone] } else { COLUMNS_HZ[tone - 4] };
    Table {
        tones: std::array::from_fn(|tone| Tone::new(frequency(tone))),
        overtones: std::array::from_fn(|tone| Tone::new(2.0 * COLUMNS_HZ[tone])),
        weights: weights.map(|weight| weight / sum),
    }
});

impl Tone {
    fn new(frequency_hz: f32) -> Self {
        let turn = |n: usize| TAU * frequency_hz * n as f32 / RATE_HZ as f32;
        let scale = std::f32::consts::SQRT_2 / (0..FRAME).map(window).sum::<f32>();
        Self {
            frequency_hz,
            re: std::array::from_fn(|n| scale * window(n) * turn(n).cos()),
            im: std::array::from_fn(|n| -scale * window(n) * turn(n).sin()),
            expected: Complex { re: turn(HOP).cos(), im: turn(HOP).sin() },
        }
    }

    fn correlate(&self, frame: &[f32; FRAME]) -> Complex {
        Complex { re: dot(&self.re, frame), im: dot(&self.im, frame) }
    }
}

/// Eight sums side by side, so that the compiler may add them at once.
fn dot(a: &[f32; FRAME], b: &[f32; FRAME]) -> f32 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

fn power(frame: &[f32; FRAME], table: &Table) -> f32 {
    dot(&frame.map(|sample| sample * sample), &table.weights)
}

fn loudest(tones: &[Complex]) -> usize {
    let mut best = 0;
    for (tone, value) in tones.iter().enumerate() {
        best = if value.power() > tones[best].power() { tone } else { best };
    }
    best
}

/// Hann's window.
fn window(n: usize) -> f32 {
    0.5 - 0.5 * (TAU * (n as f32 + 0.5) / FRAME as f32).cos()
}

/// How much of a tone's power is measured when it is off the measured frequency.
fn response(deviation_hz: f32) -> f32 {
    let bins = deviation_hz.abs() * FRAME as f32 / RATE_HZ as f32;
    if bins < 1e-3 {
        return 1.0;
    }
    ((PI * bins).sin() / (PI * bins) / (1.0 - bins * bins)).powi(2)
}

/// 16 ms.
const FRAME: usize = 128;
/// 8 ms.
const HOP: usize = FRAME / 2;
const HOP_MS: u32 = 8;

/// Each tone, -38 dBm0: a sine of full scale is 3.14 dBm0 and has the power 1/2.
const POWER_MIN: f32 = 3.84e-5;
/// 8 dB between the two tones; telephones stay within 4, lines add their own.
const TWIST_MAX: f32 = 6.31;
/// The two tones are at least so much of all that is heard.
const SHARE_MIN: f32 = 0.85;
/// The column's second harmonic, -18 dB.
const OVERTONE_MAX: f32 = 0.016;
/// 9 dB from one frame to the next: the first and last frame of a tone are only partly filled.
const STEP_MAX: f32 = 8.0;
/// 1.5 % is to be taken and 3.5 % to be refused.
const DEVIATION_MAX: f32 = 0.022;
/// What noise and the other tone may add to a measured frequency, Hz.
const DEVIATION_HZ: f32 = 3.0;

/// Measurements in a row that make a key: a tone of 40 ms has so many wherever the frames begin.
const HITS: u32 = 3;
/// Measurements without it that end a key: a pause of 40 ms has so many, a lost packet of 20 ms has not.
const MISSES: u32 = 5;
/// What of a tone lies before its first and after its last measurement.
const UNHEARD_MS: u32 = 16;
