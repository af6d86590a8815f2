//! Phrases of the operator's lists among the words of dictation, whoever takes it.
//!
//! Character by character of Chinese, word by word of what is written in letters, whatever their case; or syllable by syllable,
//! whatever its tone, where a recogniser writes what it hears as it sounds.

use super::phrases::{Phrase, PhraseList};
use super::pinyin::{self, Readings, toneless};
use super::{Language, SpokenPhrase, Word};

/// The phrases of one language, the longest first.
#[derive(Debug, Default)]
pub struct Listed {
    /// What each unit of a phrase may be, in turn.
    phrases: Vec<(Vec<Vec<String>>, Phrase)>,
    /// Words are syllables.
    by_sound: bool,
}

impl Listed {
    /// The phrases of a language out of all lists.
    pub fn of(lists: &[PhraseList], language: Language) -> Self {
        Self::new(PhraseList::of(lists, language).map(|list| list.phrases).unwrap_or_default())
    }

    /// The phrases as they are written, the longest first.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.phrases.iter().map(|(_, phrase)| phrase.text.as_str())
    }

    /// Those that are listened for by how they sound; a phrase with a character that nobody here can read is left out.
    pub(super) fn by_sound(lists: &[PhraseList], language: Language) -> Self {
        let readings = Readings::built_in();
        let phrases = PhraseList::of(lists, language).map(|list| list.phrases).unwrap_or_default();
        let sounds = |phrase: Phrase| Some((readings.of(&phrase.text)?, phrase));
        Self { by_sound: true, ..Self::sorted(phrases.into_iter().filter_map(sounds).collect()) }
    }

    fn new(phrases: impl IntoIterator<Item = Phrase>) -> Self {
        let written = |phrase: Phrase| (units(&phrase.text).into_iter().map(|unit| vec![unit]).collect(), phrase);
        Self::sorted(phrases.into_iter().map(written).collect())
    }

    fn sorted(mut phrases: Vec<(Vec<Vec<String>>, Phrase)>) -> Self {
        phrases.retain(|(units, _)| !units.is_empty());
        phrases.sort_by_key(|(units, _)| std::cmp::Reverse(units.len()));
        Self { phrases, by_sound: false }
    }

    /// The phrases among `words`, in order; none overlaps another. Each is as sure as its words on average, or as its syllables
    /// make it.
    pub(super) fn find(&self, words: &[Word]) -> Vec<SpokenPhrase> {
        let units = |word: &Word| if self.by_sound { vec![toneless(&word.text)] } else { units(&word.text) };
        let spoken: Vec<(String, &Word)> =
            words.iter().flat_map(|word| units(word).into_iter().map(move |unit| (unit, word))).collect();
        let mut found = Vec::new();
        let mut at = 0;
        while at < spoken.len() {
            let here = self.phrases.iter().filter_map(|(units, phrase)| {
                let here = spoken.get(at..at + units.len())?;
                let distance = self.distance(units, here)?;
                Some((distance, heard(phrase, here, self.confidence(here, distance))?, units.len()))
            });
            // The longest of those that fit best.
            let Some((_, phrase, length)) = here.min_by(|one, other| one.0.total_cmp(&other.0)) else {
                at += 1;
                continue;
            };
            found.push(phrase);
            at += length;
        }
        found
    }

    /// How far the words are from a phrase; `None` where they are another one.
    fn distance(&self, units: &[Vec<String>], words: &[(String, &Word)]) -> Option<f32> {
        let said = words.iter().map(|(unit, _)| unit.as_str());
        if self.by_sound {
            return pinyin::distance(units, said);
        }
        units.iter().zip(said).all(|(may_be, unit)| may_be.iter().any(|own| own == unit)).then_some(0.0)
    }

    fn confidence(&self, words: &[(String, &Word)], distance: f32) -> f32 {
        if self.by_sound {
            return pinyin::certainty(words.len(), distance);
        }
        words.iter().map(|(_, word)| word.confidence).sum::<f32>() / words.len() as f32
    }
}

