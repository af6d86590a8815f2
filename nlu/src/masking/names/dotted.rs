//! Names of two parts with a dot between them, 古丽娜·艾力: where each part begins and ends is weighed against ordinary words.

use std::ops::Range;

use super::super::class::Class;
use super::super::lists::Cue;
use super::super::ordinary::foreign_bits;
use super::super::scene::{Find, Scene};
use super::lattice::Lattice;
use super::may_be_in_name;

/// What stands between the parts.
const DOTS: &str = "·•・‧";
/// The longest part, characters.
const PART_MAX: usize = 7;
/// What a part weighs beside its characters.
const PART: i32 = 4;
/// So much likelier than ordinary words both parts together are, bits.
const ENOUGH: i32 = -2;
/// So much likelier one part is that the other one need not be.
const SURE: i32 = 5;
/// So much heavier a longer part may be than the lightest, that it is masked whole.
const DOUBT: i32 = 4;

/// Finds them.
pub(super) fn find(scene: &Scene<'_>, lattices: &[Lattice<'_, '_>], out: &mut Vec<Find>) {
    for at in 1..scene.tokens.len() {
        if scene.mark(at).is_none_or(|mark| !DOTS.contains(mark)) {
            continue;
        }
        let (before, after) = (scene.back_over_spaces(at), scene.skip_spaces(at + 1));
        let (Some((start, first)), Some((end, second))) =
            (start_of(scene, lattices, before), end_of(scene, lattices, after))
        else {
            continue;
        };
        let is_likely = first + second >= ENOUGH
            || first.max(second) >= SURE
            || (start > 0 && announced_from(scene, before) == start);
        if is_likely && before - start > 1 && end - after > 1 {
            out.push(Find { tokens: start..end, class: Class::Name });
        }
    }
}

/// Where a part begins that ends at `end`, and how much likelier it is than ordinary words, bits.
fn start_of(scene: &Scene<'_>, lattices: &[Lattice<'_, '_>], end: usize) -> Option<(usize, i32)> {
    let lattice = lattices[..lattices.partition_point(|lattice| lattice.tokens.end <= end)].last();
    let lattice = lattice.filter(|lattice| lattice.tokens.end == end);
    let mut weight = PART;
    let mut starts = Vec::new();
    let announced = announced_from(scene, end);
    let lowest = announced.max(end.saturating_sub(PART_MAX));
    for start in (lowest..end).rev().take_while(|&start| may_be_in_name(scene, start)) {
        weight += scene.han(start).map_or(0, foreign_bits);
        let beside = lattice.filter(|lattice| lattice.tokens.start <= start).map_or(0, |lattice| lattice.before(start));
        starts.push((beside.saturating_add(weight), start));
    }
    let lightest = starts.iter().map(|(weight, _)| *weight).min()?;
    let near = starts.into_iter().filter(|(weight, _)| *weight <= lightest.saturating_add(DOUBT));
    let ordinary = lattice.map_or(lightest, |lattice| lattice.before(end));
    let nearest = near.map(|(_, start)| (start, ordinary - lightest)).min()?;
    // What is announced is the name from its beginning.
    let is_whole = announced > 0 && announced == lowest && (announced..end).all(|at| may_be_in_name(scene, at));
    Some(if is_whole { (announced, nearest.1) } else { nearest })
}

/// Where a name before `end` begins at the earliest: behind the last word that announces one.
fn announced_from(scene: &Scene<'_>, end: usize) -> usize {
    let is_sure = |(cue, kind): &&(Range<usize>, Cue)| *kind == Cue::Introduces || cue.len() > 1;
    let last = scene.name_cues.partition_point(|(cue, _)| cue.start < end);
    let near = scene.name_cues[..last].iter().rev().take_while(|(cue, _)| cue.end + PART_MAX > end);
    let cue = near.filter(|(cue, _)| cue.end < end).find(is_sure).map_or(0, |(cue, _)| cue.end);
    let says = |&at: &usize| scene.han(at).is_some_and(|character| "叫写是姓找".contains(character));
    (cue.max(end.saturating_sub(PART_MAX))..end).rev().find(says).map_or(cue, |at| at + 1)
}

/// Where a part ends that begins at `start`, and how much likelier it is than ordinary words, bits.
fn end_of(scene: &Scene<'_>, lattices: &[Lattice<'_, '_>], start: usize) -> Option<(usize, i32)> {
    let lattice = lattices.get(lattices.partition_point(|lattice| lattice.tokens.start < start));
    let lattice = lattice.filter(|lattice| lattice.tokens.start == start);
    let mut weight = PART;
    let mut ends = Vec::new();
    for at in (start..start + PART_MAX).take_while(|&at| may_be_in_name(scene, at)) {
        weight += scene.han(at).map_or(0, foreign_bits);
        let beside = lattice.filter(|lattice| at < lattice.tokens.end).map_or(0, |lattice| lattice.after(at + 1));
        ends.push((beside.saturating_add(weight), at + 1));
    }
    let lightest = ends.iter().map(|(weight, _)| *weight).min()?;
    let near = ends.into_iter().filter(|(weight, _)| *weight <= lightest.saturating_add(DOUBT));
    let ordinary = lattice.map_or(lightest, |lattice| lattice.after(start));
    near.map(|(_, end)| (end, ordinary - lightest)).max()
}
