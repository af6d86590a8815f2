//! Text becomes sound: what may be said, who says it, and what is remembered of it.
//!
//! Call control asks with a `Saying`; `Speaker` answers from its memory at once or from a thread of its own later.
//! Policies' texts are spoken before the first call, so that a decision does not wait for a voice.

mod cache;
mod espeak;
mod speaker;

use std::time::Duration;

use media::Sound;
use routing::Language;

pub use espeak::EspeakNg;
pub use speaker::{Answer, Speaker};

/// The longest text that is spoken, characters.
pub const CHARS_MAX: usize = 1_000;
/// The longest sound that a text may become.
pub const LENGTH_MAX: Duration = Duration::from_secs(60);

/// A text in a language.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Saying {
    /// What is said.
    pub text: String,
    /// In which language.
    pub language: Language,
}

/// Whoever can speak.
pub trait Speech: Send {
    /// Speaks a text. May take seconds; a text that would take longer is given up.
    ///
    /// # Errors
    /// When the text cannot be spoken.
    fn speak(&mut self, saying: &Saying) -> Result<Sound, SpeechError>;
}

/// Why a text was not spoken.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// The program that speaks is not there.
    #[error("{0} is not installed")]
    Missing(String),
    /// There is nothing to say, or too much.
    #[error("a text of {0} characters; 1-{CHARS_MAX} can be spoken")]
    Text(usize),
    /// It took too long.
    #[error("not spoken within {} s", .0.as_secs())]
    Slow(Duration),
    /// The sound is too long.
    #[error("longer than {} s", LENGTH_MAX.as_secs())]
    Long,
    /// The program failed.
    #[error("{program}: {reason}")]
    Failed {
        /// Which.
        program: String,
        /// What happened.
        reason: String,
    },
    /// More texts wait than can be remembered.
    #[error("too many texts wait to be spoken")]
    Busy,
}
