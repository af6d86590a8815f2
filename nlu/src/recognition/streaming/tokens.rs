//! `tokens.txt`: what the numbers of a model mean, and how they become words.
//!
//! One token a line, then its number: characters of Chinese, pieces of words (`▁` begins a word), bytes as `<0xE4>` where
//! a model falls back to them, or bytes as one letter each where all of it is bytes (k2's byte-level pieces). FunASR's lists
//! mark pieces that go on instead (`@@` at the end), and everything else of letters is a word.

use super::super::Word;
use super::super::listed::is_unspaced;
use super::super::pinyin::{self, Part};
use crate::model::ModelError;

/// The largest `tokens.txt`, bytes, and the most tokens.
const BYTES_MAX: usize = 16 << 20;
const TOKENS_MAX: usize = 200_000;
/// The longest token, bytes.
const TOKEN_BYTES_MAX: usize = 256;
/// What begins a word in pieces of words.
const WORD_BEGINS: char = '\u{2581}';
/// What ends a piece that goes on, in FunASR's lists.
const GOES_ON: &str = "@@";
/// What stands for the beginning and the end of an utterance there.
const ENDS: [&str; 2] = ["<s>", "</s>"];
/// What stands for nothing, by the names that recipes use.
const BLANKS: [&str; 3] = ["<blk>", "<eps>", "<blank>"];
/// Stands for all that is not in the list.
const UNKNOWN: &str = "<unk>";

/// The tokens of a model, by their numbers from 0 on.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    texts: Vec<Vec<u8>>,
    words: Words,
    letters: Letters,
    blank: Option<usize>,
    unknown: Option<usize>,
}

/// How a list writes what it has no token for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    /// Not at all.
    Own,
    /// By `<0xE4>` for each byte.
    FallBack,
    /// All of it is bytes, each a letter.
    Bytes,
}

/// How a list tells words from parts of them.
#[derive(Debug, Clone, PartialEq)]
enum Words {
    /// Those tokens begin a word.
    Begin(Vec<bool>),
    /// Letters begin a word, unless the token before them is one of those.
    GoOn(Vec<bool>),
    /// All are parts of syllables: a final goes on with the initial before it.
    Syllables(Vec<Part>),
}

/// A token as it was heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spoken {
    /// Its number.
    pub(super) token: usize,
    /// Where, samples at 8 kHz.
    pub(super) start: u64,
    pub(super) end: u64,
    /// How sure the model is, 0-1.
    pub(super) confidence: f32,
}

