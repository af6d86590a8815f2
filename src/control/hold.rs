//! What a caller hears who waits for a target that we have called: music or ringback, between the prompts.
//!
//! Begins when the target is called, or rings for a far end that has asked for it by REFER, and nothing else plays; ends when
//! the target answers or will not.

use std::sync::Arc;

use media::{PlayMode, PromptId, Sound};
use routing::Hold;

use super::call::{Call, Stage};
use super::context::Context;

/// A sound that is heard while the caller waits.
#[derive(Debug)]
pub(super) struct Waiting {
    sound: Arc<Sound>,
    /// Its name in the media path, while it plays or has given way to a prompt.
    playing: Option<PromptId>,
}

impl Call {
    /// The caller waits, and hears this meanwhile.
    pub(super) fn begin_hold(&mut self, context: &mut Context<'_>, hold: &Hold) {
        if self.fork.is_some() {
            // The PBX has its own music.
            return;
        }
        let sounds = &context.terms.sounds;
        let sound = match hold {
            Hold::Music(file) => sounds.files.get(file).cloned(),
            Hold::Ringback => sounds.ringback.clone(),
        };
        let (Stage::Talking(talking), Some(sound)) = (&mut self.stage, sound) else { return };
        talking.waiting = Some(Waiting { sound, playing: None });
        self.resume_hold(context);
    }

    /// Plays on once no prompt plays or is on its way.
    pub(super) fn resume_hold(&mut self, context: &mut Context<'_>) {
        let plays = self.is_played_to(self.caller.id);
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(waiting) = &mut talking.waiting else { return };
        if plays || waiting.playing.is_some() {
            return;
        }
        let (prompt, sound) = (context.new_prompt(), Arc::clone(&waiting.sound));
        waiting.playing = Some(prompt);
        let (leg, mode) = (self.caller.id, PlayMode::Replace);
        context.media(media::Command::Play { leg, prompt, sound, mode, repeats: true, key_ends: false });
    }

    /// A sound has ended that was no prompt: it has given way to one, or cannot be played.
    pub(super) fn hold_ended(&mut self, prompt: PromptId) {
        let plays = self.is_played_to(self.caller.id);
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(waiting) = talking.waiting.take_if(|waiting| waiting.playing == Some(prompt)) else { return };
        if plays {
            talking.waiting = Some(Waiting { playing: None, ..waiting });
        }
    }

    /// The caller waits no longer; true when the sound may still play.
    pub(super) fn end_hold(&mut self) -> bool {
        match &mut self.stage {
            Stage::Talking(talking) => talking.waiting.take().is_some_and(|waiting| waiting.playing.is_some()),
            Stage::Seeking(_) | Stage::Finished(_) => false,
        }
    }
}
