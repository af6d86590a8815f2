//! One call's audio as a streaming graph takes it: 80 log-mel energies at 16 kHz, in windows that overlap.

use prosody::SampleRate;
use prosody::logmel::{LogMel, LogMelSettings, Taper};

use super::layout::{BANDS, Layout};
use crate::activity::Doubler;
use crate::features::SCALE_16_BIT;

/// The highest energy's upper edge: sherpa-onnx's `high_freq` of -400 at 16 kHz.
const HIGH_HZ: f32 = 7_600.0;
/// Audio that may wait for a run, frames (10 min, as much as waits for the recogniser itself); beyond it the oldest are lost.
const WAITING_MAX: usize = 60_000;
/// Samples at 8 kHz per frame.
pub(super) const SAMPLES_PER_FRAME: u64 = 80;

/// Whose energies they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    /// Of sherpa-onnx's defaults, as k2's models are trained: up to 7,600 Hz, of samples within [-1, 1].
    Usual,
    /// As FunASR's models are trained: up to 8,000 Hz by Hamming windows within the audio, of samples of 16 bits.
    FunAsr,
    /// As NeMo's models are trained: Slaney's mel up to 8,000 Hz by Hann windows.
    Nemo,
    /// As sherpa-onnx has it for WeNet's models: the usual ones, of samples of 16 bits.
    WeNet,
}

/// The frames that wait, and what makes them.
#[derive(Debug)]
pub(super) struct Frames {
    doubler: Doubler,
    log_mel: LogMel,
    /// What samples are multiplied by.
    scale: f32,
    is_finished: bool,
    wide: Vec<f32>,
    /// Energies of frames, [`BANDS`] each; the first `gone` numbers are done with.
    frames: Vec<f32>,
    gone: usize,
}

impl Frames {
    /// The beginning of a stream.
    pub(super) fn new(front: Front) -> Self {
        let usual = LogMelSettings::new(SampleRate::Hz16000);
        let (settings, scale) = match front {
            Front::Usual => (LogMelSettings { high_hz: HIGH_HZ, ..usual }, 1.0),
            Front::Nemo => (LogMelSettings::nemo(SampleRate::Hz16000), 1.0),
            Front::WeNet => (LogMelSettings { high_hz: HIGH_HZ, ..usual }, SCALE_16_BIT),
            Front::FunAsr => (LogMelSettings { taper: Taper::Hamming, snip_edges: true, ..usual }, SCALE_16_BIT),
        };
        Self {
            doubler: Doubler::default(),
            log_mel: LogMel::new(settings).expect("within the ranges"),
            scale,
            is_finished: false,
            wide: Vec::new(),
            frames: Vec::new(),
            gone: 0,
        }
    }

    /// Takes samples at 8 kHz, [-1, 1]. When too many waited: how many frames, the oldest, were lost.
    pub(super) fn push(&mut self, samples: &[f32]) -> usize {
        let mut wide = std::mem::take(&mut self.wide);
        wide.clear();
        wide.extend(samples.iter().flat_map(|&sample| self.doubler.push(sample)).map(|sample| sample * self.scale));
        let lost = self.take(&wide);
        self.wide = wide;
        lost
    }

    /// As `push`, for samples at 16 kHz.
    pub(super) fn push_wide(&mut self, samples: &[f32]) -> usize {
        let scaled: Vec<f32> = samples.iter().map(|sample| sample * self.scale).collect();
        self.take(&scaled)
    }

    fn take(&mut self, samples: &[f32]) -> usize {
        self.log_mel.push(samples, &mut self.frames);
        let lost = (self.waiting().len() / BANDS).saturating_sub(WAITING_MAX);
        self.go_on(lost);
        lost
    }

    /// Ends the stream: the frames whose windows reach beyond it come, too.
    pub(super) fn finish(&mut self) {
        self.log_mel.finish(&mut self.frames);
        self.is_finished = true;
    }

    /// Whether a window is there; as in sherpa-onnx, with one frame behind it. At the end what is left may be enough.
    pub(super) fn is_ready(&self, layout: &Layout) -> bool {
        let waiting = self.waiting().len();
        waiting > layout.window * BANDS || (waiting > 0 && self.is_finished && layout.takes_rest)
    }

    /// The energies of the next window, or what is left.
    pub(super) fn window(&self, layout: &Layout) -> &[f32] {
        let waiting = self.waiting();
        &waiting[..waiting.len().min(layout.window * BANDS)]
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
        let mut frames = Frames::new(Front::Usual);
        let second = vec![0.1; 8_000];
        let lost: usize = (0..610).map(|_| frames.push(&second)).sum();
        assert!((990..=1_000).contains(&lost), "{lost} frames");
        assert_eq!(frames.waiting().len(), WAITING_MAX * BANDS);
    }
}
