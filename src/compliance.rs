//! What whoever serves must say and must never say: rules that an operator writes, found in what is said and written.
//!
//! Reads files, finds phrases, and says which rule is broken and when; knows no call and no clock: call control says who
//! speaks, and what time it is.

mod duties;
mod file;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aho_corasick::AhoCorasick;
use nlu::text::{is_whole, normalized};

pub use duties::{Duties, LATE};
pub use file::parse;

use crate::settings::Fault;

/// Files of one server.
pub const FILES_MAX: usize = 20;
/// Rules of one server.
pub const RULES_MAX: usize = 500;
/// The longest text that is searched, characters; what is longer is cut.
const TEXT_CHARACTERS_MAX: usize = 4_096;

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Names it, once per server.
    pub id: String,
    /// What is wrong when it is broken, for people.
    pub text: String,
    /// What it asks for.
    pub duty: Duty,
    /// Any of these is what it is about.
    pub phrases: Vec<String>,
    /// A phrase inside one of these says something else.
    pub unless: Vec<String>,
    /// The scenarios it is for; `*` is every one.
    pub scenarios: Vec<String>,
    /// The targets that it is for, by name; none: everybody who serves.
    pub targets: Vec<String>,
}

/// What a rule asks of whoever serves.
#[derive(Debug, Clone, PartialEq)]
pub enum Duty {
    /// Never to say it.
    NeverSay,
    /// To say it by a certain moment.
    MustSay(Moment),
}

/// By when something must be said.
#[derive(Debug, Clone, PartialEq)]
pub enum Moment {
    /// So soon after the customer and whoever serves are connected.
    Opening(Duration),
    /// Before they part, when they have talked for so long.
    End(Duration),
    /// So soon after either of them has used one of these phrases.
    After(Vec<String>, Duration),
}

impl Duty {
    /// One word for it, in events and figures.
    pub fn name(&self) -> &'static str {
        match self {
            Duty::NeverSay => "never_say",
            Duty::MustSay(_) => "must_say",
        }
    }
}

impl Rule {
    /// Whether it is for those of this target who serve in this scenario.
    pub fn is_for(&self, scenario: &str, target: &str) -> bool {
        let covers = self.scenarios.iter().any(|own| own == EVERY || own == scenario);
        covers && (self.targets.is_empty() || self.targets.iter().any(|own| own == target))
    }
}

/// All rules, ready to be looked for.
#[derive(Debug, Default)]
pub struct Phrases {
    rules: Vec<Rule>,
    /// Of each pattern of the automaton: its rule, and what it is to it.
    patterns: Vec<(usize, Part)>,
    automaton: Option<AhoCorasick>,
}

/// What a phrase is to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// What the rule is about.
    Phrase,
    /// What makes a phrase inside it say something else.
    Excuse,
    /// From then on something must be said.
    Occasion,
}

/// The rules of which something was found in a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Those whose phrases are in it.
    pub said: BTreeSet<usize>,
    /// Those to which it gives occasion.
    pub occasions: BTreeSet<usize>,
}

impl Phrases {
    /// Reads files.
    ///
    /// # Errors
    /// Every fault in every file.
    pub fn load(files: &[PathBuf]) -> Result<Phrases, Vec<Fault>> {
        let (mut read, mut faults) = (Vec::new(), Vec::new());
        for path in files {
            match crate::settings::read_text(path) {
                Ok(text) => read.push((path.clone(), text)),
                Err(fault) => faults.push(fault),
            }
        }
        let phrases = Phrases::of(&read);
        match phrases {
            Ok(phrases) if faults.is_empty() => Ok(phrases),
            Ok(_) => Err(faults),
            Err(found) => Err(faults.into_iter().chain(found).collect()),
        }
    }

    /// Of files that have been read.
    ///
    /// # Errors
    /// Every fault in every file.
    pub fn of(files: &[(PathBuf, String)]) -> Result<Phrases, Vec<Fault>> {
        let (mut rules, mut ids, mut faults) = (Vec::new(), BTreeSet::new(), Vec::new());
        for (path, text) in files {
            match parse(text) {
                Ok(found) => {
                    for rule in found {
                        if !ids.insert(rule.id.clone()) {
                            faults.push(doubled(path, &rule));
                        }
                        rules.push(rule);
                    }
                }
                Err(found) => faults.extend(found.into_iter().map(|fault| Fault::inside(path, fault))),
            }
        }
        if let Some((path, _)) = files.last().filter(|_| rules.len() > RULES_MAX) {
            let (file, key) = (path.clone(), "never_say, must_say".to_owned());
            let found = format!("{} rules in all", rules.len());
            faults.push(Fault { file, key, found, expected: format!("at most {RULES_MAX}") });
        }
        if faults.is_empty() { Ok(Phrases::new(rules)) } else { Err(faults) }
    }

    fn new(rules: Vec<Rule>) -> Phrases {
        let (mut keys, mut patterns) = (Vec::new(), Vec::new());
        for (at, rule) in rules.iter().enumerate() {
            let occasions: &[String] = match &rule.duty {
                Duty::MustSay(Moment::After(occasions, _)) => occasions,
                _ => &[],
            };
            let parts = [(&rule.phrases[..], Part::Phrase), (&rule.unless, Part::Excuse), (occasions, Part::Occasion)];
            for (phrases, part) in parts {
                for phrase in phrases {
                    keys.push(normalized(phrase).collect::<String>());
                    patterns.push((at, part));
                }
            }
        }
        let automaton = (!keys.is_empty())
            .then(|| AhoCorasick::new(keys).expect("the phrases of all rules are far fewer than an automaton holds"));
        Phrases { rules, patterns, automaton }
    }

    /// All rules, in the order of files.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules of which something is in a text. Case, width and script (traditional or simplified) do not matter; a
    /// phrase of Latin letters must be whole words.
    pub fn find(&self, text: &str) -> Found {
        let Some(automaton) = &self.automaton else { return Found::default() };
        let plain: String = normalized(text).take(TEXT_CHARACTERS_MAX).collect();
        let (mut phrases, mut excuses, mut found) = (Vec::new(), Vec::new(), Found::default());
        for hit in automaton.find_overlapping_iter(&plain).filter(|hit| is_whole(&plain, hit.start(), hit.end())) {
            let (rule, part) = self.patterns[hit.pattern().as_usize()];
            match part {
                Part::Phrase => phrases.push((rule, hit.range())),
                Part::Excuse => excuses.push((rule, hit.range())),
                Part::Occasion => {
                    found.occasions.insert(rule);
                }
            }
        }
        let is_excused = |(rule, phrase): &(usize, std::ops::Range<usize>)| {
            let holds = |(of, excuse): &(usize, std::ops::Range<usize>)| {
                of == rule && excuse.start <= phrase.start && phrase.end <= excuse.end
            };
            excuses.iter().any(holds)
        };
        found.said = phrases.iter().filter(|hit| !is_excused(hit)).map(|(rule, _)| *rule).collect();
        found
    }
}

fn doubled(path: &Path, rule: &Rule) -> Fault {
    Fault {
        file: path.to_owned(),
        key: "id".to_owned(),
        found: format!("\"{}\", once more", rule.id),
        expected: "an id of its own".to_owned(),
    }
}

/// Every scenario.
const EVERY: &str = "*";

#[cfg(test)]
mod tests;
