//! The recogniser as files: which models and phrase lists it is made of, read and checked before anything is loaded.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nlu::recognition::{Language, ModelFolder, PhraseList, PhraseSpotter};

use crate::models::installed;

/// The longest phrase list.
const LIST_BYTES_MAX: u64 = 1 << 20;

/// Models and phrases that go together, and where the library is.
#[derive(Debug, Clone)]
pub struct RecognizerFiles {
    library: Option<PathBuf>,
    models: Vec<ModelFolder>,
    lists: Vec<PhraseList>,
}

impl RecognizerFiles {
    /// Reads every model of a folder, verified against its manifest, and the phrase lists.
    ///
    /// # Errors
    /// What is wrong, with the file's name.
    pub fn read(models: &Path, lists: &[PathBuf], library: Option<&Path>) -> Result<Self, String> {
        let lists = lists.iter().map(|path| read_list(path)).collect::<Result<_, _>>()?;
        let packages = installed(models).map_err(|error| error.to_string())?;
        let read = |package: crate::models::Package| {
            package.verify()?;
            package.model()
        };
        let models = packages.into_iter().map(read).collect::<Result<_, _>>();
        Ok(Self { library: library.map(Path::to_path_buf), models: models.map_err(|error| error.to_string())?, lists })
    }

    /// Loads the library and the models, and compiles the phrases for them. Takes some tenths of a second.
    ///
    /// # Errors
    /// Why there is no recogniser.
    pub fn load(&self) -> Result<PhraseSpotter, String> {
        let spotter = PhraseSpotter::new(self.library.as_deref(), &self.models, &self.lists);
        let spotter = spotter.map_err(|error| error.to_string())?;
        match spotter.languages().is_empty() {
            false => Ok(spotter),
            true => Err("no model of a language that has phrases (calmline models add, or pull)".to_owned()),
        }
    }

    /// The names of what the phrases mean.
    pub fn intents(&self) -> BTreeSet<&str> {
        self.lists.iter().flat_map(PhraseList::intents).collect()
    }

    /// The phrases of a language.
    pub fn phrases(&self, language: Language) -> BTreeSet<String> {
        let lists = self.lists.iter().filter(|list| list.language == language);
        lists.flat_map(|list| list.phrases.iter().map(|phrase| phrase.text.clone())).collect()
    }
}

/// Reads one phrase list.
///
/// # Errors
/// What is wrong with it, with its name.
pub fn read_list(path: &Path) -> Result<PhraseList, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = fs::metadata(path).map_err(|error| named(&error))?.len();
    if bytes > LIST_BYTES_MAX {
        return Err(named(&format!("expected a phrase list of at most 1 MB, found {bytes} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| named(&error))?;
    PhraseList::from_toml(&text).map_err(|error| named(&error))
}
