//! What holds for every policy and every story: determinism, one re-route at a time, no invented rules, no panic.

#[path = "properties/crowd.rs"]
mod crowd;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use routing::{Action, CallKey, Decision, Emotion, Engine, Event, Fact, Level, Opening, Policy};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,400}") {
        let _ = Policy::parse(&text);
    }

    /// Damaged policies come closer to the reader's branches than noise does.
    #[test]
    fn any_damaged_policy_is_read_or_refused(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}=\",a-z0-9.\n-]{0,3}"), 1..6),
    ) {
        let mut text: Vec<char> = SHIPPED.chars().collect();
        for (at, put) in cuts {
            let at = at.index(text.len());
            text.splice(at..=at, put.chars());
        }
        if let Err(faults) = Policy::parse(&text.into_iter().collect::<String>()) {
            prop_assert!(!faults.is_empty());
        }
    }

    #[test]
    fn stories_keep_the_promises(policies in prop::collection::vec(policy(), 1..3), story in story()) {
        let policies: Vec<Policy> = policies
            .into_iter()
            .enumerate()
            .map(|(at, text)| Policy::parse(&text.replace("NAME", &format!("policy-{at}"))).expect("generated policies are good"))
            .collect();
        let known: BTreeSet<(String, String)> = policies
            .iter()
            .flat_map(|policy| {
                policy.ids().map(|id| (policy.label(), id)).collect::<Vec<_>>()
            })
            .collect();

        let first = play(policies.clone(), &story);
        prop_assert_eq!(&first, &play(policies, &story));

        let mut under_way: BTreeSet<CallKey> = BTreeSet::new();
        let mut moved: BTreeSet<CallKey> = BTreeSet::new();
        for step in first {
            match step {
                Step::Told(key, Event::RerouteFailed { .. }) => {
                    under_way.remove(&key);
                }
                Step::Told(key, Event::Rerouted) => {
                    under_way.remove(&key);
                    moved.insert(key);
                }
                Step::Told(..) => {}
                Step::Decided(decision) => {
                    prop_assert!(!decision.actions.is_empty());
                    prop_assert!(known.contains(&(decision.policy.clone(), decision.rule.clone())));
                    if decision.actions.iter().any(|action| matches!(action, Action::Reroute { .. })) {
                        prop_assert!(under_way.insert(decision.call), "two re-routes at a time");
                        prop_assert!(!moved.contains(&decision.call), "moved a call that is with a human");
                    }
                }
            }
        }
    }
}

const SHIPPED: &str = include_str!("../../config/policies/after-sales.toml");

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Told(CallKey, Event),
    Decided(Decision),
}

fn started(scenario: &str) -> Event {
    Event::Started(Opening { scenario: scenario.to_owned(), ..Opening::default() })
}

/// Plays a story of (milliseconds since the last event, call, event), ticking at every deadline on the way.
fn play(policies: Vec<Policy>, story: &[(u64, u64, Event)]) -> Vec<Step> {
    let mut engine = Engine::new(policies);
    let mut now = Duration::ZERO;
    let mut steps = Vec::new();
    for call in 0..2 {
        engine.handle(now, CallKey(call), &started("after-sales"), &mut Vec::new());
    }
    for (wait_ms, call, event) in story {
        now += Duration::from_millis(*wait_ms);
        let mut out = Vec::new();
        while let Some((due, _)) = engine.deadline().filter(|&(due, _)| due <= now) {
            engine.tick(due, &mut out);
            assert!(engine.deadline().is_none_or(|(next, _)| next > due), "a tick must move the deadline");
        }
        steps.extend(out.drain(..).map(Step::Decided));
        // Decisions of time that come before the event are caught by the tick above, so none may precede it here.
        steps.push(Step::Told(CallKey(*call), event.clone()));
        engine.handle(now, CallKey(*call), event, &mut out);
        steps.extend(out.drain(..).map(Step::Decided));
    }
    steps
}

