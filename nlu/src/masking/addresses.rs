//! Addresses down to a street's number or a house: 西湖区文三路390号3单元502室, "42 Maple Street apartment 5", postcodes.
//!
//! A city or a district alone is no secret.

use std::ops::Range;

use super::class::Class;
use super::lists::Cue;
use super::scene::{Find, Scene};
use crate::numbers::run::english_digit;
use crate::numbers::token::{Kind, Token, spoken_digit};
use crate::numbers::value::numeral;

/// The most tokens of an address to the left of its street.
const LEFT_MAX: usize = 30;
/// The longest name of a street or of a place, characters.
const NAME_MAX: usize = 8;
/// How far behind a word that announces it an address may begin, tokens.
const REACH: usize = 6;
/// Characters before 地 where it belongs to a name.
const BEFORE_DI: &str = "绿天基田宝园盆金大高草空营湿福";
/// Characters that an address does not begin with and that end it to the left.
const STOPS: &str = "在到是住寄送从去为址我你您他她的了地往给请把搬于叫说";

pub(super) fn find(scene: &Scene<'_>, out: &mut Vec<Find>) {
    let mut at = 0;
    while at < scene.tokens.len() {
        let found = match scene.tokens[at].kind {
            Kind::Han(_) => mandarin(scene, at).or_else(|| announced(scene, at)),
            Kind::Digit(_) | Kind::Word(_) => {
                english(scene, at).or_else(|| postcode(scene, at)).or_else(|| mandarin_units(scene, at))
            }
            _ => None,
        };
        if let Some(tokens) = found {
            at = tokens.end.max(at + 1);
            out.push(Find { tokens, class: Class::Address });
        } else {
            at += 1;
        }
    }
}

/// An address whose street or place ends at `at` and is followed by a number with its unit.
fn mandarin(scene: &Scene<'_>, at: usize) -> Option<Range<usize>> {
    let end = name_end(scene, at)?;
    let (after, units) = units_end(scene, end);
    if units == 0 {
        return None;
    }
    Some(left_end(scene, at)..after)
}

/// Two numbers with units and no street: 3栋2单元.
fn mandarin_units(scene: &Scene<'_>, at: usize) -> Option<Range<usize>> {
    let (after, units) = units_end(scene, at);
    // Days of a month are counted like houses.
    let has_building = (at..after).any(|at| scene.han(at).is_some_and(|unit| "栋幢元室".contains(unit)));
    // The name of the estate goes with it: 万科城4幢2602室.
    (units >= 2 && has_building).then(|| left_end(scene, at)..after)
}

/// Where a name of a street or place ends that has its last word at `at`.
fn name_end(scene: &Scene<'_>, at: usize) -> Option<usize> {
    let before = at.checked_sub(1)?;
    scene.han(before).filter(|_| !is_stop(scene, before))?;
    longest(scene, at, &scene.lists.streets)
}

/// Whether an address does not go on to the left of this character; 地 ends names of places, too: 绿地家园.
fn is_stop(scene: &Scene<'_>, at: usize) -> bool {
    let Some(character) = scene.han(at) else { return false };
    let in_name = || at.checked_sub(1).and_then(|before| scene.han(before)).is_some_and(|c| BEFORE_DI.contains(c));
    STOPS.contains(character) && !(character == '地' && in_name())
}

/// The end of the longest of these words that begins at `at`.
fn longest(scene: &Scene<'_>, at: usize, words: &std::collections::BTreeSet<String>) -> Option<usize> {
    let most = (1..=4).take_while(|length| scene.han(at + length - 1).is_some()).last()?;
    (1..=most).rev().map(|length| at + length).find(|&end| words.contains(&scene.plain(at..end)))
}

/// Where numbers with units end that follow each other, and how many they are.
fn units_end(scene: &Scene<'_>, from: usize) -> (usize, usize) {
    let (mut end, mut at, mut units) = (from, from, 0);
    while units < 8 {
        at = skip(scene, at);
        // An estate may stand between the number in the street and that of the house.
        let estate = if units > 0 { estate_end(scene, at) } else { at };
        let Some(number) = number_end(scene, estate) else { break };
        let unit_at = scene.skip_spaces(number);
        let lesser = longest(scene, unit_at, &scene.lists.lesser_units).filter(|_| units > 0);
        let Some(unit) = longest(scene, unit_at, &scene.lists.units).or(lesser) else {
            // The last number often comes without its unit.
            if units > 0 && estate == at && number - at >= 3 {
                end = number;
            }
            break;
        };
        if longest(scene, unit_at, &scene.lists.not_units).is_some() {
            break;
        }
        (end, at, units) = (unit, unit, units + 1);
    }
    (end, units)
}

