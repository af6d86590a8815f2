//! The tokens that the program sees are the tokens that the model was trained on: a table written by the trainer.

use nlu::text::{grams, tokens};

/// Text, its tokens, the number of its n-grams, and a checksum of them; written by `nlu/train/text/golden.py`.
const TABLE: &str = include_str!("text/tokens.tsv");

#[test]
fn tokens_and_n_grams_are_those_of_the_trainer() {
    assert!(TABLE.lines().count() > 20);
    for line in TABLE.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [text, expected, count, checksum] = columns[..] else { panic!("four columns in {line:?}") };
        let found = tokens(&unescaped(text));
        assert_eq!(found.join("|"), expected, "of {text:?}");
        let hashes = grams(&found);
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        let sum = format!("{:08x}", crc32fast::hash(&bytes));
        assert_eq!((hashes.len().to_string().as_str(), sum.as_str()), (count, checksum), "of {text:?}");
    }
}

/// `\u{200d}` as the character it names.
fn unescaped(text: &str) -> String {
    let mut pieces = text.split("\\u{");
    let mut found = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (code, rest) = piece.split_once('}').expect("a closing brace");
        let code = u32::from_str_radix(code, 16).expect("a hexadecimal number");
        found.push(char::from_u32(code).expect("a character"));
        found.push_str(rest);
    }
    found
}
