//! Ever more short calls per second: what setting one up takes and costs, and that too many are refused and not dropped.

use std::time::Duration;

use super::Played;
use super::section::{Line, Plot, Table, Verdict};
use super::site::Wanted;
use super::stage::{NotShown, Scene, Shown};
use crate::load::{CallsPlan, CallsReport};

/// Calls per second of the steps.
const RATES: [f64; 5] = [50.0, 100.0, 200.0, 400.0, 700.0];
/// What 250 calls per second may take, p99, ms: the goal of docs/PERFORMANCE.md.
const SETUP_P99_MS_MAX: f64 = 5.0;
/// The fastest step that the goal counts for.
const GOAL_RATE: f64 = 200.0;

/// The stage.
pub(super) fn storm(scene: &Scene<'_>) -> Played {
    let what =
        "Calls that are answered at once and ended at once, ever more a second; a call that the server refuses is \
                answered with 503 and counts as refused."
            .to_owned();
    ("Storm of set-ups", what, played(scene))
}

fn played(scene: &Scene<'_>) -> Result<Shown, NotShown> {
    let site = scene.site(&Wanted { calls: 2_000, refuses: true, ..Wanted::default() })?;
    let plan = |rate, seconds| CallsPlan {
        server: site.server("plain"),
        pid: Some(site.pid()),
        rate,
        seconds,
        hold: Duration::ZERO,
    };
    // The first calls after the start are not like the others.
    crate::load::calls(&plan(20.0, 2))?;
    let seconds = scene.quick_or(5, 20);
    let mut steps = Vec::new();
    for rate in RATES {
        steps.push(crate::load::calls(&plan(rate, seconds))?);
        std::thread::sleep(REST);
    }
    let mut shown = show(&steps);
    shown.server_cpu = site.cpu();
    Ok(shown)
}

/// So long nothing is asked of the server between two steps: ports rest, and an overload passes.
const REST: Duration = Duration::from_secs(8);

fn show(steps: &[CallsReport]) -> Shown {
    let mut table = Table::new(
        "Steps; the figure of Asterisk 22 in docs/PERFORMANCE.md is 2.4 ms per call, 1.2 / 1.9 ms",
        &[
            "calls per second",
            "begun",
            "answered",
            "refused",
            "unfinished",
            "CPU ms per call",
            "set-up p50 / p99, ms",
            "200 to 200 p50 / p99, ms",
        ],
    );
    for step in steps {
        table.row([
            format!("{:.0}", step.rate),
            step.calls.to_string(),
            step.answered.to_string(),
            step.failed.to_string(),
            step.unfinished.to_string(),
            step.server_cpu_ms_per_call.map(|cpu| format!("{cpu:.2}")).unwrap_or_default(),
            format!("{:.2} / {:.2}", step.setup.p50_ms, step.setup.p99_ms),
            format!("{:.2} / {:.2}", step.passing_on.p50_ms, step.passing_on.p99_ms),
        ]);
    }
    let unfinished: usize = steps.iter().map(|step| step.unfinished).sum();
    let calm = steps.iter().filter(|step| step.rate <= GOAL_RATE);
    let slowest = calm.clone().map(|step| step.setup.p99_ms).fold(0.0, f64::max);
    let refused: usize = calm.map(|step| step.failed).sum();
    let verdicts = vec![
        Verdict::new("every call is answered or refused", format!("{unfinished} hang in the air"), unfinished == 0),
        Verdict::new(
            format!("up to {GOAL_RATE} a second all come up, p99 within {SETUP_P99_MS_MAX} ms"),
            format!("{refused} refused, p99 {slowest:.2} ms in the slowest step"),
            refused == 0 && slowest <= SETUP_P99_MS_MAX,
        ),
    ];
    let line =
        |name: &str, of: fn(&CallsReport) -> f64| Line::new(name, steps.iter().map(|step| (step.rate, of(step))));
    let plots = vec![
        Plot {
            title: "Time to set up".to_owned(),
            x: "calls per second".to_owned(),
            y: "ms".to_owned(),
            lines: vec![line("p50", |step| step.setup.p50_ms), line("p99", |step| step.setup.p99_ms)],
            marks: Vec::new(),
        },
        Plot {
            title: "Answered".to_owned(),
            x: "calls per second".to_owned(),
            y: "per cent".to_owned(),
            lines: vec![line("answered", |step| 100.0 * step.answered as f64 / step.calls.max(1) as f64)],
            marks: Vec::new(),
        },
    ];
    Shown { verdicts, tables: vec![table], plots, ..Shown::default() }
}
