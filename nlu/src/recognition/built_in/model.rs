//! The network's graph and its card: stretches of speech in, the likelihood of each token at each step out.
//!
//! Both are checked against this build before anything is heard; nothing is read from a file here.

use std::collections::BTreeMap;

use ort::session::Session;
use ort::value::TensorRef;
use serde::Deserialize;

use super::front::{BANDS, Energies, STRIDE};
use super::sounds::Sounds;
use super::spotting::{Likelihoods, Margins, Phrases};
use crate::model::{ModelError, check_outlets, expect, open};
use crate::recognition::graph::GraphError;
use crate::recognition::phrases::PhraseList;
use crate::runtime::Runtime;

/// Name of the graph's input, `(N, frames, BANDS)` float.
const INPUT: &str = "energies";
/// Name of the graph's output, `(N, frames / STRIDE, tokens)` float: natural logarithms of likelihoods.
const OUTPUT: &str = "likelihoods";
/// Stretches of one run.
const BATCH_MAX: usize = 16;

/// What the JSON beside the graph says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WordsCard {
    /// Name of the model.
    pub name: String,
    /// Version, also in the graph's metadata: the two files must belong together.
    pub version: String,
    /// What the network writes: nothing, syllables, letters.
    pub tokens: Vec<String>,
    /// The characters that are read as each syllable.
    pub readings: BTreeMap<String, String>,
    /// How sure one can be of a phrase, for syllables and for letters.
    pub certainty: BTreeMap<String, Certainty>,
    /// SHA-256 of the ONNX file, hexadecimal.
    pub sha256: String,
    /// Weights and biases.
    pub parameters: u64,
}

/// A logistic function of what a phrase costs, fitted on voices that were not taught.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Certainty {
    /// What is there without anything else.
    pub even: f32,
    /// Of the average cost of a token.
    pub mean: f32,
    /// Of the logarithm of the number of tokens.
    pub tokens: f32,
}

/// The card of the model that comes with the program.
const CARD: &[u8] = include_bytes!("../../../models/words.json");

impl WordsCard {
    /// That of the model that comes with the program.
    pub(in crate::recognition) fn built_in() -> Self {
        serde_json::from_slice(CARD).expect("it comes with the program, and a test reads it")
    }
}

impl Certainty {
    /// How sure one can be, 0-1.
    pub fn of(&self, margins: &Margins) -> f32 {
        let tokens = margins.tokens.max(1) as f32;
        let sum = self.even + self.mean * margins.mean + self.tokens * tokens.ln();
        1.0 / (1.0 + (-sum).exp())
    }
}

/// A loaded model. One per recognising thread.
#[derive(Debug)]
pub struct BuiltInModel {
    session: Session,
    sounds: Sounds,
    card: WordsCard,
    syllables: Certainty,
    letters: Certainty,
}

impl BuiltInModel {
    /// The model that comes with the program (`nlu/models/words.onnx`).
    ///
    /// # Errors
    /// When ONNX Runtime refuses it.
    pub fn built_in(runtime: &Runtime) -> Result<Self, ModelError> {
        let graph = include_bytes!("../../../models/words.onnx");
        Self::from_bytes(runtime, "words.onnx", graph, CARD)
    }

    /// Checks and loads a model; `file` is the name that errors tell.
    ///
    /// # Errors
    /// When the card is no such card, the graph is truncated or garbage, or names, shapes or versions do not fit.
    pub fn from_bytes(runtime: &Runtime, file: &str, graph: &[u8], card: &[u8]) -> Result<Self, ModelError> {
        let wrong = |expected: &str, found: String| ModelError::Mismatch {
            file: file.to_owned(),
            what: "card",
            expected: expected.to_owned(),
            found,
        };
        let card: WordsCard = serde_json::from_slice(card).map_err(|error| {
            wrong(
                "a JSON object with name, version, tokens, readings, certainty, sha256, parameters",
                error.to_string(),
            )
        })?;
        let sounds = Sounds::new(&card.tokens, &card.readings)
            .map_err(|found| wrong("readings that are tokens", format!("{found:?}")))?;
        let certainty = |of: &str| {
            card.certainty
                .get(of)
                .copied()
                .ok_or_else(|| wrong("certainty of syllables and of letters", format!("none of {of}")))
        };
        let (syllables, letters) = (certainty("syllables")?, certainty("letters")?);
        let session = open(runtime, file, graph)?;
        check_outlets(file, "input", session.inputs(), &format!("{INPUT} [-1, -1, {BANDS}]"))?;
        check_outlets(file, "output", session.outputs(), &format!("{OUTPUT} [-1, -1, {}]", card.tokens.len()))?;
        let version = session.metadata().ok().and_then(|metadata| metadata.custom("version")).unwrap_or_default();
        expect(file, "version in the graph", &card.version, &version)?;
        Ok(Self { session, sounds, card, syllables, letters })
    }

