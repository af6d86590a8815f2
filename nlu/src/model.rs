//! The acoustic emotion model: rows of features in, probabilities of four emotions out.
//!
//! Two byte strings make a model: the ONNX graph and its JSON card. Both are checked against this build before the
//! first row is judged; nothing is read from a file here.

use ort::session::Session;
use ort::value::TensorRef;
use serde::Deserialize;

use crate::device::{Device, DeviceError};
use crate::features::{Extractor, FEATURES};
use crate::runtime::Runtime;

/// What the model tells apart: the card's `labels`, in the order of the probabilities.
pub const CLASS_NAMES: [&str; CLASSES] =
    ["neutral", "calm", "anger", "joy", "sadness", "anxiety", "surprise", "disgust"];
/// How many that are.
pub const CLASSES: usize = 8;
/// Name of the graph's input, `(N, FEATURES)` float.
const INPUT: &str = "features";
/// Name of the graph's output, `(N, CLASSES)` float, rows sum to 1.
const OUTPUT: &str = "probabilities";
/// Threads per run: parallelism is across calls, not inside a run.
const INTRA_THREADS: usize = 1;
/// Stands in for a row that is refused.
const NOTHING: [f32; FEATURES] = [0.0; FEATURES];

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
    session: Session,
    card: ModelCard,
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
        let card = read_card(file, card)?;
        let session = open(runtime, file, graph)?;
        check_outlets(file, "input", session.inputs(), &format!("{INPUT} [-1, {FEATURES}]"))?;
        check_outlets(file, "output", session.outputs(), &format!("{OUTPUT} [-1, {CLASSES}]"))?;
        let version = session.metadata().ok().and_then(|metadata| metadata.custom("version")).unwrap_or_default();
        expect(file, "version in the graph", &card.version, &version)?;
        Ok(Self { session, card })
    }

    /// What the model says about itself.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// Judges `rows` in one run. The probabilities of a row, by [`CLASS_NAMES`], sum to 1; a row with a value that is no number,
    /// or that is answered with one, is refused by itself (`None`): the others are not spoilt by it.
    ///
    /// # Errors
    /// When ONNX Runtime fails, answers in another shape, or every row is refused; the model can be used again.
    pub fn judge(&mut self, rows: &[&[f32; FEATURES]]) -> Result<Vec<Option<[f32; CLASSES]>>, ModelError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let failed = |found: String| ModelError::Run { model: "acoustic", rows: rows.len(), found };
        let is_right: Vec<bool> = rows.iter().map(|row| row.iter().all(|value| value.is_finite())).collect();
        let taken = rows.iter().zip(&is_right).map(|(row, is_right)| if *is_right { *row } else { &NOTHING });
        let values: Vec<f32> = taken.flatten().copied().collect();
        let input = TensorRef::from_array_view(([rows.len(), FEATURES], values.as_slice()))
            .map_err(|error| failed(error.to_string()))?;
        let outputs = self.session.run(ort::inputs![INPUT => input]).map_err(|error| failed(error.to_string()))?;
        let (shape, values) = outputs[OUTPUT].try_extract_tensor::<f32>().map_err(|error| failed(error.to_string()))?;
        let (judged, rest) = values.as_chunks::<CLASSES>();
        if judged.len() != rows.len() || !rest.is_empty() {
            return Err(failed(format!("an answer of shape {shape:?}")));
        }
        let judged = judged.iter().zip(is_right);
        let judged =
            judged.map(|(row, is_right)| Some(*row).filter(|row| is_right && row.iter().all(|p| p.is_finite())));
        let judged: Vec<_> = judged.collect();
        if judged.iter().all(Option::is_none) {
            return Err(failed("values that are not numbers".to_owned()));
        }
        Ok(judged)
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

fn read_card(file: &str, card: &[u8]) -> Result<ModelCard, ModelError> {
    let card: ModelCard = serde_json::from_slice(card).map_err(|error| ModelError::Mismatch {
        file: file.to_owned(),
        what: "card",
        expected: "a JSON object with name, version, labels, features, sha256, parameters".to_owned(),
        found: error.to_string(),
    })?;
    expect(file, "labels of the card", &CLASS_NAMES.join(", "), &card.labels.join(", "))?;
    let names = Extractor::names();
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
