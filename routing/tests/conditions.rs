//! Every condition of the policy language against small calls: what rules wait for, what must be so besides, ladders,
//! bounds, comparisons and services.

use std::sync::Arc;
use std::time::Duration;

use routing::{Action, Decision, Fault, Policy, check_expects, play};

#[test]
fn what_is_known_besides_must_be_so() {
    let rule = |circumstances: &str| alert("when = { said = [\"refund\"] }", circumstances);
    let said = "{ at_s = 5, said = \"refund\" }";
    check(&rule(""), said, &["5.0 rule"]);
    for (circumstances, before, evidence) in [
        ("order = { state = \"delayed\" }", "{ at_s = 1, order = { state = \"delayed\" } }", "order.state = delayed"),
        (
            "order = { state = [\"lost\", \"delayed\"] }",
            "{ at_s = 1, order = { state = \"lost\" } }",
            "order.state = lost",
        ),
        (
            "customer = { value = { at_least = 100 } }",
            "{ at_s = 1, customer = { value = 100 } }",
            "customer.value = 100",
        ),
        ("customer = { vip = true }", "{ at_s = 1, customer = { vip = true } }", "customer.vip = true"),
        ("emotion = \"anger\", level = \"medium\"", ANGRY, "emotion anger, level high"),
        ("said = [\"delay\"]", "{ at_s = 1, said = \"delay\" }", "said delay"),
        ("words = [\"threat\"]", "{ at_s = 1, words = [\"threat\", \"anger\"] }", "words threat"),
        ("breach = [\"send-away\", \"greeting\"]", "{ at_s = 1, breach = \"greeting\" }", "breach greeting"),
        ("interruptions = 2", "{ at_s = 1, interruptions = 2 }", "2 interruptions"),
        ("talked_s = 5", "{ at_s = 1, other_spoke = true }", "talked 5.0 s"),
        ("mos_at_most = 3", "{ at_s = 1, mos = 2.5 }", "opinion 2.5"),
        ("loss_at_least = 0.05", "{ at_s = 1, loss = 0.1 }", "loss 10.0 %"),
    ] {
        let policy = rule(circumstances);
        // What is not known never makes a rule true.
        check(&policy, said, if circumstances.starts_with("talked") { &["5.0 rule: talked 5.0 s"] } else { &[] });
        check(&policy, &format!("{before}, {said}"), &[&format!("5.0 rule: {evidence}")]);
    }
}

#[test]
fn what_is_known_and_otherwise_is_not_enough() {
    let rule = |circumstances: &str| alert("when = { said = [\"refund\"] }", circumstances);
    for (circumstances, before) in [
        ("order = { state = \"delayed\" }", "{ at_s = 1, order = { state = \"sent\" } }"),
        ("customer = { value = { at_least = 100, at_most = 200 } }", "{ at_s = 1, customer = { value = 201 } }"),
        ("customer = { value = { at_least = 100 } }", "{ at_s = 1, customer = { value = \"many\" } }"),
        ("customer = { vip = true }", "{ at_s = 1, customer = { vip = false } }"),
        ("level = \"medium\"", "{ at_s = 4, emotion = \"neutral\" }"),
        ("breach = [\"greeting\"]", "{ at_s = 1, breach = \"send-away\" }"),
        ("interruptions = 2", "{ at_s = 1, interruptions = 1 }"),
        ("mos_at_most = 3", "{ at_s = 1, mos = 3.5 }"),
        ("talked_s = 6", "{ at_s = 1, other_spoke = true }"),
    ] {
        check(&rule(circumstances), &format!("{before}, {{ at_s = 5, said = \"refund\" }}"), &[]);
    }
}

