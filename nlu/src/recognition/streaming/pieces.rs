//! `bpe.model`: how the words of a phrase are cut into the pieces that a model was trained on (Kudo & Richardson 2018,
//! arXiv:1808.06226), so that hotwords are looked for as they are heard.

use sentencepiece_rs::{SentencePieceModel, SentencePieceProcessor};

use super::super::listed::is_unspaced;
use super::tokens::Tokens;
use crate::model::ModelError;

/// The largest `bpe.model`, bytes.
const BYTES_MAX: usize = 16 << 20;

/// What cuts words.
#[derive(Debug)]
pub(super) struct Pieces {
    processor: SentencePieceProcessor,
}

impl Pieces {
    /// Reads `bpe.model`; `file` is the name that errors tell.
    ///
    /// # Errors
    /// What is no such model.
    pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        let refused = |found: String| ModelError::Mismatch {
            file: file.to_owned(),
            what: "pieces",
            expected: format!("a model of sentencepiece of at most {BYTES_MAX} bytes"),
            found,
        };
        if bytes.len() > BYTES_MAX {
            return Err(refused(format!("{} bytes", bytes.len())));
        }
        let model = SentencePieceModel::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
        let processor = SentencePieceProcessor::from_model(model).map_err(|error| refused(error.to_string()))?;
        Ok(Self { processor })
    }

    /// The numbers of the tokens that a phrase is heard as; `None` where one is missing. A character that is written without
    /// blanks and is a token itself is that one (k2's `cjkchar+bpe`).
    pub(super) fn numbers(&self, tokens: &Tokens, phrase: &str) -> Option<Vec<usize>> {
        let mut numbers = Vec::new();
        for word in words(phrase) {
            match tokens.character(word) {
                Some(number) => numbers.push(number),
                None => {
                    let pieces = self.processor.encode(&tokens.written(word)).ok()?;
                    numbers.extend(pieces.iter().map(|piece| tokens.number(piece)).collect::<Option<Vec<usize>>>()?);
                }
            }
        }
        (!numbers.is_empty()).then_some(numbers)
    }
}

/// What stands between blanks; a character that is written without is a word of its own.
fn words(phrase: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for mut part in phrase.split_whitespace() {
        while let Some(first) = part.chars().next() {
            let end = match is_unspaced(first) {
                true => first.len_utf8(),
                false => part.find(is_unspaced).unwrap_or(part.len()),
            };
            words.push(&part[..end]);
            part = &part[end..];
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn phrases_have_words() {
        assert_eq!(words("我要refund, please"), ["我", "要", "refund,", "please"]);
        assert_eq!(words("  "), Vec::<&str>::new());
    }

    #[test]
    fn phrases_are_cut_as_sentencepiece_cuts_them() {
        let (pieces, tokens) = (read(), tokens());
        let cut = include_str!("../../../tests/streaming/pieces/cut.json");
        let cut: BTreeMap<String, Vec<usize>> = serde_json::from_str(cut).expect("what sentencepiece says");
        assert!(cut.len() > 20);
        for (phrase, expected) in cut {
            let found = pieces.numbers(&tokens, &phrase.to_uppercase());
            assert_eq!(found.as_deref(), Some(expected.as_slice()), "{phrase}");
        }
        // What is no character of the model is no token.
        assert_eq!(pieces.numbers(&tokens, "我要 谢"), None);
        assert_eq!(pieces.numbers(&tokens, " "), None);
    }

    #[test]
    fn whole_bytes_are_cut_as_their_letters() {
        let tokens = Tokens::read("tokens.txt", "<blk> 0\n\u{2581}ƊǎƏ 1\n".as_bytes()).expect("a list");
        // The model knows no such letters: nothing is found, and nothing breaks.
        assert_eq!(read().numbers(&tokens, "投"), None);
    }

    fn read() -> Pieces {
        Pieces::read("bpe.model", include_bytes!("../../../tests/streaming/pieces/bpe.model")).expect("a model")
    }

    fn tokens() -> Tokens {
        let list = include_bytes!("../../../tests/streaming/pieces/tokens.txt");
        Tokens::read("tokens.txt", list).expect("a list")
    }

    #[test]
    fn what_is_no_model_is_named() {
        for bytes in [&b"\xff"[..], b"", b"\x0a\x10a"] {
            let error = Pieces::read("bpe.model", bytes).expect_err("no model").to_string();
            assert!(error.starts_with("bpe.model: pieces: expected a model of sentencepiece"), "{error}");
        }
    }
}
