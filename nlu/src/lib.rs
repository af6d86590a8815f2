//! What a party's voice and words say about how the party feels: voice activity, acoustic emotion, text emotion, one
//! timeline per party; and what of the words may be shown.
//!
//! Pure but for the ONNX Runtime library (`ort` lives only here); positions are sample counts at 8 kHz.

mod activity;
mod delivery;
mod device;
mod echo;
pub mod evaluation;
mod expression;
mod features;
mod firsts;
mod fusion;
mod language;
mod listener;
pub mod masking;
mod model;
mod mood;
pub mod numbers;
mod observation;
mod perceptron;
mod punctuation;
pub mod recognition;
mod runtime;
mod settings;
mod shadow;
mod signal;
mod sound;
mod steps;
mod tally;
pub mod text;
mod timeline;
mod window;

pub use activity::{ACTIVITY_LAG, ACTIVITY_STEP, Activity};
pub use delivery::Delivery;
pub use device::{Device, DeviceError};
pub use echo::Echo;
pub use expression::{Expression, SeenIn, Shown};
pub use features::{Extractor, FEATURES, HOP, HopSink, Row, SAMPLE_RATE_HZ};
pub use fusion::Utterance;
pub use language::{LanguageFinder, LanguageFound};
pub use listener::{Listener, PartyHopSink};
pub use model::{AcousticModel, CLASS_NAMES, CLASSES, ModelCard, ModelError};
pub use observation::{Emotion, Evidence, Level, Observation, PartyId, Source, WordEvidence};
pub use punctuation::Punctuation;
pub use runtime::{Runtime, RuntimeError, candidates};
pub use settings::ListenerSettings;
pub use shadow::{Candidate, Shadow, ShadowFigures};
pub use signal::{fuse_anger, signal_anger};
pub use sound::{Encoder, Memories, Memory, SOUND_FEATURES, SoundModel, SoundRow, SoundStep, sound_names};
pub use steps::Steps;
pub use timeline::{Moment, Timeline};
