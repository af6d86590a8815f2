//! What the caller is made to hear: prompt files and spoken texts, their deadlines, and what cuts them short.
//!
//! Texts are spoken elsewhere and may come late or never; sounds are played by the media path.

use std::sync::Arc;
use std::time::Duration;

use media::{PromptId, Sound};
use routing::{Language, PlayMode, Until};

use super::Command;
use super::call::{Call, Stage, millis};
use super::context::Context;
use crate::notice::What;
use crate::speech::Saying;

/// How a prompt is played.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) mode: PlayMode,
    pub(super) until: Until,
}

/// A prompt that is on its way to the caller.
#[derive(Debug)]
pub(super) struct Playing {
    /// The file, or what stands for a spoken text.
    name: String,
    how: How,
    decided: Duration,
    /// When it must have come to its next step.
    until: Duration,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The text is being spoken.
    Speaking,
    /// The media path has been asked to play it.
    Asked { length: Duration },
    /// Its first packet left at this time.
    Started { at: Duration },
}

impl Playing {
    /// The call ends under the prompt.
    pub(super) fn cut_short(self, call: &Call, context: &mut Context<'_>) {
        self.report_end(call, context, "the call ended first");
    }

    fn report_end(self, call: &Call, context: &mut Context<'_>, reason: &str) {
        let what = match self.progress {
            Progress::Started { .. } => What::PromptEnded { file: self.name, completed: false },
            Progress::Speaking | Progress::Asked { .. } => {
                What::PromptFailed { file: self.name, reason: reason.to_owned() }
            }
        };
        call.notice(context, what);
    }
}

impl Call {
    /// Plays a prompt file to the caller.
    pub(super) fn play(&mut self, context: &mut Context<'_>, file: &str, how: How) {
        let Some(sound) = context.shared.sounds.files.get(file).cloned() else {
            let reason = "no prompt of that name".to_owned();
            return self.notice(context, What::PromptFailed { file: file.to_owned(), reason });
        };
        if let Some(prompt) = self.begin_prompt(context, file.to_owned(), how) {
            self.play_sound(context, prompt, sound);
        }
    }

    /// Has a text spoken, to be played to the caller once it is there.
    pub(super) fn say(&mut self, context: &mut Context<'_>, text: &str, language: Language, how: How) {
        let Some(prompt) = self.begin_prompt(context, spoken_name(text), how) else { return };
        let filled = routing::fill(text, |name| {
            let header = self.passed.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            Some(header.value.chars().filter(|letter| !letter.is_control()).take(VALUE_CHARS_MAX).collect())
        });
        let saying = Saying { text: filled, language };
        context.out.push(Command::Speak { leg: self.caller.id, prompt, saying });
    }

    /// Takes up a prompt; `None` when there are too many.
    fn begin_prompt(&mut self, context: &mut Context<'_>, name: String, how: How) -> Option<PromptId> {
        if let Some(reason) = self.unheard() {
            self.notice(context, What::PromptFailed { file: name, reason: reason.to_owned() });
            return None;
        }
        let prompt = context.new_prompt();
        let Stage::Talking(talking) = &mut self.stage else { return None };
        if talking.playing.len() >= PLAYING_MAX {
            let reason = "too many prompts at once".to_owned();
            self.notice(context, What::PromptFailed { file: name, reason });
            return None;
        }
        let (decided, until) = (context.now, context.now + SPEAK_WAIT);
        talking.playing.insert(prompt, Playing { name, how, decided, until, progress: Progress::Speaking });
        Some(prompt)
    }

    /// Hands the sound of a prompt to the media path.
    fn play_sound(&mut self, context: &mut Context<'_>, prompt: PromptId, sound: Arc<Sound>) {
        let now = context.now;
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(playing) = talking.playing.get_mut(&prompt) else { return };
        let length = Duration::from_micros(sound.samples.len() as u64 * MICROS_PER_SAMPLE);
        playing.progress = Progress::Asked { length };
        playing.until = now + PLAY_START_WAIT;
        let mode = match playing.how.mode {
            PlayMode::Replace => media::PlayMode::Replace,
            PlayMode::Duck => media::PlayMode::Duck { attenuation_db: DUCK_DB },
        };
        let key_ends = playing.how.until.key;
        context.media(media::Command::Play { leg: self.caller.id, prompt, sound, mode, repeats: false, key_ends });
    }

