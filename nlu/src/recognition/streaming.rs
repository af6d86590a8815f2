//! Open dictation while a party speaks: streaming models in the layout that sherpa-onnx publishes.
//!
//! Every party keeps its own state; whatever is ready of all parties goes through the graphs together, and nobody waits
//! for others to be ready. Without a network, clock or file: the graphs come as bytes.

mod beam;
mod cif;
mod endpoint;
mod frames;
mod given;
mod greedy;
mod hotwords;
mod layout;
mod low_rate;
mod model;
mod paraformer;
mod path;
mod pieces;
mod recognizer;
mod states;
mod stepwise;
mod tokens;
mod transducer;

pub use endpoint::EndpointRules;
pub use model::{BATCH, ModelFile, Search, Stream, StreamingFiles, StreamingModel, StreamingOptions};
pub use recognizer::StreamingRecognizer;
pub use tokens::Tokens;
