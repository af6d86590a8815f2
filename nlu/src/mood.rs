//! How one party feels by what is known at a moment: its voice, its words and what it shows, as steps of one timeline.
//!
//! Any of the three may be missing; knows nothing of audio.

use crate::expression::Expression;
use crate::fusion::{SHARE_BESIDE_VOICE, USUAL, Words, fuse};
use crate::observation::{Evidence, Observation, PartyId, Source};
use crate::settings::ListenerSettings;
use crate::timeline::Timeline;

/// A voice that was heard so long ago still belongs to the words that come now. Samples (2 s).
const VOICE_SAMPLES_MAX: u64 = 16_000;

/// The last of each modality, and the timeline that they have led to.
#[derive(Debug, Default)]
pub(crate) struct Mood {
    timeline: Timeline,
    /// Whether the party writes: then its words stand alone, and count in full.
    writes: bool,
    pub(crate) words: Option<Words>,
    pub(crate) expression: Option<Expression>,
    /// The last judgement of the voice.
    pub(crate) voice: Option<Voice>,
    /// Position of the last observation.
    observed: u64,
}

/// What the voice alone said at a position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Voice {
    pub(crate) position: u64,
    pub(crate) probabilities: [f32; 4],
    pub(crate) anger: f32,
    pub(crate) evidence: Evidence,
    pub(crate) source: Source,
}

impl Mood {
    /// Of a party of whom there is no audio.
    pub(crate) fn of_writer() -> Self {
        Self { writes: true, ..Self::default() }
    }

    /// What all modalities say together at `position`, or at the last observation where that is later, as a step of the
    /// timeline; `step_s` for how long it counts, the time since the last one if `None`.
    pub(crate) fn observe(
        &mut self,
        id: PartyId,
        settings: &ListenerSettings,
        position: u64,
        step_s: Option<f32>,
    ) -> Observation {
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
