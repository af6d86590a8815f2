//! Calls that come and go, for long or for a while: nothing may grow, be lost or be left behind.

use std::io;
use std::time::Duration;

use media::dtmf;

use super::Played;
use super::section::{Line, Plot, Table, Verdict};
use super::site::{Site, TOKEN, Wanted};
use super::stage::{NotShown, Scene, Shown};
use crate::load::{Sample, SoakPlan, SoakReport};

/// The most that the server may add to the 99th percentile, ms.
pub(super) const ADDED_P99_MS_MAX: f64 = 5.0;
/// Of a hundred calls, those that hear a prompt and are moved.
const MOVED_PERCENT: u32 = 5;
/// Of a hundred calls, those that are held once.
const HELD_PERCENT: u32 = 5;
/// Calls that a server remembers after their end.
const REMEMBERED: usize = 1_100;

/// The long one.
pub(super) fn soak(scene: &Scene<'_>) -> Played {
    let (minutes, calls) = (scene.plan.soak_minutes, scene.plan.soak_calls);
    let what = format!(
        "{calls} calls at a time for {minutes} minutes, a minute each on average, every caller listened to, words {}; \
         {MOVED_PERCENT} % hear a prompt and are moved to another telephone, {HELD_PERCENT} % are held and resumed.",
        if scene.plan.words.is_some() { "heard as well" } else { "left out" },
    );
    let course = Course { minutes, calls, call_seconds: 60, warm_up_calls: REMEMBERED };
    ("Soak", what, played(scene, &course))
}

/// The same for a while.
pub(super) fn moves(scene: &Scene<'_>) -> Played {
    let course = Course {
        minutes: scene.quick_or(1.5, 6.0),
        calls: scene.quick_or(30, 100),
        call_seconds: 20,
        warm_up_calls: scene.quick_or(20, 100),
    };
    let what = format!(
        "{} calls at a time for {} minutes, {} s each on average; {MOVED_PERCENT} % press keys whose rules play a prompt \
         and bring a human, {HELD_PERCENT} % are held and resumed.",
        course.calls, course.minutes, course.call_seconds
    );
    ("Prompts and moves at 5 % of the calls", what, played(scene, &course))
}

struct Course {
    minutes: f64,
    calls: usize,
    call_seconds: u64,
    warm_up_calls: usize,
}

fn played(scene: &Scene<'_>, course: &Course) -> Result<Shown, NotShown> {
    let wanted = Wanted {
        // Calls that are moved have two legs more for a while.
        calls: 2 * course.calls,
        listens: true,
        words: scene.plan.words.clone(),
        keeps: true,
        ..Wanted::default()
    };
    let site = scene.site(&wanted)?;
    let report = crate::load::soak(&plan(scene, &site, course)?)?;
    let told = Told {
        prompts: site.metric("calmline_prompts_total"),
        listeners_replaced: site.metric("calmline_listener_restarts_total"),
    };
    let mut shown = show(&report, told);
    shown.server_cpu = site.cpu();
    Ok(shown)
}

fn plan(scene: &Scene<'_>, site: &Site, course: &Course) -> io::Result<SoakPlan> {
    let keys = ['5', '6'].into_iter().filter_map(|key| dtmf::Key::try_from(key).ok()).collect();
    Ok(SoakPlan {
        server: site.server("plain"),
        others: vec![site.callee("human")],
        pid: site.pid(),
        metrics: Some((site.web, Some(TOKEN.to_owned()))),
        minutes: course.minutes,
        calls: course.calls,
        rate: 5.0,
        call_seconds: course.call_seconds,
        hold_percent: HELD_PERCENT,
        keys,
        keys_percent: MOVED_PERCENT,
        warm_up_calls: course.warm_up_calls,
        speaking: scene.speech()?,
        seed: 1,
        csv: None,
        journal: Some(scene.folder.join("samples.jsonl")),
    })
}

