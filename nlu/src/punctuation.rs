//! Punctuation light: commas, full stops, question marks and English capitals in what recognisers write without any.
//!
//! Marks are set behind words and never inside of them or of numbers, so that taking them out gives back what was said.
//! Whoever judges words reads them without; only what is shown and kept has marks. Weights: `nlu/train/punctuation`.

mod features;
mod table;
mod units;

use std::ops::Range;

use self::features::{Place, features};
use self::table::{Mark, SCALE, restraint, weights};
use self::units::Unit;
use crate::features::SAMPLE_RATE_HZ;
use crate::numbers::token::is_han;
use crate::recognition::Word;

/// Units of a text in which marks are set; behind them stands none.
const UNITS_MAX: usize = 600;
/// From such a pause on a mark is likelier, seconds; and how much likelier, as a logarithm of odds, growing to a longer one.
const PAUSE_S: f32 = 0.2;
const PAUSE_LONG_S: f32 = 0.6;
const PAUSE_ODDS: f32 = 2.0;
const PAUSE_LONG_ODDS: f32 = 4.0;
/// By so much more than a comma a long pause is for what ends a sentence.
const PAUSE_ENDS_ODDS: f32 = 1.0;

/// Marks and capitals for one text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Punctuation {
    /// Behind which byte stands which mark, in order.
    marks: Vec<(usize, char)>,
    /// At which bytes a capital stands, in order.
    capitals: Vec<usize>,
    /// Other letters become small ones: all of them were capitals.
    is_lowered: bool,
}

impl Punctuation {
    /// The punctuation of a text that is as it will stay; `words` are those that it was written from, with their times, as
    /// far as they are known. A text that has marks of its own gets none, and keeps its letters.
    pub fn of(text: &str, words: &[Word]) -> Self {
        let Some(mut units) = units::units(text).filter(|units| !units.is_empty()) else { return Self::default() };
        units.truncate(UNITS_MAX);
        units::pause(&mut units, words, SAMPLE_RATE_HZ);
        let is_chinese = text.chars().any(is_han);
        let set = set(&units, is_chinese);
        let marks = units.iter().zip(&set);
        let marks = marks.filter_map(|(unit, mark)| Some((unit.bytes.end, mark.written(is_chinese)?))).collect();
        let (capitals, is_lowered) = if is_chinese { (Vec::new(), false) } else { capitals(text, &units, &set) };
        Self { marks, capitals, is_lowered }
    }

    /// The text with its punctuation.
    pub fn write(&self, text: &str) -> String {
        self.write_masked(text, [])
    }

    /// The text with its punctuation and with what stands in the place of some of it, in order; inside of that no mark is set.
    pub(crate) fn write_masked<'m>(
        &self,
        text: &str,
        masks: impl IntoIterator<Item = (Range<usize>, &'m str)>,
    ) -> String {
        let mut out = String::with_capacity(text.len() + 4 * self.marks.len());
        let mut at = 0;
        for (bytes, mask) in masks {
            self.write_part(text, at..bytes.start, &mut out);
            out.push_str(mask);
            out.extend(self.mark_behind(bytes.end));
            at = bytes.end;
        }
        self.write_part(text, at..text.len(), &mut out);
        out
    }

    fn write_part(&self, text: &str, part: Range<usize>, out: &mut String) {
        for (offset, letter) in text[part.clone()].char_indices() {
            let at = part.start + offset;
            out.push(match letter {
                letter if self.capitals.binary_search(&at).is_ok() => letter.to_ascii_uppercase(),
                letter if self.is_lowered => letter.to_ascii_lowercase(),
                letter => letter,
            });
            out.extend(self.mark_behind(at + letter.len_utf8()));
        }
    }

    fn mark_behind(&self, byte: usize) -> Option<char> {
        let found = self.marks.binary_search_by_key(&byte, |(at, _)| *at).ok()?;
        Some(self.marks[found].1)
    }
}

/// The mark behind each unit, one after the other: what has been set counts for what follows.
fn set(units: &[Unit], is_chinese: bool) -> Vec<Mark> {
    let mut place = Place::default();
    let mut set = Vec::with_capacity(units.len());
    for (at, unit) in units.iter().enumerate() {
        place.at = at;
        let mut scores = pause_scores(unit.pause_s);
        scores[Mark::Nothing as usize] += restraint(is_chinese);
        features(units, place, is_chinese, &mut |hash| {
            let weights = weights(hash).unwrap_or_default();
            scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += f32::from(weight));
        });
        let is_last = at + 1 == units.len();
        let may = |mark: &Mark| unit.is_open && (!is_last || mark.ends()) || !unit.is_open && *mark == Mark::Nothing;
        let best = |a: &Mark, b: &Mark| scores[*a as usize].total_cmp(&scores[*b as usize]);
        let mark = Mark::ALL.into_iter().rev().filter(may).max_by(best).unwrap_or(Mark::Nothing);
        place.clause = if mark == Mark::Nothing { place.clause } else { at + 1 };
        place.sentence = if mark.ends() { at + 1 } else { place.sentence };
        set.push(mark);
    }
    set
}

