//! The lists that masking goes by: words that announce secrets, names, places. TOML, in `config/compliance/`.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use serde::Deserialize;

use super::ordinary;
use super::scene::plain;
use crate::numbers::token::{is_han, tokens};

/// The lists that come with the program: names of the files, and what they say.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("masking.zh.toml", include_str!("../../../config/compliance/masking.zh.toml")),
    ("masking.en.toml", include_str!("../../../config/compliance/masking.en.toml")),
    ("words.zh.toml", include_str!("../../../config/compliance/words.zh.toml")),
];
/// Longest file, bytes.
const FILE_BYTES_MAX: usize = 256 << 10;
/// Longest word of a list, characters.
const WORD_CHARACTERS_MAX: usize = 40;

/// What a word of the lists announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cue {
    Phone,
    IdCard,
    BankCard,
    Code,
    Email,
    Plate,
    Address,
    /// A number that names a thing.
    Reference,
    /// A name, for sure.
    Introduces,
    /// A name, perhaps.
    Mentions,
    /// A name, as often as not: somebody is spoken of.
    People,
    /// A name among many other things.
    Near,
    /// That the other party says theirs.
    AsksName,
    /// None: a maker's name or a proverb that holds one.
    Whole,
}

/// Why lists cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Not TOML, or not of this form; the reader's words name line and column.
    #[error("{file}: expected the tables context, names, addresses and amounts with lists of words: {found}")]
    Form {
        /// Name of the file.
        file: String,
        /// What the reader of TOML said.
        found: String,
    },
    /// A value that cannot be.
    #[error("{file}: {what}: expected {expected}, found {found}")]
    Value {
        /// Name of the file.
        file: String,
        /// Which value.
        what: String,
        /// What would be right.
        expected: String,
        /// What is there.
        found: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    context: Context,
    names: Names,
    addresses: Addresses,
    amounts: Amounts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Context {
    phone: Vec<String>,
    id_card: Vec<String>,
    bank_card: Vec<String>,
    code: Vec<String>,
    email: Vec<String>,
    plate: Vec<String>,
    address: Vec<String>,
    reference: Vec<String>,
    sounds: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Names {
    introduced_by: Vec<String>,
    mentioned_after: Vec<String>,
    people: Vec<String>,
    near: Vec<String>,
    also_words: Vec<String>,
    asked_by: Vec<String>,
    titles: Vec<String>,
    behind: Vec<String>,
    surnames: Words,
    compound_surnames: Vec<String>,
    given: Vec<String>,
    given_characters: String,
    brands: Vec<String>,
    idioms: Vec<String>,
    never: Vec<String>,
    /// Words with spaces between them.
    usual: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Addresses {
    streets: Vec<String>,
    places: Vec<String>,
    units: Vec<String>,
    lesser_units: Vec<String>,
    not_units: Vec<String>,
    not_in_streets: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Amounts {
    units: Vec<String>,
    signs: Vec<String>,
}

/// Words one by one, or characters in a row.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Words {
    Each(Vec<String>),
    Characters(String),
}

impl Default for Words {
    fn default() -> Self {
        Words::Each(Vec::new())
    }
}

/// The lists of all files, ready to be searched.
#[derive(Debug)]
pub struct MaskingLists {
    pub(super) cues: AhoCorasick,
    /// What each pattern of `cues` announces.
    pub(super) announced: Vec<Cue>,
    /// Han characters that are heard in place of others in words that announce something, and the right ones.
    pub(super) sounds: BTreeMap<char, char>,
    pub(super) surnames: BTreeSet<String>,
    pub(super) given: BTreeSet<String>,
    pub(super) titles: BTreeSet<String>,
    /// What is said behind a name.
    pub(super) behind_names: BTreeSet<String>,
    /// Names that are more often something else: words, places.
    pub(super) also_words: BTreeSet<String>,
    pub(super) no_names: BTreeSet<String>,
    /// Words that are no names where nothing announces one.
    pub(super) usual: BTreeSet<String>,
    pub(super) streets: BTreeSet<String>,
    pub(super) places: BTreeSet<String>,
    pub(super) units: BTreeSet<String>,
    pub(super) lesser_units: BTreeSet<String>,
    pub(super) not_units: BTreeSet<String>,
    pub(super) not_in_streets: BTreeSet<String>,
    pub(super) money: BTreeSet<String>,
}

impl MaskingLists {
    /// The lists that come with the program, Mandarin and English.
    ///
    /// # Panics
    /// Never: a test reads them.
    pub fn built_in() -> Self {
        Self::parse(&BUILT_IN).expect("the shipped lists are right")
    }

    /// Reads lists from files, given as name and text; what several of them say counts together.
    ///
    /// # Errors
    /// When one is not such TOML, or a word is empty or too long.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, ListError> {
        let mut cues = Vec::new();
        let mut announced = Vec::new();
        let mut sounds = BTreeMap::new();
        let mut sets: [BTreeSet<String>; 14] = Default::default();
        for (file, text) in files {
            let mut read = read(file, text)?;
            for group in &read.context.sounds {
                sounds.extend(heard(file, group)?);
            }
            for (cue, word) in cues_of(read.context, &mut read.names) {
                cues.push(key(file, &word)?);
                announced.push(cue);
            }
            let surnames = match read.names.surnames {
                Words::Each(words) => words,
                Words::Characters(characters) => each_character(&characters),
            };
            for (set, words) in sets.iter_mut().zip([
                [surnames, read.names.compound_surnames].concat(),
                [each_character(&read.names.given_characters), read.names.given].concat(),
                read.names.titles,
                read.names.behind,
                read.names.also_words,
                read.names.never,
                read.names.usual.split_whitespace().map(str::to_owned).collect(),
                read.addresses.streets,
                read.addresses.places,
                read.addresses.units,
                read.addresses.lesser_units,
                read.addresses.not_units,
                read.addresses.not_in_streets,
                [read.amounts.units, read.amounts.signs].concat(),
            ]) {
                for word in words {
                    set.insert(key(file, &word)?);
                }
            }
        }
        let built = AhoCorasickBuilder::new().match_kind(MatchKind::LeftmostLongest).build(cues);
        let cues = built.map_err(|error| ListError::Form { file: "lists".to_owned(), found: error.to_string() })?;
        ordinary::read();
        let mut sets = sets.into_iter();
        // In the order in which they were filled.
        let mut next = || sets.next().expect("there are as many as fields");
        Ok(Self {
            cues,
            announced,
            sounds,
            surnames: next(),
            given: next(),
            titles: next(),
            behind_names: next(),
            also_words: next(),
            no_names: next(),
            usual: next(),
            streets: next(),
            places: next(),
            units: next(),
            lesser_units: next(),
            not_units: next(),
            not_in_streets: next(),
            money: next(),
        })
    }
}

/// The words that announce something, with what that is.
fn cues_of(context: Context, names: &mut Names) -> Vec<(Cue, String)> {
    let Context { phone, id_card, bank_card, code, email, plate, address, reference, sounds: _ } = context;
    let mut people = std::mem::take(&mut names.people);
    // 我同事, 我婆婆: whoever is somebody's.
    let own = |word: &&String| word.starts_with(is_han) && !word.starts_with('我');
    people.extend(people.iter().filter(own).map(|word| format!("我{word}")).collect::<Vec<_>>());
    let words = [
        (Cue::Phone, phone),
        (Cue::IdCard, id_card),
        (Cue::BankCard, bank_card),
        (Cue::Code, code),
        (Cue::Email, email),
        (Cue::Plate, plate),
        (Cue::Address, address),
        (Cue::Reference, reference),
        (Cue::Introduces, std::mem::take(&mut names.introduced_by)),
        (Cue::Mentions, std::mem::take(&mut names.mentioned_after)),
        (Cue::People, people),
        (Cue::Near, std::mem::take(&mut names.near)),
        (Cue::AsksName, std::mem::take(&mut names.asked_by)),
        (Cue::Whole, std::mem::take(&mut names.brands)),
        (Cue::Whole, std::mem::take(&mut names.idioms)),
    ];
    words.into_iter().flat_map(|(cue, words)| words.into_iter().map(move |word| (cue, word))).collect()
}

fn read(file: &str, text: &str) -> Result<File, ListError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(ListError::Value {
            file: file.to_owned(),
            what: "size".to_owned(),
            expected: format!("at most {FILE_BYTES_MAX} bytes"),
            found: format!("{} bytes", text.len()),
        });
    }
    toml::from_str(text).map_err(|error| ListError::Form { file: file.to_owned(), found: error.to_string() })
}

