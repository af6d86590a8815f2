//! Recordings that are listened to afterwards: calls by the channel `recording`, without media and without dialogs, in simulated
//! time, each by a call control of its own.
//!
//! What policies decide is told and carried out nowhere: the call is long over. A caller who would have been moved is taken to
//! be with a person soon after, as `calmline policy test` takes it.

use std::sync::Arc;
use std::time::Duration;

use routing::{Action, Event, Policy};

use super::call::Call;
use super::chat::{Chat, ChatOpening, route};
use super::context::Context;
use super::order::{Denied, DeniedKind};
use super::{Control, ControlSettings};

/// The channel of recordings.
pub const RECORDING: &str = "recording";
/// A recording is shorter than this.
pub(super) const RECORDING_MAX: Duration = Duration::from_secs(86_400);
/// Why nobody listens to a recording whose route waits for consent.
pub const NOT_AGREED: &str = "nobody is listened to until consent is given, and of a recording nobody is asked for it";
/// How long a caller is taken to wait for whoever a rule moves the caller to.
const ANSWER: Duration = Duration::from_secs(5);

/// What is kept of a recording while it is listened to.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// When the caller whom a rule has moved would be with a person.
    moved: Option<Duration>,
}

impl Chat {
    /// When the caller whom a rule has moved would be with a person.
    pub(super) fn move_due(&self) -> Option<(Duration, &'static str)> {
        let moved = self.recorded.as_ref()?.moved?;
        Some((moved, "a move that is not made"))
    }
}

impl Call {
    /// Whether it is a recording.
    pub(super) fn is_recorded(&self) -> bool {
        self.chat().is_some_and(|chat| chat.recorded.is_some())
    }

    /// Does nothing but what tells how the caller would have been served; false for that.
    pub(super) fn act_in_recording(&mut self, context: &Context<'_>, action: &Action) -> bool {
        let now = context.now;
        if let Action::Reroute { .. } = action
            && let Ok(Some(recorded)) = self.chat_mut().map(|chat| chat.recorded.as_mut())
        {
            recorded.moved = Some(now + ANSWER);
        }
        !matches!(action, Action::Serve(_))
    }

    /// Tells policies of a move that is due.
    pub(super) fn recorded_tick(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let Ok(Some(recorded)) = self.chat_mut().map(|chat| chat.recorded.as_mut()) else { return };
        if recorded.moved.take_if(|at| now >= *at).is_some() {
            self.judge(context, &Event::Rerouted);
        }
    }
}

impl Control {
    /// What calls begin with at present: the settings, and the policies.
    pub fn in_force(&self) -> (ControlSettings, Arc<[Policy]>) {
        (self.shared.terms.settings.clone(), Arc::clone(&self.shared.terms.policies))
    }
}

impl ControlSettings {
    /// Whether a recording finds a route, and may be listened to there: of one nobody can be asked for consent any more.
    ///
    /// # Errors
    /// What was looked for, when it does not; whose consent is missing.
    pub fn check_route(&self, opening: &ChatOpening) -> Result<(), Denied> {
        let routed = route(self, opening)?;
        if self.consent_on(&routed.name, &[]).is_listened_to() {
            return Ok(());
        }
        let reason = format!("route {}: {NOT_AGREED}", routed.name);
        Err(Denied::new(DeniedKind::Conflict, reason))
    }
}
