//! Rules against small stories of calls.

use std::time::Duration;

use super::*;
use crate::{Emotion, Level};

const AFTER_SALES: &str = r#"
name = "after-sales"
version = 3
scenarios = ["after-sales"]
[[rule]]
id = "notice"
when = { emotion = "anger", level = "medium" }
then = [{ alert = "warning", text = "look" }, { prompt = "calm.wav", mode = "duck" }]
[[rule]]
id = "move"
priority = 10
when = { emotion = "anger", level = "high", lasted_s = 0.5 }
then = [{ prompt = "sorry.wav", mode = "replace" }, { reroute = "bridge", target = "human" }]
[[rule]]
id = "tell"
when = { emotion = "anger", level = "high" }
then = [{ alert = "critical", text = "now" }]
cooldown_s = 2
[[fallback]]
id = "no-human"
then = [{ prompt = "wait.wav", mode = "replace" }, { alert = "critical", text = "nobody answers" }]
"#;

#[test]
fn calm_calls_are_left_alone() {
    check(AFTER_SALES, &[(0.0, START), (1.0, neutral()), (60.0, anger(Level::Low)), (61.0, JOY)], &[]);
}

#[test]
fn other_scenarios_are_left_alone() {
    check(AFTER_SALES, &[(0.0, Say::Start("finance")), (1.0, anger(Level::High)), (9.0, anger(Level::High))], &[]);
}

#[test]
fn fires_once_the_level_has_lasted() {
    let story = [(0.0, START), (1.0, anger(Level::Medium)), (2.0, anger(Level::High)), (2.5, anger(Level::High))];
    check(AFTER_SALES, &story, &["1.0 notice", "2.0 tell", "2.5 move lasted 0.5", "4.3 tell", "6.6 tell"]);
}

#[test]
fn fires_by_time_when_nobody_speaks() {
    check(
        AFTER_SALES,
        &[(0.0, START), (2.0, anger(Level::High))],
        &["2.0 notice", "2.0 tell", "2.8 move lasted 0.8", "4.3 tell", "6.6 tell"],
    );
}

#[test]
fn an_observation_in_time_speaks_first() {
    let story = [(0.0, START), (2.0, anger(Level::High)), (2.7, neutral())];
    check(AFTER_SALES, &story, &["2.0 notice", "2.0 tell"]);
}

#[test]
fn the_rule_that_goes_first_silences_the_others() {
    // Straight to high for long: the milder rule, due a moment later, has given way.
    let text = AFTER_SALES.replace("level = \"medium\"", "level = \"medium\", lasted_s = 0.7");
    let story = [(0.0, START), (1.0, anger(Level::High)), (1.5, anger(Level::High)), (2.0, anger(Level::High))];
    check(&text, &story, &["1.0 tell", "1.5 move lasted 0.5", "3.3 tell", "5.6 tell"]);
}

#[test]
fn a_failed_reroute_runs_the_fallback() {
    let story = [
        (0.0, START),
        (1.0, anger(Level::High)),
        (1.5, anger(Level::High)),
        (2.0, Say::Failed("486 Busy Here")),
        (2.5, Say::Failed("again")),
        (2.6, neutral()),
        (3.0, anger(Level::High)),
        (3.6, anger(Level::High)),
    ];
    check(
        AFTER_SALES,
        &story,
        &[
            "1.0 notice",
            "1.0 tell",
            "1.5 move lasted 0.5",
            "2.0 no-human because 486 Busy Here",
            "3.0 tell",
            "5.3 tell",
            "7.6 tell",
        ],
    );
}

#[test]
fn what_nobody_listens_to_is_no_silence() {
    let text = "name = \"p\"\nversion = 1\nscenarios = [\"after-sales\"]\n[[rule]]\nid = \"silent\"\n\
                when = { silence_s = 8 }\nthen = [{ alert = \"info\", text = \"x\" }]\n";
    check(text, &[(0.0, START), (30.0, neutral())], &["8.3 silent"]);
    let past_us = [(0.0, START), (2.0, Say::Listens(false)), (30.0, Say::Listens(true)), (50.0, neutral())];
    check(text, &past_us, &["38.3 silent"]);
    check(text, &[(0.0, START), (2.0, Say::Listens(false)), (50.0, Say::Press('1'))], &[]);
}

