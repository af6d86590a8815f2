//! Names that are a clause of their own: by what the next clause says of them, or by the number that stands beside them.

use std::ops::Range;

use super::super::class::Class;
use super::super::scene::{Find, Scene};
use super::{NEVER, STOPS, english, is_no_name, is_title, surname_length};

/// The most characters of such a name.
const CHARACTERS_MAX: usize = 5;
/// What somebody says of their own name, behind it.
const CLAIMS: [&str; 6] = ["这是我的名字", "是我的名字", "我的名字", "我的大名", "这是我本名", "就是我本人"];
/// What sets another name against one.
const OPPOSED: [&str; 2] = ["不是", "而是"];
const OPPOSED_CHARACTERS: usize = 2;
/// The most characters that clauses begin with alike, and the most of such a clause.
const LEAD_MAX: usize = 4;
const CLAUSE_MAX: usize = LEAD_MAX + CHARACTERS_MAX;
/// Digits of a number that somebody gives with their name.
const NUMBER_DIGITS_MIN: usize = 7;

/// Clauses of a few characters that the next one claims, or beside which a number stands where the first may be a surname.
pub(super) fn find(scene: &Scene<'_>, out: &mut Vec<Find>) {
    for at in 0..scene.tokens.len() {
        let opens = at == 0 || scene.mark(scene.back_over_spaces(at).max(1) - 1).is_some();
        if !opens {
            continue;
        }
        if scene.word(at) == Some("name") {
            // As in a form: "name Ann Lee, phone …".
            let name = english::introduced(scene, scene.skip_spaces(at + 1)).filter(|name| is_marked(scene, name.end));
            out.extend(name.map(|tokens| Find { tokens, class: Class::Name }));
        }
        if scene.han(at).is_none() {
            continue;
        }
        let Some(name) = name_of(scene, at) else { continue };
        let next = scene.skip_joins(name.end);
        let is_claimed = || {
            let end = scene.tokens.len().min(next + 8);
            let said = scene.plain(next..end);
            CLAIMS.iter().any(|claim| said.starts_with(claim))
        };
        let has_number = || {
            let run = scene.runs.iter().find(|run| run.tokens.start >= name.end);
            run.is_some_and(|run| run.tokens.start <= next + 1 && run.digits.len() >= NUMBER_DIGITS_MIN)
        };
        let is_marked = next > name.end;
        if is_marked && (is_claimed() || (surname_length(scene, at) > 0 && has_number())) {
            out.push(Find { tokens: name, class: Class::Name });
        }
    }
    find_beside(scene, out);
}

/// The names in clauses beside one whose name is masked already, when they begin alike or set another against it: 一个沈云，一个袁默;
/// 是尹平，不是黎明.
fn find_beside(scene: &Scene<'_>, out: &mut Vec<Find>) {
    for (mask, _) in scene.masks.iter().filter(|(_, class)| *class == Class::Name) {
        let lead = mask.start - lead_length(scene, mask.start)..mask.start;
        let mut end = mask.end;
        while let Some(tokens) = after(scene, end, &lead) {
            end = tokens.end;
            out.push(Find { tokens, class: Class::Name });
        }
        let mut start = lead.start;
        while let Some(tokens) = before(scene, start, &lead) {
            start = tokens.start - lead.len();
            out.push(Find { tokens, class: Class::Name });
        }
    }
}

/// The name in the clause behind `end` that begins as `lead` says, or is set against what ends there.
fn after(scene: &Scene<'_>, end: usize, lead: &Range<usize>) -> Option<Range<usize>> {
    let next = scene.skip_joins(end);
    let begins = |count: usize| scene.tokens.get(next..next + count).map(|_| scene.plain(next..next + count));
    let is_alike = !lead.is_empty() && begins(lead.len()) == Some(scene.plain(lead.clone()));
    let is_opposed = begins(OPPOSED_CHARACTERS).is_some_and(|said| OPPOSED.contains(&said.as_str()));
    let skipped = if is_alike { lead.len() } else { OPPOSED_CHARACTERS };
    (next > end && (is_alike || is_opposed)).then(|| name_of(scene, next + skipped)).flatten()
}

/// The name in the clause that ends with a mark before `start` and begins as `lead` says.
fn before(scene: &Scene<'_>, start: usize, lead: &Range<usize>) -> Option<Range<usize>> {
    let end = start.checked_sub(1).filter(|&mark| scene.mark(mark).is_some() && !lead.is_empty())?;
    let clause = scene.tokens[..end].iter().rev().take(CLAUSE_MAX).take_while(|token| token.han().is_some()).count();
    let name = end - clause + lead.len();
    let is_alike = name < end && scene.plain(end - clause..name) == scene.plain(lead.clone());
    is_alike.then(|| name_of(scene, name)).flatten().filter(|name| name.end == end)
}

/// How many characters a clause begins with before a name; none where they are many.
fn lead_length(scene: &Scene<'_>, name: usize) -> usize {
    let count = scene.tokens[..name].iter().rev().take(LEAD_MAX + 1).take_while(|token| token.han().is_some()).count();
    if count > LEAD_MAX { 0 } else { count }
}

/// Two to five characters up to the end of a clause that may be a name, when somebody says that one comes.
pub(super) fn name_of(scene: &Scene<'_>, at: usize) -> Option<Range<usize>> {
    let may_be = |at: &usize| scene.han(*at).is_some_and(|character| !NEVER.contains(character));
    let count = (at..=at + CHARACTERS_MAX).take_while(may_be).count();
    let name = at..at + count;
    let begins = scene.han(at).is_some_and(|first| !STOPS.contains(first));
    let is_name = begins && (2..=CHARACTERS_MAX).contains(&count) && ends(scene, name.end) && !is_title(scene, at);
    let is_usual = || scene.lists.usual.contains(&scene.plain(name.clone()));
    (is_name && !is_no_name(scene, at) && !is_usual()).then_some(name)
}

fn is_marked(scene: &Scene<'_>, at: usize) -> bool {
    scene.mark(at).is_some_and(|mark| ",;".contains(mark))
}

/// Whether a clause ends there.
pub(super) fn ends(scene: &Scene<'_>, at: usize) -> bool {
    scene.tokens.get(at).is_none_or(|token| token.mark().is_some() || token.is_space())
}