/// What the server says of itself.
#[derive(Clone, Copy)]
struct Told {
    prompts: f64,
    listeners_replaced: f64,
}

fn show(report: &SoakReport, told: Told) -> Shown {
    let prompts = told.prompts;
    let SoakReport { counts, times, .. } = report;
    let moved = counts.answered_elsewhere;
    let verdicts = vec![
        Verdict::new(
            "nothing grows, is lost or is left behind",
            match report.failures.is_empty() {
                true => format!("so it is, over {} calls and {} packets", counts.begun, report.packets_received),
                false => report.failures.join("; "),
            },
            report.failures.is_empty(),
        ),
        Verdict::new(
            format!("added latency p99 is at most {ADDED_P99_MS_MAX} ms"),
            format!(
                "{:.3} ms in the middle of {} samples, {:.3} ms in the worst",
                times.added_p99_ms,
                report.samples.len(),
                times.added_p99_ms_worst
            ),
            times.packets > 0 && times.added_p99_ms <= ADDED_P99_MS_MAX,
        ),
        Verdict::new(
            "callers hear prompts and are moved",
            format!("{prompts} prompts, {moved} moves among {} calls", counts.answered),
            prompts > 0.0 && moved > 0,
        ),
    ];
    Shown { verdicts, tables: tables(report, told), plots: plots(&report.samples), ..Shown::default() }
}

fn tables(report: &SoakReport, told: Told) -> Vec<Table> {
    let columns = ["", "calls", "memory, MiB", "files", "threads", "UDP ports", "packets lost", "CPU, s"];
    let mut held = Table::new("What the server held", &columns);
    let [first, middle, last] = &report.steady;
    for (name, sample) in [
        ("before the first call", &report.before),
        ("first third", first),
        ("middle", middle),
        ("last third", last),
        ("after the last call", &report.after),
    ] {
        held.row([
            name.to_owned(),
            sample.calls.to_string(),
            format!("{:.1}", sample.rss_kb as f64 / 1_024.0),
            sample.files.to_string(),
            sample.threads.to_string(),
            sample.udp_ports.to_string(),
            sample.packets_lost.to_string(),
            format!("{:.1}", sample.cpu_seconds),
        ]);
    }
    let mut went = Table::new("How the calls went", &["", "number"]);
    let counts = &report.counts;
    for (name, number) in [
        ("begun", counts.begun),
        ("answered", counts.answered),
        ("ended by the callers", counts.hung_up),
        ("ended by the server", counts.ended_by_server),
        ("died", counts.lost),
        ("holds and resumes", counts.offers_answered),
        ("moved to another telephone", counts.answered_elsewhere),
        ("times that the listening thread was replaced", told.listeners_replaced as usize),
    ] {
        went.row([name.to_owned(), number.to_string()]);
    }
    vec![held, went]
}

fn plots(samples: &[Sample]) -> Vec<Plot> {
    let line = |name: &str, of: &dyn Fn(&Sample) -> f64| {
        Line::new(
            name,
            samples.iter().map(|sample| (Duration::from_secs_f64(sample.seconds).as_secs_f64() / 60.0, of(sample))),
        )
    };
    let plot = |title: &str, y: &str, lines: Vec<Line>| Plot {
        title: title.to_owned(),
        x: "minutes".to_owned(),
        y: y.to_owned(),
        lines,
        marks: Vec::new(),
    };
    vec![
        plot("Memory", "MiB", vec![line("resident", &|sample| sample.rss_kb as f64 / 1_024.0)]),
        plot(
            "Files and threads",
            "number",
            vec![line("files", &|sample| sample.files as f64), line("threads", &|sample| sample.threads as f64)],
        ),
        plot(
            "One-way time, p99 of each sample",
            "ms",
            vec![
                line("through the server", &|sample| sample.latency.p99_ms),
                line("from telephone to telephone", &|sample| sample.direct.p99_ms),
            ],
        ),
    ]
}
