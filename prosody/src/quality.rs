//! When a number is to be trusted: level and clipping of a hop, signal-to-noise ratio and losses of the last seconds.

use crate::math::decibels;

/// The level of silence, dBov.
const SILENCE_DBOV: f32 = -127.0;
/// At and above this a sample is at the end of its scale: G.711 ends at 0.980.
const FULL: f32 = 0.975;
/// So many samples at the end of the scale one after another are cut off.
const CLIPPED_RUN: u32 = 3;

/// Hops that a quality is told of: 10 s.
const HOPS: usize = 1_000;
/// Levels are counted per dB from [`SILENCE_DBOV`] on.
const BINS: usize = 128;
/// Noise is the level that this share of the hops stay below.
const QUIET_SHARE: f32 = 0.1;
/// The quietest tenth lies so far below the mean of steady noise, dB (80 samples, measured).
const QUIET_BIAS_DB: f32 = 1.0;
/// A ratio is told from so many voiced hops on.
const VOICED_MIN: u32 = 20;
/// The ratio is told between these, dB.
const RATIO_DB: (f32, f32) = (-10.0, 60.0);

/// Level of one hop of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Mean square re full-scale square wave, dBov (RFC 6465); −127 at silence.
    pub dbov: f32,
    /// Highest absolute sample, 0-1.
    pub peak: f32,
    /// Share of the samples that are cut off at the end of the scale, 0-1.
    pub clipped: f32,
}

/// Measures hop by hop; cut-off samples are also found across hops.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Leveller {
    /// Samples at the end of the scale since the last other one.
    run: u32,
}

impl Leveller {
    pub(crate) fn describe(&mut self, hop: &[f32]) -> Level {
        let (mut square, mut peak, mut clipped) = (0.0f32, 0.0f32, 0u32);
        for sample in hop {
            square += sample * sample;
            peak = peak.max(sample.abs());
        }
        if peak < FULL {
            self.run = 0;
        } else {
            for sample in hop {
                self.run = if sample.abs() >= FULL { self.run + 1 } else { 0 };
                // The third tells that the first two were cut off too.
                clipped += match self.run {
                    0..CLIPPED_RUN => 0,
                    CLIPPED_RUN => CLIPPED_RUN,
                    _ => 1,
                };
            }
        }
        let power = square / hop.len() as f32;
        let dbov = decibels(power).clamp(SILENCE_DBOV, 0.0);
        Level { dbov, peak, clipped: (clipped as f32 / hop.len() as f32).min(1.0) }
    }
}

/// How good the signal of one party has been in the last 10 s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Level of the voiced hops over the level of the noise, dB, −10 to 60; `None` until 0.2 s are voiced.
    pub snr_db: Option<f32>,
    /// Level of the noise: what a tenth of the hops stay below, dBov.
    pub noise_dbov: f32,
    /// Share of the hops that were concealed because their packets did not come, 0-1.
    pub lost: f32,
    /// Share of the samples that are cut off, 0-1.
    pub clipped: f32,
}

/// What is remembered of one hop.
#[derive(Debug, Clone, Copy, Default)]
struct Hop {
    level: u8,
    voiced: bool,
    lost: bool,
    /// Thousandths.
    clipped: u16,
}

/// Follows the quality of one party. Holds about 7 KiB; nothing grows.
#[derive(Debug, Clone)]
pub struct QualityMeter {
    hops: Vec<Hop>,
    at: usize,
    levels: [u32; BINS],
    voiced_levels: [u32; BINS],
    lost: u32,
    clipped: u32,
}

impl Default for QualityMeter {
    fn default() -> Self {
        Self { hops: Vec::with_capacity(HOPS), at: 0, levels: [0; BINS], voiced_levels: [0; BINS], lost: 0, clipped: 0 }
    }
}

impl QualityMeter {
    /// Takes the next hop; `lost` where its samples were made up because packets did not come.
    pub fn push(&mut self, level: &Level, voiced: bool, lost: bool) {
        let hop = Hop {
            level: (level.dbov - SILENCE_DBOV).round().clamp(0.0, (BINS - 1) as f32) as u8,
            voiced: voiced && !lost,
            lost,
            clipped: (1_000.0 * level.clipped) as u16,
        };
        if self.hops.len() < HOPS {
            self.hops.push(hop);
        } else {
            let old = std::mem::replace(&mut self.hops[self.at], hop);
            self.at = (self.at + 1) % HOPS;
            self.count(&old, u32::wrapping_sub);
        }
        self.count(&hop, u32::wrapping_add);
    }

