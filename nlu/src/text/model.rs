//! The text model: texts in, probabilities of polarity, emotions, offence and intents out.
//!
//! Two byte strings make a model: the ONNX graph, and the JSON card that also holds its vocabulary. Both are checked
//! against this build before the first text is judged; nothing is read from a file here.

use std::collections::BTreeMap;

use ort::session::Session;
use ort::value::TensorRef;
use serde::Deserialize;

use super::judgement::{HEADS, INTENTS, OUTPUTS, TextJudgement};
use super::naming::{NAMED, Naming};
use super::tokens::{crc32, grams, tokens};
use crate::model::{ModelError, check_outlets, expect, open};
use crate::runtime::Runtime;

/// Tokens that the deep part reads; the n-grams are of all.
const DEEP_TOKENS_MAX: usize = 96;
/// Texts judged in one run; more are judged in several.
const BATCH_MAX: usize = 64;
/// Words that are not in the vocabulary share so many rows; row 0 is no token.
const UNKNOWN: u32 = 256;
/// Most tokens, and most n-grams, that a card may name.
const ROWS_MAX: usize = 1_000_000;
/// The farthest that naming may go from what is likeliest.
const OFFSET_MAX: f32 = 5.0;

/// What the JSON beside the graph says.
#[derive(Debug, Clone, Deserialize)]
pub struct TextCard {
    /// Name of the model.
    pub name: String,
    /// Version, also in the graph's metadata: the two files must belong together.
    pub version: String,
    /// Names of the outputs, in order, as `head/class`.
    pub outputs: Vec<String>,
    /// SHA-256 of the ONNX file, hexadecimal.
    pub sha256: String,
    /// Weights and biases.
    pub parameters: u64,
    /// The probability from which on each intent counts as found, in the order of `INTENTS`; above 0, at most 1.
    intent_thresholds: [f32; INTENTS.len()],
    /// The probability from which on the writer counts as upset; above 0, at most 1.
    upset_threshold: f32,
    /// What is added to the logarithm of a class's probability where one is named: polarity, emotion, offence.
    decision_offsets: [f32; NAMED],
    /// The tokens that have a row of their own, in order.
    tokens: Vec<String>,
    /// The hashes of the n-grams that have a row of their own, ascending, each as its distance from the one before.
    grams: Vec<u32>,
}

impl TextCard {
    /// Reads and checks a card; `file` is the name that errors tell.
    ///
    /// # Errors
    /// When it is no such card, or one of another kind of model.
    pub fn parse(file: &str, card: &[u8]) -> Result<Self, ModelError> {
        let card: Self = serde_json::from_slice(card).map_err(|error| ModelError::Mismatch {
            file: file.to_owned(),
            what: "card",
            expected: "a JSON object with name, version, outputs, sha256, parameters, intent_thresholds, \
                       upset_threshold, decision_offsets, tokens, grams"
                .to_owned(),
            found: error.to_string(),
        })?;
        let named = |(head, classes): &(&str, &'static [&str])| {
            let head = (*head).to_owned();
            classes.iter().map(move |class| format!("{head}/{class}"))
        };
        let expected: Vec<String> = HEADS.iter().flat_map(named).collect();
        expect(file, "outputs of the card", &expected.join(", "), &card.outputs.join(", "))?;
        check_limits(file, &card)?;
        Ok(card)
    }

    /// How its judgements are named.
    pub fn naming(&self) -> Naming {
        Naming { offsets: self.decision_offsets, intents: self.intent_thresholds, upset: self.upset_threshold }
    }
}

/// A loaded model. One per thread that judges.
#[derive(Debug)]
pub struct TextModel {
    session: Session,
    card: TextCard,
    tokens: BTreeMap<String, u32>,
    grams: Vec<u32>,
}

impl TextModel {
    /// The model that comes with the program (`nlu/models/text.onnx`).
    ///
    /// # Errors
    /// When ONNX Runtime refuses it.
    pub fn built_in(runtime: &Runtime) -> Result<Self, ModelError> {
        let graph = include_bytes!("../../models/text.onnx");
        let card = include_bytes!("../../models/text.json");
        Self::from_bytes(runtime, "text.onnx", graph, card)
    }

    /// Checks and loads a model; `file` is the name that errors tell.
    ///
    /// # Errors
    /// When the card is no such card, the graph is truncated or garbage, or names, shapes or versions do not fit.
    pub fn from_bytes(runtime: &Runtime, file: &str, graph: &[u8], card: &[u8]) -> Result<Self, ModelError> {
        let mut card = TextCard::parse(file, card)?;
        let session = open(runtime, file, graph)?;
        check_outlets(file, "inputs", session.inputs(), "tokens [-1, -1], grams [-1, -1]")?;
        check_outlets(file, "output", session.outputs(), &format!("probabilities [-1, {OUTPUTS}]"))?;
        let version = session.metadata().ok().and_then(|metadata| metadata.custom("version")).unwrap_or_default();
        expect(file, "version in the graph", &card.version, &version)?;
        let rows = (1 + UNKNOWN..).zip(std::mem::take(&mut card.tokens));
        let tokens = rows.map(|(row, token)| (token, row)).collect();
        let grams = running_sum(std::mem::take(&mut card.grams));
        Ok(Self { session, card, tokens, grams })
    }

    /// What the model says about itself.
    pub fn card(&self) -> &TextCard {
        &self.card
    }

