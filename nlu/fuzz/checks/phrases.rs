//! Any bytes as a phrase list and a pronunciation dictionary: read or refused, and what is refused is named.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use nlu::recognition::PhraseList;

/// Takes what stands before the first NUL as the list, the rest as the dictionary.
///
/// # Panics
/// When a list is taken that breaks the bounds of its own rules, or a refusal says nothing.
pub fn check(bytes: &[u8]) {
    let cut = bytes.iter().position(|&octet| octet == 0).unwrap_or(bytes.len());
    let (text, dictionary) = (String::from_utf8_lossy(&bytes[..cut]), &bytes[(cut + 1).min(bytes.len())..]);
    let list = match PhraseList::from_toml(&text) {
        Ok(list) => list,
        Err(error) => return assert!(!error.at.is_empty() && !error.expected.is_empty()),
    };
    assert!((1..=500).contains(&list.phrases.len()) && !list.intents().is_empty());
    assert!(list.phrases.iter().all(|phrase| (0.5..1.0).contains(&phrase.confidence_min)));
    if let Err(error) = list.check(dictionary) {
        assert!(error.to_string().contains("dictionary"), "{error}");
    }
}
