//! What a Paraformer is fed with: frames of log-mel energies, seven beside one another every 60 ms ("low frame rate"), each
//! energy levelled, and where in the utterance it is added as waves of falling frequency (Vaswani et al. 2017, 3.5).

use super::layout::BANDS;

/// Frames beside one another, and how far the next ones are.
pub(super) const SIZE: usize = 7;
pub(super) const SHIFT: usize = 6;
/// Numbers of one step.
pub(super) const WIDTH: usize = SIZE * BANDS;
/// The longest wave is so much longer than the shortest.
const WAVES: f64 = 10_000.0;

/// How energies are levelled, and the waves.
#[derive(Debug)]
pub(super) struct LowRate {
    /// Added to each number of a step.
    shift: Vec<f32>,
    /// What it is multiplied by then.
    scale: Vec<f32>,
    /// Radians per step of each wave.
    waves: Vec<f32>,
}

impl LowRate {
    /// From what to add to and multiply with the [`WIDTH`] numbers of a step.
    pub(super) fn new(shift: Vec<f32>, scale: Vec<f32>) -> Self {
        let each = (-WAVES.ln() / (WIDTH / 2 - 1) as f64) as f32;
        Self { shift, scale, waves: (0..WIDTH / 2).map(|wave| (wave as f32 * each).exp()).collect() }
    }

    /// Appends the steps of `frames`; the first is number `first` of its utterance.
    pub(super) fn steps(&self, frames: &[f32], first: u64, out: &mut Vec<f32>) {
        let steps = (frames.len() / BANDS).saturating_sub(SIZE - SHIFT) / SHIFT;
        for step in 0..steps {
            let from = step * SHIFT * BANDS;
            let place = (first + step as u64 + 1) as f32;
            let frames = frames[from..from + WIDTH].iter();
            let levelled = frames.zip(&self.shift).zip(&self.scale).map(|((x, shift), scale)| (x + shift) * scale);
            let waves = self.waves.iter().map(|wave| (place * wave).sin());
            let waves = waves.chain(self.waves.iter().map(|wave| (place * wave).cos()));
            out.extend(levelled.zip(waves).map(|(levelled, wave)| levelled + wave));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_frames_every_sixth() {
        let low = LowRate::new(vec![1.0; WIDTH], vec![2.0; WIDTH]);
        let frames: Vec<f32> = (0..19).flat_map(|frame| [frame as f32; BANDS]).collect();
        let mut out = Vec::new();
        low.steps(&frames, 0, &mut out);
        assert_eq!(out.len(), 3 * WIDTH);
        // The second step begins with frame 6, at place 2 of the shortest wave.
        assert!((out[WIDTH] - (14.0 + 2.0_f32.sin())).abs() < 1e-6, "{}", out[WIDTH]);
        assert!((out[2 * WIDTH - 1] - (26.0 + (2.0 / WAVES as f32).cos())).abs() < 1e-5, "{}", out[2 * WIDTH - 1]);
        let mut later = Vec::new();
        low.steps(&frames[SHIFT * BANDS..], 1, &mut later);
        assert_eq!(later, out[WIDTH..]);
    }

    #[test]
    fn too_few_frames_are_no_step() {
        let low = LowRate::new(vec![0.0; WIDTH], vec![1.0; WIDTH]);
        let mut out = Vec::new();
        low.steps(&[0.0; 6 * BANDS], 0, &mut out);
        assert!(out.is_empty());
    }
}