#[test]
fn hours_days_and_channels() {
    let rule = |circumstances: &str| alert("when = { said = [\"refund\"] }", circumstances);
    let said = "{ at_s = 90, said = \"refund\" }";
    let night = "time = \"23:59\"\nday = \"sun\"\nchannel = \"siprec\"";
    for (circumstances, decided) in [
        ("hours = [\"22:00-06:00\"]", Some("mon 00:00")),
        ("hours = [\"09:00-18:00\", \"00:00-00:01\"]", Some("mon 00:00")),
        ("hours = [\"09:00-18:00\"]", None),
        ("days = [\"mon\"]", Some("mon 00:00")),
        ("days = [\"sun\"]", None),
        ("channels = [\"siprec\", \"phone\"]", Some("channel siprec")),
        ("channels = [\"phone\"]", None),
    ] {
        let decided = decided.map(|evidence| format!("90.0 rule: {evidence}"));
        check_in(&rule(circumstances), night, said, &decided.as_deref().into_iter().collect::<Vec<_>>());
        check(&rule(circumstances), said, &[]);
    }
}

#[test]
fn words_and_repeats_are_waited_for() {
    let words = alert("when = { words = [\"threat\"] }", "");
    check(&words, "{ at_s = 1, words = [\"anger\"] }, { at_s = 2, words = [\"anger\", \"threat\"] }", &["2.0 rule"]);
    let repeats = alert("when = { repeats = 3 }", "");
    let say = |at: u32, what: &str| format!("{{ at_s = {at}, said = \"{what}\" }}");
    let story = [say(1, "refund"), say(2, "delay"), say(3, "refund"), say(4, "refund"), say(5, "refund")].join(", ");
    check(&repeats, &story, &["4.0 rule: said 3 times"]);
    check(&alert("when = { repeats = 2, of = [\"delay\"] }", ""), &story, &[]);
}

#[test]
fn who_thanks_again_and_again_repeats_nothing_unless_that_is_named() {
    let story = (1..=3).map(|at| format!("{{ at_s = {at}, said = \"thanks\" }}")).collect::<Vec<_>>().join(", ");
    check(&alert("when = { repeats = 3 }", ""), &story, &[]);
    check(&alert("when = { repeats = 3, of = [\"thanks\"] }", ""), &story, &["3.0 rule: said 3 times"]);
    check(&alert("when = { said = [\"thanks\"] }", ""), &story, &["1.0 rule"]);
    let besides = format!("{story}, {{ at_s = 5, said = \"refund\" }}");
    check(&alert("when = { said = [\"refund\"] }", "repeats = 3"), &besides, &[]);
}

#[test]
fn silence_and_waiting_pass_by_themselves() {
    let silent = alert("when = { silence_s = 8 }", "");
    check(&silent, "{ at_s = 3, other_spoke = true }", &["11.3 rule: silence 8.3 s"]);
    check(&silent, "{ at_s = 1, emotion = \"neutral\", lasts_s = 30 }", &["39.3 rule: silence 8.3 s"]);
    let waits = format!("{}{MOVES}", alert("when = { waited_s = 10 }", ""));
    check(&waits, "{ at_s = 1, key = \"0\" }, { at_s = 5, reroute = \"done\" }", &["1.0 move"]);
    check(
        &waits,
        "{ at_s = 1, key = \"0\" }, { at_s = 20, other_spoke = true }",
        &["1.0 move", "11.3 rule: waited 10.3 s"],
    );
    // Waits add up.
    let twice = "{ at_s = 1, key = \"0\" }, { at_s = 7, reroute = \"failed\" }, { at_s = 60, key = \"0\" }";
    check(&waits, twice, &["1.0 move", "60.0 move", "64.3 rule: waited 10.3 s"]);
}

#[test]
fn circumstances_that_come_with_time_are_waited_for() {
    let spoke = "{ at_s = 10, other_spoke = true }, { at_s = 100, other_spoke = true }";
    let late = alert("when = { silence_s = 20 }", "talked_s = 60");
    check(&late, spoke, &["60.3 rule: silence 50.3 s, talked 60.3 s"]);
    // Both in time, and the longer one last.
    check(&late.replace("60", "5"), spoke, &["30.3 rule: silence 20.3 s, talked 30.3 s"]);
    let unanswered = alert("when = { emotion = \"anger\" }", "silence_s = 4");
    check(&unanswered, "{ at_s = 1, emotion = \"anger\", level = \"high\" }", &["5.3 rule: silence 4.3 s"]);
    // What does not come with time is not waited for.
    check(&alert("when = { silence_s = 20 }", "waited_s = 5"), spoke, &[]);
}