/// Where a name ends behind which a house is counted; where it begins when none is.
fn estate_end(scene: &Scene<'_>, from: usize) -> usize {
    let is_house = |at: usize| {
        let unit = number_end(scene, at).map(|number| scene.skip_spaces(number));
        unit.and_then(|unit| scene.han(unit)).is_some_and(|unit| "栋幢座".contains(unit))
    };
    let name = (from..from + NAME_MAX).take_while(|&at| scene.han(at).is_some() && !is_stop(scene, at)).count();
    (from..=from + name).find(|&at| is_house(at)).unwrap_or(from)
}

/// Spaces, commas and hyphens within an address.
fn skip(scene: &Scene<'_>, from: usize) -> usize {
    let between = scene.tokens.get(from..).unwrap_or_default();
    from + between
        .iter()
        .take(4)
        .take_while(|token| token.is_space() || token.mark().is_some_and(|mark| ",-，".contains(mark)))
        .count()
}

/// Where a house number ends: digits, a numeral, or a letter with or without them.
fn number_end(scene: &Scene<'_>, from: usize) -> Option<usize> {
    let mut end = from;
    if let Some(numeral) = numeral(&scene.tokens, from).filter(|_| scene.han(from).is_some()) {
        return Some(numeral.tokens.end);
    }
    while end - from < 8 {
        let is_part = match &scene.tokens.get(end).map(|token| &token.kind) {
            Some(Kind::Digit(_)) => true,
            Some(Kind::Han(character)) => spoken_digit(*character).is_some() || "甲乙丙丁东西南北".contains(*character),
            Some(Kind::Word(word)) => word.len() == 1 || english_digit(word).is_some(),
            Some(Kind::Mark('-')) => end > from,
            _ => false,
        };
        if !is_part {
            break;
        }
        end += 1;
    }
    (end > from).then_some(end)
}

/// How far an address reaches to the left of its street: up to a mark or a word that does not belong to it.
fn left_end(scene: &Scene<'_>, street: usize) -> usize {
    let mut start = street;
    let lowest = street.saturating_sub(LEFT_MAX);
    let mut since_place = 0;
    while start > lowest {
        let at = start - 1;
        match scene.tokens[at].kind {
            Kind::Han(_) if !is_stop(scene, at) => {}
            Kind::Space => {
                start = at;
                continue;
            }
            _ => break,
        }
        since_place += 1;
        if scene.lists.places.contains(&scene.plain(at..at + 1)) {
            since_place = 0;
        }
        if since_place > NAME_MAX {
            break;
        }
        start = at;
    }
    scene.skip_spaces(start).min(street)
}

/// Behind a word that announces an address: what goes on to the end of the clause and names places.
fn announced(scene: &Scene<'_>, at: usize) -> Option<Range<usize>> {
    let (tokens, cue) = scene.cue_before(at)?;
    if *cue != Cue::Address || at - tokens.end > REACH {
        return None;
    }
    let is_first = scene.tokens[tokens.end..at].iter().all(|token| {
        token.is_space() || token.mark().is_some() || token.han().is_some_and(|character| STOPS.contains(character))
    });
    if !is_first || scene.han(at).is_some_and(|c| STOPS.contains(c)) {
        return None;
    }
    let is_part = |at: usize| match scene.tokens[at].kind {
        Kind::Han(character) => !"的了吗呢吧啊我你您他".contains(character),
        Kind::Digit(_) | Kind::Space => true,
        Kind::Word(ref word) => word.len() == 1,
        Kind::Mark(mark) => mark == '-',
        Kind::Beyond => false,
    };
    let last = scene.tokens.len().min(at + 2 * LEFT_MAX);
    let end = (at..last).find(|&at| !is_part(at)).unwrap_or(last);
    let named = |words| (at + 1..end).filter(|&at| longest(scene, at, words).is_some_and(|word| word <= end)).count();
    let (streets, places) = (named(&scene.lists.streets), named(&scene.lists.places));
    let is_numbered = (at + 1..end).any(|at| units_end(scene, at).1 > 0);
    let is_fine = (streets > 0 || is_numbered) && places > 0 || streets > 0 && is_numbered || places >= 2;
    (is_fine && end - at >= 4).then_some(at..end)
}

