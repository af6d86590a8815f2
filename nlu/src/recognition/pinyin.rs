//! Mandarin as it sounds: models that write initials and finals of pinyin instead of characters, and phrases by how their
//! characters are read.
//!
//! Tones are left out of what is compared: dialects and recognisers mix them up, and hardly two phrases of a list differ in
//! nothing else.

use std::collections::BTreeMap;

use super::built_in::WordsCard;
use super::listed::{is_unspaced, words_of};

/// What a token of such a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What a syllable begins with.
    Initial,
    /// What it ends with, or all of it.
    Final,
    /// A letter, or none of both.
    Other,
}

const INITIALS: [&str; 23] = [
    "b", "p", "m", "f", "d", "t", "n", "l", "g", "k", "h", "j", "q", "x", "zh", "ch", "sh", "r", "z", "c", "s", "y",
    "w",
];
/// A list with fewer finals that bear a tone is of something else.
const TONED_MIN: usize = 20;

/// What each token of a list is, where the list is of initials and finals.
pub(super) fn parts(named: &[&str]) -> Option<Vec<Part>> {
    let part = |token: &&str| {
        if INITIALS.contains(token) {
            Part::Initial
        } else if is_final(token) {
            Part::Final
        } else {
            Part::Other
        }
    };
    let toned = named.iter().filter(|token| is_final(token) && !token.is_ascii()).count();
    let are_there = INITIALS.iter().all(|initial| named.contains(initial));
    let is_other = |token: &&str| token.chars().any(|letter| is_unspaced(letter) || letter == '\u{2581}');
    (are_there && toned >= TONED_MIN && !named.iter().any(is_other)).then(|| named.iter().map(part).collect())
}

/// Whether a token is a final, with its tone or without.
fn is_final(token: &str) -> bool {
    let plain = toneless(token);
    let begins = plain.starts_with(['a', 'e', 'i', 'o', 'u', 'v']) || plain != token;
    begins && !token.contains(char::is_uppercase) && plain.chars().all(|letter| letter.is_ascii_lowercase())
}

/// A syllable without its tone, in small letters; ü is v.
pub(super) fn toneless(syllable: &str) -> String {
    let plain = |letter: char| match letter {
        'ā' | 'á' | 'ǎ' | 'à' => 'a',
        'ē' | 'é' | 'ě' | 'è' | 'ê' => 'e',
        'ī' | 'í' | 'ǐ' | 'ì' => 'i',
        'ō' | 'ó' | 'ǒ' | 'ò' => 'o',
        'ū' | 'ú' | 'ǔ' | 'ù' => 'u',
        'ü' | 'ǖ' | 'ǘ' | 'ǚ' | 'ǜ' => 'v',
        'ń' | 'ň' | 'ǹ' => 'n',
        'ḿ' => 'm',
        other => other,
    };
    syllable.chars().map(plain).flat_map(char::to_lowercase).collect()
}

/// How characters may be read, by the built-in recogniser's card.
#[derive(Debug)]
pub(super) struct Readings(BTreeMap<char, Vec<String>>);

impl Readings {
    /// Those that come with the program.
    pub(super) fn built_in() -> Self {
        let mut readings: BTreeMap<char, Vec<String>> = BTreeMap::new();
        for (syllable, characters) in WordsCard::built_in().readings {
            for character in characters.chars() {
                readings.entry(character).or_default().push(syllable.clone());
            }
        }
        Self(readings)
    }

    /// What a phrase may sound like: for each syllable or letter in turn, those that it may be. `None` where somebody's
    /// character has no reading, or nothing is to be said.
    pub(super) fn of(&self, phrase: &str) -> Option<Vec<Vec<String>>> {
        let mut units = Vec::new();
        for word in words_of(&phrase.to_lowercase()) {
            if word.starts_with(is_unspaced) {
                units.push(self.0.get(&word.chars().next()?)?.clone());
            } else {
                units.extend(word.chars().map(|letter| vec![letter.to_string()]));
            }
        }
        (!units.is_empty()).then_some(units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_initials_and_finals_is_known() {
        let finals = "ā á ǎ à a ēng iàn uè ǜ ǘ ùn ǎo iú uáng ōng én ín ǐng òu uǒ āi èi ér üè o";
        let list: Vec<&str> = ["<blk>", "A", "#0"].into_iter().chain(INITIALS).chain(finals.split(' ')).collect();
        let parts = parts(&list).expect("it is one");
        assert_eq!(parts[..4], [Part::Other, Part::Other, Part::Other, Part::Initial]);
        assert!(parts[3 + INITIALS.len()..].iter().all(|part| *part == Part::Final), "{parts:?}");
        assert_eq!(super::parts(&[list.as_slice(), &["我"]].concat()), None);
        assert_eq!(super::parts(&[list.as_slice(), &["\u{2581}re"]].concat()), None);
        assert_eq!(super::parts(&list[..30]), None);
    }

    #[test]
    fn tones_are_left_out() {
        for (syllable, plain) in [("tóu", "tou"), ("lǜ", "lv"), ("lüè", "lve"), ("A", "a"), ("ér", "er"), ("ńg", "ng")]
        {
            assert_eq!(toneless(syllable), plain);
        }
    }

    #[test]
    fn phrases_sound_as_their_characters_are_read() {
        let readings = Readings::built_in();
        let said = |phrase: &str| {
            let units = readings.of(phrase)?;
            Some(units.iter().map(|unit| unit.join("/")).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(said("投诉"), Some("dou/tou su".into()));
        assert_eq!(said("我要退款"), Some("wo yao tui kuan/xin".into()));
        assert_eq!(said("VIP"), Some("v i p".into()));
        assert_eq!((said("龘"), said("…")), (None, None));
    }
}