    /// A text has been spoken, or could not be.
    pub(super) fn spoken(&mut self, context: &mut Context<'_>, prompt: PromptId, sound: Result<Arc<Sound>, String>) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        if talking.playing.get(&prompt).is_none_or(|playing| playing.progress != Progress::Speaking) {
            return;
        }
        match sound {
            Ok(sound) => self.play_sound(context, prompt, sound),
            Err(reason) => {
                if let Some(playing) = talking.playing.remove(&prompt) {
                    playing.report_end(self, context, &reason);
                }
                self.resume_hold(context);
            }
        }
    }

    /// Gives up on texts that are not spoken yet: the caller has somebody to talk to now.
    pub(super) fn drop_unspoken(&mut self, context: &mut Context<'_>) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let unspoken = |playing: &Playing| playing.progress == Progress::Speaking;
        let dropped: Vec<Playing> =
            talking.playing.extract_if(.., |_, playing| unspoken(playing)).map(|(_, playing)| playing).collect();
        for playing in dropped {
            playing.report_end(self, context, "somebody answered before it was spoken");
        }
    }

    /// A prompt's first packet has left.
    pub(super) fn play_started(&mut self, context: &mut Context<'_>, prompt: PromptId) {
        let now = context.now;
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(playing) = talking.playing.get_mut(&prompt) else { return };
        let Progress::Asked { length } = playing.progress else { return };
        playing.progress = Progress::Started { at: now };
        playing.until = now + length + PLAY_END_SLACK;
        let reaction_ms = millis(now.saturating_sub(playing.decided));
        let file = playing.name.clone();
        self.notice(context, What::PromptStarted { file, reaction_ms });
    }

    /// A prompt has ended.
    pub(super) fn play_ended(&mut self, context: &mut Context<'_>, prompt: PromptId, completed: bool) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(playing) = talking.playing.remove(&prompt) else { return self.hold_ended(prompt) };
        if completed {
            self.notice(context, What::PromptEnded { file: playing.name, completed });
        } else {
            playing.report_end(self, context, "cut short before it began");
        }
        self.resume_hold(context);
    }

    /// The caller has been speaking for `lasted`: a prompt that speech may end ends, if the caller began under it.
    ///
    /// Who was speaking when it began has not heard it yet, and does not answer to it.
    pub(super) fn spoke(&mut self, context: &mut Context<'_>, lasted: Duration) {
        let began = context.now.saturating_sub(lasted);
        self.interrupt(context, |playing| match playing.progress {
            Progress::Started { at } => playing.how.until.speech && began >= at,
            Progress::Speaking | Progress::Asked { .. } => false,
        });
    }

    /// The caller has pressed a key that the media path knows nothing of.
    pub(super) fn key_ends_prompt(&mut self, context: &mut Context<'_>) {
        self.interrupt(context, |playing| playing.how.until.key && playing.progress != Progress::Speaking);
    }

    /// Stops the prompt that plays, when it is of that kind.
    fn interrupt(&self, context: &mut Context<'_>, ends: impl Fn(&Playing) -> bool) {
        let Stage::Talking(talking) = &self.stage else { return };
        // The one that was handed over last is the one that plays.
        let mut played = talking.playing.values().rev().filter(|playing| playing.progress != Progress::Speaking);
        if played.next().is_some_and(ends) {
            context.media(media::Command::StopPlay { leg: self.caller.id });
        }
    }

    /// Gives up on prompts that have not begun or ended in time.
    pub(super) fn prompts_tick(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let Stage::Talking(talking) = &mut self.stage else { return };
        let late: Vec<Playing> =
            talking.playing.extract_if(.., |_, playing| now >= playing.until).map(|(_, p)| p).collect();
        for playing in late {
            let reason = match playing.progress {
                Progress::Speaking => "was not spoken in time",
                Progress::Asked { .. } => "did not begin in time",
                Progress::Started { .. } => "did not end in time",
            };
            self.notice(context, What::PromptFailed { file: playing.name, reason: reason.to_owned() });
        }
        self.resume_hold(context);
    }

    /// The deadlines of prompts.
    pub(super) fn prompts_deadlines(&self, out: &mut Vec<(Duration, &'static str)>) {
        if let Stage::Talking(talking) = &self.stage {
            out.extend(talking.playing.values().map(|playing| (playing.until, "prompt")));
        }
    }
}

/// What notices call a spoken text: as the policy has it, so that nothing of the call is in it.
pub(super) fn spoken_name(text: &str) -> String {
    format!("say: {text}")
}

/// How much quieter the other side is under a prompt in mode duck, dB.
const DUCK_DB: u8 = 12;
/// The most prompts whose end is awaited in one call.
const PLAYING_MAX: usize = 8;
/// How long it may take to speak a text; longer than the speaking side gives itself.
const SPEAK_WAIT: Duration = Duration::from_secs(8);
/// How long the first packet of a prompt may take.
const PLAY_START_WAIT: Duration = Duration::from_secs(2);
/// How much longer than its sound a prompt may take.
const PLAY_END_SLACK: Duration = Duration::from_secs(5);
/// One sample at 8 kHz.
const MICROS_PER_SAMPLE: u64 = 125;
/// How much of a header's value is spoken, characters.
const VALUE_CHARS_MAX: usize = 100;
