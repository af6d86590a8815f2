//! Digits at the end of what was said that are no beginning of a secret: years, and names of trains, flights, models, rooms.

use super::scene::Scene;
use crate::numbers::run::Run;
use crate::numbers::token::Kind;

/// Before a year that ends a sentence.
const BEFORE_YEARS: [&str; 16] = [
    "in", "since", "from", "until", "till", "to", "by", "before", "after", "of", "year", "around", "about", "during",
    "through", "late",
];
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

/// Whether digits that nothing announces are a year: no number of anybody begins with 20 unannounced; those that begin with 19
/// are years where a word for times stands before them, since mobile numbers begin so, too.
pub(super) fn is_year(scene: &Scene<'_>, run: &Run) -> bool {
    let values: Vec<u8> = run.digits.iter().map(|digit| digit.value).collect();
    let is_together = run.digits.iter().all(|digit| digit.sure && !(digit.apart && is_written(scene, digit.token)));
    let century = match values[..] {
        [2, 0, _, _] => 20,
        [1, 9, _, _] => 19,
        _ => return false,
    };
    is_together && is_in_sentence(scene, run) && !goes_on(scene, run) && (century == 20 || follows_time(scene, run))
}

/// Whether a few digits stand behind letters that they belong to.
pub(super) fn names_a_thing(scene: &Scene<'_>, run: &Run) -> bool {
    let hyphen = usize::from(run.tokens.start > 1 && scene.mark(run.tokens.start - 1) == Some('-'));
    let letters = run.tokens.start.checked_sub(1 + hyphen).and_then(|at| scene.word(at));
    let is_name = letters.is_some_and(|letters| letters.len() <= LETTERS_MAX && letters.is_ascii());
    let is_together = run.digits.iter().all(|digit| !digit.apart && is_written(scene, digit.token));
    is_name && is_together && run.digits.len() <= DIGITS_MAX && is_in_sentence(scene, run)
}

fn is_written(scene: &Scene<'_>, at: usize) -> bool {
    matches!(scene.tokens[at].kind, Kind::Digit(_))
}

/// Whether more is said than the digits.
fn is_in_sentence(scene: &Scene<'_>, run: &Run) -> bool {
    let ends = |mark: char| ".,!?;:".contains(mark);
    let before = scene.tokens[..run.tokens.start].iter().rev().take_while(|token| !token.mark().is_some_and(ends));
    before.map(|token| usize::from(token.han().is_some()) + 2 * usize::from(token.word().is_some())).sum::<usize>()
        >= SIGNS_MIN
}

/// Whether digits before it may be the beginning of what it ends.
fn goes_on(scene: &Scene<'_>, run: &Run) -> bool {
    let index = scene.runs.partition_point(|other| other.tokens.start < run.tokens.start);
    let before = scene.runs[..index].last();
    before.is_some_and(|other| {
        other.digits.len() >= PART_MIN && run.tokens.start - other.tokens.end.min(run.tokens.start) <= NEAR
    })
}

fn follows_time(scene: &Scene<'_>, run: &Run) -> bool {
    let Some(at) = scene.back_over_spaces(run.tokens.start).checked_sub(1) else { return false };
    scene.word(at).is_some_and(|word| BEFORE_YEARS.contains(&word))
        || scene.han(at).is_some_and(|character| BEFORE_YEARS_HAN.contains(character))
}