impl Tokens {
    /// Reads `tokens.txt`; `file` is the name that errors tell.
    ///
    /// # Errors
    /// A line that is not a token and a number, a number that is missing or there twice, too much of it.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        let wrong = |what, expected: String, found: String| {
            Err(ModelError::Mismatch { file: file.to_owned(), what, expected, found })
        };
        if bytes.len() > BYTES_MAX {
            return wrong("length", format!("at most {BYTES_MAX} bytes"), format!("{} bytes", bytes.len()));
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return wrong("text", "UTF-8".to_owned(), "other bytes".to_owned());
        };
        let mut named: Vec<Option<&str>> = Vec::new();
        for (line, content) in text.lines().enumerate().filter(|(_, content)| !content.trim().is_empty()) {
            let Some((token, number)) = entry(content) else {
                let found = content.chars().take(FOUND_CHARACTERS_MAX).collect::<String>();
                return wrong("line", format!("a token and its number in line {}", line + 1), format!("{found:?}"));
            };
            if named.len() <= number {
                named.resize(number + 1, None);
            }
            if named[number].replace(token).is_some() {
                return wrong(
                    "numbers",
                    "every number once".to_owned(),
                    format!("{number} again in line {}", line + 1),
                );
            }
        }
        if let Some(missing) = named.iter().position(Option::is_none) {
            return wrong("numbers", format!("every number up to {}", named.len() - 1), format!("no {missing}"));
        }
        if named.is_empty() {
            return wrong("tokens", "at least one".to_owned(), "none".to_owned());
        }
        Ok(Self::of(&named.into_iter().flatten().collect::<Vec<_>>()))
    }

    fn of(named: &[&str]) -> Self {
        let position = |names: &[&str]| names.iter().find_map(|name| named.iter().position(|token| token == name));
        let falls_back = named.contains(&"<0x00>") && named.contains(&"<0xFF>");
        let letters = match (are_letters_of_bytes(named), falls_back) {
            (_, true) => Letters::FallBack,
            (true, false) => Letters::Bytes,
            (false, false) => Letters::Own,
        };
        let text = |token: &&str| if *token == UNKNOWN { Vec::new() } else { letters.text(token) };
        Self {
            texts: named.iter().map(text).collect(),
            words: match pinyin::parts(named) {
                Some(parts) => Words::Syllables(parts),
                None => Words::Begin(named.iter().map(|token| token.starts_with(WORD_BEGINS)).collect()),
            },
            letters,
            blank: position(&BLANKS),
            unknown: position(&[UNKNOWN]),
        }
    }

    /// Takes the list for one of FunASR's, in which pieces of a word that goes on end with `@@`.
    pub(super) fn join_by_marks(&mut self) {
        let goes_on = |text: &mut Vec<u8>| {
            let is_end = ENDS.iter().any(|end| text == end.as_bytes());
            let piece = text.strip_suffix(GOES_ON.as_bytes()).filter(|piece| !piece.is_empty()).map(<[u8]>::to_vec);
            let goes_on = piece.is_some();
            *text = if is_end { Vec::new() } else { piece.unwrap_or_else(|| std::mem::take(text)) };
            goes_on
        };
        self.words = Words::GoOn(self.texts.iter_mut().map(goes_on).collect());
    }

    /// Whether they are syllables of Mandarin, which nobody reads as they stand.
    pub fn are_sounds(&self) -> bool {
        matches!(self.words, Words::Syllables(_))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.texts.len()
    }

    /// The number of what stands for nothing, where the list names it.
    pub(super) fn blank(&self) -> Option<usize> {
        self.blank
    }

    /// The number of what stands for all that is not in the list.
    pub(super) fn unknown(&self) -> Option<usize> {
        self.unknown
    }

    /// The text of tokens: as they follow one another, with a blank before each that begins a word, and none between
    /// characters that are written without.
    pub fn text(&self, tokens: impl IntoIterator<Item = usize>) -> String {
        let mut bytes = Vec::new();
        let mut before = None;
        for token in tokens {
            if self.begins(before, token) {
                bytes.push(b' ');
            }
            bytes.extend_from_slice(self.texts.get(token).map_or(&[][..], Vec::as_slice));
            before = self.heard(token).or(before);
        }
        without_needless_blanks(&String::from_utf8_lossy(&bytes))
    }

    /// The words that tokens make up: a character of Chinese, or what stands between blanks.
    pub(super) fn words(&self, spoken: &[Spoken]) -> Vec<Word> {
        let mut words: Vec<(Vec<u8>, Word)> = Vec::new();
        let mut before = None;
        for each in spoken {
            let begins = self.begins(before, each.token);
            before = self.heard(each.token).or(before);
            let Some(bytes) = self.texts.get(each.token).filter(|bytes| !bytes.is_empty()) else { continue };
            let goes_on = words.last().is_some_and(|(before, _)| !begins && goes_on(before, bytes));
            if let Some((text, word)) = words.last_mut().filter(|_| goes_on) {
                text.extend_from_slice(bytes);
                word.end = each.end;
                word.confidence = word.confidence.min(each.confidence);
            } else {
                let word = Word { text: String::new(), start: each.start, end: each.end, confidence: each.confidence };
                words.push((bytes.clone(), word));
            }
        }
        let named =
            |(bytes, word): (Vec<u8>, Word)| Word { text: String::from_utf8_lossy(&bytes).into_owned(), ..word };
        words.into_iter().map(named).collect()
    }

    /// Whether a token begins a word, behind another one.
    fn begins(&self, before: Option<usize>, token: usize) -> bool {
        let is_letter = |token: usize| self.texts.get(token).and_then(|text| text.first()).is_some_and(u8::is_ascii);
        match &self.words {
            Words::Begin(begin) => begin.get(token).copied().unwrap_or_default(),
            Words::GoOn(go_on) => match before {
                _ if self.heard(token).is_none() => false,
                Some(before) if is_letter(token) => !go_on.get(before).copied().unwrap_or_default(),
                Some(before) => is_letter(before),
                None => true,
            },
            Words::Syllables(parts) => {
                let part = |token: usize| parts.get(token).copied().unwrap_or(Part::Other);
                part(token) != Part::Final || before.is_none_or(|before| part(before) != Part::Initial)
            }
        }
    }

    /// A token that is written as something.
    fn heard(&self, token: usize) -> Option<usize> {
        self.texts.get(token).filter(|text| !text.is_empty()).map(|_| token)
    }

    /// The numbers of the tokens that a text is made of, the longest first; `None` where one is missing.
    pub(super) fn numbers(&self, text: &str) -> Option<Vec<usize>> {
        let mut numbers = Vec::new();
        for part in text.split_whitespace() {
            let mut rest = part.as_bytes();
            let mut begins = true;
            while !rest.is_empty() {
                let number = self.longest(rest, begins)?;
                rest = &rest[self.texts[number].len()..];
                // Characters follow one another without a blank between them.
                begins = self.texts[number].first().is_some_and(|byte| !byte.is_ascii())
                    && rest.first().is_some_and(u8::is_ascii);
                numbers.push(number);
            }
        }
        (!numbers.is_empty()).then_some(numbers)
    }

    /// The number of a piece of a word, as `bpe.model` writes it.
    pub(super) fn number(&self, piece: &str) -> Option<usize> {
        let (begins, text) = (piece.starts_with(WORD_BEGINS), self.letters.text(piece));
        let is_same = |number: &usize| self.texts[*number] == text && self.begins(None, *number) == begins;
        (0..self.count()).filter(is_same).find(|&number| !self.is_special(number))
    }

    /// The number of a character that is a token by itself and begins no word.
    pub(super) fn character(&self, word: &str) -> Option<usize> {
        let is_character = self.letters != Letters::Bytes && word.chars().count() == 1 && word.chars().all(is_unspaced);
        if is_character { self.number(word) } else { None }
    }

    /// A word as `bpe.model` cuts it: where all of it is bytes, these as letters.
    pub(super) fn written(&self, word: &str) -> String {
        match self.letters {
            Letters::Bytes => word.bytes().filter_map(letter_of_byte).collect(),
            Letters::Own | Letters::FallBack => word.to_owned(),
        }
    }

    fn is_special(&self, number: usize) -> bool {
        [self.blank, self.unknown].contains(&Some(number))
    }

    /// The longest token that a text begins with; one that begins a word is looked for first where a word does.
    fn longest(&self, text: &[u8], begins: bool) -> Option<usize> {
        let fits = |number: &usize| !self.texts[*number].is_empty() && text.starts_with(&self.texts[*number]);
        let candidates = (0..self.count()).filter(|number| fits(number) && !self.is_special(*number));
        let rank = |number: &usize| (self.begins(None, *number) == begins, self.texts[*number].len());
        candidates.max_by_key(rank)
    }
}