#[test]
fn warnings_are_waited_for() {
    check(&alert("when = { warned = true }", ""), "{ at_s = 9, warned = 0.75 }", &["9.0 rule: escalation 75 %"]);
}

#[test]
fn a_fact_that_comes_late_lets_a_rule_that_is_due_fire() {
    let policy = alert("when = { emotion = \"anger\", level = \"high\" }", "customer = { vip = true }");
    let story = format!("{ANGRY}, {{ at_s = 6.0, customer = {{ vip = true }} }}");
    check(&policy, &story, &["6.0 rule: customer.vip = true"]);
}

#[test]
fn ladders_are_climbed_until_the_caller_calms() {
    let ladder = format!(
        "{}[[rule.step]]\nafter_s = 10\nthen = [{{ alert = \"warning\", text = \"1\" }}]\n\
         [[rule.step]]\nafter_s = 5\nthen = [{{ alert = \"critical\", text = \"2\" }}]\n",
        alert("when = { emotion = \"anger\", level = \"medium\" }", "")
    );
    let angry = "{ at_s = 1, emotion = \"anger\", level = \"medium\", lasts_s = 30 }";
    check(&ladder, angry, &["1.0 rule", "11.0 rule/1: not calm 10.0 s", "16.0 rule/2: not calm 5.0 s"]);
    // Calm for 3 s: the ladder ends, however angry the caller gets again.
    let calms = "{ at_s = 1, emotion = \"anger\", level = \"medium\", lasts_s = 5 }, \
         { at_s = 6.5, emotion = \"neutral\", lasts_s = 3.5 }, { at_s = 10.5, emotion = \"anger\", level = \"high\", lasts_s = 20 }";
    check(&ladder, calms, &["1.0 rule"]);
    // Calm for a moment only.
    let twitches = "{ at_s = 1, emotion = \"anger\", level = \"medium\", lasts_s = 8 }, \
         { at_s = 9.5, emotion = \"neutral\", lasts_s = 1 }, { at_s = 11.0, emotion = \"anger\", level = \"medium\", lasts_s = 1 }";
    check(&ladder, twitches, &["1.0 rule", "11.0 rule/1: not calm 10.0 s", "16.0 rule/2: not calm 5.0 s"]);
    // Nothing is heard any more: whether the caller is calm is not known.
    check(
        &ladder,
        "{ at_s = 1, emotion = \"anger\", level = \"medium\" }, { at_s = 40, other_spoke = true }",
        &["1.0 rule"],
    );
}

#[test]
fn ladders_of_rules_that_fire_again_or_calmly() {
    let said = format!(
        "{}cooldown_s = 5\n[[rule.step]]\nafter_s = 10\nthen = [{{ alert = \"warning\", text = \"1\" }}]\n",
        alert("when = { said = [\"refund\"] }", "")
    );
    let say = |at: u32| format!("{{ at_s = {at}, said = \"refund\" }}");
    // Saying it again does not begin the ladder anew.
    let angry = "{ at_s = 1, emotion = \"anger\", level = \"medium\", lasts_s = 30 }";
    let again = [angry.to_owned(), say(2), say(8), say(14)].join(", ");
    check(
        &said,
        &again,
        &["2.0 rule", "8.0 rule", "12.0 rule/1: not calm 10.0 s", "14.0 rule", "24.0 rule/1: not calm 10.0 s"],
    );
    // Said calmly, and heard calm since: nobody is taken to be angry.
    check(&said, &format!("{}, {{ at_s = 1, emotion = \"neutral\", lasts_s = 11 }}", say(2)), &["2.0 rule"]);
}

#[test]
fn a_policy_bounds_what_it_does_in_one_call() {
    let policy = format!("actions_per_call_max = 2\n{}", alert("when = { said = [\"refund\"] }", ""))
        .replace("[{ alert", "[{ alert = \"info\", text = \"y\" }, { alert");
    let policy = format!("{policy}cooldown_s = 1\n");
    let story = "{ at_s = 1, said = \"refund\" }, { at_s = 3, said = \"refund\" }";
    check(&policy, story, &["1.0 rule"]);
    check(&policy.replace("max = 2", "max = 4"), story, &["1.0 rule", "3.0 rule"]);
    // Changes of service do not count.
    let swings = "{ at_s = 1, emotion = \"anger\", level = \"medium\", lasts_s = 4 }, \
         { at_s = 5.5, emotion = \"neutral\", lasts_s = 20 }, { at_s = 30, said = \"refund\" }";
    let policy = format!("actions_per_call_max = 1\n{SERVICES}{}", alert("when = { said = [\"refund\"] }", ""));
    check(&policy, swings, &["1.5 sorry", "15.5 usual", "30.0 rule"]);
}

