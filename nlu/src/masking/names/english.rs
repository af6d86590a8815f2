//! Names in English: behind words that announce them, before words that are said behind one's own, spelled, and where no word is ordinary.

use std::ops::Range;

use super::super::class::Class;
use super::super::lists::Cue;
use super::super::ordinary;
use super::super::scene::{Find, Scene};
use super::skip_to_name;
use crate::numbers::run::english_digit;

/// The most words of a name.
const WORDS_MAX: usize = 4;
/// The fewest letters of a word that is taken for a name where nothing announces one for sure.
const LETTERS_MIN: usize = 3;
/// Words that a clause goes on with, be they given names, too.
const MODAL: [&str; 8] = ["will", "may", "mark", "can", "bill", "so", "art", "say"];
/// The fewest letters of a word that is strange enough to be a name.
const STRANGE_MIN: usize = 4;
/// What is said behind one's own name.
const BEHIND_OWN: [&str; 4] = ["again", "calling", "speaking", "here"];
/// What is said before the name in an answer, and how many words of it there are at most.
const BEFORE_ANSWERS: [&str; 34] = [
    "yes",
    "yeah",
    "yep",
    "sure",
    "of",
    "course",
    "ok",
    "okay",
    "well",
    "so",
    "oh",
    "uh",
    "um",
    "er",
    "it's",
    "it",
    "is",
    "that",
    "that's",
    "would",
    "should",
    "be",
    "will",
    "i'm",
    "i",
    "am",
    "my",
    "name",
    "name's",
    "the",
    "under",
    "hi",
    "hello",
    "certainly",
];
const ANSWER_WORDS_MAX: usize = 8;
/// What names have between their words, in lower case.
const PARTICLES: [&str; 22] = [
    "van", "von", "der", "den", "de", "di", "da", "del", "della", "dos", "du", "la", "le", "bin", "ibn", "al", "el",
    "mac", "mc", "st", "ter", "ten",
];
/// Words with which a letter is spelled: "S for Sierra", "M as in Mike".
const SPELLED_WITH: [&str; 3] = ["for", "as", "like"];
/// What is left of a word that is joined to the one before it.
const SHORTENED: [&str; 6] = ["'s", "'m", "'re", "'ve", "'ll", "'d"];
/// Before a title they speak of somebody without a name.
const ARTICLES: [&str; 8] = ["the", "a", "my", "your", "our", "his", "her", "their"];
/// Surnames that are ordinary words, and are names with a capital behind a name.
const ALSO_SURNAMES: [&str; 12] = ["he", "do", "so", "an", "you", "my", "will", "may", "day", "good", "back", "down"];
/// What may be said behind a whole name.
const BEHIND: [&str; 10] = ["and", "but", "from", "about", "calling", "speaking", "here", "again", "please", "on"];
/// What is said behind somebody whom one asks for.
const BEHIND_ASKED: [&str; 7] = ["there", "available", "around", "in", "on", "please", "again"];
/// So many letters that are spelled are a name.
const SPELLED_MIN: usize = 4;
/// The most letters that are spelled.
const SPELLED_MAX: usize = 40;

/// Finds them.
pub(super) fn find(scene: &Scene<'_>, out: &mut Vec<Find>) {
    let mut add = |name: Option<Range<usize>>| out.extend(name.map(|tokens| Find { tokens, class: Class::Name }));
    for (cue, kind) in &scene.name_cues {
        let at = skip_to_name(scene, cue.end);
        match kind {
            Cue::Introduces if is_said_for_sure(scene, cue, at) => add(introduced(scene, at)),
            Cue::Near => add(near(scene, at, scene.word(cue.end - 1) != Some("is") || cue.len() > 1)),
            Cue::Introduces | Cue::Mentions | Cue::People if scene.han(cue.start).is_none() => {
                add(mentioned(scene, at).or_else(|| filled_in(scene, cue, at)));
            }
            // Things are called by English words, too.
            Cue::Mentions | Cue::People if cue.len() > 1 => {
                add(mentioned(scene, at).filter(|name| has_listed(scene, name)));
            }
            _ => {}
        }
    }
    for (mask, _) in scene.masks.iter().filter(|(_, class)| *class == Class::Name) {
        let and = scene.skip_spaces(mask.end);
        if scene.word(and) == Some("and") {
            add(near(scene, scene.skip_spaces(and + 1), true));
        }
    }
    for at in 0..scene.tokens.len() {
        let Some(word) = scene.word(at) else { continue };
        if word.len() == 1 {
            add(spelled(scene, at));
        } else {
            add(titled(scene, at));
            add(before_speaking(scene, at));
            add(standing_alone(scene, at));
        }
    }
}

