//! The shipped policies: every expectation of theirs is met, and what they do on the evaluation set.

#![expect(clippy::print_stdout, reason = "tests tell what they measured")]

mod shipped;

use std::collections::BTreeMap;
use std::time::Duration;

use routing::backtest::{Effect, Foretold, Interaction, read_set, replay};
use routing::check_expects;
use routing::warning::WARN_AT;

#[test]
fn every_expectation_is_met() {
    let mut expects = 0;
    for policy in shipped::policies().iter() {
        assert_eq!(check_expects(policy), [], "{}", policy.label());
        expects += policy.expects.len();
    }
    assert!(expects >= 40, "{expects} expectations");
}

/// What a re-route takes until somebody answers.
const ANSWER: Duration = Duration::from_secs(5);

/// Figures that the shipped policies reach on interactions that were synthesised for them: they say that the rules do what
/// they say, not what real callers would think of it.
#[test]
fn the_best_is_done_in_the_evaluation_set() {
    let policies = shipped::policies();
    let mut effects: BTreeMap<&str, Effect> = BTreeMap::new();
    let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
    for interaction in short() {
        let outcome = replay(&policies, &interaction, ANSWER);
        effects.entry(part_of(&interaction)).or_default().add(&interaction, &outcome);
        effects.entry("all").or_default().add(&interaction, &outcome);
        let best = interaction.best.expect("a label");
        if best != outcome.best {
            let template = interaction.template.as_deref().unwrap_or_default();
            *wrong.entry(format!("{template}: {} instead of {}", outcome.best.as_str(), best.as_str())).or_default() +=
                1;
        }
        // Whoever is moved is moved once, and services do not swing.
        assert!(outcome.played.decisions.len() <= 12, "{}: {:?}", interaction.name, outcome.rules());
    }
    for (part, effect) in &effects {
        println!(
            "{part}: {} interactions, accuracy {:.3}, automation {:.3}",
            effect.interactions,
            effect.accuracy(),
            effect.automation()
        );
    }
    println!("{wrong:?}");
    let (all, built, unseen) = (effects["all"], effects["built"], effects["unseen"]);
    assert!(all.interactions >= 400 && built.interactions >= 400 && unseen.interactions >= 120);
    assert!(built.accuracy() >= 0.95 && unseen.accuracy() >= 0.95, "{wrong:?}");
    // Of the unseen stories three in eighteen want a person to look, so that no more than five in six can do without.
    assert!(built.automation() >= 0.9 && unseen.automation() >= 0.83, "{wrong:?}");
    // Together they stay a little below the nine in ten that are aimed at: docs/POLICIES.md says so.
    assert!(all.automation() >= 0.898, "{wrong:?}");
}

#[test]
fn long_interactions_are_warned_of_in_time() {
    let policies = shipped::policies();
    let mut parts: BTreeMap<&str, Foretold> = BTreeMap::new();
    for interaction in long() {
        let warn_at = routing::warn_at(&policies, &interaction.story.opening.scenario).unwrap_or(WARN_AT);
        parts.entry(part_of(&interaction)).or_default().add(&interaction, warn_at);
    }
    for (part, own) in &parts {
        println!(
            "{part}: precision {:.3} recall {:.3} lead {:?} {own:?}",
            own.precision(),
            own.recall(),
            own.median_lead()
        );
        // What is aimed at is a precision of 0.88, a recall of 0.8 and 180 s: docs/POLICIES.md says what falls short.
        let (precision, recall, lead_s) = match *part {
            "calls" => (0.53, 0.74, 150),
            "dialogues" => (0.76, 0.8, 180),
            "unseen" => (0.85, 0.9, 200),
            _ => (0.88, 0.8, 180),
        };
        assert!(own.precision() >= precision && own.recall() >= recall, "{part}: {own:?}");
        assert!(own.median_lead() >= Some(Duration::from_secs(lead_s)), "{part}: {:?}", own.median_lead());
    }
}

/// Which part of the sets an interaction is of: of those that the policies were written by, or not.
fn part_of(interaction: &Interaction) -> &'static str {
    match interaction.held_out {
        true if interaction.name.starts_with("unseen") => "unseen",
        true if interaction.name.starts_with("dialogue") => "dialogues",
        true if interaction.name.starts_with("calls") => "calls",
        true => "held out",
        false => "built",
    }
}

fn short() -> Vec<Interaction> {
    let sets = [
        include_str!("../../fixtures/interactions/banking-en.toml"),
        include_str!("../../fixtures/interactions/banking-zh.toml"),
        include_str!("../../fixtures/interactions/ecommerce-en.toml"),
        include_str!("../../fixtures/interactions/ecommerce-zh.toml"),
        include_str!("../../fixtures/interactions/government-en.toml"),
        include_str!("../../fixtures/interactions/government-zh.toml"),
        include_str!("../../fixtures/interactions/travel-en.toml"),
        include_str!("../../fixtures/interactions/travel-zh.toml"),
        include_str!("../../fixtures/interactions/unseen-banking-en.toml"),
        include_str!("../../fixtures/interactions/unseen-banking-zh.toml"),
        include_str!("../../fixtures/interactions/unseen-ecommerce-en.toml"),
        include_str!("../../fixtures/interactions/unseen-ecommerce-zh.toml"),
        include_str!("../../fixtures/interactions/unseen-government-en.toml"),
        include_str!("../../fixtures/interactions/unseen-government-zh.toml"),
        include_str!("../../fixtures/interactions/unseen-travel-en.toml"),
        include_str!("../../fixtures/interactions/unseen-travel-zh.toml"),
    ];
    read_all(&sets)
}

fn long() -> Vec<Interaction> {
    let sets = [
        include_str!("../../fixtures/interactions/long-banking.toml"),
        include_str!("../../fixtures/interactions/long-ecommerce.toml"),
        include_str!("../../fixtures/interactions/long-government.toml"),
        include_str!("../../fixtures/interactions/long-travel.toml"),
        include_str!("../../fixtures/interactions/unseen-long-banking.toml"),
        include_str!("../../fixtures/interactions/unseen-long-ecommerce.toml"),
        include_str!("../../fixtures/interactions/unseen-long-government.toml"),
        include_str!("../../fixtures/interactions/unseen-long-travel.toml"),
        include_str!("../../fixtures/interactions/dialogues-banking.toml"),
        include_str!("../../fixtures/interactions/dialogues-ecommerce.toml"),
        include_str!("../../fixtures/interactions/dialogues-government.toml"),
        include_str!("../../fixtures/interactions/dialogues-travel.toml"),
        include_str!("../../fixtures/interactions/calls-banking.toml"),
        include_str!("../../fixtures/interactions/calls-ecommerce.toml"),
        include_str!("../../fixtures/interactions/calls-government.toml"),
        include_str!("../../fixtures/interactions/calls-travel.toml"),
    ];
    read_all(&sets)
}

fn read_all(sets: &[&str]) -> Vec<Interaction> {
    sets.iter().flat_map(|set| read_set(set).unwrap_or_else(|faults| panic!("{faults:?}"))).collect()
}
