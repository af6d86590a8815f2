//! A pronunciation dictionary in the CMU form: `word PHONE PHONE …`, alternatives as `word(2) …`.
//!
//! Splits a phrase into units with their sounds: characters of Mandarin, words of English.

use std::collections::{BTreeMap, BTreeSet};

/// Alternatives of one word that are used.
const ALTERNATIVES_MAX: usize = 3;
/// The longest word of a language without blanks, characters.
const WORD_CHARACTERS_MAX: usize = 8;
/// The largest dictionary, lines.
const LINES_MAX: usize = 500_000;

/// How words are spoken.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    words: BTreeMap<String, Vec<String>>,
}

/// A part of a phrase that is scored by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpokenUnit {
    /// As it is written.
    pub(super) text: String,
    /// The ways to say it, phones between blanks; at least one.
    pub(super) sounds: Vec<String>,
}

impl Dictionary {
    /// Reads a dictionary; lines that are no entries are passed over.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut words: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.lines().take(LINES_MAX).map(|line| line.split('#').next().unwrap_or_default()) {
            let mut fields = line.split_whitespace();
            let Some(entry) = fields.next() else { continue };
            let sounds = fields.collect::<Vec<_>>().join(" ");
            let word = entry.split_once('(').filter(|(word, _)| !word.is_empty()).map_or(entry, |(word, _)| word);
            let known = words.entry(word.to_owned()).or_default();
            if !sounds.is_empty() && known.len() < ALTERNATIVES_MAX && !known.contains(&sounds) {
                known.push(sounds);
            }
        }
        words.retain(|_, sounds| !sounds.is_empty());
        Self { words }
    }

    /// Every phone that occurs.
    pub(super) fn phones(&self) -> BTreeSet<&str> {
        self.words.values().flatten().flat_map(|sounds| sounds.split(' ')).collect()
    }

    /// The ways to say one character, each once; empty when the language is written in letters.
    pub(super) fn syllables(&self) -> Vec<String> {
        let is_character = |word: &str| word.chars().count() == 1 && !word.is_ascii();
        let sounds = self.words.iter().filter(|(word, _)| is_character(word)).flat_map(|(_, sounds)| sounds.iter());
        sounds.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The units of a phrase, or the part of it that is no word of the dictionary.
    pub(super) fn units(&self, phrase: &str) -> Result<Vec<SpokenUnit>, String> {
        let mut units = Vec::new();
        for part in phrase.split(|c: char| c.is_whitespace() || is_punctuation(c)).filter(|part| !part.is_empty()) {
            match self.words.get(&part.to_lowercase()).filter(|_| part.is_ascii()) {
                Some(sounds) => units.push(SpokenUnit { text: part.to_owned(), sounds: sounds.clone() }),
                None => self.add_unspaced(part, &mut units)?,
            }
        }
        Ok(units)
    }

    /// Cuts a run of characters into words, the longest first, and those into characters.
    fn add_unspaced(&self, part: &str, units: &mut Vec<SpokenUnit>) -> Result<(), String> {
        let characters: Vec<char> = part.chars().collect();
        let mut at = 0;
        while at < characters.len() {
            let longest = WORD_CHARACTERS_MAX.min(characters.len() - at);
            let found = (1..=longest).rev().find_map(|length| {
                let word: String = characters[at..at + length].iter().collect();
                self.words.get(&word).map(|sounds| (length, word, sounds))
            });
            let (length, word, sounds) = found.ok_or_else(|| characters[at..].iter().collect::<String>())?;
            units.extend(self.split(&word, sounds));
            at += length;
        }
        Ok(())
    }

    /// A word as its characters, when their own sounds make up all of its sounds; otherwise as one unit.
    fn split(&self, word: &str, sounds: &[String]) -> Vec<SpokenUnit> {
        let characters: Vec<char> = word.chars().collect();
        let ways: Option<Vec<Vec<&str>>> = sounds.iter().map(|way| self.split_sounds(&characters, way)).collect();
        let Some(ways) = ways.filter(|_| characters.len() > 1) else {
            return vec![SpokenUnit { text: word.to_owned(), sounds: sounds.to_vec() }];
        };
        let unit = |(index, character): (usize, &char)| {
            let mut sounds: Vec<String> = Vec::new();
            for way in &ways {
                if !sounds.iter().any(|known| known == way[index]) {
                    sounds.push(way[index].to_owned());
                }
            }
            SpokenUnit { text: character.to_string(), sounds }
        };
        characters.iter().enumerate().map(unit).collect()
    }

    fn split_sounds<'a>(&self, characters: &[char], sounds: &'a str) -> Option<Vec<&'a str>> {
        let Some((first, rest)) = characters.split_first() else { return sounds.is_empty().then(Vec::new) };
        let own = self.words.get(&first.to_string())?;
        own.iter().find_map(|way| {
            let behind = sounds.strip_prefix(way.as_str())?;
            let behind = if behind.is_empty() { behind } else { behind.strip_prefix(' ')? };
            let mut split = vec![&sounds[..way.len()]];
            split.extend(self.split_sounds(rest, behind)?);
            Some(split)
        })
    }
}

