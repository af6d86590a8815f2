//! From observations to actions: what is heard goes to the policy engine, what it decides is carried out in order.
//!
//! Every action has a deadline, and a failure of one never stops the next.

use std::collections::VecDeque;
use std::time::Duration;

use media::PromptId;
use routing::{Action, Decision};

use super::call::{Call, Stage, millis};
use super::context::Context;
use super::reroute::Reroute;
use crate::notice::What;
use crate::words;

/// A prompt that the media path has been asked to play.
#[derive(Debug)]
pub(super) struct Playing {
    file: String,
    decided: Duration,
    length: Duration,
    /// When it must have begun, or, once it has, when it must have ended.
    until: Duration,
    started: bool,
}

impl Playing {
    /// The call ends under the prompt.
    pub(super) fn cut_short(self, call: &Call, context: &mut Context<'_>) {
        if self.started {
            call.notice(context, What::PromptEnded { file: self.file, completed: false });
        } else {
            call.notice(context, What::PromptFailed { file: self.file, reason: "the call ended first".to_owned() });
        }
    }
}

impl Call {
    /// A step of a party's emotion timeline.
    pub(super) fn heard(&mut self, context: &mut Context<'_>, observation: &nlu::Observation) {
        if !matches!(self.stage, Stage::Talking(_)) {
            return;
        }
        let by_caller = observation.party.0 == self.caller.id.0;
        let by_far = self.far.as_ref().is_some_and(|far| far.id.0 == observation.party.0);
        if !by_caller && !by_far {
            return;
        }
        self.notice(context, observed(observation, if by_caller { "caller" } else { "callee" }));
        if !by_caller {
            return;
        }

        self.tally.peak_anger = self.tally.peak_anger.max(observation.anger);
        self.tally.peak_level = self.tally.peak_level.max(observation.level);
        let event = routing::Event::Emotion {
            emotion: routing_emotion(observation.emotion),
            level: routing_level(observation.level),
            score: observation.anger,
            trend_per_s: observation.trend_per_s,
        };
        self.judge(context, &event);
    }

    /// Tells the policy engine, and carries out what it decides.
    pub(super) fn judge(&mut self, context: &mut Context<'_>, event: &routing::Event) {
        let decisions = context.judge(self.key, event);
        self.carry_out(context, decisions);
    }

    /// Carries out decisions in order; what fails at once is told to the engine, which may decide again.
    pub(super) fn carry_out(&mut self, context: &mut Context<'_>, decisions: Vec<Decision>) {
        let mut waiting = VecDeque::from(decisions);
        // A policy whose fallbacks fail and fall back again must come to an end.
        for _ in 0..DECISIONS_MAX {
            let Some(decision) = waiting.pop_front() else { return };
            if !matches!(self.stage, Stage::Talking(_)) {
                return;
            }
            self.notice(context, decided(&decision));
            for action in &decision.actions {
                if let Some(failure) = self.act(context, &decision, action) {
                    waiting.extend(context.judge(self.key, &routing::Event::RerouteFailed { reason: failure }));
                }
            }
        }
    }

    /// Does one thing; the reason when it is a re-route that could not begin.
    fn act(&mut self, context: &mut Context<'_>, decision: &Decision, action: &Action) -> Option<String> {
        match action {
            Action::Prompt { file, mode } => {
                self.play(context, file, *mode);
                None
            }
            Action::Alert { severity, text } => {
                let (severity, text) = (severity.as_str().to_owned(), text.clone());
                self.notice(context, What::Alert { severity, text, rule: decision.rule.clone() });
                None
            }
            Action::Reroute { via, target } => {
                let in_flight = match &self.stage {
                    Stage::Talking(talking) => talking.reroute.as_ref().is_some_and(Reroute::is_pending),
                    Stage::Seeking(_) | Stage::Finished(_) => true,
                };
                // The one in flight goes on; its own outcome is what the engine will hear.
                let begun = if in_flight {
                    Err("another re-route is under way".to_owned())
                } else {
                    self.begin_reroute(context, *via, target, &decision.rule, &decision.because)
                };
                let reason = begun.err()?;
                let (via, target) = (via.as_str().to_owned(), target.clone());
                self.notice(context, What::RerouteFailed { via, target, reason: reason.clone() });
                (!in_flight).then_some(reason)
            }
        }
    }

    fn play(&mut self, context: &mut Context<'_>, file: &str, mode: routing::PlayMode) {
        let now = context.now;
        let failure = |reason: &str| What::PromptFailed { file: file.to_owned(), reason: reason.to_owned() };
        let Some(sound) = context.shared.prompts.get(file).cloned() else {
            return self.notice(context, failure("no prompt of that name"));
        };
        let Stage::Talking(talking) = &mut self.stage else { return };
        if talking.playing.len() >= PLAYING_MAX {
            return self.notice(context, failure("too many prompts at once"));
        }

        let prompt = context.new_prompt();
        let length = Duration::from_micros(sound.samples.len() as u64 * MICROS_PER_SAMPLE);
        let until = now + PLAY_START_WAIT;
        talking.playing.insert(prompt, Playing { file: file.to_owned(), decided: now, length, until, started: false });
        let mode = match mode {
            routing::PlayMode::Replace => media::PlayMode::Replace,
            routing::PlayMode::Duck => media::PlayMode::Duck { attenuation_db: DUCK_DB },
        };
        context.media(media::Command::Play {
            leg: self.caller.id,
            prompt,
            sound,
            mode,
            repeats: false,
            key_ends: false,
        });
    }

