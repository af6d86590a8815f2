//! Any text, read with the lexicons that come with the program: bounded, and probabilities are probabilities.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::cell::RefCell;

use nlu::text::{FOUND_MAX, INTENTS, Lexicon, Reading, TOKENS_MAX, TextReader, grams, tokens};

const LEXICONS: [(&str, &str); 2] = [
    ("zh.toml", include_str!("../../../config/lexicons/zh.toml")),
    ("en.toml", include_str!("../../../config/lexicons/en.toml")),
];
/// A text has fewer n-grams than so many for each of its tokens and bytes.
const GRAMS_EACH_MAX: usize = 6;

/// Reads `bytes` as a text.
///
/// # Panics
/// When something is beyond its bounds, or the same text is not read the same twice.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let found = tokens(&text);
    assert!(found.len() <= TOKENS_MAX && found.iter().all(|token| !token.is_empty()));
    let hashes = grams(&found);
    assert!(hashes.is_sorted() && hashes.len() <= GRAMS_EACH_MAX * (found.len() + text.len()));

    let reading = read(&text);
    let judgement = &reading.judgement;
    for probabilities in [&judgement.polarity[..], &judgement.emotions[..]] {
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-3, "{judgement:?}");
        assert!(probabilities.iter().all(|probability| (0.0..=1.0).contains(probability)), "{judgement:?}");
    }
    assert!(judgement.intents.iter().all(|intent| (0.0..=1.0).contains(intent)), "{judgement:?}");
    assert!([judgement.offensive, judgement.upset].iter().all(|one| (0.0..=1.0).contains(one)), "{judgement:?}");
    assert!(reading.words.len() <= FOUND_MAX && reading.intents.iter().all(|intent| INTENTS.contains(intent)));
    assert_eq!(read(&text), reading);
}

fn read(text: &str) -> Reading {
    thread_local! {
        static READER: RefCell<TextReader> = RefCell::new(reader());
    }
    READER.with_borrow_mut(|reader| reader.read(&[text]).remove(0))
}

fn reader() -> TextReader {
    let lexicons = LEXICONS.map(|(name, words)| Lexicon::parse(name, words).expect("it comes with the program"));
    TextReader::new(None, lexicons.into())
}
