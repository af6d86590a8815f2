//! What whoever serves must say and must never say, from call to call: conversations begin and end here, words go to
//! `compliance`, and what is broken is told and judged.

use media::LegId;
use routing::{Action, Event};

use super::call::{Call, Stage};
use super::chat::Chat;
use super::context::Context;
use super::fork::Fork;
use crate::compliance::Duties;
use crate::notice::{Breach, What};

/// The present conversation with somebody who serves.
#[derive(Debug, Default)]
pub(super) struct Serving(Option<Conversation>);

#[derive(Debug)]
struct Conversation {
    with: LegId,
    target: String,
    duties: Duties,
}

impl Call {
    /// A conversation begins when the caller is connected to somebody, and ends when to somebody else, or nobody. In a chat it
    /// begins with the first message of whoever serves: until then nobody does.
    pub(super) fn follow_serving(&mut self, context: &mut Context<'_>) {
        if context.terms.settings.compliance.is_empty() || !matches!(self.stage, Stage::Talking(_)) {
            return;
        }
        if self.chat().is_some_and(Chat::is_unserved) {
            return;
        }
        let far = self.far.as_ref().map(|far| far.id);
        if self.serving.0.as_ref().map(|own| own.with) == far {
            return;
        }
        self.end_serving(context);
        let Some(far) = &self.far else { return };
        let Some(scenario) = context.shared.engine.scenario(self.key) else { return };
        let phrases = &context.terms.settings.compliance;
        let mut duties =
            Duties::begin(context.now, phrases, (scenario, &far.name), self.chat().is_some() && !self.is_recorded());
        if !self.is_heard() {
            duties.unheard(phrases);
        }
        self.serving = Serving(Some(Conversation { with: far.id, target: far.name.clone(), duties }));
    }

    /// Something was said or written, as it was; `whole`: it is all that was said, not only phrases that are listened for.
    pub(super) fn words_heard(&mut self, context: &mut Context<'_>, by_caller: bool, text: &str, whole: bool) {
        let phrases = &context.terms.settings.compliance;
        let Some(Conversation { duties, .. }) = &mut self.serving.0 else { return };
        if by_caller {
            duties.asked(context.now, phrases, text);
        } else {
            let broken = duties.served(context.now, phrases, text, whole);
            self.breached(context, &broken);
        }
    }

    /// Nobody hears what is said, for a while or for good: nobody is told that something was not said.
    pub(super) fn excuse(&mut self) {
        if let Some(Conversation { duties, .. }) = &mut self.serving.0 {
            duties.unheard(&self.terms.settings.compliance);
        }
    }

    /// Whether what is said comes to us, and may be listened to.
    fn is_heard(&self) -> bool {
        let Stage::Talking(talking) = &self.stage else { return false };
        let comes = !talking.path.is_past() && !self.fork.as_ref().is_some_and(Fork::is_paused);
        comes && self.consent.is_listened_to()
    }

    /// Tells what should have been said by now.
    pub(super) fn duties_tick(&mut self, context: &mut Context<'_>) {
        let Some(Conversation { duties, .. }) = &mut self.serving.0 else { return };
        let late = duties.overdue(context.now);
        self.breached(context, &late);
    }

    pub(super) fn duties_deadlines(&self, out: &mut Vec<(std::time::Duration, &'static str)>) {
        let due = self.serving.0.as_ref().filter(|_| self.is_up()).and_then(|own| own.duties.deadline());
        out.extend(due.map(|at| (at, "what must be said")));
    }

    /// The caller and whoever serves part. Of a call that ends, supervisors and systems outside are told, and nobody is moved.
    pub(super) fn end_serving(&mut self, context: &mut Context<'_>) {
        let Some(Conversation { duties, target, .. }) = self.serving.0.take() else { return };
        let missing = duties.end(context.now, &context.terms.settings.compliance);
        for at in missing {
            let event = self.tell_breach(context, at, target.clone());
            let mut decisions = context.judge(self.key, &event);
            for decision in &mut decisions {
                decision.actions.retain(|action| matches!(action, Action::Alert { .. } | Action::Notify { .. }));
            }
            decisions.retain(|decision| !decision.actions.is_empty());
            self.carry_out(context, decisions);
        }
    }

    fn breached(&mut self, context: &mut Context<'_>, broken: &[usize]) {
        for at in broken {
            let Some(target) = self.serving.0.as_ref().map(|own| own.target.clone()) else { return };
            let event = self.tell_breach(context, *at, target);
            self.judge(context, &event);
        }
    }

    /// Tells of a rule that is broken; what policies hear of it.
    fn tell_breach(&self, context: &mut Context<'_>, at: usize, target: String) -> Event {
        let rule = &context.terms.settings.compliance.rules()[at];
        let (id, duty, text) = (rule.id.clone(), rule.duty.name().to_owned(), rule.text.clone());
        self.notice(context, What::ComplianceBreached(Breach { rule: id.clone(), duty, text, target }));
        Event::Breached { rule: id }
    }
}