#[test]
fn nobody_is_moved_twice() {
    let text = AFTER_SALES.replace("lasted_s = 0.5 }", "lasted_s = 0.5 }\ncooldown_s = 1");
    let story = [
        (0.0, START),
        (1.0, anger(Level::High)),
        (1.5, anger(Level::High)),
        (3.5, anger(Level::High)),
        (4.0, neutral()),
        (5.0, anger(Level::High)),
        (5.5, anger(Level::High)),
        (5.6, Say::Rerouted),
        (6.0, neutral()),
        (7.0, anger(Level::High)),
        (7.6, anger(Level::High)),
        (7.7, neutral()),
    ];
    check(&text, &story, &["1.0 notice", "1.0 tell", "1.5 move lasted 0.5", "3.3 tell", "5.5 tell", "7.6 tell"]);
}

#[test]
fn fallbacks_escalate_and_end() {
    let text = r#"
name = "p"
version = 1
scenarios = ["*"]
[[rule]]
id = "first"
when = { emotion = "anger", level = "high" }
then = [{ reroute = "refer", target = "a" }]
[[fallback]]
id = "second"
after = "first"
then = [{ reroute = "bridge", target = "b" }]
[[fallback]]
id = "third"
then = [{ reroute = "bridge", target = "c" }]
"#;
    let failed = Say::Failed("no");
    let story = [(0.0, START), (1.0, anger(Level::High)), (2.0, failed), (3.0, failed), (4.0, failed), (5.0, failed)];
    check(text, &story, &["1.0 first", "2.0 second because no", "3.0 third because no"]);
}

#[test]
fn score_and_trend_are_conditions() {
    let text = r#"
name = "p"
version = 1
scenarios = ["*"]
[[rule]]
id = "rising"
when = { emotion = "anger", score_at_least = 0.5, trend_at_least = 0.1 }
then = [{ alert = "info", text = "rising" }]
"#;
    let say = |score, trend| Say::Emotion(Emotion::Anger, Level::Low, score, trend);
    check(
        text,
        &[(0.0, START), (1.0, say(0.4, 0.2)), (2.0, say(0.6, 0.05)), (3.0, say(0.6, 0.1))],
        &["3.0 rising lasted 2.0"],
    );
    check(text, &[(0.0, START), (1.0, say(f32::NAN, f32::INFINITY)), (2.0, say(f32::INFINITY, f32::NAN))], &[]);
}

#[test]
fn old_observations_end() {
    let text = AFTER_SALES.replace("lasted_s = 0.5", "lasted_s = 6");
    // Nobody speaks for 7 s: the anger is taken to have ended, and begins again.
    let story = [(0.0, START), (1.0, anger(Level::High)), (8.0, anger(Level::High)), (12.0, neutral())];
    check(&text, &story, &["1.0 notice", "1.0 tell", "3.3 tell", "5.6 tell", "8.0 tell", "10.3 tell"]);
}

const KEYS: &str = r#"
name = "p"
version = 1
scenarios = ["*"]
[[rule]]
id = "human"
when = { key = "0" }
then = [{ reroute = "bridge", target = "human" }]
cooldown_s = 1
[[rule]]
id = "service"
priority = 1
when = { keys = "*90" }
then = [{ prompt = "menu.wav", mode = "replace" }]
cooldown_s = 1
[[rule]]
id = "count"
when = { key = "0" }
then = [{ alert = "info", text = "pressed 0" }]
cooldown_s = 1
[[fallback]]
id = "stay"
then = [{ alert = "info", text = "nobody" }]
"#;

#[test]
fn keys_are_conditions() {
    let story = [(0.0, START), (1.0, Say::Press('1')), (2.0, Say::Press('0')), (2.5, Say::Press('0'))];
    check(KEYS, &story, &["2.0 human by 0", "2.0 count by 0"]);
    // While the caller is on the way, nothing else speaks or moves.
    let story = [(0.0, START), (1.0, Say::Press('0')), (3.0, Say::Press('0')), (4.0, Say::Failed("486"))];
    check(KEYS, &story, &["1.0 human by 0", "1.0 count by 0", "3.0 count by 0", "4.0 stay because 486"]);
}

