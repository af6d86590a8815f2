//! What of a call's record stands in which table.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::Form::{Flag, Real, Text, Time, Whole};
use super::{Cell, ExportTable, Form};
use crate::report::CallFacts;
use crate::web::{CallRecord, Moment};

/// What stands between several names in one value.
const BETWEEN: &str = ";";

const CALLS: [(&str, Form); 39] = [
    ("call", Text),
    ("started", Time),
    ("answered", Time),
    ("ended", Time),
    ("route", Text),
    ("scenario", Text),
    ("channel", Text),
    ("target", Text),
    ("tenant", Text),
    ("purpose", Text),
    ("region", Text),
    ("consent", Text),
    ("end_reason", Text),
    ("setup_ms", Whole),
    ("talk_ms", Whole),
    ("packets_lost", Whole),
    ("emotion", Text),
    ("level", Text),
    ("anger", Real),
    ("group", Text),
    ("rules", Text),
    ("breaches", Text),
    ("said", Text),
    ("alerts", Whole),
    ("acted", Flag),
    ("calmed", Flag),
    ("moved", Flag),
    ("move_failed", Flag),
    ("supervised", Flag),
    ("informed", Flag),
    ("warned", Flag),
    ("lead_ms", Whole),
    ("until_high_ms", Whole),
    ("reaction_ms", Whole),
    ("torn", Flag),
    ("complaint", Flag),
    ("satisfied", Whole),
    ("repurchased", Flag),
    ("resolved", Flag),
];
const OBSERVATIONS: [(&str, Form); 10] = [
    ("call", Text),
    ("time", Time),
    ("call_ms", Whole),
    ("party", Text),
    ("emotion", Text),
    ("level", Text),
    ("anger", Real),
    ("trend_per_s", Real),
    ("pitch_hz", Real),
    ("level_dbov", Real),
];
const DECISIONS: [(&str, Form); 14] = [
    ("call", Text),
    ("time", Time),
    ("call_ms", Whole),
    ("rule", Text),
    ("policy", Text),
    ("emotion", Text),
    ("level", Text),
    ("score", Real),
    ("lasted_ms", Whole),
    ("interruptions", Whole),
    ("said", Text),
    ("failure", Text),
    ("group", Text),
    ("actions", Text),
];
const OUTCOMES: [(&str, Form); 8] = [
    ("call", Text),
    ("started", Time),
    ("by", Text),
    ("name", Text),
    ("complaint", Flag),
    ("satisfied", Whole),
    ("repurchased", Flag),
    ("resolved", Flag),
];

pub(super) fn columns(table: ExportTable) -> &'static [(&'static str, Form)] {
    match table {
        ExportTable::Calls => &CALLS,
        ExportTable::Observations => &OBSERVATIONS,
        ExportTable::Decisions => &DECISIONS,
        ExportTable::Outcomes => &OUTCOMES,
    }
}

/// The rows of a call, in the order of the table's columns.
pub(super) fn rows<'a>(table: ExportTable, record: &'a CallRecord, facts: &'a CallFacts) -> Vec<Vec<Cell<'a>>> {
    match table {
        ExportTable::Calls => vec![call(record, facts)],
        ExportTable::Observations => observations(record),
        ExportTable::Decisions => decisions(record),
        ExportTable::Outcomes => outcomes(record),
    }
}

