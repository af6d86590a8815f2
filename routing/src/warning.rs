//! Early warning: whether a call is likely to escalate before it does, and whether a whole queue turns sour.
//!
//! `Watch` follows one call through the events that policies get; `site` compares calls with those before. Both say what
//! speaks for what they say. Escalation is the first high level of anger: from then on there is nothing to warn of.
//!
//! Callers speak in turns of a few seconds, so a minute holds few of them and says little. The share of what is negative is
//! therefore drawn towards that of a usual call until enough was heard, and a rise counts by how sure it is, not how steep.

pub mod site;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::decision::THANKS;
use crate::{Emotion, Event, Level};

/// The likelihood from which on a call is warned of, unless its policy says otherwise.
pub const WARN_AT: f32 = 0.92;
/// The likelihood must hold for this long.
pub const HOLDS: Duration = Duration::from_secs(5);
/// After a warning there is none for this long, and none before the likelihood has fallen to half of what warned.
pub const RESTS: Duration = Duration::from_secs(120);

/// The length of one bin of the past.
const BIN: Duration = Duration::from_secs(10);
/// Bins that count as the present in what is told as evidence: a minute.
const RECENT: usize = 6;
/// Bins that are remembered: five minutes.
const BINS_MAX: usize = 30;
/// Bins with speech without which nothing is said of a call.
const BINS_LEAST: usize = 3;
/// A score of anger from which on an observation counts as negative.
const NEGATIVE_SCORE: f32 = 0.35;
/// What an observation stands for: the time since the one before, so that a message of a chat counts as a turn, and half a
/// second of speech as that.
const STANDS_FOR_S: (f32, f32) = (0.5, 6.0);
/// The speech over which the share of what is negative fades to its e-th part.
const FADES_S: f32 = 90.0;
/// The share of negative speech in a usual call, and for how much speech it stands.
const USUAL: (f32, f32) = (0.12, 40.0);
/// Scatter of the scores that is taken for granted, s, and in how many bins.
const SCATTER: (f32, f32) = (0.05, 3.0);
/// A rise of so many standard errors is as sure as any.
const SURE: f32 = 8.0;
/// Repeats, interruptions and silences that count, of each.
const SIGNS_MAX: u32 = 4;
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
    /// Speech of the caller, and what of it was negative, faded.
    spoken_s: f32,
    negative_s: f32,
    /// When the caller was heard last, and when anybody was.
    observed_last: Option<Duration>,
    heard_last: Option<Duration>,
    likely_since: Option<Duration>,
    warned: Option<Duration>,
    /// The likelihood has fallen since the last warning.
    is_armed: bool,
    has_escalated: bool,
}

/// What happened in ten seconds; scores are summed over seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    spoken_s: f32,
    negative_s: f32,
    score_sum: f32,
    repeats: u32,
    interruptions: u32,
    silences: u32,
}

