//! Reports: what calls of a day, a week or a month add up to, and how that reads as a page, on paper, in a workbook, as a table or
//! JSON.
//!
//! Pure: facts of calls in, figures and texts out. Figures of days add up to those of longer times, exactly; only spreads
//! of times are rounded, to 5 %.

mod chart;
mod facts;
mod form;
mod insight;
mod page;
mod pdf;
mod period;
mod sections;
mod sheet;
mod spread;
mod table;
mod typeface;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use chart::ChartError;
pub use facts::CallFacts;
pub use form::{ReportError, ReportFormat};
pub use insight::{Completeness, Minutes, Scores, Warnings};
pub use page::{mail_page, subject};
pub use period::Period;
pub use spread::Spread;
pub(crate) use table::uncomputed;
pub use typeface::Typeface;
pub use words::Language;

/// Names that are told apart per table; the figures of further ones are added up under [`OTHERS`].
const NAMES_MAX: usize = 500;
/// Calls of a day by which it can be told whether scores have moved: of fewer, chance alone moves them.
const DRIFT_CALLS_MIN: u64 = 100;
/// Where they are added up.
const OTHERS: &str = "…";

/// What some calls add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Figures {
    /// Calls that came.
    pub calls: u64,
    /// Those that were answered.
    pub answered: u64,
    /// How long callers talked, together, milliseconds.
    pub talk_ms: u64,
    /// Calls by the highest level of the caller's anger.
    pub low: u64,
    /// See `low`.
    pub medium: u64,
    /// See `low`.
    pub high: u64,
    /// Calls with high anger in which something was done about it, and after which of those the caller was calm at the end.
    pub acted: u64,
    /// See `acted`.
    pub acted_calmed: u64,
    /// Calls with high anger in which nothing was done: what the others are to be compared with.
    pub left: u64,
    /// See `left`.
    pub left_calmed: u64,
    /// Calls in which the caller was moved.
    pub moved: u64,
    /// Calls in which that failed, and was not done later.
    pub move_failed: u64,
    /// Alerts.
    pub alerts: u64,
    /// Calls that supervisors took part in.
    pub supervised: u64,
    /// Calls of whose customer or order something was known.
    #[serde(default)]
    pub informed: u64,
    /// What has come of them, as far as other systems say.
    #[serde(default)]
    #[schema(required)]
    pub outcomes: Outcomes,
    /// From the INVITE to the answer, milliseconds.
    pub setup: Spread,
    /// From the answer to the first high anger, milliseconds.
    pub until_high: Spread,
    /// From the first high anger to the first thing that was done about it, milliseconds.
    pub reaction: Spread,
}

/// What has come of calls, as far as other systems say: of each question, how many calls it is known of, and the answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = OutcomeFigures)]
pub struct Outcomes {
    /// Calls of which it is known whether there was a complaint.
    pub complaint_known: u64,
    /// Those with one.
    pub complaints: u64,
    /// Calls whose customers have said how satisfied they are.
    pub satisfaction_known: u64,
    /// The sum of what they said, 1-5 each.
    pub satisfaction_sum: u64,
    /// Calls of which it is known whether the customer has bought again.
    pub repurchase_known: u64,
    /// Those who have.
    pub repurchased: u64,
    /// Calls of which it is known whether what the customer wanted is settled.
    pub resolution_known: u64,
    /// Those in which it is.
    pub resolved: u64,
}

impl Outcomes {
    fn add(&mut self, call: &CallFacts) {
        for (known, so, answer) in [
            (&mut self.complaint_known, &mut self.complaints, call.complaint),
            (&mut self.repurchase_known, &mut self.repurchased, call.repurchased),
            (&mut self.resolution_known, &mut self.resolved, call.resolved),
        ] {
            *known += u64::from(answer.is_some());
            *so += u64::from(answer == Some(true));
        }
        if let Some(stars) = call.satisfied {
            self.satisfaction_known += 1;
            self.satisfaction_sum += u64::from(stars);
        }
    }

    fn merge(&mut self, other: &Outcomes) {
        for ((_, own), (_, other)) in self.each_mut().into_iter().zip(other.each()) {
            *own += other;
        }
    }