fn story() -> impl Strategy<Value = Vec<(u64, u64, Event)>> {
    let emotion = prop_oneof![3 => Just(Emotion::Anger), 1 => Just(Emotion::Neutral)];
    let level = prop_oneof![Just(Level::Low), Just(Level::Medium), Just(Level::High)];
    let event = prop_oneof![
        12 => (emotion, level, 0.0_f32..=1.0, -0.5_f32..0.5)
            .prop_map(|(emotion, level, score, trend_per_s)| Event::Emotion { emotion, level, score, trend_per_s }),
        3 => prop::sample::select(vec!['0', '9', '*', '#']).prop_map(|key| Event::Key { key }),
        2 => prop::sample::select(vec!["complaint", "refund"]).prop_map(|intent| Event::Said { intent: intent.to_owned() }),
        1 => Just(Event::OtherSpoke),
        1 => any::<bool>().prop_map(|on| Event::Listened { on }),
        1 => (0.0_f32..0.3).prop_map(|loss| Event::Quality { mos: None, loss: Some(loss) }),
        1 => any::<bool>().prop_map(|known| Event::Fact {
            name: "order.state".to_owned(),
            value: known.then(|| Fact::Text("delayed".to_owned())),
        }),
        1 => (0.0_f32..1.0).prop_map(|score| Event::Warned { score, evidence: Vec::new() }),
        2 => Just(Event::RerouteFailed { reason: "486".to_owned() }),
        1 => Just(Event::Rerouted),
        1 => Just(started("other")),
    ];
    let wait_ms = prop_oneof![8 => Just(500_u64), 2 => 0_u64..8_000];
    prop::collection::vec((wait_ms, 0_u64..2, event), 0..60)
}

/// The head of a policy that bounds its actions and switches services.
const HEAD: &str = "name = \"NAME\"\nversion = 1\nscenarios = [\"*\"]\nactions_per_call_max = 40\ncalm_s = 5\n\
    [[service]]\nid = \"sorry\"\nwhen = { emotion = \"anger\", level = \"medium\" }\nserved_by = \"human\"\npriority = 1\n\
    [[service]]\nid = \"usual\"\nserved_by = \"bot\"\n";

/// A good policy called `NAME`.
fn policy() -> impl Strategy<Value = String> {
    let action = prop_oneof![
        Just("{ prompt = \"a.wav\", mode = \"duck\" }"),
        Just("{ reroute = \"bridge\", target = \"human\" }"),
        Just("{ alert = \"info\", text = \"x\" }"),
        Just("{ say = { text = \"{X-Name}您好\", language = \"zh\" }, mode = \"duck\", until = [\"key\"] }"),
        Just("{ secure_input = \"on\" }"),
        Just("{ prompt = \"a.wav\", mode = \"replace\" }, { reroute = \"refer\", target = \"human\" }"),
    ];
    let conditions = prop_oneof![
        Just("emotion = \"anger\", level = \"high\", lasted_s = 0.5"),
        Just("emotion = \"anger\", level = \"medium\", lasted_s = 2"),
        Just("emotion = \"anger\", score_at_least = 0.5"),
        Just("emotion = \"anger\", trend_at_least = 0.1, lasted_s = 1.5"),
        Just("key = \"0\""),
        Just("keys = \"*9\""),
        Just("said = [\"complaint\"]"),
        Just("repeats = 2"),
        Just("silence_s = 4"),
        Just("waited_s = 3"),
        Just("warned = true"),
    ];
    let meanwhile = prop_oneof![
        4 => Just(""),
        1 => Just("while = { level = \"medium\" }"),
        1 => Just("while = { order = { state = \"delayed\" } }"),
        1 => Just("while = { loss_at_least = 0.1, talked_s = 5 }"),
        1 => Just("while = { said = [\"refund\"], silence_s = 2 }"),
    ];
    let steps = prop_oneof![
        3 => Just(String::new()),
        1 => action.clone().prop_map(|then| format!("[[rule.step]]\nafter_s = 2\nthen = [{then}]\n")),
    ];
    let repeat = prop_oneof![Just(""), Just("cooldown_s = 1"), Just("cooldown_s = 3.5")];
    let rules = prop::collection::vec((conditions, action.clone(), repeat, -2..3, meanwhile, steps), 1..6);
    let fallbacks = prop::collection::vec(action, 0..3);
    (rules, fallbacks).prop_map(|(rules, fallbacks)| {
        let mut text = HEAD.to_owned();
        for (at, (conditions, action, repeat, priority, meanwhile, steps)) in rules.into_iter().enumerate() {
            text += &format!(
                "[[rule]]\nid = \"r{at}\"\npriority = {priority}\nwhen = {{ {conditions} }}\n\
                 {meanwhile}\nthen = [{action}]\n{repeat}\n{steps}"
            );
        }
        for (at, action) in fallbacks.into_iter().enumerate() {
            text += &format!("[[fallback]]\nid = \"f{at}\"\nthen = [{action}]\n");
        }
        text
    })
}
