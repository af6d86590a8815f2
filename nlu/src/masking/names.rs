//! Names of people: behind words that introduce them, before titles, and where surname and given name are usual ones.

mod called;
mod clauses;
mod dotted;
mod english;
mod lattice;
mod likely;
mod wholes;

use std::ops::{Range, RangeInclusive};

use self::lattice::Lattice;
use super::class::Class;
use super::lists::Cue;
use super::ordinary;
use super::scene::{Find, Scene};
use crate::numbers::token::Kind;

/// Han characters that end a name.
const STOPS: &str = "的了是我你您他她它们在吗呢吧啊呀嘛也就都和跟与及或有没不要想这那哪电手住今现收请打联说办订投身证今年月日到过来去给上下个人号";
/// Han characters that no name has which somebody gives.
const NEVER: &str = "的了吗呢吧啊呀嘛我你您他她它们这那哪没不";

/// How many characters a title has.
const TITLE_CHARACTERS: RangeInclusive<usize> = 2..=3;
/// A word that weighs no more bits than this is said often.
const OFTEN: i32 = 17;

/// Finds names; where the other party asked for one, what begins at token `asked` is the answer.
pub(super) fn find(scene: &Scene<'_>, head: usize, asked: Option<usize>, out: &mut Vec<Find>) {
    let lattices = Lattice::all(scene, head);
    let mut weak = Vec::new();
    for (tokens, cue) in &scene.name_cues {
        let out = if *cue == Cue::Introduces { &mut *out } else { &mut weak };
        let name = match cue {
            Cue::Introduces => introduced(scene, tokens.clone()),
            // One character is a weak sign: only a name of three is believed.
            Cue::Mentions | Cue::People => before_title(scene, scene.skip_spaces(tokens.end))
                .or_else(|| mentioned(scene, tokens).filter(|name| tokens.len() > 1 || name.len() > 2)),
            _ => None,
        };
        out.extend(name.map(|tokens| Find { tokens, class: Class::Name }));
    }
    out.extend(asked.and_then(|at| answer(scene, at)).map(|tokens| Find { tokens, class: Class::Name }));
    titled(scene, out);
    alone(scene, &mut weak);
    likely::keep(&lattices, weak, out);
    clauses::find(scene, out);
    called::find(scene, out);
    dotted::find(scene, &lattices, out);
    english::find(scene, out);
    likely::find(scene, &lattices, asked, out);
    wholes::drop_names(scene, asked, out);
}

/// What is said to somebody who asked for a name: the first clause, where it may be one.
fn answer(scene: &Scene<'_>, from: usize) -> Option<Range<usize>> {
    let mut at = skip_to_name(scene, from);
    while scene.han(at).is_some_and(|character| "我本人免贵姓".contains(character)) {
        at += 1;
    }
    let at = english::skip_to_answer(scene, skip_to_name(scene, at));
    if scene.word(at).is_some() {
        return english::answer(scene, at);
    }
    let family_end = at + surname_length(scene, at);
    let surname = || (family_end > at && clauses::ends(scene, family_end)).then_some(at..family_end);
    clauses::name_of(scene, at).or_else(surname)
}

/// Behind a word that a name follows for sure.
fn introduced(scene: &Scene<'_>, cue: Range<usize>) -> Option<Range<usize>> {
    let at = skip_to_name(scene, cue.end);
    match scene.tokens.get(at)?.kind {
        Kind::Han(_) => {
            // 我姓危, and 百家姓里那个危: a surname that no list has; 免贵姓危刚才 says nothing else either.
            let said = scene.plain(cue);
            let is_told = said.ends_with('姓') || said.starts_with("百家姓");
            let is_surname = is_told && (clauses::ends(scene, at + 1) || said.starts_with("免贵"));
            let surname = || (is_surname && may_be_given(scene, at)).then_some(at..at + 1);
            han_introduced(scene, at).or_else(|| clauses::name_of(scene, at)).or_else(surname)
        }
        _ => None,
    }
}

/// Spaces, a colon, 是 or "is".
fn skip_to_name(scene: &Scene<'_>, after: usize) -> usize {
    let mut at = after;
    for _ in 0..6 {
        let is_between = scene.tokens.get(at).is_some_and(|token| token.is_space())
            || scene.mark(at).is_some_and(|mark| ":,\"'“”".contains(mark))
            || scene.han(at).is_some_and(|character| "是叫嗯呃啊做写填".contains(character))
            || scene.word(at).is_some_and(|word| ["is", "would", "be", "um", "uh", "er"].contains(&word));
        if !is_between {
            break;
        }
        at += 1;
    }
    at
}

