//! What holds a name and is none: makers and marks, proverbs, words of four characters. Where a name is announced there, it is one.

use std::ops::Range;

use super::super::class::Class;
use super::super::lists::Cue;
use super::super::ordinary::word_bits;
use super::super::scene::{Find, Scene};
use super::{is_title, likely, skip_to_name};

/// Words of so many characters are words before they are names.
const CHARACTERS: usize = 4;
/// The most tokens between what announces a name and the name.
const BETWEEN_MAX: usize = 6;

/// Drops the names among the finds that are only a part of something else; what begins at `asked` answers who asked for one.
pub(super) fn drop_names(scene: &Scene<'_>, asked: Option<usize>, finds: &mut Vec<Find>) {
    let asked = asked.map(|at| skip_to_name(scene, at));
    let holds = |whole: &Range<usize>, name: &Range<usize>| {
        let meets = whole.start < name.end && name.start < whole.end;
        let is_more = name.start < whole.start && whole.end <= name.end;
        meets && !is_more && asked != Some(whole.start) && !is_announced(scene, whole)
    };
    finds.retain(|find| {
        let first = scene.wholes.partition_point(|whole| whole.end <= find.tokens.start);
        let mut near = scene.wholes[first..].iter().take_while(|whole| whole.start < find.tokens.end);
        let is_part = near.any(|whole| holds(whole, &find.tokens))
            || words_around(scene, &find.tokens).any(|word| holds(&word, &find.tokens));
        find.class != Class::Name || !is_part
    });
}

/// The words of four characters that begin in a name or before it.
fn words_around<'s>(scene: &'s Scene<'_>, name: &Range<usize>) -> impl Iterator<Item = Range<usize>> + 's {
    let starts = name.start.saturating_sub(CHARACTERS - 1)..name.end;
    starts.map(|start| start..start + CHARACTERS).filter(|word| {
        word.clone().all(|at| scene.han(at).is_some()) && word_bits(&scene.plain(word.clone())).is_some()
    })
}

/// Whether somebody of this name is spoken of.
fn is_announced(scene: &Scene<'_>, whole: &Range<usize>) -> bool {
    let announces = |(cue, kind): &(Range<usize>, Cue)| {
        let is_sure = match kind {
            Cue::Introduces | Cue::People => true,
            Cue::Mentions => cue.len() > 1,
            _ => false,
        };
        is_sure && skip_to_name(scene, cue.end) == whole.start
    };
    let has_number = || scene.han(whole.start).is_some() && likely::gives_number(scene, whole.end);
    let last = scene.name_cues.partition_point(|(cue, _)| cue.start < whole.start);
    let mut near = scene.name_cues[..last].iter().rev().take_while(|(cue, _)| cue.end + BETWEEN_MAX >= whole.start);
    near.any(announces) || is_title(scene, whole.end) || has_number()
}
