//! More and more calls: where the knee is, and what becomes of those that are up when new ones are refused.

use std::time::Duration;

use media::Codec;

use super::Played;
use super::section::{Line, Plot, Table, Verdict};
use super::site::Wanted;
use super::soak::ADDED_P99_MS_MAX;
use super::stage::{NotShown, Scene, Shown};
use crate::load::{RampPlan, RampReport, Speaking, Stopped, Window};

/// More calls than any knee of the processors that a server has here.
const CALLS_MAX: usize = 5_000;
/// What a window of figures lasts.
const WINDOW: Duration = Duration::from_secs(2);

/// Nobody is listened to.
pub(super) fn relay(scene: &Scene<'_>) -> Played {
    let wanted = Wanted { calls: CALLS_MAX, refuses: true, ..Wanted::default() };
    let played = climb(scene, &wanted, Speaking::plain(Codec::Pcma), scene.quick_or(40.0, 15.0));
    ("Ramp: calls alone", what("nobody is listened to"), played)
}

/// Voices, no words.
pub(super) fn voice(scene: &Scene<'_>) -> Played {
    let wanted = Wanted { calls: CALLS_MAX, refuses: true, listens: true, ..Wanted::default() };
    let rate = scene.quick_or(8.0, 3.0);
    let played = scene.speech().map_err(NotShown::from).and_then(|speech| climb(scene, &wanted, speech, rate));
    ("Ramp: words off", what("every caller speaks and is listened to, words left out"), played)
}

/// Voices and words.
pub(super) fn words(scene: &Scene<'_>) -> Played {
    let played = scene.words().and_then(|words| {
        let wanted = Wanted { calls: CALLS_MAX, refuses: true, listens: true, words: Some(words), ..Wanted::default() };
        climb(scene, &wanted, scene.speech()?, scene.quick_or(5.0, 2.0))
    });
    ("Ramp: words on", what("every caller speaks and is listened to, phrases are recognised"), played)
}

fn what(how: &str) -> String {
    format!(
        "Calls of G.711 are begun at a steady pace and stay; {how}. Once the server refuses new ones, they go on to be \
         begun at the same pace. Added latency is p99 through the server less p99 of the same packets from telephone to \
         telephone in the same window of {} s.",
        WINDOW.as_secs()
    )
}

fn climb(scene: &Scene<'_>, wanted: &Wanted, speaking: Speaking, rate: f64) -> Result<Shown, NotShown> {
    let site = scene.site(wanted)?;
    let plan = RampPlan {
        server: site.server("plain"),
        pid: site.pid(),
        rate,
        calls: CALLS_MAX,
        window: WINDOW,
        beyond: Duration::from_secs(scene.quick_or(20, 60)),
        speaking,
    };
    let before = site.cpu();
    let report = crate::load::ramp(&plan)?;
    let missed = site.metric("calmline_tap_dropped_packets_total");
    let mut shown = show(&report, scene.processors.of_server(), missed);
    shown.server_cpu = site.cpu().max(before);
    Ok(shown)
}

fn show(report: &RampReport, processors: usize, missed: f64) -> Shown {
    let most = report.windows.iter().map(|window| window.calls).max().unwrap_or_default();
    let knee = report.knee.and_then(|knee| report.windows.get(knee));
    let mut verdicts = vec![Verdict::new(
        "new calls are refused before the others are hurt",
        match (knee, report.stopped) {
            (Some(knee), _) => format!(
                "the first was refused with {} up, {:.2} of {processors} processors taken; then {:?} by status",
                knee.calls, knee.server_cores, report.refused
            ),
            (None, Stopped::GeneratorFull) => {
                format!("not reached: the telephones' own processor was full at {most} calls")
            }
            (None, _) => format!("not reached with {most} calls"),
        },
        knee.is_some() && report.refused.keys().all(|status| *status == 503),
    )];
    let beyond = report.beyond();
    if !beyond.is_empty() {
        verdicts.extend(clean(report, beyond));
    }
    let mut tables = vec![course(&report.windows)];
    tables[0].title += &format!("; {missed} packets were not listened to");
    Shown { verdicts, tables, plots: plots(report), ..Shown::default() }
}

/// Whether calls that are up stay clean beyond the knee.
fn clean(report: &RampReport, beyond: &[Window]) -> Vec<Verdict> {
    let lost: u64 = beyond.iter().map(|window| window.lost).sum();
    let mut added: Vec<f64> = beyond.iter().map(Window::added_p99_ms).collect();
    added.sort_by(f64::total_cmp);
    let (middle, worst) = (added[added.len() / 2], added.last().copied().unwrap_or_default());
    let seconds = beyond.len() as u64 * WINDOW.as_secs();
    vec![
        Verdict::new(
            "beyond it, calls that are up lose nothing",
            format!("{lost} packets lost in {seconds} s, {} calls broken", report.broken),
            lost == 0 && report.broken == 0,
        ),
        Verdict::new(
            format!("beyond it, added latency p99 is at most {ADDED_P99_MS_MAX} ms"),
            format!("{middle:.3} ms in the middle of {} windows, {worst:.3} ms in the worst", beyond.len()),
            middle <= ADDED_P99_MS_MAX,
        ),
    ]
}

/// Rows of a table at most.
const ROWS_MAX: usize = 16;

fn course(windows: &[Window]) -> Table {
    let columns = [
        "s",
        "calls",
        "begun",
        "refused",
        "lost",
        "added p50, ms",
        "added p99, ms",
        "server CPU",
        "CPU ms per call-second",
        "memory, MiB",
    ];
    let mut table = Table::new("The course", &columns);
    let every = windows.len().div_ceil(ROWS_MAX).max(1);
    for window in windows.iter().skip(every - 1).step_by(every) {
        table.row([
            format!("{:.0}", window.seconds),
            window.calls.to_string(),
            window.begun.to_string(),
            window.refused.to_string(),
            window.lost.to_string(),
            format!("{:.3}", (window.latency.p50_ms - window.direct.p50_ms).max(0.0)),
            format!("{:.3}", window.added_p99_ms()),
            format!("{:.2}", window.server_cores),
            format!("{:.3}", 1e3 * window.server_cores / window.calls.max(1) as f64),
            format!("{:.0}", window.rss_kb as f64 / 1_024.0),
        ]);
    }
    table
}

fn plots(report: &RampReport) -> Vec<Plot> {
    let line = |name: &str, of: &dyn Fn(&Window) -> f64| {
        Line::new(name, report.windows.iter().map(|window| (window.seconds, of(window))))
    };
    let knee = report.knee.and_then(|knee| report.windows.get(knee));
    let marks: Vec<(String, f64)> = knee.map(|window| ("knee".to_owned(), window.seconds)).into_iter().collect();
    let plot = |title: &str, y: &str, lines: Vec<Line>| Plot {
        title: title.to_owned(),
        x: "seconds".to_owned(),
        y: y.to_owned(),
        lines,
        marks: marks.clone(),
    };
    let refused = |window: &Window| window.refused as f64 / WINDOW.as_secs_f64();
    vec![
        plot("Calls up", "calls", vec![line("calls", &|window| window.calls as f64)]),
        plot("New calls refused", "per second", vec![line("refused", &refused)]),
        plot(
            "Processors",
            "processors",
            vec![line("server", &|window| window.server_cores), line("telephones", &|window| window.generator_cores)],
        ),
        plot(
            "Added latency",
            "ms",
            vec![
                line("p50", &|window| (window.latency.p50_ms - window.direct.p50_ms).max(0.0)),
                line("p99", &Window::added_p99_ms),
            ],
        ),
    ]
}
