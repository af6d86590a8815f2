//! What parties have said, as far as it was understood: told to everybody who watches, and to the policies.
//!
//! Only phrases of the operator's own lists are told, never other words: what callers say is theirs.

use std::collections::BTreeSet;

use media::LegId;
use nlu::recognition::{Language, SpokenPhrase, Transcript};

use super::act::SAMPLES_PER_MS;
use super::call::{Call, Stage};
use super::context::Context;
use super::{Control, ControlSettings};
use crate::notice::{PhraseHeard, What};

impl Call {
    /// A party has said something; what is not final is only shown.
    pub(super) fn said(&mut self, context: &mut Context<'_>, transcript: &Transcript) {
        if !matches!(self.stage, Stage::Talking(_)) {
            return;
        }
        let by_caller = transcript.party.0 == self.caller.id.0;
        let by_far = self.far.as_ref().is_some_and(|far| far.id.0 == transcript.party.0);
        if !by_caller && !by_far {
            return;
        }
        self.notice(
            context,
            What::Said {
                party: if by_caller { "caller" } else { "callee" }.to_owned(),
                is_final: transcript.is_final,
                audio_ms: transcript.start / SAMPLES_PER_MS,
                until_ms: transcript.end / SAMPLES_PER_MS,
                phrases: transcript.phrases.iter().map(heard).collect(),
            },
        );
        if !by_caller || !transcript.is_final {
            return;
        }
        let mut told = BTreeSet::new();
        for phrase in &transcript.phrases {
            if told.insert(&phrase.intent) {
                self.judge(context, &routing::Event::Said { intent: phrase.intent.clone() });
            }
        }
    }
}

impl Control {
    /// What is spoken on a leg, where somebody listens for words.
    pub fn language_of(&self, leg: LegId) -> Option<Language> {
        self.calls.get(&self.call_of(leg)?)?.language
    }
}

impl ControlSettings {
    /// What is spoken on a route, where somebody listens for words.
    pub(super) fn language_on(&self, route: &str) -> Option<Language> {
        let own = self.routes.0.iter().find(|each| each.name == route).and_then(|route| route.language);
        self.language.map(|usual| own.unwrap_or(usual))
    }
}

fn heard(phrase: &SpokenPhrase) -> PhraseHeard {
    PhraseHeard {
        intent: phrase.intent.clone(),
        text: phrase.text.clone(),
        audio_ms: phrase.start / SAMPLES_PER_MS,
        until_ms: phrase.end / SAMPLES_PER_MS,
        confidence: phrase.confidence,
    }
}
