//! Policy texts and the faults they have.

use std::time::Duration;

use super::*;
use crate::{Hold, Language, PlayMode, Route, SecureInput, Until, Whisper};

const GOOD: &str = r#"
name = "after-sales"
version = 3
scenarios = ["after-sales", "returns"]

[[rule]]
id = "angry-to-human"
priority = 10
when = { emotion = "anger", level = "high", lasted_s = 0.5, score_at_least = 0.6, trend_at_least = 0, scenario = "returns" }
then = [
  { prompt = "sorry-transfer.wav", mode = "replace" },
  { reroute = "bridge", target = "human" },
  { alert = "critical", text = "一位客户很生气" },
]

[[rule]]
id = "tell"
when = { emotion = "sadness" }
then = [{ alert = "info", text = "sad" }]
cooldown_s = 60

[[fallback]]
id = "no-human"
after = "angry-to-human"
then = [{ prompt = "en/wait.wav", mode = "duck" }]
"#;

#[test]
fn reads_everything() {
    let policy = Policy::parse(GOOD).expect("a good policy");
    assert_eq!(policy.label(), "after-sales@3");
    assert_eq!((policy.covers("returns"), policy.covers("finance")), (true, false));
    assert_eq!(
        policy.rules[0].when,
        When {
            trigger: Trigger::Feels(Feeling {
                emotion: Emotion::Anger,
                level: Level::High,
                score_at_least: 0.6,
                lasted: Duration::from_millis(500),
                trend_at_least: Some(0.0),
            }),
            scenario: Some("returns".to_owned()),
            circumstances: Circumstances::default(),
        }
    );
    assert_eq!((policy.rules[0].priority, policy.rules[0].repeat), (10, Repeat::Once));
    let Trigger::Feels(sadness) = &policy.rules[1].when.trigger else { panic!("no feeling") };
    assert_eq!((sadness.level, sadness.lasted), (Level::Low, Duration::ZERO));
    assert_eq!(policy.rules[1].repeat, Repeat::Every(Duration::from_secs(60)));
    assert_eq!(policy.fallbacks[0].after.as_deref(), Some("angry-to-human"));
    let keys: Vec<String> = policy.actions().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        ["rule[1].then[1]", "rule[1].then[2]", "rule[1].then[3]", "rule[2].then[1]", "fallback[1].then[1]"]
    );
}

#[test]
fn faults_in_the_head() {
    check("version = 3", "version = 0", &["version: found 0, expected a whole number from 1 to 1000000"]);
    check("version = 3", "", &["version: found nothing, expected a whole number from 1 to 1000000"]);
    check(
        "version = 3",
        "versoin = 3",
        &[
            "version: found nothing, expected a whole number from 1 to 1000000",
            "versoin: found an unknown key (= 3), expected a known key; the nearest is \"version\"",
        ],
    );
    check(
        "[\"after-sales\", \"returns\"]",
        "[]",
        &["scenarios: found [], expected a list of 1-50 scenario names, or [\"*\"]"],
    );
}

#[test]
fn faults_in_conditions() {
    check(
        "emotion = \"anger\"",
        "emotion = \"angry\"",
        &["rule[1].when.emotion: found \"angry\", expected \"neutral\" or \"anger\" or \"joy\" or \"sadness\""],
    );
    check("lasted_s = 0.5", "lasted_s = -1", &["rule[1].when.lasted_s: found -1, expected seconds, 0-3600"]);
    check("lasted_s = 0.5", "lasted_s = nan", &["rule[1].when.lasted_s: found nan, expected seconds, 0-3600"]);
    check(
        "scenario = \"returns\"",
        "scenario = \"x\"",
        &["rule[1].when.scenario: found \"x\", expected one of the policy's scenarios"],
    );
    check(
        "when = { emotion = \"sadness\" }",
        "",
        &["rule[2].when: found nothing, expected a table with the conditions"],
    );
}

#[test]
fn levels_are_those_of_anger() {
    check(
        "emotion = \"sadness\"",
        "emotion = \"sadness\", level = \"high\"",
        &[
            "rule[2].when.level: found it beside another emotion, expected emotion = \"anger\": levels and scores are those of anger",
        ],
    );
}

