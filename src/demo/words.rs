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

/// Looks whether the models of a folder can be listened with; the phrase lists are put beside the configuration under
/// `out`.
///
/// # Errors
/// When a list cannot be written.
pub(super) fn find(models: &Path, out: &Path) -> Result<Words, Failure> {
    let folder = out.join("config/lexicons");
    let lists: Vec<PathBuf> = LISTS.iter().map(|(name, _)| folder.join(name)).collect();
    for ((_, bytes), path) in LISTS.iter().zip(&lists) {
        write(path, bytes)?;
    }
    Ok(match load(models, &lists) {
        Ok((name, language, models)) => Words {
            heard_by: name,
            section: format!(
                "\n[recognition]\nmodels = {:?}\nlanguage = \"{}\"\n",
                models.display().to_string(),
                language.code()
            ),
        },
        Err(why) => Words { heard_by: format!("nobody, for there is no recogniser: {why}"), section: String::new() },
    })
}

/// The recogniser's name, a language that it hears, and where its models are for whoever works in another folder.
fn load(models: &Path, lists: &[PathBuf]) -> Result<(String, Language, PathBuf), String> {
    if installed(models).map_err(|error| error.to_string())?.is_empty() {
        return Err(format!("no models in {} (calmline models add, or pull)", models.display()));
    }
    let recognizer =
        RecognizerFiles::read(models, lists, &Engine::Phrases { library: None }, &Trust::anybody())?.load()?;
    let language = recognizer.languages().first().copied().ok_or("it knows no language")?;
    let models = models.canonicalize().map_err(|error| format!("{}: {error}", models.display()))?;
    Ok((recognizer.name(), language, models))
}