/// What a pause adds to the score of each mark.
fn pause_scores(pause_s: f32) -> [f32; 4] {
    if pause_s < PAUSE_S {
        return [0.0; 4];
    }
    let share = ((pause_s - PAUSE_S) / (PAUSE_LONG_S - PAUSE_S)).min(1.0);
    let mark = (PAUSE_ODDS + share * (PAUSE_LONG_ODDS - PAUSE_ODDS)) * SCALE;
    let ends = mark + share * PAUSE_ENDS_ODDS * SCALE;
    [0.0, mark, ends, ends]
}

/// Where capitals stand in English that is written in one case: at the beginning of sentences, and in "I". And whether
/// its other letters are to become small.
fn capitals(text: &str, units: &[Unit], set: &[Mark]) -> (Vec<usize>, bool) {
    let letters = || text.chars().filter(char::is_ascii_alphabetic);
    let is_upper = letters().all(|letter| letter.is_ascii_uppercase());
    if !is_upper && !letters().all(|letter| letter.is_ascii_lowercase()) {
        return (Vec::new(), false);
    }
    let begins = std::iter::once(true).chain(set.iter().map(|mark| mark.ends()));
    let is_capital = |(unit, begins): &(&Unit, bool)| *begins || unit.text == "i" || unit.text.starts_with("i'");
    let places = units.iter().zip(begins).filter(is_capital).map(|(unit, _)| unit.bytes.start);
    (places.collect(), is_upper)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sentences_get_their_marks_and_capitals() {
        for (said, written) in [
            ("好的没问题", "好的，没问题。"),
            ("这个能不能退款", "这个能不能退款？"),
            ("can you tell me when it will arrive", "Can you tell me when it will arrive?"),
            ("I DON'T KNOW", "I don't know."),
            ("你好，我姓王", "你好，我姓王"),
            ("", ""),
            ("[", "["),
        ] {
            assert_eq!(Punctuation::of(said, &[]).write(said), written);
        }
    }

    /// The recipe has written what it sets in texts of our own: a sign for each unit.
    #[test]
    fn the_same_is_set_as_by_the_recipe() {
        for line in include_str!("punctuation/examples.tsv").lines() {
            let (text, expected) = line.split_once('\t').expect("two columns");
            let units = units::units(text).expect("no marks");
            let sign = |mark: &Mark| ['-', ',', '.', '?'][*mark as usize];
            let found: String = set(&units, text.chars().any(is_han)).iter().map(sign).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_pause_makes_a_mark() {
        let text = "我看一下这个订单";
        let word = |(index, letter): (usize, char)| {
            let start = index as u64 * 1_600 + if index >= 4 { 6_400 } else { 0 };
            Word { text: letter.to_string(), start, end: start + 1_600, confidence: 1.0 }
        };
        let words: Vec<Word> = text.chars().enumerate().map(word).collect();
        let marks = |words: &[Word]| Punctuation::of(text, words).marks.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        assert!(!marks(&[]).contains(&12) && marks(&words).contains(&12), "{:?}", marks(&words));
    }

    #[test]
    fn nothing_is_set_inside_of_what_is_masked() {
        let text = "我叫王小明电话是13800138000谢谢";
        let all: Vec<(usize, char)> = text.char_indices().map(|(at, letter)| (at + letter.len_utf8(), '，')).collect();
        let every = Punctuation { marks: all, ..Punctuation::default() };
        let name = text.find('王').expect("there");
        let phone = text.find('1').expect("there");
        let masks = [(name..name + 9, "[姓名]"), (phone..phone + 11, "[电话]")];
        assert_eq!(every.write_masked(text, masks), "我，叫，[姓名]，电，话，是，[电话]，谢，谢，");
    }

    proptest! {
        #[test]
        fn without_its_marks_a_text_is_what_was_said(
            text in "(?s).{0,60}|[我你的吗是了不,。 0-9.:A-Za-z'-]{0,60}|([a-z']{1,6}|[A-Z]{1,5}| |[0-9]{1,3}[.:][0-9]{1,2}|[一-龥]){0,30}",
            gap in 0_u64..9_000,
        ) {
            let word = |(index, letter): (usize, char)| {
                let start = index as u64 * 1_600 + if index % 5 == 4 { gap } else { 0 };
                Word { text: letter.to_string(), start, end: start + 800, confidence: 1.0 }
            };
            let words: Vec<Word> = text.chars().filter(|letter| !letter.is_whitespace()).enumerate().map(word).collect();
            let punctuation = Punctuation::of(&text, &words);
            let shown = punctuation.write(&text);
            let mut marks = punctuation.marks.iter().peekable();
            let (mut bare, mut at) = (String::new(), 0);
            for letter in shown.chars() {
                if marks.next_if(|(behind, mark)| *behind == at && *mark == letter).is_none() {
                    bare.push(letter);
                    at += letter.len_utf8();
                }
            }
            prop_assert!(bare.eq_ignore_ascii_case(&text));
            prop_assert!(marks.next().is_none(), "{punctuation:?}");
            if punctuation.capitals.is_empty() && !punctuation.is_lowered {
                prop_assert_eq!(bare, text);
            }
        }
    }
}
