//! The recogniser as files: which models and phrase lists it is made of, read and checked before anything is loaded.

mod remote;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nlu::Runtime;
use nlu::recognition::built_in::BuiltInRecognizer;
use nlu::recognition::streaming::{
    EndpointRules, ModelFile, Search, StreamingFiles, StreamingModel, StreamingOptions, StreamingRecognizer,
};
use nlu::recognition::{Language, Listed, ModelFolder, PhraseList, PhraseSpotter, Recognizer};
use rustls::ClientConfig;

use crate::models::{EngineName, StreamingFolder, installed};
use crate::shell::sip::client_by;
use crate::signed::Trust;
pub use remote::{Endpoint, Remote};

/// The longest phrase list.
const LIST_BYTES_MAX: u64 = 1 << 20;

/// What recognises.
#[derive(Debug, Clone, PartialEq)]
pub enum Engine {
    /// The model that comes with the program: the phrases of the lists and nothing else.
    BuiltIn {
        /// The ONNX Runtime library; searched for when not given.
        runtime: Option<PathBuf>,
    },
    /// pocketsphinx: the phrases of the lists and nothing else. Its library is searched for when not given.
    Phrases {
        /// The library.
        library: Option<PathBuf>,
    },
    /// Streaming models in sherpa-onnx's layout: everything that is said, with the phrases in it.
    Dictation(Dictation),
    /// A recogniser elsewhere, and in its absence one of the others.
    Remote(Remote),
}

impl Engine {
    /// What recognises here: the engine itself, or what hears while a recogniser elsewhere is away.
    pub fn local(&self) -> Option<&Engine> {
        match self {
            Engine::Remote(remote) => remote.fallback.as_deref(),
            local => Some(local),
        }
    }

    /// See `local`.
    pub fn local_mut(&mut self) -> Option<&mut Engine> {
        match self {
            Engine::Remote(remote) => remote.fallback.as_deref_mut(),
            local => Some(local),
        }
    }

    /// Has whatever computes by ONNX Runtime here do so by this library.
    pub fn run_by(&mut self, library: Option<&Path>) {
        let local = self.local_mut();
        if let Some(Engine::BuiltIn { runtime } | Engine::Dictation(Dictation { runtime, .. })) = local {
            *runtime = library.map(Path::to_owned);
        }
    }
}

/// How dictation is taken.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dictation {
    /// The ONNX Runtime library; searched for when not given.
    pub runtime: Option<PathBuf>,
    /// How the likeliest words are searched for, what computes, and how many calls at a time.
    pub options: StreamingOptions,
    /// What each token of a listed phrase is preferred by in a beam search, as a logarithm.
    pub boost: f32,
    /// Models of each language that compute at the same time, 1 at least.
    pub threads: usize,
    /// When an utterance is over.
    pub rules: EndpointRules,
}

/// Models and phrases that go together, and what recognises by them.
#[derive(Debug, Clone)]
pub struct RecognizerFiles {
    /// What recognises here, or why nothing does.
    models: Result<Models, String>,
    lists: Vec<PhraseList>,
    remote: Option<RemoteFiles>,
}

/// A recogniser elsewhere, with what is read from files for it.
#[derive(Debug, Clone)]
pub struct RemoteFiles {
    /// As it is configured.
    pub settings: Remote,
    /// What its certificate is checked by.
    pub by: Arc<ClientConfig>,
    /// What is listened for in what it tells; every language is there.
    pub listed: BTreeMap<Language, Arc<Listed>>,
}

#[derive(Debug, Clone)]
enum Models {
    BuiltIn { runtime: Option<PathBuf> },
    Phrases { library: Option<PathBuf>, models: Vec<ModelFolder> },
    Dictation { dictation: Dictation, models: Vec<StreamingFolder> },
}

impl RecognizerFiles {
    /// Reads every model of a folder that is for the engine, verified against its manifest, which has to be signed by one of
    /// `trust`, and the phrase lists. Where a
    /// recogniser elsewhere is asked for, models that are missing are told when they are loaded.
    ///
    /// # Errors
    /// What is wrong, with the file's name.
    pub fn read(models: &Path, lists: &[PathBuf], engine: &Engine, trust: &Trust) -> Result<Self, String> {
        let lists = lists.iter().map(|path| read_list(path)).collect::<Result<Vec<_>, _>>()?;
        let read = match engine.local() {
            Some(local) => Models::read(models, local, trust),
            None => Err("none is configured".to_owned()),
        };
        let Engine::Remote(settings) = engine else {
            return Ok(Self { models: Ok(read?), lists, remote: None });
        };
        let by = Arc::new(client_by(settings.authorities.as_deref()).map_err(|error| error.to_string())?);
        let listed = Language::ALL.map(|language| (language, Arc::new(Listed::of(&lists, language)))).into();
        Ok(Self { models: read, lists, remote: Some(RemoteFiles { settings: settings.clone(), by, listed }) })
    }

    /// The recogniser elsewhere, where one is asked for.
    pub fn remote(&self) -> Option<&RemoteFiles> {
        self.remote.as_ref()
    }

    /// Loads libraries and models of what recognises here, and makes the phrases ready for them. Takes some tenths of a
    /// second, and seconds for large models.
    ///
    /// # Errors
    /// Why there is no recogniser.
    pub fn load(&self) -> Result<Box<dyn Recognizer>, String> {
        self.load_those(|_| true, "a language")
    }

