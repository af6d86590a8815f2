//! What is remembered of one call to foretell how it goes on: ten minutes in bins, faded sums, counts and turns.
//!
//! Two memories of each thing: a short one for how it is now, a long one for what is usual for this very caller.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::signs::{Signs, rise};
use crate::decision::THANKS;
use crate::{Emotion, Level};

/// The length of one bin of the past.
const BIN: Duration = Duration::from_secs(10);
/// Bins that are remembered: ten minutes.
pub(super) const BINS_MAX: usize = 60;
/// Speech of the caller without which nobody knows what is usual for this caller, s.
const SPOKEN_LEAST_S: f32 = 70.0;
/// A score of anger from which on an observation counts as negative.
const NEGATIVE_SCORE: f32 = 0.35;
/// What an observation stands for: the time since the one before, so that a message of a chat counts as a turn, and half a
/// second of speech as that.
const STANDS_FOR_S: (f32, f32) = (0.5, 6.0);
/// The speech over which what counts as now fades to its e-th part.
const NOW_S: f32 = 50.0;
/// The newest speech, s, that is not yet what is usual.
const NEW_S: f32 = 60.0;
/// The share of negative speech and the score in a usual call, 0-1.
const USUAL: (f32, f32) = (0.12, 0.15);
/// For how much speech a usual call stands, s: now, and in what is usual for the caller.
const USUAL_S: (f32, f32) = (20.0, 40.0);
/// The time over which counts fade to their e-th part, s: recent ones, and usual ones.
const COUNTS_FADE_S: (f32, f32) = (90.0, 400.0);
/// What a rate of counts is drawn to nothing by: a minute in which nothing happened.
const NOTHING_S: f32 = 60.0;
/// A pause from which on it counts as silence.
const SILENCE: Duration = Duration::from_secs(8);
/// A gap in what the caller says that ends a turn, s.
const GAP_S: f32 = 1.5;
/// How much an ended turn leaves of those before: of recent ones, and of usual ones.
const TURNS_FADE: (f32, f32) = (0.75, 0.96);
/// Turns without which nobody knows how long they usually are.
const TURNS_LEAST: u32 = 5;
/// Different intents that are counted.
pub(super) const INTENTS_MAX: usize = 64;

/// What happened in ten seconds; scores are summed over seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bin {
    pub(super) spoken_s: f32,
    negative_s: f32,
    pub(super) score_sum: f32,
}

impl Bin {
    fn add(&mut self, other: &Bin) {
        self.spoken_s += other.spoken_s;
        self.negative_s += other.negative_s;
        self.score_sum += other.score_sum;
    }

    fn scale(&mut self, by: f32) {
        self.spoken_s *= by;
        self.negative_s *= by;
        self.score_sum *= by;
    }

    /// The share of negative speech, drawn to that of a usual call of `usual_s`.
    fn share(&self, usual_s: f32) -> f32 {
        (self.negative_s + USUAL.0 * usual_s) / (self.spoken_s + usual_s)
    }

    /// The mean score, drawn to that of a usual call of `usual_s`.
    fn score(&self, usual_s: f32) -> f32 {
        (self.score_sum + USUAL.1 * usual_s) / (self.spoken_s + usual_s)
    }
}

/// How often something happened, faded: lately, and usually.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    recent: f32,
    usual: f32,
}

impl Count {
    fn add(&mut self, times: f32) {
        self.recent += times;
        self.usual += times;
    }

    fn fade(&mut self, (recent, usual): (f32, f32)) {
        self.recent *= recent;
        self.usual *= usual;
    }

    /// Times per minute, lately.
    fn rate(self, watched_s: (f32, f32)) -> f32 {
        self.recent / (watched_s.0 + NOTHING_S) * 60.0
    }

    /// By how many times per minute it is lately more than usual.
    fn over(self, watched_s: (f32, f32)) -> f32 {
        (self.rate(watched_s) - self.usual / (watched_s.1 + NOTHING_S) * 60.0).max(0.0)
    }
}

/// How long the caller's turns are, as logarithms of seconds: faded sums, and how many turns these stand for.
#[derive(Debug, Clone, Copy, Default)]
struct Turns {
    /// The turn that goes on, s.
    open_s: f32,
    recent: (f32, f32),
    usual: (f32, f32),
    ended: u32,
}

impl Turns {
    /// The caller speaks for `lasts_s`, `gap_s` after being heard before.
    fn hear(&mut self, gap_s: f32, lasts_s: f32) {
        if gap_s <= GAP_S {
            self.open_s += lasts_s;
            return;
        }
        if self.open_s > 0.0 {
            let length = self.open_s.ln();
            let faded = |(sum, turns): (f32, f32), by: f32| (sum * by + length, turns * by + 1.0);
            (self.recent, self.usual) = (faded(self.recent, TURNS_FADE.0), faded(self.usual, TURNS_FADE.1));
            self.ended = self.ended.saturating_add(1);
        }
        self.open_s = STANDS_FOR_S.0;
    }

