//! How the caller and whoever it talks to take turns: kept while they talk, told when they part.
//!
//! Counts nothing itself: the listening side does, for as long as both are listened to.

use media::LegId;
use prosody::turns::Turns;

use super::call::{Call, Stage};
use super::context::Context;
use crate::notice::{TurnTaking, What};

/// One conversation so far.
#[derive(Debug)]
pub(super) struct Conversation {
    far: LegId,
    /// Name of the callee's target.
    target: String,
    caller: TurnTaking,
    callee: TurnTaking,
}

impl Call {
    /// Two parties have taken turns; `legs` are in the order of `turns`.
    pub(super) fn took_turns(&mut self, context: &mut Context<'_>, legs: [LegId; 2], turns: &Turns) {
        let Some(far) = self.far.as_ref().filter(|_| matches!(self.stage, Stage::Talking(_))) else { return };
        let Some(of_caller) = legs.iter().position(|leg| *leg == self.caller.id) else { return };
        if legs[1 - of_caller] != far.id {
            return;
        }
        let now = Conversation {
            far: far.id,
            target: far.name.clone(),
            caller: TurnTaking::of(turns, of_caller),
            callee: TurnTaking::of(turns, 1 - of_caller),
        };
        if self.tally.conversation.as_ref().is_some_and(|before| before.far != now.far) {
            self.end_conversation(context);
        }
        let before = self.tally.conversation.as_ref().map_or([0; 2], Conversation::interruptions);
        let after = now.interruptions();
        self.tally.conversation = Some(now);
        for (i, party) in ["caller", "callee"].into_iter().enumerate() {
            if after[i] > before[i] {
                self.notice(context, What::Interrupted { party: party.to_owned(), times: after[i] });
            }
        }
        if after[0] > before[0] {
            self.judge(context, &routing::Event::Interrupted { times: after[0] });
        }
    }

    /// One party's part in the present conversation.
    pub(super) fn turns_of(&self, by_caller: bool) -> Option<TurnTaking> {
        let far = self.far.as_ref()?;
        let conversation = self.tally.conversation.as_ref().filter(|conversation| conversation.far == far.id)?;
        Some(if by_caller { conversation.caller } else { conversation.callee })
    }

    /// The caller and the callee have parted.
    pub(super) fn end_conversation(&mut self, context: &mut Context<'_>) {
        if let Some(Conversation { far: _, target, caller, callee }) = self.tally.conversation.take() {
            self.notice(context, What::Conversation { target, caller, callee });
        }
    }
}

impl Conversation {
    /// Of the caller and of the callee.
    fn interruptions(&self) -> [u32; 2] {
        [self.caller.interruptions, self.callee.interruptions]
    }
}
