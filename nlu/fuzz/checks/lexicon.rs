//! Any bytes as a lexicon and a text: the lexicon is read or refused, and the text is searched.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use nlu::text::{FOUND_MAX, Lexicon};

/// Takes what stands before the first NUL as the lexicon, the rest as the text; without one the lexicon is its own text.
///
/// # Panics
/// When a refusal does not say which file it is about, or more is found than promised.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (file, said) = text.split_once('\0').unwrap_or((&text, &text));
    match Lexicon::parse("a.toml", file) {
        Ok(lexicon) => {
            let found = lexicon.find(said);
            assert!(lexicon.words() > 0 && found.len() <= FOUND_MAX, "{found:?}");
            assert!(found.iter().all(|found| (0.0..=1.0).contains(&found.strength)), "{found:?}");
        }
        Err(error) => assert!(error.to_string().starts_with("a.toml: "), "{error}"),
    }
}
