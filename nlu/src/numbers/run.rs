//! Digits that are read out or written one after another: phone numbers, card numbers, codes, years.
//!
//! A run goes on over spaces, hyphens, fillers and the like, and over characters that recognisers write in place of a
//! digit that sounds like them, where true digits stand around them.

use std::ops::Range;

use super::token::{Kind, Token, spoken_digit};
use super::value::english_tens;

/// The most digits of one run; behind them a new one begins.
pub const DIGITS_MAX: usize = 64;
/// The most tokens between two digits of a run.
const GAP_MAX: usize = 8;
/// The most digits in a row that are only heard alike.
const ALIKE_MAX: usize = 3;

/// One digit of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digit {
    /// 0-9.
    pub value: u8,
    /// The token that says it; two digits may share one ("double five", "twenty").
    pub token: usize,
    /// False for a character that only sounds like it.
    pub sure: bool,
    /// Whether something stands between it and the digit before.
    pub apart: bool,
}

/// Digits one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The digits, 1-64.
    pub digits: Vec<Digit>,
    /// Its tokens, "double" before the first digit included.
    pub tokens: Range<usize>,
    /// Whether a numeral is among it, such as "hundred" or "thirty": it may be a quantity.
    pub has_numeral: bool,
}

impl Run {
    /// The digits as text.
    pub fn text(&self) -> String {
        self.digits.iter().map(|digit| char::from(b'0' + digit.value)).collect()
    }
}

/// Every run of digits, in order; single digits too.
pub fn runs(tokens: &[Token]) -> Vec<Run> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match run_at(tokens, at) {
            Some(run) => {
                at = run.tokens.end.max(at + 1);
                out.push(run);
            }
            None => at += 1,
        }
    }
    out
}

/// The run that begins at this very token.
fn run_at(tokens: &[Token], from: usize) -> Option<Run> {
    let mut run = Run { digits: Vec::new(), tokens: from..from, has_numeral: false };
    let mut at = from;
    let mut sure_end = (0, from);
    while run.digits.len() < DIGITS_MAX {
        let apart = at > run.tokens.end;
        let Some(said) = said_at(tokens, at) else { break };
        if !said.sure && run.digits.iter().rev().take_while(|digit| !digit.sure).count() >= ALIKE_MAX {
            break;
        }
        // "64 to 92" are two numbers: a word that only sounds like a digit stands among words.
        let is_word = |token: usize| tokens[token].word().is_some();
        if !said.sure && is_word(at) && run.digits.last().is_some_and(|last| !is_word(last.token)) {
            break;
        }
        run.has_numeral |= said.is_numeral;
        for (index, value) in said.values.iter().enumerate().take(said.count) {
            let token = said.tokens.end - 1;
            run.digits.push(Digit { value: *value, token, sure: said.sure, apart: apart && index == 0 });
        }
        run.tokens.end = said.tokens.end;
        if said.sure {
            sure_end = (run.digits.len(), run.tokens.end);
        }
        at = skip_gap(tokens, said.tokens.end);
    }
    // What only sounds like digits counts at an end when it makes a whole phone number; who reads the run decides.
    if sure_end.0 == 0 || !run.digits.iter().any(|digit| digit.sure) {
        return None;
    }
    Some(trimmed(run, sure_end))
}

/// Cuts off what only sounds like digits at the ends, unless exactly a mobile number goes with it.
fn trimmed(mut run: Run, (count, end): (usize, usize)) -> Run {
    let is_mobile = |digits: &[Digit]| {
        digits.len() == 11
            && digits[0].value == 1
            && digits[1].value >= 3
            && digits.iter().filter(|digit| digit.sure).count() >= 4
    };
    let first_sure = run.digits.iter().position(|digit| digit.sure).unwrap_or(0);
    for (from, to) in [(0, run.digits.len()), (first_sure, run.digits.len()), (0, count)] {
        if is_mobile(&run.digits[from..to]) {
            run.tokens.start = if from == 0 { run.tokens.start } else { run.digits[from].token };
            run.tokens.end = if to == count { end } else { run.tokens.end };
            run.digits = run.digits[from..to].to_vec();
            return run;
        }
    }
    run.tokens.start = if first_sure == 0 { run.tokens.start } else { run.digits[first_sure].token };
    run.tokens.end = end;
    run.digits.truncate(count);
    run.digits.drain(..first_sure);
    run
}

/// Digits that one token or "double five" says.
struct Said {
    values: [u8; 3],
    count: usize,
    tokens: Range<usize>,
    sure: bool,
    is_numeral: bool,
}

