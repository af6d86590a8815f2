//! Numbers of Han characters that stay as they are said: about so many (`三四百`), fractions (`三分之二`), and words that
//! mean no number (`一点`, `一块`, `一分`, `十分`).

use super::token::{Token, spoken_digit};

/// Parts of a day: a number behind one is a time.
const PARTS_OF_DAY: [[char; 2]; 15] = [
    ['早', '上'],
    ['清', '晨'],
    ['上', '午'],
    ['中', '午'],
    ['下', '午'],
    ['傍', '晚'],
    ['晚', '上'],
    ['半', '夜'],
    ['夜', '里'],
    ['凌', '晨'],
    ['今', '早'],
    ['明', '早'],
    ['昨', '晚'],
    ['今', '晚'],
    ['明', '晚'],
];

/// Where that ends which begins at `at` and stays as it is said.
pub(super) fn kept(tokens: &[Token], at: usize) -> Option<usize> {
    fraction(tokens, at).or_else(|| about(tokens, at)).or_else(|| word(tokens, at))
}

/// Where a number ends that says about how many: two neighbours (`三四百`, `两三次`, `十七八`), or `三五`; or of which nobody
/// knows what belongs together, digits in a row before a unit.
pub(super) fn about(tokens: &[Token], at: usize) -> Option<usize> {
    let end = numeral_end(tokens, at);
    let (mut from, mut is_about) = (at, false);
    while from < end {
        let digits = tokens[from..end].iter().take_while(|token| digit(token).is_some()).count();
        // 一百零二 has a zero that is no digit of its own.
        let zeros = usize::from(from > at && digits > 1 && digit(&tokens[from]) == Some(0));
        let row = &tokens[from + zeros..from + digits];
        match row {
            [one, other] => is_about |= are_about(one, other) || from + digits < end,
            [_, _, _, ..] if from + digits < end => is_about = true,
            [_, _, _, ..] => return None,
            _ => {}
        }
        from += digits + 1;
    }
    is_about.then_some(end)
}

/// Whether two digits say about how many.
fn are_about(one: &Token, other: &Token) -> bool {
    match (digit(one), digit(other)) {
        (Some(0), _) | (_, Some(0)) => false,
        (Some(3), Some(5)) => true,
        // 三两: nobody reads a digit out as 两.
        (Some(3), Some(2)) => other.han() == Some('两'),
        (Some(one), Some(other)) => one + 1 == other,
        _ => false,
    }
}

/// Where `X分之Y` ends.
fn fraction(tokens: &[Token], at: usize) -> Option<usize> {
    let end = numeral_end(tokens, at);
    if end == at || han(tokens, end) != Some('分') || han(tokens, end + 1) != Some('之') {
        return None;
    }
    let end = numeral_end(tokens, end + 2);
    let part = numeral_end(tokens, end + 1);
    Some(if han(tokens, end) == Some('点') && part > end + 1 { part } else { end })
}

/// Where a word ends that looks like a number and a unit, but where time or money stands around it.
fn word(tokens: &[Token], at: usize) -> Option<usize> {
    let (number, unit, behind) = (han(tokens, at)?, han(tokens, at + 1)?, han(tokens, at + 2));
    let before = at.checked_sub(1).and_then(|before| han(tokens, before));
    if before.is_some_and(is_numeral) {
        return None;
    }
    let after_next = han(tokens, at + 3);
    let goes_on = behind.is_some_and(is_numeral);
    let is_number = match (number, unit) {
        ('一', '点') => {
            follows_part_of_day(tokens, at)
                || behind.is_some_and(|behind| "钟半整".contains(behind))
                // 一点一点, 一点一滴
                || (goes_on && !after_next.is_some_and(|next| "点滴".contains(next)))
        }
        ('一', '块') => {
            behind.is_some_and(|behind| "钱多".contains(behind))
                || (goes_on && after_next.is_none_or(|next| "毛角分的吧呢吗了".contains(next)))
        }
        ('一' | '十', '分') => {
            behind.is_some_and(|behind| "钟钱".contains(behind))
                || before.is_some_and(|before| "点时元块角毛".contains(before))
        }
        _ => return None,
    };
    (!is_number).then_some(at + 2)
}

/// Whether a part of the day is said just before `at`.
pub(super) fn follows_part_of_day(tokens: &[Token], at: usize) -> bool {
    let before = at.checked_sub(2).map(|from| [han(tokens, from), han(tokens, from + 1)]);
    before.is_some_and(|before| PARTS_OF_DAY.iter().any(|part| part.map(Some) == before))
}

/// Where the Han characters end that numerals are written by.
fn numeral_end(tokens: &[Token], at: usize) -> usize {
    at + tokens.get(at..).unwrap_or_default().iter().take_while(|token| token.han().is_some_and(is_numeral)).count()
}

fn is_numeral(character: char) -> bool {
    spoken_digit(character).is_some() || "十拾百佰千仟万萬亿億".contains(character)
}

fn digit(token: &Token) -> Option<u8> {
    token.han().and_then(spoken_digit)
}

fn han(tokens: &[Token], at: usize) -> Option<char> {
    tokens.get(at).and_then(Token::han)
}
