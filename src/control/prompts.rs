//! What the parties are made to hear: prompt files and spoken texts, their deadlines, and what cuts them short.
//!
//! Texts are spoken elsewhere and may come late or never; sounds are played by the media path.

use std::sync::Arc;
use std::time::Duration;

use media::{LegId, PromptId, Sound};
use routing::{Language, PlayMode, Until, Whisper};

use super::Command;
use super::call::{Call, Stage, millis};
use super::context::Context;
use super::order::{Denied, DeniedKind, Done, Party, PlayedSound};
use crate::notice::What;
use crate::speech::Saying;

/// How a prompt is played.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) party: Party,
    pub(super) mode: PlayMode,
    pub(super) until: Until,
}

/// A prompt that is on its way to a party.
#[derive(Debug)]
pub(super) struct Playing {
    /// The file, or what stands for a spoken text.
    name: String,
    prompt: PromptId,
    /// The party's leg when it was begun.
    leg: LegId,
    how: How,
    decided: Duration,
    /// When it must have come to its next step.
    until: Duration,
    progress: Progress,
    /// Kept until it has ended, so that the media path frees nothing.
    sound: Option<Arc<Sound>>,
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
        match self.progress {
            Progress::Started { .. } => self.report_ended(call, context, false),
            Progress::Speaking | Progress::Asked { .. } => self.report_failed(call, context, reason),
        }
    }

    fn report_ended(self, call: &Call, context: &mut Context<'_>, completed: bool) {
        let party = self.how.party.as_str().to_owned();
        call.notice(context, What::PromptEnded { file: self.name, party, prompt: self.prompt.0, completed });
    }

    fn report_failed(self, call: &Call, context: &mut Context<'_>, reason: &str) {
        let (party, reason) = (self.how.party.as_str().to_owned(), reason.to_owned());
        call.notice(context, What::PromptFailed { file: self.name, party, prompt: self.prompt.0, reason });
    }
}

impl Call {
    /// Plays a prompt file to a party; nothing, with a notice, when that cannot be.
    pub(super) fn play(&mut self, context: &mut Context<'_>, file: &str, how: How) -> Option<PromptId> {
        let sound = context.terms.sounds.files.get(file).cloned();
        let begun = self.begin_prompt(context, file.to_owned(), how);
        match (begun?, sound) {
            (prompt, Some(sound)) => {
                self.play_sound(context, prompt, sound);
                Some(prompt)
            }
            (prompt, None) => {
                self.fail_prompt(context, prompt, "no prompt of that name");
                None
            }
        }
    }

    /// Has a text spoken, to be played to a party once it is there.
    pub(super) fn say(&mut self, context: &mut Context<'_>, text: &str, language: Language, how: How) {
        if let Some(prompt) = self.begin_prompt(context, spoken_name(text), how) {
            self.speak(context, prompt, text, language);
        }
    }

    /// Only the far side hears something; the caller is heard under it.
    pub(super) fn whisper(&mut self, context: &mut Context<'_>, whisper: &Whisper) {
        let how = How { party: Party::Callee, mode: PlayMode::Duck, until: Until::default() };
        match whisper {
            Whisper::File(file) => {
                self.play(context, file, how);
            }
            Whisper::Say { text, language } => self.say(context, text, *language, how),
        }
    }

    /// Plays or says what an operator wants a party to hear.
    pub(super) fn play_by_order(
        &mut self,
        context: &mut Context<'_>,
        sound: PlayedSound,
        how: How,
    ) -> Result<Done, Denied> {
        let name = match &sound {
            PlayedSound::Ready { name, .. } => name.clone(),
            PlayedSound::Text { text, .. } => spoken_name(text),
        };
        let prompt = self.take_up(context, name, how)?;
        match sound {
            PlayedSound::Ready { sound, .. } => self.play_sound(context, prompt, sound),
            PlayedSound::Text { text, language } => self.speak(context, prompt, &text, language),
        }
        Ok(Done::Prompt(prompt.0))
    }

