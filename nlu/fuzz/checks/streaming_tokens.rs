//! Any bytes as the tokens of a streaming model: read, or refused with the name of the file.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use nlu::recognition::streaming::Tokens;

/// Reads `bytes` as `tokens.txt` and writes what some of its tokens say.
///
/// # Panics
/// When a refusal does not say which file it is about, or a token that is there cannot be written.
pub fn check(bytes: &[u8]) {
    match Tokens::read("tokens.txt", bytes) {
        Ok(tokens) => {
            let some = (0..tokens.count().min(300)).chain([tokens.count(), usize::MAX]);
            let text = tokens.text(some);
            assert!(text.trim() == text && tokens.count() > 0, "{text:?}");
        }
        Err(error) => assert!(error.to_string().starts_with("tokens.txt: "), "{error}"),
    }
}
