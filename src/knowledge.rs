//! Business knowledge: questions that customers ask, with the answers that whoever serves may give, found by what is asked.
//!
//! Reads files and searches; tells nobody: the API does when it is asked, and `shell::advise` while customers speak.

mod entry;
mod index;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use routing::Language;

pub use entry::{Entry, File, Saying, parse};
use index::Index;

use crate::settings::{Fault, KnowledgeSettings, Settings, Zone};

/// Files of one server.
pub const FILES_MAX: usize = 100;
/// Entries of one server.
pub const ENTRIES_MAX: usize = 2_000;
/// Answers to one question, at most.
pub const FOUND_MAX: usize = 20;
/// Answers that are suggested at a time.
pub const SUGGESTED_MAX: usize = 3;
/// The longest question that is looked for, characters; what is longer is cut, and of what is left the first tokens count.
pub const QUESTION_CHARACTERS_MAX: usize = 500;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The words.
    pub text: &'a str,
    /// Only answers for this scenario; every one when it is not said.
    pub scenario: Option<&'a str>,
    /// What the answer is written in; as the question is when it is not said.
    pub language: Option<Language>,
    /// Answers whose time is over by then are not found.
    pub today: Date,
}

/// An answer, and how well it fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// The question and the answer in the language that was looked for.
    pub saying: &'a Saying,
    /// That language.
    pub language: Language,
    /// How well it fits: 0 not at all; the wording of the entry itself has about 2.
    pub score: f32,
}

/// All entries, ready to be searched.
#[derive(Debug, Default)]
pub struct Knowledge {
    entries: Vec<Entry>,
    indexes: BTreeMap<Language, Index>,
}

impl Knowledge {
    /// Reads every `*.toml` of a folder.
    ///
    /// # Errors
    /// Every fault in every file.
    pub fn load(folder: &Path) -> Result<Knowledge, Vec<Fault>> {
        let files = crate::settings::toml_files(folder, FILES_MAX).map_err(|fault| vec![fault])?;
        let (mut read, mut faults) = (Vec::new(), Vec::new());
        for path in files {
            match crate::settings::read_text(&path) {
                Ok(text) => read.push((path, text)),
                Err(fault) => faults.push(fault),
            }
        }
        let knowledge = Knowledge::of(&read);
        match knowledge {
            Ok(knowledge) if faults.is_empty() => Ok(knowledge),
            Ok(_) => Err(faults),
            Err(found) => Err(faults.into_iter().chain(found).collect()),
        }
    }

    /// The knowledge of files that have been read: their paths and texts.
    ///
    /// # Errors
    /// Every fault in every file, ids that stand twice among them.
    pub fn of(files: &[(PathBuf, String)]) -> Result<Knowledge, Vec<Fault>> {
        let (mut entries, mut faults): (Vec<Entry>, Vec<Fault>) = (Vec::new(), Vec::new());
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for (path, text) in files {
            match parse(text) {
                Ok(file) => {
                    for (at, entry) in file.entries.into_iter().enumerate() {
                        if !ids.insert(entry.id.clone()) {
                            let (key, found) =
                                (format!("entry[{}].id", at + 1), format!("\"{}\", once more", entry.id));
                            faults.push(Fault {
                                file: path.clone(),
                                key,
                                found,
                                expected: "an id of its own".to_owned(),
                            });
                        }
                        entries.push(entry);
                    }
                }
                Err(found) => faults.extend(found.into_iter().map(|fault| Fault::inside(path, fault))),
            }
        }
        if entries.len() > ENTRIES_MAX {
            let (file, key) = (PathBuf::from("knowledge"), "entry".to_owned());
            let found = format!("{} entries in all", entries.len());
            faults.push(Fault { file, key, found, expected: format!("at most {ENTRIES_MAX}") });
        }
        if faults.is_empty() { Ok(Knowledge::new(entries)) } else { Err(faults) }
    }

    fn new(entries: Vec<Entry>) -> Knowledge {
        let of = |language: Language| {
            let sayings = entries.iter().enumerate();
            Index::new(sayings.filter_map(|(at, entry)| Some((at, entry.says.get(&language)?))))
        };
        let indexes = [Language::Mandarin, Language::English].map(|language| (language, of(language))).into();
        Knowledge { entries, indexes }
    }

    /// All entries, in the order of files.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of that id.
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// The answers to a question, best first, at most `limit` and [`FOUND_MAX`].
    pub fn search(&self, question: Question<'_>, limit: usize) -> Vec<Found<'_>> {
        let text: String = question.text.chars().take(QUESTION_CHARACTERS_MAX).collect();
        let language = question.language.unwrap_or_else(|| language_of(&text));
        let Some(index) = self.indexes.get(&language) else { return Vec::new() };
        let is_asked = |at: usize| {
            let entry = &self.entries[at];
            entry.is_valid(question.today) && question.scenario.is_none_or(|scenario| entry.is_for(scenario))
        };
        let scored = index.search(&text, is_asked).into_iter().take(limit.min(FOUND_MAX));
        let found = |(at, score): (usize, f32)| {
            let entry = &self.entries[at];
            Some(Found { entry, saying: entry.says.get(&language)?, language, score })
        };
        scored.filter_map(found).collect()
    }
}

/// What a text is written in: any Chinese character makes it Mandarin, English words stand in that, too.
pub fn language_of(text: &str) -> Language {
    if text.chars().any(tokens::is_chinese) { Language::Mandarin } else { Language::English }
}

/// The knowledge that is in force, and how it is used.
#[derive(Debug)]
pub struct Shelf {
    /// What is known.
    pub knowledge: Knowledge,
    /// Whether answers are suggested while customers speak or write, and from which score on.
    pub settings: KnowledgeSettings,
    /// Where it is the day by which answers are out of date.
    pub zone: Zone,
}

impl Shelf {
    /// What a configuration has put on it.
    pub fn of(settings: &Settings, knowledge: Knowledge) -> Shelf {
        let zone = settings.policy.zone.clone().unwrap_or_else(Zone::utc);
        Shelf { knowledge, settings: settings.knowledge.clone(), zone }
    }

    /// The answers to suggest for what a customer has said.
    pub fn suggest(&self, text: &str, scenario: &str) -> Vec<Found<'_>> {
        let question = Question { text, scenario: Some(scenario), language: None, today: self.zone.today() };
        let mut found = self.knowledge.search(question, SUGGESTED_MAX);
        found.retain(|found| found.score >= self.settings.floor);
        found
    }
}

#[cfg(test)]
mod tests;
