//! One call's audio as a streaming graph takes it: log-mel energies at 16 kHz, in windows that overlap.
//!
//! The energies are those of sherpa-onnx's defaults: 80 from 20 to 7,600 Hz, of samples within [-1, 1].

use prosody::SampleRate;
use prosody::logmel::{LogMel, LogMelSettings};

use super::layout::{BANDS, Layout};
use crate::activity::Doubler;

/// The highest energy's upper edge: sherpa-onnx's `high_freq` of -400 at 16 kHz.
const HIGH_HZ: f32 = 7_600.0;
/// Audio that may wait for a run, frames (10 min, as much as waits for the recogniser itself); beyond it the oldest are lost.
const WAITING_MAX: usize = 60_000;
/// Samples at 8 kHz per frame.
pub(super) const SAMPLES_PER_FRAME: u64 = 80;

/// The frames that wait, and what makes them.
#[derive(Debug)]
pub(super) struct Frames {
    doubler: Doubler,
    log_mel: LogMel,
    wide: Vec<f32>,
    /// Energies of frames, [`BANDS`] each; the first `gone` numbers are done with.
    frames: Vec<f32>,
    gone: usize,
}

impl Frames {
    /// The beginning of a stream.
    pub(super) fn new() -> Self {
        let settings = LogMelSettings { high_hz: HIGH_HZ, ..LogMelSettings::new(SampleRate::Hz16000) };
        Self {
            doubler: Doubler::default(),
            log_mel: LogMel::new(settings).expect("within the ranges"),
            wide: Vec::new(),
            frames: Vec::new(),
            gone: 0,
        }
    }

    /// Takes samples at 8 kHz, [-1, 1]. When too many waited: how many frames, the oldest, were lost.
    pub(super) fn push(&mut self, samples: &[f32]) -> usize {
        let mut wide = std::mem::take(&mut self.wide);
        wide.clear();
        wide.extend(samples.iter().flat_map(|&sample| self.doubler.push(sample)));
        let lost = self.push_wide(&wide);
        self.wide = wide;
        lost
    }

    /// As `push`, for samples at 16 kHz.
    pub(super) fn push_wide(&mut self, samples: &[f32]) -> usize {
        self.log_mel.push(samples, &mut self.frames);
        let lost = (self.waiting().len() / BANDS).saturating_sub(WAITING_MAX);
        self.go_on(lost);
        lost
    }

    /// Ends the stream: the frames whose windows reach beyond it come, too.
    pub(super) fn finish(&mut self) {
        self.log_mel.finish(&mut self.frames);
    }

    /// Whether a window is there; as in sherpa-onnx, with one frame behind it.
    pub(super) fn is_ready(&self, layout: &Layout) -> bool {
        self.waiting().len() > layout.window * BANDS
    }

    /// The energies of the next window.
    pub(super) fn window(&self, layout: &Layout) -> &[f32] {
        &self.waiting()[..layout.window * BANDS]
    }

    /// Goes on by so many frames.
    pub(super) fn go_on(&mut self, frames: usize) {
        self.gone += frames * BANDS;
        if 2 * self.gone > self.frames.len() {
            self.frames.drain(..self.gone);
            self.gone = 0;
        }
    }

    fn waiting(&self) -> &[f32] {
        &self.frames[self.gone..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_the_oldest_is_lost() {
        let mut frames = Frames::new();
        let second = vec![0.1; 8_000];
        let lost: usize = (0..610).map(|_| frames.push(&second)).sum();
        assert!((990..=1_000).contains(&lost), "{lost} frames");
        assert_eq!(frames.waiting().len(), WAITING_MAX * BANDS);
    }
}
