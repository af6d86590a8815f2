//! A stretch of speech as the network takes it: log-mel energies without level and line.

use prosody::SampleRate;
use prosody::logmel::{LogMel, LogMelSettings};

/// Energies per frame.
pub(super) const BANDS: usize = 40;
/// Frames of 10 ms that become one step.
pub(super) const STRIDE: usize = 4;
/// Samples at 8 kHz per frame.
const HOP: usize = 80;
/// Samples at 8 kHz per step.
pub(super) const STEP: u64 = (STRIDE * HOP) as u64;
/// Empty frames behind a stretch: as far as the network looks ahead, so that nobody hears who stands beside it in a run.
const BEHIND: usize = 64;
/// The band of the telephone.
const LOW_HZ: f32 = 125.0;
const HIGH_HZ: f32 = 3_800.0;
/// Energies further below the loudest one than this are raised to it, natural logarithm (56 dB).
const RANGE: f32 = 13.0;
/// What levelled energies are divided by.
const SCALE: f32 = 4.0;

/// Levelled energies of one stretch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Energies {
    /// [`BANDS`] per frame, empty frames behind them; a whole number of steps.
    pub(super) values: Vec<f32>,
    /// Steps of the stretch itself.
    pub(super) steps: usize,
}

impl Energies {
    /// Of samples at 8 kHz, [-1, 1].
    pub(super) fn of(samples: &[f32]) -> Self {
        let usual = LogMelSettings::new(SampleRate::Hz8000);
        let settings = LogMelSettings { bins: BANDS, low_hz: LOW_HZ, high_hz: HIGH_HZ, ..usual };
        let mut log_mel = LogMel::new(settings).expect("within the ranges");
        let mut values = Vec::new();
        log_mel.push(samples, &mut values);
        log_mel.finish(&mut values);
        level(&mut values);
        let steps = (values.len() / BANDS).div_ceil(STRIDE);
        values.resize((steps * STRIDE + BEHIND) * BANDS, 0.0);
        Self { values, steps }
    }

    /// Frames with the empty ones behind.
    pub(super) fn frames(&self) -> usize {
        self.values.len() / BANDS
    }
}

/// Takes off what is usual in the louder half of the frames, band by band.
fn level(values: &mut [f32]) {
    let loudest = values.iter().copied().fold(f32::MIN, f32::max);
    values.iter_mut().for_each(|value| *value = value.max(loudest - RANGE));
    let loudness = |frame: &[f32]| frame.iter().sum::<f32>() / BANDS as f32;
    let mean = values.chunks_exact(BANDS).map(loudness).sum::<f32>() / (values.len() / BANDS).max(1) as f32;
    let mut usual = [0.0; BANDS];
    let mut count = 0_usize;
    for frame in values.chunks_exact(BANDS).filter(|frame| loudness(frame) >= mean) {
        usual.iter_mut().zip(frame).for_each(|(sum, value)| *sum += value);
        count += 1;
    }
    for frame in values.chunks_exact_mut(BANDS) {
        frame.iter_mut().zip(&usual).for_each(|(value, sum)| *value = (*value - sum / count.max(1) as f32) / SCALE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_does_not_matter_and_steps_are_whole() {
        let wave = |level: f32| -> Vec<f32> {
            let tone =
                |i: usize| level * ((i as f32 * 0.4).sin() + 0.3 * (i as f32 * 1.7).sin()) * ((i / 900) % 3) as f32;
            (0..4_101).map(tone).collect()
        };
        let (loud, soft) = (Energies::of(&wave(0.2)), Energies::of(&wave(0.02)));
        assert_eq!((loud.steps, loud.frames()), (13, 13 * STRIDE + BEHIND));
        let apart = loud.values.iter().zip(&soft.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 0.02, "{apart}");
    }

    #[test]
    fn silence_and_nothing_are_taken() {
        assert_eq!(Energies::of(&[]).steps, 0);
        assert!(Energies::of(&[0.0; 800]).values.iter().all(|value| *value == 0.0));
    }
}
