//! Phrases in what the network holds likely: where each fits best, and how much worse than anything else would.
//!
//! A phrase is its tokens one after the other, with nothing between them where it likes (CTC). At every step it may begin,
//! for what lies before it is free speech, which costs nothing; a step of the phrase costs how much less likely its token is
//! than the likeliest one.

use super::super::graph::GraphError;
use super::super::phrases::{Phrase, PhraseList};
use super::sounds::{BLANK, SoundedUnit, Sounds};

/// Times that one phrase is found in one stretch.
const TIMES_MAX: usize = 4;
/// What a token may cost on average; a phrase that costs more is nowhere near.
const COST_MAX: f32 = 8.0;
/// What a token of a longer phrase is worth beside a shorter one that fits better.
const TOKEN_WORTH: f32 = 1.5;
/// No way leads there.
const NEVER: f32 = f32::NEG_INFINITY;

/// Logarithms of the likelihood of each token at each step.
#[derive(Debug, Clone, PartialEq)]
pub struct Likelihoods {
    /// Step after step, each with all tokens.
    pub(super) values: Vec<f32>,
    /// How many tokens that are.
    pub(super) tokens: usize,
}

/// Phrases as the network's tokens.
#[derive(Debug)]
pub struct Phrases {
    phrases: Vec<SoundedPhrase>,
    /// Tokens that theirs are laid beside: nothing, and the syllables or the letters, whichever the phrases are made of.
    beside: Vec<usize>,
}

#[derive(Debug)]
struct SoundedPhrase {
    phrase: Phrase,
    units: Vec<SoundedUnit>,
    tokens: Vec<Vec<u16>>,
}

/// How well a phrase fits where it fits best; what its confidence is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margins {
    /// What a token costs on average, natural logarithm; 0 or less.
    pub mean: f32,
    /// Tokens of it.
    pub tokens: usize,
}

/// A phrase where it fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Spotted<'a> {
    /// Which.
    pub phrase: &'a Phrase,
    /// How well.
    pub margins: Margins,
    /// Its units as they are written, each with its margins, its first step and the one behind its last.
    pub units: Vec<(&'a str, Margins, usize, usize)>,
}

impl Spotted<'_> {
    /// Its first step.
    pub fn start(&self) -> usize {
        self.units.first().map_or(0, |unit| unit.2)
    }

    /// The step behind its last one.
    pub fn end(&self) -> usize {
        self.units.last().map_or(0, |unit| unit.3)
    }

    fn worth(&self) -> f32 {
        (self.margins.mean + TOKEN_WORTH) * self.margins.tokens as f32
    }
}

impl Likelihoods {
    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.values.len() / self.tokens.max(1)
    }

    /// What each token costs at each step: its likelihood beside that of the likeliest of some.
    fn costs(&self, beside: &[usize]) -> Vec<f32> {
        let beside_best = |step: &[f32]| -> Vec<f32> {
            let best = beside.iter().filter_map(|token| step.get(*token)).copied().fold(f32::MIN, f32::max);
            step.iter().map(|value| value - best).collect()
        };
        self.values.chunks_exact(self.tokens.max(1)).flat_map(beside_best).collect()
    }
}

impl Phrases {
    /// Finds out how the phrases of a list sound.
    ///
    /// # Errors
    /// Every phrase with a character or letter that is not known.
    pub(super) fn new(list: &PhraseList, sounds: &Sounds) -> Result<Self, GraphError> {
        let mut phrases = Vec::new();
        let mut unknown = Vec::new();
        for phrase in &list.phrases {
            match sounds.units(&phrase.text) {
                Ok(units) if !units.is_empty() => {
                    let tokens = units.iter().flat_map(|unit| unit.tokens.iter().cloned()).collect();
                    phrases.push(SoundedPhrase { phrase: phrase.clone(), units, tokens });
                }
                Ok(_) => unknown.push(format!("nothing to say in {:?}", phrase.text)),
                Err(part) => unknown.push(format!("{part:?} in {:?}", phrase.text)),
            }
        }
        if !unknown.is_empty() {
            return Err(GraphError::UnknownWords { unknown });
        }
        let used = || phrases.iter().flat_map(|phrase| phrase.tokens.iter().flatten());
        let (has_syllables, has_letters) =
            (used().any(|token| !sounds.is_letter(*token)), used().any(|token| sounds.is_letter(*token)));
        let is_beside =
            |token: &u16| *token == BLANK || if sounds.is_letter(*token) { has_letters } else { has_syllables };
        let beside = (0..sounds.tokens()).filter(is_beside).map(usize::from).collect();
        Ok(Self { phrases, beside })
    }

