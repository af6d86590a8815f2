//! Two people who talk at once: who interrupts whom is told while it happens, counted in the record and told at the end.

use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::phone::Behaviour;

use crate::stage::{RATE, Setup, Stage, fixture};

/// When the caller, who speaks for six seconds, and the callee begin, seconds after the answer.
const BEGINNINGS_S: [usize; 2] = [1, 3];

#[test]
fn a_callee_who_interrupts_the_caller_is_told_of() {
    let after = |seconds: usize, voice: &[i16]| Audio::once([vec![0; seconds * RATE], voice.to_vec()].concat());
    let caller_says = &fixture("fixtures/audio/calm-caller.wav")[3 * RATE..9 * RATE];
    let callee_says = &fixture("fixtures/audio/agent.wav")[..4 * RATE];
    let both = "[listening]\nenabled = true\nparties = \"both\"";
    let stage = Stage::set(Setup {
        edits: &[("[listening]\nenabled = true", both)],
        bot: (Behaviour::answer(), after(BEGINNINGS_S[1], callee_says)),
        ..Setup::named("turns")
    });
    let caller = stage.call(after(BEGINNINGS_S[0], caller_says));
    let interrupted = stage.until("the interruption", |what| matches!(what, What::Interrupted { .. }));
    let What::Interrupted { party, times } = interrupted.what else { unreachable!("just matched") };
    assert_eq!((party.as_str(), times), ("callee", 1));
    stage.until("a step that tells of it", |what| {
        matches!(what, What::Observed { party, turns: Some(turns), .. } if party == "callee" && turns.interruptions == 1)
    });

    std::thread::sleep(std::time::Duration::from_secs(5));
    caller.hang_up().expect("an order");
    let parted = stage.until("the conversation", |what| matches!(what, What::Conversation { .. }));
    let What::Conversation { target, caller, callee } = parted.what else { unreachable!("just matched") };
    assert_eq!((target.as_str(), caller.interruptions, callee.interruptions), ("bot", 0, 1));
    assert!((1_500..4_500).contains(&caller.overlap_ms) && caller.overlap_ms == callee.overlap_ms, "{caller:?}");
    assert!((4_000..6_500).contains(&caller.speech_ms) && (2_500..4_500).contains(&callee.speech_ms), "{callee:?}");
    let record = stage.api(&format!("/v1/calls/{}", parted.call));
    assert_eq!(record["conversations"][0]["callee"]["interruptions"], 1, "{record}");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    assert!(stage.metric("calmline_interruptions_total{party=\"callee\"") >= 1.0);
    stage.is_empty();
}
