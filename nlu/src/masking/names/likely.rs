//! Names that no list has: what their characters, what stands before them and what stands behind them say together.

use std::ops::Range;

use super::super::class::Class;
use super::super::lists::Cue;
use super::super::ordinary::foreign_bits;
use super::super::scene::{Find, Scene};
use super::lattice::{Lattice, Reading};
use super::{is_title, skip_to_name, surname_length};
use crate::numbers::token::Kind;

/// So many bits make a name.
const ENOUGH: i32 = 4;
/// More make one of no list.
const ENOUGH_FOREIGN: i32 = 7;
/// What an announcement is worth that a name follows for sure, one that may also be the subject, one of somebody, and those that
/// many things follow.
const ANNOUNCED: i32 = 15;
const NAMED: i32 = 10;
const MENTIONED: i32 = 7;
const SPOKEN_OF: i32 = 10;
const MENTIONED_BRIEFLY: i32 = 4;
/// What it is worth that nothing else is said in a clause.
const CLAUSE: i32 = 4;
/// What it is worth that a number or an address is given behind it.
const WITH_NUMBER: i32 = 8;
/// What the beginning and the end of a clause are worth.
const EDGE: i32 = 3;
/// What a title behind a name is worth, and words that are said behind names.
const TITLED: i32 = 9;
const FOLLOWED: i32 = 9;
/// What it is worth that more is said of somebody: 高有才她.
const SAID_OF: i32 = 6;
/// So much likelier are ordinary words where a name is doubtful.
const DOUBTFUL: i32 = -8;
/// Digits of a number that somebody gives with their name.
const NUMBER_DIGITS_MIN: usize = 7;
/// So many bits at most has a character that is usual in names written by their sound.
const BY_SOUND: i32 = 10;
/// Of two readings so near the longer one is masked.
const NEAR: i32 = 3;

/// Finds them in these runs of characters; what begins at `asked` answers who asked for a name.
pub(super) fn find(scene: &Scene<'_>, lattices: &[Lattice<'_, '_>], asked: Option<usize>, out: &mut Vec<Find>) {
    let mut announced = announcements(scene);
    announced.extend(asked.map(|at| (skip_to_name(scene, at), ANNOUNCED)));
    for lattice in lattices {
        let mut at = lattice.tokens.start;
        while at < lattice.tokens.end {
            let name = name_at(scene, lattice, at, &announced);
            at = name.as_ref().map_or(at + 1, |name| name.end);
            out.extend(name.map(|tokens| Find { tokens, class: Class::Name }));
        }
    }
}

/// Keeps of what may be a name what is not much likelier to be ordinary words.
pub(super) fn keep(lattices: &[Lattice<'_, '_>], finds: Vec<Find>, out: &mut Vec<Find>) {
    let gain = |find: &Find| lattices.iter().find_map(|lattice| lattice.gain(&find.tokens));
    out.extend(finds.into_iter().filter(|find| gain(find).is_none_or(|gain| gain >= DOUBTFUL)));
}

/// Where names are announced, and what that is worth.
fn announcements(scene: &Scene<'_>) -> Vec<(usize, i32)> {
    let worth = |(cue, kind): &(Range<usize>, Cue)| {
        let at = skip_to_name(scene, cue.end);
        let is_said = at > cue.end || scene.han(cue.end - 1).is_some_and(|last| "是叫姓为写".contains(last));
        let worth = match (kind, is_said) {
            (Cue::Introduces, true) => ANNOUNCED,
            (Cue::Introduces, false) => NAMED,
            // "机主姓名" asks, and names whose name follows.
            (Cue::AsksName, _) => NAMED,
            (Cue::People, _) => SPOKEN_OF,
            (Cue::Mentions, _) if cue.len() > 1 => MENTIONED,
            (Cue::Mentions, _) => MENTIONED_BRIEFLY,
            _ => return None,
        };
        Some((at, worth))
    };
    scene.name_cues.iter().filter_map(worth).collect()
}