fn said_at(tokens: &[Token], at: usize) -> Option<Said> {
    let said =
        |values: [u8; 3], count, end, sure, is_numeral| Some(Said { values, count, tokens: at..end, sure, is_numeral });
    match &tokens.get(at)?.kind {
        Kind::Digit(value) => said([*value; 3], 1, at + 1, true, false),
        Kind::Han(character) => match spoken_digit(*character) {
            Some(value) => said([value; 3], 1, at + 1, true, false),
            None => said([heard_like(*character)?; 3], 1, at + 1, false, false),
        },
        Kind::Word(word) => {
            if let Some(value) = english_digit(word) {
                return said([value; 3], 1, at + 1, true, false);
            }
            if let Some(count) = ["double", "triple"].iter().position(|times| times == word) {
                let next = skip_gap(tokens, at + 1);
                let value = match &tokens.get(next)?.kind {
                    Kind::Digit(value) => *value,
                    Kind::Word(word) => english_digit(word)?,
                    _ => return None,
                };
                return said([value; 3], count + 2, next + 1, true, false);
            }
            if let Some(value) = english_digit_alike(word) {
                return said([value; 3], 1, at + 1, false, false);
            }
            let value = english_tens(word)?;
            // "thirty eight" is 38, "thirty" alone 30.
            let next = skip_gap(tokens, at + 1);
            let unit = tokens.get(next).and_then(Token::word).and_then(english_digit).filter(|&unit| unit > 0);
            match unit.filter(|_| value >= 20) {
                Some(unit) => said([(value / 10) as u8, unit, 0], 2, next + 1, true, true),
                None => said([(value / 10) as u8, (value % 10) as u8, 0], 2, at + 1, true, true),
            }
        }
        _ => None,
    }
}

/// The token behind what may stand between two digits; `at` itself when too much stands there.
fn skip_gap(tokens: &[Token], at: usize) -> usize {
    let gap = tokens.get(at..).unwrap_or_default().iter().take(GAP_MAX + 1).take_while(|token| joins(token)).count();
    // With too much between them the digits do not belong together.
    if gap > GAP_MAX { at } else { at + gap }
}

/// Whether a token may stand between two digits of a run.
pub fn joins(token: &Token) -> bool {
    match &token.kind {
        Kind::Space => true,
        Kind::Mark(mark) => "-.·•()/_,~*|'\"+".contains(*mark),
        Kind::Han(filler) => "嗯呃啊额哦唉诶杠横".contains(*filler),
        Kind::Word(filler) => {
            ["um", "uh", "er", "erm", "hmm", "dash", "hyphen", "space", "then"].contains(&filler.as_str())
        }
        Kind::Digit(_) | Kind::Beyond => false,
    }
}

/// The value of an English word that says one digit.
pub fn english_digit(word: &str) -> Option<u8> {
    Some(match word {
        "zero" | "oh" | "o" | "nought" | "naught" => 0,
        "one" => 1,
        "two" => 2,
        "three" => 3,
        "four" => 4,
        "five" => 5,
        "six" => 6,
        "seven" => 7,
        "eight" => 8,
        "nine" | "niner" => 9,
        _ => return None,
    })
}

/// What recognisers write for an English digit that sounds alike.
fn english_digit_alike(word: &str) -> Option<u8> {
    Some(match word {
        "won" => 1,
        "to" | "too" => 2,
        "tree" | "free" => 3,
        "for" | "fore" => 4,
        "sex" | "sicks" => 6,
        "ate" => 8,
        _ => return None,
    })
}

/// What recognisers write for a Mandarin digit that sounds alike, whatever its tone.
fn heard_like(character: char) -> Option<u8> {
    Some(match character {
        '林' | '灵' | '铃' | '凌' | '玲' | '领' | '另' | '令' | '邻' | '临' | '龄' | '冻' | '动' => 0,
        '要' | '么' | '妖' | '腰' | '夭' | '药' | '摇' | '耀' | '咬' | '遥' | '衣' | '医' | '依' | '易' | '亿' => {
            1
        }
        '儿' | '而' | '耳' | '尔' | '饿' => 2,
        '山' | '伞' | '散' | '删' | '衫' => 3,
        '是' | '事' | '市' | '似' | '寺' | '思' | '司' | '丝' | '死' | '世' | '式' => 4,
        '午' | '舞' | '武' | '无' | '吴' | '屋' | '物' | '务' | '我' | '乌' => 5,
        '流' | '留' | '刘' | '溜' | '柳' | '路' => 6,
        '期' | '其' | '齐' | '气' | '妻' | '漆' | '起' | '骑' | '奇' | '器' | '企' => 7,
        '吧' | '巴' | '爸' | '把' | '拔' | '罢' | '爬' => 8,
        '就' | '久' | '酒' | '旧' | '救' | '狗' | '够' => 9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;

    #[test]
    fn digits_are_joined() {
        check("13800138000", &["13800138000"]);
        check("１３８-0013 8000", &["13800138000"]);
        check("幺三八，零零幺三嗯八零零零", &["13800138000"]);
        check("one three eight double zero one three eight triple zero", &["13800138000"]);
        check("five five five twelve thirty-four", &["5551234"]);
        check("三号 五个", &["3", "5"]);
        check("", &[]);
    }

    #[test]
    fn what_sounds_alike_counts_among_digits_only() {
        check("幺三吧零零幺三把零零零", &["13800138000"]);
        check("要三八林林要三八林林林", &["13800138000"]);
        check("电话是一三八零零一三八零零零", &["13800138000"]);
        check("这是我的事就要起", &[]);
        check("one to three for five", &["12345"]);
        check("64 to 92", &["64", "92"]);
    }

    #[test]
    fn a_run_has_an_end() {
        let runs = runs(&tokens(&"1 ".repeat(200)));
        assert_eq!(runs.iter().map(|run| run.digits.len()).collect::<Vec<_>>(), [64, 64, 64, 8]);
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<String> = runs(&tokens(text)).iter().map(Run::text).collect();
        assert_eq!(found, expected, "{text}");
    }
}
