//! Policy texts and the faults they have.

use std::time::Duration;

use super::*;

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
            emotion: Emotion::Anger,
            level: Level::High,
            score_at_least: 0.6,
            lasted: Duration::from_millis(500),
            trend_at_least: Some(0.0),
            scenario: Some("returns".to_owned()),
        }
    );
    assert_eq!((policy.rules[0].priority, policy.rules[0].repeat), (10, Repeat::Once));
    assert_eq!((policy.rules[1].when.level, policy.rules[1].when.lasted), (Level::Low, Duration::ZERO));
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
    let none = "exactly one of prompt, reroute, alert";
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
        let expected =
            format!("rule[1].then[1].prompt: found {quoted}, expected a WAV file's name inside the prompt folder");
        check("sorry-transfer.wav", bad, &[&expected]);
    }
    check(
        "{ reroute = \"bridge\", target = \"human\" },",
        "{ reroute = \"bridge\", target = \"a\" }, { reroute = \"refer\", target = \"b\" },",
        &["rule[1].then: found 2 actions with \"reroute\", expected at most one"],
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
