//! What policies know of a call besides the caller's mood: how it began, what words it has, how good its audio is, and
//! what others say of the customer and the order.
//!
//! Decides nothing; the policy engine is told.

use std::collections::BTreeMap;
use std::time::Duration;

use media::quality::{Path, Robustness, mean_opinion, rating_listening};
use routing::warning::Watch;
use routing::{Decision, Event, FACTS_MAX, Fact, LocalTime, Opening, Switch};

use super::Control;
use super::call::{Call, Stage};
use super::chat::{Allowance, MOOD_HOLDS};
use super::context::Context;
use super::fork::Fork;
use super::history;
use super::order::{Denied, DeniedKind};
use super::said::in_policies;
use crate::notice::What;
use crate::words;

/// What others have said of a call, and what of its words and its audio was told to the policies.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// Names of the facts that are known.
    known: Vec<String>,
    /// Which words were told last: their number, and where they ended, samples of the caller's audio. Numbers begin again with
    /// whoever listens.
    words: Option<(u64, u64)>,
    /// The loss that was told last, per cent.
    loss_percent: Option<u8>,
    /// Whether the call is likely to escalate.
    watch: Option<Watch>,
    /// What facts say by which calls are compared.
    pub(super) compared: BTreeMap<String, String>,
    /// How many expressions may be told.
    pub(super) showings: Allowance,
}

impl Call {
    /// What the policies know when the call begins.
    pub(super) fn opening(&self, now: Duration, scenario: &str) -> Opening {
        Opening {
            scenario: scenario.to_owned(),
            language: self.language.map(|choice| in_policies(choice.language)),
            channel: Some(self.fork.as_ref().map_or(PHONE, Fork::channel).to_owned()),
            id: self.id.clone(),
            caller: history::compared_by(&self.from),
            waited: now.saturating_sub(self.started),
            emotion_holds: self.chat().filter(|_| !self.is_recorded()).map(|_| MOOD_HOLDS),
        }
    }

    /// Lets the watch hear what the policies hear; whoever watches is told when the call is likely to escalate.
    pub(super) fn forewarn(&mut self, context: &mut Context<'_>, event: &Event) {
        let warn_at = || context.warn_at(self.key);
        let watch = self.learned.watch.get_or_insert_with(|| Watch::new(warn_at()));
        if let Some(warning) = watch.take(context.now, event) {
            let event = warning.event();
            self.notice(context, What::EscalationLikely { score: warning.score, evidence: warning.evidence });
            self.judge(context, &event);
        }
    }

    /// Takes from an observation what it says besides the mood.
    pub(super) fn learn_from(&mut self, context: &mut Context<'_>, observation: &nlu::Observation, by_caller: bool) {
        if !by_caller {
            return self.judge(context, &Event::OtherSpoke);
        }
        if let Some(delivery) = observation.evidence.delivery {
            // Whole per cents: what is finer would be told with every observation.
            let percent = (delivery.lost_share.clamp(0.0, 1.0) * 100.0).round() as u8;
            if self.learned.loss_percent.replace(percent) != Some(percent) {
                let loss = f32::from(percent) / 100.0;
                let mos = self.caller.codec().map(|codec| {
                    let path = Path { delay_ms: 0.0, loss, burst_ratio: 1.0 };
                    mean_opinion(rating_listening(Robustness::of(codec), path))
                });
                self.judge(context, &Event::Quality { mos, loss: Some(loss) });
            }
        }
        let Some(words) = observation.words.as_deref() else { return };
        let which = (words.number, words.end);
        if self.learned.words.replace(which) != Some(which) {
            let found = words.words.iter().filter(|found| !found.negated);
            let mut categories: Vec<String> = found.map(|found| words::category(found.category).to_owned()).collect();
            categories.sort_unstable();
            categories.dedup();
            if !categories.is_empty() {
                self.judge(context, &Event::Words { categories });
            }
            // Nobody listens for phrases in what is written: what it wants is read in its words.
            let intents = words.intents.iter().filter(|_| self.chat().is_some() && !self.is_recorded());
            for intent in intents.map(|intent| (*intent).to_owned()).collect::<Vec<_>>() {
                self.judge(context, &Event::Said { intent });
            }
        }
    }

    /// Somebody says something of the customer or the order; `None` takes it back.
    pub(super) fn tell_facts(
        &mut self,
        context: &mut Context<'_>,
        facts: Vec<(String, Option<Fact>)>,
        by: Option<String>,
    ) -> Result<(), Denied> {
        if !matches!(self.stage, Stage::Talking(_)) {
            return Err(Denied::not_connected());
        }
        let mut known = self.learned.known.clone();
        for (name, value) in &facts {
            known.retain(|each| each != name);
            known.extend(value.as_ref().map(|_| name.clone()));
        }
        if known.len() > FACTS_MAX {
            return Err(Denied::new(DeniedKind::Full, format!("at most {FACTS_MAX} facts of one call")));
        }
        self.learned.known = known;
        let (told, forgotten): (Vec<_>, Vec<_>) = facts.iter().partition(|(_, value)| value.is_some());
        let names = |facts: Vec<&(String, Option<Fact>)>| facts.into_iter().map(|(name, _)| name.clone()).collect();
        self.notice(context, What::FactsTold { known: names(told), forgotten: names(forgotten), by });
        // What is forgotten makes room.
        let (forgotten, told): (Vec<_>, Vec<_>) = facts.into_iter().partition(|(_, value)| value.is_none());
        for (name, value) in forgotten.into_iter().chain(told) {
            if context.terms.settings.compared.contains(&name) {
                match &value {
                    Some(value) => self.learned.compared.insert(name.clone(), value.to_string()),
                    None => self.learned.compared.remove(&name),
                };
            }
            self.judge(context, &Event::Fact { name, value });
        }
        Ok(())
    }

    /// The caller is served otherwise from now on: whoever serves is told.
    pub(super) fn switch_service(&mut self, context: &mut Context<'_>, decision: &Decision, switch: &Switch) {
        let (words, language) = switch.words.clone().unzip();
        self.notice(
            context,
            What::ServiceSwitched {
                rule: decision.rule.clone(),
                policy: decision.policy.clone(),
                before: switch.before.as_ref().map(Into::into),
                after: switch.after.as_ref().map(Into::into),
                words,
                language: language.map(|language| language.as_str().to_owned()),
            },
        );
    }
}

impl Control {
    /// Says what time it is where the service is, for rules about hours and days.
    pub fn set_clock(&mut self, now: Duration, local: LocalTime) {
        self.shared.engine.set_clock(now, local);
    }
}

/// The channel of calls that come by SIP.
const PHONE: &str = "phone";
