//! Models as files: those that ship inside the program, or an operator's own.

use std::path::{Path, PathBuf};

use nlu::text::TextModel;
use nlu::{AcousticModel, FEATURES, ModelError, Runtime, SoundModel};
use ring::digest::{SHA256, digest};
use tracing::warn;

use crate::hexadecimal::hexadecimal;
use crate::signed::Trust;

/// A model file no larger than this is read; the shipped ones have under 10 MB.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What a model judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelKind {
    /// The voice.
    Acoustic,
    /// Words.
    Text,
}

impl ModelKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Acoustic, Self::Text];

    /// What its files are called in a folder, without their endings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acoustic => "acoustic",
            Self::Text => "text",
        }
    }
}

/// A model that is not yet loaded, and where its runtime is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// `None` for the shipped model, which `nlu` carries.
    own: Option<OwnModel>,
    runtime: Option<PathBuf>,
    /// Whether the shipped model of voices judges by the sound, too; an operator's own does so never.
    sound: bool,
}

/// The graph and its card, as an operator gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnModel {
    name: String,
    graph: Vec<u8>,
    card: Vec<u8>,
}

impl ModelFiles {
    /// The model at `model` (its card lies beside it, ending in `.json`), or the shipped one.
    /// `runtime` is the ONNX Runtime library; it is searched for when not given. The card has to be signed by one of `trust`.
    ///
    /// # Errors
    /// When a file cannot be read, nobody who is trusted has signed the card, or the graph is not the one that the card was
    /// written for, with its name.
    pub fn read(model: Option<&Path>, runtime: Option<&Path>, trust: &Trust) -> Result<Self, String> {
        let own = model.map(|path| OwnModel::read(path, trust)).transpose()?;
        Ok(Self { own, runtime: runtime.map(Path::to_path_buf), sound: true })
    }

    /// The same; the shipped model of voices judges by the sound, too, if `sound`.
    #[must_use]
    pub fn hearing_sound(self, sound: bool) -> Self {
        Self { sound, ..self }
    }

    /// Finds the runtime and loads the model into it, to judge voices.
    ///
    /// # Errors
    /// Why there is no model to listen with; listening goes on by signal processing then.
    pub fn load(&self) -> Result<AcousticModel, String> {
        let sound = self.sound;
        let shipped = |runtime: &Runtime| {
            let numbers = AcousticModel::built_in(runtime)?;
            if !sound {
                return Ok(numbers);
            }
            match SoundModel::built_in(runtime) {
                Ok(sound) => Ok(numbers.with_sound(sound)),
                Err(why) => {
                    warn!(%why, "voices are judged by their numbers alone, and not by their sound");
                    Ok(numbers)
                }
            }
        };
        self.load_with(shipped, AcousticModel::from_bytes)
    }

    /// The same of a model that reads words.
    ///
    /// # Errors
    /// Why there is no model to read with; lexicons read alone then.
    pub fn load_text(&self) -> Result<TextModel, String> {
        self.load_with(TextModel::built_in, TextModel::from_bytes)
    }

    /// Loads an operator's own model and lets go of it again; where no runtime is found, nothing is tried.
    ///
    /// # Errors
    /// What was expected and what was found.
    pub fn try_as(&self, kind: ModelKind) -> Result<(), String> {
        if self.own.is_none() || Runtime::find(self.runtime.as_deref()).is_err() {
            return Ok(());
        }
        self.load_as(kind)
    }

    /// Loads a model, has it judge nothing in particular, and lets go of it again: one whose every answer is no number loads, too.
    ///
    /// # Errors
    /// What was expected and what was found.
    pub fn load_as(&self, kind: ModelKind) -> Result<(), String> {
        let judged = match kind {
            ModelKind::Acoustic => self.load()?.judge(&[&[0.0; FEATURES]]).map(drop),
            ModelKind::Text => self.load_text()?.judge(&[""]).map(drop),
        };
        judged.map_err(|error| error.to_string())
    }

