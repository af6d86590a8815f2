//! Words of speech: what a recogniser is, whatever machinery it is made of.
//!
//! Audio goes in per party at 8 kHz, transcripts come out; positions are samples of the party's audio. One `run` works
//! for all parties, so that an engine may put them into one batch. Knows no clock: whoever calls measures the cost.

pub mod built_in;
mod dictionary;
mod graph;
mod listed;
pub mod phrases;
mod pinyin;
pub mod remote;
mod score;
mod segments;
mod sphinx;
mod spotter;
pub mod streaming;
mod stretches;
mod told;

use crate::fusion::Utterance;
use crate::observation::PartyId;

pub use graph::GraphError;
pub use listed::Listed;
pub use phrases::{PhraseError, PhraseList};
pub use sphinx::{LIBRARY_NAME, ModelFolder, SphinxError, load_library};
pub use spotter::PhraseSpotter;

/// The languages that are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Mandarin, `zh`.
    Mandarin,
    /// English, `en`.
    English,
}

impl Language {
    /// Every language, Mandarin first.
    pub const ALL: [Language; 2] = [Language::Mandarin, Language::English];

    /// Its code, ISO 639-1.
    pub fn code(self) -> &'static str {
        match self {
            Language::Mandarin => "zh",
            Language::English => "en",
        }
    }

    /// The language of a code.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }
}

/// Which language a party is heard in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanguageChoice {
    /// The configured one; where the party's speech decides, the one until then.
    pub language: Language,
    /// Whether the party's first speech decides.
    pub by_ear: bool,
}

/// What turns speech into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EngineKind {
    /// Phrases by the model that comes with the program.
    BuiltIn,
    /// Phrases by pocketsphinx.
    Pocketsphinx,
    /// Dictation by streaming models.
    SherpaOnnx,
    /// Dictation by a FunASR runtime elsewhere.
    FunAsr,
    /// Dictation by a server of sherpa-onnx elsewhere.
    SherpaOnnxServer,
}

impl EngineKind {
    /// Its name, as configurations and events have it.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::BuiltIn => "built-in",
            EngineKind::Pocketsphinx => "pocketsphinx",
            EngineKind::SherpaOnnx => "sherpa-onnx",
            EngineKind::FunAsr => "funasr",
            EngineKind::SherpaOnnxServer => "sherpa-onnx-server",
        }
    }
}

/// One word as it was heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// As it is written in the phrase list: a character of Mandarin, a word of English.
    pub text: String,
    /// Where it begins, samples at 8 kHz from the start of the party's audio.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// How sure the recogniser is, 0-1.
    pub confidence: f32,
}

/// A phrase of the lists that was heard.
#[derive(Debug, Clone, PartialEq)]
pub struct SpokenPhrase {
    /// What it means, as its list says, e.g. `complaint`.
    pub intent: String,
    /// The phrase as it stands in the list.
    pub text: String,
    /// Where it begins, samples at 8 kHz from the start of the party's audio.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// How sure the recogniser is, 0-1; at least 0.5.
    pub confidence: f32,
}

/// What a party has said in one stretch of speech.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// Who.
    pub party: PartyId,
    /// What understood it.
    pub engine: EngineKind,
    /// False while the party goes on speaking: a later transcript takes its place.
    pub is_final: bool,
    /// Where the speech begins, samples at 8 kHz from the start of the party's audio.
    pub start: u64,
    /// Where it ends, or how far it has been heard.
    pub end: u64,
    /// The words that were understood, in order; a recogniser of phrases understands those of phrases only.
    pub words: Vec<Word>,
    /// The phrases among them.
    pub phrases: Vec<SpokenPhrase>,
    /// All of it as it is written, a final one with its numbers in digits; `None` of a recogniser of phrases.
    pub text: Option<String>,
}

