//! A report as comma-separated values: one line per figure, each with what it is of.

use super::{Figures, Report};

/// The table: `part,name,figure,value` (RFC 4180); times in milliseconds.
pub fn table(report: &Report) -> String {
    let mut lines = vec!["part,name,figure,value".to_owned()];
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
    for (part, counts) in [("rule", &report.rules), ("said", &report.said)] {
        lines.extend(counts.iter().map(|(name, count)| format!("{part},{},calls,{count}", quoted(name))));
    }
    lines.push(String::new());
    lines.join("\r\n")
}

fn push(lines: &mut Vec<String>, part: &str, name: &str, figures: &Figures) {
    let name = quoted(name);
    for (figure, value) in numbers(figures) {
        lines.push(format!("{part},{name},{figure},{value}"));
    }
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

/// A field, quoted where it has to be; one that a spreadsheet would compute is made text.
fn quoted(field: &str) -> String {
    let computes = field.starts_with(['=', '+', '-', '@']);
    let field = if computes { format!("'{field}") } else { field.to_owned() };
    if field.contains([',', '"', '\r', '\n']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}
