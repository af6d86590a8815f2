//! What the network is shown of a frame besides its candidates: levels, noise, where in the window the energy is.

use super::candidates::Candidates;
use super::correlogram::{Correlogram, SPAN};
use crate::lanes::{each, sum, sum_of, widest};
use crate::math::decibels;

pub use super::candidates::CANDIDATE_EVIDENCE;

/// Numbers about one frame.
pub const FRAME_EVIDENCE: usize = 4 + BLOCKS + GROUPS.len() + 4;
/// Those of them that candidates are judged by too.
pub const SHARED_EVIDENCE: usize = FRAME_EVIDENCE - BLOCKS;
/// Frames before and after that the voicing of a frame is judged by.
pub(super) const BEHIND: usize = 4;
pub(super) const AHEAD: usize = 4;

/// Pieces of a window whose energies show where in it the voice begins or ends (6 ms each).
const BLOCKS: usize = 8;
/// Noise bands (250 Hz each) whose signal-to-noise ratios are told together.
const GROUPS: [std::ops::Range<usize>; 5] = [0..2, 2..4, 4..7, 7..10, 10..14];
/// Bins whose energies are compared: 94-500 Hz and 1-1.7 kHz.
const LOW_BINS: std::ops::Range<usize> = 6..32;
const HIGH_BINS: std::ops::Range<usize> = 64..110;
/// Samples in the middle of a window whose level is told: 25 ms.
const MIDDLE: std::ops::Range<usize> = SPAN / 2 - 100..SPAN / 2 + 100;
/// How fast the memory of the loudest level sinks, dB per hop.
const FORGET_DB: f32 = 0.03;
/// The quietest that the loudest can be, dB.
const LOUDEST_MIN_DB: f32 = -100.0;

/// One frame as the network sees it.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Its candidates.
    pub candidates: Candidates,
    /// Level below the loudest lately, level above the noise, low over high energy, level, 8 block energies, 5
    /// signal-to-noise ratios, all in dB; highest ripple, share of the spectrum above the noise, highest plain and flat.
    pub frame: [f32; FRAME_EVIDENCE],
    loudest_db: f32,
}

impl Default for Evidence {
    fn default() -> Self {
        Self { candidates: Candidates::default(), frame: [0.0; FRAME_EVIDENCE], loudest_db: LOUDEST_MIN_DB }
    }
}

impl Evidence {
    /// Looks at the next window of the stream.
    pub fn look(&mut self, correlogram: &mut Correlogram, samples: &[f32; SPAN]) {
        widest(
            #[inline(always)]
            || self.look_at(correlogram, samples),
        );
    }

    #[inline(always)]
    pub(super) fn look_at(&mut self, correlogram: &mut Correlogram, samples: &[f32; SPAN]) {
        let mean = sum(samples) / SPAN as f32;
        correlogram.describe(samples, mean);
        let [plain_max, flat_max, ripple_max] = self.candidates.find(correlogram);
        let mean_square = |samples: &[f32]| sum_of(samples, |s| (s - mean) * (s - mean)) / samples.len() as f32;

        let level_db = decibels(mean_square(&samples[MIDDLE]) + 1e-10);
        self.loudest_db = (self.loudest_db - FORGET_DB).max(level_db);
        let power = &correlogram.power;
        let energy = |bins: &[f32]| sum(bins) + 1e-6;
        let noise = sum(&correlogram.floor);
        let (plain, rest) = self.frame.split_at_mut(4);
        plain.copy_from_slice(&[
            level_db - self.loudest_db,
            decibels(energy(&power[..256])) - decibels(16.0 * noise + 1e-6),
            decibels(energy(&power[LOW_BINS]) / energy(&power[HIGH_BINS])),
            level_db + 30.0,
        ]);
        let (blocks, rest) = rest.split_at_mut(BLOCKS);
        for (block, samples) in blocks.iter_mut().zip(samples.chunks_exact(SPAN / BLOCKS)) {
            *block = decibels(mean_square(samples) + 1e-9);
        }
        let middle = blocks.iter().sum::<f32>() / BLOCKS as f32;
        blocks.iter_mut().for_each(|block| *block -= middle);

        let (ratios, rest) = rest.split_at_mut(GROUPS.len());
        for (ratio, group) in ratios.iter_mut().zip(GROUPS) {
            let bands = correlogram.bands[group.clone()].iter().zip(&correlogram.floor[group.clone()]);
            let mean = bands.map(|(power, floor)| power / (floor + 1e-9)).sum::<f32>() / group.len() as f32;
            *ratio = decibels(mean + 1e-3);
        }
        rest.copy_from_slice(&[ripple_max, correlogram.clear, plain_max, flat_max]);
    }

    /// Forgets the past.
    pub(super) fn restart(&mut self) {
        self.loudest_db = LOUDEST_MIN_DB;
    }

    /// The part of [`Evidence::frame`] that candidates are judged by.
    #[inline(always)]
    pub fn shared(&self) -> [f32; SHARED_EVIDENCE] {
        each(|i| self.frame[if i < 4 { i } else { i + BLOCKS }])
    }
}
