//! What a party's audio says about how the party feels: voice activity, acoustic emotion, one timeline per party.
//!
//! Pure but for the ONNX Runtime library (`ort` lives only here); positions are sample counts at 8 kHz.

mod activity;
mod delivery;
pub mod evaluation;
mod features;
mod listener;
pub mod masking;

mod model;
pub mod numbers;
mod observation;
mod runtime;
mod settings;
mod signal;
mod timeline;

pub use activity::{ACTIVITY_LAG, ACTIVITY_STEP, Activity};
pub use delivery::Delivery;
pub use features::{Extractor, FEATURES, FrameSink, RELATIVE_NAMES, Row};
pub use listener::{Listener, PartyFrameSink};
pub use model::{AcousticModel, LABELS, ModelCard, ModelError};
pub use observation::{Emotion, Evidence, Level, Observation, PartyId, Source};
pub use runtime::{Runtime, RuntimeError, candidates};
pub use settings::ListenerSettings;
pub use signal::{fuse_anger, signal_anger};
pub use timeline::{Moment, Timeline};
