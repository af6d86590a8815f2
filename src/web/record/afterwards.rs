//! What phrases and a chat add to a record, what its words may be used for, and what comes to it once the call is over.

use serde::Serialize;
use utoipa::ToSchema;

use super::{CallRecord, DEEDS_MAX, PHRASES_MAX, Phrase, SUGGESTIONS_MAX, TimedNotice, push};
use crate::notice::{Notice, Outcome, PhraseHeard, What};
use crate::pii::Pii;

/// Words of other systems that are kept of what has come of a call.
pub const OUTCOMES_MAX: usize = 20;

/// What became of a word about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// It is kept with the call.
    Taken,
    /// It was said before.
    Known,
    /// There are as many as there may be.
    Full,
    /// Nobody knows the call.
    NoSuchCall,
}

/// A reply that a rule suggested.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Reply {
    /// Milliseconds since the chat began.
    pub call_ms: u64,
    /// Rule id.
    pub rule: String,
    /// What to write.
    pub text: Pii<String>,
}

impl CallRecord {
    pub(super) fn apply_phrases(&mut self, call_ms: u64, party: &str, phrases: &[PhraseHeard]) {
        for phrase in phrases.iter().cloned() {
            push(&mut self.phrases, Phrase { call_ms, party: party.to_owned(), phrase }, PHRASES_MAX);
        }
    }

    pub(super) fn apply_chat(&mut self, notice: &Notice) {
        match &notice.what {
            What::ChatOpened { channel, .. } => self.channel = Some(channel.clone()),
            What::ReplySuggested { rule, text, .. } => {
                let reply = Reply { call_ms: notice.call_ms, rule: rule.clone(), text: text.clone() };
                push(&mut self.replies, reply, DEEDS_MAX);
            }
            What::OutcomeTold(outcome) => push(&mut self.outcomes, outcome.clone(), OUTCOMES_MAX),
            _ => {}
        }
    }

    /// Whether words of it may be kept and told: nobody asks for consent, or it is given.
    pub fn keeps_words(&self) -> bool {
        self.consent.as_deref().is_none_or(|consent| consent == "given")
    }

    /// The oldest suggestion gives way to one too many, so that they take no room from what else has happened.
    pub(super) fn make_room_for_suggestion(&mut self) {
        let is_suggestion = |event: &TimedNotice| matches!(event.notice.what, What::AnswersSuggested(_));
        if self.events.iter().filter(|event| is_suggestion(event)).count() >= SUGGESTIONS_MAX
            && let Some(oldest) = self.events.iter().position(is_suggestion)
        {
            self.events.remove(oldest);
        }
    }

    /// Why one more word about what has come of it is not taken, when that is so.
    pub fn refuses(&self, outcome: &Outcome) -> Option<Late> {
        if self.outcomes.iter().any(|before| before.is_same(outcome)) {
            return Some(Late::Known);
        }
        (self.outcomes.len() >= OUTCOMES_MAX).then_some(Late::Full)
    }
}