impl Letters {
    /// What a token is written as, without what begins a word.
    fn text(self, token: &str) -> Vec<u8> {
        let rest = token.strip_prefix(WORD_BEGINS).unwrap_or(token);
        match (self, byte_named(token)) {
            (Letters::FallBack, Some(byte)) => vec![byte],
            (Letters::Bytes, _) => rest.chars().filter_map(byte_of_letter).collect(),
            _ => rest.as_bytes().to_vec(),
        }
    }
}

/// So much of a line that is wrong is told.
const FOUND_CHARACTERS_MAX: usize = 40;

/// Token and number of a line; a number alone is that of a blank.
fn entry(line: &str) -> Option<(&str, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (token, number) = match (fields.next()?, fields.next()) {
        (number, None) => (" ", number),
        (token, Some(number)) => (token, number),
    };
    let number: usize = number.parse().ok()?;
    (fields.next().is_none() && number < TOKENS_MAX && token.len() <= TOKEN_BYTES_MAX).then_some((token, number))
}

/// The byte that `<0xE4>` names.
fn byte_named(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

/// Whether a list is of bytes written as letters: all are such letters, and some are of the last 64 of them.
fn are_letters_of_bytes(named: &[&str]) -> bool {
    let mut letters = named.iter().flat_map(|token| token.chars()).filter(|&letter| letter != WORD_BEGINS);
    let known = letters.clone().all(|letter| letter.is_ascii() || byte_of_letter(letter).is_some());
    known && letters.any(|letter| byte_of_letter(letter).is_some_and(|byte| byte >= LAST_BYTES))
}

/// The byte that a letter stands for in k2's byte-level pieces: ASCII for itself, the others in letters from Ā on.
fn byte_of_letter(letter: char) -> Option<u8> {
    let mut before = 0;
    for (from, to) in LETTERS_OF_BYTES {
        if (from..=to).contains(&u32::from(letter)) {
            return u8::try_from(before + u32::from(letter) - from).ok();
        }
        before += to - from + 1;
    }
    None
}

/// The letter that stands for a byte.
fn letter_of_byte(byte: u8) -> Option<char> {
    let mut letters = LETTERS_OF_BYTES.iter().flat_map(|&(from, to)| from..=to);
    letters.nth(usize::from(byte)).and_then(char::from_u32)
}

/// Bytes from here on begin a character of two bytes or more: every text beyond ASCII has some.
const LAST_BYTES: u8 = 0xC0;

/// The letters of the bytes 0, 1, 2 …, from and to (icefall's `byte_utils.py`).
const LETTERS_OF_BYTES: [(u32, u32); 7] =
    [(256, 287), (32, 126), (288, 305), (308, 318), (321, 328), (330, 382), (384, 422)];

/// Whether a token goes on with the word before it: both are letters, or the bytes of one character are not all there.
fn goes_on(before: &[u8], bytes: &[u8]) -> bool {
    let Ok(before) = std::str::from_utf8(before) else { return true };
    let is_unwritten = match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().next().is_some_and(is_unspaced),
        Err(_) => bytes.first().is_some_and(|&byte| byte >= THREE_BYTES),
    };
    before.chars().next_back().is_some_and(is_word_letter) && !is_unwritten
}

