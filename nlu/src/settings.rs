//! What an operator may set about listening, with defaults tuned on speakers the model had not heard.
//!
//! Read and written by the settings of the program; this crate does not parse them.

use crate::observation::Level;

/// How judgements become levels, and the bounds on memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListenerSettings {
    /// Time constant of rising anger, seconds.
    pub rise_s: f32,
    /// Time constant of falling anger, seconds.
    pub fall_s: f32,
    /// Smoothed anger from which the level is medium, 0-1.
    pub medium_enter: f32,
    /// Smoothed anger below which medium is left.
    pub medium_leave: f32,
    /// Smoothed anger from which the level is high, 0-1.
    pub high_enter: f32,
    /// Smoothed anger below which high is left.
    pub high_leave: f32,
    /// Speech for which anger must stay below the leaving threshold before the level falls, seconds.
    pub hold_s: f32,
    /// Unprocessed samples kept per party; beyond that the oldest are dropped and counted.
    pub pending_samples_max: usize,
    /// Windows judged in one run of the model.
    pub batch_max: usize,
    /// Parties whose sound is listened to, where the model does that; those who come when there are so many are judged by their numbers.
    pub sound_parties_max: usize,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            rise_s: 0.8,
            fall_s: 2.5,
            medium_enter: 0.40,
            medium_leave: 0.28,
            high_enter: 0.70,
            high_leave: 0.55,
            hold_s: 1.0,
            pending_samples_max: 40_000,
            batch_max: 64,
            sound_parties_max: 100,
        }
    }
}

impl ListenerSettings {
    /// The level that `anger` reaches from below.
    pub fn entered(&self, anger: f32) -> Level {
        level(anger, self.medium_enter, self.high_enter)
    }

    /// The level that `anger` is enough to stay at.
    pub fn held(&self, anger: f32) -> Level {
        level(anger, self.medium_leave, self.high_leave)
    }
}

fn level(anger: f32, medium: f32, high: f32) -> Level {
    if anger >= high {
        Level::High
    } else if anger >= medium {
        Level::Medium
    } else {
        Level::Low
    }
}
