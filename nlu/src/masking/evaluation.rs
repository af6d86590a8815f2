//! How much of what is secret is masked, and how much of what is not: sentences with their secrets marked, and the tally.
//!
//! A sentence is one line: `我的电话 | <phone>138 | 0013 8000</phone>，谢谢`; a bar is a pause that ends a piece, and a piece that
//! begins with `> ` is what the other party says meanwhile.

mod blind;
mod recipe;
mod values;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use super::{Class, Hit, Masked, Masker};
use crate::numbers::token::{Kind, Token, tokens};

pub use self::recipe::{Part, sentences};

/// What ends a piece.
const PAUSE: &str = " | ";
/// What begins a piece that the other party says.
const BY_OTHER: &str = "> ";
/// Of a secret that is being said, so many characters or words may be seen before it is known to be one.
const SEEN_GROWING_MAX: usize = 2;

/// A sentence that says what is secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// What is said between pauses.
    pub pieces: Vec<String>,
    /// What must not be seen.
    pub secrets: Vec<Secret>,
}

impl Sentence {
    /// What the other party says in a piece, if it is theirs.
    fn by_other(&self, piece: usize) -> Option<&str> {
        self.pieces[piece].strip_prefix(BY_OTHER)
    }
}

/// A secret: where it stands, piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// What it is.
    pub class: Class,
    /// Index of the piece, and bytes in it.
    pub places: Vec<(usize, Range<usize>)>,
}

impl Sentence {
    /// Reads a sentence with marks.
    ///
    /// # Errors
    /// When a mark names no class, is not closed, or is closed but not open.
    pub fn parse(line: &str) -> Result<Self, String> {
        let mut pieces = vec![String::new()];
        let mut secrets: Vec<Secret> = Vec::new();
        let mut open: Option<(Class, usize)> = None;
        let mut rest = line;
        while let Some(character) = rest.chars().next() {
            let piece = pieces.len() - 1;
            if let Some(after) = rest.strip_prefix(PAUSE) {
                if let Some((_, start)) = &mut open {
                    let end = pieces[piece].len();
                    secrets.last_mut().expect("one is open").places.push((piece, *start..end));
                    *start = 0;
                }
                pieces.push(String::new());
                rest = after;
            } else if let Some((name, after)) = rest.strip_prefix('<').and_then(|mark| mark.split_once('>')) {
                match (name.strip_prefix('/').unwrap_or(name), name.starts_with('/'), open) {
                    (name, false, None) => {
                        let class =
                            Class::named(name).ok_or_else(|| format!("expected the name of a kind, found <{name}>"))?;
                        secrets.push(Secret { class, places: Vec::new() });
                        open = Some((class, pieces[piece].len()));
                    }
                    (name, true, Some((class, start))) if class.name() == name => {
                        let end = pieces[piece].len();
                        secrets.last_mut().expect("one is open").places.push((piece, start..end));
                        open = None;
                    }
                    _ => return Err(format!("expected marks in pairs, found <{name}>")),
                }
                rest = after;
            } else {
                pieces[piece].push(character);
                rest = &rest[character.len_utf8()..];
            }
        }
        match open {
            Some((class, _)) => Err(format!("expected </{}>, found the end", class.name())),
            None => {
                for secret in &mut secrets {
                    secret.places.retain(|(piece, _)| !pieces[*piece].starts_with(BY_OTHER));
                }
                Ok(Self { pieces, secrets })
            }
        }
    }
}

/// Counts over many sentences.
#[derive(Debug, Default)]
pub struct MaskingTally {
    sentences: usize,
    classes: BTreeMap<Class, (usize, usize)>,
    harmless: usize,
    harmless_masked: usize,
    beside: usize,
    beside_masked: usize,
    growing: usize,
    growing_masked: usize,
    bytes: usize,
}

/// What a tally says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaskingFigures {
    /// Sentences.
    pub sentences: usize,
    /// Secrets, all kinds together.
    pub secrets: usize,
    /// Share of them of which nothing was to be seen, 0-1.
    pub recall: f64,
    /// Sentences without a secret.
    pub harmless: usize,
    /// Share of those in which something was masked, 0-1.
    pub over_masking: f64,
    /// Share of the letters, digits and Han characters beside secrets that were masked, 0-1.
    pub masked_beside: f64,
    /// Share of the secrets of which at most two characters or words were to be seen while they were said, 0-1.
    pub masked_growing: Option<f64>,
    /// Bytes of text.
    pub bytes: usize,
    /// Kind by kind: how many there were, and the share that was masked.
    pub classes: Vec<(String, usize, f64)>,
}