    /// Each figure by its name.
    pub(crate) fn each(&self) -> [(&'static str, u64); 8] {
        let mut own = self.clone();
        own.each_mut().map(|(name, figure)| (name, *figure))
    }

    fn each_mut(&mut self) -> [(&'static str, &mut u64); 8] {
        [
            ("complaint_known", &mut self.complaint_known),
            ("complaints", &mut self.complaints),
            ("satisfaction_known", &mut self.satisfaction_known),
            ("satisfaction_sum", &mut self.satisfaction_sum),
            ("repurchase_known", &mut self.repurchase_known),
            ("repurchased", &mut self.repurchased),
            ("resolution_known", &mut self.resolution_known),
            ("resolved", &mut self.resolved),
        ]
    }

    /// The mean satisfaction, 1-5; nothing where nobody has said.
    pub fn satisfaction(&self) -> Option<f64> {
        share(self.satisfaction_sum, self.satisfaction_known)
    }
}

impl Figures {
    /// Adds a call.
    pub fn add(&mut self, call: &CallFacts) {
        let count = |so: bool| u64::from(so);
        self.calls += 1;
        self.answered += count(call.answered);
        self.talk_ms += call.talk_ms;
        *match call.level.as_str() {
            "high" => &mut self.high,
            "medium" => &mut self.medium,
            _ => &mut self.low,
        } += 1;
        if call.level == "high" {
            let (all, calmed) = match call.acted {
                true => (&mut self.acted, &mut self.acted_calmed),
                false => (&mut self.left, &mut self.left_calmed),
            };
            *all += 1;
            *calmed += count(call.calmed);
        }
        self.moved += count(call.moved);
        self.move_failed += count(call.move_failed);
        self.alerts += call.alerts;
        self.supervised += count(call.supervised);
        self.informed += count(call.informed);
        self.outcomes.add(call);
        for (spread, ms) in [
            (&mut self.setup, call.setup_ms),
            (&mut self.until_high, call.until_high_ms),
            (&mut self.reaction, call.reaction_ms),
        ] {
            ms.into_iter().for_each(|ms| spread.add(ms));
        }
    }

    /// Adds what other calls add up to.
    pub fn merge(&mut self, other: &Figures) {
        let Figures { calls, answered, talk_ms, low, medium, high, acted, acted_calmed, left, left_calmed, .. } = other;
        let Figures { moved, move_failed, alerts, supervised, informed, setup, until_high, reaction, .. } = other;
        for (own, other) in [
            (&mut self.calls, calls),
            (&mut self.answered, answered),
            (&mut self.talk_ms, talk_ms),
            (&mut self.low, low),
            (&mut self.medium, medium),
            (&mut self.high, high),
            (&mut self.acted, acted),
            (&mut self.acted_calmed, acted_calmed),
            (&mut self.left, left),
            (&mut self.left_calmed, left_calmed),
            (&mut self.moved, moved),
            (&mut self.move_failed, move_failed),
            (&mut self.alerts, alerts),
            (&mut self.supervised, supervised),
            (&mut self.informed, informed),
        ] {
            *own += other;
        }
        self.outcomes.merge(&other.outcomes);
        self.setup.merge(setup);
        self.until_high.merge(until_high);
        self.reaction.merge(reaction);
    }

    /// The share of answered calls in which the caller was moved to nobody, 0-1; nothing without calls.
    pub fn automation(&self) -> Option<f64> {
        share(self.answered.saturating_sub(self.moved), self.answered)
    }
}

/// `part` of `whole`, 0-1; nothing of nothing.
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A report: of a day, or of the days that were added to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// The first day, `2026-11-26`.
    pub from: String,
    /// The last day.
    pub to: String,
    /// The time zone that the days are of, e.g. `Asia/Shanghai`.
    pub zone: String,
    /// The first day of which all calls are kept, where those of days before it are kept no longer, or not all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub complete_from: Option<String>,
    /// All calls.
    pub total: Figures,
    /// By the hour in which they came, 0-23 of the zone.
    #[schema(value_type = BTreeMap<String, Figures>)]
    pub by_hour: BTreeMap<u8, Figures>,
    /// By the day on which they came.
    pub by_day: BTreeMap<String, Figures>,
    /// By route.
    pub by_route: BTreeMap<String, Figures>,
    /// By how callers came: `phone`, what forked calls come by, or the channel of a chat.
    #[serde(default)]
    #[schema(required)]
    pub by_channel: BTreeMap<String, Figures>,
    /// By scenario.
    pub by_scenario: BTreeMap<String, Figures>,
    /// By whom callers spoke to last.
    pub by_target: BTreeMap<String, Figures>,
    /// By the groups of policies' comparisons: a call is in one of each.
    pub by_group: BTreeMap<String, Figures>,
    /// In how many calls each rule made a decision.
    pub rules: BTreeMap<String, u64>,
    /// In how many calls each compliance rule was broken.
    #[serde(default)]
    pub breaches: BTreeMap<String, u64>,
    /// In how many calls the caller said a phrase of each meaning.
    pub said: BTreeMap<String, u64>,
    /// In how many of these anger was high.
    #[serde(default)]
    pub said_high: BTreeMap<String, u64>,
    /// By the emotion that led most of the caller's timeline.
    #[serde(default)]
    pub emotions: BTreeMap<String, u64>,
    /// Early warnings.
    #[serde(default)]
    pub warnings: Warnings,
    /// How much is known.
    #[serde(default)]
    pub completeness: Completeness,
    /// The highest anger of calls, by day.
    #[serde(default)]
    pub scores: BTreeMap<String, Scores>,
    /// Of the minutes, in how many the server was there.
    #[serde(default)]
    pub minutes: Minutes,
}

impl Report {
    /// A day without calls.
    pub fn of_day(day: &str, zone: &str) -> Report {
        Report { from: day.to_owned(), to: day.to_owned(), zone: zone.to_owned(), ..Report::default() }
    }

