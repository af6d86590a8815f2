//! Thousands of interactions at a time through one engine, in simulated time: all are decided about, by the policies that they
//! began with, and nothing stays of them.

#[path = "../shipped/mod.rs"]
mod shipped;

use std::sync::Arc;
use std::time::Duration;

use routing::{CallKey, Emotion, Engine, Event, Fact, Level, Opening, Policy};

const CALLS: u64 = 10_000;
const STEP: Duration = Duration::from_millis(500);
/// Half seconds that the interactions go on for.
const STEPS: u64 = 40;

#[test]
fn ten_thousand_interactions_at_a_time_are_all_decided_about_and_leave_nothing() {
    let policies = shipped::policies();
    let mut engine = Engine::with_limit(Vec::new(), CALLS as usize);
    let opening = Opening { scenario: "ecommerce-returns".to_owned(), ..Opening::default() };
    let mut out = Vec::new();
    let mut decided = vec![0_u32; CALLS as usize];
    let mut note = |out: &mut Vec<routing::Decision>| {
        for decision in out.drain(..) {
            decided[decision.call.0 as usize] += 1;
        }
    };
    for key in 0..CALLS {
        engine.start(Duration::ZERO, CallKey(key), &opening, Arc::clone(&policies));
    }
    assert_eq!(engine.calls_unfollowed(), 0);
    // One more is one too many: nobody's place is taken for it.
    engine.start(Duration::ZERO, CallKey(CALLS), &opening, Arc::clone(&policies));
    assert_eq!((engine.calls_unfollowed(), engine.mood(Duration::ZERO, CallKey(CALLS))), (1, None));
    for step in 1..=STEPS {
        let now = STEP * step as u32;
        engine.tick(now, &mut out);
        note(&mut out);
        for key in 0..CALLS {
            engine.handle(now, CallKey(key), &event(step, key), &mut out);
        }
        note(&mut out);
    }
    // Everybody was furious for a second at some time, and nobody gets more than the policy lets one call have.
    assert!(decided.iter().all(|count| (1..=30).contains(count)), "{:?}", decided.iter().find(|count| **count == 0));
    for key in 0..CALLS {
        engine.forget(CallKey(key));
        assert_eq!(engine.service(CallKey(key)), None);
    }
    assert_eq!(engine.deadline(), None, "nothing is left of them");
}

/// Policies that are exchanged twice a second while two thousand interactions go on, come and go: each is decided about by
/// those that it began with, and by no others.
#[test]
fn policies_exchanged_under_load_count_for_those_who_come_after() {
    const CROWD: u64 = 2_000;
    let shipped = shipped::policies();
    let of_version = |version: u64| -> Arc<[Policy]> {
        shipped.iter().map(|policy| Policy { version: version as u32, ..policy.clone() }).collect()
    };
    let opening = Opening { scenario: "ecommerce-returns".to_owned(), ..Opening::default() };
    let mut engine = Engine::with_limit(Vec::new(), CROWD as usize);
    let mut out = Vec::new();
    // The version that each key's interaction began with; a key is taken anew when its interaction has ended.
    let mut began = vec![0; CROWD as usize];
    let mut decided = 0;
    for step in 1..=STEPS {
        let (now, policies) = (STEP * step as u32, of_version(step));
        for key in (0..CROWD).filter(|key| step == 1 || (step + key) % 10 == 0) {
            engine.forget(CallKey(key));
            engine.start(now, CallKey(key), &opening, Arc::clone(&policies));
            began[key as usize] = step;
        }
        engine.tick(now, &mut out);
        for key in 0..CROWD {
            engine.handle(now, CallKey(key), &event(step, key), &mut out);
        }
        for decision in out.drain(..) {
            let own = format!("ecommerce@{}", began[decision.call.0 as usize]);
            assert_eq!(decision.policy, own, "{decision:?} at {step}");
            decided += 1;
        }
    }
    assert_eq!(engine.calls_unfollowed(), 0);
    assert!(decided > CROWD, "{decided} decisions");
}

/// What happens to a call in one half second: each is furious for a while of its own, and says and does more than that.
fn event(step: u64, key: u64) -> Event {
    let furious = (step + key) % STEPS < 6;
    match (step + key) % 8 {
        7 => Event::Said { intent: format!("intent-{}", (step * key) % 100) },
        6 => Event::Words { categories: vec![format!("category-{}", (step + key) % 100)] },
        5 => Event::Fact { name: format!("order.f{}", step % 90), value: Some(Fact::Number(step as f64)) },
        _ => Event::Emotion {
            emotion: if furious { Emotion::Anger } else { Emotion::Neutral },
            level: if furious { Level::High } else { Level::Low },
            score: if furious { 0.9 } else { 0.1 },
            trend_per_s: 0.0,
        },
    }
}
