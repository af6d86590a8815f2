//! What one observation costs the policy engine, alone and among ten thousand calls.
//!
//! `cargo bench -p routing`: one observation, also with early warning, and also by a policy of as many rules as one may have; and
//! `ten_thousand_calls`, half a second of all of them, with early warning: below 500 ms one core keeps up.

#[path = "../tests/shipped/mod.rs"]
mod shipped;

use std::sync::Arc;
use std::time::Duration;

use divan::{Bencher, black_box};
use routing::warning::Watch;
use routing::{CallKey, Emotion, Engine, Event, Level, Opening, Policy};

const CALLS: u64 = 10_000;
const STEP: Duration = Duration::from_millis(500);

fn main() {
    divan::main();
}

/// An engine that follows `calls` calls of the longest shipped policy.
fn engine(calls: u64) -> Engine {
    let policies = shipped::policies();
    let mut engine = Engine::new(Vec::new());
    let opening = Opening { scenario: "ecommerce-returns".to_owned(), ..Opening::default() };
    (0..calls).for_each(|key| engine.start(Duration::ZERO, CallKey(key), &opening, Arc::clone(&policies)));
    engine
}

/// A caller who is cross now and then.
fn mood(step: u64) -> Event {
    let cross = step % 7 < 2;
    Event::Emotion {
        emotion: if cross { Emotion::Anger } else { Emotion::Neutral },
        level: if cross { Level::Medium } else { Level::Low },
        score: if cross { 0.5 } else { 0.1 },
        trend_per_s: 0.0,
    }
}

#[divan::bench]
fn one_observation(bencher: Bencher<'_, '_>) {
    let (mut engine, mut out, mut step) = (engine(1), Vec::new(), 0);
    bencher.bench_local(|| {
        step += 1;
        engine.handle(STEP * step as u32, CallKey(0), &mood(step), &mut out);
        black_box(out.drain(..).count())
    });
}

/// Two hundred rules, each of which waits for the mood and looks at what is known.
#[divan::bench]
fn one_observation_two_hundred_rules(bencher: Bencher<'_, '_>) {
    let rule = |number: u32| {
        format!(
            "[[rule]]\nid = \"r{number}\"\nwhen = {{ emotion = \"anger\", level = \"medium\", lasted_s = 1 }}\n\
             while = {{ order = {{ state = {{ not = \"s{number}\" }} }}, talked_s = {} }}\n\
             then = [{{ alert = \"info\", text = \"x\" }}]\ncooldown_s = 60\n",
            number + 1
        )
    };
    let rules: String = (0..200).map(rule).collect();
    let text = format!("name = \"long\"\nversion = 1\nscenarios = [\"*\"]\n{rules}");
    let policies = Policy::parse(&text).map(|policy| Arc::from([policy])).expect("a good policy");
    let (mut engine, mut out, mut step) = (Engine::new(Vec::new()), Vec::new(), 0);
    engine.start(Duration::ZERO, CallKey(0), &Opening::default(), policies);
    bencher.bench_local(|| {
        step += 1;
        engine.handle(STEP * step as u32, CallKey(0), &mood(step), &mut out);
        black_box(out.drain(..).count())
    });
}

#[divan::bench]
fn one_observation_watched(bencher: Bencher<'_, '_>) {
    let (mut watch, mut step) = (Watch::new(0.5), 0);
    bencher.bench_local(|| {
        step += 1;
        black_box(watch.take(STEP * step as u32, &mood(step)))
    });
}

#[divan::bench(sample_count = 20)]
fn ten_thousand_calls(bencher: Bencher<'_, '_>) {
    let (mut engine, mut out, mut step) = (engine(CALLS), Vec::new(), 0);
    let mut watches: Vec<Watch> = (0..CALLS).map(|_| Watch::new(0.5)).collect();
    bencher.bench_local(|| {
        step += 1;
        let now = STEP * step as u32;
        engine.tick(now, &mut out);
        for (call, watch) in (0..CALLS).zip(&mut watches) {
            let event = mood(step + call);
            engine.handle(now, CallKey(call), &event, &mut out);
            if let Some(warning) = watch.take(now, &event) {
                engine.handle(now, CallKey(call), &warning.event(), &mut out);
            }
        }
        black_box(out.drain(..).count())
    });
}