    /// Judges `texts`, in runs of at most 64. A text without any token is judged too: it says nothing. One that is answered with
    /// values that are no numbers is refused by itself (`None`).
    ///
    /// # Errors
    /// When ONNX Runtime fails, answers in another shape, or refuses every text of a run; the model can be used again.
    pub fn judge(&mut self, texts: &[&str]) -> Result<Vec<Option<TextJudgement>>, ModelError> {
        let mut found = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH_MAX) {
            self.judge_batch(batch, &mut found)?;
        }
        Ok(found)
    }

    fn judge_batch(&mut self, texts: &[&str], found: &mut Vec<Option<TextJudgement>>) -> Result<(), ModelError> {
        let (mut token_rows, mut gram_rows) = (Vec::new(), Vec::new());
        for text in texts {
            let tokens = tokens(text);
            gram_rows.push(self.gram_rows(&grams(&tokens)));
            token_rows.push(tokens.iter().take(DEEP_TOKENS_MAX).map(|token| self.token_row(token)).collect());
        }
        // The graph takes tokens in pairs, and at least one of everything.
        let (token_width, token_rows) = padded(&token_rows, 2);
        let (gram_width, gram_rows) = padded(&gram_rows, 1);
        let failed = |found: String| ModelError::Run { model: "text", rows: texts.len(), found };
        let said = |error: ort::Error| failed(error.to_string());
        let token_input = TensorRef::from_array_view(([texts.len(), token_width], &*token_rows)).map_err(said)?;
        let gram_input = TensorRef::from_array_view(([texts.len(), gram_width], &*gram_rows)).map_err(said)?;
        let inputs = ort::inputs!["tokens" => token_input, "grams" => gram_input];
        let outputs = self.session.run(inputs).map_err(said)?;
        let (shape, values) = outputs["probabilities"].try_extract_tensor::<f32>().map_err(said)?;
        let (judged, rest) = values.as_chunks::<OUTPUTS>();
        if judged.len() != texts.len() || !rest.is_empty() {
            return Err(failed(format!("an answer of shape {shape:?}")));
        }
        let is_right = |outputs: &[f32; OUTPUTS]| outputs.iter().all(|value| value.is_finite());
        if !judged.iter().any(is_right) {
            return Err(failed("values that are not numbers".to_owned()));
        }
        found.extend(judged.iter().map(|row| is_right(row).then(|| TextJudgement::from_outputs(row))));
        Ok(())
    }

    fn token_row(&self, token: &str) -> i32 {
        let row = self.tokens.get(token).copied();
        row.unwrap_or_else(|| 1 + crc32(0, token.as_bytes()) % UNKNOWN) as i32
    }

    fn gram_rows(&self, hashes: &[u32]) -> Vec<i32> {
        hashes.iter().filter_map(|hash| self.grams.binary_search(hash).ok()).map(|at| at as i32 + 1).collect()
    }
}

/// A card from elsewhere must not make thresholds that mean nothing, nor rows that the graph can not have.
fn check_limits(file: &str, card: &TextCard) -> Result<(), ModelError> {
    let wrong = |what: &'static str, expected: String, found: String| {
        Err(ModelError::Mismatch { file: file.to_owned(), what, expected, found })
    };
    let thresholds = [
        ("intent_thresholds of the card", &card.intent_thresholds[..]),
        ("upset_threshold of the card", &[card.upset_threshold]),
    ];
    for (what, values) in thresholds {
        if let Some(odd) = values.iter().find(|threshold| !(f32::MIN_POSITIVE..=1.0).contains(*threshold)) {
            return wrong(what, "above 0, at most 1".to_owned(), odd.to_string());
        }
    }
    if let Some(odd) = card.decision_offsets.iter().find(|offset| offset.is_nan() || offset.abs() > OFFSET_MAX) {
        return wrong("decision_offsets of the card", format!("-{OFFSET_MAX} to {OFFSET_MAX}"), odd.to_string());
    }
    for (what, count) in [("tokens of the card", card.tokens.len()), ("grams of the card", card.grams.len())] {
        if count > ROWS_MAX {
            return wrong(what, format!("at most {ROWS_MAX}"), count.to_string());
        }
    }
    Ok(())
}

/// Distances as the values themselves; those beyond 32 bits wrap, and are then never found.
fn running_sum(mut distances: Vec<u32>) -> Vec<u32> {
    let mut sum = 0_u32;
    for value in &mut distances {
        sum = sum.wrapping_add(*value);
        *value = sum;
    }
    distances
}

/// Rows of unequal length as one matrix, filled up with 0, its width a multiple of `multiple`.
fn padded(rows: &[Vec<i32>], multiple: usize) -> (usize, Vec<i32>) {
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = longest.max(1).next_multiple_of(multiple);
    let mut matrix = vec![0; rows.len() * width];
    for (filled, row) in matrix.chunks_mut(width).zip(rows) {
        filled[..row.len()].copy_from_slice(row);
    }
    (width, matrix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_filled_up() {
        assert_eq!(padded(&[vec![1, 2, 3], vec![4]], 2), (4, vec![1, 2, 3, 0, 4, 0, 0, 0]));
        assert_eq!(padded(&[vec![]], 2), (2, vec![0, 0]));
    }

    #[test]
    fn distances_become_values() {
        assert_eq!(running_sum(vec![5, 0, 7]), [5, 5, 12]);
        assert_eq!(running_sum(vec![u32::MAX, 2]), [u32::MAX, 1]);
    }
}