fn han_introduced(scene: &Scene<'_>, at: usize) -> Option<Range<usize>> {
    let length = surname_length(scene, at);
    if length > 0 && (may_be_given(scene, at + length) || !is_joining(scene, at)) {
        let family_end = at + length;
        let given = (0..2).take_while(|&offset| may_be_given(scene, family_end + offset)).count();
        return (!is_no_name(scene, at)).then_some(at..spaced_end(scene, family_end, given));
    }
    // A surname that no list has: two to four characters that stand for themselves.
    let count = (0..5).take_while(|&offset| may_be_given(scene, at + offset)).count();
    let is_alone = scene.han(at + count).is_none_or(|character| character == '的');
    ((2..=4).contains(&count) && is_alone && !is_no_name(scene, at)).then_some(at..at + count)
}

/// Takes `count` more Han characters, spaces between them allowed.
fn spaced_end(scene: &Scene<'_>, from: usize, count: usize) -> usize {
    let (mut end, mut at, mut left) = (from, from, count);
    if count == 0 && scene.tokens.get(from).is_some_and(|token| token.is_space()) {
        // Spaces between characters hide a name from the eye only.
        at = scene.skip_spaces(from);
        left = 2;
    }
    while left > 0 && may_be_given(scene, at) {
        end = at + 1;
        at = scene.skip_spaces(end);
        left -= 1;
    }
    end
}

/// Whether a character may belong to a name, and no title begins with it.
fn may_be_given(scene: &Scene<'_>, at: usize) -> bool {
    scene.han(at).is_some_and(|character| !STOPS.contains(character)) && !is_title(scene, at)
}

/// Behind a word that a name may follow: a surname with usual characters of given names, and an end.
fn mentioned(scene: &Scene<'_>, cue: &Range<usize>) -> Option<Range<usize>> {
    let at = scene.skip_spaces(cue.end);
    han_full_name(scene, at).or_else(|| {
        // Whatever goes on behind it: a surname with a usual character and any other is a name behind a word of some length.
        let family_end = at + surname_length(scene, at);
        let is_whole = family_end > at && is_given(scene, family_end) && may_be_given(scene, family_end + 1);
        let name = at..family_end + 2;
        (cue.len() > 1 && is_whole && !is_no_name(scene, at) && !is_usual(scene, name.clone())).then_some(name)
    })
}

/// A surname with one or two characters, usual or not, before a title: 温喆师傅.
fn before_title(scene: &Scene<'_>, at: usize) -> Option<Range<usize>> {
    let length = surname_length(scene, at);
    if length == 0 || is_no_name(scene, at) {
        return None;
    }
    let end = (at + length + 1..=at + length + 2).find(|&end| is_title(scene, end))?;
    ((at + length..end).all(|at| scene.han(at).is_some()) && !is_usual(scene, at..end)).then_some(at..end)
}

/// A surname with one or two usual characters of given names, behind which the word ends.
fn han_full_name(scene: &Scene<'_>, at: usize) -> Option<Range<usize>> {
    let length = surname_length(scene, at);
    if length == 0 || is_no_name(scene, at) {
        return None;
    }
    let longest = whole_name(scene, at, false)?;
    (at + length + 1..=longest).rev().find(|&end| ends_name(scene, end)).map(|end| at..end)
}

/// A name that is a clause of its own, and no usual word. Pauses are spaces, so spaces end clauses, too; where only marks do, spaces
/// may stand in the name, which hides it from the eye only.
fn alone(scene: &Scene<'_>, out: &mut Vec<Find>) {
    let is_mark = |at: usize| scene.mark(at).is_some_and(|mark| ".,!?;:~".contains(mark));
    let is_edge = |at: Option<usize>| at.is_none_or(is_mark);
    for at in 0..scene.tokens.len() {
        if surname_length(scene, at) == 0 || is_no_name(scene, at) {
            continue;
        }
        let before = scene.back_over_spaces(at);
        let (opens, opens_by_space) = (is_edge(before.checked_sub(1)), before < at);
        if !opens && !opens_by_space {
            continue;
        }
        let Some(end) = whole_name(scene, at, opens) else { continue };
        let after = scene.skip_spaces(end);
        let (ends, ends_by_space) = (is_edge((after < scene.tokens.len()).then_some(after)), after > end);
        let is_spaced = scene.tokens[at..end].iter().any(|token| token.is_space());
        let is_clause = if is_spaced { opens && ends } else { ends || ends_by_space };
        if is_clause && !is_usual(scene, at..end) {
            out.push(Find { tokens: at..end, class: Class::Name });
        }
    }
}

/// Where surname and one or two usual characters of given names end, spaces between them allowed where `spaced`.
fn whole_name(scene: &Scene<'_>, at: usize, spaced: bool) -> Option<usize> {
    let family_end = at + surname_length(scene, at);
    let mut end = family_end;
    for _ in 0..2 {
        let next = if spaced { scene.skip_spaces(end) } else { end };
        if !is_given(scene, next) {
            break;
        }
        end = next + 1;
    }
    (end > family_end).then_some(end)
}

