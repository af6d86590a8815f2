//! `calmline eval features`: values of voice, vocal tract, rhythm and line against those that are known.
//!
//! A folder holds `truth.csv`, one folder of signals per condition, and `values/TOOL/CONDITION.csv` of other tools. Ours
//! are measured here; all are counted by the same rule. Where a value is empty nothing is known, or nothing is told.

mod measure;
mod signals;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;

use self::measure::Cost;
use self::table::{Table, VALUES, Value};
use super::pitch::conditions::Condition;
use super::{bold, progress};
use crate::cli::{EvalFeaturesArgs, Failure, print_line};

/// How our own values are called in tables.
const OURS: &str = "calmline";
/// A correlation of fewer values says nothing.
const PAIRS_MIN: usize = 3;

/// One row of the result.
#[derive(Debug, Serialize)]
struct Row {
    condition: String,
    value: &'static str,
    unit: &'static str,
    tool: String,
    /// Signals whose value is known and told.
    signals: usize,
    /// Pearson's correlation with the truth; absent when there is too little to say.
    correlation: Option<f64>,
    /// Mean absolute difference from the truth, in `unit`.
    error: f64,
}

/// Runs the command.
///
/// # Errors
/// When the folder holds nothing to measure or cannot be read or written.
pub fn run(args: &EvalFeaturesArgs) -> Result<(), Failure> {
    if args.make {
        signals::make(&args.data, args.voices, args.seed)?;
    }
    let truth = Table::read(&args.data.join(signals::TRUTH))?;
    let conditions: Vec<Condition> =
        Condition::all().into_iter().filter(|condition| args.data.join(condition.name()).is_dir()).collect();
    let (mut rows, mut cost) = (Vec::new(), Cost::default());
    for (number, condition) in conditions.iter().enumerate() {
        let ours = measure::folder(&args.data.join(condition.name()), condition.rate(), &truth, &mut cost)?;
        let others = tools(&args.data, condition)?;
        for value in &VALUES {
            let tools = std::iter::once((OURS, &ours)).chain(others.iter().map(|(tool, told)| (tool.as_str(), told)));
            rows.extend(tools.filter_map(|(tool, told)| Row::of(condition, value, tool, &truth, told)));
        }
        progress(number + 1, conditions.len());
    }
    if rows.is_empty() {
        let name = args.data.display();
        return Err(Failure::Failed(format!(
            "{name}: expected signals and their truth, found none (--make makes them)"
        )));
    }
    report(&rows, &cost, args)
}

/// The values of other tools, by the tool's name.
fn tools(data: &Path, condition: &Condition) -> Result<BTreeMap<String, Table>, Failure> {
    let folder = data.join("values");
    if !folder.is_dir() {
        return Ok(BTreeMap::new());
    }
    let named = |error: std::io::Error| Failure::of(folder.display(), error);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(&folder).map_err(named)? {
        let entry = entry.map_err(named)?;
        let path = entry.path().join(format!("{}.csv", condition.name()));
        if path.is_file() {
            found.insert(entry.file_name().to_string_lossy().into_owned(), Table::read(&path)?);
        }
    }
    Ok(found)
}

impl Row {
    /// One tool's figure; `None` where it tells nothing of what is known.
    fn of(condition: &Condition, value: &Value, tool: &str, truth: &Table, told: &Table) -> Option<Self> {
        let known = truth.column(value.name);
        let after_line = |truth: f64| if value.to_noise { condition.ratio_db(truth) } else { Some(truth) };
        let pairs: Vec<(f64, f64)> =
            known.filter_map(|(signal, truth)| Some((after_line(truth)?, told.get(signal, value.name)?))).collect();
        let count = pairs.len();
        (count > 0).then(|| Self {
            condition: condition.name(),
            value: value.name,
            unit: value.unit,
            tool: tool.to_owned(),
            signals: count,
            correlation: correlation(&pairs),
            error: pairs.iter().map(|(truth, told)| (truth - told).abs()).sum::<f64>() / count as f64,
        })
    }
}

/// Pearson's; `None` of few pairs, or where one side does not vary.
fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < PAIRS_MIN {
        return None;
    }
    let count = pairs.len() as f64;
    let (x, y) = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0 / count, sum.1 + pair.1 / count));
    let sums = pairs.iter().fold([0.0; 3], |[xy, xx, yy], pair| {
        let (dx, dy) = (pair.0 - x, pair.1 - y);
        [xy + dx * dy, xx + dx * dx, yy + dy * dy]
    });
    let [xy, xx, yy] = sums;
    (xx > 1e-12 && yy > 1e-12).then(|| xy / (xx * yy).sqrt())
}

fn report(rows: &[Row], cost: &Cost, args: &EvalFeaturesArgs) -> Result<(), Failure> {
    if let Some(path) = &args.csv {
        let named = |error: csv::Error| Failure::of(path.display(), error);
        let mut writer = csv::Writer::from_path(path).map_err(named)?;
        rows.iter().try_for_each(|row| writer.serialize(row)).map_err(named)?;
        writer.flush().map_err(|error| Failure::of(path.display(), error))?;
    }
    if args.json {
        let text = serde_json::to_string(&serde_json::json!({ "rows": rows, "calmline": cost }))
            .map_err(|error| Failure::of("writing JSON", error))?;
        return print_line(text);
    }
    print_line(bold("condition        value                 tool             signals  correlation    mean error"))?;
    for Row { condition, value, unit, tool, signals, correlation, error } in rows {
        let correlation = correlation.map_or_else(|| "-".to_owned(), |r| format!("{r:.3}"));
        print_line(format_args!(
            "{condition:<16} {value:<21} {tool:<15} {signals:>8} {correlation:>12} {error:>10.4} {unit}"
        ))?;
    }
    print_line(format_args!(
        "{OURS}: {:.6} CPU seconds per second over {:.0} s of audio",
        cost.cpu_s / cost.audio_s.max(f64::MIN_POSITIVE),
        cost.audio_s
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlation_of_lines_clouds_and_points() {
        check(&[(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)], Some(1.0));
        check(&[(1.0, 6.0), (2.0, 4.0), (3.0, 2.0)], Some(-1.0));
        check(&[(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)], Some(0.0));
        check(&[(1.0, 2.0), (2.0, 4.0)], None);
        check(&[(1.0, 2.0), (1.0, 4.0), (1.0, 5.0)], None);
    }

    #[track_caller]
    fn check(pairs: &[(f64, f64)], expected: Option<f64>) {
        match (correlation(pairs), expected) {
            (Some(got), Some(expected)) => assert!((got - expected).abs() < 1e-9, "{got}"),
            (got, expected) => assert_eq!(got, expected),
        }
    }
}
