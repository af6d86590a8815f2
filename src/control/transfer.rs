//! Moving the caller by order: a person decides what else a policy decides.
//!
//! The ways, and what becomes of them, are those of `reroute`.

use std::time::Duration;

use routing::Route;

use super::call::{Call, Stage};
use super::context::Context;
use super::order::{Denied, DeniedKind, Done};
use super::reroute::Wanted;
use super::{Command, Control};
use crate::notice::{PriorityChange, What};

/// Where the caller is to be moved.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// The target of the configuration, by name.
    pub target: String,
    /// The ways in the order in which they are tried.
    pub ways: Vec<Route>,
    /// Its place in the target's queue, in place of the target's own.
    pub queue_priority: Option<u32>,
}

impl Control {
    /// Changes a caller's place in queues.
    pub(super) fn prioritise(
        &mut self,
        now: Duration,
        call: &str,
        change: PriorityChange,
        out: &mut Vec<Command>,
    ) -> Result<Done, Denied> {
        self.ordered(now, call, out, |call, context| Ok(call.prioritise(context, change)))
    }
}

impl Call {
    /// Notes the caller's place in queues, by whichever way the caller is moved from now on. A queue that the caller waits in
    /// already is its PBX's, which is told like everybody.
    fn prioritise(&mut self, context: &mut Context<'_>, change: PriorityChange) -> Done {
        if self.queue_priority != change.queue_priority {
            self.queue_priority = change.queue_priority;
            self.notice(context, What::PriorityChanged(change));
        }
        Done::Accepted
    }

    /// Begins to move the caller. The policy hears of the outcome as of any other, so it does not move the caller again.
    pub(super) fn move_by_order(&mut self, context: &mut Context<'_>, wish: &Wish) -> Result<(), Denied> {
        let Wish { target, ways, queue_priority } = wish;
        let Stage::Talking(talking) = &self.stage else { return Err(Denied::not_connected()) };
        if talking.is_being_moved() {
            return Err(Denied::new(DeniedKind::Conflict, "another re-route is under way"));
        }
        self.check_audio_here()?;
        if !context.terms.settings.targets.contains_key(target) {
            return Err(Denied::new(DeniedKind::Wrong, format!("no target named {target}")));
        }
        let because = &context.shared.engine.mood(context.now, self.key).ok_or_else(Denied::not_connected)?;
        let (within, whisper, queue_priority) = (None, None, *queue_priority);
        let wanted = Wanted { ways, target, within, whisper, queue_priority, rule: RULE, because };
        self.begin_reroute(context, wanted).map_err(|reason| Denied::new(DeniedKind::Conflict, reason))
    }
}

/// What stands where the target is told which rule has moved the caller.
const RULE: &str = "order";