#[test]
fn faults_in_actions() {
    let none = "exactly one of prompt, say, reroute, alert, secure_input, announce, notify";
    check(
        "{ alert = \"info\", text = \"sad\" }",
        "{}",
        &[&format!("rule[2].then[1]: found no action, or several in one table, expected {none}")],
    );
    check(
        "alert = \"info\", text",
        "text",
        &[&format!("rule[2].then[1]: found no action, or several in one table, expected {none}")],
    );
    for bad in ["../x.wav", "/x.wav", "a//x.wav", "x.mp3", "a\\\\x.wav"] {
        let shown = bad.replace("\\\\", "\\");
        let quoted = if shown.contains('\\') { format!("'{shown}'") } else { format!("\"{shown}\"") };
        let expected = format!(
            "rule[1].then[1].prompt: found {quoted}, expected the name of a WAV or Opus file (.wav, .opus, .ogg) inside the prompt folder"
        );
        check("sorry-transfer.wav", bad, &[&expected]);
    }
    check(
        "{ reroute = \"bridge\", target = \"human\" },",
        "{ reroute = \"bridge\", target = \"a\" }, { reroute = \"refer\", target = \"b\" },",
        &["rule[1].then: found 2 actions with \"reroute\", expected at most one"],
    );
}

#[test]
fn reads_keys_and_what_is_said() {
    let text = GOOD
        .replace("{ emotion = \"sadness\" }", "{ keys = \"*9a\" }")
        .replace("en/wait.wav", "en/wait.OPUS")
        .replace("mode = \"replace\"", "mode = \"replace\", until = [\"key\", \"speech\"]")
        .replace(
            "{ alert = \"info\", text = \"sad\" }",
            "{ secure_input = \"on\" }, { say = { text = \"{X-Name}您好\", language = \"zh\" }, mode = \"duck\" }",
        );
    let policy = Policy::parse(&text).expect("a good policy");
    let until = Until { speech: true, key: true };
    assert_eq!(
        policy.rules[0].then[0],
        Action::Prompt { file: "sorry-transfer.wav".to_owned(), mode: PlayMode::Replace, until }
    );
    assert_eq!(policy.rules[1].when.trigger, Trigger::Presses("*9A".to_owned()));
    let said = Action::Say {
        text: "{X-Name}您好".to_owned(),
        language: Language::Mandarin,
        mode: PlayMode::Duck,
        until: Until::default(),
    };
    assert_eq!(policy.rules[1].then, [Action::SecureInput(SecureInput::On { end_key: '#' }), said]);
}

#[test]
fn reads_what_is_heard_meanwhile() {
    for (text, hold) in [
        ("", None),
        (", hold = \"ringback\"", Some(Hold::Ringback)),
        (", hold = \"music.opus\"", Some(Hold::Music("music.opus".to_owned()))),
    ] {
        let text = GOOD.replace("target = \"human\"", &format!("target = \"human\"{text}"));
        let policy = Policy::parse(&text).expect("a good policy");
        assert_eq!(
            policy.rules[0].then[1],
            Action::Reroute {
                ways: vec![Route::Bridge],
                target: "human".to_owned(),
                hold,
                within: None,
                whisper: None
            }
        );
    }
    check(
        "{ reroute = \"bridge\", target = \"human\" }",
        "{ reroute = \"refer\", target = \"human\", hold = \"ringback\" }",
        &[
            "rule[1].then[2].hold: found it beside ways that let others call the target, expected it beside \"bridge\" or \"attended\": otherwise the PBX decides",
        ],
    );
    check(
        "target = \"human\"",
        "target = \"human\", hold = \"../music.wav\"",
        &[
            "rule[1].then[2].hold: found \"../music.wav\", expected \"ringback\", or the name of a WAV or Opus file (.wav, .opus, .ogg) inside the prompt folder",
        ],
    );
}