#[test]
fn keys_follow_each_other_within_seconds() {
    let press = |at_s, keys: &str| keys.chars().map(Say::Press).map(|key| (at_s, key)).collect::<Vec<_>>();
    let story = |parts: &[Vec<(f64, Say)>]| [vec![(0.0, START)], parts.concat()].concat();
    // The one with the higher priority speaks; the others give way or only alert.
    check(KEYS, &story(&[press(1.0, "7*9"), press(5.5, "0")]), &["5.5 service by *90", "5.5 count by 0"]);
    check(KEYS, &story(&[press(1.0, "*9"), press(6.5, "0")]), &["6.5 human by 0", "6.5 count by 0"]);
    // More keys than are remembered, and keys that no rule names.
    check(
        KEYS,
        &story(&[press(1.0, "11111111111111111111ABCD*9#*9"), press(2.0, "0")]),
        &["2.0 service by *90", "2.0 count by 0"],
    );
}

#[test]
fn keys_that_made_a_rule_fire_are_used_up() {
    let text = KEYS.replace("\"*90\"", "\"00\"");
    let story = [(0.0, START), (1.0, Say::Press('0')), (3.0, Say::Press('0'))];
    check(&text, &story, &["1.0 human by 0", "1.0 count by 0", "3.0 count by 0"]);
}

#[test]
fn calls_beyond_the_limit_are_counted() {
    let mut engine = Engine::with_limit(vec![Policy::parse(AFTER_SALES).expect("good")], 1);
    let mut out = Vec::new();
    for key in 0..3 {
        engine.handle(Duration::ZERO, CallKey(key), &START.event(), &mut out);
        engine.handle(Duration::ZERO, CallKey(key), &anger(Level::High).event(), &mut out);
    }
    assert_eq!((engine.calls_unfollowed(), out.len()), (2, 2));
    assert!(engine.deadline().is_some());
    engine.forget(CallKey(0));
    assert_eq!(engine.deadline(), None);
}

#[test]
fn a_call_keeps_the_policies_that_it_began_with() {
    let policy = |version: &str| Policy::parse(&AFTER_SALES.replace("version = 3", version)).expect("good");
    let mut engine = Engine::new(vec![policy("version = 4")]);
    let mut out = Vec::new();
    engine.start(Duration::ZERO, CallKey(1), &opening("after-sales"), vec![policy("version = 3")].into());
    engine.start(Duration::ZERO, CallKey(2), &opening("after-sales"), vec![].into());
    engine.handle(Duration::ZERO, CallKey(3), &START.event(), &mut out);
    for key in 1..=3 {
        // A second start changes nothing.
        engine.start(Duration::ZERO, CallKey(key), &opening("after-sales"), vec![policy("version = 5")].into());
        engine.handle(Duration::ZERO, CallKey(key), &anger(Level::High).event(), &mut out);
    }
    let mut got: Vec<(u64, &str)> = out.iter().map(|decision| (decision.call.0, decision.policy.as_str())).collect();
    got.dedup();
    assert_eq!(got, [(1, "after-sales@3"), (3, "after-sales@4")]);
}

#[test]
fn who_interrupts_often_enough_once_or_again() {
    let policy = r#"
name = "manners"
version = 1
scenarios = ["after-sales"]
[[rule]]
id = "once"
when = { interruptions = 2 }
then = [{ alert = "info", text = "twice" }]
[[rule]]
id = "again"
when = { interruptions = 3 }
then = [{ alert = "warning", text = "thrice or more" }]
cooldown_s = 5
"#;
    let interrupts = |at_s, times| (at_s, Say::Interrupts(times));
    let story = [(0.0, START), interrupts(1.0, 1), interrupts(2.0, 2), interrupts(3.0, 3), interrupts(4.0, 4)];
    let later = [interrupts(9.0, 5), interrupts(20.0, 1), interrupts(21.0, 2)];
    check(policy, &[&story[..], &later].concat(), &["2.0 once", "3.0 again", "9.0 again"]);
}

