//! Surnames with what people are called by at work: 老秦 and 小朱 whom somebody is to call, 姜工 to whom somebody is to say something.

use std::ops::Range;

use super::super::class::Class;
use super::super::ordinary::word_bits;
use super::super::scene::{Find, Scene};
use super::{OFTEN, is_no_name, surname_length};

/// What is said before them.
const BEFORE: &str = "让叫找给跟请喊问替帮把向托";
/// What somebody is or is called by.
const SELF: [&str; 4] = ["叫我", "喊我", "我是", "我姓"];
/// What stands before such a surname, and behind it.
const AGE: &str = "老小";
const RANK: &str = "工总哥姐姨叔嫂董局导";
/// What is said behind them.
const BEHIND: &str = "来说听在接去讲看帮就吧可打回告那这的给留跟带和也都他她一过转问";

/// Finds them.
pub(super) fn find(scene: &Scene<'_>, out: &mut Vec<Find>) {
    for at in 1..scene.tokens.len() {
        let is_called = scene.han(at - 1).is_some_and(|before| BEFORE.contains(before)) || follows_self(scene, at);
        if is_called && let Some(tokens) = aged(scene, at).or_else(|| ranked(scene, at)) {
            out.push(Find { tokens, class: Class::Name });
        }
    }
}

fn follows_self(scene: &Scene<'_>, at: usize) -> bool {
    at > 1 && SELF.contains(&scene.plain(at - 2..at).as_str())
}

/// The surname of 老秦.
fn aged(scene: &Scene<'_>, at: usize) -> Option<Range<usize>> {
    let is_aged = scene.han(at).is_some_and(|age| AGE.contains(age));
    let length = if is_aged { surname_length(scene, at + 1) } else { 0 };
    let end = at + 1 + length;
    (length > 0 && is_behind(scene, end) && !is_word(scene, at..end)).then_some(at + 1..end)
}

/// The surname of 姜工.
fn ranked(scene: &Scene<'_>, at: usize) -> Option<Range<usize>> {
    let end = at + surname_length(scene, at);
    let is_ranked = end > at && scene.han(end).is_some_and(|rank| RANK.contains(rank));
    (is_ranked && is_behind(scene, end + 1) && !is_word(scene, at..end + 1)).then_some(at..end)
}

fn is_behind(scene: &Scene<'_>, end: usize) -> bool {
    scene.han(end).is_none_or(|behind| BEHIND.contains(behind))
}

/// Whether it is a word that is said often: 小时, 老家, 施工.
fn is_word(scene: &Scene<'_>, tokens: Range<usize>) -> bool {
    is_no_name(scene, tokens.start) || word_bits(&scene.plain(tokens)).is_some_and(|bits| bits <= OFTEN)
}
