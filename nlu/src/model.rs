//! The acoustic emotion model: rows of features in, probabilities of emotions out.
//!
//! Two byte strings make a model: the ONNX graph and its JSON card. Both are checked against this build before the
//! first row is judged; nothing is read from a file here.

use ort::session::Session;
use serde::Deserialize;

use crate::device::{Device, DeviceError};
use crate::features::{Extractor, FEATURES, Row};
use crate::perceptron::Perceptron;
use crate::runtime::Runtime;
use crate::sound::{Memories, SoundModel};

/// What the model tells apart: the card's `labels`, in the order of the probabilities.
pub const CLASS_NAMES: [&str; CLASSES] =
    ["neutral", "calm", "anger", "joy", "sadness", "anxiety", "surprise", "disgust"];
/// How many that are.
pub const CLASSES: usize = 8;
/// Threads per run: parallelism is across calls, not inside a run.
const INTRA_THREADS: usize = 1;

/// What the JSON beside the graph says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModelCard {
    /// Name of the model.
    pub name: String,
    /// Version, also in the graph's metadata: the two files must belong together.
    pub version: String,
    /// Names of the classes, in order.
    pub labels: Vec<String>,
    /// Names of the inputs, in order.
    pub features: Vec<String>,
    /// SHA-256 of the ONNX file, hexadecimal.
    pub sha256: String,
    /// Weights and biases.
    pub parameters: u64,
}

/// Why a model can not be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The card or the graph is not what this build expects.
    #[error("{file}: {what}: expected {expected}, found {found}")]
    Mismatch {
        /// Name of the file.
        file: String,
        /// Which part of it.
        what: &'static str,
        /// What would be right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The device is not there, or ONNX Runtime cannot use it.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A run failed.
    #[error("the {model} model failed on {rows} rows: {found}")]
    Run {
        /// Which model.
        model: &'static str,
        /// Rows of the run.
        rows: usize,
        /// What ONNX Runtime said.
        found: String,
    },
}

/// A loaded model. One per listening thread.
#[derive(Debug)]
pub struct AcousticModel {
    perceptron: Perceptron<FEATURES>,
    card: ModelCard,
    /// What judges beside it by the sound itself.
    sound: Option<SoundModel>,
}

impl AcousticModel {
    /// The model that comes with the program (`nlu/models/acoustic.onnx`).
    ///
    /// # Errors
    /// When ONNX Runtime refuses it.
    pub fn built_in(runtime: &Runtime) -> Result<Self, ModelError> {
        let graph = include_bytes!("../models/acoustic.onnx");
        let card = include_bytes!("../models/acoustic.json");
        Self::from_bytes(runtime, "acoustic.onnx", graph, card)
    }

    /// Checks and loads a model; `file` is the name that errors tell.
    ///
    /// # Errors
    /// When the card is no such card, the graph is truncated or garbage, or names, shapes or versions do not fit.
    pub fn from_bytes(runtime: &Runtime, file: &str, graph: &[u8], card: &[u8]) -> Result<Self, ModelError> {
        let card = read_card(file, card, &Extractor::names())?;
        Ok(Self { perceptron: Perceptron::open(runtime, file, graph, &card)?, card, sound: None })
    }

    /// The same, and `sound` beside it: then voices are judged by both together.
    #[must_use]
    pub fn with_sound(mut self, sound: SoundModel) -> Self {
        self.sound = Some(sound);
        self
    }

    /// Whether voices are judged by their sound, too.
    pub fn hears_sound(&self) -> bool {
        self.sound.is_some()
    }

    /// What the model says about itself.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// Judges `rows` in one run, by their numbers alone. The probabilities of a row, by [`CLASS_NAMES`], sum to 1; a row with a value
    /// that is no number, or that is answered with one, is refused by itself (`None`): the others are not spoilt by it.
    ///
    /// # Errors
    /// When ONNX Runtime fails, answers in another shape, or every row is refused; the model can be used again.
    pub fn judge(&mut self, rows: &[&[f32; FEATURES]]) -> Result<Vec<Option<[f32; CLASSES]>>, ModelError> {
        self.perceptron.judge("acoustic", rows)
    }

