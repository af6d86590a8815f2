//! Early warning: whether a call is likely to escalate before it does, and whether a whole queue turns sour.
//!
//! `Watch` follows one call through the events that policies get; `site` compares calls with those before. Both say what
//! speaks for what they say. Escalation is the first high level of anger: from then on there is nothing to warn of.
//!
//! Callers differ: one grumbles from the first word to the last and means no harm, another one never raises the voice. So a
//! caller is compared with what was usual for this very one before, and nothing is said until that is known.

mod past;
mod signs;
pub mod site;

use std::time::Duration;

use self::past::Past;
use crate::{Emotion, Event, Level};

/// The likelihood from which on a call is warned of, unless its policy says otherwise.
pub const WARN_AT: f32 = 0.8;
/// The likelihood must hold for this long.
pub const HOLDS: Duration = Duration::from_secs(5);
/// After a warning there is none for this long, and none before the likelihood has fallen to half of what warned.
pub const RESTS: Duration = Duration::from_secs(120);

/// A call is likely to escalate.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    /// How likely, 0-1: a logistic function of the weighted signs.
    pub score: f32,
    /// What speaks for it, in words, the strongest first.
    pub evidence: Vec<String>,
}

impl Warning {
    /// The same as the policy engine is told it.
    pub fn event(&self) -> Event {
        Event::Warned { score: self.score, evidence: self.evidence.clone() }
    }
}

/// Watches one call.
#[derive(Debug)]
pub struct Watch {
    warn_at: f32,
    past: Past,
    likely_since: Option<Duration>,
    warned: Option<Duration>,
    /// The likelihood has fallen since the last warning.
    is_armed: bool,
    has_escalated: bool,
}

impl Watch {
    /// Watches a call; it warns from a likelihood of `warn_at` on, 0-1.
    pub fn new(warn_at: f32) -> Watch {
        Watch { warn_at, past: Past::new(), likely_since: None, warned: None, is_armed: true, has_escalated: false }
    }

    /// Takes in what happened to the call at `now`, which never runs backwards; a warning, when one is due.
    pub fn take(&mut self, now: Duration, event: &Event) -> Option<Warning> {
        match event {
            Event::Emotion { emotion, level, score, .. } => return self.hear(now, *emotion, *level, *score),
            Event::OtherSpoke => self.past.hear_other(now),
            Event::Interrupted { times } => self.past.interrupt(now, *times),
            Event::Said { intent } => self.past.say(now, intent),
            _ => {}
        }
        None
    }

    fn hear(&mut self, now: Duration, emotion: Emotion, level: Level, score: f32) -> Option<Warning> {
        let score = if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 };
        self.has_escalated |= level == Level::High;
        self.past.hear(now, emotion, level, score);

        let signs = if self.has_escalated { None } else { self.past.signs() };
        let likelihood = signs.map_or(0.0, |signs| signs.likelihood());
        if likelihood < self.warn_at / 2.0 {
            self.is_armed = true;
        }
        if likelihood < self.warn_at {
            self.likely_since = None;
            return None;
        }
        let since = *self.likely_since.get_or_insert(now);
        let has_rested = self.warned.is_none_or(|warned| now.saturating_sub(warned) >= RESTS);
        if now.saturating_sub(since) < HOLDS || !has_rested || !self.is_armed {
            return None;
        }
        (self.warned, self.is_armed) = (Some(now), false);
        signs.map(|signs| Warning { score: likelihood, evidence: signs.evidence() })
    }
}

#[cfg(test)]
mod tests;
