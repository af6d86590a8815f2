//! 8 kHz to 16 kHz and back on a packet's way: a short windowed sinc (`rubato`), 2 ms late, any number of samples.
//!
//! Whole recordings are turned by `wav`, which has time for a sharper filter.

use dasp::Sample;
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{
    Async, FixedAsync, Resampler as _, Resizable as _, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};

use crate::g711::to_i16;

/// The sinc's length at the lower rate, samples: half of it is the delay.
const LENGTH: usize = 32;
/// Where the filter is 6 dB down, as a part of the lower rate's half: 3.72 kHz of 4 kHz.
const CUTOFF: f32 = 0.93;
/// The most samples that are turned at once; more take several turns.
const BLOCK: usize = 320;

/// One stream's resampler; the ratio is 2 or 1/2.
pub(crate) struct Resampler {
    inner: Async<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
    doubling: bool,
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler").field("doubling", &self.doubling).finish_non_exhaustive()
    }
}

impl Resampler {
    /// From `from_hz` to `to_hz`; `None` unless one is twice the other.
    pub(crate) fn new(from_hz: u32, to_hz: u32) -> Option<Self> {
        let doubling = to_hz == 2 * from_hz;
        if !doubling && from_hz != 2 * to_hz {
            return None;
        }
        let (length, ratio) = if doubling { (LENGTH, 2.0) } else { (2 * LENGTH, 0.5) };
        // Two points between samples are all that a ratio of two ever asks for, so nothing is interpolated.
        let parameters = SincInterpolationParameters::new(length, WindowFunction::Hann)
            .f_cutoff(CUTOFF)
            .oversampling_factor(2)
            .interpolation(SincInterpolationType::Nearest);
        let inner = Async::new_sinc(ratio, 1.0, &parameters, BLOCK, 1, FixedAsync::Input).ok()?;
        let output = vec![0.0; inner.output_frames_max()];
        Some(Self { inner, input: vec![0.0; BLOCK], output, doubling })
    }

    /// How many samples come out when `count` go in; an odd one is left out when the rate is halved.
    pub(crate) const fn count_out(&self, count: usize) -> usize {
        if self.doubling { 2 * count } else { count / 2 }
    }

    /// Appends the samples at the other rate.
    pub(crate) fn process(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        let whole = if self.doubling { samples.len() } else { samples.len() & !1 };
        for block in samples[..whole].chunks(BLOCK) {
            for (to, from) in self.input.iter_mut().zip(block) {
                *to = from.to_sample();
            }
            let written = self.turn(block.len()).unwrap_or(0);
            let wanted = self.count_out(block.len());
            out.extend(self.output[..written.min(wanted)].iter().map(|sample| to_i16(*sample)));
            out.resize(out.len() + wanted.saturating_sub(written), 0);
        }
    }

    fn turn(&mut self, count: usize) -> Option<usize> {
        self.inner.set_chunk_size(count).ok()?;
        let input = SequentialSlice::new(&self.input[..count], 1, count).ok()?;
        let room = self.output.len();
        let mut output = SequentialSlice::new_mut(&mut self.output[..], 1, room).ok()?;
        let (_, written) = self.inner.process_into_buffer(&input, &mut output, None).ok()?;
        Some(written)
    }
}
