//! Whether the audio of a call is kept: as long as its route says so and the caller has agreed; told to whoever keeps it.
//!
//! What is typed in secret is told as it begins and ends, so that nobody hears it later either.

use media::LegId;
use nlu::masking::Masker;
use routing::CallKey;

use super::Control;
use super::call::{Call, Stage, millis};
use super::command::Command;
use super::context::Context;

/// What whoever keeps audio is asked to do.
#[derive(Debug, Clone)]
pub enum ReelCommand {
    /// Keeps the live copy of a leg's call from now on; or goes on with it.
    Begin(Box<ReelBeginning>),
    /// Keeps no more for now.
    Pause {
        /// Of which call.
        call: CallKey,
    },
    /// The caller types in secret from now on, or no longer.
    Secure {
        /// In which call.
        call: CallKey,
        /// Whether it begins.
        on: bool,
    },
    /// The call is over. Comes for every call whose route has audio kept, once at least, and last.
    End {
        /// Which.
        call: CallKey,
    },
    /// Forgets what was kept: the caller does not agree.
    Drop {
        /// Of which call.
        call: CallKey,
    },
}

/// What there is to know when audio begins to be kept.
#[derive(Debug, Clone)]
pub struct ReelBeginning {
    /// Of which call.
    pub call: CallKey,
    /// The same, as everybody knows it.
    pub id: String,
    /// Whose call it is.
    pub tenant: Option<String>,
    /// The caller's leg, whose copy it is.
    pub leg: LegId,
    /// When, since the call began, milliseconds.
    pub call_ms: u64,
    /// What masks what the caller says, and what is said at the other end.
    pub maskers: (Masker, Masker),
    /// Whether words are recognised in it.
    pub words: bool,
}

impl Call {
    /// Begins to keep the audio, or no longer does, as the caller agrees.
    pub(super) fn keep_audio_as_agreed(&mut self, context: &mut Context<'_>) {
        let wanted = self.consent.keeps_audio();
        let (call, leg) = (self.key, self.caller.id);
        let Stage::Talking(talking) = &mut self.stage else { return };
        let (was, is_secure) = (talking.wants_copy(), talking.keys.is_secure());
        if std::mem::replace(&mut talking.keeps_audio, wanted) == wanted {
            return;
        }
        self.copy_as_wanted(context, was);
        if !wanted {
            let refused = self.consent.is_refused();
            context.reel(if refused { ReelCommand::Drop { call } } else { ReelCommand::Pause { call } });
            return;
        }
        let beginning = ReelBeginning {
            call,
            id: self.id.clone(),
            tenant: self.consent.tenant().map(str::to_owned),
            leg,
            call_ms: millis(context.now.saturating_sub(self.started)),
            maskers: self.maskers.both(),
            words: self.language.is_some() && context.terms.settings.parties.is_some(),
        };
        context.reel(ReelCommand::Begin(Box::new(beginning)));
        if is_secure {
            context.reel(ReelCommand::Secure { call, on: true });
        }
    }

    /// Another leg has become the caller's: what was copied of the one before is over.
    pub(super) fn keep_audio_anew(&mut self, context: &mut Context<'_>) {
        let call = self.key;
        if let Stage::Talking(talking) = &mut self.stage
            && std::mem::take(&mut talking.keeps_audio)
        {
            context.reel(ReelCommand::Pause { call });
        }
    }

    /// The call is over, or leaves us.
    pub(super) fn end_reel(&self, context: &mut Context<'_>) {
        if self.consent.may_keep_audio() {
            context.reel(ReelCommand::End { call: self.key });
        }
    }

    /// Tells that the caller types in secret from now on, or no longer.
    pub(super) fn reel_secure(&self, context: &mut Context<'_>, on: bool) {
        if matches!(&self.stage, Stage::Talking(talking) if talking.keeps_audio) {
            context.reel(ReelCommand::Secure { call: self.key, on });
        }
    }
}

impl Context<'_> {
    fn reel(&mut self, command: ReelCommand) {
        self.out.push(Command::Reel(command));
    }
}

impl Control {
    /// The call that a leg belongs to, where its audio may be kept and it is not over: of one that is nobody is told any more.
    pub fn reel_of(&self, leg: LegId) -> Option<CallKey> {
        let may_keep = |call: &Call| call.consent.may_keep_audio() && !matches!(call.stage, Stage::Finished(_));
        self.call_of(leg).filter(|key| self.calls.get(key).is_some_and(may_keep))
    }
}