#[test]
fn who_says_what_a_rule_waits_for() {
    let policy = r#"
name = "words"
version = 1
scenarios = ["after-sales"]
[[rule]]
id = "complaint"
when = { said = ["complaint", "manager"] }
then = [{ alert = "warning", text = "complains" }]
[[rule]]
id = "human"
when = { said = ["manager"] }
then = [{ reroute = "bridge", target = "human" }]
cooldown_s = 5
"#;
    let story = [(0.0, START), (1.0, Say::Says("refund")), (2.0, Say::Says("manager")), (3.0, Say::Says("complaint"))];
    check(policy, &story, &["2.0 complaint on manager", "2.0 human on manager"]);
}

#[derive(Clone, Copy)]
enum Say {
    Start(&'static str),
    Emotion(Emotion, Level, f32, f32),
    Press(char),
    Interrupts(u32),
    Says(&'static str),
    Failed(&'static str),
    Rerouted,
    Listens(bool),
}

const START: Say = Say::Start("after-sales");
const JOY: Say = Say::Emotion(Emotion::Joy, Level::High, 1.0, 0.0);

fn neutral() -> Say {
    Say::Emotion(Emotion::Neutral, Level::Low, 0.1, 0.0)
}

fn anger(level: Level) -> Say {
    Say::Emotion(Emotion::Anger, level, 0.7, 0.0)
}

fn opening(scenario: &str) -> Opening {
    Opening { scenario: scenario.to_owned(), ..Opening::default() }
}

impl Say {
    fn event(self) -> Event {
        match self {
            Say::Start(scenario) => Event::Started(opening(scenario)),
            Say::Emotion(emotion, level, score, trend_per_s) => Event::Emotion { emotion, level, score, trend_per_s },
            Say::Press(key) => Event::Key { key },
            Say::Interrupts(times) => Event::Interrupted { times },
            Say::Says(intent) => Event::Said { intent: intent.to_owned() },
            Say::Failed(reason) => Event::RerouteFailed { reason: reason.to_owned() },
            Say::Rerouted => Event::Rerouted,
            Say::Listens(on) => Event::Listened { on },
        }
    }
}

/// Plays a story of (seconds, event) to one call, ticking at every deadline on the way and 60 s beyond, and compares
/// what was decided, one line each: `SECONDS RULE [lasted SECONDS] [by KEYS] [on SAID] [because FAILURE]`.
#[track_caller]
fn check(policy: &str, story: &[(f64, Say)], expected: &[&str]) {
    let mut engine = Engine::new(vec![Policy::parse(policy).expect("a good policy")]);
    let mut got = Vec::new();
    for &(at_s, say) in story.iter().chain([&(story.last().expect("a story").0 + 60.0, JOY)]) {
        let at = Duration::from_secs_f64(at_s);
        while let Some((due, _)) = engine.deadline().filter(|&(due, _)| due < at) {
            let mut out = Vec::new();
            engine.tick(due, &mut out);
            got.extend(out.iter().map(|decision| line(due, decision)));
        }
        let mut out = Vec::new();
        engine.handle(at, CallKey(1), &say.event(), &mut out);
        got.extend(out.iter().map(|decision| line(at, decision)));
    }
    assert_eq!(got, expected);
}

fn line(at: Duration, decision: &Decision) -> String {
    let mut line = format!("{:.1} {}", at.as_secs_f64(), decision.rule);
    if !decision.because.lasted.is_zero() && decision.rule != "tell" && decision.because.failure.is_none() {
        line += &format!(" lasted {:.1}", decision.because.lasted.as_secs_f64());
    }
    if let Some(keys) = &decision.because.keys {
        line += &format!(" by {keys}");
    }
    if let Some(said) = &decision.because.said {
        line += &format!(" on {said}");
    }
    if let Some(failure) = &decision.because.failure {
        line += &format!(" because {failure}");
    }
    line
}
