//! Prosody of speech, streaming: pitch, level, spectrum, voice quality, rhythm, functionals, what is usual for a speaker.
//!
//! Pure: no clock, no thread, no file, no socket; positions are sample counts.

mod math;
pub mod pitch;
mod rate;
mod spectrum;
pub mod synthetic;
pub mod trained;

pub use rate::SampleRate;