/// Whether any word may be the name that is announced: behind "is", or where it has a capital or is no ordinary one.
fn is_said_for_sure(scene: &Scene<'_>, cue: &Range<usize>, at: usize) -> bool {
    let is_told = |word: &str| word == "is" || word.ends_with("'s") || word == "spelled";
    scene.word(cue.end - 1).is_none_or(is_told)
        || (cue.end..at).any(|at| scene.word(at) == Some("is"))
        || may_be_name(scene, at)
        || (at < scene.tokens.len() && scene.is_capital(at) && scene.has_small_letters)
}

/// Words behind what a name follows for sure, up to one that is no name; letters that are spelled count as one word.
pub(super) fn introduced(scene: &Scene<'_>, from: usize) -> Option<Range<usize>> {
    let (mut end, mut at, mut words) = (from, from, 0);
    while words < WORDS_MAX {
        let Some(word) = scene.word(at) else { break };
        let is_particle = words > 0 && is_particle(scene, at);
        let is_named = if words > 0 { is_capital_surname(scene, at) } else { is_before_surname(scene, at) };
        if !is_particle && !is_named && (is_none(scene, at) || (words > 0 && !goes_on(scene, at))) {
            break;
        }
        if word.len() == 1 {
            let letters = letters_end(scene, at);
            if letters == at + 1 && (word == "a" || word == "i") {
                break;
            }
            end = letters;
        } else {
            end = at + 1;
        }
        words += usize::from(!is_particle);
        at = next_word(scene, end);
    }
    (end > from).then_some(from..end)
}

/// Whether an ordinary word is a surname by its capital, behind a name: "Peter He".
fn is_capital_surname(scene: &Scene<'_>, at: usize) -> bool {
    let before = scene.back_over_spaces(at).checked_sub(1);
    let is_capital = |at: usize| scene.has_small_letters && scene.is_capital(at);
    scene.word(at).is_some_and(|word| ALSO_SURNAMES.contains(&word))
        && is_capital(at)
        && before.is_some_and(|before| scene.word(before).is_some() && is_capital(before))
}

/// Whether a word is a given name, be it an ordinary one, because a name follows that is none: "my name's will bondarenko".
fn is_before_surname(scene: &Scene<'_>, at: usize) -> bool {
    let next = scene.skip_spaces(at + 1);
    let is_strange = || scene.word(next).is_some_and(|word| word.len() >= STRANGE_MIN) && may_be_name(scene, next);
    scene.word(at).is_some_and(|word| scene.lists.given.contains(word))
        && at > 0
        && scene.word(scene.back_over_spaces(at).max(1) - 1).is_some_and(|word| word == "is" || word.ends_with("'s"))
        && is_strange()
}

/// What stands before the name in an answer: "yes of course, it's …".
pub(super) fn skip_to_answer(scene: &Scene<'_>, from: usize) -> usize {
    let mut at = from;
    for _ in 0..ANSWER_WORDS_MAX {
        let is_before = scene.word(at).is_some_and(|word| BEFORE_ANSWERS.contains(&word));
        if !is_before {
            break;
        }
        at = scene.skip_joins(at + 1);
    }
    at
}

/// What is said to somebody who asked for a name: a clause of its words, which may be few ordinary ones where no names are.
pub(super) fn answer(scene: &Scene<'_>, at: usize) -> Option<Range<usize>> {
    let name = introduced(scene, at)?;
    let after = next_word(scene, name.end);
    let ends = scene.word(after).is_none_or(|_| is_none(scene, after));
    // Whoever says one or two words to that says the name.
    let is_short = scene.is_end(name.end);
    let is_marked = scene.mark(name.end).is_some_and(|mark| ",.;".contains(mark))
        && scene.word(at).is_some_and(|word| is_given(scene, word) || is_surname(scene, word));
    (may_be_name(scene, at) || (ends && name.len() > 1) || is_short || is_marked).then_some(name)
}