impl Transcript {
    /// What was finally understood, for whoever reads it: dictation as it is written, otherwise the phrases as clauses of
    /// one text; as sure as its words or phrases are on average. `None` while the party goes on speaking, and without any.
    pub fn utterance(&self) -> Option<Utterance> {
        if let Some(text) = self.text.as_ref().filter(|_| self.is_final) {
            let (first, last) = (self.words.first()?, self.words.last()?);
            let confidence = self.words.iter().map(|word| word.confidence).sum::<f32>() / self.words.len() as f32;
            return Some(Utterance { text: text.clone(), start: first.start, end: last.end, confidence });
        }
        let first = self.phrases.first().filter(|_| self.is_final)?;
        let end = self.phrases.iter().map(|phrase| phrase.end).max()?;
        let texts: Vec<&str> = self.phrases.iter().map(|phrase| phrase.text.as_str()).collect();
        let confidence = self.phrases.iter().map(|phrase| phrase.confidence).sum::<f32>() / texts.len() as f32;
        Some(Utterance { text: texts.join(CLAUSE), start: first.start, end, confidence })
    }
}

/// What stands between phrases, so that a negation in one does not turn the next one round.
const CLAUSE: &str = "，";

/// Turns the speech of many parties into transcripts. Never blocks on anything but its own computing.
pub trait Recognizer: Send {
    /// Starts to listen to `party` at position 0; one that is already there starts again.
    fn open(&mut self, party: PartyId, language: Language);

    /// Takes the next samples of `party` (8 kHz, [-1, 1]); those of an unknown party are ignored.
    fn push(&mut self, party: PartyId, samples: &[f32]);

    /// Tells that so many samples of `party` are lost; positions go on behind them.
    fn skip(&mut self, party: PartyId, samples: u64);

    /// Works for all parties on what was pushed, and appends what was understood, per party in order of position.
    fn run(&mut self, out: &mut Vec<Transcript>);

    /// Ends `party`'s audio: appends what is left of it and forgets the party. What a recogniser elsewhere still has to
    /// say of it comes with a later `run`.
    fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>);

    /// Whether work is spared from now on: no partial transcripts, the final ones as before.
    fn spare(&mut self, spared: bool);

    /// The languages that it hears.
    fn languages(&self) -> Vec<Language>;

    /// What it is and in which languages, for people.
    fn name(&self) -> String;

    /// What it has done so far.
    fn figures(&self) -> RecognizerFigures;
}

/// What a recogniser has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecognizerFigures {
    /// Samples at 8 kHz of all parties that were taken.
    pub samples: u64,
    /// Those of them that were speech and were decoded, partial transcripts left out.
    pub samples_decoded: u64,
    /// Stretches of speech that were dropped because too much waited or the model failed on them.
    pub utterances_dropped: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_of_a_final_transcript_are_one_utterance() {
        let expected =
            Utterance { text: "不要机器人，我要投诉".to_owned(), start: 800, end: 9_600, confidence: 0.75 };
        assert_eq!(transcript(true, &[("不要机器人", 800, 1.0), ("我要投诉", 8_000, 0.5)]).utterance(), Some(expected));
        assert_eq!(transcript(false, &[("我要投诉", 800, 0.9)]).utterance(), None);
        assert_eq!(transcript(true, &[]).utterance(), None);
    }

    #[test]
    fn dictation_is_an_utterance_as_it_is_written() {
        let word = |text: &str, start, confidence| Word { text: text.to_owned(), start, end: start + 800, confidence };
        let words = vec![word("等", 800, 0.5), word("我", 1_600, 1.0)];
        let said = Transcript { words, text: Some("等我".to_owned()), ..transcript(true, &[]) };
        let expected = Utterance { text: "等我".to_owned(), start: 800, end: 2_400, confidence: 0.75 };
        assert_eq!(said.utterance(), Some(expected));
        assert_eq!(Transcript { is_final: false, ..said.clone() }.utterance(), None);
        assert_eq!(Transcript { words: Vec::new(), ..said }.utterance(), None);
    }

    /// A transcript with phrases of 1,600 samples: text, start, confidence.
    fn transcript(is_final: bool, phrases: &[(&str, u64, f32)]) -> Transcript {
        let phrase = |&(text, start, confidence): &(&str, u64, f32)| SpokenPhrase {
            intent: "any".to_owned(),
            text: text.to_owned(),
            start,
            end: start + 1_600,
            confidence,
        };
        let phrases = phrases.iter().map(phrase).collect();
        let engine = EngineKind::Pocketsphinx;
        Transcript {
            party: PartyId(1),
            engine,
            is_final,
            start: 0,
            end: 16_000,
            words: Vec::new(),
            phrases,
            text: None,
        }
    }
}
