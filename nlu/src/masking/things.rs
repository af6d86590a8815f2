//! Digits at the end of what was said that are no beginning of a secret: years, times, services that are called, the last four of
//! something, and names of trains, flights, models, rooms.

use super::checks;
use super::scene::Scene;
use crate::numbers::run::{Digit, Run};
use crate::numbers::token::{Kind, Token};

/// Before a year that ends a sentence.
const BEFORE_YEARS: [&str; 16] = [
    "in", "since", "from", "until", "till", "to", "by", "before", "after", "of", "year", "around", "about", "during",
    "through", "late",
];
/// In a clause that says when something was.
const OF_TIME: [&str; 7] = ["between", "time", "year", "years", "when", "since", "ago"];
/// Before a service's number.
const BEFORE_SERVICES: [&str; 8] = ["call", "called", "calling", "dial", "dialed", "dialled", "ring", "rang"];
/// What the last four digits of something follow.
const LAST_FOUR: [&str; 10] =
    ["尾号", "尾数", "末四位", "后四位", "最后四位", "ending in", "ending with", "ends in", "ends with", "last four"];
/// The most tokens of a clause that are looked at.
const CLAUSE_MAX: usize = 60;
const BEFORE_YEARS_HAN: &str = "在从自于到至前后年";
/// The most letters before the digits of a thing: G1234, MU5107, RTX 4090.
const LETTERS_MAX: usize = 3;
/// The most digits behind them: those of passports are more.
const DIGITS_MAX: usize = 5;
/// Fewer signs beside the digits do not make it a sentence: then the digits may answer a question.
const SIGNS_MIN: usize = 2;
/// How many tokens before it digits are looked for that it may go on from.
const NEAR: usize = 16;
/// So many digits are a part of a number.
const PART_MIN: usize = 3;

/// Whether digits that nothing announces are none of a secret's first ones.
pub(super) fn is_no_beginning(scene: &Scene<'_>, run: &Run) -> bool {
    is_year(scene, run) || names_a_thing(scene, run) || is_service(scene, run) || is_clock(scene, run)
}

/// Whether digits that nothing announces are a year: no number of anybody begins with 20 unannounced; those that begin with 19
/// are years where a word for times stands before them, since mobile numbers begin so, too.
fn is_year(scene: &Scene<'_>, run: &Run) -> bool {
    let values: Vec<u8> = run.digits.iter().map(|digit| digit.value).collect();
    let is_together =
        run.digits.iter().all(|digit| digit.sure) && run.digits[1..].iter().all(|digit| !is_apart(scene, digit));
    let century = match values[..] {
        [2, 0, _, _] => 20,
        [1, 9, _, _] => 19,
        _ => return false,
    };
    is_together && is_in_sentence(scene, run) && !goes_on(scene, run) && (century == 20 || follows_time(scene, run))
}

/// Whether a few digits stand behind letters that they belong to.
fn names_a_thing(scene: &Scene<'_>, run: &Run) -> bool {
    let start = run.tokens.start;
    let hyphen = usize::from(start > 1 && scene.mark(start - 1) == Some('-'));
    let letters = |before: usize| start.checked_sub(before).and_then(|at| Some((at, scene.word(at)?)));
    let is_joined = letters(1 + hyphen).is_some_and(|(_, word)| word.len() <= LETTERS_MAX && word.is_ascii());
    // Of a flight the airline may stand apart: AF 948. Plates have three letters.
    let is_airline =
        letters(2).is_some_and(|(at, word)| word.len() == 2 && is_upper(scene, at) && scene.tokens[at + 1].is_space());
    let is_name = is_joined || is_airline;
    let is_together = run.digits.iter().all(|digit| is_written(scene, digit.token))
        && run.digits[1..].iter().all(|digit| !digit.apart);
    is_name && is_together && run.digits.len() <= DIGITS_MAX && is_in_sentence(scene, run)
}

/// Whether the digits are those of a service that somebody calls: 95533, 10010, 311, 400-700-1234.
fn is_service(scene: &Scene<'_>, run: &Run) -> bool {
    let values: Vec<u8> = run.digits.iter().map(|digit| digit.value).collect();
    let is_short = matches!(values[..], [1, 1 | 2, _] | [2..=9, 1, 1] | [9, 8, 8] | [9, 9, 9])
        || matches!(values[..], [9, 5 | 6, ..] | [1, 0 | 2, ..] if values.len() == 5);
    let Some(at) = scene.back_over_spaces(run.tokens.start).checked_sub(1) else { return false };
    let is_called = scene.word(at).is_some_and(|word| BEFORE_SERVICES.contains(&word))
        || scene.han(at).is_some_and(|character| "打拨".contains(character));
    checks::is_service_line(&values) || (is_short && is_called)
}