#[test]
fn reads_what_only_the_human_hears() {
    let say = |text: &str| Whisper::Say { text: text.to_owned(), language: Language::Mandarin };
    for (text, whisper) in [
        ("whisper = \"angry.wav\"", Whisper::File("angry.wav".to_owned())),
        ("whisper = { text = \"客户很生气\", language = \"zh\" }", say("客户很生气")),
        ("whisper = { text = \"{X-Account}\", language = \"zh\" }, hold = \"ringback\"", say("{X-Account}")),
    ] {
        let text = GOOD.replace("target = \"human\"", &format!("target = \"human\", {text}"));
        let policy = Policy::parse(&text).expect("a good policy");
        let Action::Reroute { whisper: got, .. } = &policy.rules[0].then[1] else { panic!("a re-route") };
        assert_eq!(got.as_ref(), Some(&whisper), "{text}");
    }
    let bridge = "target = \"human\"";
    check(
        bridge,
        "target = \"human\", whisper = \"/etc/passwd\"",
        &[
            "rule[1].then[2].whisper: found \"/etc/passwd\", expected the name of a WAV or Opus file (.wav, .opus, .ogg) inside the prompt folder, or a table with text and language",
        ],
    );
    check(
        bridge,
        "target = \"human\", whisper = { text = \"hello\" }",
        &["rule[1].then[2].whisper.language: found nothing, expected \"zh\" or \"en\""],
    );
    check(
        "{ reroute = \"bridge\", target = \"human\" }",
        "{ reroute = \"refer\", target = \"human\", whisper = \"angry.wav\" }",
        &[
            "rule[1].then[2].whisper: found it beside ways in which the PBX calls the target, expected it beside \"bridge\": otherwise the PBX decides",
        ],
    );
}

#[test]
fn faults_in_keys() {
    let sad = "{ emotion = \"sadness\" }";
    check(sad, "{ key = \"10\" }", &["rule[2].when.key: found \"10\", expected one key: 0-9, *, # or A-D"]);
    check(sad, "{ keys = \"\" }", &["rule[2].when.keys: found \"\", expected 1-16 keys: 0-9, *, # or A-D"]);
    check(sad, "{ key = \"1\", keys = \"12\" }", &["rule[2].when.keys: found both key and keys, expected one of them"]);
    check(
        sad,
        "{ key = \"1\", emotion = \"anger\" }",
        &[
            "rule[2].when.emotion: found it beside keys, expected one thing that the rule waits for in `when`, and in `while` what must be so besides",
        ],
    );
    check(
        "{ alert = \"info\", text = \"sad\" }",
        "{ secure_input = \"off\", end_key = \"1\" }",
        &[
            "rule[2].then[1].end_key: found it beside secure_input = \"off\", expected it beside secure_input = \"on\" only",
        ],
    );
}

#[test]
fn faults_in_interruptions() {
    let sad = "{ emotion = \"sadness\" }";
    check(
        sad,
        "{ interruptions = 0 }",
        &["rule[2].when.interruptions: found 0, expected a whole number from 1 to 100"],
    );
    check(
        sad,
        "{ interruptions = 2, key = \"1\", lasted_s = 1 }",
        &[
            "rule[2].when.key: found it beside interruptions, expected one thing that the rule waits for in `when`, and in `while` what must be so besides",
            "rule[2].when.lasted_s: found it beside interruptions, expected one thing that the rule waits for in `when`, and in `while` what must be so besides",
        ],
    );
}

#[test]
fn faults_in_what_the_caller_says() {
    let sad = "{ emotion = \"sadness\" }";
    let intents = "expected a list of 1-20 intents of the phrase lists";
    check(sad, "{ said = [] }", &[&format!("rule[2].when.said: found [], {intents}")]);
    check(sad, "{ said = \"complaint\" }", &[&format!("rule[2].when.said: found \"complaint\", {intents}")]);
    check(
        sad,
        "{ said = [\"complaint\"], level = \"high\" }",
        &[
            "rule[2].when.level: found it beside said, expected one thing that the rule waits for in `when`, and in `while` what must be so besides",
        ],
    );
}