#[test]
fn a_comparison_serves_two_groups() {
    let rules = alert("when = { said = [\"refund\"] }", "")
        .replace("id = \"rule\"", "id = \"old\"\ngroup = \"control\"")
        + &alert("when = { said = [\"refund\"] }", "").replace("id = \"rule\"", "id = \"new\"\ngroup = \"treatment\"");
    let policy = |share: &str| format!("split = {{ id = \"wording\", share = {share} }}\n{rules}");
    let said = "{ at_s = 1, said = \"refund\" }";
    check(&policy("0"), said, &["1.0 old (wording: control)"]);
    check(&policy("1"), said, &["1.0 new (wording: treatment)"]);
}

#[test]
fn services_follow_the_mood_at_once_and_go_back_slowly() {
    let policy = SERVICES;
    let calm = "{ at_s = 1, emotion = \"neutral\", lasts_s = 3 }";
    check(policy, calm, &[]);
    let mood = |at: f64, emotion: &str, level: &str, lasts: f64| {
        format!("{{ at_s = {at}, emotion = \"{emotion}\", level = \"{level}\", lasts_s = {lasts} }}")
    };
    let story =
        [mood(1.0, "anger", "medium", 4.0), mood(5.5, "anger", "high", 4.0), mood(10.0, "neutral", "low", 20.0)];
    check(policy, &story.join(", "), &["1.5 sorry", "6.0 first", "20.0 usual"]);
    let switch = decided(policy, "", &story.join(", ")).remove(0).1;
    let Action::Serve(switch) = &switch.actions[0] else { panic!("no switch") };
    let before = switch.before.as_ref().map(|before| before.id.as_str());
    let words = switch.words.as_ref().map(|(text, language)| (text.as_str(), language.as_str()));
    assert_eq!((before, words), (Some("usual"), Some(("非常抱歉", "zh"))));
}

#[test]
fn services_do_not_swing() {
    // The mood changes every second for minutes: up once, and never back meanwhile.
    let swings: Vec<String> = (0..150)
        .map(|n| {
            let at = n * 2;
            format!("{{ at_s = {at}, emotion = \"anger\", level = \"high\", lasts_s = 0.5 }}, {{ at_s = {at}.9, emotion = \"neutral\" }}")
        })
        .collect();
    check(SERVICES, &swings.join(", "), &["0.5 first"]);
}

#[test]
fn scripts_are_said_in_the_language_of_the_call() {
    let policy = format!("{SCRIPTS}{}", alert("when = { said = [\"refund\"] }", ""))
        .replace("{ alert = \"info\", text = \"x\" }", "{ say = { script = \"sorry\" }, mode = \"duck\" }");
    for (call, text) in [("language = \"en\"", "I am sorry"), ("language = \"zh\"", "非常抱歉"), ("", "非常抱歉")]
    {
        let decided = decided(&policy, call, "{ at_s = 1, said = \"refund\" }");
        let Action::Script { id, texts, .. } = &decided[0].1.actions[0] else { panic!("{decided:?}") };
        assert_eq!((id.as_str(), texts.values().collect::<Vec<_>>()), ("sorry", vec![&text.to_owned()]), "{call}");
    }
}

