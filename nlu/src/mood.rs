//! How one party feels by what is known at a moment: its voice, its words and what it shows, as steps of one timeline.
//!
//! Any of the three may be missing; knows nothing of audio.

use crate::expression::Expression;
use crate::features::{FEATURES, Row};
use crate::fusion::{SHARE_BESIDE_VOICE, USUAL, Words, fuse};
use crate::model::{CLASSES, as_voice};
use crate::observation::{Evidence, Observation, PartyId, Source};
use crate::settings::ListenerSettings;
use crate::signal::{doubt, fuse_anger, signal_anger};
use crate::timeline::Timeline;

/// A voice that was heard so long ago still belongs to the words that come now. Samples (2 s).
const VOICE_SAMPLES_MAX: u64 = 16_000;
/// For how many seconds of judgement one expression counts.
const EXPRESSION_STEP_S: f32 = 0.5;

/// The last of each modality, and the timeline that they have led to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mood {
    timeline: Timeline,
    /// Whether the party writes: then its words stand alone, and count in full.
    writes: bool,
    words: Option<Words>,
    /// Utterances that were read.
    read: u64,
    expression: Option<Expression>,
    /// The last judgement of the voice.
    voice: Option<Voice>,
    /// Position of the last observation.
    observed: u64,
}

/// What the voice alone said at a position.
#[derive(Debug, Clone, Copy)]
struct Voice {
    position: u64,
    probabilities: [f32; 4],
    anger: f32,
    evidence: Evidence,
    source: Source,
}

impl Mood {
    /// Of a party of whom there is no audio.
    pub(crate) fn of_writer() -> Self {
        Self { writes: true, ..Self::default() }
    }

    /// That of a party of the same kind of whom nothing is known yet.
    pub(crate) fn alike(&self) -> Self {
        Self { writes: self.writes, ..Self::default() }
    }

    /// Steps on by a window of the voice that a model has `judged`; signal processing speaks alone where none has.
    pub(crate) fn hear(
        &mut self,
        id: PartyId,
        settings: &ListenerSettings,
        row: &Row,
        judged: Option<&[f32; CLASSES]>,
    ) -> Observation {
        let signal = signal_anger(row);
        let (probabilities, anger, source) = match judged {
            Some(judged) => {
                let voice = as_voice(judged);
                let known = row.values[FEATURES - 1];
                (voice, fuse_anger(doubt(voice[1], known), signal), Source::Model)
            }
            None => ([1.0 - signal, signal, 0.0, 0.0], signal, Source::SignalOnly),
        };
        self.voice = Some(Voice { position: row.position, probabilities, anger, evidence: row.evidence, source });
        self.observe(id, settings, row.position, None)
    }

    /// Steps on by words.
    pub(crate) fn read(&mut self, id: PartyId, settings: &ListenerSettings, words: Words) -> Observation {
        let (position, step_s) = (words.evidence.end, words.step_s());
        self.read += 1;
        self.words = Some(words.numbered(self.read));
        self.observe(id, settings, position, Some(step_s))
    }

    /// Steps on by what the party shows.
    pub(crate) fn see(&mut self, id: PartyId, settings: &ListenerSettings, shown: Expression) -> Observation {
        let position = shown.position;
        self.expression = Some(shown);
        self.observe(id, settings, position, Some(EXPRESSION_STEP_S))
    }

    /// What all modalities say together at `position`, or at the last observation where that is later, as a step of the
    /// timeline; `step_s` for how long it counts, the time since the last one if `None`.
    fn observe(&mut self, id: PartyId, settings: &ListenerSettings, position: u64, step_s: Option<f32>) -> Observation {
        let position = position.max(self.observed);
        let heard = self.voice.filter(|voice| position.saturating_sub(voice.position) <= VOICE_SAMPLES_MAX);
        let voice = heard.map_or((USUAL, USUAL[1]), |voice| (voice.probabilities, voice.anger));
        self.words.take_if(|words| !words.count_at(position));
        self.expression.take_if(|expression| !expression.counts_at(position));
        let share = if self.writes { 1.0 } else { SHARE_BESIDE_VOICE };
        let (probabilities, anger) = fuse(voice, self.words.as_ref(), share, self.expression.as_ref(), position);
        let moment = match step_s {
            Some(step_s) => self.timeline.step_by(settings, position, step_s, &probabilities, anger),
            None => self.timeline.step(settings, position, &probabilities, anger),
        };
        self.observed = position;
        Observation {
            party: id,
            position,
            emotion: moment.emotion,
            level: moment.level,
            anger: moment.anger,
            trend_per_s: moment.trend_per_s,
            probabilities,
            evidence: heard.map(|voice| voice.evidence).unwrap_or_default(),
            source: heard.map_or(Source::WordsOnly, |voice| voice.source),
            words: self.words.as_ref().map(|words| words.evidence.clone()),
            expression: self.expression,
        }
    }
}
