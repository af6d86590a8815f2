//! The steady noise under a voice: a slowly rising minimum of the power in bands of 250 Hz.

/// Bands.
pub(super) const BANDS: usize = 16;

/// The floor rises by this factor per hop while the power stays above it (3.5 dB/s) and falls faster.
const RISE: f32 = 1.008;
/// While little has been heard it rises faster.
const RISE_FIRST: f32 = 1.2;
const FIRST_HOPS: u32 = 8;
/// The share of the way down that it takes in one hop.
const FALL: f32 = 0.3;

/// Power per bin that is there without a voice.
#[derive(Debug, Clone, Default)]
pub(super) struct NoiseFloor {
    bands: [f32; BANDS],
    hops: u32,
}

impl NoiseFloor {
    /// Learns from the band powers of the next hop; the first one is taken as noise and soon proved wrong if it was none.
    #[inline(always)]
    pub(super) fn learn(&mut self, powers: &[f32; BANDS]) -> &[f32; BANDS] {
        if self.hops == 0 {
            self.bands = *powers;
        }
        let rise = if self.hops > FIRST_HOPS { RISE } else { RISE_FIRST };
        for (floor, &power) in self.bands.iter_mut().zip(powers) {
            *floor = if power < *floor { *floor + FALL * (power - *floor) } else { (*floor * rise).min(power) };
        }
        self.hops = self.hops.saturating_add(1);
        &self.bands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_first_guess_is_soon_forgotten_and_a_voice_is_not_learned() {
        let mut noise = NoiseFloor::default();
        noise.learn(&[100.0; BANDS]);
        for _ in 0..40 {
            noise.learn(&[0.1; BANDS]);
        }
        assert!(noise.learn(&[0.1; BANDS])[3] < 0.11);
        for _ in 0..50 {
            noise.learn(&[50.0; BANDS]);
        }
        assert!(noise.learn(&[50.0; BANDS])[3] < 0.2);
    }
}
