//! A text as those who look for secrets see it: its tokens, the words that announce secrets, and masks already there.

use std::ops::Range;

use super::class::Class;
use super::lists::{Cue, MaskingLists};
use super::plates::is_province;
use crate::numbers::run::{Run, joins, runs};
use crate::numbers::token::{Kind, Token, spoken_digit, tokens};

/// What is looked at.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    text: &'a str,
    pub(super) lists: &'a MaskingLists,
    pub(super) tokens: Vec<Token>,
    /// Digits one after another.
    pub(super) runs: Vec<Run>,
    /// Words that announce something other than names, by tokens, in order.
    pub(super) cues: Vec<(Range<usize>, Cue)>,
    /// Words that names follow, in order.
    pub(super) name_cues: Vec<(Range<usize>, Cue)>,
    /// Words and brands that hold a name and are none, in order.
    pub(super) wholes: Vec<Range<usize>>,
    /// Whether some letter is a small one: else capitals say nothing.
    pub(super) has_small_letters: bool,
    /// What is masked already.
    pub(super) masks: Vec<(Range<usize>, Class)>,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Find {
    pub(super) tokens: Range<usize>,
    pub(super) class: Class,
}

impl<'a> Scene<'a> {
    pub(super) fn new(text: &'a str, lists: &'a MaskingLists) -> Self {
        let mut tokens = tokens(text);
        let masks = masks(&tokens);
        // A mask is read alike whether it stands in the text already or has just been set.
        masks.iter().for_each(|(mask, _)| cover(&mut tokens[mask.clone()]));
        Self::with(text, tokens, masks, lists)
    }

    fn with(text: &'a str, tokens: Vec<Token>, masks: Vec<(Range<usize>, Class)>, lists: &'a MaskingLists) -> Self {
        let runs = runs(&tokens);
        let mut cues = cues(&tokens, lists);
        let wholes = cues.extract_if(.., |(_, cue)| *cue == Cue::Whole).map(|(whole, _)| whole).collect();
        let (name_cues, cues) = cues.into_iter().partition(|(_, cue)| {
            matches!(cue, Cue::Introduces | Cue::Mentions | Cue::People | Cue::Near | Cue::AsksName)
        });
        let has_small_letters = text.contains(char::is_lowercase);
        Self { text, lists, tokens, runs, cues, name_cues, wholes, has_small_letters, masks }
    }

    /// The text as it will be with masks in place of what was found.
    pub(super) fn covered(mut self, finds: &[Find]) -> Self {
        for find in finds {
            cover(&mut self.tokens[find.tokens.clone()]);
        }
        self.masks.extend(finds.iter().map(|find| (find.tokens.clone(), find.class)));
        self.masks.sort_by_key(|(tokens, _)| tokens.start);
        Self::with(self.text, self.tokens, self.masks, self.lists)
    }

    /// What the text says in these tokens, as lists write it.
    pub(super) fn plain(&self, tokens: Range<usize>) -> String {
        plain(&self.tokens[tokens]).0
    }

    pub(super) fn han(&self, at: usize) -> Option<char> {
        self.tokens.get(at).and_then(Token::han)
    }

    pub(super) fn word(&self, at: usize) -> Option<&str> {
        self.tokens.get(at).and_then(Token::word)
    }

    /// Whether a word begins with a capital letter.
    pub(super) fn is_capital(&self, at: usize) -> bool {
        self.text[self.tokens[at].bytes.start..].starts_with(char::is_uppercase)
    }

    /// The first token that begins at this byte or behind it.
    pub(super) fn first_from(&self, byte: usize) -> usize {
        self.tokens.partition_point(|token| token.bytes.start < byte)
    }

    /// A token as it is written.
    pub(super) fn text_of(&self, at: usize) -> &str {
        &self.text[self.tokens[at].bytes.clone()]
    }

    pub(super) fn mark(&self, at: usize) -> Option<char> {
        self.tokens.get(at).and_then(Token::mark)
    }

    /// The first token from `at` on that is no space.
    pub(super) fn skip_spaces(&self, at: usize) -> usize {
        at + self.tokens.get(at..).unwrap_or_default().iter().take_while(|token| token.is_space()).count()
    }

    /// The first token from `at` on that is more than a joint between digits.
    pub(super) fn skip_joins(&self, at: usize) -> usize {
        at + self.tokens.get(at..).unwrap_or_default().iter().take(8).take_while(|token| joins(token)).count()
    }

    /// The last word before `at` that announces something.
    pub(super) fn cue_before(&self, at: usize) -> Option<&(Range<usize>, Cue)> {
        self.cues[..self.cues.partition_point(|(tokens, _)| tokens.end <= at)].last()
    }

    /// The end of what precedes `at`, spaces left out.
    pub(super) fn back_over_spaces(&self, at: usize) -> usize {
        at - self.tokens[..at].iter().rev().take_while(|token| token.is_space()).count()
    }

