//! Names that are a clause of their own: by what the next clause says of them, or by the number that stands beside them.

use std::ops::Range;

use super::super::class::Class;
use super::super::scene::{Find, Scene};
use super::{NEVER, STOPS, english, is_no_name, is_title, surname_length};

/// The most characters of such a name.
const CHARACTERS_MAX: usize = 5;
/// What somebody says of their own name, behind it.
const CLAIMS: [&str; 6] = ["这是我的名字", "是我的名字", "我的名字", "我的大名", "这是我本名", "就是我本人"];
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
