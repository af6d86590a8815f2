//! A media port that could not be opened, for the most part because another program holds it: the next one is tried.

use media::LegId;

use super::call::{Call, Role, Stage};
use super::context::Context;
use super::leg::{Farewell, Leg, Stream};

/// What a call may have refused: whoever has this many ports taken has them all taken.
const REFUSALS_MAX: u8 = 3;

impl Call {
    /// The port of a leg could not be opened.
    pub(super) fn open_failed(&mut self, context: &mut Context<'_>, id: LegId, reason: &str) {
        let Some(role) = self.role(id) else { return };
        if let Some(leg) = self.leg_mut(id) {
            leg.stream = Stream::Closed;
        }
        let reason = format!("media port could not be opened: {reason}");
        if self.ports_refused < REFUSALS_MAX {
            self.ports_refused += 1;
            if self.take_another_port(context, role, &reason) {
                return;
            }
        }
        match role {
            Role::Caller => self.finish_with(context, Farewell { code: 500, reason: &reason }),
            Role::Far => match &self.stage {
                Stage::Seeking(_) => self.target_failed(context, 500, &reason),
                Stage::Talking(_) => self.finish(context, &reason),
                Stage::Finished(_) => {}
            },
            Role::Next => self.next_failed(context, 500, &reason),
            Role::Supervisor => self.lose_supervisor(context, id, &reason),
            Role::Leaving => self.sweep(context),
        }
    }

    /// Goes on with another port where nobody has been promised this one, or whoever has can be called again.
    fn take_another_port(&mut self, context: &mut Context<'_>, role: Role, reason: &str) -> bool {
        match (role, &self.stage) {
            (Role::Caller, Stage::Seeking(_)) => self.caller.reopen(context),
            (Role::Far, Stage::Seeking(_)) => self.call_again(context, reason),
            (Role::Next, _) => {
                self.same_way_again();
                false
            }
            _ => false,
        }
    }
}

impl Leg {
    /// Has another port opened in place of one that could not be; not when the far end has been told of that one.
    fn reopen(&mut self, context: &mut Context<'_>) -> bool {
        if self.sdp.is_some() {
            return false;
        }
        let Some(port) = context.shared.ports.take(context.now) else { return false };
        context.shared.ports_held.insert(self.id, port);
        self.local.port = port;
        self.stream = Stream::Open;
        context.media(media::Command::Open { leg: self.id, port, address: None });
        true
    }
}
