//! E-mail addresses, written and spoken: `zhang.san@qq.com`, "john dot smith at gmail dot com", 艾特.

use std::ops::Range;

use super::class::Class;
use super::lists::Cue;
use super::ordinary;
use super::scene::{Find, Scene};
use crate::numbers::run::english_digit;
use crate::numbers::token::{Kind, spoken_digit};

/// The most tokens of what stands before the sign.
const LOCAL_MAX: usize = 40;
/// The most tokens of what stands behind it.
const DOMAIN_MAX: usize = 30;
/// Words that may stand beside one another before a spoken sign.
const WORDS_MAX: usize = 4;
/// What domains end with, as far as people say it.
const TOP_LEVELS: [&str; 21] = [
    "com", "cn", "net", "org", "edu", "gov", "io", "co", "uk", "de", "fr", "jp", "hk", "tw", "me", "info", "biz", "us",
    "au", "ca", "eu",
];

pub(super) fn find(scene: &Scene<'_>, out: &mut Vec<Find>) {
    let mut from = 0;
    for at in 0..scene.tokens.len() {
        let Some(sign) = sign_at(scene, at).filter(|sign| sign.tokens.start >= from) else { continue };
        let start = local_start(scene, sign.tokens.start, from);
        let (end, is_whole) = domain_end(scene, sign.tokens.end);
        // A spoken "at" is a sign only where a domain follows, or where addresses are spoken of.
        let is_expected = is_announced(scene, start) && scene.is_end(end);
        let is_address = is_whole
            || is_expected
            || (!sign.is_spoken && end > sign.tokens.end)
            || (!sign.is_spoken && scene.is_end(end));
        if start < sign.tokens.start && is_address {
            out.push(Find { tokens: start..end, class: Class::Email });
            from = end;
        }
    }
    find_growing(scene, out);
}

struct Sign {
    tokens: Range<usize>,
    /// Said in a word that also means something else.
    is_spoken: bool,
}

fn sign_at(scene: &Scene<'_>, at: usize) -> Option<Sign> {
    let han = |first, second| scene.han(at) == Some(first) && scene.han(scene.skip_spaces(at + 1)) == Some(second);
    let sign = |end, is_spoken| Some(Sign { tokens: at..end, is_spoken });
    if scene.mark(at) == Some('@') {
        return sign(at + 1, false);
    }
    if han('艾', '特') || han('爱', '特') || han('圈', 'a') {
        return sign(scene.skip_spaces(at + 1) + 1, false);
    }
    match scene.word(at) {
        Some("at") => sign(at + 1 + usize::from(scene.han(at + 1) == Some('号')), true),
        Some("a") if scene.han(at.wrapping_sub(1)) == Some('圈') => sign(at + 1, false),
        _ => None,
    }
}

/// How a token takes part in an address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Letters and digits.
    Name,
    /// A dot, a hyphen, an underscore, written or said.
    Joint,
    Space,
    No,
}

fn part(scene: &Scene<'_>, at: usize) -> Part {
    match &scene.tokens[at].kind {
        Kind::Digit(_) => Part::Name,
        Kind::Space => Part::Space,
        Kind::Mark('.' | '_' | '-') => Part::Joint,
        Kind::Han('点' | '杠' | '横') => Part::Joint,
        Kind::Han('下' | '划' | '线' | '减' | '小') => Part::Joint,
        Kind::Han(character) if spoken_digit(*character).is_some() => Part::Name,
        Kind::Word(word) => match word.as_str() {
            "dot" | "underscore" | "dash" | "hyphen" | "point" | "period" => Part::Joint,
            _ => Part::Name,
        },
        Kind::Mark(_) | Kind::Han(_) | Kind::Beyond => Part::No,
    }
}