    /// Judges windows by their numbers and, where it hears that, by their sound; each with the memory of whose window it is. Also
    /// why something could not be judged so: then the numbers speak alone, or nothing does.
    pub fn hear<T>(
        &mut self,
        rows: &[(T, Row)],
        memories: &mut impl Memories<T>,
    ) -> (Vec<Option<[f32; CLASSES]>>, Option<ModelError>) {
        let values: Vec<&[f32; FEATURES]> = rows.iter().map(|(_, row)| &*row.values).collect();
        let (mut judged, mut failure) = match self.judge(&values) {
            Ok(judged) => (judged, None),
            Err(error) => (vec![None; rows.len()], Some(error)),
        };
        if let Some(sound) = &mut self.sound {
            failure = failure.or(sound.judge_beside(rows, &mut judged, memories).err());
        }
        (judged, failure)
    }
}

/// The probabilities of neutral, anger, joy and sadness: anger keeps its own, the three share what is left as they stand to
/// each other. What sounds afraid, surprised or disgusted is not anger; more is not said of it.
pub(crate) fn as_voice(probabilities: &[f32; CLASSES]) -> [f32; 4] {
    let [neutral, calm, anger, joy, sadness, ..] = *probabilities;
    let shares = [neutral + calm, joy, sadness].map(|share| share.max(f32::MIN_POSITIVE));
    let [neutral, joy, sadness] = shares.map(|share| (1.0 - anger) * share / shares.iter().sum::<f32>());
    [neutral, anger, joy, sadness]
}

/// The card of a model whose rows have values with these `names`.
pub(crate) fn read_card(file: &str, card: &[u8], names: &[String]) -> Result<ModelCard, ModelError> {
    let card: ModelCard = serde_json::from_slice(card).map_err(|error| ModelError::Mismatch {
        file: file.to_owned(),
        what: "card",
        expected: "a JSON object with name, version, labels, features, sha256, parameters".to_owned(),
        found: error.to_string(),
    })?;
    expect(file, "labels of the card", &CLASS_NAMES.join(", "), &card.labels.join(", "))?;
    expect(file, "number of features of the card", &names.len().to_string(), &card.features.len().to_string())?;
    for (expected, found) in names.iter().zip(&card.features) {
        expect(file, "a feature of the card", expected, found)?;
    }
    Ok(card)
}

/// A session for `graph`, which is named `file`.
pub(crate) fn open(runtime: &Runtime, file: &str, graph: &[u8]) -> Result<Session, ModelError> {
    open_on(runtime, file, graph, Device::Cpu)
}

/// A session for `graph`, which is named `file`, on a device.
pub(crate) fn open_on(runtime: &Runtime, file: &str, graph: &[u8], device: Device) -> Result<Session, ModelError> {
    let refused = |found: String| ModelError::Mismatch {
        file: file.to_owned(),
        what: "graph",
        expected: "an ONNX model".to_owned(),
        found: format!("{} bytes that ONNX Runtime refuses: {found}", graph.len()),
    };
    let builder = Session::builder(&runtime.environment).map_err(|error| refused(error.to_string()))?;
    let builder = builder.with_intra_threads(INTRA_THREADS);
    let builder = builder.map_err(|error| refused(error.to_string()))?;
    let mut builder = device.put(runtime, builder)?;
    builder.commit_from_memory(graph).map_err(|error| refused(error.to_string()))
}

/// The inputs or outputs of a graph must be `expected`: names and dimensions, -1 for any.
pub(crate) fn check_outlets(
    file: &str,
    what: &'static str,
    outlets: &[ort::value::Outlet],
    expected: &str,
) -> Result<(), ModelError> {
    let found: Vec<String> = outlets
        .iter()
        .map(|outlet| {
            let dimensions = outlet.dtype().tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default();
            format!("{} {dimensions:?}", outlet.name())
        })
        .collect();
    expect(file, what, expected, &found.join(", "))
}

pub(crate) fn expect(file: &str, what: &'static str, expected: &str, found: &str) -> Result<(), ModelError> {
    if expected == found {
        return Ok(());
    }
    Err(ModelError::Mismatch { file: file.to_owned(), what, expected: expected.to_owned(), found: found.to_owned() })
}