/// Behind "this is" and the like: words that are not ordinary, or a usual given name and what goes with it.
fn mentioned(scene: &Scene<'_>, from: usize) -> Option<Range<usize>> {
    let word = scene.word(from).filter(|_| !is_none(scene, from))?;
    let name = introduced(scene, from)?;
    let second = next_word(scene, from + 1);
    let is_pair = second < name.end;
    let is_listed = scene.lists.given.contains(word) || scene.lists.surnames.contains(word);
    let after = next_word(scene, name.end);
    let ends = scene.word(after).is_none_or(|_| is_none(scene, after));
    let is_capital = scene.is_capital(from) && scene.has_small_letters;
    let is_name = may_be_name(scene, from)
        || (is_pair && is_capital && scene.is_capital(second))
        || (is_pair && is_given(scene, word) && is_particle(scene, second))
        || (is_pair && is_short(scene, from) && (may_be_name(scene, second) || is_surname_at(scene, second)))
        || (is_listed && (is_capital || is_pair || ends));
    is_name.then_some(name)
}

/// Whether a word of two letters is none of the language: Bo, Yi.
fn is_short(scene: &Scene<'_>, at: usize) -> bool {
    scene.word(at).is_some_and(|word| {
        word.len() == 2 && !is_none(scene, at) && !ordinary::is_english(word) && !ordinary::is_english_proper(word)
    })
}

fn is_surname_at(scene: &Scene<'_>, at: usize) -> bool {
    scene.word(at).is_some_and(|word| is_surname(scene, word))
}

/// As in a form: "last name Swift", the one word before the clause ends or the next name is told.
fn filled_in(scene: &Scene<'_>, cue: &Range<usize>, at: usize) -> Option<Range<usize>> {
    let is_form = |word: &str| ["name", "surname", "forename"].contains(&word);
    let next = scene.skip_spaces(at + 1);
    let ends = scene.word(next).is_none_or(|word| ["first", "last", "and"].contains(&word));
    // "My maiden name was Wood", too.
    let last = cue.end - 1;
    let is_was = scene.word(last) == Some("was") && scene.word(scene.back_over_spaces(last).max(1) - 1) == Some("name");
    let is_plain = scene.word(at).is_some_and(|word| !ordinary::is_inflected(word));
    let is_told = scene.word(last).is_some_and(is_form) || (is_was && is_plain);
    let is_name = is_told && !is_none(scene, at) && ends;
    is_name.then_some(at..at + 1)
}

/// Behind a word that many things follow: a usual name that is no word, or a word that no dictionary has.
fn near(scene: &Scene<'_>, from: usize, may_be_strange: bool) -> Option<Range<usize>> {
    let word = scene.word(from)?;
    let is_known = is_given(scene, word) || is_surname(scene, word);
    let is_strange = may_be_strange && word.len() >= STRANGE_MIN && !ordinary::is_english_proper(word);
    let name = introduced(scene, from)?;
    let second = next_word(scene, from + 1);
    let is_pair = is_given(scene, word)
        && second < name.end
        && (is_surname_at(scene, second) || may_be_name(scene, second) || is_capital_surname(scene, second));
    let is_asked_for = scene.lists.given.contains(word)
        && scene.word(next_word(scene, from + 1)).is_some_and(|word| BEHIND_ASKED.contains(&word));
    if is_asked_for {
        return Some(from..from + 1);
    }
    // "Is blessing luo in today", "could Reed Kulkarni from claims": an ordinary word before one that is nothing but a name.
    let is_followed =
        scene.word(next_word(scene, name.end)).is_some_and(|word| BEHIND_ASKED.contains(&word) || word == "from");
    let are_capital = second < name.end
        && scene.has_small_letters
        && [from, second].into_iter().all(|at| scene.is_capital(at))
        && (may_be_name(scene, from) || may_be_name(scene, second));
    let is_surname = second < name.end && (may_be_name(scene, second) || is_surname_at(scene, second));
    let is_before_name = is_followed && (are_capital || (is_surname && !MODAL.contains(&word)));
    if is_before_name || is_in_today(scene, from) {
        return Some(name);
    }
    let is_name = may_be_name(scene, from) && (is_known || is_strange);
    (is_name || (is_pair && !MODAL.contains(&word))).then_some(name)
}

/// "Is sanjeev in today", at the beginning of a clause.
fn is_in_today(scene: &Scene<'_>, from: usize) -> bool {
    let is = scene.back_over_spaces(from).max(1) - 1;
    let opens = is == 0 || scene.back_over_spaces(is).checked_sub(1).is_none_or(|at| scene.mark(at).is_some());
    let inside = scene.skip_spaces(from + 1);
    let then = scene.skip_spaces(inside + 1);
    let is_proper = scene.word(from).is_some_and(ordinary::is_english_proper);
    opens
        && scene.word(is) == Some("is")
        && scene.word(inside) == Some("in")
        && scene.word(then).is_none_or(|word| ["today", "yet", "now", "please"].contains(&word))
        && may_be_name(scene, from)
        && !is_proper
}

