//! What the rules ask of one who serves while one conversation lasts, and what of it is broken.
//!
//! That something was not said is told only of those whose words are understood at all: silence of a recogniser is no fault
//! of theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Duty, Found, Moment, Phrases};

/// How much later than it was said something may be understood.
pub const LATE: Duration = Duration::from_secs(3);
/// Breaches that are told of one conversation.
const BREACHES_MAX: usize = 100;

/// One conversation.
#[derive(Debug)]
pub struct Duties {
    began: Duration,
    /// The rules for it.
    own: BTreeSet<usize>,
    /// What is still to be said, and by when; `None`: before the end, or after an occasion that has not come.
    open: BTreeMap<usize, Option<Duration>>,
    /// Whether all that is said is understood, as far as one can tell. What nobody may have heard is not in `open`.
    understood: bool,
    told: usize,
}

impl Duties {
    /// A conversation that begins at `now` with somebody of `target`. `understood`: all of it is read, as in a chat.
    pub fn begin(now: Duration, phrases: &Phrases, (scenario, target): (&str, &str), understood: bool) -> Duties {
        let rules = phrases.rules().iter().enumerate().filter(|(_, rule)| rule.is_for(scenario, target));
        let own: BTreeSet<usize> = rules.map(|(at, _)| at).collect();
        let due = |at: &usize| match &phrases.rules()[*at].duty {
            Duty::NeverSay => None,
            Duty::MustSay(Moment::Opening(within)) => Some((*at, Some(now + *within + LATE))),
            Duty::MustSay(_) => Some((*at, None)),
        };
        let open = own.iter().filter_map(due).collect();
        Duties { began: now, own, open, understood, told: 0 }
    }

    /// Whoever serves has said or written `text`; `whole`: it is all that was said, not only phrases that are listened for.
    ///
    /// # Returns
    /// The rules that are broken by it or by now, by their place.
    pub fn served(&mut self, now: Duration, phrases: &Phrases, text: &str, whole: bool) -> Vec<usize> {
        let found = phrases.find(text);
        self.understood |= whole;
        // First what is late: said now, it was not said in time.
        let mut broken = self.overdue(now);
        self.open.retain(|rule, _| !found.said.contains(rule));
        self.note_occasions(now, phrases, &found);
        let is_never = |rule: &usize| phrases.rules()[*rule].duty == Duty::NeverSay && self.own.contains(rule);
        let never: Vec<usize> = found.said.iter().copied().filter(is_never).collect();
        broken.extend(self.tell(never));
        broken
    }

    /// Nobody understands what is said, for a while or for good. What was to be said by now or before the end may be said
    /// meanwhile: nobody is told that it was not. What is to follow an occasion that has not come still is, once somebody
    /// understands again.
    pub fn unheard(&mut self, phrases: &Phrases) {
        self.understood = false;
        let is_to_come = |rule: usize| matches!(phrases.rules()[rule].duty, Duty::MustSay(Moment::After(..)));
        self.open.retain(|rule, due| due.is_none() && is_to_come(*rule));
    }

    /// The customer has said or written `text`.
    pub fn asked(&mut self, now: Duration, phrases: &Phrases, text: &str) {
        let found = phrases.find(text);
        self.note_occasions(now, phrases, &found);
    }

    /// What must have been said by `now` and was not.
    pub fn overdue(&mut self, now: Duration) -> Vec<usize> {
        if !self.understood {
            return Vec::new();
        }
        let due = |at: &Option<Duration>| at.is_some_and(|at| at <= now);
        let late: Vec<usize> = self.open.iter().filter(|(_, at)| due(at)).map(|(rule, _)| *rule).collect();
        self.open.retain(|rule, _| !late.contains(rule));
        self.tell(late)
    }

    /// When `overdue` has something to say.
    pub fn deadline(&self) -> Option<Duration> {
        self.open.values().flatten().min().copied().filter(|_| self.understood)
    }

    /// They part: what should have been said before. What was still to be said later is not missing.
    pub fn end(mut self, now: Duration, phrases: &Phrases) -> Vec<usize> {
        let mut missing = self.overdue(now);
        let talked = now.saturating_sub(self.began);
        let at_end = |rule: &usize| match &phrases.rules()[*rule].duty {
            Duty::MustSay(Moment::End(least)) => talked >= *least,
            _ => false,
        };
        let left: Vec<usize> = self.open.keys().copied().filter(|rule| self.understood && at_end(rule)).collect();
        missing.extend(self.tell(left));
        missing
    }

    fn note_occasions(&mut self, now: Duration, phrases: &Phrases, found: &Found) {
        for rule in &found.occasions {
            if let Some(due @ None) = self.open.get_mut(rule)
                && let Duty::MustSay(Moment::After(_, within)) = &phrases.rules()[*rule].duty
            {
                *due = Some(now + *within + LATE);
            }
        }
    }

    /// As many as may be told.
    fn tell(&mut self, mut broken: Vec<usize>) -> Vec<usize> {
        broken.truncate(BREACHES_MAX - self.told);
        self.told += broken.len();
        broken
    }
}
