//! Which recogniser the demo's server has, if any: whatever models are there, with the shipped phrase lists.

use std::path::{Path, PathBuf};

use nlu::recognition::Language;

use super::server::write;
use crate::cli::Failure;
use crate::models::installed;
use crate::recognizer::{Engine, RecognizerFiles};
use crate::signed::Trust;

/// Phrase lists of the demo's configuration, by name.
const LISTS: [(&str, &[u8]); 2] = [
    ("phrases-zh.toml", include_bytes!("../../config/lexicons/phrases-zh.toml")),
    ("phrases-en.toml", include_bytes!("../../config/lexicons/phrases-en.toml")),
];

/// What hears words in the demo.
pub(super) struct Words {
    /// The recogniser's name, or that there is none, and why.
    pub(super) heard_by: String,
    /// The section of the configuration that has the server listen by it; empty without one.
    pub(super) section: String,
}

/// Looks what can be listened with: the models of a folder, or else the one that comes with the program. The phrase lists are
/// put beside the configuration under `out`.
///
/// # Errors
/// When a list cannot be written.
pub(super) fn find(models: &Path, out: &Path) -> Result<Words, Failure> {
    let folder = out.join("config/lexicons");
    let lists: Vec<PathBuf> = LISTS.iter().map(|(name, _)| folder.join(name)).collect();
    for ((_, bytes), path) in LISTS.iter().zip(&lists) {
        write(path, bytes)?;
    }
    let installed = installed_one(models, &lists);
    Ok(installed.or_else(|why| built_in(models, &lists, &why)).unwrap_or_else(|why| Words {
        heard_by: format!("nobody, for there is no recogniser: {why}"),
        section: String::new(),
    }))
}

/// Whatever of a folder is for phrases.
fn installed_one(models: &Path, lists: &[PathBuf]) -> Result<Words, String> {
    if installed(models).map_err(|error| error.to_string())?.is_empty() {
        return Err(format!("no models in {} (calmline models add, or pull)", models.display()));
    }
    let (heard_by, language) = load(models, lists, &Engine::Phrases { library: None })?;
    // The server works in another folder.
    let models = models.canonicalize().map_err(|error| format!("{}: {error}", models.display()))?;
    let models = models.display().to_string();
    let section = format!("\n[recognition]\nmodels = {models:?}\nlanguage = \"{}\"\n", language.code());
    Ok(Words { heard_by, section })
}

/// The model that comes with the program, and why not another one.
fn built_in(models: &Path, lists: &[PathBuf], why: &str) -> Result<Words, String> {
    let (name, language) =
        load(models, lists, &Engine::BuiltIn { runtime: None }).map_err(|error| format!("{why}; {error}"))?;
    let section = format!("\n[recognition]\nengine = \"built-in\"\nlanguage = \"{}\"\n", language.code());
    Ok(Words { heard_by: format!("{name}, Mandarin alone, for there is no other: {why}"), section })
}

/// The recogniser's name, and a language that it hears.
fn load(models: &Path, lists: &[PathBuf], engine: &Engine) -> Result<(String, Language), String> {
    let recognizer = RecognizerFiles::read(models, lists, engine, &Trust::anybody())?.load()?;
    let language = recognizer.languages().first().copied().ok_or("it knows no language")?;
    Ok((recognizer.name(), language))
}