    /// What it is like now.
    pub fn quality(&self) -> Quality {
        let heard = self.hops.len().max(1) as f32;
        let noise_dbov = self.noise_dbov();
        let voiced: u32 = self.voiced_levels.iter().sum();
        let power_of = |bin: usize| 10f32.powf((bin as f32 + SILENCE_DBOV) / 10.0);
        let noise = 10f32.powf(noise_dbov / 10.0);
        let snr_db = (voiced >= VOICED_MIN).then(|| {
            let sum: f32 = self.voiced_levels.iter().enumerate().map(|(bin, &n)| n as f32 * power_of(bin)).sum();
            let speech = (sum / voiced as f32 - noise).max(f32::MIN_POSITIVE);
            (decibels(speech) - noise_dbov).clamp(RATIO_DB.0, RATIO_DB.1)
        });
        Quality { snr_db, noise_dbov, lost: self.lost as f32 / heard, clipped: self.clipped as f32 / heard / 1_000.0 }
    }

    fn count(&mut self, hop: &Hop, change: impl Fn(u32, u32) -> u32) {
        let level = usize::from(hop.level);
        // Hops that were made up say nothing about noise.
        self.levels[level] = change(self.levels[level], u32::from(!hop.lost));
        self.voiced_levels[level] = change(self.voiced_levels[level], u32::from(hop.voiced));
        self.lost = change(self.lost, u32::from(hop.lost));
        self.clipped = change(self.clipped, u32::from(hop.clipped));
    }

    fn noise_dbov(&self) -> f32 {
        let total: u32 = self.levels.iter().sum();
        let wanted = (QUIET_SHARE * total as f32).ceil().max(1.0) as u32;
        let mut reached = 0;
        for (bin, count) in self.levels.iter().enumerate() {
            reached += count;
            if reached >= wanted {
                return bin as f32 + SILENCE_DBOV + QUIET_BIAS_DB;
            }
        }
        SILENCE_DBOV
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SampleRate::Hz8000;
    use crate::synthetic::{self, Kind, Plan, Voice};
    use crate::{Analyzer, Row};

    #[test]
    fn levels_of_known_signals() {
        check(&[1.0; 80], 0.0, 1.0);
        check(&[0.1; 80], -20.0, 0.0);
        check(&[0.0; 80], -127.0, 0.0);
        // Three samples at the top of a full sine are cut off for all one can tell.
        let sine: [f32; 80] = std::array::from_fn(|i| (std::f32::consts::TAU * i as f32 / 40.0).sin());
        check(&sine, -3.01, 0.15);
        // A sine at twice the scale spends two thirds of its time beyond, 26 of 40 samples.
        check(&sine.map(|s| (2.0 * s).clamp(-1.0, 1.0)), -1.0, 0.65);
    }

    #[test]
    fn clipping_is_found_across_hops() {
        let mut leveller = Leveller::default();
        let hop = |at: std::ops::Range<usize>| -> [f32; 80] {
            std::array::from_fn(|i| if at.contains(&i) { 1.0 } else { 0.1 })
        };
        assert_eq!(leveller.describe(&hop(78..80)).clipped, 0.0);
        assert_eq!(leveller.describe(&hop(0..2)).clipped, 4.0 / 80.0);
    }

    #[test]
    fn the_ratio_of_known_noise_is_found() {
        for snr_db in [0.0, 5.0, 10.0, 20.0, 30.0] {
            for pitch_hz in [110.0, 220.0] {
                let voice = Voice::of(&Plan { seconds: 12.0, ..Plan::new(Kind::Phrases, pitch_hz, 5) });
                let mut samples = synthetic::telephone_band(&synthetic::half_rate(&voice.samples));
                let noise = synthetic::telephone_band(&synthetic::white(samples.len(), 9));
                synthetic::add_at_snr(&mut samples, &noise, &voice.pitch_hz, 8_000, snr_db);
                let got = measured(&samples).snr_db.expect("it is voiced");
                assert!((got - snr_db).abs() < 3.0, "{got} instead of {snr_db} dB");
            }
        }
    }

    #[test]
    fn losses_count_for_ten_seconds_and_then_no_more() {
        let mut meter = QualityMeter::default();
        let level = Level { dbov: -30.0, peak: 0.1, clipped: 0.0 };
        (0..50).for_each(|_| meter.push(&level, false, true));
        (0..50).for_each(|_| meter.push(&level, true, false));
        assert_eq!(meter.quality().lost, 0.5);
        (0..1_000).for_each(|_| meter.push(&level, true, false));
        assert_eq!((meter.quality().lost, meter.quality().noise_dbov), (0.0, -29.0));
    }

    #[track_caller]
    fn check(hop: &[f32; 80], dbov: f32, clipped: f32) {
        let level = Leveller::default().describe(hop);
        assert!((level.dbov - dbov).abs() < 0.1 && (level.clipped - clipped).abs() < 0.06, "{level:?}");
    }

    fn measured(samples: &[f32]) -> Quality {
        let (mut analyzer, mut rows) = (Analyzer::new(Hz8000), Vec::<Row>::new());
        analyzer.push(samples, &mut rows);
        let mut meter = QualityMeter::default();
        rows.iter().for_each(|row| meter.push(&row.level, row.pitch_hz.is_some(), false));
        meter.quality()
    }
}
