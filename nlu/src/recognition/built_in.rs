//! The recogniser of phrases that comes with the program: a small network of our own (CTC), for Mandarin.
//!
//! It writes toneless syllables and letters; phrases are looked for in what it holds likely at each step, not in a text.
//! Not for dictation. Recipe: nlu/train/words; figures: docs/MODELS.md and nlu/models/words.md.

mod front;
mod model;
mod recognizer;
mod sounds;
mod spotting;

pub use model::{BuiltInModel, WordsCard};
pub use recognizer::{BuiltInError, BuiltInRecognizer};
pub use spotting::{Likelihoods, Margins, Phrases, Spotted};

#[cfg(test)]
mod tests;
