//! What parties have said, as far as it was understood: told to everybody who watches, and to the policies.
//!
//! Phrases of the operator's own lists are told, other words only where dictation is taken, and personal data in all of it
//! is masked; policies judge what was said as it was said.

use std::collections::BTreeSet;

use media::LegId;
use nlu::masking::Masker;
use nlu::recognition::{Language, LanguageChoice, SpokenPhrase, Transcript};
use nlu::{LanguageFound, Punctuation};

use super::act::SAMPLES_PER_MS;
use super::call::{Call, Stage};
use super::command::Command;
use super::context::Context;
use super::order::{Denied, DeniedKind, Party};
use super::{Control, ControlSettings};
use crate::notice::{LanguageHeard, PhraseHeard, Tags, What};
use crate::pii::Pii;

impl Call {
    /// A party has said something; what is not final is only shown, and so is what the other party said (`crosstalk`).
    pub(super) fn said(&mut self, context: &mut Context<'_>, transcript: &Transcript, crosstalk: bool) {
        if !matches!(self.stage, Stage::Talking(_)) {
            return;
        }
        let by_caller = transcript.party.0 == self.caller.id.0;
        let by_far = self.far.as_ref().is_some_and(|far| far.id.0 == transcript.party.0);
        if !by_caller && !by_far {
            return;
        }
        let is_punctuated = context.terms.settings.punctuation;
        let (phrases, text) = self.maskers.mask(by_caller, transcript, is_punctuated);
        self.tell_words(
            context,
            What::Said {
                party: if by_caller { "caller" } else { "callee" }.to_owned(),
                engine: transcript.engine.name().to_owned(),
                is_final: transcript.is_final,
                audio_ms: transcript.start / SAMPLES_PER_MS,
                until_ms: transcript.end / SAMPLES_PER_MS,
                phrases,
                text,
                crosstalk,
            },
        );
        if !transcript.is_final || crosstalk {
            return;
        }
        if let Some(utterance) = transcript.utterance() {
            self.words_heard(context, by_caller, &utterance.text, transcript.text.is_some());
        }
        if !by_caller {
            return;
        }
        let mut told = BTreeSet::new();
        for phrase in &transcript.phrases {
            if told.insert(&phrase.intent) {
                self.judge(context, &routing::Event::Said { intent: phrase.intent.clone() });
            }
        }
    }

    /// A party was listened to for the language that it speaks; it is heard in `heard_in` from now on.
    pub(super) fn language_found(
        &mut self,
        context: &mut Context<'_>,
        leg: LegId,
        found: &LanguageFound,
        heard_in: Language,
    ) {
        let by_caller = leg == self.caller.id;
        let by_far = self.far.as_ref().is_some_and(|far| far.id == leg);
        if !matches!(self.stage, Stage::Talking(_)) || !(by_caller || by_far) {
            return;
        }
        self.notice(
            context,
            What::LanguageFound(LanguageHeard {
                party: if by_caller { "caller" } else { "callee" }.to_owned(),
                language: found.language.code().to_owned(),
                probability: found.probability,
                heard_in: heard_in.code().to_owned(),
                speech_ms: found.speech / SAMPLES_PER_MS,
            }),
        );
        if by_caller {
            self.language = self.language.map(|choice| LanguageChoice { language: heard_in, ..choice });
            self.judge(context, &routing::Event::Speaks { language: in_policies(heard_in) });
        }
    }

    /// Tells what was said, where that may be.
    pub(super) fn tell_words(&self, context: &mut Context<'_>, said: What) {
        if self.consent.keeps_words() {
            self.notice(context, said);
        }
    }

    /// A party has typed something: it is read as what the party says, and told by what that says of the party.
    pub(super) fn typed(&mut self, context: &mut Context<'_>, party: Party, text: String) -> Result<(), Denied> {
        if !matches!(self.stage, Stage::Talking(_)) {
            return Err(Denied::not_connected());
        }
        if self.chat().is_some() {
            return Err(Denied::new(DeniedKind::Conflict, "this is a chat: it takes `messages`"));
        }
        let leg = self.read_leg(context, party)?;
        context.out.push(Command::Read { leg, text });
        Ok(())
    }

    /// The leg of a party that is listened to, or read.
    ///
    /// # Errors
    /// When it is not, or is not there.
    pub(super) fn read_leg(&self, context: &Context<'_>, party: Party) -> Result<LegId, Denied> {
        let settings = &context.terms.settings;
        let (leg, is_heard) = match party {
            Party::Caller => (Some(self.caller.id), settings.parties.is_some()),
            Party::Callee => (self.far.as_ref().map(|far| far.id), settings.listens_to_far()),
        };
        let nobody = || Denied::new(DeniedKind::Conflict, format!("nobody listens to the {}", party.as_str()));
        leg.filter(|_| is_heard && self.consent.is_listened_to()).ok_or_else(nobody)
    }
}

