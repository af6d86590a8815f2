//! `[recognition]`: what is listened for in what callers say.

use std::path::{Path, PathBuf};

use nlu::recognition::Language;
use nlu::recognition::streaming::{EndpointRules, Search};
use routing::section::{Section, list, number, text};
use toml::Value;

use super::read::path;
use crate::recognizer::{Dictation, Engine};

/// Phrase lists of one server, and lexicons.
const FILES_MAX: usize = 20;
pub(super) const FILES: &str = "a list of 1-20 files' paths";
/// The lists beside the sample configuration.
const SHIPPED: [&str; 2] = ["lexicons/phrases-zh.toml", "lexicons/phrases-en.toml"];

/// Ways that a beam search follows: what sherpa-onnx follows.
const PATHS: usize = 4;
/// What a token of a listed phrase is preferred by: sherpa-onnx's default.
const BOOST: f32 = 1.5;

/// How words are recognised; the section's absence means not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct RecognitionSettings {
    /// The folder of models.
    pub models: PathBuf,
    /// The phrase lists.
    pub phrases: Vec<PathBuf>,
    /// What recognises.
    pub engine: Engine,
    /// What is spoken on routes that do not say otherwise.
    pub language: Language,
}

pub(super) fn read_recognition(mut section: Section<'_>, folder: &Path) -> Option<RecognitionSettings> {
    let enabled = section.read("enabled", "true or false", Value::as_bool);
    let phrases = section.read("phrases", FILES, files(folder));
    let settings = RecognitionSettings {
        models: section.read("models", "a folder's path", path(folder)).unwrap_or(folder.join("models")),
        phrases: phrases.unwrap_or_else(|| in_folder(folder, &SHIPPED)),
        engine: read_engine(&mut section, folder),
        language: read_language(&mut section).unwrap_or(Language::Mandarin),
    };
    // Whoever writes the section wants it, unless it says otherwise.
    let enabled = enabled.unwrap_or(section.is_present());
    section.finish();
    enabled.then_some(settings)
}

/// `engine`, and the keys that go with one of them.
fn read_engine(section: &mut Section<'_>, folder: &Path) -> Engine {
    let dictates = section.read("engine", "\"pocketsphinx\" or \"sherpa-onnx\"", |value| match value.as_str()? {
        "pocketsphinx" => Some(false),
        "sherpa-onnx" => Some(true),
        _ => None,
    });
    let library = section.read("library", "a file's path", path(folder));
    let search = section.read("search", "\"greedy\" or \"beam\"", |value| match value.as_str()? {
        "greedy" => Some(Search::Greedy),
        "beam" => Some(Search::Beam(PATHS)),
        _ => None,
    });
    let boost = section.read("boost", "a number of 0-10", number(0.0..=10.0));
    let pause_s = section.read("pause_s", "seconds, 0.2-5", number(0.2..=5.0));
    let threads = section.read("threads", "a number of 1-16", |value| {
        usize::try_from(value.as_integer()?).ok().filter(|threads| (1..=16).contains(threads))
    });
    let usual = EndpointRules::default();
    let silence_after_words_s = pause_s.map_or(usual.silence_after_words_s, |pause_s| pause_s as f32);
    match dictates.unwrap_or_default() {
        false => Engine::Phrases { library },
        true => Engine::Dictation(Dictation {
            runtime: None,
            search: search.unwrap_or_default(),
            boost: boost.map_or(BOOST, |boost| boost as f32),
            threads: threads.unwrap_or(1),
            rules: EndpointRules {
                silence_s: usual.silence_s.max(silence_after_words_s),
                silence_after_words_s,
                ..usual
            },
        }),
    }
}

/// `language` of the section or of a route.
pub(super) fn read_language(section: &mut Section<'_>) -> Option<Language> {
    section.read("language", "\"zh\" or \"en\"", |value| Language::of_code(value.as_str()?))
}

/// A list of 1-20 files; they start at the folder of the configuration.
pub(super) fn files(folder: &Path) -> impl Fn(&Value) -> Option<Vec<PathBuf>> {
    |value| list(FILES_MAX, text(4_096))(value).map(|files| in_folder(folder, &files))
}

fn in_folder(folder: &Path, files: &[impl AsRef<Path>]) -> Vec<PathBuf> {
    files.iter().map(|file| folder.join(file)).collect()
}