    fn load_with<M>(
        &self,
        shipped: impl FnOnce(&Runtime) -> Result<M, ModelError>,
        own: impl FnOnce(&Runtime, &str, &[u8], &[u8]) -> Result<M, ModelError>,
    ) -> Result<M, String> {
        let runtime = Runtime::find(self.runtime.as_deref()).map_err(|error| error.to_string())?;
        let loaded = match &self.own {
            Some(files) => own(&runtime, &files.name, &files.graph, &files.card),
            None => shipped(&runtime),
        };
        loaded.map_err(|error| error.to_string())
    }
}

impl OwnModel {
    fn read(path: &Path, trust: &Trust) -> Result<Self, String> {
        let card_path = path.with_extension("json");
        let (graph, card) = (read_file(path)?, read_file(&card_path)?);
        trust.check(&card_path, &card)?;
        let stated: serde_json::Value = serde_json::from_slice(&card)
            .map_err(|error| format!("{}: expected a model's card, found {error}", card_path.display()))?;
        let Some(stated) = stated.get("sha256").and_then(serde_json::Value::as_str) else {
            return Err(format!("{}: expected a card with the sha256 of its graph, found none", card_path.display()));
        };
        let found = hexadecimal(digest(&SHA256, &graph).as_ref());
        if !stated.eq_ignore_ascii_case(&found) {
            return Err(format!("{}: expected SHA-256 {stated}, as its card says, found {found}", path.display()));
        }
        Ok(Self { name: path.display().to_string(), graph, card })
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    let bytes = std::fs::metadata(path).map_err(named)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("{}: found {bytes} bytes, expected at most {FILE_BYTES_MAX}", path.display()));
    }
    std::fs::read(path).map_err(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_whose_answers_are_no_numbers_is_refused() {
        let graph = include_bytes!("../nlu/models/acoustic.onnx");
        let name = b"sharpnessJ\x04";
        let at = graph.windows(name.len()).position(|bytes| bytes == name).expect("a factor") + name.len();
        let mut broken = graph.to_vec();
        broken[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        let of = |graph: Vec<u8>| {
            let card = include_bytes!("../nlu/models/acoustic.json").to_vec();
            let own = Some(OwnModel { name: "own.onnx".to_owned(), graph, card });
            ModelFiles { own, runtime: None, sound: true }.try_as(ModelKind::Acoustic)
        };
        assert_eq!(of(graph.to_vec()), Ok(()));
        if Runtime::find(None).is_ok() {
            let refused = of(broken).expect_err("it judges nothing");
            assert!(refused.contains("not numbers"), "{refused}");
        }
    }

    #[test]
    fn a_graph_that_is_not_the_cards_is_refused_by_name() {
        let folder = std::env::temp_dir().join(format!("calmline-model-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let graph = folder.join("acoustic.onnx");
        let check = |card: &str, expected: &str| {
            std::fs::write(graph.with_extension("json"), card).expect("written");
            let refused = ModelFiles::read(Some(&graph), None, &Trust::anybody()).expect_err(expected);
            assert!(refused.contains(expected), "{refused}");
        };
        check("{}", "acoustic.onnx: No such file");
        std::fs::write(&graph, b"no graph").expect("written");
        check("", "acoustic.json: expected a model's card, found EOF");
        check("{}", "acoustic.json: expected a card with the sha256 of its graph");
        check(r#"{"sha256":"00"}"#, "acoustic.onnx: expected SHA-256 00, as its card says, found ");
        let key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".parse().expect("a key of RFC 8032");
        let trust = Trust::only(vec![key]).expect("one key");
        let unsigned = ModelFiles::read(Some(&graph), None, &trust).expect_err("nobody has signed it");
        assert!(unsigned.contains("acoustic.json.sig: expected a signature by a trusted key"), "{unsigned}");
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
