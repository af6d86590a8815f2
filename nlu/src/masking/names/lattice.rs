//! Names by how likely characters are one: a clause is read as ordinary words, and as ordinary words beside a name, and the
//! better reading holds (as dictionaries' segmenters do, with unigrams).

use std::ops::Range;

use super::super::ordinary::{HAN_WORD_MAX, foreign_bits, given_bits, surname_bits, word_bits};
use super::super::scene::Scene;
use crate::numbers::token::spoken_digit;

/// What a name weighs before anything is known of it, bits.
const NAME: i32 = 10;
/// What a name of two characters weighs more where nothing announces it.
const SHORT: i32 = 3;
/// What a name of no list weighs beside its characters.
const FOREIGN: i32 = 13;
/// The longest name of no list, characters.
const FOREIGN_MAX: usize = 6;
/// What a character weighs at most that is usual in given names, and where a name is announced.
const USUAL: i32 = 11;
const USUAL_ANNOUNCED: i32 = 13;
/// What a word weighs that is none more than a name, and the most that this is worth where nothing announces a name.
const WORD: i32 = 22;
const WORD_MAX: i32 = 7;
/// What a listed word that is no name weighs at most.
const LISTED: i32 = 10;
/// What a listed word weighs that dictionaries do not have.
const LISTED_RARE: i32 = 20;
/// How long one Han character is at least, bytes.
const CHARACTER_BYTES: usize = 3;
/// The longest run of characters that is read as one.
const CHARACTERS_MAX: usize = 96;

/// A run of Han characters without anything between.
#[derive(Debug)]
pub(super) struct Lattice<'s, 't> {
    scene: &'s Scene<'t>,
    /// Where it stands, by tokens.
    pub(super) tokens: Range<usize>,
    characters: Vec<char>,
    /// The least that ordinary words weigh up to each place, and from it on.
    before: Vec<i32>,
    after: Vec<i32>,
}

/// A reading of some characters as a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) tokens: Range<usize>,
    /// How much likelier the name is than ordinary words, bits.
    pub(super) gain: i32,
    /// Whether it begins with a surname of a list.
    pub(super) has_surname: bool,
}

impl<'s, 't> Lattice<'s, 't> {
    /// All runs that end behind `from`.
    pub(super) fn all(scene: &'s Scene<'t>, from: usize) -> Vec<Self> {
        let mut all = Vec::new();
        let mut at = from - scene.tokens[..from].iter().rev().take_while(|token| token.han().is_some()).count().min(12);
        while at < scene.tokens.len() {
            let count =
                scene.tokens[at..].iter().take(CHARACTERS_MAX).take_while(|token| token.han().is_some()).count();
            if count > 1 {
                all.push(Self::new(scene, at..at + count));
            }
            at += count.max(1);
        }
        all
    }

    fn new(scene: &'s Scene<'t>, tokens: Range<usize>) -> Self {
        let characters: Vec<char> = tokens.clone().filter_map(|at| scene.han(at)).collect();
        let count = characters.len();
        let mut before = vec![i32::MAX; count + 1];
        let mut words = Vec::with_capacity(2 * count);
        before[0] = 0;
        let mut word = String::with_capacity(4 * HAN_WORD_MAX);
        for start in 0..count {
            word.clear();
            for end in start + 1..=count.min(start + HAN_WORD_MAX) {
                word.push(characters[end - 1]);
                if let Some(bits) = ordinary(scene, &word) {
                    before[end] = before[end].min(before[start] + bits);
                    words.push((start, end, bits));
                }
            }
        }
        let mut after = vec![i32::MAX; count + 1];
        after[count] = 0;
        for &(start, end, bits) in words.iter().rev() {
            after[start] = after[start].min(after[end].saturating_add(bits));
        }
        Self { scene, tokens, characters, before, after }
    }