    /// The usual and the recent length, s; nothing while too few have ended.
    fn lengths_s(&self) -> Option<(f32, f32)> {
        let mean = |(sum, turns): (f32, f32)| (sum / turns).exp();
        (self.ended >= TURNS_LEAST).then(|| (mean(self.usual), mean(self.recent)))
    }
}

/// What is remembered of one call.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) bins: VecDeque<Bin>,
    /// When the first remembered bin begins.
    origin: Duration,
    pub(super) said: BTreeMap<String, u32>,
    interrupted: u32,
    repeats: Count,
    interruptions: Count,
    silences: Count,
    /// How long there was counting, faded as the counts are, and until when.
    watched_s: (f32, f32),
    counted: Option<Duration>,
    turns: Turns,
    /// What was said of late: sums that fade.
    now: Bin,
    /// When the caller was heard last, and when anybody was.
    observed_last: Option<Duration>,
    heard_last: Option<Duration>,
}

impl Past {
    pub(super) fn new() -> Past {
        Past {
            bins: VecDeque::with_capacity(BINS_MAX),
            origin: Duration::ZERO,
            said: BTreeMap::new(),
            interrupted: 0,
            repeats: Count::default(),
            interruptions: Count::default(),
            silences: Count::default(),
            watched_s: (0.0, 0.0),
            counted: None,
            turns: Turns::default(),
            now: Bin::default(),
            observed_last: None,
            heard_last: None,
        }
    }

    /// The other side speaks.
    pub(super) fn hear_other(&mut self, now: Duration) {
        self.heard_last = Some(now);
    }

    /// The caller has interrupted so many times.
    pub(super) fn interrupt(&mut self, now: Duration, times: u32) {
        self.fade(now);
        // Counting starts anew with another callee.
        let fresh = if times > self.interrupted { times - self.interrupted } else { 1 };
        self.interrupted = times;
        self.interruptions.add(fresh as f32);
    }

    /// The caller means something.
    pub(super) fn say(&mut self, now: Duration, intent: &str) {
        self.fade(now);
        if intent == THANKS {
            return;
        }
        if let Some(times) = self.said.get_mut(intent) {
            *times = times.saturating_add(1);
            self.repeats.add(1.0);
        } else if self.said.len() < INTENTS_MAX {
            self.said.insert(intent.to_owned(), 1);
        }
    }

    /// The caller is heard in a mood.
    pub(super) fn hear(&mut self, now: Duration, emotion: Emotion, level: Level, score: f32) {
        self.fade(now);
        let pause = self.heard_last.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        if pause >= SILENCE {
            self.silences.add(1.0);
        }
        let since_s = self.observed_last.map_or(0.0, |last| now.saturating_sub(last).as_secs_f32());
        (self.heard_last, self.observed_last) = (Some(now), Some(now));
        let stands_for_s = since_s.clamp(STANDS_FOR_S.0, STANDS_FOR_S.1);
        self.turns.hear(since_s, stands_for_s);
        let negative =
            matches!(emotion, Emotion::Anger | Emotion::Sadness) || level > Level::Low || score >= NEGATIVE_SCORE;
        let negative_s = if negative { stands_for_s } else { 0.0 };
        let faded = (-stands_for_s / NOW_S).exp();
        let heard = Bin { spoken_s: stands_for_s, negative_s, score_sum: score * stands_for_s };
        self.now.scale(faded);
        self.now.add(&heard);
        self.bin(now).add(&heard);
    }

    /// What speaks for an escalation; nothing while too little was heard to know this caller.
    pub(super) fn signs(&self) -> Option<Signs> {
        let (mut newer_s, mut before) = (0.0, Bin::default());
        for bin in self.bins.iter().rev() {
            if newer_s >= NEW_S {
                before.add(bin);
            }
            newer_s += bin.spoken_s;
        }
        if newer_s < SPOKEN_LEAST_S {
            return None;
        }
        let (slope_per_bin, errors) = rise(&self.bins);
        Some(Signs {
            share: self.now.share(USUAL_S.0),
            share_usual: before.share(USUAL_S.1),
            score: self.now.score(USUAL_S.0),
            score_usual: before.score(USUAL_S.1),
            slope_per_min: slope_per_bin * (60.0 / BIN.as_secs_f32()),
            rise: errors,
            repeats_per_min: self.repeats.rate(self.watched_s),
            interruptions_over_per_min: self.interruptions.over(self.watched_s),
            silences_over_per_min: self.silences.over(self.watched_s),
            turns_s: self.turns.lengths_s(),
        })
    }

    /// Lets what was counted fade until `now`.
    fn fade(&mut self, now: Duration) {
        let since_s = self.counted.map_or(0.0, |last| now.saturating_sub(last).as_secs_f32());
        self.counted = Some(now);
        if since_s <= 0.0 {
            return;
        }
        let by = ((-since_s / COUNTS_FADE_S.0).exp(), (-since_s / COUNTS_FADE_S.1).exp());
        [&mut self.repeats, &mut self.interruptions, &mut self.silences].into_iter().for_each(|count| count.fade(by));
        self.watched_s = (self.watched_s.0 * by.0 + since_s, self.watched_s.1 * by.1 + since_s);
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
}
