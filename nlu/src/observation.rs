//! What the listening side says about one party at one moment.

use std::sync::Arc;

use crate::delivery::Delivery;
use crate::expression::Expression;
use crate::text::{Found, TextJudgement, TextSource};

/// One voice that is listened to. Chosen by the caller of this crate, never reused in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(pub u32);

/// The emotions the first model tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Emotion {
    /// Nothing stands out.
    Neutral,
    /// Anger, the emotion that policies act on first.
    Anger,
    /// Joy or satisfaction.
    Joy,
    /// Sadness.
    Sadness,
}

/// How much of it, with hysteresis: a level is left later than it is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Little or none.
    Low,
    /// Clearly there.
    Medium,
    /// Act now.
    High,
}

/// Which machinery heard the voice of an observation; whether words spoke too tells [`Observation::words`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The acoustic model, relative to the speaker's baseline.
    Model,
    /// Signal processing only: the model or its library is missing.
    SignalOnly,
    /// No voice was heard lately: words and expressions speak alone.
    WordsOnly,
}

/// One step of a party's emotion timeline, made every 0.5 s while the party speaks, every 1 s while work is
/// spared, and whenever words come.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Whose voice.
    pub party: PartyId,
    /// End of the window that was judged, samples at 8 kHz from the start of the party's audio.
    pub position: u64,
    /// The leading emotion after smoothing.
    pub emotion: Emotion,
    /// Level of anger after smoothing and hysteresis.
    pub level: Level,
    /// Smoothed probability of anger, 0-1.
    pub anger: f32,
    /// Change of `anger` per second over the last 5 s.
    pub trend_per_s: f32,
    /// Voice and words before smoothing: neutral, anger, joy, sadness; sums to 1.
    pub probabilities: [f32; 4],
    /// The features that a supervisor can read.
    pub evidence: Evidence,
    /// Which machinery heard the voice.
    pub source: Source,
    /// The last words that still count; `None` when nothing was said lately, or nobody wrote it down.
    pub words: Option<Arc<WordEvidence>>,
    /// The last expression that still counts; `None` when none was seen lately.
    pub expression: Option<Expression>,
}

/// What the words of a party said, for people to read. The text itself is not kept.
#[derive(Debug, Clone, PartialEq)]
pub struct WordEvidence {
    /// Which of the party's utterances it is: 1 for the first that was read, since the party is listened to. Several may end at
    /// the same place.
    pub number: u64,
    /// Where the utterance begins, samples at 8 kHz from the start of the party's audio.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// How sure the recogniser was, 0-1.
    pub confidence: f32,
    /// How far the judgement is relied on: confidence, number of words, machinery; 0-1.
    pub reliability: f32,
    /// The emotion that is named, one of [`crate::text::EMOTIONS`].
    pub emotion: &'static str,
    /// The probabilities.
    pub judgement: TextJudgement,
    /// The words of the lexicons that were found.
    pub words: Vec<Found>,
    /// What the party wants, as named in [`crate::text::INTENTS`].
    pub intents: Vec<&'static str>,
    /// Which machinery read it.
    pub source: TextSource,
}

/// The features behind an observation, absolute and relative to the speaker (z = robust standard scores).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Evidence {
    /// Median F0 of the window's voiced frames, Hz; 0 when none.
    pub pitch_hz: f32,
    /// The same against the speaker's baseline.
    pub pitch_z: f32,
    /// Median level of the window's speech frames, dBov.
    pub level_dbov: f32,
    /// The same against the speaker's baseline.
    pub level_z: f32,
    /// Syllable nuclei per second of the window.
    pub syllables_per_s: f32,
    /// The same against the speaker's baseline.
    pub rate_z: f32,
    /// Share of the window that is speech, 0-1.
    pub speech_share: f32,
    /// How the party speaks, by more than the model looks at; `None` while work is spared.
    pub delivery: Option<Delivery>,
}
