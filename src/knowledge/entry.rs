//! A file of knowledge as an operator writes it, with every fault named. Looks at nothing but its text.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use routing::section::{Section, list, name, parse_table, text, whole};
use routing::{Fault, Language};
use toml::Value;

/// Entries of one file.
const ENTRIES_MAX: usize = 500;
/// Ways in which one thing is asked, in one language.
const QUESTIONS_MAX: usize = 20;
const QUESTION_CHARACTERS_MAX: usize = 200;
const ANSWER_CHARACTERS_MAX: usize = 2_000;
const SCENARIOS_MAX: usize = 20;
const TAGS_MAX: usize = 20;

/// One file.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// Its name, for people.
    pub name: String,
    /// What is in it, in order.
    pub entries: Vec<Entry>,
}

/// One thing that customers ask, with its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Names it, once per server.
    pub id: String,
    /// The file it stands in, by its name.
    pub file: String,
    /// The scenarios it is for; `*` is every one.
    pub scenarios: Vec<String>,
    /// Words to find it by in lists.
    pub tags: Vec<String>,
    /// The last day on which the answer is right; for good when not said.
    pub valid_until: Option<Date>,
    /// Questions and answer in each language it is written in; one at least.
    pub says: BTreeMap<Language, Saying>,
}

/// An entry in one language.
#[derive(Debug, Clone, PartialEq)]
pub struct Saying {
    /// How customers ask; the first one stands for the entry.
    pub questions: Vec<String>,
    /// What is answered.
    pub answer: String,
}

impl Entry {
    /// Whether its answer is still right on that day.
    pub fn is_valid(&self, today: Date) -> bool {
        self.valid_until.is_none_or(|last| today <= last)
    }

    /// Whether it is for a scenario.
    pub fn is_for(&self, scenario: &str) -> bool {
        self.scenarios.iter().any(|own| own == scenario || own == EVERY)
    }
}

/// Reads a file from its text.
///
/// # Errors
/// Every fault in it.
pub fn parse(text: &str) -> Result<File, Vec<Fault>> {
    let table = parse_table(text).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    let mut root = Section::root(&table, &mut faults);
    root.read("schema", "1, the language of this version", whole(1..=1));
    let file = root.need("name", NAME, name).unwrap_or_default();
    let scenarios = root.need("scenarios", SCENARIOS, list(SCENARIOS_MAX, scenario)).unwrap_or_default();
    let (mut entries, mut ids) = (Vec::new(), BTreeSet::new());
    root.each("entry", |section| {
        let Some(entry) = read_entry(section, &file, &scenarios) else { return };
        if !ids.insert(entry.id.clone()) {
            section.fault("id", format!("\"{}\", once more", entry.id), "an id of its own");
        }
        entries.push(entry);
    });
    if entries.len() > ENTRIES_MAX {
        root.fault("entry", format!("{} entries", entries.len()), format!("at most {ENTRIES_MAX} of one file"));
    }
    if entries.is_empty() && !root.has_faults() {
        root.fault("entry", "nothing", "an [[entry]] at least");
    }
    root.finish();
    if faults.is_empty() { Ok(File { name: file, entries }) } else { Err(faults) }
}

fn read_entry(section: &mut Section<'_>, file: &str, usual: &[String]) -> Option<Entry> {
    let id = section.need("id", NAME, name);
    let own = section.read("scenarios", SCENARIOS, list(SCENARIOS_MAX, scenario));
    let tags = section.read("tags", format!("a list of 1-{TAGS_MAX} names"), list(TAGS_MAX, name));
    let valid_until = section.read("valid_until", "a day like \"2027-06-30\"", day);
    let mut says = BTreeMap::new();
    for (key, language) in LANGUAGES {
        if !section.has(key) {
            continue;
        }
        let mut section = section.section(key);
        let questions = section.need("questions", QUESTIONS, list(QUESTIONS_MAX, text(QUESTION_CHARACTERS_MAX)));
        let answer = section.need("answer", format!("a text of 1-{ANSWER_CHARACTERS_MAX} characters"), answer);
        section.finish();
        if let (Some(questions), Some(answer)) = (questions, answer) {
            says.insert(language, Saying { questions, answer });
        }
    }
    if !LANGUAGES.iter().any(|(key, _)| section.has(key)) {
        section.fault("zh", "nothing", "zh or en, with questions and answer");
    }
    let scenarios = own.unwrap_or_else(|| usual.to_vec());
    let tags = tags.unwrap_or_default();
    Some(Entry { id: id?, file: file.to_owned(), scenarios, tags, valid_until, says })
}

fn scenario(value: &Value) -> Option<String> {
    if value.as_str() == Some(EVERY) { Some(EVERY.to_owned()) } else { name(value) }
}

fn day(value: &Value) -> Option<Date> {
    // Also as TOML itself writes a day.
    let written =
        value.as_str().map_or_else(|| value.as_datetime().map(ToString::to_string), |s| Some(s.to_owned()))?;
    (written.len() == "2027-06-30".len()).then(|| written.parse().ok()).flatten()
}

/// A text that may have several lines.
fn answer(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    let fits = !text.is_empty()
        && text.chars().count() <= ANSWER_CHARACTERS_MAX
        && !text.chars().any(|letter| letter.is_control() && letter != '\n');
    fits.then(|| text.to_owned())
}

/// In place of a scenario: all of them.
const EVERY: &str = "*";
const LANGUAGES: [(&str, Language); 2] = [("zh", Language::Mandarin), ("en", Language::English)];
const NAME: &str = "1-64 letters, digits, \"-\", \"_\" or \".\"";
const SCENARIOS: &str = "a list of 1-20 names of scenarios, or [\"*\"]";
const QUESTIONS: &str = "a list of 1-20 questions of 1-200 characters, each on one line";
