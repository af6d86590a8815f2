//! Any bytes as a lexicon: read or refused with the name of the file, and what is read can be searched with.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use nlu::text::{FOUND_MAX, Lexicon};

/// Reads `bytes` as a lexicon, and searches the lexicon's own text with it.
///
/// # Panics
/// When a refusal does not say which file it is about, or more is found than promised.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Lexicon::parse("a.toml", &text) {
        Ok(lexicon) => {
            let found = lexicon.find(&text);
            assert!(lexicon.words() > 0 && found.len() <= FOUND_MAX, "{found:?}");
            assert!(found.iter().all(|found| (0.0..=1.0).contains(&found.strength)), "{found:?}");
        }
        Err(error) => assert!(error.to_string().starts_with("a.toml: "), "{error}"),
    }
}
