//! Contextual biasing: phrases that are preferred while a beam search goes on, as an Aho-Corasick automaton over tokens.
//!
//! Each token of a phrase adds its boost to a way's score; a way that leaves the phrase before its end gives all of it
//! back, one that ends it keeps it (k2's context graph, as sherpa-onnx applies it).

use std::collections::{BTreeMap, VecDeque};

/// The most tokens of all phrases together.
const NODES_MAX: usize = 100_000;
const ROOT: usize = 0;

/// The automaton; without phrases it changes nothing.
#[derive(Debug, Clone)]
pub(super) struct Hotwords {
    nodes: Vec<Node>,
}

/// A place in a phrase.
#[derive(Debug, Clone, Default)]
struct Node {
    next: BTreeMap<usize, usize>,
    /// What the token that leads here adds.
    gain: f64,
    /// What all tokens up to here have added.
    total: f64,
    /// A phrase ends here.
    ends: bool,
    /// Where to go on when no token fits: the longest end of this that another phrase begins with.
    fail: usize,
    /// The longest phrase that ends here as the end of this one.
    within: Option<usize>,
}

impl Default for Hotwords {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Hotwords {
    /// An automaton of phrases, each as its tokens and what each of these adds (a logarithm).
    pub(super) fn new(phrases: &[(Vec<usize>, f32)]) -> Self {
        let mut hotwords = Self::default();
        for (tokens, boost) in phrases {
            if hotwords.nodes.len() + tokens.len() <= NODES_MAX {
                hotwords.add(tokens, f64::from(*boost));
            }
        }
        hotwords.link();
        hotwords
    }

    /// What a token adds at place `at`, and the place behind it.
    pub(super) fn step(&self, at: usize, token: usize) -> (f64, usize) {
        let here = &self.nodes[at];
        let (node, gain) = match here.next.get(&token) {
            Some(&next) => (next, self.nodes[next].gain),
            None => {
                let node = self.behind(here.fail, token);
                (node, self.nodes[node].total - here.total)
            }
        };
        let Node { ends, total, within, .. } = &self.nodes[node];
        match (ends, within) {
            (true, _) => (gain, ROOT),
            (false, Some(within)) => (gain + self.nodes[*within].total - total, ROOT),
            (false, None) => (gain, node),
        }
    }

    fn add(&mut self, tokens: &[usize], boost: f64) {
        let mut at = ROOT;
        for &token in tokens {
            let total = self.nodes[at].total;
            let next = match self.nodes[at].next.get(&token) {
                Some(&next) => next,
                None => {
                    self.nodes.push(Node::default());
                    let next = self.nodes.len() - 1;
                    self.nodes[at].next.insert(token, next);
                    next
                }
            };
            let node = &mut self.nodes[next];
            node.gain = node.gain.max(boost);
            node.total = total + node.gain;
            at = next;
        }
        self.nodes[at].ends = at != ROOT;
    }

    /// Fills in where to go on, the shorter places first.
    fn link(&mut self) {
        let mut waiting: VecDeque<usize> = self.nodes[ROOT].next.values().copied().collect();
        while let Some(at) = waiting.pop_front() {
            for (token, next) in self.nodes[at].next.clone() {
                let fail = self.behind(self.nodes[at].fail, token);
                let within = if self.nodes[fail].ends { Some(fail) } else { self.nodes[fail].within };
                let node = &mut self.nodes[next];
                (node.fail, node.within) = (fail, within);
                waiting.push_back(next);
            }
        }
    }

    /// The place behind a token, from `at` or the longest end of it that has one.
    fn behind(&self, mut at: usize, token: usize) -> usize {
        loop {
            match self.nodes[at].next.get(&token) {
                Some(&next) => return next,
                None if at == ROOT => return ROOT,
                None => at = self.nodes[at].fail,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_phrase_keeps_its_boost_and_a_part_gives_it_back() {
        check(&[(&[1, 2, 3], 1.5)], &[9, 1, 2, 3], 4.5);
        check(&[(&[1, 2, 3], 1.5)], &[1, 2, 9], 0.0);
        check(&[(&[1, 2, 3], 1.5)], &[1, 1, 2, 3, 1], 6.0);
        check(&[], &[1, 2, 3], 0.0);
    }

    #[test]
    fn phrases_within_and_beside_one_another() {
        let phrases: &[(&[usize], f32)] = &[(&[1, 2, 3, 4], 1.0), (&[2, 3], 2.0)];
        // The shorter one ends inside the longer one, with what it is worth itself.
        check(phrases, &[1, 2, 3], 4.0);
        check(phrases, &[5, 2, 3], 4.0);
        // The end of a part begins the other.
        check(&[(&[1, 2, 9], 1.0), (&[2, 7], 1.0)], &[1, 2, 7], 2.0);
    }

    #[test]
    fn the_first_tokens_are_worth_what_their_best_phrase_gives() {
        check(&[(&[1, 2], 1.0), (&[1, 3], 3.0)], &[1, 2], 4.0);
    }

    #[track_caller]
    fn check(phrases: &[(&[usize], f32)], tokens: &[usize], expected: f64) {
        let phrases: Vec<(Vec<usize>, f32)> = phrases.iter().map(|&(tokens, boost)| (tokens.to_vec(), boost)).collect();
        let hotwords = Hotwords::new(&phrases);
        let mut total = 0.0;
        let mut at = ROOT;
        for &token in tokens {
            let (gain, next) = hotwords.step(at, token);
            total += gain;
            at = next;
        }
        assert!((total - expected).abs() < 1e-9, "{total} for {tokens:?}");
    }
}
