//! Power spectra of windows. Plans are made once per length for all streams, so that many fit a processor's cache.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

/// Transforms windows of one kind.
pub(crate) struct PowerSpectrum {
    plan: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    input: Vec<f32>,
    output: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl PowerSpectrum {
    /// For windows with these weights, transformed at the next power of two.
    pub(crate) fn new(window: Vec<f32>) -> Self {
        static PLANNER: LazyLock<Mutex<RealFftPlanner<f32>>> = LazyLock::new(|| Mutex::new(RealFftPlanner::new()));
        // A planner that a panic left behind has at worst one plan less.
        let mut planner = PLANNER.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = planner.plan_fft_forward(window.len().next_power_of_two());
        Self {
            input: plan.make_input_vec(),
            output: plan.make_output_vec(),
            scratch: plan.make_scratch_vec(),
            window,
            plan,
        }
    }

    /// Samples transformed, those that fill up the window included.
    pub(crate) fn size(&self) -> usize {
        self.input.len()
    }

    /// Bins of a spectrum.
    pub(crate) fn bins(&self) -> usize {
        self.output.len()
    }

    /// Writes the power per bin of the windowed samples less `mean`; as many samples as the window has weights.
    #[inline(always)]
    pub(crate) fn write(&mut self, samples: &[f32], mean: f32, power: &mut [f32]) {
        for ((into, sample), weight) in self.input.iter_mut().zip(samples).zip(&self.window) {
            *into = (sample - mean) * weight;
        }
        self.input[self.window.len()..].fill(0.0);
        self.plan
            .process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch)
            .expect("the buffers were made by this plan");
        for (power, bin) in power.iter_mut().zip(&self.output) {
            *power = bin.norm_sqr();
        }
    }
}
