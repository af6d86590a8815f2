//! Cuts a stream of samples into 10 ms hops and describes each one.
//!
//! Works on whole hops only, so the way the input is chunked cannot change a bit of the output.
//! Does not decide what is speech (that is voice activity's work) and does not resample.

use super::frame::{Frame, HOP};
use super::pitch::Pitch;
use super::rhythm::Rhythm;
use super::spectrum::Spectrum;
use super::track::{DELAY, Tracker};

/// Samples after the end of a hop that must have arrived before its frame comes out (90 ms).
pub const LOOK_AHEAD: usize = AHEAD + DELAY * HOP;

/// Samples after a hop's end that its widest window reaches.
const AHEAD: usize = 2 * HOP;
/// The widest window around a hop's middle, samples (50 ms).
pub(crate) const SPAN: usize = 400;

/// Turns 8 kHz samples into frames. Holds about 90 KiB; nothing grows, nothing is allocated after `new`.
pub struct Analyzer {
    /// The last `SPAN` samples, oldest first.
    recent: [f32; SPAN],
    /// Samples of the hop that is arriving.
    hop: [f32; HOP],
    hop_len: usize,
    /// Whole hops taken since the start.
    hops: u64,
    /// Frames given out since the start.
    given: u64,
    pitch: Pitch,
    spectrum: Spectrum,
    tracker: Tracker,
    rhythm: Rhythm,
    /// Frames that wait for their pitch decision, by hop modulo the delay.
    waiting: [Frame; DELAY],
}

impl Default for Analyzer {
    fn default() -> Self {
        Self::new()
    }
}

impl Analyzer {
    /// An analyzer at position 0 with silence before it.
    pub fn new() -> Self {
        Self {
            recent: [0.0; SPAN],
            hop: [0.0; HOP],
            hop_len: 0,
            hops: 0,
            given: 0,
            pitch: Pitch::new(),
            spectrum: Spectrum::new(),
            tracker: Tracker::new(),
            rhythm: Rhythm::new(),
            waiting: [Frame::silent(0); DELAY],
        }
    }

    /// Takes samples (8 kHz, `[-1, 1]`; others are clamped, NaN counts as 0) and appends the finished frames.
    ///
    /// The frame of the hop that ends at sample `n` comes out with sample `n + LOOK_AHEAD`.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<Frame>) {
        for &sample in samples {
            self.hop[self.hop_len] = if sample.is_nan() { 0.0 } else { sample.clamp(-1.0, 1.0) };
            self.hop_len += 1;
            if self.hop_len == HOP {
                self.hop_len = 0;
                if let Some(frame) = self.take_hop() {
                    out.push(frame);
                }
            }
        }
    }

    /// Gives out the frames still inside, as if silence followed, and starts again at position 0.
    ///
    /// A last hop that is not full gets its own frame, filled up with silence.
    pub fn finish(&mut self, out: &mut Vec<Frame>) {
        let due = self.hops + u64::from(self.hop_len > 0);
        while self.given < due {
            self.hop[self.hop_len..].fill(0.0);
            self.hop_len = 0;
            if let Some(frame) = self.take_hop() {
                out.push(frame);
            }
            self.hop.fill(0.0);
        }
        self.restart();
    }

    fn restart(&mut self) {
        self.recent.fill(0.0);
        self.hop_len = 0;
        self.hops = 0;
        self.given = 0;
        self.pitch.restart();
        self.tracker = Tracker::new();
        self.rhythm = Rhythm::new();
    }

    /// Moves the full hop into the window; a frame comes out once its look-ahead is there.
    fn take_hop(&mut self) -> Option<Frame> {
        self.recent.copy_within(HOP.., 0);
        self.recent[SPAN - HOP..].copy_from_slice(&self.hop);
        self.hops += 1;

        // The window is centred on the hop that ended `AHEAD` samples ago.
        let current = self.hops.checked_sub(1 + (AHEAD / HOP) as u64)?;
        let frame = self.spectrum.describe(current * HOP as u64, &self.recent);
        let candidates = self.pitch.candidates(&self.recent, frame.level_dbov);
        let slot = (current % DELAY as u64) as usize;
        let waited = std::mem::replace(&mut self.waiting[slot], frame);
        let decision = self.tracker.push(&candidates)?;

        self.given += 1;
        let mut frame = Frame { pitch_hz: decision.pitch_hz, voicing: decision.voicing, ..waited };
        frame.syllable = self.rhythm.push(&frame);
        Some(frame)
    }
}
