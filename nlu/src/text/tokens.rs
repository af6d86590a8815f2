//! What the text model sees of a text: tokens, and hashes of their n-grams.
//!
//! `nlu/train/text/tokens.py` says the same in Python; `nlu/tests/text/tokens.tsv` holds both to each other. A token is a
//! Chinese character, a word of Latin letters, a number (any number is `0`), an emoticon in brackets as chats write it, or
//! any other sign. Traditional characters are read as simplified ones (table of OpenCC, Apache-2.0).

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Later tokens are left out: more than a minute of fast speech.
pub const TOKENS_MAX: usize = 256;
/// A sign said again and again says no more than three times.
const REPEATS_MAX: usize = 3;
/// Longest name of an emoticon between brackets, characters.
const EMOTICON_MAX: usize = 8;
/// Words at least this long also give the n-grams of their letters.
const LONG_WORD_MIN: usize = 4;
/// Between the tokens of an n-gram, and before letters of a word.
const BETWEEN_TOKENS: u8 = 1;
const BEFORE_LETTERS: u8 = 2;
/// The traditional characters, and in the second line what each is in simplified writing.
const SIMPLIFIED: &str = include_str!("simplified.txt");

/// The characters of `text` as everything here reads them: simplified, half width, lower case, nothing invisible.
pub fn normalized(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter_map(|character| {
        let plain = match character {
            '\u{200b}'..='\u{200d}' | '\u{fe0e}' | '\u{fe0f}' | '\u{feff}' => return None,
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xFEE0).unwrap_or(character),
            '\u{3000}' => ' ',
            '\u{2018}' | '\u{2019}' => '\'',
            _ => simplified(character),
        };
        Some(plain.to_ascii_lowercase())
    })
}

/// The tokens of `text`, at most [`TOKENS_MAX`].
pub fn tokens(text: &str) -> Vec<String> {
    // Characters beyond this can not become tokens any more, unless they are spaces.
    let characters: Vec<char> = normalized(text).take(CHARACTERS_MAX).collect();
    let mut found: Vec<String> = Vec::new();
    let mut at = 0;
    while at < characters.len() && found.len() < TOKENS_MAX {
        let first = characters[at];
        let end = token_end(&characters, at);
        let token: String = if first.is_ascii_digit() { "0".to_owned() } else { characters[at..end].iter().collect() };
        at = end;
        if first.is_whitespace() || first.is_control() {
            continue;
        }
        let repeated = found.iter().rev().take_while(|before| **before == token).count();
        if repeated < REPEATS_MAX {
            found.push(token);
        }
    }
    found
}

/// The hashes of all n-grams: of 1-3 tokens, and of 3-5 letters of long words. Sorted, each once.
pub fn grams(tokens: &[String]) -> Vec<u32> {
    let mut found = Vec::with_capacity(tokens.len() * 4);
    for (at, token) in tokens.iter().enumerate() {
        let mut hash = crc32(0, token.as_bytes());
        found.push(hash);
        for next in tokens.iter().skip(at + 1).take(2) {
            hash = crc32(crc32(hash, &[BETWEEN_TOKENS]), next.as_bytes());
            found.push(hash);
        }
        if token.len() >= LONG_WORD_MIN && token.as_bytes()[0].is_ascii_lowercase() {
            let word = format!("<{token}>");
            for size in 3..=5 {
                let letters = word.as_bytes().windows(size);
                found.extend(letters.map(|letters| crc32(crc32(0, &[BEFORE_LETTERS]), letters)));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The checksum of zlib, going on from `before`.
pub(super) fn crc32(before: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(before);
    hasher.update(bytes);
    hasher.finalize()
}

/// Longest text that is looked at, characters.
const CHARACTERS_MAX: usize = 16_384;

fn token_end(characters: &[char], at: usize) -> usize {
    let run = |kind: fn(char) -> bool| at + characters[at..].iter().take_while(|next| kind(**next)).count();
    match characters[at] {
        'a'..='z' => run(|next| next.is_ascii_lowercase() || next == '\''),
        '0'..='9' => run(|next| next.is_ascii_digit()),
        '[' => emoticon_end(characters, at).unwrap_or(at + 1),
        _ => at + 1,
    }
}

/// Behind the bracket that closes the emoticon which opens at `at`.
fn emoticon_end(characters: &[char], at: usize) -> Option<usize> {
    let after = &characters[at + 1..];
    let length = after.iter().take(EMOTICON_MAX + 1).position(|next| *next == ']').filter(|length| *length > 0)?;
    let plain = after[..length].iter().all(|next| *next != '[' && !next.is_whitespace() && !next.is_control());
    plain.then_some(at + length + 2)
}

fn simplified(character: char) -> char {
    static TABLE: OnceLock<BTreeMap<char, char>> = OnceLock::new();
    if character.is_ascii() {
        return character;
    }
    let table = TABLE.get_or_init(|| {
        let mut lines = SIMPLIFIED.lines();
        let (traditional, simplified) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        traditional.chars().zip(simplified.chars()).collect()
    });
    table.get(&character).copied().unwrap_or(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_words_numbers_emoticons_and_signs() {
        check("太差了！", &["太", "差", "了", "!"]);
        check("I can't wait 45 minutes", &["i", "can't", "wait", "0", "minutes"]);
        check("服務態度ＯＫ", &["服", "务", "态", "度", "ok"]);
        check("呵呵[微笑]😡\u{fe0f}", &["呵", "呵", "[微笑]", "😡"]);
        check("哈哈哈哈哈哈", &["哈", "哈", "哈"]);
        check("[a b] []", &["[", "a", "b", "]", "[", "]"]);
        check("", &[]);
    }

    #[test]
    fn a_text_is_never_too_long() {
        assert_eq!(tokens(&"骗子".repeat(100_000)).len(), TOKENS_MAX);
        assert!(tokens(&" ".repeat(100_000)).is_empty());
    }

    #[test]
    fn the_table_of_characters_is_whole() {
        let lengths: Vec<usize> = SIMPLIFIED.lines().map(|line| line.chars().count()).collect();
        assert!(lengths.len() == 2 && lengths[0] == lengths[1] && lengths[0] > 2_000, "{lengths:?}");
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(tokens(text), expected);
    }
}
