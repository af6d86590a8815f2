//! The listening thread breaks while calls are up: the calls do not notice, and listening comes back.

use calmline::notice::What;
use loadtest::audio::Audio;

use crate::stage::{RATE, Setup, Stage, continuous, eventually, fixture};

#[test]
fn a_stall_is_not_heard() {
    breaks("stall@4", "stall");
}

#[test]
fn a_panic_is_not_heard() {
    breaks("panic@4", "panic");
}

#[test]
fn an_end_is_not_heard() {
    breaks("kill@4", "end");
}

fn breaks(fault: &str, cause: &str) {
    let arguments = ["--chaos", fault];
    let mut setup = Setup::named(cause);
    setup.arguments = &arguments;
    let stage = Stage::set(setup);
    // Speech without a pause to wait for, and nobody is angry.
    let caller = stage.call(Audio::looped(fixture("fixtures/audio/agent.wav")));
    let counter = format!("calmline_listener_restarts_total{{cause=\"{cause}\"");
    eventually("the restart is counted", || stage.metric(&counter) == 1.0);
    let seen = stage.metric("calmline_observations_total{party=\"caller\"");
    eventually("observations come again", || stage.metric("calmline_observations_total{party=\"caller\"") > seen);
    eventually("five seconds of audio", || caller.heard().samples.len() > 5 * RATE);

    for (who, stats) in [("the caller", caller.heard().stats), ("the bot", stage.bot.heard().stats)] {
        continuous(who, &stats);
        assert!(stats.gap_ms_max < 100.0, "{who}: a gap of {} ms", stats.gap_ms_max);
    }
    eventually("the listener is up", || stage.metric("calmline_listener_up") == 1.0);
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}