/// What went wrong with one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A secret was to be seen.
    Missed(Class),
    /// Something was masked where nothing is secret.
    OverMasked,
}

impl MaskingTally {
    /// Masks a sentence piece by piece, counts, and tells what went wrong and what was shown.
    pub fn add(&mut self, sentence: &Sentence, mut masker: Masker) -> (Vec<Fault>, String) {
        let mut masked: Vec<Masked> = Vec::with_capacity(sentence.pieces.len());
        for (index, piece) in sentence.pieces.iter().enumerate() {
            if let Some(said) = sentence.by_other(index) {
                masker.heard_from_other([said]);
                masked.push(Masked { text: piece.clone(), hits: Vec::new() });
            } else {
                masked.push(masker.finished(piece));
            }
        }
        let mut faults = Vec::new();
        for secret in &sentence.secrets {
            let is_masked = secret.places.iter().all(|(piece, bytes)| {
                shown(&sentence.pieces[*piece], bytes.clone()).all(|at| is_hit(&masked[*piece], at))
            });
            let (all, found) = self.classes.entry(secret.class).or_default();
            (*all, *found) = (*all + 1, *found + usize::from(is_masked));
            faults.extend((!is_masked).then_some(Fault::Missed(secret.class)));
        }
        self.sentences += 1;
        self.bytes += sentence.pieces.iter().map(String::len).sum::<usize>();
        if sentence.secrets.is_empty() {
            let is_masked = masked.iter().any(|masked| !masked.hits.is_empty());
            self.harmless += 1;
            self.harmless_masked += usize::from(is_masked);
            faults.extend(is_masked.then_some(Fault::OverMasked));
        } else {
            self.count_beside(sentence, &masked);
        }
        let texts: Vec<String> = masked.into_iter().map(|masked| masked.text).collect();
        (faults, texts.join(PAUSE))
    }

    /// Masks a sentence while it grows, sign by sign, and counts the secrets of which too much was to be seen at some moment.
    pub fn add_growing(&mut self, sentence: &Sentence, mut masker: Masker) {
        let mut seen = vec![0; sentence.secrets.len()];
        for (index, piece) in sentence.pieces.iter().enumerate() {
            if let Some(said) = sentence.by_other(index) {
                masker.heard_from_other([said]);
                continue;
            }
            for end in tokens(piece).iter().filter(|token| is_sign(token)).map(|token| token.bytes.end) {
                let hits = masker.partial(&piece[..end]).hits;
                for (secret, seen) in sentence.secrets.iter().zip(&mut seen) {
                    let bytes = secret.places.iter().filter(|(at, _)| *at == index).map(|(_, bytes)| bytes.clone());
                    let shown: usize =
                        bytes.map(|bytes| signs_shown(piece, bytes.start..bytes.end.min(end), &hits)).sum();
                    *seen = shown.max(*seen);
                }
            }
            masker.finished(piece);
        }
        self.growing += sentence.secrets.len();
        self.growing_masked += seen.iter().filter(|&&seen| seen <= SEEN_GROWING_MAX).count();
    }

    fn count_beside(&mut self, sentence: &Sentence, masked: &[Masked]) {
        let own = sentence.pieces.iter().enumerate().filter(|(index, _)| sentence.by_other(*index).is_none());
        for (index, piece) in own {
            let places =
                || sentence.secrets.iter().flat_map(|secret| &secret.places).filter(|(piece, _)| *piece == index);
            for at in shown(piece, 0..piece.len()).filter(|at| !places().any(|(_, bytes)| bytes.contains(at))) {
                self.beside += 1;
                self.beside_masked += usize::from(is_hit(&masked[index], at));
            }
        }
    }

    /// The figures so far.
    pub fn figures(&self) -> MaskingFigures {
        let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
        let (secrets, found) =
            self.classes.values().fold((0, 0), |(secrets, found), (all, masked)| (secrets + all, found + masked));
        let class =
            |(class, (all, found)): (&Class, &(usize, usize))| (class.name().to_owned(), *all, share(*found, *all));
        MaskingFigures {
            sentences: self.sentences,
            secrets,
            recall: share(found, secrets),
            harmless: self.harmless,
            over_masking: share(self.harmless_masked, self.harmless),
            masked_beside: share(self.beside_masked, self.beside),
            masked_growing: (self.growing > 0).then(|| share(self.growing_masked, self.growing)),
            bytes: self.bytes,
            classes: self.classes.iter().map(class).collect(),
        }
    }
}