    /// Adds a call that came in an hour of the day.
    pub fn add(&mut self, hour: u8, call: &CallFacts) {
        self.total.add(call);
        self.by_hour.entry(hour).or_default().add(call);
        let day = self.to.clone();
        self.by_day.entry(day).or_default().add(call);
        for (table, name) in [
            (&mut self.by_route, Some(&call.route)),
            (&mut self.by_channel, call.channel.as_ref()),
            (&mut self.by_scenario, Some(&call.scenario)),
            (&mut self.by_target, call.target.as_ref()),
        ] {
            name.into_iter().for_each(|name| bounded(table, name).add(call));
        }
        call.groups.iter().for_each(|group| bounded(&mut self.by_group, group).add(call));
        call.rules.iter().for_each(|rule| *bounded(&mut self.rules, rule) += 1);
        call.breaches.iter().for_each(|rule| *bounded(&mut self.breaches, rule) += 1);
        call.said.iter().for_each(|said| *bounded(&mut self.said, said) += 1);
        if call.level == "high" {
            call.said.iter().for_each(|said| *bounded(&mut self.said_high, said) += 1);
        }
        call.emotion.iter().for_each(|emotion| *bounded(&mut self.emotions, emotion) += 1);
        self.warnings.add(call);
        self.completeness.add(call);
        self.scores.entry(self.to.clone()).or_default().add(call);
    }

    /// Adds a later day.
    pub fn merge(&mut self, later: &Report) {
        self.to.clone_from(&later.to);
        self.complete_from = self.complete_from.take().max(later.complete_from.clone());
        self.total.merge(&later.total);
        for (hour, figures) in &later.by_hour {
            self.by_hour.entry(*hour).or_default().merge(figures);
        }
        for (own, other) in [
            (&mut self.by_day, &later.by_day),
            (&mut self.by_route, &later.by_route),
            (&mut self.by_channel, &later.by_channel),
            (&mut self.by_scenario, &later.by_scenario),
            (&mut self.by_target, &later.by_target),
            (&mut self.by_group, &later.by_group),
        ] {
            other.iter().for_each(|(name, figures)| bounded(own, name).merge(figures));
        }
        self.warnings.merge(&later.warnings);
        self.completeness.merge(later.completeness);
        self.minutes.merge(later.minutes);
        for (day, scores) in &later.scores {
            self.scores.entry(day.clone()).or_default().merge(scores);
        }
        for (own, other) in [
            (&mut self.rules, &later.rules),
            (&mut self.breaches, &later.breaches),
            (&mut self.said, &later.said),
            (&mut self.said_high, &later.said_high),
            (&mut self.emotions, &later.emotions),
        ] {
            other.iter().for_each(|(name, count)| *bounded(own, name) += count);
        }
    }
}

impl Report {
    /// The day whose highest anger differs most from that of the whole time, and by how much (see [`Scores::drift`]); nothing where
    /// no two days have enough calls.
    pub fn drift(&self) -> Option<(&str, f64)> {
        let mut whole = Scores::default();
        self.scores.values().for_each(|scores| whole.merge(scores));
        let days = self.scores.iter().filter(|_| self.scores.len() > 1);
        let drifts = days.filter_map(|(day, scores)| Some((day.as_str(), scores.drift(&whole, DRIFT_CALLS_MIN)?)));
        drifts.max_by(|(_, one), (_, other)| one.total_cmp(other))
    }
}

fn bounded<'a, T: Default>(table: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    let name = if table.len() < NAMES_MAX || table.contains_key(name) { name } else { OTHERS };
    table.entry(name.to_owned()).or_default()
}

#[cfg(test)]
mod tests;
