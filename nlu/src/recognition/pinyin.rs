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

/// Phrases of so many syllables may be told by what sounds alike, and by all syllables but one: shorter ones are part of much.
const ALIKE_MIN: usize = 4;
const BUT_ONE_MIN: usize = 5;
/// What turns a phrase into its contrary: never taken for another syllable, nor another one for it.
const NEGATIONS: [&str; 4] = ["bu", "mei", "bie", "wu"];

/// How far what was said is from a phrase, in syllables; what sounds alike is half of one away. `None` where it is another one.
pub(super) fn distance<'a>(phrase: &[Vec<String>], said: impl Iterator<Item = &'a str>) -> Option<f32> {
    let (others_max, may_be_alike) = (usize::from(phrase.len() >= BUT_ONE_MIN), phrase.len() >= ALIKE_MIN);
    let (mut alike, mut others) = (0, 0);
    for (may_be, syllable) in phrase.iter().zip(said) {
        if may_be.iter().any(|own| own == syllable) {
            continue;
        }
        if may_be.iter().map(String::as_str).chain([syllable]).any(|each| NEGATIONS.contains(&each)) {
            return None;
        }
        let is_alike = may_be.iter().any(|own| blurred(own) == blurred(syllable));
        *if is_alike { &mut alike } else { &mut others } += 1;
        // Nearly all of a list is left here, after a syllable or two.
        if others > others_max || alike > 0 && !may_be_alike {
            return None;
        }
    }
    Some(0.5 * alike as f32 + others as f32)
}

/// How sure a phrase of so many syllables is at a distance, 0-1: each syllable that fits halves the doubt, one that does not doubles
/// it. Four that fit are sure enough for the shipped lists, and so are six of which one does not.
pub(super) fn certainty(syllables: usize, distance: f32) -> f32 {
    1.0 - 0.5f32.powf(syllables as f32 - 2.0 * distance)
}

/// A syllable without what the south of China and recognisers mix up: zh and z, ch and c, sh and s, n and l, ng and n.
fn blurred(syllable: &str) -> String {
    let flat = [("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l")];
    let begins = flat.iter().find_map(|(own, other)| Some((syllable.strip_prefix(own)?, other)));
    let begun = match begins.filter(|(rest, _)| !rest.is_empty()) {
        Some((rest, other)) => format!("{other}{rest}"),
        None => syllable.to_owned(),
    };
    begun.strip_suffix("ng").map(|rest| format!("{rest}n")).unwrap_or(begun)
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
    fn one_syllable_of_a_long_phrase_may_be_another() {
        let far = |phrase: &str, said: &str| {
            let units: Vec<Vec<String>> = phrase.split(' ').map(|unit| vec![unit.to_owned()]).collect();
            distance(&units, said.split(' '))
        };
        assert_eq!(far("wo yao tou su ni men", "wo yao tou su ni men"), Some(0.0));
        assert_eq!(far("wo yao tou su ni men", "wo yao dou su ni men"), Some(1.0));
        assert_eq!(far("wo yao tou su ni men", "wo yao dou su li mun"), None);
        assert_eq!(far("shang hai gang kou", "sang hai gan kou"), Some(1.0));
        assert_eq!(far("shang hai gang kou", "shang hai gang tou"), None);
        assert_eq!(far("tou su", "tou shu"), None);
        // Of two contrary things neither is the other.
        assert_eq!(far("wo yao tou su ni men", "wo bu tou su ni men"), None);
        assert_eq!(far("wo bu hui qu le", "wo ye hui qu le"), None);
        let sure = [certainty(4, 0.0), certainty(6, 1.0), certainty(5, 1.0), certainty(2, 0.0)];
        assert_eq!(sure, [0.9375, 0.9375, 0.875, 0.75]);
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