/// A phrase that these words make up, if they are sure enough.
fn heard(phrase: &Phrase, words: &[(String, &Word)], confidence: f32) -> Option<SpokenPhrase> {
    let (start, end) = (words.first()?.1.start, words.last()?.1.end);
    let Phrase { text, intent, confidence_min } = phrase.clone();
    (confidence >= confidence_min).then_some(SpokenPhrase { intent, text, start, end, confidence })
}

/// The characters of Chinese and the words in letters of a text, in small letters.
fn units(text: &str) -> Vec<String> {
    words_of(&text.to_lowercase())
}

/// The characters of Chinese and the words in letters of a text, as they are written.
pub(super) fn words_of(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut goes_on = false;
    for letter in text.chars() {
        if is_unspaced(letter) && letter.is_alphanumeric() {
            words.push(letter.to_string());
            goes_on = false;
        } else if letter.is_alphanumeric() || letter == '\'' {
            match words.last_mut().filter(|_| goes_on) {
                Some(word) => word.push(letter),
                None => words.push(letter.to_string()),
            }
            goes_on = true;
        } else {
            goes_on = false;
        }
    }
    words
}

/// Whether a character is written without blanks around it.
pub(super) fn is_unspaced(letter: char) -> bool {
    matches!(u32::from(letter), 0x1100..=0x11FF | 0x2E80..=0xA4CF | 0xA840..=0xD7AF | 0xF900..=0xFAFF | 0xFE30..=0xFE4F
        | 0xFF65..=0xFFDC | 0x20000..=0x2FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_found_among_other_words() {
        check("我|要|投|诉|你|们", "我要投诉 0.60");
        check("要|投|诉|你|们", "投诉你们 0.60");
        check("我|要|投|诉|吧", "我要投诉 0.60");
        check("please|I|want|a|Refund|now", "i want a refund! 0.60");
        check("I|want|a|refunds", "");
        check("我|要", "");
        check("", "");
    }

    #[test]
    fn what_is_not_sure_enough_is_not_heard() {
        check("经|理", "");
    }

    #[test]
    fn phrases_are_found_by_how_they_sound() {
        let list = "language = 'zh'\n[[intent]]\nname = 'any'\nphrases = ['我要投诉', '长城', 'VIP', '龘龘']\n";
        let lists = [PhraseList::from_toml(list).expect("a list")];
        let listed = Listed::by_sound(&lists, Language::Mandarin);
        found_in(&listed, "nà|wǒ|yào|tòu|sū|nǐ", "我要投诉 0.94");
        found_in(&listed, "wǒ|yào|tòu|shū|nǐ", "我要投诉 0.88");
        found_in(&listed, "cháng|chéng|V|I|P", "长城 0.75, VIP 0.88");
        found_in(&listed, "wǒ|yào|tóu", "");
    }

    #[track_caller]
    fn check(words: &str, expected: &str) {
        let phrase = |text: &str, confidence_min| Phrase { text: text.into(), intent: "any".into(), confidence_min };
        let listed = Listed::new([
            phrase("投诉你们", 0.5),
            phrase("我要投诉", 0.5),
            phrase("i want a refund!", 0.5),
            phrase("经理", 0.7),
        ]);
        found_in(&listed, words, expected);
    }

    #[track_caller]
    fn found_in(listed: &Listed, words: &str, expected: &str) {
        let word = |(at, text): (usize, &str)| Word {
            text: text.to_owned(),
            start: at as u64,
            end: at as u64 + 1,
            confidence: 0.6,
        };
        let words: Vec<Word> = words.split('|').filter(|text| !text.is_empty()).enumerate().map(word).collect();
        let found: Vec<String> =
            listed.find(&words).iter().map(|found| format!("{} {:.2}", found.text, found.confidence)).collect();
        assert_eq!(found.join(", "), expected);
    }
}
