//! Prosody of 8 kHz telephone speech, streaming: F0, level, spectrum, rhythm, functionals, speaker baseline.
//!
//! Pure: no clock, no thread, no file, no socket; positions are sample counts at 8 kHz.
//! The way of a sample: [`Analyzer`] → [`Frame`] every 10 ms → [`Window`] every 0.5 s, and beside it [`Baseline`].

mod analyzer;
mod baseline;
mod frame;
mod functionals;
mod noise;
mod order;
mod pitch;
mod rhythm;
mod spectrum;
mod track;
mod window;

pub use analyzer::{Analyzer, LOOK_AHEAD};
pub use baseline::{Baseline, Feature};
pub use frame::{Frame, HOP, MEL_BANDS, SAMPLE_RATE_HZ};
pub use functionals::{FUNCTIONAL_NAMES, FUNCTIONALS, functionals, semitones};
pub use window::{WINDOW_FRAMES, WINDOW_STEP, Window};
