//! Finds entries by what is asked, with BM25 over each way of asking, and over the whole of each entry beside it.
//!
//! Scores of BM25 grow with the length of a question; here they are divided by what question and entry weigh, so that one
//! floor serves all.

use std::collections::{BTreeMap, BTreeSet};

use bm25::{Embedder, EmbedderBuilder, Embedding, Scorer, TokenEmbedder, TokenEmbedding, Tokenizer};

use super::entry::Saying;
use super::tokens::Tokens;

/// Who shares fewer tokens with a question, where the question has so many, may do so by chance and counts for less.
const SHARED_MIN: usize = 2;
const BY_CHANCE: f32 = 0.6;

/// Tokens of a question that are looked for, each of which is compared with every entry; later ones say little more.
const ASKED_MAX: usize = 128;

/// The entries of one language.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Ways of asking.
    questions: Field,
    /// Questions and answer of each entry together.
    wholes: Field,
}

/// Texts of one kind.
#[derive(Default)]
struct Field {
    scorer: Scorer<u32, u64>,
    texts: Vec<Text>,
    /// In how many of them a token stands.
    spread: BTreeMap<u64, u32>,
}

/// One text.
#[derive(Debug)]
struct Text {
    /// Where its entry stands.
    entry: usize,
    tokens: BTreeSet<u64>,
    /// The sum of what its tokens weigh.
    weight: f32,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} texts", self.texts.len())
    }
}

impl Index {
    /// Of entries by where they stand.
    pub(super) fn new<'a>(sayings: impl Iterator<Item = (usize, &'a Saying)> + Clone) -> Index {
        let questions =
            sayings.clone().flat_map(|(at, saying)| saying.questions.iter().map(move |text| (at, text.clone())));
        let wholes = sayings.map(|(at, saying)| (at, format!("{} {}", saying.questions.join(" "), saying.answer)));
        Index { questions: Field::new(&questions.collect::<Vec<_>>()), wholes: Field::new(&wholes.collect::<Vec<_>>()) }
    }

    /// The entries that fit, best first, of those that `is_asked`.
    pub(super) fn search(&self, text: &str, is_asked: impl Fn(usize) -> bool) -> Vec<(usize, f32)> {
        let asked: BTreeSet<u64> =
            Tokens.tokenize(text).iter().take(ASKED_MAX).map(|token| u64::embed(token)).collect();
        if asked.is_empty() {
            return Vec::new();
        }
        let query = Embedding(asked.iter().map(|token| TokenEmbedding { index: *token, value: 1.0 }).collect());
        let mut scores: BTreeMap<usize, f32> = BTreeMap::new();
        let weight = self.questions.weight(&asked);
        for (text, score) in self.questions.matches(&query).filter(|(text, _)| is_asked(text.entry)) {
            let own = score / (weight * text.weight).sqrt().max(f32::MIN_POSITIVE);
            let best = scores.entry(text.entry).or_default();
            *best = best.max(own);
        }
        let needed = SHARED_MIN.min(asked.len());
        for (text, score) in self.wholes.matches(&query).filter(|(text, _)| is_asked(text.entry)) {
            let whole = scores.entry(text.entry).or_default();
            *whole += score / weight.max(f32::MIN_POSITIVE);
            if asked.intersection(&text.tokens).count() < needed {
                *whole *= BY_CHANCE;
            }
        }
        let mut found: Vec<(usize, f32)> = scores.into_iter().collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found
    }
}

impl Field {
    fn new(texts: &[(usize, String)]) -> Field {
        let corpus: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
        let embedder: Embedder<u64, Tokens> =
            EmbedderBuilder::with_tokenizer_and_fit_to_corpus(Tokens, &corpus).build();
        let mut field = Field::default();
        for (number, (entry, text)) in (0..).zip(texts) {
            let embedding = embedder.embed(text);
            let tokens: BTreeSet<u64> = embedding.indices().copied().collect();
            for token in &tokens {
                *field.spread.entry(*token).or_default() += 1;
            }
            field.texts.push(Text { entry: *entry, tokens, weight: 0.0 });
            field.scorer.upsert(&number, embedding);
        }
        let weights: Vec<f32> = field.texts.iter().map(|text| field.weight(&text.tokens)).collect();
        for (text, weight) in field.texts.iter_mut().zip(weights) {
            text.weight = weight;
        }
        field
    }

    fn matches(&self, query: &Embedding<u64>) -> impl Iterator<Item = (&Text, f32)> {
        self.scorer.matches(query).into_iter().map(|scored| (&self.texts[scored.id as usize], scored.score))
    }

    /// The sum of the inverse document frequencies of tokens, as BM25 has them.
    fn weight(&self, tokens: &BTreeSet<u64>) -> f32 {
        let all = self.texts.len() as f32;
        let weigh = |token: &u64| {
            let with = self.spread.get(token).copied().unwrap_or(0) as f32;
            (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
        };
        tokens.iter().map(weigh).sum()
    }
}