#[test]
fn a_recording_is_played_in_the_place_of_its_text() {
    let recorded = SCRIPTS.replacen("zh =", "zh_audio = \"sorry.wav\"\nzh =", 1);
    let policy = format!("{recorded}{}", alert("when = { said = [\"refund\"] }", ""))
        .replace("{ alert = \"info\", text = \"x\" }", "{ say = { script = \"sorry\" }, mode = \"duck\" }");
    for (call, sounds) in [("language = \"en\"", vec![]), ("language = \"zh\"", vec!["sorry.wav"])] {
        let decided = decided(&policy, call, "{ at_s = 1, said = \"refund\" }");
        let Action::Script { sounds: found, texts, .. } = &decided[0].1.actions[0] else { panic!("{decided:?}") };
        assert_eq!((found.values().map(String::as_str).collect::<Vec<_>>(), texts.len()), (sounds, 1), "{call}");
    }
    for (script, expected) in [
        (
            "zh_audio = \"../sorry.wav\"\nzh = \"x\"",
            "script[1].zh_audio: found \"../sorry.wav\", expected the name of a WAV",
        ),
        ("zh = \"x\"\nen_audio = \"sorry.wav\"", "script[1].en_audio: found it without a text, expected en beside it"),
    ] {
        let policy = format!("name = \"p\"\nversion = 1\nscenarios = [\"*\"]\n[[script]]\nid = \"s\"\n{script}\n");
        let faults = Policy::parse(&policy).expect_err(expected);
        assert!(faults.iter().any(|fault| fault.to_string().starts_with(expected)), "{faults:?}");
    }
}

#[test]
fn expectations_are_held_against_the_policy() {
    let block = |rest: &str| {
        let policy = text(&alert("when = { said = [\"refund\"] }", ""));
        let policy =
            format!("{policy}[[expect]]\nname = \"e\"\nevents = [{{ at_s = 1, said = \"refund\" }}]\n{rest}\n");
        let policy = Policy::parse(&policy).expect("good");
        check_expects(&policy).into_iter().map(|broken| broken.why).collect::<Vec<_>>()
    };
    assert_eq!(block("then = [\"rule\"]\nonly = true"), [""; 0]);
    assert_eq!(block("never = [\"rule\"]"), ["decided rule; never expected rule"]);
    assert_eq!(block("then = [\"rule\", \"rule\"]"), ["decided rule; expected rule"]);
    assert_eq!(block("only = true"), ["decided rule; expected only what `then` names, not rule"]);
    assert_eq!(block("service = \"x\""), ["service the usual one at the end; expected x"]);
}

#[test]
fn faults_in_circumstances_and_services() {
    let rule = |circumstances: &str| text(&alert("when = { said = [\"refund\"] }", circumstances));
    let faults = |text: &str| {
        let faults = Policy::parse(text).expect_err("a bad policy");
        faults.iter().map(Fault::to_string).collect::<Vec<_>>()
    };
    for (circumstances, expected) in [
        (
            "hours = [\"9-18\"]",
            "rule[1].while.hours: found [\"9-18\"], expected a list of 1-20 times like \"09:00-18:00\"",
        ),
        ("customer = { Tier = 1 }", "rule[1].while.customer.Tier: found this name, expected 1-32 of a-z, 0-9 and _"),
        (
            "order = { state = { above = 1 } }",
            "rule[1].while.order.state: found a table, expected a text, a number, true or false; a list of 1-20 of them; { not = … } of these; or { at_least = …, at_most = … }",
        ),
        (
            "talked = 1",
            "rule[1].while.talked: found an unknown key (= 1), expected a known key; the nearest is \"talked_s\"",
        ),
        ("loss_at_least = 5", "rule[1].while.loss_at_least: found 5, expected a number from 0 to 1"),
    ] {
        assert_eq!(faults(&rule(circumstances)), [expected]);
    }
    let group = text(&alert("when = { said = [\"refund\"] }", ""))
        .replace("id = \"rule\"", "id = \"rule\"\ngroup = \"control\"");
    assert_eq!(
        faults(&group),
        ["rule[1].group: found it without a [split], expected a [split] at the top that says who is in which group"]
    );
    assert_eq!(
        faults(&text(&SERVICES.replacen("script = \"sorry\"", "script = \"gone\"", 1))),
        ["service[1].script: found \"gone\", expected the id of a [[script]] of this policy"]
    );
    let unknown = format!("{}[[expect]]\nname = \"e\"\nthen = [\"gone\"]\n", rule(""));
    assert_eq!(
        faults(&unknown),
        ["expect[1]: found \"gone\", expected the id of a rule, of a step (ID/1), of a fallback or of a service"]
    );
    assert_eq!(
        faults(&format!("schema = 2\n{}", rule(""))),
        ["schema: found 2, expected 1: the language that this version reads"]
    );
}

