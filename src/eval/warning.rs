//! `calmline eval warning`: how well warnings foretell escalations, on interactions that say when they escalate.
//!
//! Interactions that are not marked held out show where `warn_at` should stand; those that are say how good it is there.

use std::collections::BTreeMap;
use std::time::Duration;

use routing::backtest::{Foretold, Interaction};
use routing::warning::{WARN_AT, site};
use serde_json::{Value, json};

use crate::backtest;
use crate::cli::{EvalWarningArgs, Failure, print_line};

/// The precision that a threshold must have to be proposed.
const PRECISION_LEAST: f64 = 0.88;

/// The figures of one scenario.
struct Row {
    scenario: String,
    warn_at: f32,
    foretold: Foretold,
    /// Where the interactions that are not held out would have the threshold, if anywhere.
    proposed: Option<f32>,
}

/// Runs `calmline eval warning`.
///
/// # Errors
/// When something cannot be read, or no interaction says whether it escalates.
pub fn run(args: &EvalWarningArgs) -> Result<(), Failure> {
    let policies = backtest::policies(&args.policies)?;
    let interactions = backtest::interactions(&args.interactions, None, None)?;
    let labelled: Vec<&Interaction> =
        interactions.iter().filter(|interaction| interaction.escalates.is_some()).collect();
    if labelled.is_empty() {
        let found = interactions.len();
        return Err(Failure::Failed(format!(
            "expected interactions that say when they escalate; found none in {found}"
        )));
    }
    let has_held_out = labelled.iter().any(|interaction| interaction.held_out);
    let mut by_scenario: BTreeMap<&str, Vec<&Interaction>> = BTreeMap::new();
    for interaction in &labelled {
        by_scenario.entry(&interaction.story.opening.scenario).or_default().push(interaction);
    }
    let mut all = Foretold::default();
    let rows: Vec<Row> = by_scenario
        .into_iter()
        .map(|(scenario, own)| {
            let warn_at = routing::warn_at(&policies, scenario).unwrap_or(WARN_AT);
            let judged = || own.iter().copied().filter(|interaction| interaction.held_out || !has_held_out);
            judged().for_each(|interaction| all.add(interaction, warn_at));
            let foretold = foretold(judged(), warn_at);
            let known = own.iter().copied().filter(|interaction| !interaction.held_out).collect::<Vec<_>>();
            Row { scenario: scenario.to_owned(), warn_at, foretold, proposed: propose(&known) }
        })
        .collect();
    let change = turn(&labelled);
    if args.json {
        let rows: Vec<Value> = rows.iter().map(row_json).collect();
        return print_line(
            json!({ "scenarios": rows, "all": foretold_json(&all), "turns_at": change.map(|at| at.at) }),
        );
    }
    print_line(if has_held_out { "held-out interactions:" } else { "all interactions, none is held out:" })?;
    for Row { scenario, warn_at, foretold, proposed } in &rows {
        let proposed = proposed.map_or("none is good enough".to_owned(), |at| format!("{at:.2}"));
        print_line(format_args!("  {}, warn_at {warn_at:.2}; proposed {proposed}", line(scenario, foretold)))?;
    }
    print_line(format_args!("  {}", line("all", &all)))?;
    match change {
        Some(change) => print_line(format_args!(
            "the peaks of anger turn from {:.2} to {:.2} at interaction {} of {}",
            change.before,
            change.after,
            change.at + 1,
            labelled.len()
        )),
        None => print_line("from interaction to interaction nothing turns"),
    }
}

fn foretold<'a>(interactions: impl Iterator<Item = &'a Interaction>, warn_at: f32) -> Foretold {
    let mut foretold = Foretold::default();
    interactions.for_each(|interaction| foretold.add(interaction, warn_at));
    foretold
}

/// The threshold with the highest recall whose precision is good enough; of equals, the lowest, which warns
/// earliest.
fn propose(interactions: &[&Interaction]) -> Option<f32> {
    let grid = (6..=19).map(|step| step as f32 * 0.05);
    let tried = grid.map(|at| (at, foretold(interactions.iter().copied(), at)));
    let good = tried.filter(|(_, foretold)| foretold.precision() >= PRECISION_LEAST);
    good.max_by(|(a, x), (b, y)| x.recall().total_cmp(&y.recall()).then(b.total_cmp(a))).map(|(at, _)| at)
}

/// Whether the interactions, in their order, turn sour or better: by the highest score of each.
fn turn(interactions: &[&Interaction]) -> Option<site::Change> {
    let peak = |interaction: &&Interaction| {
        let scores = interaction.story.events.iter().map(|(_, event)| match event {
            routing::Event::Emotion { score, .. } => f64::from(*score),
            _ => 0.0,
        });
        scores.fold(0.0, f64::max)
    };
    site::change(&interactions.iter().map(peak).collect::<Vec<_>>(), 0.1)
}

fn line(name: &str, foretold: &Foretold) -> String {
    let lead = foretold.median_lead().map_or("none".to_owned(), |lead| format!("{:.0} s", lead.as_secs_f64()));
    format!(
        "{name}: precision {:.1} %, recall {:.1} %, median lead {lead} ({} foretold, {} missed, {} in vain, {} left alone)",
        foretold.precision() * 100.0,
        foretold.recall() * 100.0,
        foretold.warned,
        foretold.missed,
        foretold.in_vain,
        foretold.left_alone
    )
}

fn row_json(row: &Row) -> Value {
    let mut value = foretold_json(&row.foretold);
    value["scenario"] = row.scenario.clone().into();
    value["warn_at"] = row.warn_at.into();
    value["proposed"] = row.proposed.into();
    value
}

fn foretold_json(foretold: &Foretold) -> Value {
    json!({
        "precision": foretold.precision(),
        "recall": foretold.recall(),
        "median_lead_s": foretold.median_lead().as_ref().map(Duration::as_secs_f64),
        "warned": foretold.warned,
        "missed": foretold.missed,
        "in_vain": foretold.in_vain,
        "left_alone": foretold.left_alone,
    })
}