/// The signs of an escalation, each as it enters the likelihood.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Signs {
    /// The share of negative speech, faded and drawn to the usual one, 0-1.
    share: f32,
    /// The rise of the score over what is remembered, in standard errors, 0-[`SURE`].
    rise: f32,
    /// As it is told: negative speech of the last minute and of what is remembered before it, 0-1, and the rise.
    told: (f32, f32, f32),
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
            spoken_s: 0.0,
            negative_s: 0.0,
            observed_last: None,
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
        let since = self.observed_last.map_or(0.0, |last| now.saturating_sub(last).as_secs_f32());
        self.observed_last = Some(now);
        let stands_for_s = since.clamp(STANDS_FOR_S.0, STANDS_FOR_S.1);
        let negative_s = if negative { stands_for_s } else { 0.0 };
        let faded = (-stands_for_s / FADES_S).exp();
        self.spoken_s = self.spoken_s * faded + stands_for_s;
        self.negative_s = self.negative_s * faded + negative_s;
        let bin = self.bin(now);
        bin.spoken_s += stands_for_s;
        bin.negative_s += negative_s;
        bin.score_sum += score * stands_for_s;
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
        let spoken = self.bins.iter().filter(|bin| bin.spoken_s > 0.0).count();
        if spoken < BINS_LEAST {
            return None;
        }
        let from = self.bins.len().saturating_sub(RECENT);
        let recent = share_of(self.bins.range(from..))?;
        let before = share_of(self.bins.range(..from)).unwrap_or(recent);
        let (slope_per_min, errors) = self.rise();
        let sum = |count: fn(&Bin) -> u32| self.bins.iter().map(count).sum();
        let (usual, for_s) = USUAL;
        Some(Signs {
            share: (self.negative_s + usual * for_s) / (self.spoken_s + for_s),
            rise: errors.clamp(0.0, SURE),
            told: (before, recent, slope_per_min),
            repeats: sum(|bin| bin.repeats),
            interruptions: sum(|bin| bin.interruptions),
            silences: sum(|bin| bin.silences),
        })
    }

    /// The slope of the line that fits the bins' scores best (least squares, weighted by speech): per minute, and in
    /// standard errors.
    fn rise(&self) -> (f32, f32) {
        let spoken = self.bins.iter().enumerate().filter(|(_, bin)| bin.spoken_s > 0.0);
        let points = spoken.map(|(at, bin)| (bin.spoken_s, at as f32, bin.score_sum / bin.spoken_s));
        let sums = points.clone().fold((0.0, 0.0, 0.0), |(s, x, y), (w, at, score)| (s + w, x + w * at, y + w * score));
        let (x_mean, y_mean) = (sums.1 / sums.0, sums.2 / sums.0);
        let squares = points.clone().fold((0.0, 0.0), |(xx, xy), (w, at, score)| {
            (xx + w * (at - x_mean) * (at - x_mean), xy + w * (at - x_mean) * (score - y_mean))
        });
        let (xx, xy): (f32, f32) = squares;
        if xx == 0.0 {
            return (0.0, 0.0);
        }
        let slope = xy / xx;
        let (scatter, count) = points.fold(SCATTER, |(sum, count), (w, at, score)| {
            let from_line = score - y_mean - slope * (at - x_mean);
            (sum + w * from_line * from_line, count + 1.0)
        });
        (slope * (60.0 / BIN.as_secs_f32()), xy / (xx * scatter / count).sqrt())
    }
}

/// The share of negative speech; `None` while nothing was heard.
fn share_of<'b>(bins: impl Iterator<Item = &'b Bin>) -> Option<f32> {
    let (negative_s, s) = bins.fold((0.0, 0.0), |(negative, s), bin| (negative + bin.negative_s, s + bin.spoken_s));
    (s > 0.0).then(|| negative_s / s)
}

impl Signs {
    /// The weighted signs in words. Repeats, interruptions and silences speak for an escalation in as far as the mood is bad:
    /// who is in high spirits interrupts, too, and who looks for papers is silent.
    fn weighted(&self) -> [(f32, String); 5] {
        let capped = |count: u32| count.min(SIGNS_MAX) as f32 * self.share;
        let (before, recent, slope_per_min) = self.told;
        [
            (4.6 * self.share, format!("negative share {:.0} % to {:.0} %", before * 100.0, recent * 100.0)),
            ((0.34 + 0.92 * self.share) * self.rise, format!("anger rises by {slope_per_min:.2} per minute")),
            (4.05 * capped(self.repeats), format!("{} repeats", self.repeats)),
            (3.3 * capped(self.interruptions), format!("{} interruptions", self.interruptions)),
            (1.0 * capped(self.silences), format!("{} silences", self.silences)),
        ]
    }

    /// How likely an escalation is within five minutes, 0-1: a logistic function of the weighted signs. Likely as in calls of
    /// which one in two escalates.
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
const BIAS: f32 = 2.43;

#[cfg(test)]
mod tests;