    /// Every place where a phrase that `is_wanted` fits, in order; of those that overlap, the one that is worth most.
    pub fn spot<'a>(&'a self, heard: &Likelihoods, is_wanted: impl Fn(&Spotted<'a>) -> bool) -> Vec<Spotted<'a>> {
        let costs = Costs { values: &heard.costs(&self.beside), tokens: heard.tokens };
        let mut found: Vec<Spotted<'a>> = Vec::new();
        for phrase in &self.phrases {
            found.extend(phrase.spot(&costs).into_iter().filter(&is_wanted));
        }
        found.sort_by(|a, b| b.worth().total_cmp(&a.worth()));
        let mut kept: Vec<Spotted<'a>> = Vec::new();
        for spotted in found {
            if kept.iter().all(|other| spotted.end() <= other.start() || other.end() <= spotted.start()) {
                kept.push(spotted);
            }
        }
        kept.sort_by_key(Spotted::start);
        kept
    }
}

struct Costs<'a> {
    values: &'a [f32],
    tokens: usize,
}

impl Costs<'_> {
    fn steps(&self) -> usize {
        self.values.len() / self.tokens.max(1)
    }

    /// What it costs to say one of these tokens at a step.
    fn of(&self, step: usize, tokens: &[u16]) -> f32 {
        let here = &self.values[step * self.tokens..(step + 1) * self.tokens];
        tokens.iter().filter_map(|token| here.get(usize::from(*token))).copied().fold(NEVER, f32::max)
    }
}

/// The best ways to every state at every step. Even states are tokens, odd ones the nothing behind a token.
struct Ways {
    states: usize,
    scores: Vec<f32>,
    /// How many states back each way came from at the step before; [`BEGUN`] where it begins.
    from: Vec<u8>,
}

const BEGUN: u8 = u8::MAX;

