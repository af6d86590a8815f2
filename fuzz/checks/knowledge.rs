//! Any bytes as a knowledge file and a question: the file is read or refused with faults, and the question is looked up.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::collections::BTreeSet;

use calmline::knowledge::{FOUND_MAX, Knowledge, Question};

/// Takes what stands before the first NUL as the file, the rest as the question; without one the file is its own question.
///
/// # Panics
/// When a refusal names no fault, an id stands twice, or more is found than promised.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (file, asked) = text.split_once('\0').unwrap_or((&text, &text));
    match Knowledge::of(&[("a.toml".into(), file.to_owned())]) {
        Ok(knowledge) => {
            let ids: BTreeSet<&str> = knowledge.entries().iter().map(|entry| entry.id.as_str()).collect();
            assert_eq!(ids.len(), knowledge.entries().len());
            let asked: String = asked.chars().take(500).collect();
            let today = jiff::civil::date(2026, 11, 26);
            let question = Question { text: &asked, scenario: None, language: None, today };
            let found = knowledge.search(question, FOUND_MAX);
            assert!(found.len() <= FOUND_MAX);
            for found in found {
                assert!(found.score.is_finite() && found.score >= 0.0, "{}", found.score);
                assert!(knowledge.entry(&found.entry.id).is_some() && !found.saying.questions.is_empty());
            }
        }
        Err(faults) => assert!(!faults.is_empty()),
    }
}