/// Where what stands before the sign begins.
fn local_start(scene: &Scene<'_>, sign: usize, floor: usize) -> usize {
    let is_written = scene.mark(sign) == Some('@');
    let mut start = sign;
    let mut words = 0;
    let mut is_joined = true;
    let lowest = floor.max(sign.saturating_sub(LOCAL_MAX));
    for at in (lowest..sign).rev() {
        match part(scene, at) {
            Part::Space => continue,
            Part::Joint => {
                is_joined = true;
                continue;
            }
            Part::No => break,
            Part::Name => {}
        }
        let touches = at + 1 == start || is_joined;
        let belongs = match scene.word(at) {
            Some(word) if STOPS.contains(&word) => false,
            Some(word) if touches || word.len() == 1 => true,
            // Words with spaces between them are one address only when it is spoken, and none of them a usual word.
            Some(word) => {
                words += 1;
                let is_usual = scene.lists.no_names.contains(word) && english_digit(word).is_none();
                !is_written && words <= WORDS_MAX && !is_usual
            }
            None => touches || !is_written || is_spaced_out(scene, start),
        };
        if !belongs {
            break;
        }
        (start, is_joined) = (at, false);
    }
    start
}

/// Words that end what is before an address, joined or not.
const STOPS: [&str; 8] = ["is", "to", "email", "address", "mail", "at", "it's", "and"];

/// Whether single characters stand apart: `j o h n @`.
fn is_spaced_out(scene: &Scene<'_>, start: usize) -> bool {
    let word = scene.word(start);
    word.is_none() || word.is_some_and(|word| word.len() == 1)
}

/// Where what stands behind the sign ends, and whether it is a domain.
fn domain_end(scene: &Scene<'_>, from: usize) -> (usize, bool) {
    let (mut end, mut whole_end) = (from, None);
    let (mut is_joined, mut joints, mut loose) = (true, 0, 0);
    let last = scene.tokens.len().min(from + DOMAIN_MAX);
    for at in from..last {
        match part(scene, at) {
            Part::Space => continue,
            Part::Joint => {
                (is_joined, joints) = (true, joints + 1);
                continue;
            }
            Part::No => break,
            Part::Name => {}
        }
        if !is_joined {
            // Spelled or said digit by digit up to the first dot; behind a top-level domain it ends.
            loose += 1;
            if whole_end.is_some() || (scene.tokens[at - 1].is_space() && loose > 6) {
                break;
            }
        }
        (end, is_joined) = (at + 1, false);
        if joints > 0 && scene.word(at).is_some_and(|word| TOP_LEVELS.contains(&word)) {
            whole_end = Some(end);
        }
    }
    match whole_end {
        Some(end) => (end, true),
        None => (end, joints > 0 && end > from && scene.mark(from - 1) == Some('@')),
    }
}

fn is_announced(scene: &Scene<'_>, at: usize) -> bool {
    scene.cue_before(at).is_some_and(|(tokens, cue)| *cue == Cue::Email && at - tokens.end <= 8)
}

/// What was announced and may go on: the words at the end behind "my email is".
fn find_growing(scene: &Scene<'_>, out: &mut Vec<Find>) {
    let Some((tokens, _)) = scene.cues.iter().rev().find(|(_, cue)| *cue == Cue::Email) else { return };
    let mut start = scene.tokens.len();
    for at in (tokens.end..scene.tokens.len()).rev() {
        match part(scene, at) {
            Part::Name
                if scene.word(at).is_some_and(|word| {
                    scene.lists.no_names.contains(word) || STOPS.contains(&word) || ordinary::is_inflected(word)
                }) =>
            {
                break;
            }
            Part::Name => start = at,
            Part::Space | Part::Joint => {}
            Part::No if scene.is_end(at) => {}
            Part::No => break,
        }
    }
    let is_covered = out.iter().any(|find| find.tokens.end > start);
    let length = scene.tokens.len() - start;
    // 是 or "is" says that the address follows; else dots and digits do.
    let is_said = scene.tokens[tokens.end..start]
        .iter()
        .any(|token| token.han() == Some('是') || token.word() == Some("is") || token.mark() == Some(':'));
    let is_built = (start..scene.tokens.len())
        .any(|at| part(scene, at) == Part::Joint || scene.word(at).is_none() && part(scene, at) == Part::Name);
    if length > 0 && length <= LOCAL_MAX && (is_said || is_built) && !is_covered && is_announced(scene, start) {
        let end =
            (start..scene.tokens.len()).rev().find(|&at| part(scene, at) == Part::Name).map_or(start, |at| at + 1);
        out.push(Find { tokens: start..end, class: Class::Email });
    }
}