/// Bytes from here on begin a character of three bytes or more, as those of Chinese are.
const THREE_BYTES: u8 = 0xE0;

fn is_word_letter(letter: char) -> bool {
    !is_unspaced(letter) && !letter.is_whitespace()
}

/// A text without the blanks at its ends and between two characters that are written without.
fn without_needless_blanks(text: &str) -> String {
    let letters: Vec<char> = text.trim().chars().collect();
    let is_needless = |at: usize| {
        let before = letters[..at].iter().rev().find(|letter| **letter != ' ');
        let after = letters[at..].iter().find(|letter| **letter != ' ');
        letters[at] == ' ' && before.is_some_and(|c| is_unspaced(*c)) && after.is_some_and(|c| is_unspaced(*c))
    };
    (0..letters.len()).filter(|at| !is_needless(*at)).map(|at| letters[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "<blk> 0\n<unk> 1\n我 2\n要 3\n\u{2581}re 4\nfund 5\n\u{2581}a 6\n投 7\n诉 8\n's 9\n";

    #[test]
    fn tokens_become_text_and_words() {
        check(LIST, &[2, 3, 7, 8], "我要投诉", "我|要|投|诉");
        check(LIST, &[2, 3, 6, 4, 5, 9], "我要 a refund's", "我|要|a|refund's");
        check(LIST, &[4, 5, 7, 8, 5], " refund投诉fund".trim(), "refund|投|诉|fund");
        check(LIST, &[2, 1, 99, 3], "我要", "我|要");
    }

    #[test]
    fn initials_and_finals_become_syllables() {
        let initials = "b p m f d t n l g k h j q x zh ch sh r z c s y w";
        let finals = "óu ù iù ì ià ǔ ě ǎo ēng iàn uè ǜ ǘ ùn iú uáng ōng én ín ǐng òu uǒ āi";
        let named: Vec<&str> = ["<blk>", "V"].into_iter().chain(initials.split(' ')).chain(finals.split(' ')).collect();
        let list: String = named.iter().enumerate().map(|(number, token)| format!("{token} {number}\n")).collect();
        assert!(Tokens::read("tokens.txt", list.as_bytes()).expect("a list").are_sounds());
        let number = |token: &str| named.iter().position(|other| *other == token).expect("a token");
        let said: Vec<usize> = "j iù sh ì V x ià ǎo y ǔ t óu".split(' ').map(number).collect();
        check(&list, &said, "jiù shì V xià ǎo yǔ tóu", "jiù|shì|V|xià|ǎo|yǔ|tóu");
    }

    #[test]
    fn pieces_that_go_on_are_joined() {
        let list = "<blank> 0\n<s> 1\n</s> 2\n我 3\n要 4\nre@@ 5\nfund 6\nplease 7\n@@ 8\n<unk> 9\n";
        let mut tokens = Tokens::read("tokens.txt", list.as_bytes()).expect("a list");
        tokens.join_by_marks();
        let check = |numbers: &[usize], text, words| check_list(&tokens, numbers, text, words);
        check(&[3, 4, 5, 6, 7], "我要 refund please", "我|要|refund|please");
        check(&[6, 6, 3], "fund fund 我", "fund|fund|我");
        check(&[5, 3, 6, 9, 7, 2], "re 我 fund please", "re|我|fund|please");
        check(&[7, 8], "please @@", "please|@@");
    }

    #[test]
    fn bytes_become_characters() {
        let list: String = (0..256).map(|byte| format!("<0x{byte:02X}> {byte}\n")).collect();
        let numbers: Vec<usize> = "投ab".bytes().map(usize::from).collect();
        check(&list, &numbers, "投ab", "投|ab");
        // k2's letters of 投 (E6 8A 95), and one that is cut off.
        let letters: String = [0xE6, 0x8A, 0x95].iter().filter_map(|&byte| letter_of_byte(byte)).collect();
        let list = format!("<blk> 0\n\u{2581}{letters} 1\nab 2\n");
        check(&list, &[1, 2], "投ab", "投|ab");
        let letters: String = [0xE6, 0x8A].iter().filter_map(|&byte| letter_of_byte(byte)).collect();
        check(&format!("a 0\n{letters} 1\n"), &[0, 1], "a\u{FFFD}", "a|\u{FFFD}");
    }

    #[test]
    fn every_byte_has_its_letter() {
        assert!((0..=255).all(|byte| letter_of_byte(byte).and_then(byte_of_letter) == Some(byte)));
        let letters: Vec<char> = (0..=255).map(|byte| letter_of_byte(byte).expect("a letter")).collect();
        assert_eq!((letters[0], letters[32], letters[b'~' as usize], letters[127]), ('Ā', ' ', '~', 'Ġ'));
    }

    #[test]
    fn texts_become_tokens() {
        let tokens = Tokens::read("tokens.txt", LIST.as_bytes()).expect("a list");
        assert_eq!(tokens.numbers("我要投诉"), Some(vec![2, 3, 7, 8]));
        assert_eq!(tokens.numbers("要 a refund"), Some(vec![3, 6, 4, 5]));
        assert_eq!(tokens.numbers("要refund"), Some(vec![3, 4, 5]));
        assert_eq!((tokens.numbers("要谢"), tokens.numbers(" ")), (None, None));
    }

    #[test]
    fn what_is_no_list_is_named() {
        refused("", "tokens: expected at least one, found none");
        refused("a 0\nb 2\n", "numbers: expected every number up to 2, found no 1");
        refused("a 0\nb 0\n", "expected every number once, found 0 again in line 2");
        refused("a 0\nb c d\n", "expected a token and its number in line 2, found \"b c d\"");
        refused("a 0\nb 300000\n", "in line 2");
        refused("a -1\n", "in line 1");
        let error = Tokens::read("tokens.txt", b"\xff 0\n").expect_err("no text").to_string();
        assert_eq!(error, "tokens.txt: text: expected UTF-8, found other bytes");
    }

    #[track_caller]
    fn check(list: &str, numbers: &[usize], text: &str, words: &str) {
        check_list(&Tokens::read("tokens.txt", list.as_bytes()).expect("a list"), numbers, text, words);
    }

    #[track_caller]
    fn check_list(tokens: &Tokens, numbers: &[usize], text: &str, words: &str) {
        assert_eq!(tokens.text(numbers.iter().copied()), text);
        let spoken: Vec<Spoken> = numbers
            .iter()
            .enumerate()
            .map(|(at, &token)| Spoken { token, start: at as u64, end: at as u64 + 1, confidence: 0.5 })
            .collect();
        let found: Vec<String> = tokens.words(&spoken).into_iter().map(|word| word.text).collect();
        assert_eq!(found.join("|"), words);
    }

    #[track_caller]
    fn refused(list: &str, expected: &str) {
        let error = Tokens::read("tokens.txt", list.as_bytes()).expect_err("no list").to_string();
        assert!(error.starts_with("tokens.txt: ") && error.contains(expected), "{error}");
    }
}