/// Whether a time of day is said behind a word for times: "before seven thirty".
fn is_clock(scene: &Scene<'_>, run: &Run) -> bool {
    let values: Vec<u8> = run.digits.iter().map(|digit| digit.value).collect();
    let is_time = match values[..] {
        [hour, ten, _] => hour > 0 && ten < 6,
        [1, 0..=2, ten, _] => ten < 6,
        _ => false,
    };
    is_time && run.has_numeral && (follows_time(scene, run) || before(scene, run).is_some_and(|word| word == "at"))
}

/// Whether a time of day is said that something is to happen after or before, whatever was announced: "ring me after seven fifteen".
pub(super) fn is_clock_after(scene: &Scene<'_>, run: &Run) -> bool {
    is_clock(scene, run)
        && before(scene, run).is_some_and(|word| ["after", "before", "until", "till", "past"].contains(&word))
}

/// Whether four digits are the last ones of something: 尾号8297, "ending in 8297".
pub(super) fn is_last_four(scene: &Scene<'_>, run: &Run) -> bool {
    let start = run.tokens.start;
    let said = scene.plain(start.saturating_sub(8)..start);
    let said = said.trim_end().trim_end_matches(['是', ':', '为']);
    run.digits.len() == 4 && LAST_FOUR.iter().any(|word| said.ends_with(word))
}

fn before<'s>(scene: &'s Scene<'_>, run: &Run) -> Option<&'s str> {
    scene.back_over_spaces(run.tokens.start).checked_sub(1).and_then(|at| scene.word(at))
}

fn is_upper(scene: &Scene<'_>, at: usize) -> bool {
    scene.text_of(at).chars().all(char::is_uppercase)
}

/// Whether a gap stands before a written digit.
fn is_apart(scene: &Scene<'_>, digit: &Digit) -> bool {
    digit.apart && is_written(scene, digit.token)
}

fn is_written(scene: &Scene<'_>, at: usize) -> bool {
    matches!(scene.tokens[at].kind, Kind::Digit(_))
}

/// Whether more is said than the digits.
fn is_in_sentence(scene: &Scene<'_>, run: &Run) -> bool {
    let signs = |token: &Token| usize::from(token.han().is_some()) + 2 * usize::from(token.word().is_some());
    clause_before(scene, run).map(signs).sum::<usize>() >= SIGNS_MIN
}

/// Whether digits before it may be the beginning of what it ends.
fn goes_on(scene: &Scene<'_>, run: &Run) -> bool {
    let index = scene.runs.partition_point(|other| other.tokens.start < run.tokens.start);
    let before = scene.runs[..index].last();
    before.is_some_and(|other| {
        other.digits.len() >= PART_MIN && run.tokens.start - other.tokens.end.min(run.tokens.start) <= NEAR
    })
}

/// Whether a word for times stands before the digits, or one that a time answers is in the same clause.
fn follows_time(scene: &Scene<'_>, run: &Run) -> bool {
    let Some(at) = scene.back_over_spaces(run.tokens.start).checked_sub(1) else { return false };
    let is_of_time = |token: &Token| {
        token.word().is_some_and(|word| OF_TIME.contains(&word)) || token.han().is_some_and(|c| "次年时候".contains(c))
    };
    scene.word(at).is_some_and(|word| BEFORE_YEARS.contains(&word))
        || scene.han(at).is_some_and(|character| BEFORE_YEARS_HAN.contains(character))
        || clause_before(scene, run).take(CLAUSE_MAX).any(is_of_time)
}

/// What is said before the digits in the same clause, from its end on.
fn clause_before<'s>(scene: &'s Scene<'_>, run: &Run) -> impl Iterator<Item = &'s Token> {
    let ends = |token: &&Token| token.mark().is_some_and(|mark| ".,!?;:".contains(mark));
    scene.tokens[..run.tokens.start].iter().rev().take_while(move |token| !ends(token))
}