fn call<'a>(record: &'a CallRecord, facts: &'a CallFacts) -> Vec<Cell<'a>> {
    let names = |names: &BTreeSet<String>| {
        Cell::Text(Cow::Owned(names.iter().map(String::as_str).collect::<Vec<_>>().join(BETWEEN)))
    };
    vec![
        text(&record.id),
        Cell::Time(record.started),
        time(record.answered),
        time(record.ended),
        text(&record.route),
        text(&record.scenario),
        maybe(facts.channel.as_deref()),
        maybe(record.target.as_deref()),
        maybe(record.tags.tenant.as_deref()),
        maybe(record.tags.purpose.as_deref()),
        maybe(record.tags.region.as_deref()),
        maybe(record.consent.as_deref()),
        maybe(record.end_reason.as_deref()),
        whole(facts.setup_ms),
        whole(record.talk_ms),
        whole(record.packets_lost),
        maybe(facts.emotion.as_deref()),
        text(&facts.level),
        record.peak.as_ref().map_or(Cell::Nothing, |peak| real(peak.anger)),
        if facts.groups.is_empty() { Cell::Nothing } else { names(&facts.groups) },
        names(&facts.rules),
        names(&facts.breaches),
        names(&facts.said),
        whole(Some(facts.alerts)),
        Cell::Flag(facts.acted),
        Cell::Flag(facts.calmed),
        Cell::Flag(facts.moved),
        Cell::Flag(facts.move_failed),
        Cell::Flag(facts.supervised),
        Cell::Flag(facts.informed),
        Cell::Flag(facts.warned),
        whole(facts.lead_ms),
        whole(facts.until_high_ms),
        whole(facts.reaction_ms),
        Cell::Flag(facts.torn),
        flag(facts.complaint),
        whole(facts.satisfied.map(u64::from)),
        flag(facts.repurchased),
        flag(facts.resolved),
    ]
}

fn observations(record: &CallRecord) -> Vec<Vec<Cell<'_>>> {
    let steps = record.timeline.iter().map(|step| {
        vec![
            text(&record.id),
            at(record, step.call_ms),
            whole(Some(step.call_ms)),
            text(&step.party),
            text(&step.emotion),
            text(&step.level),
            real(step.anger),
            real(step.trend_per_s),
            real(step.pitch_hz),
            real(step.level_dbov),
        ]
    });
    steps.collect()
}

fn decisions(record: &CallRecord) -> Vec<Vec<Cell<'_>>> {
    let decisions = record.decisions.iter().map(|decision| {
        let because = &decision.because;
        vec![
            text(&record.id),
            at(record, decision.call_ms),
            whole(Some(decision.call_ms)),
            text(&decision.rule),
            text(&decision.policy),
            text(&because.emotion),
            text(&because.level),
            real(because.score),
            whole(Some(because.lasted_ms)),
            whole(because.interruptions.map(u64::from)),
            maybe(because.said.as_deref()),
            maybe(because.failure.as_deref()),
            maybe(because.group.as_deref()),
            Cell::Text(Cow::Owned(decision.actions.join(BETWEEN))),
        ]
    });
    decisions.collect()
}

fn outcomes(record: &CallRecord) -> Vec<Vec<Cell<'_>>> {
    let outcomes = record.outcomes.iter().map(|outcome| {
        vec![
            text(&record.id),
            Cell::Time(record.started),
            text(&outcome.by),
            maybe(outcome.name.as_deref()),
            flag(outcome.complaint),
            whole(outcome.satisfied.map(u64::from)),
            flag(outcome.repurchased),
            flag(outcome.resolved),
        ]
    });
    outcomes.collect()
}

fn text(text: &str) -> Cell<'_> {
    Cell::Text(Cow::Borrowed(text))
}

fn maybe(value: Option<&str>) -> Cell<'_> {
    value.map_or(Cell::Nothing, text)
}

fn whole<'a>(number: Option<u64>) -> Cell<'a> {
    number.map_or(Cell::Nothing, |number| Cell::Whole(i64::try_from(number).unwrap_or(i64::MAX)))
}

/// A number as it is told: of its digits, no more than a single has.
fn real<'a>(number: f32) -> Cell<'a> {
    if number.is_finite() { Cell::Real(number.to_string().parse().unwrap_or(f64::from(number))) } else { Cell::Nothing }
}

fn flag<'a>(so: Option<bool>) -> Cell<'a> {
    so.map_or(Cell::Nothing, Cell::Flag)
}

fn time<'a>(moment: Option<Moment>) -> Cell<'a> {
    moment.map_or(Cell::Nothing, Cell::Time)
}

fn at<'a>(record: &CallRecord, call_ms: u64) -> Cell<'a> {
    Cell::Time(Moment(record.started.0.saturating_add(call_ms)))
}