/// Whether something is said by a token.
fn is_sign(token: &Token) -> bool {
    matches!(token.kind, Kind::Digit(_) | Kind::Han(_) | Kind::Word(_))
}

/// How many characters and words of a part of a piece are in no hit.
fn signs_shown(piece: &str, bytes: Range<usize>, hits: &[Hit]) -> usize {
    if bytes.is_empty() {
        return 0;
    }
    let start = bytes.start;
    let shown = |token: &&Token| !hits.iter().any(|hit| hit.bytes.contains(&(start + token.bytes.start)));
    tokens(&piece[bytes]).iter().filter(|token| is_sign(token)).filter(shown).count()
}

/// Where letters, digits and Han characters stand in a part of a piece.
fn shown(piece: &str, bytes: Range<usize>) -> impl Iterator<Item = usize> {
    let start = bytes.start;
    piece[bytes].char_indices().filter(|(_, character)| character.is_alphanumeric()).map(move |(at, _)| start + at)
}

fn is_hit(masked: &Masked, at: usize) -> bool {
    masked.hits.iter().any(|hit| hit.bytes.contains(&at))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::masking::MaskingLists;

    #[test]
    fn sentences_are_read() {
        let sentence = Sentence::parse("电话 | <phone>138 | 00</phone>好").expect("it is right");
        assert_eq!(sentence.pieces, ["电话", "138", "00好"]);
        assert_eq!(sentence.secrets, [Secret { class: Class::Phone, places: vec![(1, 0..3), (2, 0..2)] }]);
        let turns = Sentence::parse("<phone>138 | > 嗯 | 00</phone>").expect("it is right");
        assert_eq!((turns.by_other(1), turns.by_other(0)), (Some("嗯"), None));
        assert_eq!(turns.secrets[0].places, [(0, 0..3), (2, 0..2)]);
        for wrong in ["<phone>1", "1</phone>", "<phone>1</name>", "<fax>1</fax>", "<name><name>"] {
            assert!(Sentence::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_seen_and_what_is_masked_for_nothing_counts() {
        let masker = Masker::new(Arc::new(MaskingLists::built_in()), Class::usual());
        let mut tally = MaskingTally::default();
        let mut add = |line: &str| tally.add(&Sentence::parse(line).expect("it is right"), masker.clone()).0;
        assert_eq!(add("我的电话<phone>13800138000</phone>谢谢"), []);
        assert_eq!(add("喜欢<name>小花</name>吗"), [Fault::Missed(Class::Name)]);
        assert_eq!(add("13800138000"), [Fault::OverMasked]);
        assert_eq!(add("没有"), []);
        let figures = tally.figures();
        assert_eq!((figures.sentences, figures.secrets, figures.recall, figures.over_masking), (4, 2, 0.5, 0.5));
        assert_eq!(figures.masked_beside, 0.0);
    }

    #[test]
    fn what_is_seen_while_it_grows_counts() {
        let masker = Masker::new(Arc::new(MaskingLists::built_in()), Class::usual());
        let mut tally = MaskingTally::default();
        assert_eq!(tally.figures().masked_growing, None);
        for line in ["我的电话 | <phone>138 | 0013 8000</phone>", "喜欢<name>阿米尔汗</name>吗"] {
            tally.add_growing(&Sentence::parse(line).expect("it is right"), masker.clone());
        }
        assert_eq!(tally.figures().masked_growing, Some(0.5));
    }

    #[test]
    fn every_blind_template_is_filled() {
        for part in [Part::Blind, Part::Unseen] {
            assert_eq!(sentences(3, 400, part).len(), 400);
        }
    }

    #[test]
    fn the_recipe_gives_the_same_sentences_every_time() {
        let first = sentences(7, 400, Part::Seen);
        assert_eq!(first, sentences(7, 400, Part::Seen));
        assert_ne!(first, sentences(8, 400, Part::Seen));
        assert_eq!(first.iter().filter(|sentence| sentence.secrets.is_empty()).count(), 200);
    }

    /// Keeps the rules as good as they were measured to be: docs/SECURITY.md.
    #[test]
    fn recall_and_over_masking_hold() {
        for part in [Part::Seen, Part::HeldOut, Part::Fresh] {
            let masker = Masker::new(Arc::new(MaskingLists::built_in()), Class::usual());
            let mut tally = MaskingTally::default();
            for sentence in sentences(1, 2_400, part) {
                tally.add(&sentence, masker.clone());
            }
            let figures = tally.figures();
            assert!(figures.recall >= 0.995 && figures.over_masking <= 0.01, "{part:?}: {figures:?}");
        }
    }
}
