//! What callers hear besides bots and humans: a text that speech ends, and a tone while they wait.

use std::path::PathBuf;
use std::time::Duration;

use calmline::notice::What;
use calmline::speech::{EspeakNg, Saying, Speech, SpeechError};
use loadtest::audio::Audio;
use loadtest::phone::Behaviour;
use routing::Language;

use crate::stage::{BOT_HZ, RATE, Setup, Stage, angry, continuous, eventually, fixture, heard, strength};

/// Long enough to be interrupted.
const TEXT: &str =
    "您好，非常抱歉给您带来不便。请稍等，我们马上为您转接人工服务。请不要挂机，我们的客服很快就会接听您的电话。";

#[test]
fn a_text_is_spoken_and_speech_ends_it() {
    let saying = Saying { text: TEXT.to_owned(), language: Language::Mandarin };
    let spoken = match EspeakNg::new(PathBuf::from("espeak-ng")).speak(&saying) {
        Err(SpeechError::Missing(_)) => return println!("skipped: the program `espeak-ng` is missing"),
        spoken => spoken.expect("it speaks"),
    };
    let policy = format!(
        "name = \"sorry\"\nversion = 1\nscenarios = [\"*\"]\n[[rule]]\nid = \"sorry\"\n\
         when = {{ emotion = \"anger\", level = \"high\" }}\n\
         then = [{{ say = {{ text = \"{TEXT}\", language = \"zh\" }}, mode = \"replace\", until = [\"speech\"] }}]\n"
    );
    let mut setup = Setup::named("text");
    setup.policy = Some(&policy);
    let stage = Stage::set(setup);
    let caller = stage.call(angry());

    let started = stage.until("the text", |what| matches!(what, What::PromptStarted { .. })).what;
    let What::PromptStarted { file, reaction_ms, .. } = started else { unreachable!("just matched") };
    assert_eq!(file, format!("say: {TEXT}"));
    println!("heard {reaction_ms} ms after the decision");
    assert!(reaction_ms < 200, "{reaction_ms} ms, although it was spoken before the call");

    // The caller listens for a while, then speaks again.
    caller.say(Audio::Silence).expect("an order");
    std::thread::sleep(Duration::from_secs(4));
    assert!(!stage.was_told(|what| matches!(what, What::PromptEnded { .. })));
    caller.say(Audio::once(&fixture("fixtures/audio/calm-caller.wav")[..])).expect("an order");
    let ended = stage.until("the end of the text", |what| matches!(what, What::PromptEnded { .. })).what;
    assert!(matches!(ended, What::PromptEnded { completed: false, .. }), "{ended:?}");
    assert!(heard(&caller.heard().samples, &spoken.samples[..2 * RATE]), "the text");
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn a_recorded_script_is_heard_in_the_place_of_its_text() {
    let policy = "name = \"recorded\"\nversion = 1\nscenarios = [\"*\"]\n[[script]]\nid = \"wait\"\nzh = \"请稍等\"\n\
                  zh_audio = \"please-wait.wav\"\n[[rule]]\nid = \"wait\"\nwhen = { key = \"1\" }\n\
                  then = [{ say = { script = \"wait\" }, mode = \"replace\" }]\n";
    let stage = Stage::set(Setup { policy: Some(policy), ..Setup::named("recorded-script") });
    let caller = stage.call(Audio::Silence);
    stage.until("the answer", |what| matches!(what, What::CallAnswered { .. }));
    caller.press("1").expect("an order");
    let decided = stage.until("the decision", |what| matches!(what, What::Decided { .. })).what;
    let What::Decided { actions, .. } = decided else { unreachable!("just matched") };
    assert_eq!(actions, ["prompt please-wait.wav"]);
    stage.until("the end of it", |what| matches!(what, What::PromptEnded { completed: true, .. }));
    let recording = fixture("config/prompts/please-wait.wav");
    assert!(heard(&caller.heard().samples, &recording[..RATE]), "the recording");
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn ringback_is_heard_until_the_human_answers() {
    let mut setup = Setup::named("ringback");
    setup.policy = Some(
        r#"
name = "ringback"
version = 1
scenarios = ["*"]
[[rule]]
id = "human"
when = { emotion = "anger", level = "high" }
then = [{ reroute = "bridge", target = "human", hold = "ringback" }]
"#,
    );
    setup.human.0 = Behaviour::answer().after(Duration::from_secs(4));
    let stage = Stage::set(setup);
    let caller = stage.call(angry());
    stage.until("the call to the human", |what| matches!(what, What::RerouteStarted { .. }));
    eventually("the tone instead of the bot", || {
        let samples = caller.heard().samples;
        strength(&samples, 450) > 0.02 && strength(&samples, BOT_HZ) < 0.02
    });
    stage.until("the human", |what| matches!(what, What::Rerouted { .. }));
    let answered_at = caller.heard().samples.len();
    eventually("three seconds of the human", || caller.heard().samples.len() > answered_at + 3 * RATE);
    let human_says = fixture("fixtures/audio/agent.wav");
    assert!(heard(&caller.heard().samples, &human_says[..2 * RATE]), "the human");
    continuous("the caller", &caller.heard().stats);
    caller.hang_up().expect("an order");
    stage.is_empty();
}
