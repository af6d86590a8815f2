//! The encoder: steps of sound in, rows that tell of a window what it sounds like out.

use ort::session::Session;
use ort::value::TensorRef;

use super::{CONTEXT_HOPS, ENERGIES, FRAMES, Memories, SOUND_FEATURES, STEP_HOPS, SUMS, SoundStep};
use crate::features::Row;
use crate::model::{ModelError, check_outlets, open};
use crate::runtime::Runtime;

/// Steps encoded in one run: more at a time do not fit a processor's cache, and take longer.
const BATCH: usize = 8;

/// Hops that the encoder hears at a time.
const HOPS: usize = CONTEXT_HOPS + STEP_HOPS;

/// A loaded encoder.
#[derive(Debug)]
pub struct Encoder(Session);

/// What a window sounds like; `None` when nothing of it was encoded.
pub type SoundRow = Option<Box<[f32; SOUND_FEATURES]>>;

impl Encoder {
    /// The encoder that comes with the program (`nlu/models/encoder.onnx`).
    ///
    /// # Errors
    /// When ONNX Runtime refuses it.
    pub fn built_in(runtime: &Runtime) -> Result<Self, ModelError> {
        Self::from_bytes(runtime, "encoder.onnx", include_bytes!("../../models/encoder.onnx"))
    }

    /// Checks and loads an encoder; `file` is the name that errors tell.
    ///
    /// # Errors
    /// When the graph is truncated or garbage, or takes or gives something else.
    pub fn from_bytes(runtime: &Runtime, file: &str, graph: &[u8]) -> Result<Self, ModelError> {
        let encoder = open(runtime, file, graph)?;
        let inputs = format!("energies [-1, {HOPS}, {ENERGIES}], speech [-1, {FRAMES}]");
        check_outlets(file, "input", encoder.inputs(), &inputs)?;
        check_outlets(file, "output", encoder.outputs(), &format!("sums [-1, {SUMS}]"))?;
        Ok(Self(encoder))
    }

    /// What the windows of `rows` sound like, each by the memory of its party, which takes the row's steps in first. A party without a
    /// memory is gone.
    ///
    /// # Errors
    /// When ONNX Runtime fails or answers in another shape; the memories are as they were.
    pub fn rows<T>(&mut self, rows: &[(T, Row)], memories: &mut impl Memories<T>) -> Result<Vec<SoundRow>, ModelError> {
        let steps: Vec<&SoundStep> = rows.iter().flat_map(|(_, row)| &row.steps).collect();
        let sums = self.encode(&steps)?;
        let mut encoded = steps.iter().zip(&sums);
        let mut heard = Vec::with_capacity(rows.len());
        for (whose, row) in rows {
            let fresh = encoded.by_ref().take(row.steps.len());
            heard.push(match memories.of(whose) {
                Some(memory) => {
                    fresh.for_each(|(step, sums)| memory.take(step, sums));
                    // Without a step nothing is known of what was said last: work is spared.
                    if row.steps.is_empty() { None } else { memory.row(row.position) }
                }
                None => {
                    fresh.for_each(drop);
                    None
                }
            });
        }
        Ok(heard)
    }

    /// The sums of every step's frames.
    fn encode(&mut self, steps: &[&SoundStep]) -> Result<Vec<[f32; SUMS]>, ModelError> {
        let mut encoded = Vec::with_capacity(steps.len());
        for batch in steps.chunks(BATCH) {
            let failed = |found: String| ModelError::Run { model: "encoder", rows: batch.len(), found };
            let energies: Vec<f32> = batch.iter().flat_map(|step| &step.energies).copied().collect();
            let speech: Vec<f32> = batch.iter().flat_map(|step| step.speech).collect();
            let energies = TensorRef::from_array_view(([batch.len(), HOPS, ENERGIES], energies.as_slice()))
                .map_err(|error| failed(error.to_string()))?;
            let speech = TensorRef::from_array_view(([batch.len(), FRAMES], speech.as_slice()))
                .map_err(|error| failed(error.to_string()))?;
            let outputs = self
                .0
                .run(ort::inputs!["energies" => energies, "speech" => speech])
                .map_err(|error| failed(error.to_string()))?;
            let (shape, values) =
                outputs["sums"].try_extract_tensor::<f32>().map_err(|error| failed(error.to_string()))?;
            let (sums, rest) = values.as_chunks::<SUMS>();
            if sums.len() != batch.len() || !rest.is_empty() {
                return Err(failed(format!("an answer of shape {shape:?}")));
            }
            encoded.extend_from_slice(sums);
        }
        Ok(encoded)
    }
}