    /// As `load`, for one language alone.
    ///
    /// # Errors
    /// Why there is no recogniser of it.
    pub fn load_for(&self, language: Language) -> Result<Box<dyn Recognizer>, String> {
        self.load_those(|each| each == language, language.code())
    }

    fn load_those(&self, is_wanted: impl Fn(Language) -> bool, wanted: &str) -> Result<Box<dyn Recognizer>, String> {
        let recognizer: Box<dyn Recognizer> = match self.models.as_ref().map_err(String::clone)? {
            Models::BuiltIn { runtime } => {
                let lists: Vec<_> = self.lists.iter().filter(|list| is_wanted(list.language)).cloned().collect();
                let runtime = Runtime::find(runtime.as_deref()).map_err(|error| error.to_string())?;
                Box::new(BuiltInRecognizer::new(&runtime, &lists).map_err(|error| error.to_string())?)
            }
            Models::Phrases { library, models } => {
                let models: Vec<_> = models.iter().filter(|model| is_wanted(model.language)).cloned().collect();
                let spotter = PhraseSpotter::new(library.as_deref(), &models, &self.lists);
                Box::new(spotter.map_err(|error| error.to_string())?)
            }
            Models::Dictation { dictation, models } => {
                let models = models.iter().filter(|model| is_wanted(model.language));
                let copies = models.flat_map(|model| std::iter::repeat_n(model, dictation.threads.max(1)));
                let models = copies.map(|model| self.load_streaming(model, dictation)).collect::<Result<_, _>>()?;
                Box::new(StreamingRecognizer::new(models, &self.lists, dictation.rules))
            }
        };
        match recognizer.languages().is_empty() {
            false => Ok(recognizer),
            true => Err(format!("no model of {wanted} that has phrases (calmline models add, or pull)")),
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

    fn load_streaming(
        &self,
        folder: &StreamingFolder,
        dictation: &Dictation,
    ) -> Result<(Language, StreamingModel), String> {
        let mut model = load_streaming(folder, dictation)?;
        let phrases = self.phrases(folder.language);
        let boosted: Vec<(&str, f32)> = phrases.iter().map(|phrase| (phrase.as_str(), dictation.boost)).collect();
        let unwritten = model.prefer(&boosted);
        if !unwritten.is_empty() && dictation.options.search != Search::Greedy {
            tracing::warn!(
                phrases = unwritten.len(),
                "the model's tokens cannot write some phrases: they get no boost"
            );
        }
        Ok((folder.language, model))
    }
}

impl Models {
    fn read(folder: &Path, engine: &Engine, trust: &Trust) -> Result<Self, String> {
        let name = match engine {
            Engine::BuiltIn { runtime } => return Ok(Models::BuiltIn { runtime: runtime.clone() }),
            Engine::Dictation(_) => EngineName::SherpaOnnx,
            Engine::Phrases { .. } | Engine::Remote(_) => EngineName::Pocketsphinx,
        };
        let mut packages = installed(folder).map_err(|error| error.to_string())?;
        packages.retain(|package| package.manifest.engine == name);
        packages.iter().try_for_each(|package| package.check(trust))?;
        packages.iter().try_for_each(|package| package.verify().map_err(|error| error.to_string()))?;
        let models = match engine {
            Engine::Phrases { library } => {
                let models = packages.iter().map(|package| package.model()).collect::<Result<_, _>>();
                models.map(|models| Models::Phrases { library: library.clone(), models })
            }
            Engine::Dictation(dictation) => {
                let models = packages.iter().map(|package| package.streaming()).collect::<Result<_, _>>();
                models.map(|models| Models::Dictation { dictation: dictation.clone(), models })
            }
            Engine::BuiltIn { runtime } => return Ok(Models::BuiltIn { runtime: runtime.clone() }),
            Engine::Remote(_) => return Err("a recogniser elsewhere does not stand in for another one".to_owned()),
        };
        models.map_err(|error| error.to_string())
    }
}

/// Loads the graphs of a streaming model, and checks them against one another.
///
/// # Errors
/// What is wrong, with the file's name.
pub fn load_streaming(folder: &StreamingFolder, dictation: &Dictation) -> Result<StreamingModel, String> {
    let runtime = Runtime::find(dictation.runtime.as_deref()).map_err(|error| error.to_string())?;
    let paths: BTreeMap<&Path, String> = folder.paths().map(|path| (path, path.display().to_string())).collect();
    let contents = folder.paths().map(|path| {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok((path, bytes))
    });
    let contents: BTreeMap<&Path, Vec<u8>> = contents.collect::<Result<_, String>>()?;
    let file = |path: &PathBuf| ModelFile { name: &paths[path.as_path()], bytes: &contents[path.as_path()] };
    let others: Vec<ModelFile<'_>> = folder.others.iter().map(file).collect();
    let files = StreamingFiles {
        encoder: file(&folder.encoder),
        others: &others,
        tokens: file(&folder.tokens),
        pieces: folder.pieces.as_ref().map(file),
    };
    StreamingModel::new(&runtime, &files, &dictation.options).map_err(|error| error.to_string())
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
