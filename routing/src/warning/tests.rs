//! Calls that escalate, and calls that do not.

use super::past::{BINS_MAX, INTENTS_MAX};
use super::*;

#[test]
fn a_call_that_sours_slowly_is_warned_of_before_it_escalates() {
    // From 20 % to 60 % negative observations over four minutes.
    let warnings = watch(300, |at_s| 0.2 + 0.4 * (at_s / 240.0).min(1.0));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let (at, warning) = &warnings[0];
    assert!((60..240).contains(&at.as_secs()), "{warnings:?}");
    for sign in ["anger rises", "negative share"] {
        assert!(warning.evidence.iter().any(|words| words.starts_with(sign)), "{warning:?}");
    }
}

#[test]
fn calm_callers_and_steady_grumblers_are_not() {
    for share in [0.1, 0.25, 0.4, 0.5] {
        assert_eq!(watch(900, |_| share), [], "{share}");
    }
}

#[test]
fn callers_who_calm_down_by_themselves_are_not() {
    assert_eq!(watch(600, |at_s| (0.6 - at_s / 400.0).max(0.05)), []);
}

#[test]
fn nothing_is_said_while_nobody_knows_what_is_usual_for_a_caller() {
    assert_eq!(watch(60, |at_s| at_s / 60.0), []);
}

#[test]
fn there_is_nothing_to_warn_of_once_it_has_escalated() {
    let mut watch = Watch::new(WARN_AT);
    let high = Event::Emotion { emotion: Emotion::Anger, level: Level::High, score: 0.9, trend_per_s: 0.0 };
    assert!((0..600).all(|at| watch.take(Duration::from_secs(at), &high).is_none()));
}

#[test]
fn repeats_and_interruptions_speak_for_it_when_the_mood_is_bad() {
    assert_eq!(talk(Talk { cross_every: 3, ..Talk::default() }), None);
    let insists = Talk { cross_every: 3, repeats: true, interrupts: true, ..Talk::default() };
    let warning = talk(insists).expect("a warning");
    assert!(warning.evidence.iter().any(|words| words.ends_with("repeats per minute")), "{warning:?}");
    assert!(warning.evidence.iter().any(|words| words.contains("interruptions per minute")), "{warning:?}");
    assert_eq!(talk(Talk { cross_every: 0, ..insists }), None, "in high spirits");
}

#[test]
fn who_withdraws_in_a_bad_mood_is_warned_of() {
    let quiet = Talk { cross_every: 3, turn_s: 2, pause_s: 12, ..Talk::default() };
    let warning = talk(quiet).expect("a warning");
    assert!(warning.evidence.iter().any(|words| words.starts_with("withdraws: turns of 6 s to 3 s")), "{warning:?}");
    assert_eq!(talk(Talk { cross_every: 0, ..quiet }), None, "looks for papers");
}

#[test]
fn memory_is_bounded_and_pauses_of_any_length_are_survived() {
    let mut watch = Watch::new(WARN_AT);
    for at_s in [0, 5, 299, 301, 10_000, 10_001, 400_000, 40_000_000] {
        watch.take(Duration::from_secs(at_s), &mood(true));
        watch.take(Duration::from_secs(at_s), &Event::Said { intent: at_s.to_string() });
        watch.take(Duration::from_secs(at_s), &Event::Interrupted { times: u32::MAX });
        assert!((1..=BINS_MAX).contains(&watch.past.bins.len()), "{at_s}");
    }
    for n in 0..1_000 {
        watch.take(Duration::from_secs(40_000_001), &Event::Said { intent: n.to_string() });
    }
    assert_eq!(watch.past.said.len(), INTENTS_MAX);
}

fn mood(negative: bool) -> Event {
    let (emotion, score) = if negative { (Emotion::Anger, 0.4) } else { (Emotion::Neutral, 0.1) };
    Event::Emotion { emotion, level: Level::Low, score, trend_per_s: 0.0 }
}

/// One observation per second for `seconds`, negative as often as `share` says; the warnings.
fn watch(seconds: u64, share: impl Fn(f32) -> f32) -> Vec<(Duration, Warning)> {
    let mut watch = Watch::new(WARN_AT);
    let mut owed = 0.0;
    let one = |at_s: u64| {
        owed += share(at_s as f32);
        let negative = owed >= 1.0;
        owed -= f32::from(u8::from(negative));
        let at = Duration::from_secs(at_s);
        watch.take(at, &mood(negative)).map(|warning| (at, warning))
    };
    (0..seconds).filter_map(one).collect()
}

/// How a caller goes on after twenty calm turns of eight seconds.
#[derive(Debug, Clone, Copy)]
struct Talk {
    /// One in so many turns is cross; none with 0.
    cross_every: u64,
    turn_s: u64,
    pause_s: u64,
    repeats: bool,
    interrupts: bool,
}

impl Default for Talk {
    fn default() -> Talk {
        Talk { cross_every: 0, turn_s: 8, pause_s: 5, repeats: false, interrupts: false }
    }
}

/// Twenty turns before, and twelve as `talk` says; the first warning.
fn talk(talk: Talk) -> Option<Warning> {
    let mut watch = Watch::new(WARN_AT);
    let (mut at_s, mut interrupted, mut first) = (0, 0, None);
    for turn in 0..32_u64 {
        let (is_new, usual) = (turn >= 20, Talk::default());
        let now = if is_new { talk } else { usual };
        let cross = is_new && turn.is_multiple_of(now.cross_every);
        let at = Duration::from_secs(at_s);
        if now.repeats {
            watch.take(at, &Event::Said { intent: "refund".to_owned() });
        }
        if now.interrupts {
            interrupted += 1;
            watch.take(at, &Event::Interrupted { times: interrupted });
        }
        for half in 0..=2 * now.turn_s {
            let warning = watch.take(at + Duration::from_millis(500 * half), &mood(cross));
            first = first.or(warning);
        }
        at_s += now.turn_s + now.pause_s;
    }
    first
}
