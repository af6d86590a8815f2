//! Numbers in what people say and write, in Mandarin and English: digits one after another, and numerals with a value.
//!
//! Recognisers write numbers as they are spoken; [`normalized`] writes them as people do (inverse text normalisation).

pub mod run;
pub mod token;
pub mod value;
mod words;

use self::run::Run;
use self::token::{Kind, Token, spoken_digit};

/// Runs of fewer digits are read out only where every digit is sure: a longer one is no phrase that sounds like it.
const ALIKE_DIGITS_MIN: usize = 7;

/// The text with its numbers in digits: `一百二十块` → `120块`, `幺三八零零…` → `13800…`, "twenty five percent" → `25%`.
///
/// Single digits stay words unless a unit of time, money or dates follows; so do `一点`, `一块` and `十分` where they mean no
/// number, fractions, and what says about how many, such as `三四百`. What is longer than [`token::TEXT_BYTES_MAX`] is left
/// as it is beyond that.
pub fn normalized(text: &str) -> String {
    let tokens = token::tokens(text);
    let runs: Vec<Run> = run::runs(&tokens).into_iter().flat_map(|run| sure_runs(&tokens, run)).collect();
    let mut runs = runs.iter().peekable();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < tokens.len() {
        while runs.next_if(|run| run.tokens.end <= at).is_some() {}
        let run = runs.peek().filter(|run| run.tokens.start == at);
        let read_out = run.filter(|run| is_read_out(run));
        let (percent, from) = percent_before(&tokens, at);
        let kept = if percent { words::about(&tokens, from) } else { words::kept(&tokens, at) };
        if let Some(end) = kept.filter(|_| read_out.is_none_or(|run| run.digits.len() <= 2 || is_cut_off(&tokens, run)))
        {
            out.push_str(&text[tokens[at].bytes.start..tokens[end - 1].bytes.end]);
            at = end;
        } else if let Some(numeral) = value::numeral(&tokens, from).filter(|_| read_out.is_none()) {
            out.push_str(&numeral.value);
            at = percent_sign(&tokens, numeral.tokens.end, percent, &mut out);
        } else if let Some(run) = read_out.or(run.filter(|run| stands_before_unit(&tokens, run))) {
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

/// A run as it is, or, where it is short and what only sounds like digits is among it, what is sure before, between and
/// behind: 一起三百 is no 173.
fn sure_runs(tokens: &[Token], run: Run) -> Vec<Run> {
    if run.digits.len() >= ALIKE_DIGITS_MIN || run.digits.iter().all(|digit| digit.sure) {
        return vec![run];
    }
    let mut out = Vec::new();
    let mut from = run.tokens.start;
    for digits in run.digits.chunk_by(|one, other| one.sure == other.sure) {
        let end = digits.last().map_or(from, |digit| digit.token + 1);
        if digits.first().is_some_and(|digit| digit.sure) {
            let gap = tokens[from..end].iter().take_while(|token| run::joins(token)).count();
            out.push(Run { digits: digits.to_vec(), tokens: from + gap..end, has_numeral: run.has_numeral });
        }
        from = end;
    }
    out
}

/// Whether a run is surely one: at least two true digits that are no numeral, most of the run.
fn is_read_out(run: &Run) -> bool {
    let sure = run.digits.iter().filter(|digit| digit.sure).count();
    let is_written = |digits: &[run::Digit]| digits.windows(2).any(|pair| pair[1].apart);
    // Few digits with something between them are several numbers: 三,五.
    sure >= 2 && (run.digits.len() >= ALIKE_DIGITS_MIN || !is_written(&run.digits) && !run.has_numeral)
}

/// Whether a short run is followed by a unit that takes its last digit: 二零二四十月.
fn is_cut_off(tokens: &[Token], run: &Run) -> bool {
    let behind = tokens.get(run.tokens.end).and_then(Token::han);
    run.digits.len() < ALIKE_DIGITS_MIN && behind.is_some_and(|unit| "十百千万亿".contains(unit))
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
            ("三五个", "三五个"),
            ("one hundred and twenty dollars", "120 dollars"),
            ("call one three eight double zero one three eight triple zero", "call 13800138000"),
            ("twenty five percent off", "25% off"),
            ("one moment please", "one moment please"),
            ("没有数字", "没有数字"),
        ] {
            assert_eq!(normalized(spoken), written);
        }
    }

    #[test]
    fn times_are_no_decimal_numbers() {
        for (spoken, written) in [
            ("三点二十分", "3点20分"),
            ("三点十分", "3点10分"),
            ("九点零五分", "9点05分"),
            ("一点五十", "1点50"),
            ("十二点四十五", "12点45"),
            ("两点一刻", "2点一刻"),
            ("三点四点", "3点4点"),
            ("上午十点零五", "上午10点05"),
            ("三点零五", "3.05"),
            ("涨了三点五个点", "涨了3.5个点"),
            ("下午一点见", "下午1点见"),
            ("一点钟，一点半", "1点钟，1点半"),
        ] {
            assert_eq!(normalized(spoken), written, "{spoken}");
        }
    }

    #[test]
    fn about_so_many_stays_as_it_is_said() {
        for spoken in [
            "四五十块",
            "两三万块",
            "三四百块",
            "两三次",
            "一两百块",
            "三五个",
            "三两天",
            "十七八岁",
            "一百二三十块",
            "七八点",
            "百分之七八十",
            "二零二四十月",
            "一五一十",
        ] {
            assert_eq!(normalized(spoken), spoken);
        }
        for (spoken, written) in [
            ("一百零二块", "102块"),
            ("二零二三年", "2023年"),
            ("验证码一二三四五六", "验证码123456"),
            ("幺三八零零幺三四零零零十分钟后打", "1380013400010分钟后打"),
        ] {
            assert_eq!(normalized(spoken), written, "{spoken}");
        }
    }

    #[test]
    fn what_sounds_like_a_digit_makes_no_number_of_a_phrase() {
        for (spoken, written) in [
            ("一起三百块", "一起300块"),
            ("第一是两天", "第一是两天"),
            ("一一零是一个", "110是一个"),
            ("一起八八八八", "一起8888"),
            ("幺三吧零零幺三把零零零", "13800138000"),
        ] {
            assert_eq!(normalized(spoken), written, "{spoken}");
        }
    }

    #[test]
    fn words_that_look_like_numbers_stay_words() {
        for spoken in [
            "十分生气",
            "有一点慢",
            "一块儿去",
            "一点一点来",
            "一点一滴",
            "一块三个人",
            "三分之二",
            "十分之一",
            "千分之三点五",
            "一分为二",
        ] {
            assert_eq!(normalized(spoken), spoken);
        }
        for (spoken, written) in [
            ("十分钟，一分钟，一分钱", "10分钟，1分钟，1分钱"),
            ("一块钱，一块二毛", "1块钱，1块2毛"),
            ("一点五倍，百分之一点五", "1.5倍，1.5%"),
        ] {
            assert_eq!(normalized(spoken), written, "{spoken}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_normalized(text in "(?s).{0,80}|[一二两三五十百千万亿点零幺双百分之年月刻块起是, -]{0,60}|(one |two |double |hundred |and |thousand |point |percent |twenty )*") {
            let once = normalized(&text);
            prop_assert!(once.len() <= text.len() * 12 + 64);
        }
    }
}