/// What masks what the parties of a call say.
#[derive(Debug)]
pub(super) struct Maskers {
    caller: Masker,
    far: Masker,
}

impl Maskers {
    /// That of the caller and that of the other end, with what they remember.
    pub(super) fn both(&self) -> (Masker, Masker) {
        (self.caller.clone(), self.far.clone())
    }

    /// The phrases and the text as they may be shown, what is final with punctuation where that is wanted; remembers what is
    /// final, for both: who is asked for a secret answers with it. Secrets are found in what was said, without punctuation.
    fn mask(
        &mut self,
        by_caller: bool,
        transcript: &Transcript,
        is_punctuated: bool,
    ) -> (Vec<PhraseHeard>, Option<Pii<String>>) {
        let (own, other) =
            if by_caller { (&mut self.caller, &mut self.far) } else { (&mut self.far, &mut self.caller) };
        let heard = transcript.phrases.iter().map(|phrase| heard(phrase, own)).collect();
        let is_punctuated = is_punctuated && transcript.is_final;
        let shown = |text: &String| match own.partial(text) {
            masked if is_punctuated => masked.punctuated(text, &Punctuation::of(text, &transcript.words)),
            masked => masked.text,
        };
        let text = transcript.text.as_ref().map(shown).map(Pii::from);
        if transcript.is_final {
            let words = || transcript.words.iter().map(|word| word.text.as_str());
            own.remember_words(words());
            other.heard_from_other(words());
        }
        (heard, text)
    }

    /// What a party has written as it may be shown; remembered as what is said.
    pub(super) fn mask_written(&mut self, by_caller: bool, text: &str) -> String {
        let (own, other) =
            if by_caller { (&mut self.caller, &mut self.far) } else { (&mut self.far, &mut self.caller) };
        other.heard_from_other([text]);
        own.finished(text).text
    }
}

impl Control {
    /// Which language a leg is heard in, where somebody listens for words.
    pub fn language_of(&self, leg: LegId) -> Option<LanguageChoice> {
        self.calls.get(&self.call_of(leg)?)?.language
    }
}

impl ControlSettings {
    /// Which language the parties of a route are heard in, where somebody listens for words.
    pub(super) fn language_on(&self, route: &str) -> Option<LanguageChoice> {
        let own = self.routes.named(route).and_then(|route| route.language);
        self.language.map(|usual| own.unwrap_or(usual).choice(usual))
    }

    /// What a route says of its data.
    pub(super) fn tags_on(&self, route: &str) -> Tags {
        self.routes.named(route).map(|route| route.tags.clone()).unwrap_or_default()
    }

    /// What masks what is said on a route.
    pub(super) fn maskers_on(&self, route: &str) -> Maskers {
        let own = self.routes.named(route).and_then(|route| route.mask.clone());
        let masker = own.map_or_else(|| self.masker.clone(), |classes| self.masker.with_classes(classes));
        Maskers { caller: masker.clone(), far: masker }
    }
}

/// The language as policies know it.
pub(super) fn in_policies(language: Language) -> routing::Language {
    match language {
        Language::Mandarin => routing::Language::Mandarin,
        Language::English => routing::Language::English,
    }
}

fn heard(phrase: &SpokenPhrase, masker: &Masker) -> PhraseHeard {
    PhraseHeard {
        intent: phrase.intent.clone(),
        text: masker.partial(&phrase.text).text.into(),
        audio_ms: phrase.start / SAMPLES_PER_MS,
        until_ms: phrase.end / SAMPLES_PER_MS,
        confidence: phrase.confidence,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nlu::PartyId;
    use nlu::masking::{Class, MaskingLists};
    use nlu::recognition::EngineKind;

    use super::*;

    #[test]
    fn what_is_final_is_shown_with_punctuation_and_without_its_secrets() {
        let (said, bare) = ("好的我的电话是13800138000", "好的我的电话是[电话]");
        assert_eq!(shown(said, true, true), "好的，我的电话是[电话]。");
        assert_eq!(shown(said, true, false), bare);
        assert_eq!(shown(said, false, true), bare);
        assert_eq!(shown("好的。电话13800138000", true, true), "好的。电话[电话]", "it has marks of its own");
    }

    fn shown(text: &str, is_final: bool, is_punctuated: bool) -> String {
        let masker = Masker::new(Arc::new(MaskingLists::built_in()), Class::usual());
        let mut maskers = Maskers { caller: masker.clone(), far: masker };
        let transcript = Transcript {
            party: PartyId(1),
            engine: EngineKind::SherpaOnnx,
            is_final,
            start: 0,
            end: 8_000,
            words: Vec::new(),
            phrases: Vec::new(),
            text: Some(text.to_owned()),
        };
        let (_, text) = maskers.mask(true, &transcript, is_punctuated);
        text.expect("there is one").reveal().clone()
    }
}
