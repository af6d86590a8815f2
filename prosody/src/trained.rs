//! The features that the shipped emotion model was trained on, bit by bit: 8 kHz, one frame per 10 ms.
//!
//! Frozen: nothing new is built on it, and it goes with the model that knows it. The way of a sample:
//! [`Analyzer`] → [`Frame`] every 10 ms → [`functionals`] of a stretch of frames, and beside it [`Baseline`].

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

pub use analyzer::{Analyzer, LOOK_AHEAD};
pub use baseline::{Baseline, Feature};
pub use frame::{Frame, HOP, MEL_BANDS, SAMPLE_RATE_HZ};
pub use functionals::{FUNCTIONAL_NAMES, FUNCTIONALS, functionals, semitones};
