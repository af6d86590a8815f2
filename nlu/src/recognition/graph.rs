//! The phrase graph: any order of the phrases and of single phones, so that other speech has its own way through.
//!
//! Written as dictionary entries and grammars (JSGF) that a decoder takes; knows no decoder.

use super::dictionary::{Dictionary, SpokenUnit};
use super::phrases::{Phrase, PhraseList};

/// What a phone outside of phrases costs: phrases that are nearly as good as free phones become candidates.
const FILLER_WEIGHT: &str = "1e-12";

/// Phrases, compiled for one dictionary.
#[derive(Debug)]
pub(super) struct Graph {
    phrases: Vec<(Phrase, Vec<SpokenUnit>)>,
    phones: Vec<String>,
    syllables: Vec<String>,
}

/// Why phrases cannot be listened for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The dictionary lacks words.
    #[error("expected words of the model's dictionary, found: {}", unknown.join("; "))]
    UnknownWords {
        /// One line per phrase.
        unknown: Vec<String>,
    },
    /// It is no dictionary.
    #[error("the dictionary has no entries")]
    NoDictionary,
}

impl Graph {
    /// Finds how the phrases are spoken.
    ///
    /// # Errors
    /// Every phrase with a word that the dictionary lacks.
    pub(super) fn new(list: &PhraseList, dictionary: &Dictionary) -> Result<Self, GraphError> {
        let phones: Vec<String> = dictionary.phones().into_iter().map(str::to_owned).collect();
        if phones.is_empty() {
            return Err(GraphError::NoDictionary);
        }
        let mut phrases = Vec::new();
        let mut unknown = Vec::new();
        for phrase in &list.phrases {
            match dictionary.units(&phrase.text) {
                Ok(units) if !units.is_empty() => phrases.push((phrase.clone(), units)),
                Ok(_) => unknown.push(format!("nothing to say in {:?}", phrase.text)),
                Err(part) => unknown.push(format!("{part:?} in {:?}", phrase.text)),
            }
        }
        let syllables = dictionary.syllables();
        if unknown.is_empty() {
            Ok(Self { phrases, phones, syllables })
        } else {
            Err(GraphError::UnknownWords { unknown })
        }
    }

    /// Entries of a decoder's dictionary: name and phones. Alternatives follow what they are alternatives of.
    pub(super) fn entries(&self) -> Vec<(String, String)> {
        let mut entries = Vec::new();
        for (p, (_, units)) in self.phrases.iter().enumerate() {
            for (u, unit) in units.iter().enumerate() {
                for (way, sounds) in unit.sounds.iter().enumerate() {
                    let alternative = if way == 0 { String::new() } else { format!("({})", way + 1) };
                    entries.push((format!("p{p}u{u}{alternative}"), sounds.clone()));
                }
            }
        }
        entries.extend(self.phones.iter().enumerate().map(|(f, phone)| (format!("f{f}"), phone.clone())));
        entries.extend(self.syllables.iter().enumerate().map(|(y, sounds)| (format!("y{y}"), sounds.clone())));
        entries
    }

    /// Phrases and free phones, in any order.
    pub(super) fn grammar(&self) -> String {
        let phrase = |(p, (_, units)): (usize, &(Phrase, Vec<SpokenUnit>))| {
            let units: Vec<String> = (0..units.len()).map(|u| format!("p{p}u{u}")).collect();
            format!("( {} )", units.join(" "))
        };
        let phrases: Vec<String> = self.phrases.iter().enumerate().map(phrase).collect();
        let fillers: Vec<String> = (0..self.phones.len()).map(|f| format!("/{FILLER_WEIGHT}/ f{f}")).collect();
        let (phrases, fillers) = (phrases.join(" | "), fillers.join(" | "));
        format!("{HEADER}public <s> = ( <p> | <f> )*;\n<p> = {phrases};\n<f> = {fillers};\n")
    }

    /// Free syllables, or free phones where a language is not written in syllables: what the speech would score
    /// without any phrase.
    pub(super) fn free_grammar(&self) -> String {
        let (letter, count) =
            if self.syllables.is_empty() { ('f', self.phones.len()) } else { ('y', self.syllables.len()) };
        let free: Vec<String> = (0..count).map(|index| format!("{letter}{index}")).collect();
        format!("{HEADER}public <s> = ( {} )*;\n", free.join(" | "))
    }

    /// The phrase of an index, with its units.
    pub(super) fn phrase(&self, index: usize) -> Option<(&Phrase, &[SpokenUnit])> {
        self.phrases.get(index).map(|(phrase, units)| (phrase, units.as_slice()))
    }
}

/// The phrase and the unit that an entry's name stands for, e.g. `p3u1(2)`; `None` for phones and silence.
pub(super) fn place_of(entry: &str) -> Option<(usize, usize)> {
    let name = entry.split('(').next()?;
    let (phrase, unit) = name.strip_prefix('p')?.split_once('u')?;
    Some((phrase.parse().ok()?, unit.parse().ok()?))
}

const HEADER: &str = "#JSGF V1.0;\ngrammar calmline;\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_become_entries_and_a_grammar() {
        let graph = Graph::new(&list(&["投诉", "太差"]), &dictionary()).expect("a graph");
        let entries: Vec<String> = graph.entries().iter().map(|(name, phones)| format!("{name}={phones}")).collect();
        let expected =
            ["p0u0=t ou", "p0u1=s u", "p1u0=t ai", "p1u1=ch a", "p1u1(2)=ch ai", "f0=a", "f1=ai", "f2=ch", "f3=ou"];
        assert_eq!(entries[..9], expected);
        let grammar = graph.grammar();
        assert!(grammar.contains("<p> = ( p0u0 p0u1 ) | ( p1u0 p1u1 );"), "{grammar}");
        assert!(grammar.contains("/1e-12/ f0 | /1e-12/ f1"), "{grammar}");
        assert_eq!(graph.free_grammar(), format!("{HEADER}public <s> = ( y0 | y1 | y2 | y3 | y4 )*;\n"));
        assert_eq!(graph.phrase(1).map(|(phrase, units)| (phrase.text.as_str(), units.len())), Some(("太差", 2)));
    }

    #[test]
    fn entries_are_found_again() {
        assert_eq!(place_of("p3u1(2)"), Some((3, 1)));
        assert_eq!(place_of("p12u0"), Some((12, 0)));
        for other in ["f3", "<sil>", "(NULL)", "", "pu", "p1", "++NOISE++"] {
            assert_eq!(place_of(other), None, "{other}");
        }
    }

    #[test]
    fn every_unknown_word_is_named() {
        let error = Graph::new(&list(&["投诉", "骂太", "退"]), &dictionary()).expect_err("unknown words").to_string();
        assert_eq!(error, "expected words of the model's dictionary, found: \"骂太\" in \"骂太\"; \"退\" in \"退\"");
        assert_eq!(Graph::new(&list(&["x"]), &Dictionary::default()).expect_err("empty"), GraphError::NoDictionary);
    }

    fn dictionary() -> Dictionary {
        Dictionary::read("投诉 t ou s u\n投 t ou\n诉 s u\n太 t ai\n差 ch a\n差(2) ch ai\n".as_bytes())
    }

    fn list(phrases: &[&str]) -> PhraseList {
        let quoted: Vec<String> = phrases.iter().map(|phrase| format!("'{phrase}'")).collect();
        let text = format!("language = 'zh'\n[[intent]]\nname = 'any'\nphrases = [{}]\n", quoted.join(","));
        PhraseList::from_toml(&text).expect("a list")
    }
}
