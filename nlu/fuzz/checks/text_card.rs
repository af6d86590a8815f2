//! Any bytes as the card of a text model: read or refused with the name of the file.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use nlu::text::{Naming, TextCard};

/// Reads `bytes` as a card.
///
/// # Panics
/// When a refusal does not say which file it is about, or a threshold or offset that means nothing is accepted.
pub fn check(bytes: &[u8]) {
    match TextCard::parse("text.json", bytes) {
        Ok(card) => {
            let Naming { offsets, intents, upset } = card.naming();
            assert!(intents.iter().chain([&upset]).all(|threshold| *threshold > 0.0 && *threshold <= 1.0));
            assert!(offsets.iter().all(|offset| offset.is_finite()), "{offsets:?}");
        }
        Err(error) => assert!(error.to_string().starts_with("text.json: "), "{error}"),
    }
}
