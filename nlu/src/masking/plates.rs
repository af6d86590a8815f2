//! Vehicle plates: the mainland form (粤B12345, 京A 幺二三四五, with 学, 警, 挂), and others where they are announced.

use std::ops::Range;

use super::class::Class;
use super::lists::Cue;
use super::scene::{Find, Scene};
use crate::numbers::run::{english_digit, joins};
use crate::numbers::token::{Kind, spoken_digit};

/// The provinces' characters on plates.
const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领";
/// What may stand last.
const LAST: &str = "学警挂港澳领试超";
/// The most tokens of a plate.
const TOKENS_MAX: usize = 24;
/// How many tokens behind the word that announces it a plate may begin.
const REACH: usize = 8;

pub(super) fn find(scene: &Scene<'_>, out: &mut Vec<Find>) {
    let mut at = 0;
    while at < scene.tokens.len() {
        let is_province = scene.han(at).is_some_and(is_province);
        let announced = is_announced(scene, at);
        let plate = if is_province {
            mainland(scene, at, announced)
        } else if announced && matches!(scene.tokens[at].kind, Kind::Word(_) | Kind::Digit(_)) {
            other(scene, at)
        } else {
            None
        };
        if let Some(tokens) = plate {
            at = tokens.end;
            out.push(Find { tokens, class: Class::Plate });
        } else {
            at += 1;
        }
    }
}

/// Whether a plate may begin with this character.
pub(super) fn is_province(character: char) -> bool {
    PROVINCES.contains(character)
}

/// A plate that begins with a province: a letter and five or six letters and digits.
fn mainland(scene: &Scene<'_>, from: usize, announced: bool) -> Option<Range<usize>> {
    let read = read(scene, from + 1);
    let is_letter_first = scene.word(scene.skip_joins(from + 1)).is_some();
    let is_whole = (6..=8).contains(&read.characters) && read.digits >= 2;
    let is_growing =
        read.characters >= 2 && read.characters < 6 && scene.is_end(read.end) && (read.digits > 0 || announced);
    (is_letter_first && (is_whole || is_growing)).then_some(from..read.end)
}

/// Where a plate is spoken of: five to eight letters and digits, some of them digits.
fn other(scene: &Scene<'_>, from: usize) -> Option<Range<usize>> {
    let read = read(scene, from);
    let is_whole = (5..=8).contains(&read.characters) && read.digits >= 1;
    let is_growing = (2..5).contains(&read.characters) && scene.is_end(read.end) && read.digits >= 1;
    (is_whole || is_growing).then_some(from..read.end)
}

struct Read {
    characters: usize,
    digits: usize,
    end: usize,
}

/// Letters and digits one after another.
fn read(scene: &Scene<'_>, from: usize) -> Read {
    let mut read = Read { characters: 0, digits: 0, end: from };
    let last = scene.tokens.len().min(from + TOKENS_MAX);
    for at in from..last {
        let token = &scene.tokens[at];
        let (characters, digits) = match &token.kind {
            Kind::Digit(_) => (1, 1),
            Kind::Han(character) if spoken_digit(*character).is_some() => (1, 1),
            Kind::Han(character) if LAST.contains(*character) && read.characters == 5 => (1, 0),
            Kind::Word(word) if english_digit(word).is_some() && word.len() > 1 => (1, 1),
            // "double five": the word stands for one of the two.
            Kind::Word(word) if word == "double" => (1, 1),
            Kind::Word(word) if word == "triple" => (2, 2),
            Kind::Word(word)
                if word.len() <= 4 && word.bytes().all(|byte| byte.is_ascii_lowercase()) && !is_usual(scene, word) =>
            {
                (word.len(), 0)
            }
            _ if joins(token) => continue,
            _ => break,
        };
        if read.characters + characters > 8 {
            break;
        }
        read = Read { characters: read.characters + characters, digits: read.digits + digits, end: at + 1 };
    }
    read
}

fn is_usual(scene: &Scene<'_>, word: &str) -> bool {
    word.len() > 1 && scene.lists.no_names.contains(word)
}

fn is_announced(scene: &Scene<'_>, at: usize) -> bool {
    scene.cue_before(at).is_some_and(|(tokens, cue)| *cue == Cue::Plate && at - tokens.end <= REACH)
}
