//! How a phrase sounds to the network: which of its tokens each character and each letter may be.

use std::collections::BTreeMap;

use super::super::listed::{is_unspaced, words_of};

/// The token of nothing said.
pub(super) const BLANK: u16 = 0;

/// What the network writes, and which characters are read so.
#[derive(Debug, Default)]
pub(super) struct Sounds {
    /// How many tokens there are.
    tokens: u16,
    letters: BTreeMap<char, u16>,
    characters: BTreeMap<char, Vec<u16>>,
}

/// A part of a phrase that is told by itself: a character of Mandarin, a word of English.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SoundedUnit {
    /// As it is written.
    pub(super) text: String,
    /// For each token in turn, those that it may be; at least one.
    pub(super) tokens: Vec<Vec<u16>>,
}

impl Sounds {
    /// Of the names of all tokens, the first of them nothing, and the characters of each syllable.
    ///
    /// # Errors
    /// The syllable that is no token.
    pub(super) fn new(tokens: &[String], readings: &BTreeMap<String, String>) -> Result<Self, String> {
        let index: BTreeMap<&str, u16> = tokens.iter().map(String::as_str).zip(0..).skip(1).collect();
        let mut sounds = Self { tokens: tokens.len() as u16, ..Self::default() };
        for (syllable, characters) in readings {
            // Some syllables are letters, too: those come first in the list of tokens.
            let token = tokens.iter().position(|token| token == syllable).ok_or_else(|| syllable.clone())? as u16;
            for character in characters.chars() {
                sounds.characters.entry(character).or_default().push(token);
            }
        }
        sounds.letters =
            ('a'..='z').filter_map(|letter| Some((letter, *index.get(letter.to_string().as_str())?))).collect();
        Ok(sounds)
    }

    /// How many tokens there are, that of nothing among them.
    pub(super) fn tokens(&self) -> u16 {
        self.tokens
    }

    /// Whether a token is a letter, not a syllable.
    pub(super) fn is_letter(&self, token: u16) -> bool {
        self.letters.values().any(|letter| *letter == token)
    }

    /// The units of a phrase, or the part of it that is not known.
    pub(super) fn units(&self, phrase: &str) -> Result<Vec<SoundedUnit>, String> {
        words_of(phrase).into_iter().map(|word| self.unit(word)).collect()
    }

    fn unit(&self, text: String) -> Result<SoundedUnit, String> {
        let tokens: Option<Vec<Vec<u16>>> = if text.starts_with(is_unspaced) {
            text.chars().map(|character| self.characters.get(&character).cloned()).collect()
        } else {
            let letters = text.chars().flat_map(char::to_lowercase).filter(|letter| *letter != '\'');
            letters.map(|letter| self.letters.get(&letter).map(|token| vec![*token])).collect()
        };
        match tokens.filter(|tokens| !tokens.is_empty()) {
            Some(tokens) => Ok(SoundedUnit { text, tokens }),
            None => Err(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_syllables_and_words_letters() {
        check("差a了！", "差=2/3|a=4|了=1");
        check("A cab, 差", "A=4|cab=6.4.5|差=2/3");
        check("ca'b", "ca'b=6.4.5");
        check("差x", "x?");
        check("骂", "骂?");
        check("5", "5?");
        check("…", "");
    }

    #[test]
    fn a_syllable_that_is_no_token_is_named() {
        let readings = BTreeMap::from([("ma".to_owned(), "骂".to_owned())]);
        assert_eq!(Sounds::new(&tokens(), &readings).expect_err("unknown"), "ma");
    }

    fn tokens() -> Vec<String> {
        ["", "le", "cha", "chai", "a", "b", "c"].map(str::to_owned).to_vec()
    }

    #[track_caller]
    fn check(phrase: &str, expected: &str) {
        let readings = [("le", "了"), ("cha", "差茶"), ("chai", "差")];
        let readings = readings.map(|(syllable, characters)| (syllable.to_owned(), characters.to_owned())).into();
        let sounds = Sounds::new(&tokens(), &readings).expect("all are tokens");
        let alternatives = |tokens: &Vec<u16>| tokens.iter().map(u16::to_string).collect::<Vec<_>>().join("/");
        let found = match sounds.units(phrase) {
            Ok(units) => units
                .iter()
                .map(|unit| {
                    format!("{}={}", unit.text, unit.tokens.iter().map(alternatives).collect::<Vec<_>>().join("."))
                })
                .collect::<Vec<_>>()
                .join("|"),
            Err(unknown) => format!("{unknown}?"),
        };
        assert_eq!(found, expected, "{phrase}");
    }
}
