//! Supervisors who listen to a call each, and clients of the wall, while calls go on: they hear, and nobody else is hurt.

use std::time::Duration;

use super::Played;
use super::section::{Table, Verdict};
use super::site::{TOKEN, Wanted};
use super::soak::ADDED_P99_MS_MAX;
use super::stage::{NotShown, Scene, Shown};
use crate::driver::invalid;
use crate::load::{RelayPlan, RelayReport, WallPlan, WallReport};

/// As many live copies as a server gives.
const EARS: usize = 16;
const CLIENTS: usize = 50;
/// What every listener must hear of a call, at least.
const HEARD_SHARE_MIN: f64 = 0.97;
/// Calls begun per second.
const RATE: f64 = 23.0;
/// The packets without a server come first, and then it takes a while until everybody is known.
const SETTLING: Duration = Duration::from_secs(8);

/// The stage.
pub(super) fn supervisors(scene: &Scene<'_>) -> Played {
    let calls = scene.quick_or(60, 150);
    let what = format!(
        "{calls} calls whose callers are listened to; {EARS} supervisors have a live copy of one each, {CLIENTS} clients \
         watch the wall, and 50 changes a second are told to it."
    );
    ("Supervisors who listen", what, played(scene, calls))
}

fn played(scene: &Scene<'_>, calls: usize) -> Result<Shown, NotShown> {
    let site = scene.site(&Wanted { calls: calls + 10, listens: true, ..Wanted::default() })?;
    let seconds = scene.quick_or(15, 60);
    let begin = Duration::from_secs_f64(calls as f64 / RATE) + SETTLING;
    let relay = RelayPlan {
        server: site.server("plain"),
        pid: Some(site.pid()),
        calls,
        rate: RATE,
        seconds: seconds + 2 * SETTLING.as_secs(),
        speaking: scene.speech()?,
    };
    let wall = WallPlan {
        web: site.web,
        token: TOKEN.to_owned(),
        pid: Some(site.pid()),
        clients: CLIENTS,
        seconds,
        ears: EARS,
        told_per_s: 50.0,
        shows_faces: false,
    };
    let (relay, wall) = std::thread::scope(|scope| {
        let relay = scope.spawn(|| crate::load::relay(&relay));
        std::thread::sleep(begin);
        let wall = crate::load::wall(&wall);
        (relay.join(), wall)
    });
    let relay = relay.map_err(|_| invalid("the telephones broke".to_owned()))??;
    let mut shown = show(&relay, &wall?);
    shown.server_cpu = site.cpu();
    Ok(shown)
}

fn show(relay: &RelayReport, wall: &WallReport) -> Shown {
    let heard = wall.heard_share.unwrap_or_default();
    let lost = relay.packets_lost;
    let verdicts = vec![
        Verdict::new(
            "every supervisor hears the call",
            format!("{} listened, {:.1} % of the audio or more came to each", wall.ears, 100.0 * heard),
            wall.ears == EARS && heard >= HEARD_SHARE_MIN,
        ),
        Verdict::new(
            "everybody is told everything, p99 within 1 s",
            format!("p99 {} ms, {} lost messages, {} lost connections", wall.delay.p99_ms, wall.lagged, wall.lost),
            wall.is_whole() && wall.delay.p99_ms <= 1_000,
        ),
        Verdict::new(
            format!("the calls lose nothing, added latency p99 at most {ADDED_P99_MS_MAX} ms"),
            format!("{} of {} came up, {lost} packets lost, {:.3} ms", relay.answered, relay.calls, relay.added.p99_ms),
            relay.answered == relay.calls && lost == 0 && relay.added.p99_ms <= ADDED_P99_MS_MAX,
        ),
    ];
    let mut table = Table::new("Figures", &["", ""]);
    let cpu = relay.server.map(|server| format!("{:.3} ms per call-second", server.cpu_ms_per_call_second));
    for (name, figure) in [
        ("server CPU, copies and wall included", cpu.unwrap_or_default()),
        ("events to each client", format!("{:.0} per second", wall.events_per_s)),
        (
            "event to client",
            format!("p50 {} ms, p99 {} ms, max {} ms", wall.delay.p50_ms, wall.delay.p99_ms, wall.delay.max_ms),
        ),
        ("added latency of the calls", format!("p50 {:.3} ms, p99 {:.3} ms", relay.added.p50_ms, relay.added.p99_ms)),
    ] {
        table.row([name.to_owned(), figure]);
    }
    Shown { verdicts, tables: vec![table], ..Shown::default() }
}
