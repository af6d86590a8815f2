//! Numbers in what people say and write, in Mandarin and English: digits one after another, and numerals with a value.
//!
//! Recognisers write numbers as they are spoken; [`normalized`] writes them as people do (inverse text normalisation).

pub mod run;
pub mod token;
pub mod value;

use self::run::Run;
use self::token::{Kind, Token, spoken_digit};

/// The text with its numbers in digits: `一百二十块` → `120块`, `幺三八零零…` → `13800…`, "twenty five percent" → `25%`.
///
/// Single digits stay words unless a unit of time, money or dates follows. What is longer than
/// [`token::TEXT_BYTES_MAX`] is left as it is beyond that.
pub fn normalized(text: &str) -> String {
    let tokens = token::tokens(text);
    let runs = run::runs(&tokens);
    let mut runs = runs.iter().peekable();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < tokens.len() {
        while runs.next_if(|run| run.tokens.end <= at).is_some() {}
        let run = runs.peek().filter(|run| run.tokens.start == at);
        let (percent, from) = percent_before(&tokens, at);
        if let Some(numeral) = value::numeral(&tokens, from).filter(|_| !run.is_some_and(|run| is_read_out(run))) {
            out.push_str(&numeral.value);
            at = percent_sign(&tokens, numeral.tokens.end, percent, &mut out);
        } else if let Some(run) = run.filter(|run| is_read_out(run) || stands_before_unit(&tokens, run)) {
            out.push_str(&run.text());
            at = percent_sign(&tokens, run.tokens.end, false, &mut out);
        } else if let Some(digit) = tokens.get(from).filter(|_| percent).and_then(Token::han).and_then(spoken_digit) {
            out.push(char::from(b'0' + digit));
            at = percent_sign(&tokens, from + 1, true, &mut out);
        } else {
            out.push_str(&text[tokens[at].bytes.clone()]);
            at += 1;
        }
    }
    out
}

/// Whether a run is surely one: at least two true digits that are no numeral, most of the run.
fn is_read_out(run: &Run) -> bool {
    let sure = run.digits.iter().filter(|digit| digit.sure).count();
    let is_written = |digits: &[run::Digit]| digits.windows(2).any(|pair| pair[1].apart);
    // Few digits with something between them are several numbers: 三,五.
    sure >= 2 && (run.digits.len() >= 7 || !is_written(&run.digits) && !run.has_numeral)
}

/// Units that make a number of a single Han digit before them.
fn stands_before_unit(tokens: &[Token], run: &Run) -> bool {
    let unit = tokens.get(run.tokens.end).and_then(Token::han);
    run.digits.len() == 1 && unit.is_some_and(|unit| "年月日号点分秒块元角毛".contains(unit))
}

/// Whether 百分之 stands at `at`, and where the number begins.
fn percent_before(tokens: &[Token], at: usize) -> (bool, usize) {
    let here = tokens.get(at..at + 3).unwrap_or_default();
    if here.iter().map(Token::han).eq(['百', '分', '之'].map(Some)) { (true, at + 3) } else { (false, at) }
}

/// Writes the sign of a percentage where one is said, and tells where the text goes on.
fn percent_sign(tokens: &[Token], end: usize, already: bool, out: &mut String) -> usize {
    let next = end + usize::from(tokens.get(end).is_some_and(Token::is_space));
    let is_said = matches!(tokens.get(next).map(|token| &token.kind), Some(Kind::Word(word)) if word == "percent");
    if already || is_said {
        out.push('%');
    }
    if is_said { next + 1 } else { end }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for (spoken, written) in [
            ("一百二十块", "120块"),
            ("我的电话是幺三八零零幺三八零零零", "我的电话是13800138000"),
            ("二零二三年五月六号下午三点", "2023年5月6号下午3点"),
            ("二零二四年十一月二十六日", "2024年11月26日"),
            ("打了百分之二十的折扣，百分之五", "打了20%的折扣，5%"),
            ("三点一四", "3.14"),
            ("身份证一一零一零一一九九零零三零七四五幺九", "身份证110101199003074519"),
            ("一个人说一下", "一个人说一下"),
            ("三五个", "35个"),
            ("one hundred and twenty dollars", "120 dollars"),
            ("call one three eight double zero one three eight triple zero", "call 13800138000"),
            ("twenty five percent off", "25% off"),
            ("one moment please", "one moment please"),
            ("没有数字", "没有数字"),
        ] {
            assert_eq!(normalized(spoken), written);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_normalized(text in "(?s).{0,80}|[一二三十百千万亿点零幺双百分之年月, -]{0,60}|(one |two |double |hundred |and |thousand |point |percent |twenty )*") {
            let once = normalized(&text);
            prop_assert!(once.len() <= text.len() * 12 + 64);
        }
    }
}
