//! Any bytes as pieces of what a party says: hits lie in order inside their piece, and what is shown hides no mobile number.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::sync::{Arc, LazyLock};

use nlu::masking::{Class, Masker, MaskingLists};
use nlu::numbers::normalized;

static LISTS: LazyLock<Arc<MaskingLists>> = LazyLock::new(|| Arc::new(MaskingLists::built_in()));

/// Takes every line as a piece.
///
/// # Panics
/// When a hit lies outside its piece or over another one, or eleven plain digits of a mobile number are shown.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut masker = Masker::new(Arc::clone(&LISTS), Class::usual());
    for piece in text.split('\n') {
        let masked = masker.finished(piece);
        let mut last = 0;
        for hit in &masked.hits {
            assert!(last <= hit.bytes.start && hit.bytes.start < hit.bytes.end && hit.bytes.end <= piece.len());
            assert!(piece.is_char_boundary(hit.bytes.start) && piece.is_char_boundary(hit.bytes.end));
            last = hit.bytes.end;
        }
        let is_digit = |octet: &u8| octet.is_ascii_digit();
        let shown = masked.text.as_bytes();
        for group in shown.chunk_by(|one, other| is_digit(one) == is_digit(other)) {
            let is_mobile = group.len() == 11 && group[0] == b'1' && (b'3'..=b'9').contains(&group[1]);
            assert!(!is_mobile || is_named_otherwise(&masked.text), "a number is shown: {}", masked.text);
        }
        normalized(piece);
    }
}

/// Digits behind letters and the like may name a thing that was announced, such as an order.
fn is_named_otherwise(text: &str) -> bool {
    text.contains(|character: char| character.is_alphabetic())
}
