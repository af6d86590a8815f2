//! Any bytes as what the software of a chat sends: frames of its channel, what it begins with, and facts.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use calmline::control::Order;
use calmline::web::{facts_in, opening_in, order_in};
use routing::is_fact_name;

/// Takes each line as every one of them.
///
/// # Panics
/// When a refusal says nothing, or something beyond its limits is taken.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines().take(100) {
        match order_in("call-1", line) {
            Ok(order) => check_order(&order),
            Err(why) => assert!(!why.is_empty()),
        }
        match opening_in(line.as_bytes()) {
            Ok(opening) => {
                assert!((1..=32).contains(&opening.channel.len()) && opening.channel != "phone", "{}", opening.channel);
                assert!(opening.details.len() <= 32 && opening.name.is_none_or(|name| name.chars().count() <= 128));
            }
            Err(why) => assert!(!why.is_empty()),
        }
        match facts_in(line.as_bytes()) {
            Ok(facts) => {
                assert!((1..=64).contains(&facts.len()));
                assert!(facts.iter().all(|(name, _)| is_fact_name(name)), "{facts:?}");
                assert!(facts.iter().filter_map(|(_, fact)| fact.as_ref()).all(|fact| fact.is_well_formed()));
            }
            Err(why) => assert!(!why.is_empty()),
        }
    }
}

fn check_order(order: &Order) {
    match order {
        Order::Write { call, message } => {
            assert!(call == "call-1" && message.text.chars().count() <= 1_000 && message.age.as_secs() <= 3_600);
        }
        Order::Show { showing, .. } => assert!((0.0..=1.0).contains(&showing.score)),
        Order::EndChat { reason, .. } => assert!((1..=128).contains(&reason.chars().count())),
        Order::ChatMoved { outcome, .. } => assert!(outcome.as_ref().err().is_none_or(|why| !why.is_empty())),
        other => panic!("no frame asks for {other:?}"),
    }
}
