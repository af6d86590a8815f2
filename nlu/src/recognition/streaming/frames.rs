//! One call's audio as a streaming graph takes it: log-mel energies at 16 kHz, in windows that overlap.
//!
//! The energies are those of sherpa-onnx's defaults: 80 from 20 to 7,600 Hz, of samples within [-1, 1].

use prosody::SampleRate;
use prosody::logmel::{LogMel, LogMelSettings};

use super::layout::{BANDS, Layout};
use crate::activity::Doubler;

/// The highest energy's upper edge: sherpa-onnx's `high_freq` of -400 at 16 kHz.
const HIGH_HZ: f32 = 7_600.0;
/// Audio that may wait for a run, frames (60 s); beyond it the oldest are lost.
const WAITING_MAX: usize = 6_000;
/// Samples at 8 kHz per frame.
pub(super) const SAMPLES_PER_FRAME: u64 = 80;

/// The frames that wait, and what makes them.
#[derive(Debug)]
pub(super) struct Frames {
    doubler: Doubler,
    log_mel: LogMel,
    wide: Vec<f32>,
    /// Energies of frames that wait, [`BANDS`] each.
    waiting: Vec<f32>,
}

impl Frames {
    /// The beginning of a stream.
    pub(super) fn new() -> Self {
        let settings = LogMelSettings { high_hz: HIGH_HZ, ..LogMelSettings::new(SampleRate::Hz16000) };
        Self {
            doubler: Doubler::default(),
            log_mel: LogMel::new(settings).expect("within the ranges"),
            wide: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Takes samples at 8 kHz, [-1, 1]. True when too many waited and the oldest were lost.
    pub(super) fn push(&mut self, samples: &[f32]) -> bool {
        let mut wide = std::mem::take(&mut self.wide);
        wide.clear();
        wide.extend(samples.iter().flat_map(|&sample| self.doubler.push(sample)));
        let lost = self.push_wide(&wide);
        self.wide = wide;
        lost
    }

    /// Takes samples at 16 kHz, [-1, 1].
    pub(super) fn push_wide(&mut self, samples: &[f32]) -> bool {
        self.log_mel.push(samples, &mut self.waiting);
        let count = self.waiting.len() / BANDS;
        let lost = count.saturating_sub(WAITING_MAX);
        if lost > 0 {
            self.go_on(lost);
        }
        lost > 0
    }

    /// Ends the stream: the frames whose windows reach beyond it come, too.
    pub(super) fn finish(&mut self) {
        self.log_mel.finish(&mut self.waiting);
    }

    /// Whether a window is there; as in sherpa-onnx, with one frame behind it.
    pub(super) fn is_ready(&self, layout: &Layout) -> bool {
        self.waiting.len() > layout.window * BANDS
    }

    /// The energies of the next window.
    pub(super) fn window(&self, layout: &Layout) -> &[f32] {
        &self.waiting[..layout.window * BANDS]
    }

    /// Goes on by so many frames.
    pub(super) fn go_on(&mut self, frames: usize) {
        self.waiting.drain(..frames * BANDS);
    }
}
