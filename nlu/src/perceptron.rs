//! A graph that takes rows of `N` numbers and tells how likely each class is.

use ort::session::Session;
use ort::value::TensorRef;

use crate::model::{CLASSES, ModelCard, ModelError, check_outlets, expect, open};
use crate::runtime::Runtime;

/// Name of the graph's input, `(rows, N)` float.
const INPUT: &str = "features";
/// Name of the graph's output, `(rows, CLASSES)` float, rows sum to 1.
const OUTPUT: &str = "probabilities";

#[derive(Debug)]
pub(crate) struct Perceptron<const N: usize> {
    session: Session,
}

impl<const N: usize> Perceptron<N> {
    /// Loads a graph, and checks that it is the one of `card`; `file` is the name that errors tell.
    pub(crate) fn open(runtime: &Runtime, file: &str, graph: &[u8], card: &ModelCard) -> Result<Self, ModelError> {
        let session = open(runtime, file, graph)?;
        check_outlets(file, "input", session.inputs(), &format!("{INPUT} [-1, {N}]"))?;
        check_outlets(file, "output", session.outputs(), &format!("{OUTPUT} [-1, {CLASSES}]"))?;
        let version = session.metadata().ok().and_then(|metadata| metadata.custom("version")).unwrap_or_default();
        expect(file, "version in the graph", &card.version, &version)?;
        Ok(Self { session })
    }

    /// Judges `rows` in one run. The probabilities of a row sum to 1; a row with a value that is no number, or that is answered with
    /// one, is refused by itself (`None`): the others are not spoilt by it.
    ///
    /// # Errors
    /// When ONNX Runtime fails, answers in another shape, or every row is refused; the model, called `model`, can be used again.
    pub(crate) fn judge(
        &mut self,
        model: &'static str,
        rows: &[&[f32; N]],
    ) -> Result<Vec<Option<[f32; CLASSES]>>, ModelError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let failed = |found: String| ModelError::Run { model, rows: rows.len(), found };
        let is_right: Vec<bool> = rows.iter().map(|row| row.iter().all(|value| value.is_finite())).collect();
        let mut values = Vec::with_capacity(rows.len() * N);
        for (row, is_right) in rows.iter().zip(&is_right) {
            // Zeros stand in for a row that is refused.
            values.extend(row.iter().map(|value| if *is_right { *value } else { 0.0 }));
        }
        let input = TensorRef::from_array_view(([rows.len(), N], values.as_slice()))
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