/// Behind "Mr": any word that may be a name.
fn titled(scene: &Scene<'_>, at: usize) -> Option<Range<usize>> {
    let is_title = scene.word(at).is_some_and(|word| scene.lists.titles.contains(word));
    let from = scene.skip_spaces(at + 1 + usize::from(scene.mark(at + 1) == Some('.')));
    let is_name = is_title && scene.word(from).is_some_and(|word| word.len() > 1);
    // One misses many things, and "the doctor said" names nobody.
    let before = scene.back_over_spaces(at).checked_sub(1).and_then(|before| scene.word(before));
    let is_doubtful = scene.word(at) == Some("miss") || before.is_some_and(|word| ARTICLES.contains(&word));
    let is_capital = from < scene.tokens.len() && scene.is_capital(from) && scene.has_small_letters;
    let named = if is_doubtful && !is_capital { mentioned } else { introduced };
    is_name.then(|| named(scene, from)).flatten()
}

/// Words of which one is not ordinary at the beginning of a clause, before one that is said behind one's own name.
fn before_speaking(scene: &Scene<'_>, from: usize) -> Option<Range<usize>> {
    let before = scene.back_over_spaces(from).checked_sub(1);
    let opens = before.is_none_or(|at| scene.mark(at).is_some() || scene.word(at).is_some_and(is_opening));
    let name = introduced(scene, from).filter(|_| opens)?;
    let after = scene.skip_spaces(name.end);
    let is_behind = scene.word(after).is_some_and(|word| BEHIND_OWN.contains(&word));
    let is_name = name.clone().any(|at| may_be_name(scene, at));
    let is_listed = scene.word(from).is_some_and(|word| is_given(scene, word));
    (is_behind && (is_name || is_listed)).then_some(name)
}

/// Where nothing announces it: a usual given name, alone or with what goes with it, or two words with capitals that are not ordinary.
fn standing_alone(scene: &Scene<'_>, from: usize) -> Option<Range<usize>> {
    let word = scene.word(from)?;
    let is_given = is_given(scene, word) && !MODAL.contains(&word);
    let name = introduced(scene, from)?;
    let second = next_word(scene, from + 1);
    let is_pair = second < name.end;
    let is_surname = is_pair && scene.word(second).is_some_and(|word| is_surname(scene, word));
    let is_capital = |at: usize| scene.is_capital(at) && scene.has_small_letters;
    let unusual = [from, second].into_iter().filter(|&at| at < name.end && may_be_name(scene, at)).count();
    let is_name = (is_given && unusual > 0 && (is_pair || is_sure(scene, from)))
        || (is_surname && unusual > 1)
        || (is_pair && unusual > 1 && is_capital(from) && is_capital(second));
    is_name.then_some(name)
}

/// Letters that are spelled, each with a word or alone: "B for Bravo", "S-M-I-T-H".
fn spelled(scene: &Scene<'_>, from: usize) -> Option<Range<usize>> {
    let (mut end, mut at, mut letters, mut with_words) = (from, from, 0, 0);
    while letters < SPELLED_MAX && scene.word(at).is_some_and(|word| word.len() == 1) {
        end = at + 1;
        letters += 1;
        let by = scene.skip_spaces(end);
        if scene.word(by).is_some_and(|word| SPELLED_WITH.contains(&word)) {
            let mut with = scene.skip_spaces(by + 1);
            if scene.word(with) == Some("in") {
                with = scene.skip_spaces(with + 1);
            }
            if scene.word(with).is_some_and(|word| word.len() > 1) {
                end = with + 1;
                with_words += 1;
            }
        }
        at = scene.skip_spaces(end);
        if scene.mark(at).is_some_and(|mark| "-.,".contains(mark)) {
            at = scene.skip_spaces(at + 1);
        }
    }
    let is_name = with_words > 1 || (letters >= SPELLED_MIN && with_words == 0);
    let is_reference = || scene.cue_before(from).is_some_and(|(cue, _)| from - cue.end < SPELLED_MIN);
    let meets_digit = scene.runs.iter().any(|run| run.tokens.start <= at && at <= run.tokens.end);
    (is_name && !meets_digit && !is_reference()).then_some(from..end)
}

/// Whether some word is a usual name.
fn has_listed(scene: &Scene<'_>, name: &Range<usize>) -> bool {
    let is_listed = |word: &str| is_given(scene, word) || is_surname(scene, word);
    name.clone().any(|at| scene.word(at).is_some_and(is_listed))
}