#[test]
fn faults_in_what_is_said() {
    let alert = "{ alert = \"info\", text = \"sad\" }";
    let text = "1-500 characters on one line; {NAME} stands for a header of the INVITE";
    check(
        alert,
        "{ say = { text = \"{\", language = \"fr\" }, mode = \"duck\" }",
        &[
            &format!("rule[2].then[1].say.text: found \"{{\", expected {text}"),
            "rule[2].then[1].say.language: found \"fr\", expected \"zh\" or \"en\"",
        ],
    );
    check(alert, "{ say = \"hello\", mode = \"duck\" }", &["rule[2].then[1].say: found \"hello\", expected a table"]);
    check(
        "{ prompt = \"sorry-transfer.wav\", mode = \"replace\" }",
        "{ prompt = \"a.wav\", mode = \"duck\" }, { say = { text = \"a\", language = \"en\" }, mode = \"duck\" }",
        &["rule[1].then: found 2 actions with \"prompt\" or \"say\", expected at most one"],
    );
    check(
        "mode = \"duck\"",
        "mode = \"duck\", until = [\"hangup\"]",
        &["fallback[1].then[1].until: found [\"hangup\"], expected a list of \"speech\" and \"key\""],
    );
}

#[test]
fn faults_in_ids_and_repeats() {
    check(
        "id = \"tell\"",
        "id = \"no-human\"",
        &["fallback[1].id: found \"no-human\", which stands above already, expected an id of its own"],
    );
    check(
        "after = \"angry-to-human\"",
        "after = \"gone\"",
        &["fallback[1].after: found \"gone\", expected the id of a rule or fallback here"],
    );
    check(
        "cooldown_s = 60",
        "cooldown_s = 60\nonce = true",
        &["rule[2].cooldown_s: found both once = true and cooldown_s, expected one of them"],
    );
    check(
        "cooldown_s = 60",
        "once = false",
        &["rule[2].cooldown_s: found once = false without it, expected cooldown_s, seconds, 1-86400"],
    );
}

/// Changes one piece of the good policy and compares the faults.
#[track_caller]
fn check(from: &str, to: &str, expected: &[&str]) {
    assert_eq!(GOOD.matches(from).count(), 1, "{from} must stand once in the good policy");
    let faults = Policy::parse(&GOOD.replace(from, to)).expect_err("a bad policy");
    let got: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert_eq!(got, expected);
}

#[test]
fn reads_ways_in_order() {
    let ways = |text: &str| {
        let text = GOOD.replace("reroute = \"bridge\"", &format!("reroute = {text}, within_s = 2.5"));
        let policy = Policy::parse(&text).expect("a good policy");
        let Action::Reroute { ways, within, .. } = policy.rules[0].then[1].clone() else { panic!("no re-route") };
        assert_eq!(within, Some(Duration::from_millis(2_500)));
        ways
    };
    assert_eq!(ways("\"attended\""), [Route::Attended]);
    let pbx = Route::Pbx("asterisk".to_owned());
    assert_eq!(
        ways("[\"asterisk\", \"refer\", \"info\", \"message\"]"),
        [pbx, Route::Refer, Route::Info, Route::Message]
    );
    let own = "bridge, refer, attended, info, message";
    for wrong in ["[]", "[\"refer\", \"refer\"]", "5", "[\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\"]"] {
        let expected = format!(
            "rule[1].then[2].reroute: found {}, expected a way or a list of 1-6 ways, best first: {own}, or the name of a [pbx.NAME]",
            wrong
        );
        check("reroute = \"bridge\"", &format!("reroute = {wrong}"), &[&expected]);
    }
}

#[test]
fn reads_what_others_are_asked_for() {
    let others = "{ announce = \"ivr/sorry.wav\", pbx = \"switch\" }, { notify = \"crm\" }";
    let text = GOOD.replace("{ reroute = \"bridge\", target = \"human\" }", others);
    let policy = Policy::parse(&text).expect("a good policy");
    let announce = Action::Announce { pbx: "switch".to_owned(), media: "ivr/sorry.wav".to_owned() };
    assert_eq!(policy.rules[0].then[1..3], [announce, Action::Notify { pbx: "crm".to_owned() }]);
}
