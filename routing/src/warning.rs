//! Early warning: whether a call is likely to escalate before it does, and whether a whole queue turns sour.
//!
//! `Watch` follows one call through the events that policies get; `site` compares calls with those before. Both say what
//! speaks for what they say. Escalation is the first high level of anger: from then on there is nothing to warn of.

pub mod site;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::decision::THANKS;
use crate::{Emotion, Event, Level};

/// The likelihood from which on a call is warned of, unless its policy says otherwise.
pub const WARN_AT: f32 = 0.5;
/// The likelihood must hold for this long.
pub const HOLDS: Duration = Duration::from_secs(5);
/// After a warning there is none for this long, and none before the likelihood has fallen to half of what warned.
pub const RESTS: Duration = Duration::from_secs(120);

/// The length of one bin of the past.
const BIN: Duration = Duration::from_secs(10);
/// Bins that count as the present: a minute.
const RECENT: usize = 6;
/// Bins that are remembered: five minutes.
const BINS_MAX: usize = 30;
/// Bins with speech without which nothing is said of a call.
const BINS_LEAST: usize = 3;
/// A score of anger from which on an observation counts as negative.
const NEGATIVE_SCORE: f32 = 0.35;
/// A pause from which on it counts as silence.
const SILENCE: Duration = Duration::from_secs(8);
/// Different intents that are counted.
const INTENTS_MAX: usize = 64;

/// A call is likely to escalate.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    /// How likely, 0-1, by the weights of this file.
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

/// What is remembered of one call.
#[derive(Debug)]
pub struct Watch {
    warn_at: f32,
    bins: VecDeque<Bin>,
    /// When the first remembered bin begins.
    origin: Duration,
    said: BTreeMap<String, u32>,
    interruptions: u32,
    heard_last: Option<Duration>,
    likely_since: Option<Duration>,
    warned: Option<Duration>,
    /// The likelihood has fallen since the last warning.
    is_armed: bool,
    has_escalated: bool,
}

/// What happened in ten seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    observations: u32,
    negative: u32,
    score_sum: f32,
    repeats: u32,
    interruptions: u32,
    silences: u32,
}

/// The signs of an escalation, each as it enters the likelihood.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Signs {
    /// Negative observations of the last minute, 0-1.
    share: f32,
    /// The same of the time before, as far as it is remembered.
    share_before: f32,
    /// The rise of the score over what is remembered, per minute.
    slope_per_min: f32,
    repeats: u32,
    interruptions: u32,
    silences: u32,
}

impl Watch {
    /// Watches a call; it warns from a likelihood of `warn_at` on, 0-1.
    pub fn new(warn_at: f32) -> Watch {
        Watch {
            warn_at,
            bins: VecDeque::with_capacity(BINS_MAX),
            origin: Duration::ZERO,
            said: BTreeMap::new(),
            interruptions: 0,
            heard_last: None,
            likely_since: None,
            warned: None,
            is_armed: true,
            has_escalated: false,
        }
    }

    /// Takes in what happened to the call at `now`, which never runs backwards; a warning, when one is due.
    pub fn take(&mut self, now: Duration, event: &Event) -> Option<Warning> {
        match event {
            Event::Emotion { emotion, level, score, .. } => return self.hear(now, *emotion, *level, *score),
            Event::OtherSpoke => self.heard_last = Some(now),
            Event::Interrupted { times } => {
                // Counting starts anew with another callee.
                let fresh = if *times > self.interruptions { times - self.interruptions } else { 1 };
                self.interruptions = *times;
                self.bin(now).interruptions += fresh;
            }
            Event::Said { intent } if intent != THANKS => {
                let known = self.said.len();
                let times = match self.said.get_mut(intent) {
                    Some(times) => times,
                    None if known < INTENTS_MAX => self.said.entry(intent.clone()).or_default(),
                    None => return None,
                };
                *times += 1;
                let again = u32::from(*times > 1);
                self.bin(now).repeats += again;
            }
            _ => {}
        }
        None
    }

    fn hear(&mut self, now: Duration, emotion: Emotion, level: Level, score: f32) -> Option<Warning> {
        let score = if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 };
        let pause = self.heard_last.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        self.heard_last = Some(now);
        self.has_escalated |= level == Level::High;
        let negative =
            matches!(emotion, Emotion::Anger | Emotion::Sadness) || level > Level::Low || score >= NEGATIVE_SCORE;
        let bin = self.bin(now);
        bin.observations += 1;
        bin.negative += u32::from(negative);
        bin.score_sum += score;
        bin.silences += u32::from(pause >= SILENCE);

        let signs = self.signs().filter(|_| !self.has_escalated);
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

