//! A report as comma-separated values: one line per figure, each with what it is of.

use super::{Figures, Report};

/// One figure.
pub(super) struct Line {
    /// What it is of: `total`, `hour`, `day`, `route`, `channel`, `scenario`, `target`, `group`, `rule`, `said`,
    /// `emotion`, `warning`, `data`, `minutes`, `drift`.
    pub(super) part: &'static str,
    /// Which one.
    pub(super) name: String,
    /// What is counted, or measured in milliseconds.
    pub(super) figure: String,
    pub(super) value: u64,
}

/// The table: `part,name,figure,value` (RFC 4180); times in milliseconds.
pub(super) fn table(report: &Report) -> String {
    let mut lines = vec!["part,name,figure,value".to_owned()];
    let line = |Line { part, name, figure, value }: Line| format!("{part},{},{figure},{value}", quoted(&name));
    lines.extend(rows(report).into_iter().map(line));
    lines.push(String::new());
    lines.join("\r\n")
}

/// Every figure of a report.
pub(super) fn rows(report: &Report) -> Vec<Line> {
    let mut lines = Vec::new();
    let name = if report.from == report.to { report.from.clone() } else { format!("{}/{}", report.from, report.to) };
    push(&mut lines, "total", &name, &report.total);
    for (hour, figures) in &report.by_hour {
        push(&mut lines, "hour", &hour.to_string(), figures);
    }
    for (part, table) in [
        ("day", &report.by_day),
        ("route", &report.by_route),
        ("channel", &report.by_channel),
        ("scenario", &report.by_scenario),
        ("target", &report.by_target),
        ("group", &report.by_group),
    ] {
        table.iter().for_each(|(name, figures)| push(&mut lines, part, name, figures));
    }
    for (part, figure, counts) in [
        ("rule", "calls", &report.rules),
        ("breach", "calls", &report.breaches),
        ("said", "calls", &report.said),
        ("said", "high", &report.said_high),
        ("emotion", "calls", &report.emotions),
    ] {
        let line = |(name, count): (&String, &u64)| Line {
            part,
            name: name.clone(),
            figure: figure.to_owned(),
            value: *count,
        };
        lines.extend(counts.iter().map(line));
    }
    lines.extend(insights(report));
    lines
}

/// Figures of the judging itself, and of the server.
fn insights(report: &Report) -> impl Iterator<Item = Line> {
    let (warnings, known, minutes) = (&report.warnings, &report.completeness, &report.minutes);
    let line =
        |part: &'static str, figure: &str, value| Line { part, name: String::new(), figure: figure.to_owned(), value };
    let counts = [
        line("warning", "warned", warnings.warned),
        line("warning", "right", warnings.right),
        line("warning", "missed", warnings.missed),
        line("data", "judged", known.judged),
        line("data", "worded", known.worded),
        line("data", "torn", known.torn),
        line("minutes", "known", minutes.known),
        line("minutes", "up", minutes.up),
        line("minutes", "ready", minutes.ready),
    ];
    let lead = warnings.lead.at(0.5).map(|ms| line("warning", "lead_p50_ms", ms));
    let drift = report.drift().map(|(day, drift)| Line {
        part: "drift",
        name: day.to_owned(),
        figure: "psi_thousandths".to_owned(),
        value: (drift * 1_000.0).round() as u64,
    });
    counts.into_iter().chain(lead).chain(drift)
}

fn push(lines: &mut Vec<Line>, part: &'static str, name: &str, figures: &Figures) {
    let line = |(figure, value)| Line { part, name: name.to_owned(), figure, value };
    lines.extend(numbers(figures).into_iter().map(line));
}

fn numbers(figures: &Figures) -> Vec<(String, u64)> {
    let counts = [
        ("calls", figures.calls),
        ("answered", figures.answered),
        ("talk_ms", figures.talk_ms),
        ("low", figures.low),
        ("medium", figures.medium),
        ("high", figures.high),
        ("acted", figures.acted),
        ("acted_calmed", figures.acted_calmed),
        ("left", figures.left),
        ("left_calmed", figures.left_calmed),
        ("moved", figures.moved),
        ("move_failed", figures.move_failed),
        ("alerts", figures.alerts),
        ("supervised", figures.supervised),
        ("informed", figures.informed),
    ];
    let outcomes = figures.outcomes.each();
    let spreads = [("setup", &figures.setup), ("until_high", &figures.until_high), ("reaction", &figures.reaction)];
    let points = spreads.into_iter().flat_map(|(name, spread)| {
        let at = |share: f64, percent: u8| spread.at(share).map(|ms| (format!("{name}_p{percent}_ms"), ms));
        [at(0.5, 50), at(0.9, 90), at(0.99, 99)].into_iter().flatten()
    });
    counts.into_iter().chain(outcomes).map(|(name, count)| (name.to_owned(), count)).chain(points).collect()
}

/// A text as no spreadsheet would compute it.
pub(crate) fn uncomputed(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() }
}

/// A field, quoted where it has to be; one that a spreadsheet would compute is made text.
fn quoted(field: &str) -> String {
    let field = uncomputed(field);
    if field.contains([',', '"', '\r', '\n']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}
