//! What is ordinary language, and how usual a character is in given names: from dictionaries, made by `nlu/train/ordinary.py`.
//!
//! Nothing of it is a list to edit: those are in `config/compliance/`, and go before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The longest word of Mandarin that is known, characters.
pub(super) const HAN_WORD_MAX: usize = 4;
/// What one word among all the others weighs that was counted once, bits.
const COUNTED_ONCE: i32 = 26;
/// What a character weighs that no word is.
const UNKNOWN: i32 = 22;
/// What a character weighs in a given name that has not been seen in one.
const NOT_GIVEN: i32 = 15;

/// What a surname of two characters weighs.
const COMPOUND: i32 = 7;
/// What a surname weighs that was not counted.
const RARE: i32 = 11;

static MANDARIN: LazyLock<BTreeMap<&'static str, i32>> =
    LazyLock::new(|| numbered(include_str!("ordinary/words.zh.txt")).collect());
static GIVEN: LazyLock<BTreeMap<char, i32>> = LazyLock::new(|| each(include_str!("ordinary/given.zh.txt")));
static FOREIGN: LazyLock<BTreeMap<char, i32>> = LazyLock::new(|| each(include_str!("ordinary/foreign.zh.txt")));
static SURNAMES: LazyLock<BTreeMap<char, i32>> = LazyLock::new(|| each(include_str!("ordinary/surnames.zh.txt")));
static ENGLISH: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| words(include_str!("ordinary/words.en.txt")));
static ENGLISH_GIVEN: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| words(include_str!("ordinary/given.en.txt")));
static ENGLISH_SURNAMES: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| words(include_str!("ordinary/surnames.en.txt")));
static ENGLISH_PROPER: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| words(include_str!("ordinary/proper.en.txt")));

/// Reads the dictionaries, once: whoever masks the first sentence should not have to.
pub(super) fn read() {
    for dictionary in [&ENGLISH, &ENGLISH_GIVEN, &ENGLISH_SURNAMES, &ENGLISH_PROPER] {
        LazyLock::force(dictionary);
    }
    for characters in [&GIVEN, &FOREIGN, &SURNAMES] {
        LazyLock::force(characters);
    }
    LazyLock::force(&MANDARIN);
}

/// How unlikely a word of Mandarin is among others, bits; of one character every one is a word.
pub(super) fn word_bits(word: &str) -> Option<i32> {
    let bits = MANDARIN.get(word).map(|count| COUNTED_ONCE - count);
    bits.or_else(|| (word.chars().nth(1).is_none()).then_some(UNKNOWN))
}

/// How unlikely a character is among those of given names, bits.
pub(super) fn given_bits(character: char) -> i32 {
    GIVEN.get(&character).copied().unwrap_or(NOT_GIVEN)
}

/// How unlikely a character is among those of names that are written by their sound, or of given names, bits.
pub(super) fn foreign_bits(character: char) -> i32 {
    FOREIGN.get(&character).copied().unwrap_or(NOT_GIVEN)
}

/// How unlikely a surname is among others, bits; those of two characters are rare.
pub(super) fn surname_bits(surname: &[char]) -> i32 {
    if let [one] = surname { SURNAMES.get(one).copied().unwrap_or(RARE) } else { COMPOUND }
}

/// Whether it is a word of English, in lower case, with one of its endings or without.
pub(super) fn is_english(word: &str) -> bool {
    let word = word.split_once('\'').map_or(word, |(word, _)| word);
    ENGLISH.contains(word) || ENDINGS.iter().any(|&(ending, stems)| ends_with(word, ending, stems))
}

/// Whether it is a word of English with an ending, in lower case: "blocked", "nearly".
pub(super) fn is_inflected(word: &str) -> bool {
    ENDINGS[ENDINGS_OF_NOUNS..].iter().any(|&(ending, stems)| ends_with(word, ending, stems))
}

/// Whether it is a usual given name of English, in lower case; many are words, too.
pub(super) fn is_english_given(word: &str) -> bool {
    ENGLISH_GIVEN.contains(word)
}

/// Whether it is a usual surname of English, in lower case; many are words, too.
pub(super) fn is_english_surname(word: &str) -> bool {
    ENGLISH_SURNAMES.contains(word)
}

/// Whether it is a proper name that people do not usually have, in lower case.
pub(super) fn is_english_proper(word: &str) -> bool {
    ENGLISH_PROPER.contains(word)
}

/// Endings, and what a stem has in their place.
const ENDINGS: [(&str, &[&str]); 7] = [
    ("s", &[""]),
    ("es", &["", "e"]),
    ("ies", &["y"]),
    ("ied", &["y"]),
    ("ed", &["", "e"]),
    ("ing", &["", "e"]),
    ("ly", &["", "le"]),
];
/// So many of them are endings of nouns, too.
const ENDINGS_OF_NOUNS: usize = 3;
/// The shortest stem, letters.
const STEM_MIN: usize = 3;

fn ends_with(word: &str, ending: &str, stems: &[&str]) -> bool {
    let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.len() >= STEM_MIN) else { return false };
    // Stopped, running: the last letter is doubled.
    let mut letters = stem.bytes().rev();
    let is_doubled = letters.next() == letters.next() && stem.is_ascii();
    stems.iter().any(|end| ENGLISH.contains(format!("{stem}{end}").as_str()))
        || (is_doubled && ENGLISH.contains(&stem[..stem.len() - 1]))
}

/// What each line says behind its number.
fn numbered(text: &'static str) -> impl Iterator<Item = (&'static str, i32)> {
    lines(text).flat_map(|line| {
        let mut parts = line.split(' ');
        let number = parts.next().and_then(|number| number.parse().ok()).unwrap_or_default();
        parts.map(move |part| (part, number))
    })
}

fn words(text: &'static str) -> BTreeSet<&'static str> {
    lines(text).flat_map(str::split_whitespace).collect()
}

/// What each character weighs of the lines of a list.
fn each(text: &'static str) -> BTreeMap<char, i32> {
    numbered(text).flat_map(|(characters, bits)| characters.chars().map(move |character| (character, bits))).collect()
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_words_are_known() {
        assert!(MANDARIN.len() > 40_000 && ENGLISH.len() > 30_000 && GIVEN.len() > 1_000);
        for word in ["高兴", "方便", "马上", "程序", "的"] {
            assert!(word_bits(word).is_some_and(|bits| bits < 20), "{word}");
        }
        assert_eq!((word_bits("晓梅"), word_bits("翀").is_some()), (None, true));
        assert!(given_bits('芳') < 10 && given_bits('退') > 12);
    }

    #[test]
    fn english_words_are_known_with_their_endings() {
        for word in ["house", "houses", "stopped", "making", "tries", "tried", "nearly", "possibly", "that's"] {
            assert!(is_english(word), "{word}");
        }
        for name in ["katarzyna", "okonkwo", "dlamini", "ß", "ßs", "éés"] {
            assert!(!is_english(name), "{name}");
        }
    }
}
