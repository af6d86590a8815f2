//! The tone by which the parties of a call are told that somebody takes part in it, where its route has one.
//!
//! It is played aside: no recording and no analysis hears it unless the route says so. A prompt goes before it.

use std::sync::Arc;
use std::time::Duration;

use media::tone::Pattern;
use media::{LegId, PlayMode, Sound};

use super::ControlSettings;
use super::call::{Call, Stage, Talking};
use super::context::Context;
use super::order::SupervisorMode;
use crate::settings::{Hearer, IndicatorSettings, Presence};

/// What a call has to do about it.
#[derive(Debug, Default)]
pub(super) struct Indicator {
    /// Nothing where the route has none.
    settings: Option<IndicatorSettings>,
    /// Kept to the end of the call, so that the media path frees nothing.
    sound: Option<Arc<Sound>>,
    /// Those who are to hear it, while somebody takes part.
    told: Vec<Told>,
}

/// A party while somebody takes part.
#[derive(Debug)]
struct Told {
    hearer: Hearer,
    /// Who has heard it there.
    leg: Option<LegId>,
    /// When it is due next.
    due: Option<Duration>,
}

impl Indicator {
    /// The deadlines of tones.
    pub(super) fn deadlines(&self, out: &mut Vec<(Duration, &'static str)>) {
        out.extend(self.told.iter().filter_map(|told| Some((told.due?, "supervision tone"))));
    }
}

impl Call {
    /// Plays what is due while somebody takes part. Comes after everything that happened to the call.
    pub(super) fn indicate(&mut self, context: &mut Context<'_>) {
        let Some(settings) = &self.indicator.settings else { return };
        let is_on = match &self.stage {
            Stage::Talking(talking) => talking.is_attended(&settings.presences),
            Stage::Seeking(_) | Stage::Finished(_) => false,
        };
        let now = context.now;
        if is_on == self.indicator.told.is_empty() {
            let hearers = settings.hearers.iter().filter(|_| is_on);
            self.indicator.told = hearers.map(|hearer| Told { hearer: *hearer, leg: None, due: Some(now) }).collect();
        }
        for mut told in std::mem::take(&mut self.indicator.told) {
            self.indicate_to(context, &mut told);
            self.indicator.told.push(told);
        }
    }

    /// Plays it to a party, if it is due: at once to whoever has not heard it yet.
    fn indicate_to(&mut self, context: &mut Context<'_>, told: &mut Told) {
        let leg = match told.hearer {
            Hearer::Caller => Some(self.caller.id),
            Hearer::Callee => self.far.as_ref().map(|far| far.id),
        };
        let is_new = leg.is_some() && leg != told.leg;
        if !is_new && told.due.is_none_or(|due| due > context.now) {
            return;
        }
        let Some(settings) = &self.indicator.settings else { return };
        let Some(leg) = leg.filter(|leg| !self.is_occupied(*leg)) else {
            return told.due = Some(context.now + TRY_AGAIN);
        };
        let mode = if settings.in_copies { PlayMode::Duck { attenuation_db: 0 } } else { PlayMode::Aside };
        (told.leg, told.due) = (Some(leg), settings.every.map(|every| context.now + every));
        let sound = self.indicator.sound.get_or_insert_with(|| Arc::new(Pattern::beep().render()));
        let (prompt, sound) = (context.new_prompt(), Arc::clone(sound));
        context.media(media::Command::Play { leg, prompt, sound, mode, repeats: false, key_ends: false });
    }

    /// Whether a leg hears something else of ours, or nothing of ours at all.
    fn is_occupied(&self, leg: LegId) -> bool {
        let waits = matches!(&self.stage, Stage::Talking(talking) if talking.waiting.is_some());
        self.is_played_to(leg) || waits && leg == self.caller.id || self.check_audio_here().is_err()
    }
}

impl Talking {
    /// Whether anybody takes part in one of these ways.
    fn is_attended(&self, presences: &[Presence]) -> bool {
        let is_told = |mode| {
            let presence = match mode {
                SupervisorMode::Listen => Presence::Listen,
                SupervisorMode::Whisper(_) => Presence::Whisper,
                SupervisorMode::Barge => Presence::Barge,
            };
            presences.contains(&presence)
        };
        self.supervisors.modes().any(is_told) || presences.contains(&Presence::Copy) && !self.audio.is_empty()
    }
}

impl ControlSettings {
    /// What calls of a route have to do about it.
    pub(super) fn indicator_on(&self, route: &str) -> Indicator {
        let settings = self.routes.named(route).and_then(|route| route.indicator.clone());
        Indicator { settings, ..Indicator::default() }
    }
}

/// When it is looked again whether a party that hears something else can hear it.
const TRY_AGAIN: Duration = Duration::from_secs(1);
