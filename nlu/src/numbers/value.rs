//! Numerals with a value: 一百二十, 三点五万, "one hundred and twenty", 1,299.50; and what they are worth.
//!
//! Digits that are read out one by one are no numeral: [`super::run`] has them.

use std::ops::Range;

use super::run::english_digit;
use super::token::{Kind, Token, spoken_digit};
use super::words::follows_part_of_day;

/// The most tokens of one numeral.
const TOKENS_MAX: usize = 48;

/// A numeral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numeral {
    /// Its tokens.
    pub tokens: Range<usize>,
    /// Its value in digits, e.g. `120` or `3.5`.
    pub value: String,
}

/// The numeral that begins at token `at`, the longest one.
pub fn numeral(tokens: &[Token], at: usize) -> Option<Numeral> {
    let tokens = &tokens[..tokens.len().min(at + TOKENS_MAX)];
    match tokens.get(at)?.kind {
        Kind::Digit(_) => written(tokens, at),
        Kind::Han(_) => mandarin(tokens, at),
        Kind::Word(_) => english(tokens, at),
        _ => None,
    }
}

/// `1299`, `1,299.50`, `3.5万`.
fn written(tokens: &[Token], from: usize) -> Option<Numeral> {
    let mut whole = String::new();
    let mut at = from;
    let digits = |at: usize| {
        tokens[at..].iter().map_while(|token| if let Kind::Digit(digit) = token.kind { Some(digit) } else { None })
    };
    whole.extend(digits(at).map(|digit| char::from(b'0' + digit)));
    at += whole.len();
    // Thousands are set apart by commas, three digits each.
    while (1..=3).contains(&(whole.len() % 4)) && mark(tokens, at) == Some(',') && digits(at + 1).count() == 3 {
        whole.extend(digits(at + 1).map(|digit| char::from(b'0' + digit)));
        at += 4;
    }
    let mut part = String::new();
    if mark(tokens, at) == Some('.') {
        part.extend(digits(at + 1).map(|digit| char::from(b'0' + digit)));
        at += if part.is_empty() { 0 } else { 1 + part.len() };
    }
    let (zeros, after) = scale(tokens, at);
    Some(Numeral { tokens: from..after, value: shifted(&whole, &part, zeros) })
}

/// The scale behind written digits: 万, 千, 亿, "thousand", "million"; in zeros.
fn scale(tokens: &[Token], at: usize) -> (usize, usize) {
    match tokens.get(at).and_then(Token::han) {
        Some('百') => (2, at + 1),
        Some('千') => (3, at + 1),
        Some('万') => (4, at + 1),
        Some('亿') => (8, at + 1),
        _ => {
            let next = skip_spaces(tokens, at);
            match tokens.get(next).and_then(Token::word) {
                Some("thousand" | "k") => (3, next + 1),
                Some("million") => (6, next + 1),
                _ => (0, at),
            }
        }
    }
}

/// Digits with the decimal point moved by so many places to the right.
fn shifted(whole: &str, part: &str, zeros: usize) -> String {
    let moved = part.len().min(zeros);
    let digits = format!("{whole}{}{}", &part[..moved], "0".repeat(zeros - moved));
    let whole = digits.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    match &part[moved..] {
        "" => whole.to_owned(),
        part => format!("{whole}.{part}"),
    }
}

/// A numeral of Han characters with at least one of 十百千万亿, or with 点: `一百二十`, `两万五`, `三点五`.
fn mandarin(tokens: &[Token], from: usize) -> Option<Numeral> {
    // What was said in 亿, in 万 and below them, and the last digit.
    let (mut hundred_millions, mut ten_thousands, mut section, mut digit) = (0_u64, 0_u64, 0_u64, None);
    let (mut at, mut last_unit, mut units) = (from, 0_u64, 0);
    let mut zero = false;
    while let Some(character) = tokens.get(at).and_then(Token::han) {
        let unit = match character {
            '十' | '拾' => 10,
            '百' | '佰' => 100,
            '千' | '仟' => 1_000,
            '万' | '萬' => 10_000,
            '亿' | '億' => 100_000_000,
            _ => {
                let Some(value) = spoken_digit(character).map(u64::from) else { break };
                // Two digits in a row end a numeral, but for a zero before one.
                if digit.is_some() {
                    break;
                }
                if value == 0 {
                    zero = true;
                } else {
                    digit = Some(value);
                }
                at += 1;
                continue;
            }
        };
        let before = digit.take();
        if before.is_none() && unit != 10 && units == 0 {
            break;
        }
        match unit {
            10_000 => {
                ten_thousands = (section + before.unwrap_or(0)).saturating_mul(unit);
                section = 0;
            }
            100_000_000 => {
                hundred_millions = (ten_thousands + section + before.unwrap_or(0)).saturating_mul(unit);
                (ten_thousands, section) = (0, 0);
            }
            _ => section += before.unwrap_or(1) * unit,
        }
        (last_unit, units, zero) = (unit, units + 1, false);
        at += 1;
    }
    // 一百二 is 120, 一百零二 is 102.
    let short = if zero || last_unit < 100 { 1 } else { last_unit / 10 };
    let value = (hundred_millions.saturating_add(ten_thousands)).saturating_add(section + digit.unwrap_or(0) * short);
    let (part, after) = if follows_part_of_day(tokens, from) { (String::new(), at) } else { decimals(tokens, at) };
    let is_value = units > 0 || (!part.is_empty() && at == from + 1);
    if !is_value {
        return None;
    }
    let (zeros, after) = if part.is_empty() { (0, at) } else { scale(tokens, after) };
    Some(Numeral { tokens: from..after, value: shifted(&value.to_string(), &part, zeros) })
}

