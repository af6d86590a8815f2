//! Cuts text into what numbers and secrets are made of: digits, Han characters, words of letters, marks and gaps.
//!
//! Width, case and the many scripts of digits are made one on the way; every token knows its bytes in the text.

use std::ops::Range;

/// The longest text that is looked at, bytes; what lies beyond is one [`Kind::Beyond`].
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// One piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it stands in the text.
    pub bytes: Range<usize>,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A digit of any script that counts with digits: `8`, `８`, `⑧`, `٨`.
    Digit(u8),
    /// A Han character.
    Han(char),
    /// A run of Latin letters in lower case, apostrophes included.
    Word(String),
    /// White space, and what cannot be seen.
    Space,
    /// Any other character, of half width.
    Mark(char),
    /// What is not looked at, such as the rest of a text that is too long.
    Beyond,
}

impl Token {
    /// The Han character that it is.
    pub fn han(&self) -> Option<char> {
        if let Kind::Han(character) = self.kind { Some(character) } else { None }
    }

    /// The word of letters that it is.
    pub fn word(&self) -> Option<&str> {
        if let Kind::Word(word) = &self.kind { Some(word) } else { None }
    }

    /// The mark that it is.
    pub fn mark(&self) -> Option<char> {
        if let Kind::Mark(mark) = self.kind { Some(mark) } else { None }
    }

    /// Whether nothing is to be seen of it.
    pub fn is_space(&self) -> bool {
        self.kind == Kind::Space
    }
}

/// The tokens of a text, in order and without a gap.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::new();
    for (at, character) in text.char_indices() {
        if at >= TEXT_BYTES_MAX {
            out.push(Token { kind: Kind::Beyond, bytes: at..text.len() });
            break;
        }
        let end = at + character.len_utf8();
        let half = half_width(character);
        let kind = kind_of(half);
        match (&kind, out.last_mut()) {
            (Kind::Word(letter), Some(Token { kind: Kind::Word(word), bytes })) => {
                word.push_str(letter);
                bytes.end = end;
            }
            (Kind::Mark('\''), Some(Token { kind: Kind::Word(word), bytes })) => {
                word.push('\'');
                bytes.end = end;
            }
            _ => out.push(Token { kind, bytes: at..end }),
        }
    }
    out
}

fn kind_of(half: char) -> Kind {
    if let Some(digit) = digit(half) {
        Kind::Digit(digit)
    } else if half.is_whitespace() || is_unseen(half) {
        Kind::Space
    } else if is_han(half) {
        Kind::Han(half)
    } else if half.is_alphabetic() {
        Kind::Word(half.to_lowercase().collect())
    } else {
        Kind::Mark(if half == '’' { '\'' } else { half })
    }
}

/// A character of half width where there is one.
fn half_width(character: char) -> char {
    match character {
        '\u{FF01}'..='\u{FF5E}' => {
            char::from_u32(u32::from(character) - 0xFEE0).expect("the block of wide characters mirrors ASCII")
        }
        '\u{3000}' => ' ',
        '。' => '.',
        '、' => ',',
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' => '-',
        _ => character,
    }
}

/// The value of a digit that is written as one.
fn digit(character: char) -> Option<u8> {
    let code = u32::from(character);
    let of = |first: u32| Some((code - first) as u8);
    match code {
        0x30..=0x39 => of(0x30),
        0x660..=0x669 => of(0x660),
        0x6F0..=0x6F9 => of(0x6F0),
        0x966..=0x96F => of(0x966),
        0x2070 | 0x2074..=0x2079 => of(0x2070),
        0xB9 => Some(1),
        0xB2 | 0xB3 => of(0xB0),
        0x2080..=0x2089 => of(0x2080),
        // Circled and bracketed digits begin with one.
        0x2460..=0x2468 => of(0x245F),
        0x2474..=0x247C => of(0x2473),
        0x2488..=0x2490 => of(0x2487),
        0x2776..=0x277E => of(0x2775),
        0x24EA => Some(0),
        // Mathematical digits: five alphabets of ten.
        0x1D7CE..=0x1D7FF => Some(((code - 0x1D7CE) % 10) as u8),
        _ => None,
    }
}

/// The value of a Han character that says one digit, as numbers are read aloud.
pub fn spoken_digit(character: char) -> Option<u8> {
    Some(match character {
        '零' | '〇' | '○' | '洞' => 0,
        '一' | '壹' | '幺' | '弌' => 1,
        '二' | '贰' | '貳' | '两' | '兩' | '俩' => 2,
        '三' | '叁' | '參' => 3,
        '四' | '肆' => 4,
        '五' | '伍' => 5,
        '六' | '陆' | '陸' => 6,
        '七' | '柒' | '拐' => 7,
        '八' | '捌' => 8,
        '九' | '玖' | '勾' => 9,
        _ => return None,
    })
}

/// Whether it is a Han character.
pub fn is_han(character: char) -> bool {
    matches!(u32::from(character), 0x3007 | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF)
}

/// What takes no room on a screen: zero-width spaces, joiners, marks of direction, combining marks.
fn is_unseen(character: char) -> bool {
    matches!(u32::from(character),
        0xAD | 0x300..=0x36F | 0x180E | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0x20D0..=0x20FF
        | 0xFE00..=0xFE0F | 0xFEFF | 0xE0000..=0xE007F)
        || character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_write_a_digit_are_one() {
        let digits = |text: &str| -> Vec<Kind> { tokens(text).into_iter().map(|token| token.kind).collect() };
        for text in ["138", "１３８", "①③⑧", "¹³⁸", "١٣٨", "𝟏𝟑𝟖"] {
            assert_eq!(digits(text), [Kind::Digit(1), Kind::Digit(3), Kind::Digit(8)], "{text}");
        }
    }

    #[test]
    fn tokens_cover_the_text() {
        for text in ["我叫 John O’Neil，[电话]！", "", "a\u{200b}1", "[", "[[x]1]", &"x1".repeat(TEXT_BYTES_MAX)]
        {
            let mut at = 0;
            for token in tokens(text) {
                assert_eq!(token.bytes.start, at, "{text:.40}");
                at = token.bytes.end;
            }
            assert_eq!(at, text.len());
        }
    }
}