    /// Ends a prompt that plays, or is still to play.
    pub(super) fn stop_by_order(&mut self, context: &mut Context<'_>, prompt: PromptId) -> Result<(), Denied> {
        let unknown = || Denied::new(DeniedKind::Unknown, "no such prompt plays in this call");
        let Stage::Talking(talking) = &self.stage else { return Err(Denied::not_connected()) };
        let playing = talking.playing.get(&prompt).ok_or_else(unknown)?;
        let leg = playing.leg;
        if playing.progress == Progress::Speaking {
            self.fail_prompt(context, prompt, "ended by an operator");
        } else if self.is_connected(leg) && self.plays_now(leg).is_some_and(|playing| playing.prompt == prompt) {
            context.media(media::Command::StopPlay { leg });
        }
        Ok(())
    }

    /// Whether a leg is one of the two that talk: whoever was to hear a prompt may have been replaced.
    fn is_connected(&self, leg: LegId) -> bool {
        self.caller.id == leg || self.far.as_ref().is_some_and(|far| far.id == leg)
    }

    /// Whether anything plays to a leg, or is on its way to it.
    pub(super) fn is_played_to(&self, leg: LegId) -> bool {
        match &self.stage {
            Stage::Talking(talking) => talking.playing.values().any(|playing| playing.leg == leg),
            Stage::Seeking(_) | Stage::Finished(_) => false,
        }
    }

    /// The prompt that was handed over last is the one that plays.
    fn plays_now(&self, leg: LegId) -> Option<&Playing> {
        let Stage::Talking(talking) = &self.stage else { return None };
        let handed_over = |playing: &&Playing| playing.leg == leg && playing.progress != Progress::Speaking;
        talking.playing.values().rev().find(handed_over)
    }

    /// Takes up a prompt; `None`, with a notice, when it cannot be played.
    fn begin_prompt(&mut self, context: &mut Context<'_>, name: String, how: How) -> Option<PromptId> {
        match self.take_up(context, name.clone(), how) {
            Ok(prompt) => Some(prompt),
            Err(denied) => {
                let (party, prompt) = (how.party.as_str().to_owned(), context.new_prompt().0);
                self.notice(context, What::PromptFailed { file: name, party, prompt, reason: denied.reason });
                None
            }
        }
    }

    /// Takes up a prompt, whose sound is still to come.
    fn take_up(&mut self, context: &mut Context<'_>, name: String, how: How) -> Result<PromptId, Denied> {
        self.check_audio_here()?;
        let leg = match how.party {
            Party::Caller => Some(self.caller.id),
            Party::Callee => self.far.as_ref().map(|far| far.id),
        };
        let unheard = self.unheard(how.party);
        let Stage::Talking(talking) = &mut self.stage else { return Err(Denied::not_connected()) };
        let leg = leg.ok_or_else(|| Denied::new(DeniedKind::Conflict, "nobody is on that side of the call"))?;
        if let Some(reason) = unheard {
            return Err(Denied::new(DeniedKind::Conflict, reason));
        }
        if talking.playing.len() >= PLAYING_MAX {
            return Err(Denied::new(DeniedKind::Full, "too many prompts at once"));
        }
        let prompt = context.new_prompt();
        let (decided, until) = (context.now, context.now + SPEAK_WAIT);
        let progress = Progress::Speaking;
        talking.playing.insert(prompt, Playing { name, prompt, leg, how, decided, until, progress, sound: None });
        Ok(prompt)
    }

    /// Asks for a text to be spoken.
    fn speak(&self, context: &mut Context<'_>, prompt: PromptId, text: &str, language: Language) {
        let Stage::Talking(talking) = &self.stage else { return };
        let Some(leg) = talking.playing.get(&prompt).map(|playing| playing.leg) else { return };
        let text = self.filled(text);
        context.out.push(Command::Speak { leg, prompt, saying: Saying { text, language } });
    }