    /// The bin of `now`; old ones are forgotten.
    fn bin(&mut self, now: Duration) -> &mut Bin {
        if self.bins.is_empty() {
            self.origin = now;
            self.bins.push_back(Bin::default());
        }
        let place = (now.saturating_sub(self.origin).as_secs() / BIN.as_secs()) as usize;
        // After a long pause nothing of the past is left to be moved out one by one.
        let missing = (place + 1).saturating_sub(self.bins.len());
        let forgotten = (self.bins.len() + missing).saturating_sub(BINS_MAX);
        if forgotten >= self.bins.len() + BINS_MAX {
            self.bins.clear();
            self.origin = now;
            self.bins.push_back(Bin::default());
        } else {
            self.bins.extend(std::iter::repeat_n(Bin::default(), missing));
            self.bins.drain(..forgotten);
            self.origin += BIN * forgotten as u32;
        }
        let last = self.bins.len() - 1;
        let place = (now.saturating_sub(self.origin).as_secs() / BIN.as_secs()) as usize;
        &mut self.bins[place.min(last)]
    }

    /// What speaks for an escalation; nothing while too little was heard.
    fn signs(&self) -> Option<Signs> {
        let spoken = self.bins.iter().filter(|bin| bin.observations > 0).count();
        if spoken < BINS_LEAST {
            return None;
        }
        let from = self.bins.len().saturating_sub(RECENT);
        let (before, recent) = (self.bins.range(..from), self.bins.range(from..));
        let share = share_of(recent)?;
        let sum = |count: fn(&Bin) -> u32| self.bins.iter().map(count).sum();
        Some(Signs {
            share,
            share_before: share_of(before).unwrap_or(share),
            slope_per_min: self.slope_per_min(),
            repeats: sum(|bin| bin.repeats),
            interruptions: sum(|bin| bin.interruptions),
            silences: sum(|bin| bin.silences),
        })
    }

    /// The slope of the line that fits the bins' mean scores best (least squares), per minute.
    fn slope_per_min(&self) -> f32 {
        let points = self.bins.iter().enumerate().filter(|(_, bin)| bin.observations > 0);
        let points = points.map(|(at, bin)| (at as f32, bin.score_sum / bin.observations as f32));
        let (count, x_sum, y_sum) =
            points.clone().fold((0.0, 0.0, 0.0), |(n, x, y), (px, py)| (n + 1.0, x + px, y + py));
        let (x_mean, y_mean) = (x_sum / count, y_sum / count);
        let (xx, xy) = points
            .fold((0.0, 0.0), |(xx, xy), (x, y)| (xx + (x - x_mean) * (x - x_mean), xy + (x - x_mean) * (y - y_mean)));
        if xx == 0.0 { 0.0 } else { xy / xx * (60.0 / BIN.as_secs_f32()) }
    }
}

/// The share of negative observations; `None` while nothing was heard.
fn share_of<'b>(bins: impl Iterator<Item = &'b Bin>) -> Option<f32> {
    let (negative, all) = bins.fold((0, 0), |(negative, all), bin| (negative + bin.negative, all + bin.observations));
    (all > 0).then(|| negative as f32 / all as f32)
}

impl Signs {
    /// The weighted signs in words, the heaviest first when sorted.
    fn weighted(&self) -> [(f32, String); 5] {
        let capped = |count: u32, most: u32| count.min(most) as f32;
        let rise = (self.share - self.share_before).max(0.0);
        [
            (
                5.0 * self.share + 2.0 * rise,
                format!("negative share {:.0} % to {:.0} %", self.share_before * 100.0, self.share * 100.0),
            ),
            (6.0 * self.slope_per_min.clamp(0.0, 0.3), format!("anger rises by {:.2} per minute", self.slope_per_min)),
            (0.5 * capped(self.repeats, 4), format!("{} repeats", self.repeats)),
            (0.4 * capped(self.interruptions, 4), format!("{} interruptions", self.interruptions)),
            (0.2 * capped(self.silences, 4), format!("{} silences", self.silences)),
        ]
    }

    /// How likely an escalation is, 0-1: a logistic function of the weighted signs.
    fn likelihood(&self) -> f32 {
        let sum: f32 = self.weighted().iter().map(|(weight, _)| weight).sum();
        1.0 / (1.0 + (BIAS - sum).exp())
    }

    fn evidence(&self) -> Vec<String> {
        let mut weighted: Vec<(f32, String)> =
            self.weighted().into_iter().filter(|(weight, _)| *weight > 0.0).collect();
        weighted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        weighted.into_iter().map(|(_, words)| words).collect()
    }
}

/// The weight of the signs at which an escalation is as likely as not.
const BIAS: f32 = 2.8;

#[cfg(test)]
mod tests;