/// The name that begins at a token.
fn name_at(
    scene: &Scene<'_>,
    lattice: &Lattice<'_, '_>,
    at: usize,
    announced: &[(usize, i32)],
) -> Option<Range<usize>> {
    let is_digit = |at: usize| scene.tokens.get(at).is_some_and(|token| matches!(token.kind, Kind::Digit(_)));
    let opens = at == lattice.tokens.start && (at == 0 || !is_digit(at - 1));
    // 我蹇晓梅，身份证: who says so gives a name that begins with a surname.
    let is_own = at == lattice.tokens.start + 1 && scene.han(at - 1) == Some('我') && surname_length(scene, at) > 0;
    let has_number = (opens || is_own) && gives_number(scene, lattice.tokens.end);
    let announcement = announced.iter().filter(|(place, _)| *place == at).map(|(_, worth)| *worth).max();
    let is_announced = announcement.is_some() || has_number;
    if surname_length(scene, at) == 0 && !is_announced {
        return None;
    }
    let before = announcement.unwrap_or(if opens { EDGE } else { 0 });
    // What may be mentioned is a name of no list where it is said to be one on both sides.
    let holds_title =
        |tokens: &Range<usize>| (tokens.start + 1..tokens.end).any(|at| at + 1 < tokens.end && is_title(scene, at));
    let is_marked = |reading: &Reading| {
        let behind = worth_behind(scene, reading.tokens.end);
        reading.has_surname
            || before >= NAMED
            || is_by_sound(scene, &reading.tokens)
            || (has_number && reading.tokens.end == lattice.tokens.end)
            || behind >= FOLLOWED
            || (before >= MENTIONED && behind > 0)
    };
    let valued = |reading: Reading| {
        let is_clause = (opens || is_own) && reading.tokens.end == lattice.tokens.end;
        let value = reading.gain
            + before
            + worth_behind(scene, reading.tokens.end)
            + if opens && is_clause && reading.has_surname { CLAUSE } else { 0 }
            + if is_clause && has_number { WITH_NUMBER } else { 0 };
        let enough = if reading.has_surname { ENOUGH } else { ENOUGH_FOREIGN };
        (value >= enough).then_some((value, reading.tokens))
    };
    let readings = lattice.readings(at, is_announced).into_iter().filter(|reading| !holds_title(&reading.tokens));
    let names: Vec<(i32, Range<usize>)> = readings.filter(is_marked).filter_map(valued).collect();
    let best = names.iter().map(|(value, _)| *value).max()?;
    names.into_iter().filter(|(value, _)| best - value <= NEAR).map(|(_, tokens)| tokens).max_by_key(|name| name.end)
}

/// Whether all characters are usual ones for writing names by their sound.
fn is_by_sound(scene: &Scene<'_>, tokens: &Range<usize>) -> bool {
    tokens.len() > 2
        && tokens.clone().filter_map(|at| scene.han(at)).all(|character| foreign_bits(character) <= BY_SOUND)
}

/// Whether the next clause begins with a number, or with what announces one or an address.
pub(super) fn gives_number(scene: &Scene<'_>, end: usize) -> bool {
    let next = scene.skip_joins(end);
    let is_near = |start: usize| (next..=next + 1).contains(&start);
    let is_given = |(cue, kind): &(Range<usize>, Cue)| {
        is_near(cue.start) && matches!(kind, Cue::Phone | Cue::IdCard | Cue::BankCard | Cue::Email | Cue::Address)
    };
    next > end
        && (scene.cues.iter().any(is_given)
            || scene.runs.iter().any(|run| is_near(run.tokens.start) && run.digits.len() >= NUMBER_DIGITS_MIN))
}

/// What stands behind a name.
fn worth_behind(scene: &Scene<'_>, end: usize) -> i32 {
    if is_title(scene, end) {
        return TITLED;
    }
    let said = || scene.plain(end..scene.tokens.len().min(end + 4));
    match scene.han(end) {
        None if matches!(scene.tokens.get(end).map(|token| &token.kind), Some(Kind::Digit(_))) => 0,
        None if scene.han(scene.skip_joins(end)).is_some_and(|next| "他她".contains(next)) => SAID_OF,
        None => EDGE,
        Some(_) if scene.lists.behind_names.iter().any(|word| said().starts_with(word.as_str())) => FOLLOWED,
        Some('他' | '她') => SAID_OF,
        Some(character) if "吗吧呢啊".contains(character) => EDGE,
        Some(_) => 0,
    }
}
