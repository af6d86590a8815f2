//! What a search sees of a text: of Chinese each character and each two in a row, of English the stems of words.
//!
//! Words that say nothing of what is asked are left out. Traditional characters are read as simplified ones.

use std::sync::OnceLock;

use bm25::Tokenizer;
use rust_stemmers::{Algorithm, Stemmer};

/// Later tokens are left out.
const TOKENS_MAX: usize = 2_000;

/// Makes tokens of texts in either language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens;

impl Tokenizer for Tokens {
    fn tokenize(&self, text: &str) -> Vec<String> {
        let characters: Vec<char> = nlu::text::normalized(text).filter(|letter| *letter != '\'').collect();
        let mut found = Vec::new();
        let mut at = 0;
        while at < characters.len() && found.len() < TOKENS_MAX {
            let first = characters[at];
            let end = at + characters[at..].iter().take_while(|next| is_alike(first, **next)).count().max(1);
            let run = &characters[at..end];
            if is_chinese(first) {
                add_characters(run, &mut found);
            } else if first.is_ascii_alphanumeric() {
                add_word(run, &mut found);
            }
            at = end;
        }
        found.truncate(TOKENS_MAX);
        found
    }
}

/// Whether a character is a Chinese one (CJK Unified Ideographs, and extension A).
pub(super) fn is_chinese(letter: char) -> bool {
    matches!(letter, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}')
}

fn is_alike(a: char, b: char) -> bool {
    (is_chinese(a) && is_chinese(b)) || (a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric())
}

fn add_characters(run: &[char], found: &mut Vec<String>) {
    let says_something = |letter: &char| !QUIET_CHARACTERS.contains(*letter);
    // Each character before the pair that it begins: whoever looks at the first tokens alone sees the text's beginning.
    for (at, letter) in run.iter().enumerate() {
        if says_something(letter) {
            found.push(letter.to_string());
        }
        let pair = run.get(at..at + 2).filter(|pair| pair.iter().any(says_something));
        found.extend(pair.map(|pair| pair.iter().collect::<String>()));
    }
}

fn add_word(run: &[char], found: &mut Vec<String>) {
    static STEMMER: OnceLock<Stemmer> = OnceLock::new();
    let word: String = run.iter().collect();
    if QUIET_WORDS.split_ascii_whitespace().any(|quiet| quiet == word) {
        return;
    }
    let stemmer = STEMMER.get_or_init(|| Stemmer::create(Algorithm::English));
    found.push(stemmer.stem(&word).into_owned());
}

/// Characters that alone, and beside each other, say nothing of what is asked.
const QUIET_CHARACTERS: &str =
    "的了吗呢啊呀吧嘛哦嗯我你您他她它们是在有和就都也这那个一不很要能会可以么什怎给把来去还为好想上下里到没请问";
/// The same of English words.
const QUIET_WORDS: &str = "a an the of to in on at for from by with and or but is am are was were be been being do does did \
    done has have had i me my mine you your yours we our us they them their he she it its this that these those there here \
    what which who whom how when where why can could will would shall should may might must not no nor so if then than as up \
    out about into over very just also too please im ive id youre dont cant";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_tokens() {
        check("退款到账", &["退", "退款", "款", "款到", "到账", "账"]);
        check("退貨", &["退", "退货", "货"]);
        check("我的", &[]);
        check("Refunds, refunded & refunding!", &["refund", "refund", "refund"]);
        check("I don't know", &["know"]);
        check("开ETC发票", &["开", "etc", "发", "发票", "票"]);
        check("", &[]);
    }

    #[test]
    fn no_text_is_too_long() {
        assert_eq!(Tokens.tokenize(&"退".repeat(100_000)).len(), TOKENS_MAX);
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(Tokens.tokenize(text), expected, "{text}");
    }
}
