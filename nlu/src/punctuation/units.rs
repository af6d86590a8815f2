//! What marks stand behind: Han characters, words of letters and numbers, with the pauses behind them.

use std::ops::Range;

use crate::numbers::token::{Kind, Token, is_han, tokens};
use crate::recognition::Word;

/// What stands for any number.
const NUMBER: &str = "0";
/// Marks that stand inside a number, or inside a word.
const IN_NUMBERS: &str = ".,:/-";
const IN_WORDS: &str = "-'";
/// Behind a shorter number something of its own follows in Chinese: 3块, 15分.
const DIGITS_ALONE_MIN: usize = 5;
/// Words that are looked through for one that was heard as a number is written.
const LOOKED_THROUGH: usize = 40;

/// One of them.
#[derive(Debug, PartialEq)]
pub(super) struct Unit {
    /// As it is looked up: in small letters, a number as `0`.
    pub(super) text: String,
    pub(super) bytes: Range<usize>,
    /// Whether a mark may stand behind it.
    pub(super) is_open: bool,
    /// The pause behind it beyond what is usual between words of the same text, seconds.
    pub(super) pause_s: f32,
}

impl Unit {
    pub(super) fn is_number(&self) -> bool {
        self.text == NUMBER
    }
}

/// The units of a text; `None` where it has marks of its own.
pub(super) fn units(text: &str) -> Option<Vec<Unit>> {
    let tokens = tokens(text);
    let mut units: Vec<Unit> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let end = match &tokens[at].kind {
            Kind::Han(_) => at + 1,
            Kind::Digit(_) => end_of(&tokens, at, IN_NUMBERS, |kind| matches!(kind, Kind::Digit(_))),
            Kind::Word(_) => end_of(&tokens, at, IN_WORDS, |kind| matches!(kind, Kind::Word(_))),
            Kind::Mark(mark) if ",.?!;:".contains(*mark) => return None,
            Kind::Mark(_) | Kind::Space | Kind::Beyond => {
                at += 1;
                continue;
            }
        };
        let bytes = tokens[at].bytes.start..tokens[end - 1].bytes.end;
        if let Some(before) = units.last_mut() {
            before.is_open = is_open(text, before, &bytes);
        }
        let text = match tokens[at].kind {
            Kind::Digit(_) => NUMBER.to_owned(),
            _ => text[bytes.clone()].to_lowercase().replace('’', "'"),
        };
        units.push(Unit { text, bytes, is_open: true, pause_s: 0.0 });
        at = end;
    }
    if let Some(last) = units.last_mut() {
        // Behind the last one there may be something that is none: it stays together with it.
        last.is_open = text[last.bytes.end..].trim_end().is_empty();
    }
    Some(units)
}

/// The end of what begins at `at` and goes on over marks of `inside` between its own.
fn end_of(tokens: &[Token], at: usize, inside: &str, is_own: impl Fn(&Kind) -> bool) -> usize {
    let mut end = at + 1;
    loop {
        let is_joint = tokens.get(end).and_then(Token::mark).is_some_and(|mark| inside.contains(mark));
        let next = end + usize::from(is_joint);
        if !tokens.get(next).is_some_and(|token| is_own(&token.kind)) {
            return end;
        }
        end = next + 1;
    }
}

/// Whether what stands behind `before` leaves room for a mark: not inside of anything that is written as one.
fn is_open(text: &str, before: &Unit, next: &Range<usize>) -> bool {
    let gap = &text[before.bytes.end..next.start];
    if !gap.is_empty() {
        return gap.chars().all(char::is_whitespace);
    }
    let meets_han = |at: Option<char>| at.is_some_and(is_han);
    if before.is_number() {
        let digits = text[before.bytes.clone()].chars().filter(|character| character.is_numeric()).count();
        return digits >= DIGITS_ALONE_MIN && meets_han(text[next.clone()].chars().next());
    }
    meets_han(text[before.bytes.clone()].chars().next()) || meets_han(text[next.clone()].chars().next())
}

/// Takes over the pauses between `words`, which were heard as the text is written but for its numbers.
pub(super) fn pause(units: &mut [Unit], words: &[Word], rate_hz: u32) {
    let gaps: Vec<u64> = words.windows(2).map(|pair| pair[1].start.saturating_sub(pair[0].end)).collect();
    let mut sorted = gaps.clone();
    sorted.sort_unstable();
    let Some(&usual) = sorted.get(sorted.len() / 2) else { return };
    let mut at = 0;
    let place = |unit: &Unit| {
        let mut ahead = words.iter().skip(at).take(LOOKED_THROUGH);
        let place = at + ahead.position(|word| !unit.is_number() && is_same(&word.text, &unit.text))?;
        at = place + 1;
        Some(place)
    };
    let places: Vec<Option<usize>> = units.iter().map(place).collect();
    // The pause before a word stands behind what comes before it, a number too.
    for (before, place) in units.iter_mut().zip(places.iter().skip(1)) {
        let gap = place.and_then(|place| gaps.get(place.checked_sub(1)?));
        before.pause_s = gap.map_or(0.0, |gap| gap.saturating_sub(usual) as f32 / rate_hz as f32);
    }
}

fn is_same(word: &str, unit: &str) -> bool {
    word.to_lowercase().replace('’', "'") == *unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_what_is_written_as_one_stay_together() {
        check(
            "打了3.5折在12:30买2个",
            &[
                ("打", true),
                ("了", true),
                ("0", false),
                ("折", true),
                ("在", true),
                ("0", false),
                ("买", true),
                ("0", false),
                ("个", true),
            ],
        );
        check("电话13800138000我叫", &[("电", true), ("话", true), ("0", true), ("我", true), ("叫", true)]);
        check("It's a check-in ok吗", &[("it's", true), ("a", true), ("check-in", true), ("ok", true), ("吗", true)]);
        check("abc123 x@y", &[("abc", false), ("0", true), ("x", false), ("y", true)]);
    }

    #[test]
    fn marks_of_its_own_are_left() {
        for text in ["你好，我姓王", "Well. yes", "really?", "等等；"] {
            assert_eq!(units(text), None, "{text}");
        }
    }

    #[test]
    fn pauses_stand_where_they_were() {
        let mut units = units("一共120块好的").expect("no marks");
        let spoken = ["一", "共", "一", "百", "二", "十", "块", "好", "的"];
        let word = |(index, text): (usize, &&str)| {
            let start = index as u64 * 1_600 + if index >= 7 { 4_000 } else { 0 };
            Word { text: (*text).to_owned(), start, end: start + 400, confidence: 1.0 }
        };
        let words: Vec<Word> = spoken.iter().enumerate().map(word).collect();
        pause(&mut units, &words, 8_000);
        let pauses: Vec<f32> = units.iter().map(|unit| unit.pause_s).collect();
        assert_eq!(pauses, [0.0, 0.0, 0.0, 0.5, 0.0, 0.0]);
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, bool)]) {
        let units = units(text).expect("no marks of its own");
        let found: Vec<(&str, bool)> = units.iter().map(|unit| (unit.text.as_str(), unit.is_open)).collect();
        assert_eq!(found, expected);
    }
}
