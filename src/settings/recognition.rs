//! `[recognition]`: what is listened for in what callers say.

use std::path::{Path, PathBuf};

use nlu::recognition::Language;
use routing::section::{Section, list, text};
use toml::Value;

use super::read::path;

/// Phrase lists of one server, and lexicons.
const FILES_MAX: usize = 20;
pub(super) const FILES: &str = "a list of 1-20 files' paths";
/// The lists beside the sample configuration.
const SHIPPED: [&str; 2] = ["lexicons/phrases-zh.toml", "lexicons/phrases-en.toml"];

/// How words are recognised; the section's absence means not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecognitionSettings {
    /// The folder of models.
    pub models: PathBuf,
    /// The phrase lists.
    pub phrases: Vec<PathBuf>,
    /// The pocketsphinx library; searched for when not given.
    pub library: Option<PathBuf>,
    /// What is spoken on routes that do not say otherwise.
    pub language: Language,
}

pub(super) fn read_recognition(mut section: Section<'_>, folder: &Path) -> Option<RecognitionSettings> {
    let enabled = section.read("enabled", "true or false", Value::as_bool);
    let phrases = section.read("phrases", FILES, files(folder));
    let settings = RecognitionSettings {
        models: section.read("models", "a folder's path", path(folder)).unwrap_or(folder.join("models")),
        phrases: phrases.unwrap_or_else(|| in_folder(folder, &SHIPPED)),
        library: section.read("library", "a file's path", path(folder)),
        language: read_language(&mut section).unwrap_or(Language::Mandarin),
    };
    // Whoever writes the section wants it, unless it says otherwise.
    let enabled = enabled.unwrap_or(section.is_present());
    section.finish();
    enabled.then_some(settings)
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