impl SoundedPhrase {
    /// The places where it fits best, none upon another.
    fn spot(&self, costs: &Costs<'_>) -> Vec<Spotted<'_>> {
        let ways = self.ways(costs);
        let (last, worst) = (ways.states - 1, -COST_MAX * self.tokens.len() as f32);
        let score_at = |step: usize| ways.scores[step * ways.states + last];
        let mut ends: Vec<usize> = (0..costs.steps()).filter(|step| score_at(*step) > worst).collect();
        // Where it is the same, the later one: the last token goes on.
        ends.sort_by(|a, b| score_at(*b).total_cmp(&score_at(*a)).then(b.cmp(a)));
        let mut found: Vec<Spotted<'_>> = Vec::new();
        for end in ends {
            if found.len() == TIMES_MAX {
                break;
            }
            if found.iter().any(|other| (other.start()..other.end()).contains(&end)) {
                continue;
            }
            let spotted = self.followed(&ways, costs, end);
            if found.iter().all(|other| spotted.end() <= other.start() || other.end() <= spotted.start()) {
                found.push(spotted);
            }
        }
        found
    }

    fn ways(&self, costs: &Costs<'_>) -> Ways {
        let (steps, states) = (costs.steps(), 2 * self.tokens.len() - 1);
        let mut ways = Ways { states, scores: vec![NEVER; steps * states], from: vec![BEGUN; steps * states] };
        let may_skip: Vec<bool> = (0..states).map(|state| state % 2 == 0 && self.may_skip(state / 2)).collect();
        for step in 0..steps {
            let nothing = costs.of(step, &[BLANK]);
            for (state, may_skip) in may_skip.iter().enumerate() {
                let cost = if state % 2 == 0 { costs.of(step, &self.tokens[state / 2]) } else { nothing };
                let before = |back: usize| match (step, state.checked_sub(back)) {
                    (1.., Some(state)) => ways.scores[(step - 1) * states + state],
                    _ => NEVER,
                };
                // To begin costs nothing: what was said before it is free speech.
                let mut best = if state == 0 { (0.0, BEGUN) } else { (NEVER, BEGUN) };
                for back in 0..=usize::from(*may_skip) + 1 {
                    let score = before(back);
                    if score > best.0 || (score == best.0 && back == 0 && score > NEVER) {
                        best = (score, back as u8);
                    }
                }
                ways.scores[step * states + state] = best.0 + cost;
                ways.from[step * states + state] = best.1;
            }
        }
        ways
    }

    /// Whether a token may follow the one before without nothing between them: not where both may be the same.
    fn may_skip(&self, place: usize) -> bool {
        place > 0 && !self.tokens[place].iter().any(|token| self.tokens[place - 1].contains(token))
    }

    /// The way that ends in the last state at a step, as units.
    fn followed(&self, ways: &Ways, costs: &Costs<'_>, end: usize) -> Spotted<'_> {
        // Per token: what it cost with the nothing behind it, its first step, and the one behind its last.
        let mut tokens = vec![(0.0_f32, end + 1, end + 1); self.tokens.len()];
        let (mut step, mut state) = (end, ways.states - 1);
        loop {
            let cost = if state % 2 == 0 { costs.of(step, &self.tokens[state / 2]) } else { costs.of(step, &[BLANK]) };
            let token = &mut tokens[state / 2];
            token.0 += cost;
            if state % 2 == 0 {
                token.1 = step;
                token.2 = token.2.min(end + 1);
            }
            let from = ways.from[step * ways.states + state];
            if from == BEGUN || step == 0 {
                break;
            }
            let next = state - usize::from(from);
            if next / 2 != state / 2 {
                tokens[next / 2].2 = step;
            }
            (step, state) = (step - 1, next);
        }
        let mut units = Vec::new();
        let mut place = 0;
        for unit in &self.units {
            let own = &tokens[place..place + unit.tokens.len()];
            place += own.len();
            let (first, last) = (own.first().map_or(0, |token| token.1), own.last().map_or(0, |token| token.2));
            units.push((unit.text.as_str(), margins(own), first, last));
        }
        Spotted { phrase: &self.phrase, margins: margins(&tokens), units }
    }
}

/// Margins of tokens, at least one of them.
fn margins(tokens: &[(f32, usize, usize)]) -> Margins {
    let sum: f32 = tokens.iter().map(|token| token.0).sum();
    Margins { mean: sum / tokens.len().max(1) as f32, tokens: tokens.len() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Tokens by letter; nothing is `-`.
    const LETTERS: &str = "-abcdefg";

    #[test]
    fn phrases_are_found_where_they_are_said() {
        check("--a-b-c--", "abc 0.0 2-7");
        check("gaabbccg", "abc 0.0 1-7");
        check("-abc-ab-c", "abc 0.0 1-4, abc 0.0 5-9");
        // Two of the same want nothing between them.
        check("-d-d-", "dd 0.0 1-4");
        check("-ddd-", "");
        check("-abcdd", "abc 0.0 1-4");
        check("----", "");
        check("", "");
    }

    #[test]
    fn what_is_said_otherwise_costs() {
        check("-aec-", "abc -2.0 1-4");
        check("-aeg-", "");
    }

    #[test]
    fn the_longer_one_is_worth_more() {
        check("-efga", "efga 0.0 1-5");
        check("-efgb", "efg 0.0 1-4");
    }

    #[test]
    fn units_have_their_places() {
        let phrases = phrases(&["abc"]);
        let heard = heard("gaa-b-ccg");
        let spotted = phrases.spot(&heard, |_| true);
        let [(text, margins, first, last)] = spotted[0].units[..] else { panic!("one word") };
        assert_eq!((text, margins.tokens, first, last), ("abc", 3, 1, 8));
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = Phrases::new(&list(&["abc", "xyz"]), &sounds()).expect_err("no such letters");
        assert_eq!(error.to_string(), "expected words of the model's dictionary, found: \"xyz\" in \"xyz\"");
    }

    proptest! {
        #[test]
        fn no_way_is_better_than_the_best(
            text in "[a-c]{1,3}",
            values in proptest::collection::vec(-6.0f32..0.0, 0..6 * 4),
        ) {
            let heard = Likelihoods { tokens: 4, values: values[..values.len() / 4 * 4].to_vec() };
            let phrases = phrases(&[&text]);
            let found = phrases.spot(&heard, |_| true);
            let best = best_by_trying(&heard, &text);
            prop_assert_eq!(found.is_empty(), best <= -COST_MAX * text.len() as f32);
            let highest = found.iter().map(|spotted| spotted.margins.mean).fold(NEVER, f32::max);
            prop_assert!(found.is_empty() || (highest * text.len() as f32 - best).abs() < 1e-3, "{} {}", highest, best);
            for spotted in &found {
                prop_assert!(spotted.start() < spotted.end() && spotted.end() <= heard.steps());
                prop_assert!(spotted.margins.mean <= 0.0);
            }
        }

        #[test]
        fn none_lies_upon_another(values in proptest::collection::vec(-3.0f32..0.0, 0..30 * 8)) {
            let heard = Likelihoods { tokens: 8, values: values[..values.len() / 8 * 8].to_vec() };
            let phrases = phrases(&["abc", "dd", "ca", "efga"]);
            let found = phrases.spot(&heard, |_| true);
            prop_assert!(found.windows(2).all(|pair| pair[0].end() <= pair[1].start()));
        }
    }

    /// Every sequence of tokens over every stretch of steps that collapses into the text: the cheapest.
    fn best_by_trying(heard: &Likelihoods, text: &str) -> f32 {
        let costs = heard.costs(&(0..heard.tokens).collect::<Vec<_>>());
        let wanted: Vec<usize> = text.chars().filter_map(|letter| LETTERS.find(letter)).collect();
        let mut best = NEVER;
        for first in 0..heard.steps() {
            let mut ways = vec![(Vec::<usize>::new(), 0.0)];
            for step in first..heard.steps() {
                let longer = ways.iter().flat_map(|(way, cost)| {
                    let costs = &costs;
                    (0..heard.tokens).map(move |token| {
                        let mut way = way.clone();
                        way.push(token);
                        (way, cost + costs[step * heard.tokens + token])
                    })
                });
                ways = longer.collect();
                for (way, cost) in &ways {
                    let mut collapsed = way.clone();
                    collapsed.dedup();
                    collapsed.retain(|token| *token != 0);
                    if collapsed == wanted && way[0] != 0 && way.last() != Some(&0) {
                        best = best.max(*cost);
                    }
                }
            }
        }
        best
    }

    /// What is found of some phrases that cost at most 2 per token, where one letter is all but sure at each step.
    #[track_caller]
    fn check(said: &str, expected: &str) {
        let phrases = phrases(&["abc", "dd", "efg", "efga"]);
        let heard = heard(said);
        let found = phrases.spot(&heard, |spotted| spotted.margins.mean >= -2.1);
        let told = |spotted: &Spotted<'_>| {
            let (text, mean) = (&spotted.phrase.text, spotted.margins.mean);
            format!("{text} {:.1} {}-{}", mean.abs() * mean.signum(), spotted.start(), spotted.end())
        };
        let found: Vec<String> = found.iter().map(told).collect();
        assert_eq!(found.join(", ").replace("-0.0", "0.0"), expected, "{said}");
    }

    fn heard(said: &str) -> Likelihoods {
        let step = |letter: char| LETTERS.chars().map(move |other| if other == letter { 0.0 } else { -6.0 });
        Likelihoods { tokens: LETTERS.len(), values: said.chars().flat_map(step).collect() }
    }

    fn phrases(texts: &[&str]) -> Phrases {
        Phrases::new(&list(texts), &sounds()).expect("all letters are known")
    }

    fn sounds() -> Sounds {
        let mut tokens: Vec<String> = LETTERS.chars().map(String::from).collect();
        tokens[0].clear();
        Sounds::new(&tokens, &BTreeMap::new()).expect("letters alone")
    }

    fn list(texts: &[&str]) -> PhraseList {
        let quoted: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
        let text = format!("language = 'en'\n[[intent]]\nname = 'any'\nphrases = [{}]\n", quoted.join(","));
        PhraseList::from_toml(&text).expect("a list")
    }
}