/// Whether what stands there, or what it begins with, is a usual word.
fn is_usual(scene: &Scene<'_>, tokens: Range<usize>) -> bool {
    let text = scene.plain(tokens);
    let begins = |length: usize| text.char_indices().nth(length).map_or(text.as_str(), |(end, _)| &text[..end]);
    [2, 3].into_iter().any(|length| scene.lists.usual.contains(begins(length)))
}

fn ends_name(scene: &Scene<'_>, end: usize) -> bool {
    let follows =
        scene.han(end).is_none_or(|character| STOPS.contains(character) || "处接负回啊，发".contains(character));
    follows || is_title(scene, end)
}

/// Whether what stands there joins words more often than it is a surname: 和主管, 向经理.
fn is_joining(scene: &Scene<'_>, at: usize) -> bool {
    let is_after = |characters: &str| at > 0 && scene.han(at - 1).is_some_and(|before| characters.contains(before));
    scene.han(at).is_some_and(|character| "和向于应时全路来明".contains(character)) && !is_after("姓是找叫请转")
}

fn is_given(scene: &Scene<'_>, at: usize) -> bool {
    let is_listed = |character: char| scene.lists.given.contains(character.encode_utf8(&mut [0; 4]) as &str);
    scene.han(at).is_some_and(is_listed) && may_be_given(scene, at)
}

/// How many characters the surname at `at` has; 0: none is there.
fn surname_length(scene: &Scene<'_>, at: usize) -> usize {
    let Some(first) = scene.han(at) else { return 0 };
    let second = scene.han(at + 1).map(|second| [first, second].iter().collect::<String>());
    if second.is_some_and(|pair| scene.lists.surnames.contains(&pair)) {
        return 2;
    }
    usize::from(scene.lists.surnames.contains(first.encode_utf8(&mut [0; 4]) as &str))
}

/// Whether a word that is no name begins here.
fn is_no_name(scene: &Scene<'_>, at: usize) -> bool {
    (2..=3).any(|length| {
        let end = at + length;
        end <= scene.tokens.len() && scene.lists.no_names.contains(&scene.plain(at..end))
    })
}

/// Before a title: 王先生, 王小明女士.
fn titled(scene: &Scene<'_>, out: &mut Vec<Find>) {
    for at in 0..scene.tokens.len() {
        if let Some(start) = is_title(scene, at).then(|| name_before(scene, at)).flatten() {
            out.push(Find { tokens: start..at, class: Class::Name });
        }
    }
}

/// Whether a title begins there.
fn is_title(scene: &Scene<'_>, at: usize) -> bool {
    TITLE_CHARACTERS.into_iter().any(|length| {
        let end = at + length;
        let is_han = end <= scene.tokens.len() && (at..end).all(|at| scene.han(at).is_some());
        is_han && scene.lists.titles.contains(&scene.plain(at..end))
    })
}

/// Whether a character may stand in a name of any kind.
fn may_be_in_name(scene: &Scene<'_>, at: usize) -> bool {
    scene.han(at).is_some_and(|character| !NEVER.contains(character))
}

/// Where the name begins that ends at `end`: surname and given name where both are usual, else the surname alone.
fn name_before(scene: &Scene<'_>, end: usize) -> Option<usize> {
    let full = [4, 3, 2].into_iter().filter_map(|length| end.checked_sub(length)).find(|&start| {
        let length = surname_length(scene, start);
        length > 0
            && start + length < end
            && (start + length..end).all(|at| is_given(scene, at))
            && end - start - length <= 2
    });
    let alone = [2, 1].into_iter().filter_map(|length| end.checked_sub(length).map(|start| (start, length)));
    // 谢谢师傅 thanks somebody; it names nobody.
    let is_doubled =
        |start: usize| start > 0 && (scene.han(start) == scene.han(start - 1) || is_title(scene, start - 1));
    // 太阳先生, 由于同学: the end of a word.
    let ends_word = |start: usize| {
        let is_word = |word: &str| ordinary::word_bits(word).is_some_and(|bits| bits <= OFTEN);
        scene.han(start).is_some()
            && start > 0
            && scene.han(start - 1).is_some()
            && is_word(&scene.plain(start - 1..start + 1))
    };
    full.or_else(|| {
        let is_surname = |&(start, length): &(usize, usize)| {
            let is_one = surname_length(scene, start) == length && !is_doubled(start);
            is_one && !(length == 1 && (ends_word(start) || is_joining(scene, start)))
        };
        alone.into_iter().find(is_surname).map(|(start, _)| start)
    })
}
