//! The quality of a voice: how regular its periods are, how much of it is noise, how strong its harmonics are.
//!
//! Needs to be told the pitch; does not decide what is voiced.

mod harmonics;
mod periods;

pub(crate) use harmonics::{HARMONICS_WINDOW_MS, Harmonic, Harmonics};
pub(crate) use periods::{Irregularity, PERIODS_REACH_MS, Periods};
