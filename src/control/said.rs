//! What parties have said, as far as it was understood: told to everybody who watches, and to the policies.
//!
//! Only phrases of the operator's own lists are told, never other words: what callers say is theirs.

use std::collections::BTreeSet;

use media::LegId;
use nlu::recognition::{Language, SpokenPhrase, Transcript};

use super::act::SAMPLES_PER_MS;
use super::call::{Call, Stage};
use super::command::Command;
use super::context::Context;
use super::order::{Denied, DeniedKind, Party};
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

impl Call {
    /// A party has typed something: it is read as what the party says, and told by what that says of the party.
    pub(super) fn typed(&mut self, context: &mut Context<'_>, party: Party, text: String) -> Result<(), Denied> {
        if !matches!(self.stage, Stage::Talking(_)) {
            return Err(Denied::not_connected());
        }
        let settings = &context.terms.settings;
        let (leg, is_heard) = match party {
            Party::Caller => (Some(self.caller.id), settings.parties.is_some()),
            Party::Callee => (self.far.as_ref().map(|far| far.id), settings.listens_to_far()),
        };
        let nobody = || Denied::new(DeniedKind::Conflict, format!("nobody listens to the {}", party.as_str()));
        let leg = leg.filter(|_| is_heard).ok_or_else(nobody)?;
        context.out.push(Command::Read { leg, text });
        Ok(())
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
