//! Calls that escalate, and calls that do not.

use super::*;

#[test]
fn a_call_that_sours_slowly_is_warned_of_before_it_escalates() {
    // From 20 % to 60 % negative observations over four minutes.
    let share = |at_s: f32| 0.2 + 0.4 * (at_s / 240.0).min(1.0);
    let warnings = watch(300, share, 0.0);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let (at, warning) = &warnings[0];
    assert!((60..240).contains(&at.as_secs()), "{warnings:?}");
    for sign in ["anger rises", "negative share"] {
        assert!(warning.evidence.iter().any(|words| words.starts_with(sign)), "{warning:?}");
    }
}

#[test]
fn calm_calls_and_calls_that_are_always_a_little_cross_are_not() {
    assert_eq!(watch(600, |_| 0.1, 0.0), []);
    assert_eq!(watch(600, |_| 0.25, 0.0), []);
}

#[test]
fn nothing_is_said_of_a_call_that_has_just_begun() {
    assert_eq!(watch(20, |_| 1.0, 0.0), []);
}

#[test]
fn there_is_nothing_to_warn_of_once_it_has_escalated() {
    let mut watch = Watch::new(WARN_AT);
    let high = Event::Emotion { emotion: Emotion::Anger, level: Level::High, score: 0.9, trend_per_s: 0.0 };
    assert!((0..600).all(|at| watch.take(Duration::from_secs(at), &high).is_none()));
}

#[test]
fn repeats_and_interruptions_speak_for_it() {
    let mut with = Watch::new(WARN_AT);
    let mut at = Duration::ZERO;
    for times in 1..=4 {
        at = Duration::from_secs(10 * times);
        with.take(at, &Event::Said { intent: "refund".to_owned() });
        with.take(at, &Event::Said { intent: "thanks".to_owned() });
        with.take(at, &Event::Interrupted { times: times as u32 });
    }
    let heard = |watch: &mut Watch, from: Duration| {
        (0..60).find_map(|n| watch.take(from + Duration::from_secs(n), &mood(n % 3 == 0, 0.3)))
    };
    let warning = heard(&mut with, at).expect("a warning");
    assert!(warning.evidence.iter().any(|words| words == "3 repeats"), "{warning:?}");
    assert!(warning.evidence.iter().any(|words| words == "4 interruptions"), "{warning:?}");
    assert_eq!(heard(&mut Watch::new(WARN_AT), Duration::ZERO), None);
}

#[test]
fn memory_is_bounded_and_pauses_of_any_length_are_survived() {
    let mut watch = Watch::new(WARN_AT);
    for at_s in [0, 5, 299, 301, 10_000, 10_001, 400_000, 40_000_000] {
        watch.take(Duration::from_secs(at_s), &mood(true, 0.5));
        watch.take(Duration::from_secs(at_s), &Event::Said { intent: at_s.to_string() });
        assert!((1..=BINS_MAX).contains(&watch.bins.len()), "{at_s}");
    }
    for n in 0..1_000 {
        watch.take(Duration::from_secs(40_000_001), &Event::Said { intent: n.to_string() });
    }
    assert_eq!(watch.said.len(), INTENTS_MAX);
}

fn mood(negative: bool, score: f32) -> Event {
    let emotion = if negative { Emotion::Anger } else { Emotion::Neutral };
    Event::Emotion { emotion, level: Level::Low, score: if negative { score } else { 0.1 }, trend_per_s: 0.0 }
}

/// One observation per second for `seconds`, negative as often as `share` says; the warnings.
fn watch(seconds: u64, share: impl Fn(f32) -> f32, score: f32) -> Vec<(Duration, Warning)> {
    let mut watch = Watch::new(WARN_AT);
    let mut owed = 0.0;
    let one = |at_s: u64| {
        owed += share(at_s as f32);
        let negative = owed >= 1.0;
        owed -= f32::from(u8::from(negative));
        let at = Duration::from_secs(at_s);
        watch.take(at, &mood(negative, 0.4 + score)).map(|warning| (at, warning))
    };
    (0..seconds).filter_map(one).collect()
}