/// A number, one to four words and a word for streets: "42 Maple Street"; flat, town and code behind it go along.
fn english(scene: &Scene<'_>, from: usize) -> Option<Range<usize>> {
    let is_number = |at: usize| {
        matches!(scene.tokens[at].kind, Kind::Digit(_))
            || scene.word(at).is_some_and(|word| english_digit(word).is_some() || is_tens(scene, at, word))
    };
    let is_inside = from > 0 && is_number(scene.back_over_spaces(from).max(1) - 1);
    if !is_number(from) || is_inside || scene.word(from).is_some_and(|word| word == "oh" || word == "o") {
        return None;
    }
    let mut at = from;
    while at < scene.tokens.len()
        && at - from < 12
        && (is_number(at) || scene.tokens[at].is_space() || (scene.word(at) == Some("and")))
    {
        at += 1;
    }
    if scene.word(at).is_some_and(|word| word.len() == 1) {
        at = scene.skip_spaces(at + 1);
    }
    for words in 0..=4 {
        let word = scene.word(at)?;
        if words > 0 && scene.lists.streets.contains(word) {
            return Some(flat_before(scene, from)..english_end(scene, at + 1));
        }
        if scene.lists.not_in_streets.contains(word) {
            return None;
        }
        at = scene.skip_spaces(at + 1);
    }
    None
}

/// Where a flat begins that is named before the house: "Flat 18, 554 Pine Drive".
fn flat_before(scene: &Scene<'_>, house: usize) -> usize {
    let tokens = &scene.tokens[house.saturating_sub(8)..house];
    let between = |token: &&Token| token.is_space() || token.mark() == Some(',');
    let gap = tokens.iter().rev().take_while(between).count();
    let is_number = |token: &&Token| matches!(token.kind, Kind::Digit(_)) || token.word().is_some_and(|w| w.len() == 1);
    let number = tokens.iter().rev().skip(gap).take_while(is_number).count();
    let spaces = tokens.iter().rev().skip(gap + number).take_while(|token| token.is_space()).count();
    let unit = house.checked_sub(gap + number + spaces + 1);
    let is_flat = |at: &usize| number > 0 && scene.word(*at).is_some_and(|word| scene.lists.units.contains(word));
    unit.filter(is_flat).unwrap_or(house)
}

fn is_tens(scene: &Scene<'_>, at: usize, word: &str) -> bool {
    word == "hundred" || numeral(&scene.tokens, at).is_some()
}

/// Behind the street: "apartment 5b", ", Springfield, IL 62704".
fn english_end(scene: &Scene<'_>, street: usize) -> usize {
    let mut end = street;
    let unit = skip(scene, street);
    if scene.word(unit).is_some_and(|word| scene.lists.units.contains(word)) {
        let number = scene.skip_spaces(unit + 1);
        end = (number..scene.tokens.len().min(number + 6))
            .take_while(|&at| {
                matches!(scene.tokens[at].kind, Kind::Digit(_))
                    || scene.word(at).is_some_and(|w| w.len() <= 1 || english_digit(w).is_some())
                    || scene.tokens[at].is_space()
            })
            .filter(|&at| !scene.tokens[at].is_space())
            .last()
            .map_or(unit + 1, |at| at + 1);
    }
    // A code of five digits, or a postcode, within a few words closes the address.
    let last = scene.tokens.len().min(end + 24);
    let mut at = end;
    let mut words = 0;
    while at < last && words <= 4 {
        let is_mark = scene.mark(at).is_some_and(|mark| mark != ',');
        if is_mark || scene.word(at).is_some_and(|word| scene.lists.no_names.contains(word)) {
            break;
        }
        let digits = (at..last).take_while(|&at| matches!(scene.tokens[at].kind, Kind::Digit(_))).count();
        if digits == 5 {
            return at + 5;
        }
        if let Some(code) = postcode(scene, at) {
            return code.end;
        }
        words += usize::from(scene.word(at).is_some());
        at += digits.max(1);
    }
    end
}

/// A British postcode: `SW1A 1AA`.
fn postcode(scene: &Scene<'_>, from: usize) -> Option<Range<usize>> {
    let area = scene.word(from)?;
    let is_digit = |at: usize| matches!(scene.tokens.get(at).map(|token| &token.kind), Some(Kind::Digit(_)));
    if !(1..=2).contains(&area.len()) || !is_digit(from + 1) {
        return None;
    }
    let mut at = from + 2;
    at += usize::from(is_digit(at) || scene.word(at).is_some_and(|word| word.len() == 1));
    let inward = scene.skip_spaces(at);
    let is_whole = inward > at && is_digit(inward) && scene.word(inward + 1).is_some_and(|word| word.len() == 2);
    is_whole.then_some(from..inward + 2)
}
