//! Any bytes as a lexicon and a text: the lexicon is read or refused, and the text is searched.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use nlu::text::{FOUND_MAX, Lexicon};

/// Takes what stands before the first NUL as the lexicon, the rest as the text.
///
/// # Panics
/// When more is found than may be, or a refusal does not name the file.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (file, said) = text.split_once('\0').unwrap_or((&text, ""));
    match Lexicon::parse("a.toml", file) {
        Ok(lexicon) => assert!(lexicon.words() > 0 && lexicon.find(said).len() <= FOUND_MAX),
        Err(error) => assert!(error.to_string().starts_with("a.toml: ")),
    }
}
