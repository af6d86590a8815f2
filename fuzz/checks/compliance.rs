//! Any bytes as a list of compliance phrases and what is said: the list is read or refused with faults, and it is looked for.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::time::Duration;

use calmline::compliance::{Duties, Phrases};

/// Takes what stands before the first NUL as the list, the rest as a conversation: lines are said in turn, by whoever serves
/// first. Without one the list is its own conversation.
///
/// # Panics
/// When a refusal names no fault, or a rule is broken that there is not.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (file, said) = text.split_once('\0').unwrap_or((&text, &text));
    let phrases = match Phrases::of(&[("a.toml".into(), file.to_owned())]) {
        Ok(phrases) => phrases,
        Err(faults) => return assert!(!faults.is_empty()),
    };
    let scenario = phrases.rules().first().and_then(|rule| rule.scenarios.first()).cloned().unwrap_or_default();
    let mut duties = Duties::begin(Duration::ZERO, &phrases, (&scenario, "human"), true);
    let mut broken = Vec::new();
    let mut now = Duration::ZERO;
    for (turn, line) in said.lines().take(100).enumerate() {
        now += Duration::from_secs(7);
        broken.extend(duties.overdue(now));
        assert!(duties.deadline().is_none_or(|deadline| deadline > now), "what is due is told");
        if turn % 2 == 0 {
            broken.extend(duties.served(now, &phrases, line, true));
        } else {
            duties.asked(now, &phrases, line);
        }
    }
    broken.extend(duties.end(now, &phrases));
    assert!(broken.iter().all(|rule| *rule < phrases.rules().len()), "{broken:?}");
}