    /// What the model says about itself.
    pub fn card(&self) -> &WordsCard {
        &self.card
    }

    /// The phrases of a list as this model's tokens.
    ///
    /// # Errors
    /// Every phrase with a character or letter that it does not know.
    pub fn phrases(&self, list: &PhraseList) -> Result<Phrases, GraphError> {
        Phrases::new(list, &self.sounds)
    }

    /// How sure one can be of a phrase or of a part of it, 0-1.
    pub fn confidence(&self, text: &str, margins: &Margins) -> f32 {
        if text.contains(|letter: char| letter.is_ascii_alphabetic()) {
            self.letters.of(margins)
        } else {
            self.syllables.of(margins)
        }
    }

    /// What is likely in each of these stretches of speech (8 kHz, [-1, 1]), in as few runs as there may be.
    ///
    /// # Errors
    /// When ONNX Runtime fails or answers in another shape; the model can be used again.
    pub fn hear(&mut self, stretches: &[&[f32]]) -> Result<Vec<Likelihoods>, ModelError> {
        let energies: Vec<Energies> = stretches.iter().map(|samples| Energies::of(samples)).collect();
        let mut heard = Vec::with_capacity(stretches.len());
        for batch in energies.chunks(BATCH_MAX) {
            self.run(batch, &mut heard)?;
        }
        Ok(heard)
    }

    /// As `hear`; where a run fails, each of its stretches is heard by itself, and nothing of one that still fails.
    ///
    /// # Errors
    /// When all of them fail.
    pub fn hear_each(&mut self, stretches: &[&[f32]]) -> Result<Vec<Option<Likelihoods>>, ModelError> {
        let mut heard = Vec::with_capacity(stretches.len());
        let mut failed = None;
        for batch in stretches.chunks(BATCH_MAX) {
            match self.hear(batch) {
                Ok(together) => heard.extend(together.into_iter().map(Some)),
                Err(_) => {
                    for stretch in batch {
                        let alone = self.hear(&[stretch]).map_err(|error| failed = Some(error));
                        heard.push(alone.ok().and_then(|mut alone| alone.pop()));
                    }
                }
            }
        }
        match failed {
            Some(error) if heard.iter().all(Option::is_none) => Err(error),
            _ => Ok(heard),
        }
    }

    fn run(&mut self, batch: &[Energies], heard: &mut Vec<Likelihoods>) -> Result<(), ModelError> {
        let failed = |found: String| ModelError::Run { model: "words", rows: batch.len(), found };
        let tokens = self.card.tokens.len();
        let frames = batch.iter().map(Energies::frames).max().unwrap_or(0);
        let mut values = Vec::with_capacity(batch.len() * frames * BANDS);
        for energies in batch {
            values.extend_from_slice(&energies.values);
            values.resize(values.len() + (frames - energies.frames()) * BANDS, 0.0);
        }
        let input = TensorRef::from_array_view(([batch.len(), frames, BANDS], values.as_slice()))
            .map_err(|error| failed(error.to_string()))?;
        let outputs = self.session.run(ort::inputs![INPUT => input]).map_err(|error| failed(error.to_string()))?;
        let (shape, values) = outputs[OUTPUT].try_extract_tensor::<f32>().map_err(|error| failed(error.to_string()))?;
        let steps = frames / STRIDE;
        if values.len() != batch.len() * steps * tokens || values.iter().any(|value| !value.is_finite()) {
            return Err(failed(format!("an answer of shape {shape:?} or with values that are not numbers")));
        }
        for (energies, values) in batch.iter().zip(values.chunks_exact(steps * tokens)) {
            heard.push(Likelihoods { values: values[..energies.steps * tokens].to_vec(), tokens });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_more_is_less_sure() {
        let certainty = Certainty { even: 2.0, mean: 2.0, tokens: 0.5 };
        let sure = certainty.of(&Margins { mean: -0.1, tokens: 4 });
        assert!(sure > 0.9 && sure > certainty.of(&Margins { mean: -0.1, tokens: 2 }), "{sure}");
        assert!(certainty.of(&Margins { mean: -4.0, tokens: 4 }) < 0.1);
    }
}
