//! Any bytes as a policy: read or refused with at least one fault; a policy that is read can decide.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use routing::{CallKey, Emotion, Engine, Event, Level, Opening, Policy};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let policy = match Policy::parse(text) {
        Ok(policy) => policy,
        Err(faults) => return assert!(!faults.is_empty()),
    };
    let scenario = policy.scenarios[0].clone();
    let mut engine = Engine::new(vec![policy]);
    let mut out = Vec::new();
    engine.handle(Duration::ZERO, CallKey(1), &Event::Started(Opening { scenario, ..Opening::default() }), &mut out);
    let high = Event::Emotion { emotion: Emotion::Anger, level: Level::High, score: 1.0, trend_per_s: 0.5 };
    for half_seconds in 0..20 {
        let now = Duration::from_millis(500 * half_seconds);
        engine.tick(now, &mut out);
        engine.handle(now, CallKey(1), &high, &mut out);
    }
    engine.handle(Duration::from_secs(10), CallKey(1), &Event::RerouteFailed { reason: "486".to_owned() }, &mut out);
});