#[test]
fn what_a_fact_must_not_say_holds_when_it_is_not_known() {
    let late = alert("when = { key = \"1\" }\ncooldown_s = 1", "order = { state = { not = [\"late\", \"lost\"] } }");
    let key = |at: u32| format!("{{ at_s = {at}, key = \"1\" }}");
    let state = |at: u32, state: &str| format!("{{ at_s = {at}, order = {{ state = \"{state}\" }} }}");
    let events = [key(1), state(2, "late"), key(3), state(4, "sent"), key(5)].join(", ");
    check(&late, &events, &["1.0 rule: order.state unknown", "5.0 rule: order.state = sent"]);
    for wrong in ["{ not = [] }", "{ not = { at_least = 1 } }", "{ not = \"a\", at_least = 1 }"] {
        let wrong = text(&alert("when = { key = \"1\" }", &format!("order = {{ state = {wrong} }}")));
        let found = Policy::parse(&wrong).expect_err(&wrong);
        assert!(found.len() == 1 && found[0].to_string().contains("{ not = … } of these"), "{found:?}");
    }
}

const ANGRY: &str = "{ at_s = 4.5, emotion = \"anger\", level = \"high\" }";
const MOVES: &str = "[[rule]]\nid = \"move\"\nwhen = { key = \"0\" }\nthen = [{ reroute = \"bridge\", target = \"human\" }]\ncooldown_s = 1\n";
const SCRIPTS: &str = "[[script]]\nid = \"sorry\"\nzh = \"非常抱歉\"\nen = \"I am sorry\"\n";
const SERVICES: &str = r#"
calm_s = 10
[[script]]
id = "sorry"
zh = "非常抱歉"
en = "I am sorry"
[[service]]
id = "first"
when = { emotion = "anger", level = "high" }
served_by = "human"
priority = 1
script = "sorry"
tone = "apologetic"
[[service]]
id = "sorry"
when = { emotion = "anger", level = "medium" }
served_by = "bot"
priority = 2
script = "sorry"
[[service]]
id = "usual"
served_by = "bot"
"#;

/// A policy's only rule, which alerts.
fn alert(when: &str, circumstances: &str) -> String {
    format!(
        "[[rule]]\nid = \"rule\"\n{when}\nwhile = {{ {circumstances} }}\nthen = [{{ alert = \"info\", text = \"x\" }}]\n"
    )
}

fn text(rest: &str) -> String {
    format!("name = \"p\"\nversion = 1\nscenarios = [\"s\"]\n{rest}")
}

fn decided(policy: &str, call: &str, events: &str) -> Vec<(Duration, Decision)> {
    let text = format!("{}[[expect]]\nname = \"story\"\n{call}\nevents = [{events}]\n", text(policy));
    let policy = Policy::parse(&text).unwrap_or_else(|faults| panic!("{text}\n{faults:?}"));
    let story = policy.expects[0].story.clone();
    let policies: Arc<[Policy]> = vec![policy].into();
    let first = play(&policies, &story, None);
    assert_eq!(first, play(&policies, &story, None), "the same twice");
    first.decisions
}

/// Plays a call of these events and compares what was decided, one line each: `SECONDS RULE[ (GROUP)][: EVIDENCE]`.
#[track_caller]
fn check(policy: &str, events: &str, expected: &[&str]) {
    check_in(policy, "", events, expected);
}

/// The same with what else an `[[expect]]` says of the call.
#[track_caller]
fn check_in(policy: &str, call: &str, events: &str, expected: &[&str]) {
    let line = |(at, decision): (Duration, Decision)| {
        let group = decision.because.group.map(|group| format!(" ({group})")).unwrap_or_default();
        let facts = decision.because.facts.join(", ");
        let colon = if facts.is_empty() { "" } else { ": " };
        format!("{:.1} {}{group}{colon}{facts}", at.as_secs_f64(), decision.rule)
    };
    let got: Vec<String> = decided(policy, call, events).into_iter().map(line).collect();
    assert_eq!(got, expected, "{events}");
}