/// The digits behind 点; none where they tell the time: 三点二十, 九点零五分, 两点一刻.
fn decimals(tokens: &[Token], at: usize) -> (String, usize) {
    let mut part = String::new();
    if tokens.get(at).and_then(Token::han) == Some('点') {
        let digits = tokens[at + 1..].iter().map_while(|token| token.han().and_then(spoken_digit));
        part.extend(digits.map(|digit| char::from(b'0' + digit)));
    }
    let after = at + 1 + part.len();
    let is_time = match tokens.get(after).and_then(Token::han) {
        // 三点四点 are two times, 一点一滴 is none.
        Some('十' | '拾' | '刻' | '点' | '滴') => true,
        Some('分') => part.starts_with('0'),
        _ => false,
    };
    if part.is_empty() || is_time { (String::new(), at) } else { (part, after) }
}

/// A numeral of English words with at least one that is no single digit: "twelve", "two hundred and five".
fn english(tokens: &[Token], from: usize) -> Option<Numeral> {
    let (mut total, mut section, mut low) = (0_u64, 0_u64, 0_u64);
    let (mut at, mut end, mut is_value) = (from, from, false);
    let mut part = String::new();
    while let Some(word) = tokens.get(at).and_then(Token::word) {
        if let Some(digit) = english_digit(word).filter(|_| word != "o") {
            if low % 10 != 0 || (low > 0 && low < 20) {
                break;
            }
            low += u64::from(digit);
        } else if let Some(value) = english_tens(word) {
            if low != 0 {
                break;
            }
            (low, is_value) = (value, true);
        } else {
            let scale = match word {
                "hundred" => 100,
                "thousand" => 1_000,
                "million" => 1_000_000,
                "and" if end > from && is_value => {
                    at = skip_spaces(tokens, at + 1);
                    continue;
                }
                "point" if end > from => {
                    (part, end) = english_decimals(tokens, at, end);
                    is_value |= !part.is_empty();
                    break;
                }
                _ => break,
            };
            if end == from {
                break;
            }
            is_value = true;
            if scale == 100 {
                section = low.max(1).saturating_mul(100);
            } else {
                total = total.saturating_add((section + low).max(1).saturating_mul(scale));
                section = 0;
            }
            low = 0;
        }
        end = at + 1;
        at = skip_joins(tokens, end);
    }
    let value = total.saturating_add(section).saturating_add(low);
    is_value.then(|| Numeral { tokens: from..end, value: shifted(&value.to_string(), &part, 0) })
}

/// The digits behind "point" and where they end.
fn english_decimals(tokens: &[Token], at: usize, end: usize) -> (String, usize) {
    let (mut part, mut end, mut at) = (String::new(), end, skip_spaces(tokens, at + 1));
    while let Some(digit) = tokens.get(at).and_then(Token::word).and_then(english_digit) {
        part.push(char::from(b'0' + digit));
        end = at + 1;
        at = skip_spaces(tokens, end);
    }
    (part, end)
}

/// The value of a word between ten and ninety.
pub(super) fn english_tens(word: &str) -> Option<u64> {
    Some(match word {
        "ten" => 10,
        "eleven" => 11,
        "twelve" => 12,
        "thirteen" => 13,
        "fourteen" => 14,
        "fifteen" => 15,
        "sixteen" => 16,
        "seventeen" => 17,
        "eighteen" => 18,
        "nineteen" => 19,
        "twenty" => 20,
        "thirty" => 30,
        "forty" => 40,
        "fifty" => 50,
        "sixty" => 60,
        "seventy" => 70,
        "eighty" => 80,
        "ninety" => 90,
        _ => return None,
    })
}

fn mark(tokens: &[Token], at: usize) -> Option<char> {
    tokens.get(at).and_then(Token::mark)
}

fn skip_spaces(tokens: &[Token], at: usize) -> usize {
    at + tokens.get(at..).unwrap_or_default().iter().take_while(|token| token.is_space()).count()
}

/// Spaces and the hyphen of "twenty-one".
fn skip_joins(tokens: &[Token], at: usize) -> usize {
    let is_join = |token: &&Token| token.is_space() || token.mark() == Some('-');
    at + tokens.get(at..).unwrap_or_default().iter().take_while(is_join).count()
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;

    #[test]
    fn values() {
        for (text, expected) in [
            ("一百二十块", "120"),
            ("一百二", "120"),
            ("一百零二", "102"),
            ("十五", "15"),
            ("两万五", "25000"),
            ("三千零五十", "3050"),
            ("一亿两千万", "120000000"),
            ("三点一四", "3.14"),
            ("三点五万", "35000"),
            ("十二点五", "12.5"),
            ("1,299.50", "1299.50"),
            ("3.5万", "35000"),
            ("200", "200"),
            ("one hundred and twenty", "120"),
            ("twenty-one", "21"),
            ("two thousand three hundred and five", "2305"),
            ("twelve point five", "12.5"),
        ] {
            let tokens = tokens(text);
            assert_eq!(numeral(&tokens, 0).map(|numeral| numeral.value).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "一三八",
            "五",
            "三点二十",
            "九点零五分",
            "两点一刻",
            "one three",
            "百",
            "hundred",
            "十字路口".get(3..).expect("Han"),
            "and",
            "零",
        ] {
            assert_eq!(numeral(&tokens(text), 0), None, "{text}");
        }
    }
}