    /// Whether nothing but spaces and marks follows.
    pub(super) fn is_end(&self, at: usize) -> bool {
        let rest = self.tokens.get(at..).unwrap_or_default();
        rest.iter().all(|token| matches!(token.kind, Kind::Space | Kind::Mark(_)))
    }
}

/// Whether some of these tokens are a mask already; masks are in order.
pub(super) fn is_masked(masks: &[(Range<usize>, Class)], tokens: &Range<usize>) -> bool {
    let next = masks.partition_point(|(mask, _)| mask.end <= tokens.start);
    masks.get(next).is_some_and(|(mask, _)| mask.start < tokens.end)
}

/// Tokens as one text for searching: spaces only between words of letters. Also where each of its tokens begins in it.
pub(super) fn plain(tokens: &[Token]) -> (String, Vec<usize>) {
    let mut text = String::new();
    let mut starts = Vec::with_capacity(tokens.len());
    let mut was_word = false;
    for token in tokens {
        if matches!((&token.kind, was_word), (Kind::Word(_), true)) {
            text.push(' ');
        }
        starts.push(text.len());
        match &token.kind {
            Kind::Digit(digit) => text.push(char::from(b'0' + digit)),
            Kind::Han(character) | Kind::Mark(character) => text.push(*character),
            Kind::Word(word) => text.push_str(word),
            Kind::Space => {}
            Kind::Beyond => text.push('\0'),
        }
        was_word = matches!(token.kind, Kind::Word(_)) || (was_word && token.is_space());
    }
    (text, starts)
}

fn cues(tokens: &[Token], lists: &MaskingLists) -> Vec<(Range<usize>, Cue)> {
    let (plain, starts) = plain(tokens);
    let mut found = cues_in(&plain, &starts, lists);
    // 验正码: the same words as they are heard, where what they announce follows.
    let is_heard = |character: char| lists.sounds.get(&character).copied().unwrap_or(character);
    let heard: String = plain.chars().map(is_heard).collect();
    if heard != plain {
        let is_new = |(place, cue): &(Range<usize>, Cue)| {
            let next = found.partition_point(|(other, _)| other.end <= place.start);
            let is_apart = found.get(next).is_none_or(|(other, _)| place.end <= other.start);
            place.len() > 1 && is_apart && is_followed(tokens, place.end, *cue, lists)
        };
        let more: Vec<_> = cues_in(&heard, &starts, lists).into_iter().filter(is_new).collect();
        found.extend(more);
        found.sort_by_key(|(place, _)| place.start);
    }
    found
}

/// The words that announce something in a text, each of whose tokens begins where `starts` says.
fn cues_in(plain: &str, starts: &[usize], lists: &MaskingLists) -> Vec<(Range<usize>, Cue)> {
    let token_at = |offset: usize| starts.partition_point(|&start| start < offset);
    let mut found = Vec::new();
    for hit in lists.cues.find_iter(plain) {
        // Spaces take no room: the last of the tokens that begin there is the one that is meant.
        let first = starts.partition_point(|&start| start <= hit.start()).saturating_sub(1);
        let end = token_at(hit.end());
        let is_whole = starts.get(first) == Some(&hit.start())
            && (starts.get(end).is_none_or(|&start| start == hit.end()) || plain[hit.end()..].starts_with(' '));
        if is_whole && first < end {
            found.push((first..end, lists.announced[hit.pattern().as_usize()]));
        }
    }
    found
}

/// Whether what a word announces stands behind it: digits, or a surname.
fn is_followed(tokens: &[Token], end: usize, cue: Cue, lists: &MaskingLists) -> bool {
    let is_between = |token: &&Token| joins(token) || token.han().is_some_and(|character| "是为".contains(character));
    let between = tokens[end..].iter().take(4).take_while(is_between).count();
    let Some(next) = tokens.get(end + between) else { return false };
    let is_digit = matches!(next.kind, Kind::Digit(_)) || next.han().is_some_and(|c| spoken_digit(c).is_some());
    match cue {
        Cue::Phone | Cue::IdCard | Cue::BankCard | Cue::Code => is_digit,
        Cue::Plate => is_digit || next.han().is_some_and(is_province) || next.word().is_some(),
        Cue::Introduces => next.han().is_some_and(|c| lists.surnames.contains(c.encode_utf8(&mut [0; 4]) as &str)),
        _ => false,
    }
}

/// Nothing is read in these tokens any more.
fn cover(tokens: &mut [Token]) {
    tokens.iter_mut().for_each(|token| token.kind = Kind::Beyond);
}

/// The names of masks in square brackets.
fn masks(tokens: &[Token]) -> Vec<(Range<usize>, Class)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].mark() == Some('[')
            && let Some(close) = tokens[at + 1..].iter().take(5).position(|token| token.mark() == Some(']'))
        {
            let inside = plain(&tokens[at + 1..=at + close]).0;
            if let Some(class) =
                Class::ALL.into_iter().find(|class| class.masks().iter().any(|mask| mask[1..mask.len() - 1] == inside))
            {
                found.push((at..at + close + 2, class));
                at += close + 2;
                continue;
            }
        }
        at += 1;
    }
    found
}
