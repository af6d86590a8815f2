//! Who has the live copy of a call: it is made as long as there is anybody, and everybody is on record.

use std::collections::BTreeMap;
use std::time::Duration;

use super::call::{Call, Stage, millis};
use super::context::Context;
use super::order::{Denied, DeniedKind, Done};
use crate::notice::What;

/// The clients of one call.
#[derive(Debug, Default)]
pub(super) struct AudioClients {
    /// By number, with the moment they came.
    present: BTreeMap<u32, Duration>,
    /// The number that was given last.
    last: u32,
}

impl AudioClients {
    /// Whether nobody has the copy.
    pub(super) fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// All who have it let go of it. Numbers go on, so that whoever comes next is nobody who was here.
    pub(super) fn leave(&mut self) -> AudioClients {
        AudioClients { present: std::mem::take(&mut self.present), last: self.last }
    }
}

impl Call {
    /// Somebody wants the copy.
    pub(super) fn open_audio(&mut self, context: &mut Context<'_>, layout: &str) -> Result<Done, Denied> {
        self.check_sound()?;
        self.check_audio_here()?;
        if !self.consent.keeps_words() {
            return Err(Denied::new(DeniedKind::Conflict, "the caller has not agreed that the call is recorded"));
        }
        let (now, leg) = (context.now, self.caller.id);
        let Stage::Talking(talking) = &mut self.stage else { return Err(Denied::not_connected()) };
        let was = talking.wants_copy();
        let audio = &mut talking.audio;
        if audio.present.len() >= CLIENTS_MAX {
            let reason = format!("the call's audio has as many clients as it may have: {CLIENTS_MAX}");
            return Err(Denied::new(DeniedKind::Conflict, reason));
        }
        audio.last += 1;
        let client = audio.last;
        audio.present.insert(client, now);
        self.copy_as_wanted(context, was);
        self.notice(context, What::AudioOpened { client, layout: layout.to_owned() });
        Ok(Done::Audio { client, leg })
    }

    /// A client was too slow for some of it.
    pub(super) fn audio_missed(&mut self, context: &mut Context<'_>, client: u32, missed_ms: u64) {
        if let Stage::Talking(talking) = &self.stage
            && talking.audio.present.contains_key(&client)
        {
            self.notice(context, What::AudioMissed { client, missed_ms });
        }
    }

    /// A client wants no more.
    pub(super) fn close_audio(&mut self, context: &mut Context<'_>, client: u32) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let was = talking.wants_copy();
        let Some(opened) = talking.audio.present.remove(&client) else { return };
        self.copy_as_wanted(context, was);
        self.report_closed(context, client, opened);
    }

    /// Has the caller's leg copied from now on, or no longer, where that is not as it `was`.
    pub(super) fn copy_as_wanted(&self, context: &mut Context<'_>, was: bool) {
        let Stage::Talking(talking) = &self.stage else { return };
        let on = talking.wants_copy();
        if on != was {
            context.media(media::Command::Copy { leg: self.caller.id, on });
        }
    }

    /// Another leg is to be the caller's: the copy of this one ends, whoever has it, and whoever keeps it.
    pub(super) fn end_copy(&mut self, context: &mut Context<'_>) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let (was, clients) = (talking.wants_copy(), talking.audio.leave());
        self.keep_audio_anew(context);
        self.copy_as_wanted(context, was);
        self.end_audio(context, clients);
    }

    /// The call ends, and with it its copy.
    pub(super) fn end_audio(&self, context: &mut Context<'_>, clients: AudioClients) {
        for (client, opened) in clients.present {
            self.report_closed(context, client, opened);
        }
    }

    fn report_closed(&self, context: &mut Context<'_>, client: u32, opened: Duration) {
        let lasted_ms = millis(context.now.saturating_sub(opened));
        self.notice(context, What::AudioClosed { client, lasted_ms });
    }
}

/// Clients of one call.
const CLIENTS_MAX: usize = 8;