/// Whether a word is none of a name, wherever it stands.
fn is_none(scene: &Scene<'_>, at: usize) -> bool {
    scene.word(at).is_none_or(|said| {
        // Will and Mark are names where they have a capital in the midst of what is said.
        if at > 0 && scene.lists.given.contains(said) && scene.is_capital(at) && scene.has_small_letters {
            return false;
        }
        let word = SHORTENED.iter().find_map(|end| said.strip_suffix(end)).unwrap_or(said);
        let is_word =
            scene.lists.no_names.contains(word) || scene.lists.titles.contains(word) || english_digit(word).is_some();
        (is_word && said.len() > 1) || said.ends_with("n't") || scene.lists.no_names.contains(said)
    })
}

/// Whether a word may go on a name: it is not ordinary, or it is a usual name, or it has a capital, or the clause ends with it.
fn goes_on(scene: &Scene<'_>, at: usize) -> bool {
    let Some(word) = scene.word(at) else { return false };
    let is_listed = is_given(scene, word) || is_surname(scene, word);
    let ends = scene.word(scene.skip_spaces(at + 1)).is_none_or(|word| BEHIND.contains(&word))
        && !ordinary::is_inflected(word);
    let next = scene.skip_spaces(at + 1);
    let is_before_last = !ordinary::is_inflected(word)
        && may_be_name(scene, next)
        && is_surname_at(scene, next)
        && scene.word(scene.skip_spaces(next + 1)).is_none_or(|word| BEHIND.contains(&word));
    word.len() == 1
        || is_listed
        || may_be_name(scene, at)
        || ends
        || is_before_last
        || (scene.is_capital(at) && scene.has_small_letters)
}

/// Whether a word is nothing but a name: none of the language, and of some length.
fn may_be_name(scene: &Scene<'_>, at: usize) -> bool {
    scene.word(at).is_some_and(|word| {
        word.len() >= LETTERS_MIN
            && !is_none(scene, at)
            && !scene.lists.also_words.contains(word)
            && !ordinary::is_english(word)
    })
}

/// Whether a given name is no word and no place.
fn is_sure(scene: &Scene<'_>, at: usize) -> bool {
    scene.word(at).is_some_and(|word| word.len() > LETTERS_MIN && is_given(scene, word)) && may_be_name(scene, at)
}

/// A word without the ending of what is somebody's.
fn own(word: &str) -> &str {
    word.strip_suffix("'s").unwrap_or(word)
}

/// Whether a word is a usual given name, be it a word, too.
fn is_given(scene: &Scene<'_>, word: &str) -> bool {
    let word = own(word);
    scene.lists.given.contains(word) || ordinary::is_english_given(word)
}

/// Whether a word is a usual surname, be it a word, too.
fn is_surname(scene: &Scene<'_>, word: &str) -> bool {
    let word = own(word);
    scene.lists.surnames.contains(word) || ordinary::is_english_surname(word)
}

fn is_particle(scene: &Scene<'_>, at: usize) -> bool {
    let next = scene.skip_spaces(at + 1);
    scene.word(at).is_some_and(|word| PARTICLES.contains(&word))
        && scene.word(next).is_some_and(|word| word.len() > 2 || PARTICLES.contains(&word))
        && !is_none(scene, next)
}

/// What may be said before a name that opens a clause.
fn is_opening(word: &str) -> bool {
    ["hi", "hello", "hey", "yes", "yeah", "morning", "afternoon", "evening", "ok", "okay", "well", "um", "uh", "sorry"]
        .contains(&word)
}

/// The next word behind `end`, over a hyphen, or the point of an initial.
fn next_word(scene: &Scene<'_>, end: usize) -> usize {
    let at = scene.skip_spaces(end);
    let is_initial = scene.mark(at) == Some('.')
        && end > 0
        && scene.word(end - 1).is_some_and(|word| word.len() == 1 || word == "st");
    if scene.mark(at) == Some('-') || is_initial { scene.skip_spaces(at + 1) } else { at }
}

/// Where single letters end that stand one after another.
fn letters_end(scene: &Scene<'_>, from: usize) -> usize {
    let mut end = from + 1;
    loop {
        let mut at = scene.skip_spaces(end);
        if scene.mark(at).is_some_and(|mark| "-.,".contains(mark)) {
            at = scene.skip_spaces(at + 1);
        }
        if end - from >= 2 * SPELLED_MAX || scene.word(at).is_none_or(|word| word.len() != 1) {
            return end;
        }
        end = at + 1;
    }
}
