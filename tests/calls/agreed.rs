//! Callers who have agreed, or not, that their words are kept: by key, by an announcement that they hear, by the API.

use calmline::notice::What;
use loadtest::audio::Audio;
use serde_json::json;

use crate::elsewhere::{Far, stage_with};
use crate::stage::{eventually, voice_of_the_caller};

#[test]
fn words_are_told_once_the_caller_agrees_and_taken_back_when_that_is_refused() {
    let far = Far::at(([127, 0, 0, 1], 0).into());
    let consent = "consent = { rule = \"asked\", given_key = \"1\" }";
    let stage = stage_with("agreed", far.address, "fallback = \"none\"", consent);
    let caller = stage.call(Audio::looped(voice_of_the_caller()));
    let open = stage.until("how consent stands", |what| matches!(what, What::Consent { .. }));
    assert_eq!(open.what, consent_is("open", "route"));
    let answers = || stage.metric("calmline_recognition_remote_answers_total{outcome=\"taken\"}");
    eventually("words are heard", || answers() >= 2.0);
    stage.until("what is heard besides", |what| matches!(what, What::Observed { .. }));
    assert!(!stage.was_told(is_said), "words that nobody has agreed to");
    caller.press("1").expect("an order");
    stage.until("consent", |what| *what == consent_is("given", "key"));
    stage.until("words", is_said);
    let path = format!("/v1/calls/{}", open.call);
    assert!(stage.api(&path)["phrases"].as_array().is_some_and(|phrases| !phrases.is_empty()));

    let ordered = |body| stage.ask("PUT", &format!("{path}/consent"), &body);
    assert_eq!(ordered(json!({ "consent": "perhaps" })).0, 422);
    assert_eq!(ordered(json!({ "consent": "refused" })).0, 202);
    stage.until("a refusal", |what| *what == consent_is("refused", "operator"));
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    let record = stage.api(&path);
    // None at all: an empty list is not shown.
    assert_eq!((&record["consent"], &record["phrases"]), (&json!("refused"), &serde_json::Value::Null), "{record}");
    stage.is_empty();
}

#[test]
fn nobody_is_listened_to_before_the_announcement_was_heard() {
    let far = Far::at(([127, 0, 0, 1], 0).into());
    let consent = "consent = { rule = \"announced\", announcement = \"please-wait.wav\", listen = false }";
    let stage = stage_with("announced", far.address, "fallback = \"none\"", consent);
    let caller = stage.call(Audio::looped(voice_of_the_caller()));
    stage.until("the announcement", |what| matches!(what, What::PromptStarted { .. }));
    stage.until("its end", |what| matches!(what, What::PromptEnded { completed: true, .. }));
    stage.until("consent", |what| *what == consent_is("given", "announcement"));
    assert!(!stage.was_told(|what| matches!(what, What::Observed { .. })), "somebody listened before");
    stage.until("what is heard", |what| matches!(what, What::Observed { .. }));
    stage.until("words", is_said);
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

fn is_said(what: &What) -> bool {
    matches!(what, What::Said { .. })
}

fn consent_is(state: &str, by: &str) -> What {
    What::Consent { state: state.to_owned(), by: by.to_owned() }
}
