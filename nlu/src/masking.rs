//! Masking of personal data in what parties say: names, numbers, addresses and the like make room for what they are.
//!
//! Works on what one party says, piece by piece, and remembers the end of it: a secret may be cut in two by a pause. What
//! may still become a secret is masked already. Takes a text of any kind in time that grows with its length alone.

mod addresses;
mod amounts;
mod checks;
mod class;
mod digits;
mod emails;
pub mod evaluation;
mod lists;
mod names;
mod ordinary;
mod plates;
mod scene;
#[cfg(test)]
mod tests;
mod things;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

pub use self::class::Class;
use self::lists::Cue;
pub use self::lists::{BUILT_IN, ListError, MaskingLists};
use self::scene::{Find, Scene, is_masked};
use crate::numbers::token::{Kind, Token, is_han};
use crate::punctuation::Punctuation;

/// The most that is remembered of what was said before, bytes.
pub const REMEMBERED_BYTES_MAX: usize = 384;

/// Masks what one party says.
#[derive(Debug, Clone)]
pub struct Masker {
    lists: Arc<MaskingLists>,
    classes: BTreeSet<Class>,
    /// The end of what was said before.
    before: String,
    /// What the other party asked for.
    asked: Option<Cue>,
    /// Whether the other party asked for a name last.
    is_name_asked: bool,
}

/// A text without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// What may be shown.
    pub text: String,
    /// What was masked, in order, none over another.
    pub hits: Vec<Hit>,
}

/// One secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub class: Class,
    /// Where it stood in the piece.
    pub bytes: Range<usize>,
    /// Which words of the piece it was: those that were given, or Han characters, words of letters and groups of digits.
    pub words: Range<usize>,
}

impl Masked {
    /// What may be shown of `piece`, which this was made of, with its punctuation; what is masked has none inside.
    pub fn punctuated(&self, piece: &str, punctuation: &Punctuation) -> String {
        let language = language_of(piece);
        let masks = self.hits.iter().map(|hit| (hit.bytes.clone(), hit.class.masks()[language]));
        punctuation.write_masked(piece, masks)
    }
}

impl Masker {
    /// Masks secrets of these kinds; digits that may become one are masked unless no kind is.
    pub fn new(lists: Arc<MaskingLists>, classes: BTreeSet<Class>) -> Self {
        Self { lists, classes, before: String::new(), asked: None, is_name_asked: false }
    }

    /// Masks a piece that is as it will stay, and remembers how it ends.
    pub fn finished(&mut self, piece: &str) -> Masked {
        let masked = self.partial(piece);
        self.remember(piece);
        masked
    }

    /// Masks a piece that may still change: a later call takes its place.
    pub fn partial(&self, piece: &str) -> Masked {
        let words = words_of(piece);
        self.mask(piece, &words)
    }

    /// Masks words as a recogniser gives them, as [`Masker::finished`] does; hits name them by their index.
    pub fn finished_words<'w>(&mut self, words: impl IntoIterator<Item = &'w str>) -> Masked {
        let (piece, words) = joined(words);
        let masked = self.mask(&piece, &words);
        self.remember(&piece);
        masked
    }

    /// As [`Masker::finished_words`] for words that may still change.
    pub fn partial_words<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Masked {
        let (piece, words) = joined(words);
        self.mask(&piece, &words)
    }

    /// The same masker for other kinds; what it remembers stays.
    pub fn with_classes(&self, classes: BTreeSet<Class>) -> Self {
        Self { classes, ..self.clone() }
    }

    /// Remembers words that are as they will stay, without masking them.
    pub fn remember_words<'w>(&mut self, words: impl IntoIterator<Item = &'w str>) {
        let (piece, _) = joined(words);
        self.remember(&piece);
    }

    /// Takes note of the words that the other party said: who is asked for a code answers with digits alone.
    pub fn heard_from_other<'w>(&mut self, words: impl IntoIterator<Item = &'w str>) {
        let (text, _) = joined(words);
        let scene = Scene::new(&text, &self.lists);
        let secret = |cue: &Cue| matches!(cue, Cue::Phone | Cue::IdCard | Cue::BankCard | Cue::Code | Cue::Reference);
        let last = scene.cues.iter().rev().map(|(_, cue)| *cue).find(secret);
        self.asked = last.or(self.asked);
        // "And your last name" asks, too.
        let asks = |(tokens, cue): &(Range<usize>, Cue)| {
            *cue == Cue::AsksName || (*cue == Cue::Introduces && scene.tokens.len() - tokens.end <= ASKED_BEFORE_END)
        };
        let asks = scene.name_cues.iter().any(asks);
        self.is_name_asked = asks || (self.is_name_asked && last.is_none());
    }

    fn mask(&self, piece: &str, words: &[Range<usize>]) -> Masked {
        if piece.is_empty() || self.classes.is_empty() {
            return Masked { text: piece.to_owned(), hits: Vec::new() };
        }
        // A pause stands for a space.
        let head = if self.before.is_empty() { 0 } else { self.before.len() + 1 };
        let whole = if head == 0 { piece.to_owned() } else { format!("{} {piece}", self.before) };
        let mut scene = Scene::new(&whole, &self.lists);
        let mut finds = Vec::new();
        // What is shown is looked at once more: beside a mask there may be what was no secret beside the words.
        for _ in 0..ROUNDS_MAX {
            let more = self.find(&scene, head);
            if more.is_empty() {
                break;
            }
            scene = scene.covered(&more);
            finds.extend(more);
        }
        finds.sort_by_key(|find| find.tokens.start);
        render(piece, words, head, &scene, &finds, language_of(piece))
    }

    /// What is secret and not masked yet, in order and apart.
    fn find(&self, scene: &Scene<'_>, head: usize) -> Vec<Find> {
        let mut finds = Vec::new();
        emails::find(scene, &mut finds);
        plates::find(scene, &mut finds);
        addresses::find(scene, &mut finds);
        let first = scene.first_from(head);
        names::find(scene, first, self.is_name_asked.then_some(first), &mut finds);
        let mut finds = apart(finds);
        let digits = digits::find(scene, &finds, self.asked);
        finds.extend(digits);
        if self.classes.contains(&Class::Amount) {
            amounts::find(scene, &mut finds);
        }
        if scene.tokens.last().is_some_and(|token| token.kind == Kind::Beyond) {
            finds.push(Find { tokens: scene.tokens.len() - 1..scene.tokens.len(), class: Class::Number });
        }
        finds.retain(|find| self.classes.contains(&find.class) && !is_masked(&scene.masks, &find.tokens));
        apart(finds)
    }

    fn remember(&mut self, piece: &str) {
        if piece.trim().is_empty() {
            return;
        }
        if !self.before.is_empty() {
            self.before.push(' ');
        }
        self.before.push_str(piece);
        let surplus = self.before.len().saturating_sub(REMEMBERED_BYTES_MAX);
        let cut = (surplus..=self.before.len()).find(|&at| self.before.is_char_boundary(at)).unwrap_or(0);
        self.before.drain(..cut);
        let said = piece.chars().filter(|character| character.is_alphanumeric()).count();
        if said > ANSWER_MAX {
            self.asked = None;
        }
        // 嗯 and "well" are no answers.
        self.is_name_asked &= said < if piece.chars().any(is_han) { NAME_MIN_HAN } else { NAME_MIN };
    }
}