    /// A text of a policy with the headers of the INVITE, or the details of a chat, in their places.
    pub(super) fn filled(&self, text: &str) -> String {
        routing::fill(text, |name| {
            let header = self.passed.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            Some(header.value.chars().filter(|letter| !letter.is_control()).take(VALUE_CHARS_MAX).collect())
        })
    }

    /// A prompt comes to nothing.
    fn fail_prompt(&mut self, context: &mut Context<'_>, prompt: PromptId, reason: &str) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        if let Some(playing) = talking.playing.remove(&prompt) {
            playing.report_failed(self, context, reason);
        }
        self.resume_hold(context);
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
        let (leg, key_ends) = (playing.leg, playing.how.until.key);
        playing.sound = Some(Arc::clone(&sound));
        context.media(media::Command::Play { leg, prompt, sound, mode, repeats: false, key_ends });
    }

    /// A text has been spoken, or could not be.
    pub(super) fn spoken(&mut self, context: &mut Context<'_>, prompt: PromptId, sound: Result<Arc<Sound>, String>) {
        let Stage::Talking(talking) = &self.stage else { return };
        let Some(playing) = talking.playing.get(&prompt).filter(|each| each.progress == Progress::Speaking) else {
            return;
        };
        let is_there = self.is_connected(playing.leg);
        match sound {
            Ok(sound) if is_there => self.play_sound(context, prompt, sound),
            Ok(_) => self.fail_prompt(context, prompt, "whoever was to hear it has left the call"),
            Err(reason) => self.fail_prompt(context, prompt, &reason),
        }
    }

    /// Gives up on texts that are not spoken yet: the caller has somebody to talk to now.
    pub(super) fn drop_unspoken(&mut self, context: &mut Context<'_>) {
        let caller = self.caller.id;
        let Stage::Talking(talking) = &mut self.stage else { return };
        let unspoken = |playing: &Playing| playing.leg == caller && playing.progress == Progress::Speaking;
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
        let (file, party) = (playing.name.clone(), playing.how.party.as_str().to_owned());
        self.notice(context, What::PromptStarted { file, party, prompt: prompt.0, reaction_ms });
    }

    /// A prompt has ended.
    pub(super) fn play_ended(&mut self, context: &mut Context<'_>, prompt: PromptId, completed: bool) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(playing) = talking.playing.remove(&prompt) else { return self.hold_ended(prompt) };
        if completed {
            playing.report_ended(self, context, completed);
        } else {
            playing.report_end(self, context, "cut short before it began");
        }
        self.consent_announced(context, prompt, completed);
        self.resume_hold(context);
    }

    /// A party has been speaking for `lasted`: a prompt that speech may end ends, if the party began under it.
    ///
    /// Who was speaking when it began has not heard it yet, and does not answer to it.
    pub(super) fn spoke(&mut self, context: &mut Context<'_>, leg: LegId, lasted: Duration) {
        let began = context.now.saturating_sub(lasted);
        self.interrupt(context, leg, |playing| match playing.progress {
            Progress::Started { at } => playing.how.until.speech && began >= at,
            Progress::Speaking | Progress::Asked { .. } => false,
        });
    }

    /// A party has pressed a key that the media path knows nothing of.
    pub(super) fn key_ends_prompt(&mut self, context: &mut Context<'_>, leg: LegId) {
        self.interrupt(context, leg, |playing| playing.how.until.key && playing.progress != Progress::Speaking);
    }

    /// Stops the prompt that plays to a party, when it is of that kind.
    fn interrupt(&self, context: &mut Context<'_>, leg: LegId, ends: impl Fn(&Playing) -> bool) {
        if self.plays_now(leg).is_some_and(ends) {
            context.media(media::Command::StopPlay { leg });
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
            playing.report_failed(self, context, reason);
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
