//! What keeping calls costs, and adding them up: through the store as the server uses it, keys, indexes and folding included.
//!
//! `cargo bench --bench store -- month [CALLS]`: a month of calls, kept, closed, opened again, and added up day by day.
//! `-- write [CALLS]`: how many notices and decisions per second, to the disk; `-- records FILE`: its notices as JSON lines. Calls lie in a temporary folder (TMPDIR), or in
//! the database of `CALMLINE_TEST_DATABASE`.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use calmline::metrics::Metrics;
use calmline::notice::Notice;
use calmline::report::Report;
use calmline::settings::{DatabaseSettings, StoreSettings, Zone};
use calmline::store::Store;
use calmline::web::Moment;
use jiff::civil::Date;
use serde_json::{Value, json};

const MONTH_CALLS: u64 = 20_000;
const WRITE_CALLS: u64 = 5_000;
const CALLS_MAX: u64 = 10_000_000;
/// Decisions that each wait for the disk.
const DECISIONS: u64 = 1_000;
/// Steps of a call's timeline: few where many calls are wanted, half a minute where notices are.
const MONTH_STEPS: u64 = 2;
const WRITE_STEPS: u64 = 60;
/// Notices handed over before the store is waited for: its queue would drop further ones.
const TOGETHER: u64 = 8_192;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let calls = |usual: u64| arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(usual).clamp(1, CALLS_MAX);
    let folder = tempfile::tempdir().expect("a folder");
    match arguments.first().map(String::as_str) {
        Some("write") => measure_writing(folder.path(), calls(WRITE_CALLS)),
        Some("records") => write_records(Path::new(arguments.get(1).expect("a file to write")), WRITE_CALLS),
        _ => measure_month(folder.path(), calls(MONTH_CALLS)),
    }
}

fn measure_month(folder: &Path, calls: u64) {
    let zone = Zone::named("Asia/Shanghai").expect("a zone");
    let first: Date = "2026-11-01".parse().expect("a day");
    let (Moment(begins), _) = zone.day(first).expect("a year that is known");
    let (_, Moment(ends)) = zone.day("2026-11-30".parse().expect("a day")).expect("a year that is known");
    let (store, runtime) = open(folder);
    let began = Instant::now();
    let mut handed = 0;
    for number in 0..calls {
        let at = begins + number * (ends - begins) / calls;
        for (notice, after_ms) in call(number, MONTH_STEPS) {
            store.keep(&notice, Moment(at + after_ms));
            handed += 1;
            if handed % TOGETHER == 0 {
                wait(&store, &runtime);
            }
        }
    }
    store.stop();
    let kept_s = began.elapsed().as_secs_f64();
    drop(store);

    let (store, runtime) = open(folder);
    let began = Instant::now();
    let mut month: Option<Report> = None;
    for day in first.series(jiff::ToSpan::day(1)).take(30) {
        let report = runtime.block_on(store.report(day, zone.clone())).expect("readable");
        match &mut month {
            Some(month) => month.merge(&report),
            None => month = Some(report),
        }
    }
    let added_s = began.elapsed().as_secs_f64();
    let month = month.expect("thirty days");
    assert_eq!((month.total.calls, month.by_day.len()), (calls, 30), "nothing is dropped");
    let per_call_us = added_s * 1e6 / calls as f64;
    println!(
        "{calls} calls of {handed} notices kept in {kept_s:.1} s, added up in {added_s:.2} s, {per_call_us:.1} us a call"
    );
    store.stop();
}

fn measure_writing(folder: &Path, calls: u64) {
    let (store, runtime) = open(folder);
    let (mut handed, mut bytes) = (0_u64, 0);
    let notices: Vec<(Notice, u64)> = (0..calls).flat_map(|number| call(number, WRITE_STEPS)).collect();
    for (notice, _) in &notices {
        bytes += serde_json::to_vec(notice).expect("strings and numbers").len();
    }
    let (began, cpu) = (Instant::now(), cpu_s());
    for (notice, after_ms) in &notices {
        store.keep(notice, Moment(BEGAN + after_ms));
        handed += 1;
        if handed % TOGETHER == 0 {
            wait(&store, &runtime);
        }
    }
    wait(&store, &runtime);
    let waited = Instant::now();
    for number in 0..DECISIONS {
        let decision = notice(number, 1_500, decided());
        assert!(store.commit(std::iter::once(&decision)), "a disk that takes longer than 50 ms");
    }
    let decided_s = waited.elapsed().as_secs_f64();
    let kept_s = waited.duration_since(began).as_secs_f64();
    store.stop();
    let kept_s = kept_s + waited.elapsed().as_secs_f64() - decided_s;
    let cpu_us = (cpu_s() - cpu) * 1e6 / handed as f64;
    println!(
        "{handed} notices, {} MB: {:.0} notices per second, {cpu_us:.1} us of CPU each; {:.0} decisions per second, one after the other",
        bytes / 1_000_000,
        handed as f64 / kept_s,
        DECISIONS as f64 / decided_s,
    );
}