    /// All ways in which characters from `at` on, a token, may be a name.
    pub(super) fn readings(&self, at: usize, is_announced: bool) -> Vec<Reading> {
        let start = at - self.tokens.start;
        let mut readings = Vec::new();
        let family = super::surname_length(self.scene, at);
        if family > 0 {
            let short = if is_announced { 0 } else { SHORT };
            let mut weight = NAME + surname_bits(&self.characters[start..start + family]);
            let limit = self.characters.len().min(start + family + 2);
            for end in start + family + 1..=limit {
                weight += given_bits(self.characters[end - 1]);
                let given = &self.characters[start + family..end];
                let short = if given.len() == 1 { short } else { 0 };
                readings.push(self.reading(start..end, weight + short - as_word(given, is_announced), true));
            }
        }
        let limit = self.characters.len().min(start + FOREIGN_MAX);
        for end in (start + 2..=limit).filter(|_| is_announced).take_while(|&end| self.has_no_word(start..end)) {
            let each = self.characters[start..end].iter().map(|&character| foreign_bits(character));
            let weight = FOREIGN + each.sum::<i32>();
            readings.push(self.reading(start..end, weight, false));
        }
        readings.retain(|reading| {
            reading.tokens.clone().all(|at| super::may_be_in_name(self.scene, at)) && !self.is_number(reading)
        });
        readings
    }

    /// Whether digits are read out there: two of the characters are, or one beside a digit, or any where no list has the surname.
    fn is_number(&self, reading: &Reading) -> bool {
        let is_digit = |at: usize| self.scene.han(at).is_some_and(|character| spoken_digit(character).is_some());
        let count = reading.tokens.clone().filter(|&at| is_digit(at)).count();
        let is_beside =
            (reading.tokens.start > 0 && is_digit(reading.tokens.start - 1)) || is_digit(reading.tokens.end);
        count > 1 || (count > 0 && (is_beside || !reading.has_surname))
    }

    /// Whether no two characters one after another are a word.
    fn has_no_word(&self, place: Range<usize>) -> bool {
        let pair = |at: usize| self.characters[at..at + 2].iter().collect::<String>();
        (place.start..place.end - 1).all(|at| ordinary(self.scene, &pair(at)).is_none())
    }

    /// How much likelier these tokens are a name than ordinary words, bits; none where they are not in the run.
    pub(super) fn gain(&self, tokens: &Range<usize>) -> Option<i32> {
        let is_inside = self.tokens.start <= tokens.start && tokens.end <= self.tokens.end;
        let place = || tokens.start - self.tokens.start..tokens.end - self.tokens.start;
        is_inside.then(|| {
            let family = super::surname_length(self.scene, tokens.start).clamp(1, tokens.len());
            let (surname, given) = self.characters[place()].split_at(family);
            let weight =
                NAME + surname_bits(surname) + given.iter().map(|&character| given_bits(character)).sum::<i32>();
            self.reading(place(), weight, true).gain
        })
    }

    /// What ordinary words weigh at least up to a token of the run, and from it on.
    pub(super) fn before(&self, at: usize) -> i32 {
        self.before[at - self.tokens.start]
    }

    pub(super) fn after(&self, at: usize) -> i32 {
        self.after[at - self.tokens.start]
    }

    fn reading(&self, place: Range<usize>, weight: i32, has_surname: bool) -> Reading {
        let ordinary = self.before[self.characters.len()];
        let gain = ordinary - self.before[place.start] - weight - self.after[place.end];
        Reading { tokens: self.tokens.start + place.start..self.tokens.start + place.end, gain, has_surname }
    }
}

/// What a given name weighs less because it is a word, too, of characters that are usual in given names: 爱国, 星河.
fn as_word(given: &[char], is_announced: bool) -> i32 {
    let limit = if is_announced { USUAL_ANNOUNCED } else { USUAL };
    let is_usual = given.len() == 2 && given.iter().all(|&character| given_bits(character) <= limit);
    let bits = if is_usual { word_bits(&given.iter().collect::<String>()) } else { None };
    bits.map_or(0, |bits| (WORD - bits).clamp(0, if is_announced { WORD } else { WORD_MAX }))
}

/// What a word weighs among ordinary ones, the listed ones among them.
fn ordinary(scene: &Scene<'_>, word: &str) -> Option<i32> {
    let bits = word_bits(word);
    let lists = scene.lists;
    if lists.no_names.contains(word) || lists.titles.contains(word) {
        return Some(bits.map_or(LISTED, |bits| bits.min(LISTED)));
    }
    let is_new = word.len() > CHARACTER_BYTES && bits.is_none() && lists.usual.contains(word);
    if is_new { Some(LISTED_RARE) } else { bits }
}