    /// A prompt's first packet has left.
    pub(super) fn play_started(&mut self, context: &mut Context<'_>, prompt: PromptId) {
        let now = context.now;
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(playing) = talking.playing.get_mut(&prompt).filter(|playing| !playing.started) else { return };
        playing.started = true;
        playing.until = now + playing.length + PLAY_END_SLACK;
        let reaction_ms = millis(now.saturating_sub(playing.decided));
        let file = playing.file.clone();
        self.notice(context, What::PromptStarted { file, reaction_ms });
    }

    /// A prompt has ended.
    pub(super) fn play_ended(&mut self, context: &mut Context<'_>, prompt: PromptId, completed: bool) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(playing) = talking.playing.remove(&prompt) else { return };
        if playing.started || completed {
            self.notice(context, What::PromptEnded { file: playing.file, completed });
        } else {
            let reason = "cut short before it began".to_owned();
            self.notice(context, What::PromptFailed { file: playing.file, reason });
        }
    }

    /// Gives up on prompts that have not begun or ended in time.
    pub(super) fn prompts_tick(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let Stage::Talking(talking) = &mut self.stage else { return };
        let late: Vec<Playing> =
            talking.playing.extract_if(.., |_, playing| now >= playing.until).map(|(_, p)| p).collect();
        for playing in late {
            let reason = if playing.started { "did not end in time" } else { "did not begin in time" };
            self.notice(context, What::PromptFailed { file: playing.file, reason: reason.to_owned() });
        }
    }

    /// The deadlines of prompts.
    pub(super) fn prompts_deadlines(&self, out: &mut Vec<(Duration, &'static str)>) {
        if let Stage::Talking(talking) = &self.stage {
            out.extend(talking.playing.values().map(|playing| (playing.until, "prompt")));
        }
    }
}

fn observed(observation: &nlu::Observation, party: &str) -> What {
    let evidence = observation.evidence;
    What::Observed {
        party: party.to_owned(),
        audio_ms: observation.position / SAMPLES_PER_MS,
        emotion: words::emotion(observation.emotion).to_owned(),
        level: words::level(observation.level).to_owned(),
        anger: observation.anger,
        trend_per_s: observation.trend_per_s,
        pitch_hz: evidence.pitch_hz,
        pitch_z: evidence.pitch_z,
        level_dbov: evidence.level_dbov,
        level_z: evidence.level_z,
        syllables_per_s: evidence.syllables_per_s,
        rate_z: evidence.rate_z,
        source: words::source(observation.source).to_owned(),
    }
}

fn decided(decision: &Decision) -> What {
    let because = &decision.because;
    let in_words = |action: &Action| match action {
        Action::Prompt { file, .. } => format!("prompt {file}"),
        Action::Reroute { via, target } => format!("reroute {} {target}", via.as_str()),
        Action::Alert { severity, .. } => format!("alert {}", severity.as_str()),
    };
    What::Decided {
        rule: decision.rule.clone(),
        policy: decision.policy.clone(),
        emotion: because.emotion.as_str().to_owned(),
        level: because.level.as_str().to_owned(),
        score: because.score,
        lasted_ms: millis(because.lasted),
        failure: because.failure.clone(),
        actions: decision.actions.iter().map(in_words).collect(),
    }
}

fn routing_emotion(emotion: nlu::Emotion) -> routing::Emotion {
    match emotion {
        nlu::Emotion::Neutral => routing::Emotion::Neutral,
        nlu::Emotion::Anger => routing::Emotion::Anger,
        nlu::Emotion::Joy => routing::Emotion::Joy,
        nlu::Emotion::Sadness => routing::Emotion::Sadness,
    }
}

fn routing_level(level: nlu::Level) -> routing::Level {
    match level {
        nlu::Level::Low => routing::Level::Low,
        nlu::Level::Medium => routing::Level::Medium,
        nlu::Level::High => routing::Level::High,
    }
}

/// How much quieter the other side is under a prompt in mode duck, dB.
const DUCK_DB: u8 = 12;
/// The most decisions that follow from one event.
const DECISIONS_MAX: usize = 16;
/// The most prompts whose end is awaited in one call.
const PLAYING_MAX: usize = 8;
/// How long the first packet of a prompt may take.
const PLAY_START_WAIT: Duration = Duration::from_secs(2);
/// How much longer than its sound a prompt may take.
const PLAY_END_SLACK: Duration = Duration::from_secs(5);
/// One sample at 8 kHz.
const MICROS_PER_SAMPLE: u64 = 125;
/// Samples per millisecond at 8 kHz.
const SAMPLES_PER_MS: u64 = 8;