/// The notices of `write`, one JSON object a line, for others to keep: `benches/beside`.
fn write_records(path: &Path, calls: u64) {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path).expect("a file"));
    for (notice, _) in (0..calls).flat_map(|number| call(number, WRITE_STEPS)) {
        serde_json::to_writer(&mut out, &notice).expect("written");
        out.write_all(b"\n").expect("written");
    }
    out.flush().expect("written");
}

/// The store in `folder`, or with its calls in the database of the environment.
fn open(folder: &Path) -> (Store, tokio::runtime::Runtime) {
    let long = Duration::from_secs(3_650 * 86_400);
    let database = std::env::var("CALMLINE_TEST_DATABASE").ok();
    let database = database.map(|url| DatabaseSettings::new(&url, None).expect("an address"));
    let settings = StoreSettings { database, ..StoreSettings::within(folder, long) };
    let store = Store::start(&settings, &Metrics::new()).expect("a store");
    (store, tokio::runtime::Builder::new_current_thread().build().expect("a runtime"))
}

/// Waits until everything is written that was handed over.
fn wait(store: &Store, runtime: &tokio::runtime::Runtime) {
    runtime.block_on(store.note_minute(true)).expect("written");
}

const BEGAN: u64 = 1_795_000_000_000;

/// A call's notices and when each is made, milliseconds since it began; every fifth caller is angry.
fn call(number: u64, steps: u64) -> impl Iterator<Item = (Notice, u64)> {
    let is_angry = number.is_multiple_of(5);
    let ends_ms = 2_000 + steps * 500;
    let started = json!({
        "type": "call_started",
        "from": format!("\"Li\" <sip:1380013{:04}@pbx.example>", number % 10_000),
        "to": "<sip:4001@calmline.example>",
        "route": format!("route-{}", number % 20),
        "scenario": "after-sales",
    });
    let answered = json!({ "type": "call_answered", "target": format!("queue-{}", number % 50), "setup_ms": 400 });
    let ended = json!({
        "type": "call_ended",
        "reason": "caller hung up",
        "talk_ms": ends_ms - 400,
        "peak_anger": if is_angry { 0.9 } else { 0.2 },
        "peak_level": if is_angry { "high" } else { "low" },
        "packets_lost": 0,
    });
    let observed =
        (0..steps).map(move |step| (notice(number, 1_000 + step * 500, observed(is_angry, step)), 1_000 + step * 500));
    let decided = is_angry.then(|| (notice(number, ends_ms - 500, decided()), ends_ms - 500));
    [(notice(number, 0, started), 0), (notice(number, 400, answered), 400)]
        .into_iter()
        .chain(observed)
        .chain(decided)
        .chain([(notice(number, ends_ms, ended), ends_ms)])
}

fn observed(is_angry: bool, step: u64) -> Value {
    json!({
        "type": "observed",
        "party": "caller",
        "audio_ms": step * 500,
        "emotion": if is_angry { "anger" } else { "neutral" },
        "level": if is_angry { "high" } else { "low" },
        "anger": if is_angry { 0.9 } else { 0.2 },
        "trend_per_s": 0.25,
        "pitch_hz": 212.5,
        "pitch_z": 2.5,
        "level_dbov": -16.5,
        "level_z": 3.25,
        "syllables_per_s": 6.5,
        "rate_z": 1.5,
        "source": "model",
    })
}

fn decided() -> Value {
    json!({ "type": "alert", "severity": "critical", "text": "angry", "rule": "angry-to-human" })
}

fn notice(number: u64, call_ms: u64, what: Value) -> Notice {
    let mut notice = what;
    notice["call"] = format!("call-{number}").into();
    notice["call_ms"] = call_ms.into();
    serde_json::from_value(notice).expect("a notice of the API")
}

/// What the processors have done for this program so far, seconds.
fn cpu_s() -> f64 {
    let used = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).expect("this program's own");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(used.user_time()) + seconds(used.system_time())
}
