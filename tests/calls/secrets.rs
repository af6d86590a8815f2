//! What a caller brings along in SIP and what a prompt makes of it is told to nobody who need not know it.

use calmline::demo::server::get;
use calmline::notice::What;
use loadtest::driver::PhonePlan;

use crate::stage::{ANY, Setup, Stage, angry, expect, folder};
use loadtest::phone::Event;

/// The user part of the caller's address: served to who has the token, and printed nowhere.
const NUMBER: &str = "13912345678";
/// The value of a header that a prompt speaks.
const ACCOUNT: &str = "6222020212345678";

const POLICY: &str = r#"
name = "secrets"
version = 1
scenarios = ["*"]
[[rule]]
id = "tells-the-account"
when = { emotion = "anger", level = "high" }
then = [{ say = { text = "your account {X-Account}", language = "en" }, mode = "replace" }, { alert = "warning", text = "look" }]
"#;

#[test]
fn secrets_of_a_caller_are_in_no_log_and_no_metric() {
    let stage = Stage::set(Setup { policy: Some(POLICY), ..Setup::named("secrets") });
    let plan = PhonePlan { audio: angry(), user: NUMBER.to_owned(), ..PhonePlan::new(ANY) };
    let caller = stage.phones.add(plan).expect("a caller");
    let target = format!("sip:support@{}", stage.server.addresses.sip);
    caller.call(&target, &[("X-Account", ACCOUNT)]).expect("an order");
    expect(&caller, "the answer", |event| *event == Event::Answered);
    // Without the program that speaks, the prompt fails, and that is told as well.
    stage.until("the prompt", |what| matches!(what, What::PromptStarted { .. } | What::PromptFailed { .. }));
    caller.hang_up().expect("an order");
    let ended = stage.until("the end", |what| matches!(what, What::CallEnded { .. }));

    let record = stage.api(&format!("/v1/calls/{}", ended.call)).to_string();
    let events = serde_json::to_string(&*stage.told.borrow()).expect("JSON");
    let log = std::fs::read_to_string(folder("secrets").join("server.log")).expect("a log");
    let metrics = get(stage.server.addresses.web, "/metrics", &stage.server.token).expect("metrics");
    assert!(record.contains(NUMBER) && events.contains(NUMBER), "who has the token may know who calls");
    assert!(log.contains("call started") && log.contains("tells-the-account"), "{log}");
    for (place, text, secrets) in [
        ("log", &log, &[NUMBER, ACCOUNT][..]),
        ("metrics", &metrics, &[NUMBER, ACCOUNT]),
        ("record", &record, &[ACCOUNT]),
        ("events", &events, &[ACCOUNT]),
    ] {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in the {place}: {text}");
        }
    }
    stage.is_empty();
}
