//! Prosody of 8 kHz telephone speech, streaming: F0, level, spectrum, rhythm, speaker baseline.
//!
//! Pure: no clock, no thread, no file, no socket; positions are sample counts at 8 kHz.

mod frame;

pub use frame::{Frame, HOP, MEL_BANDS, SAMPLE_RATE_HZ};
