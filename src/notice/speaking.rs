//! What events say of the way a party speaks, of what it says, and of how two parties take turns; and which events have words
//! in them, one rule for whatever keeps, shows or forgets them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::What;
use crate::pii::Pii;
use crate::words;

/// A phrase of the lists that was heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PhraseHeard {
    /// What it means, as its list says.
    pub intent: String,
    /// The phrase as its list has it, personal data masked.
    pub text: Pii<String>,
    /// Where it begins, milliseconds of the party's audio.
    pub audio_ms: u64,
    /// Where it ends.
    pub until_ms: u64,
    /// How sure the recogniser is, 0-1.
    pub confidence: f32,
}

/// What a party's last words say, as long as they count: the text itself is not told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WordsRead {
    /// Where they begin, milliseconds of the party's audio.
    pub audio_ms: u64,
    /// Where they end.
    pub until_ms: u64,
    /// The strongest emotion of the words alone: `neutral`, `anger`, `anxiety`, `sadness`, `surprise`, `joy`,
    /// `dissatisfaction`.
    pub emotion: String,
    /// Anger of the words alone, half of dissatisfaction included, 0-1.
    pub anger: f32,
    /// How sure the recogniser was of them, 0-1; 1 for what was typed.
    pub confidence: f32,
    /// How far they are relied on, 0-1.
    pub reliability: f32,
    /// `model` or `lexicon_only`.
    pub source: String,
    /// Words of the lexicons among them, in order.
    pub found: Vec<WordFound>,
    /// What the party wants by them, e.g. `complaint`, `refund`, `human`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intents: Vec<String>,
}

/// A word of a lexicon that was said or typed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WordFound {
    /// As the lexicon has it.
    pub word: String,
    /// What it means, e.g. `anger`, `threat`, `refund`.
    pub category: String,
    /// True when a negation before it says the opposite.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub negated: bool,
}

impl From<&nlu::WordEvidence> for WordsRead {
    fn from(read: &nlu::WordEvidence) -> Self {
        let found = read.words.iter().map(|found| WordFound {
            word: found.word.clone(),
            category: words::category(found.category).to_owned(),
            negated: found.negated,
        });
        Self {
            audio_ms: read.start / SAMPLES_PER_MS,
            until_ms: read.end / SAMPLES_PER_MS,
            emotion: read.emotion.to_owned(),
            anger: read.judgement.anger(),
            confidence: read.confidence,
            reliability: read.reliability,
            source: words::text_source(read.source).to_owned(),
            found: found.collect(),
            intents: read.intents.iter().map(|intent| (*intent).to_owned()).collect(),
        }
    }
}

/// What was seen of a party: its face as software of its own device judges it, or an emoji. No image is ever taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExpressionSeen {
    /// When, milliseconds of the party's audio.
    pub audio_ms: u64,
    /// `neutral`, `anger`, `disgust`, `contempt`, `fear`, `sadness`, `surprise`, `joy`.
    pub label: String,
    /// How sure that is, 0-1.
    pub score: f32,
    /// `face` or `emoji`.
    pub source: String,
}

impl From<&nlu::Expression> for ExpressionSeen {
    fn from(seen: &nlu::Expression) -> Self {
        Self {
            audio_ms: seen.position / SAMPLES_PER_MS,
            label: words::shown(seen.shown).to_owned(),
            score: seen.score,
            source: words::seen_in(seen.seen_in).to_owned(),
        }
    }
}

/// Samples per millisecond at 8 kHz.
const SAMPLES_PER_MS: u64 = 8;

/// How a party speaks. Scores (`_z`) are robust standard scores of the newest second of speech against the speaker's
/// baseline, ±6; 0 until 3 s of speech are known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Syllables per second of the last 10 s, pauses included.
    pub speaking_rate: f32,
    /// Syllables per second of speech without pauses.
    pub articulation_rate: f32,
    /// Share of pauses in the last 10 s, 0-1.
    pub pause_share: f32,
    /// Signal-to-noise ratio of the last 10 s, dB; absent while too little is voiced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub snr_db: Option<f32>,
    /// Share of the packets of the last 10 s that were lost on the way, 0-1.
    pub lost_share: f32,
    /// Share of the samples of the last 10 s that are cut off at full scale, 0-1.
    pub clipped_share: f32,
    /// F0, median of the voiced hops as all of these.
    pub pitch_z: f32,
    /// Loudness.
    pub loudness_z: f32,
    /// Jitter.
    pub jitter_z: f32,
    /// Shimmer.
    pub shimmer_z: f32,
    /// Harmonics-to-noise ratio.
    pub harmonicity_z: f32,
    /// Alpha ratio.
    pub alpha_ratio_z: f32,
    /// Level of speech.
    pub level_z: f32,
}

impl From<nlu::Delivery> for Delivery {
    fn from(heard: nlu::Delivery) -> Self {
        Self {
            speaking_rate: heard.speaking_rate,
            articulation_rate: heard.articulation_rate,
            pause_share: heard.pause_share,
            snr_db: heard.snr_db,
            lost_share: heard.lost_share,
            clipped_share: heard.clipped_share,
            pitch_z: heard.pitch_z,
            loudness_z: heard.loudness_z,
            jitter_z: heard.jitter_z,
            shimmer_z: heard.shimmer_z,
            harmonicity_z: heard.harmonicity_z,
            alpha_ratio_z: heard.alpha_ratio_z,
            level_z: heard.level_z,
        }
    }
}

/// One party's part in a conversation of two, as far as it was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TurnTaking {
    /// Time in which it speaks, milliseconds.
    pub speech_ms: u64,
    /// Time of it in which the other one speaks too, milliseconds.
    pub overlap_ms: u64,
    /// Turns begun: speech after more than 0.3 s of silence.
    pub turns: u32,
    /// Turns begun while the other spoke, with at least 0.5 s of speech of both.
    pub interruptions: u32,
    /// Mean time from the end of the other's turn to the beginning of its own, milliseconds; absent before the first
    /// answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub latency_ms: Option<u64>,
}

impl TurnTaking {
    /// The part of one of two parties, 0 or 1.
    pub fn of(turns: &prosody::turns::Turns, party: usize) -> Self {
        let milliseconds = |seconds: f32| (f64::from(seconds) * 1_000.0).round() as u64;
        let part = turns.parties[party];
        Self {
            speech_ms: milliseconds(part.speech_s),
            overlap_ms: milliseconds(turns.overlap_s),
            turns: part.turns,
            interruptions: part.interruptions,
            latency_ms: part.latency_mean_s.map(milliseconds),
        }
    }
}

impl What {
    /// Whether words of a party, or what was read of them, stand in it: nobody may have it once consent is refused.
    pub fn has_words(&self) -> bool {
        // Steps with words name those that a lexicon has; suggestions tell what they answer.
        matches!(self, What::Said { .. } | What::AnswersSuggested(_) | What::Observed { words: Some(_), .. })
    }

    /// Whether a caller refuses that words are heard and kept.
    pub fn refuses_words(&self) -> bool {
        matches!(self, What::Consent { state, .. } if state == "refused")
    }
}

/// What a party speaks, by its first speech.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LanguageHeard {
    /// `caller` or `callee`.
    pub party: String,
    /// What it speaks, more likely than not: `zh` or `en`.
    pub language: String,
    /// How likely that is, 0.5-1.
    pub probability: f32,
    /// What its words are heard in from now on; what is usual where it is not sure, or nobody hears the other language.
    pub heard_in: String,
    /// The speech that was listened to, milliseconds.
    pub speech_ms: u64,
}