/// A word as it is searched for: half width, lower case, single spaces.
fn key(file: &str, word: &str) -> Result<String, ListError> {
    let key = plain(&tokens(word)).0;
    if key.is_empty() || key.chars().count() > WORD_CHARACTERS_MAX {
        return Err(ListError::Value {
            file: file.to_owned(),
            what: "a word".to_owned(),
            expected: format!("1-{WORD_CHARACTERS_MAX} characters"),
            found: format!("{word:?}"),
        });
    }
    Ok(key)
}

/// What is heard in place of the first of some Han characters.
fn heard(file: &str, group: &str) -> Result<Vec<(char, char)>, ListError> {
    let mut characters = group.chars();
    match characters.next() {
        Some(right) if group.chars().all(|character| is_han(character) && character.len_utf8() == right.len_utf8()) => {
            Ok(characters.map(|character| (character, right)).collect())
        }
        _ => Err(ListError::Value {
            file: file.to_owned(),
            what: "sounds".to_owned(),
            expected: "Han characters that sound alike".to_owned(),
            found: format!("{group:?}"),
        }),
    }
}

fn each_character(text: &str) -> Vec<String> {
    text.chars().filter(|&character| is_han(character)).map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_lists_are_right() {
        let lists = MaskingLists::built_in();
        assert!(lists.surnames.contains("欧阳") && lists.surnames.contains("smith") && lists.surnames.len() > 400);
        assert!(lists.announced.len() > 300 && lists.streets.contains("大道"));
    }

    #[test]
    fn wrong_lists_say_where_and_what() {
        refuses("nonsense", "a.toml: expected the tables context, names, addresses and amounts");
        refuses("[context]\nphones = []", "unknown field `phones`");
        refuses("[context]\nphone = [\" \"]", "a.toml: a word: expected 1-40 characters, found \" \"");
        refuses("[context]\nsounds = [\"姓x\"]", "a.toml: sounds: expected Han characters that sound alike");
        refuses(&"#".repeat(FILE_BYTES_MAX + 1), "size: expected at most 262144 bytes, found 262145 bytes");
    }

    #[track_caller]
    fn refuses(text: &str, expected: &str) {
        let error = MaskingLists::parse(&[("a.toml", text)]).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}
