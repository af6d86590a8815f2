//! What is known of one call besides the caller's mood, and whether the circumstances of a rule hold.
//!
//! What is not known makes no rule true. Every list has a bound; what comes when it is full is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::call::Heard;
use crate::decision::THANKS;
use crate::facts::FACTS_MAX;
use crate::{Circumstances, Fact, Language, LocalTime, Opening};

/// Different intents, and likewise categories of words and broken rules, that are remembered of one call.
const MEANINGS_MAX: usize = 64;

/// Words are taken to tell the mood for this long.
const WORDS_HOLD: Duration = Duration::from_secs(20);

/// What is known of a call.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) language: Option<Language>,
    started: Duration,
    /// When anybody was last heard.
    pub(super) heard_last: Duration,
    said: BTreeMap<String, u32>,
    /// Categories of words, and when each was used last.
    words: BTreeMap<String, Duration>,
    /// Compliance rules that whoever serves has broken.
    breached: BTreeSet<String>,
    pub(super) interruptions: u32,
    waited: Duration,
    waiting_since: Option<Duration>,
    /// Nobody listens: the audio does not come past, or is not to be heard.
    deaf: bool,
    channel: Option<String>,
    mos: Option<f32>,
    loss: Option<f32>,
    facts: BTreeMap<String, Fact>,
}

impl Known {
    pub(super) fn new(now: Duration, opening: &Opening) -> Known {
        Known {
            language: opening.language,
            started: now,
            heard_last: now,
            said: BTreeMap::new(),
            words: BTreeMap::new(),
            breached: BTreeSet::new(),
            interruptions: 0,
            waited: opening.waited,
            waiting_since: None,
            deaf: false,
            channel: opening.channel.clone(),
            mos: None,
            loss: None,
            facts: BTreeMap::new(),
        }
    }

    /// Notes something that was said; how often it was by now.
    pub(super) fn note_said(&mut self, intent: &str) -> u32 {
        if let Some(times) = self.said.get_mut(intent) {
            *times = times.saturating_add(1);
            return *times;
        }
        if self.said.len() < MEANINGS_MAX {
            self.said.insert(intent.to_owned(), 1);
        }
        1
    }

    pub(super) fn note_words(&mut self, now: Duration, categories: &[String]) {
        for category in categories {
            if self.words.contains_key(category) || self.words.len() < MEANINGS_MAX {
                self.words.insert(category.clone(), now);
            }
        }
    }

    /// Whether words of a category were used not long ago.
    pub(super) fn uses(&self, now: Duration, category: &str) -> bool {
        self.words.get(category).is_some_and(|at| now.saturating_sub(*at) <= WORDS_HOLD)
    }

    /// Notes a compliance rule that was broken.
    pub(super) fn note_breach(&mut self, rule: &str) {
        if self.breached.len() < MEANINGS_MAX {
            self.breached.insert(rule.to_owned());
        }
    }

    pub(super) fn note_quality(&mut self, mos: Option<f32>, loss: Option<f32>) {
        self.mos = mos.filter(|mos| mos.is_finite());
        self.loss = loss.filter(|loss| loss.is_finite());
    }

    /// Notes or forgets a fact.
    pub(super) fn note_fact(&mut self, name: &str, value: Option<&Fact>) {
        match value {
            None => {
                self.facts.remove(name);
            }
            Some(value) if self.facts.contains_key(name) || self.facts.len() < FACTS_MAX => {
                self.facts.insert(name.to_owned(), value.clone());
            }
            Some(_) => {}
        }
    }

    /// The caller waits from now on for somebody who is being called.
    pub(super) fn begin_wait(&mut self, now: Duration) {
        self.waiting_since.get_or_insert(now);
    }

    /// The caller waits no longer.
    pub(super) fn end_wait(&mut self, now: Duration) {
        if let Some(since) = self.waiting_since.take() {
            self.waited = self.waited.saturating_add(now.saturating_sub(since));
        }
    }

