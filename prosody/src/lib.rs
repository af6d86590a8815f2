//! Prosody of speech, streaming: pitch, level, spectrum, voice quality, rhythm, functionals, what is usual for a speaker.
//!
//! Pure: no clock, no thread, no file, no socket; positions are sample counts. [`Analyzer`] turns samples into a
//! [`Row`] every 10 ms; everything else is made of rows.

mod analyzer;
pub mod baseline;
mod contours;
mod descriptors;
mod formants;
pub mod functionals;
mod lanes;
pub mod logmel;
mod math;
pub mod pitch;
pub mod quality;
mod rate;
mod recent;
pub mod rhythm;
mod spectrum;
pub mod synthetic;
mod transform;
pub mod turns;
mod voice;

pub use analyzer::{Analyzer, Row};
pub use contours::{Smoothed, Smoother};
pub use descriptors::{DESCRIPTOR_NAMES, DESCRIPTORS, Descriptor, semitones, smoothed_names};
pub use rate::SampleRate;

/// The example of the read-me is compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
