//! What a party's audio says about how the party feels: voice activity, acoustic emotion, one timeline per party.
//!
//! Pure but for the ONNX Runtime library (`ort` lives only here); positions are sample counts at 8 kHz.

mod observation;

pub use observation::{Emotion, Evidence, Level, Observation, PartyId, Source};
