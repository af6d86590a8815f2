//! What a party's words say about how the party feels and what it wants: a model, and lexicons that explain it.
//!
//! Takes text from whoever has it, a recogniser or a chat; keeps none of it.

mod evaluation;
mod judgement;
mod lexicon;
mod model;
mod naming;
mod reader;
mod tokens;

pub use evaluation::{Task, TextFigures, TextTally};
pub use judgement::{EMOTIONS, HEADS, INTENTS, OFFENCES, POLARITIES, TextJudgement, UPSET};
pub use lexicon::{Category, FOUND_MAX, Found, Lexicon, LexiconError, is_whole};
pub use model::{TextCard, TextModel};
pub use naming::Naming;
pub use reader::{Reading, TextReader, TextSource};
pub use tokens::{TOKENS_MAX, grams, normalized, tokens};