/// Behind what asks for a name there are at most so many tokens.
const ASKED_BEFORE_END: usize = 3;
/// How often a text is looked at.
const ROUNDS_MAX: usize = 4;
/// Who says more than this has said something else than what was asked for, characters.
const ANSWER_MAX: usize = 60;

/// Who says so many characters has answered who they are.
const NAME_MIN: usize = 5;
const NAME_MIN_HAN: usize = 2;

/// Joins finds that lie over one another: the first one names them.
fn apart(mut finds: Vec<Find>) -> Vec<Find> {
    finds.sort_by_key(|find| (find.tokens.start, usize::MAX - find.tokens.end));
    let mut out: Vec<Find> = Vec::new();
    for find in finds.into_iter().filter(|find| !find.tokens.is_empty()) {
        match out.last_mut() {
            Some(last) if find.tokens.start < last.tokens.end => last.tokens.end = last.tokens.end.max(find.tokens.end),
            _ => out.push(find),
        }
    }
    out
}

/// Writes the piece with masks; `head` is where it begins in the text that was looked at.
fn render(
    piece: &str,
    words: &[Range<usize>],
    head: usize,
    scene: &Scene<'_>,
    finds: &[Find],
    language: usize,
) -> Masked {
    let mut text = String::with_capacity(piece.len());
    let mut hits = Vec::new();
    let mut at = 0;
    for Find { tokens, class } in finds {
        let start = scene.tokens[tokens.start].bytes.start.saturating_sub(head);
        let end = scene.tokens[tokens.end - 1].bytes.end.saturating_sub(head);
        if end <= start {
            continue;
        }
        text.push_str(&piece[at..start]);
        text.push_str(class.masks()[language]);
        at = end;
        let first = words.partition_point(|word| word.end <= start);
        let last = words.partition_point(|word| word.start < end);
        hits.push(Hit { class: *class, bytes: start..end, words: first..last });
    }
    text.push_str(&piece[at..]);
    Masked { text, hits }
}

/// Which of a class's masks stands in a piece: that in Mandarin, or that in English.
fn language_of(piece: &str) -> usize {
    usize::from(!piece.chars().any(is_han))
}

/// The words of a text, by bytes.
fn words_of(piece: &str) -> Vec<Range<usize>> {
    let tokens: Vec<Token> = crate::numbers::token::tokens(piece);
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut was_digit = false;
    for token in tokens {
        let is_digit = matches!(token.kind, Kind::Digit(_));
        match (&token.kind, words.last_mut()) {
            (Kind::Space | Kind::Mark(_), _) => {}
            (Kind::Digit(_), Some(word)) if was_digit => word.end = token.bytes.end,
            _ => words.push(token.bytes),
        }
        was_digit = is_digit;
    }
    words
}

/// Words as a text, with spaces between those of letters, and where each is.
fn joined<'w>(words: impl IntoIterator<Item = &'w str>) -> (String, Vec<Range<usize>>) {
    let mut text = String::new();
    let mut ranges = Vec::new();
    for word in words {
        let meets_letter = text.chars().next_back().is_some_and(|last| !is_han(last)) && !word.starts_with(is_han);
        if meets_letter {
            text.push(' ');
        }
        let start = text.len();
        text.push_str(word);
        ranges.push(start..text.len());
    }
    (text, ranges)
}