    /// When the caller will have waited this long; `None` when not, as things stand.
    pub(super) fn waits_until(&self, wait: Duration) -> Option<Duration> {
        match self.waiting_since {
            _ if self.waited >= wait => Some(self.started),
            Some(since) => Some(since.saturating_add(wait - self.waited)),
            None => None,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting_since.is_some()
    }

    /// Since when nothing was heard; `None` while nobody listens.
    pub(super) fn listening_since(&self) -> Option<Duration> {
        (!self.deaf).then_some(self.heard_last)
    }

    /// For how long nothing was heard; `None` while nobody listens.
    pub(super) fn silence(&self, now: Duration) -> Option<Duration> {
        self.listening_since().map(|since| now.saturating_sub(since))
    }

    /// Whether anybody listens from now on. What was not heard was no silence.
    pub(super) fn listen(&mut self, now: Duration, on: bool) {
        self.deaf = !on;
        self.heard_last = now;
    }

    pub(super) fn waited(&self, now: Duration) -> Duration {
        self.waited.saturating_add(self.waiting_since.map_or(Duration::ZERO, |since| now.saturating_sub(since)))
    }

    /// When those of the circumstances hold that come with time alone, as things stand; `None` when one of them does not come.
    pub(super) fn ripe_at(&self, own: &Circumstances) -> Option<Duration> {
        let mut ripe = own.talked.map_or(Duration::ZERO, |talked| self.started.saturating_add(talked));
        if let Some(silence) = own.silence {
            ripe = ripe.max(self.listening_since()?.saturating_add(silence));
        }
        if let Some(wait) = own.waited {
            ripe = ripe.max(self.waits_until(wait)?);
        }
        Some(ripe)
    }

    /// What makes the circumstances hold, in words; `None` when they do not, or are not known.
    pub(super) fn evidence(
        &self,
        own: &Circumstances,
        now: Duration,
        local: Option<LocalTime>,
        heard: Option<&Heard>,
    ) -> Option<Vec<String>> {
        let mut evidence = Vec::new();
        let mut need = |holds: bool, words: String| {
            evidence.push(words);
            holds.then_some(())
        };
        if let Some(emotion) = own.emotion {
            need(heard?.emotion == emotion, format!("emotion {}", emotion.as_str()))?;
        }
        if let Some(level) = own.level {
            let level_now = heard?.level;
            need(level_now >= level, format!("level {}", level_now.as_str()))?;
        }
        let heard_of: [Named<'_>; 3] = [
            ("said", &own.said, &|intent| self.said.contains_key(intent)),
            ("words", &own.words, &|category| self.words.contains_key(category)),
            ("breach", &own.breach, &|rule| self.breached.contains(rule)),
        ];
        for (what, any, is_known) in heard_of.into_iter().filter(|(_, any, _)| !any.is_empty()) {
            let one = any.iter().find(|one| is_known(one))?;
            need(true, format!("{what} {one}"))?;
        }
        if let Some(least) = own.interruptions {
            need(self.interruptions >= least, format!("{} interruptions", self.interruptions))?;
        }
        if let Some(least) = own.repeats {
            let wanting = self.said.iter().filter(|(intent, _)| intent.as_str() != THANKS);
            let (intent, times) = wanting.max_by_key(|(_, times)| **times)?;
            need(*times >= least, format!("said {intent} {times} times"))?;
        }
        if let Some(least) = own.silence {
            let silence = self.silence(now)?;
            need(silence >= least, format!("silence {}", in_seconds(silence)))?;
        }
        if let Some(least) = own.waited {
            let waited = self.waited(now);
            need(waited >= least, format!("waited {}", in_seconds(waited)))?;
        }
        if let Some(least) = own.talked {
            let talked = now.saturating_sub(self.started);
            need(talked >= least, format!("talked {}", in_seconds(talked)))?;
        }
        if !own.hours.is_empty() || !own.days.is_empty() {
            let local = local?;
            let hour = own.hours.is_empty() || own.hours.iter().any(|span| span.contains(local.minute));
            need(hour && (own.days.is_empty() || own.days.contains(&local.day)), local.to_string())?;
        }
        if !own.channels.is_empty() {
            let channel = self.channel.as_ref()?;
            need(own.channels.contains(channel), format!("channel {channel}"))?;
        }
        if let Some(most) = own.mos_at_most {
            need(self.mos? <= most, format!("opinion {:.1}", self.mos?))?;
        }
        if let Some(least) = own.loss_at_least {
            need(self.loss? >= least, format!("loss {:.1} %", self.loss? * 100.0))?;
        }
        for (name, wanted) in &own.facts {
            let fact = self.facts.get(name);
            let shown = fact.map_or_else(|| "unknown".to_owned(), |fact| format!("= {fact}"));
            need(wanted.fits(fact), format!("{name} {shown}"))?;
        }
        Some(evidence)
    }
}

/// Of what is known by names: what it is, those that a rule names, and whether one of them is known.
type Named<'a> = (&'a str, &'a [String], &'a dyn Fn(&String) -> bool);

fn in_seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}
