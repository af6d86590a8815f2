//! Recognisers elsewhere: what is sent to one of a party's audio, and what its answers mean.
//!
//! A [`RemoteStream`] is what one connection carries of one party; the connection itself, time and what happens when it
//! is lost belong to the shell. Answers are outside bytes: they are taken or refused, and all of them is bounded.

mod axis;
mod funasr;
mod sherpa;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::listed::{is_unspaced, words_of};
use super::{EngineKind, Listed, Transcript, Word};
use crate::activity::Doubler;
use crate::numbers::normalized;
use crate::observation::PartyId;
use axis::Axis;

/// Samples at 8 kHz of one message of audio: 60 ms, of which the chunks of FunASR's models are made.
pub const MESSAGE_SAMPLES: usize = 480;
/// The longest answer, bytes.
pub const ANSWER_BYTES_MAX: usize = 256 << 10;
/// The longest utterance, bytes of text, and the most words of it.
const TEXT_BYTES_MAX: usize = 16 << 10;
const WORDS_MAX: usize = 4_000;
/// Audio that is lost is silence to the recogniser, but no more than this of a gap. Samples (1 s).
const GAP_SENT_MAX: u64 = 8_000;
/// How far before the first answer of an utterance its speech is taken to begin, where the answers do not say: a chunk of
/// FunASR's models. Samples (0.6 s).
const BEFORE: u64 = 4_800;

/// How a recogniser elsewhere is spoken to: a WebSocket for each party, audio at 16 kHz in binary messages, answers as
/// texts of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The FunASR runtime's, in its mode `2pass` (runtime/docs/websocket_protocol.md of FunASR).
    FunAsr,
    /// That of sherpa-onnx's servers of streaming models (online-websocket-server and streaming_server.py).
    SherpaOnnx,
}

impl Protocol {
    /// What such a recogniser is called.
    pub fn engine(self) -> EngineKind {
        match self {
            Protocol::FunAsr => EngineKind::FunAsr,
            Protocol::SherpaOnnx => EngineKind::SherpaOnnxServer,
        }
    }

    /// The WebSocket subprotocol that some of its servers ask for, and others do not know: FunASR's in Python, in C++.
    pub fn subprotocol(self) -> Option<&'static str> {
        match self {
            Protocol::FunAsr => Some("binary"),
            Protocol::SherpaOnnx => None,
        }
    }
}

/// Why an answer is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an answer of the recogniser: expected {expected}, found {found}")]
pub struct AnswerError {
    /// What should have come.
    pub expected: &'static str,
    /// What did, without anything that was said.
    pub found: String,
}

/// What one connection carries of one party.
#[derive(Debug)]
pub struct RemoteStream {
    party: PartyId,
    protocol: Protocol,
    listed: Arc<Listed>,
    /// What words count that come without a confidence, 0-1.
    confidence: f32,
    doubler: Doubler,
    axis: Axis,
    /// The utterance that goes on.
    open: Option<Utterance>,
    /// Where the one before it ended, as a position.
    ended: u64,
    is_over: bool,
}

/// What is known of an utterance.
#[derive(Debug, Default)]
struct Utterance {
    /// The far end's number for it.
    segment: Option<u64>,
    /// Where it begins unless its words say otherwise, as a position.
    begins: u64,
    text: String,
    words: Vec<TimedWord>,
}

/// A word with what an answer tells of it.
#[derive(Debug, Clone, PartialEq)]
struct TimedWord {
    text: String,
    /// Seconds of the stream's audio.
    start_s: Option<f64>,
    end_s: Option<f64>,
    /// How sure the recogniser is, 0-1.
    confidence: Option<f32>,
}

/// An answer, whatever protocol it came by.
#[derive(Debug, PartialEq)]
enum Answer {
    /// Part of an utterance, or all of it so far.
    Text(Part),
    /// Nothing about words.
    Other,
    /// Nothing more will come.
    Over,
}

#[derive(Debug, PartialEq)]
struct Part {
    text: String,
    /// False: it comes behind what was told of the utterance before. True: it takes its place.
    is_whole: bool,
    is_final: bool,
    segment: Option<u64>,
    words: Vec<TimedWord>,
}

impl RemoteStream {
    /// The beginning of a stream. Phrases are found in what the answers say; words without a confidence count `confidence`
    /// (0-1).
    pub fn new(party: PartyId, protocol: Protocol, listed: Arc<Listed>, confidence: f32) -> Self {
        Self {
            party,
            protocol,
            listed,
            confidence,
            doubler: Doubler::default(),
            axis: Axis::default(),
            open: None,
            ended: 0,
            is_over: false,
        }
    }

    /// The text that comes before all audio, where there is one.
    pub fn greeting(&self) -> Option<String> {
        match self.protocol {
            Protocol::FunAsr => Some(funasr::greeting(&self.listed)),
            Protocol::SherpaOnnx => None,
        }
    }

    /// The binary message that carries these samples of the party (8 kHz, [-1, 1], the first at `position`); a gap before
    /// them is silence.
    pub fn audio(&mut self, position: u64, samples: &[f32]) -> Vec<u8> {
        let gap = position.saturating_sub(self.axis.next_position());
        let silence = if self.axis.is_empty() { 0 } else { gap.min(GAP_SENT_MAX) };
        self.axis.push(silence, position, samples.len() as u64);
        let silence = std::iter::repeat_n(0.0, silence as usize);
        let wide = silence.chain(samples.iter().copied()).flat_map(|sample| self.doubler.push(sample));
        match self.protocol {
            Protocol::FunAsr => wide.flat_map(|sample| ((sample * 32_767.0) as i16).to_le_bytes()).collect(),
            Protocol::SherpaOnnx => wide.flat_map(f32::to_le_bytes).collect(),
        }
    }

