//! F0 of speech, also where the fundamental itself is missing: causal, one value per 10 ms, 60-600 Hz.
//!
//! A [`Tracker`] gives a provisional value [`PROVISIONAL_HOPS`] after a hop's end and the final one [`FINAL_HOPS`] after
//! it. Correlograms of the whitened spectrum (autocorrelation less the window's own, Boersma 1993; cepstrum, Noll 1967) name
//! candidates, a small network scores them and the voicing, a bounded Viterbi search chooses (as in RAPT, Talkin 1995).

mod candidates;
mod correlogram;
mod evidence;
mod halver;
mod network;
mod noise;
mod path;
mod tracker;

pub use tracker::{Pitch, Tracker};

/// The lowest and highest pitch told, Hz.
pub const PITCH_HZ: (f32, f32) = (60.0, 600.0);
/// Hops of 10 ms after a hop's end until its pitch is known provisionally.
pub const PROVISIONAL_HOPS: usize = 2;
/// Hops of 10 ms after a hop's end until its pitch is final.
pub const FINAL_HOPS: usize = PROVISIONAL_HOPS + evidence::AHEAD + path::DELAY;

/// What the training recipe needs to see of a frame: what the network is shown.
pub mod training {
    pub use super::candidates::{CANDIDATES, Candidate, Candidates};
    pub use super::correlogram::{Correlogram, SPAN};
    pub use super::evidence::{CANDIDATE_EVIDENCE, Evidence, FRAME_EVIDENCE, SHARED_EVIDENCE};
    pub use super::halver::Halver;
}
