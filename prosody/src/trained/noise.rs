//! The steady noise under a voice: the slowly rising minimum of the power in 64 bands of 62.5 Hz.
//!
//! Takes noise out of a power spectrum so that the harmonics stand out; does not restore audio.

use realfft::num_complex::Complex32;

const BANDS: usize = 64;
/// Bins of a 1024-point transform per band.
const WIDTH: usize = 8;
/// The floor rises by this factor per hop while the power stays above it (8.6 dB/s) and falls faster.
const RISE: f32 = 1.02;
const FALL: f32 = 0.3;
/// How much of the floor is taken away: the minimum lies under the mean of noise.
const TAKEN: f32 = 2.9;
/// What at least remains of a bin, so that a steady voice is never taken for noise as a whole.
const KEPT: f32 = 0.24;

/// Power per bin that is there without a voice.
pub(crate) struct NoiseFloor {
    bands: Option<[f32; BANDS]>,
}

impl NoiseFloor {
    /// Nothing known yet: the first spectrum is taken as noise and soon proved wrong if it was none.
    pub(crate) fn new() -> Self {
        Self { bands: None }
    }

    /// Learns from the spectrum of the next hop.
    pub(crate) fn learn(&mut self, bins: &[Complex32]) {
        let mut powers = [0.0; BANDS];
        for (power, bins) in powers.iter_mut().zip(bins.chunks_exact(WIDTH)) {
            *power = bins.iter().map(Complex32::norm_sqr).sum::<f32>() / WIDTH as f32;
        }
        let bands = self.bands.get_or_insert(powers);
        for (floor, power) in bands.iter_mut().zip(powers) {
            *floor = if power < *floor { *floor + FALL * (power - *floor) } else { (*floor * RISE).min(power) };
        }
    }

    /// What of `power` in the bin of this number is not noise.
    pub(crate) fn without(&self, bin: usize, power: f32) -> f32 {
        let floor = self.bands.as_ref().map_or(0.0, |bands| bands[(bin / WIDTH).min(BANDS - 1)]);
        (power - TAKEN * floor).max(KEPT * power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_a_floor_and_leaves_what_stands_above_it() {
        let mut noise = NoiseFloor::new();
        assert_eq!(noise.without(100, 5.0), 5.0);
        for _ in 0..50 {
            noise.learn(&[Complex32::new(1.0, 0.0); 513]);
        }
        assert!((noise.without(100, 100.0) - 97.1).abs() < 0.1);
        assert!((noise.without(100, 1.0) - KEPT).abs() < 1e-6);
    }

    #[test]
    fn a_wrong_first_guess_is_soon_forgotten() {
        let mut noise = NoiseFloor::new();
        noise.learn(&[Complex32::new(100.0, 0.0); 513]);
        for _ in 0..40 {
            noise.learn(&[Complex32::new(0.1, 0.0); 513]);
        }
        assert!(noise.without(100, 10.0) > 9.0);
    }
}