/// What stands in a phrase and is not spoken.
fn is_punctuation(c: char) -> bool {
    (c.is_ascii_punctuation() && c != '\'' && c != '.') || "，。！？、；：“”‘’（）《》…".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ZH: &str = "我 w o\n要 y ao\n投诉 t ou s u\n投 t ou\n诉 s u\n差 ch a\n差(2) ch ai\n太差 t ai ch a\n太 t ai\n\
                      儿子 es er z if\nA. es ei\n";
    const EN: &str = "refund R IY F AH N D\nrefund(2) R IH F AH N D # noun\ni AY\nwant W AA N T\ndon't D OW N T\n";

    #[test]
    fn words_are_cut_longest_first_and_into_characters() {
        check(ZH, "我要投诉！", "我=w o|要=y ao|投=t ou|诉=s u");
        check(ZH, "太差", "太=t ai|差=ch a");
        check(ZH, "差", "差=ch a/ch ai");
        // The characters' own sounds are not known, so the word stays whole.
        check(ZH, "儿子", "儿子=es er z if");
    }

    #[test]
    fn words_between_blanks() {
        check(EN, "I want, refund", "I=AY|want=W AA N T|refund=R IY F AH N D/R IH F AH N D");
        check(EN, "don't", "don't=D OW N T");
    }

    #[test]
    fn what_is_no_word_is_named() {
        check(ZH, "我要骂人", "骂人?");
        check(EN, "want gizmo", "gizmo?");
        check(EN, "", "");
    }

    #[test]
    fn any_bytes_are_a_dictionary() {
        let read = Dictionary::read(b"\xff\xfe a\n(2) b\n\n()\nw\n#x y\n");
        assert!(read.phones().len() <= 2, "{read:?}");
    }

    proptest! {
        #[test]
        fn every_phrase_is_cut_into_itself_or_named(
            dictionary in "([我要投诉太差]{1,3}(\\([0-9]\\))? [a-c]{1,2}( [a-c]{1,2}){0,3}\n){0,12}",
            phrase in "[我要投诉太差，。 ]{0,12}",
        ) {
            let spoken: String = phrase.chars().filter(|c| !c.is_whitespace() && !is_punctuation(*c)).collect();
            match Dictionary::read(dictionary.as_bytes()).units(&phrase) {
                Ok(units) => {
                    prop_assert_eq!(units.iter().map(|unit| unit.text.as_str()).collect::<String>(), spoken);
                    prop_assert!(units.iter().all(|unit| !unit.sounds.is_empty()));
                }
                Err(part) => prop_assert!(!part.is_empty() && spoken.contains(&part)),
            }
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200), phrase in "(?s).{0,40}") {
            let _ = Dictionary::read(&bytes).units(&phrase);
        }
    }

    #[track_caller]
    fn check(dictionary: &str, phrase: &str, expected: &str) {
        let units = match Dictionary::read(dictionary.as_bytes()).units(phrase) {
            Ok(units) => {
                units.iter().map(|u| format!("{}={}", u.text, u.sounds.join("/"))).collect::<Vec<_>>().join("|")
            }
            Err(unknown) => format!("{unknown}?"),
        };
        assert_eq!(units, expected, "{phrase}");
    }
}