    /// The text that ends the audio.
    pub fn goodbye(&self) -> &'static str {
        match self.protocol {
            Protocol::FunAsr => funasr::GOODBYE,
            Protocol::SherpaOnnx => sherpa::GOODBYE,
        }
    }

    /// Takes a text of the far end; appends what it says of the party.
    ///
    /// # Errors
    /// What is wrong with it; the stream goes on without it.
    pub fn answer(&mut self, text: &str, out: &mut Vec<Transcript>) -> Result<(), AnswerError> {
        if text.len() > ANSWER_BYTES_MAX {
            return Err(AnswerError { expected: "at most 256 KiB", found: format!("{} bytes", text.len()) });
        }
        let answer = match self.protocol {
            Protocol::FunAsr => funasr::read(text),
            Protocol::SherpaOnnx => sherpa::read(text),
        }?;
        match answer {
            Answer::Text(part) => self.take(part, out)?,
            Answer::Other => {}
            Answer::Over => self.is_over = true,
        }
        Ok(())
    }

    /// True once the far end has said that nothing more comes.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Ends the stream: what was told last is final now.
    pub fn finish(&mut self) -> Option<Transcript> {
        let open = self.open.take()?;
        Some(self.transcript(&open, true))
    }

    fn take(&mut self, part: Part, out: &mut Vec<Transcript>) -> Result<(), AnswerError> {
        // A server that only numbers its utterances has ended one when it tells of the next.
        if let Some(open) = self.open.take_if(|open| open.segment != part.segment && part.segment.is_some()) {
            out.push(self.transcript(&open, true));
        }
        let was_open = self.open.is_some();
        let begins = self.axis.end().saturating_sub(BEFORE).max(self.ended);
        let mut open = self.open.take().unwrap_or_else(|| Utterance { begins, ..Utterance::default() });
        open.segment = part.segment;
        let before = open.text.len();
        let is_same = part.is_whole && part.text == open.text;
        if part.is_whole {
            (open.text, open.words) = (part.text, part.words);
        } else {
            join(&mut open.text, &part.text);
            open.words.extend(part.words);
        }
        if open.text.len() > TEXT_BYTES_MAX || open.words.len() > WORDS_MAX {
            let found = format!("{} bytes behind {before}", open.text.len());
            return Err(AnswerError { expected: "an utterance of at most 16 KiB and 4,000 words", found });
        }
        // What was told and is taken back is told, too: as nothing.
        let says = !open.words.is_empty() || was_open;
        if part.is_final {
            out.extend(says.then(|| self.transcript(&open, true)));
        } else if says {
            out.extend((!is_same).then(|| self.transcript(&open, false)));
            self.open = Some(open);
        }
        Ok(())
    }

    fn transcript(&mut self, utterance: &Utterance, is_final: bool) -> Transcript {
        let Utterance { begins, ref text, ref words, .. } = *utterance;
        let until = self.axis.end().max(begins);
        let words = self.placed(words, begins, until);
        let start = words.first().map_or(begins, |word| word.start);
        let end = words.last().map_or(until, |word| word.end).max(start);
        if is_final {
            self.ended = end.max(self.ended);
        }
        Transcript {
            party: self.party,
            engine: self.protocol.engine(),
            is_final,
            start,
            end,
            phrases: self.listed.find(&words),
            words,
            text: Some(if is_final { normalized(text) } else { text.clone() }),
        }
    }

    /// The words at positions from `begins` to `until`, in order; those without times share what lies between.
    fn placed(&self, words: &[TimedWord], begins: u64, until: u64) -> Vec<Word> {
        let share = |index: usize| begins + (until - begins) * index as u64 / words.len().max(1) as u64;
        let mut earliest = self.ended.min(until);
        let mut placed: Vec<Word> = Vec::with_capacity(words.len());
        for (index, word) in words.iter().enumerate() {
            let start = word.start_s.map_or(share(index), |s| self.axis.position(s)).clamp(earliest, until);
            let next = words.get(index + 1).and_then(|next| next.start_s).map(|s| self.axis.position(s));
            let end = match (word.start_s, word.end_s.map(|s| self.axis.position(s)).or(next)) {
                (Some(_), Some(end)) => end,
                (Some(_), None) => start + WORD_USUAL,
                (None, _) => share(index + 1),
            };
            let end = end.clamp(start, until.max(start));
            earliest = start;
            let confidence = word.confidence.unwrap_or(self.confidence);
            placed.push(Word { text: word.text.clone(), start, end, confidence });
        }
        placed
    }
}

/// How long a word lasts of which only the start is known, and nothing comes behind: samples (0.2 s).
const WORD_USUAL: u64 = 1_600;

/// Puts a text behind another one, with a blank between words in letters.
fn join(text: &mut String, more: &str) {
    let needs_blank =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() && !is_unspaced(letter));
    if needs_blank(text.chars().next_back()) && needs_blank(more.chars().next()) {
        text.push(' ');
    }
    text.push_str(more);
}

/// The words of a text of which nothing else is known.
fn untimed(text: &str) -> Vec<TimedWord> {
    let word = |text| TimedWord { text, start_s: None, end_s: None, confidence: None };
    words_of(text).into_iter().map(word).collect()
}

/// The JSON of an answer.
fn object(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, AnswerError> {
    const EXPECTED: &str = "a JSON object";
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(object)) => Ok(object),
        Ok(_) => Err(AnswerError { expected: EXPECTED, found: "other JSON".to_owned() }),
        // The error's own words hold none of the text.
        Err(error) => Err(AnswerError { expected: EXPECTED, found: error.to_string() }),
    }
}
