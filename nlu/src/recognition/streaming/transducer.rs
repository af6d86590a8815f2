//! The two small graphs of a transducer: the predictor (published as `decoder`), which knows the last tokens, and the
//! joiner, which weighs every token by what was heard and what was said before.

use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

use super::tokens::Tokens;
use crate::model::{ModelError, expect};

/// The number of the token that stands for nothing: 0 in every published transducer.
pub(super) const BLANK: usize = 0;
/// The most tokens that a predictor looks back at.
const CONTEXT_MAX: usize = 16;
/// What confidences are cooled by, as sherpa-onnx does: transducers are surer than they should be.
const TEMPERATURE: f32 = 2.0;

/// Predictor and joiner, with what they say of themselves.
#[derive(Debug)]
pub(super) struct Transducer {
    predictor: Session,
    joiner: Session,
    context: usize,
    vocabulary: usize,
    /// Numbers of one step, of the encoder and of the predictor alike.
    width: usize,
    /// Counts as nothing, too.
    unknown: Option<usize>,
}

impl Transducer {
    /// Checks the two graphs against each other, the tokens, and the encoder's `width`.
    ///
    /// # Errors
    /// What does not fit.
    pub(super) fn new(
        predictor: (&str, Session),
        joiner: (&str, Session),
        tokens: (&str, &Tokens),
        width: usize,
    ) -> Result<Self, ModelError> {
        let number = |key: &str| predictor.1.metadata().ok().and_then(|metadata| metadata.custom(key));
        let context: Option<usize> = number("context_size").and_then(|text| text.trim().parse().ok());
        let vocabulary: Option<usize> = number("vocab_size").and_then(|text| text.trim().parse().ok());
        let wrong = |expected: String, found: Option<String>| ModelError::Mismatch {
            file: predictor.0.to_owned(),
            what: "metadata",
            expected,
            found: found.unwrap_or_else(|| "no such key".to_owned()),
        };
        let context = context
            .filter(|context| (1..=CONTEXT_MAX).contains(context))
            .ok_or_else(|| wrong(format!("context_size: a number of 1-{CONTEXT_MAX}"), number("context_size")))?;
        let vocabulary =
            vocabulary.filter(|&vocabulary| vocabulary > 1 && vocabulary <= tokens.1.count()).ok_or_else(|| {
                wrong(format!("vocab_size: 2-{}, as {} has", tokens.1.count(), tokens.0), number("vocab_size"))
            })?;
        shapes(predictor.0, "input", predictor.1.inputs(), &[context])?;
        shapes(predictor.0, "output", predictor.1.outputs(), &[width])?;
        shapes(joiner.0, "input", joiner.1.inputs(), &[width, width])?;
        shapes(joiner.0, "output", joiner.1.outputs(), &[vocabulary])?;
        let unknown = tokens.1.unknown();
        Ok(Self { predictor: predictor.1, joiner: joiner.1, context, vocabulary, width, unknown })
    }

    /// What a predictor is given before the first token.
    pub(super) fn first_context(&self) -> Vec<i64> {
        let mut context = vec![-1; self.context];
        context[self.context - 1] = BLANK as i64;
        context
    }

    /// Numbers of one step.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The tokens that say nothing.
    pub(super) fn silence(&self) -> [Option<usize>; 2] {
        [Some(BLANK), self.unknown]
    }

    /// What follows from the last tokens: `width` numbers for each of `contexts`.
    ///
    /// # Errors
    /// What ONNX Runtime says.
    pub(super) fn predict(&mut self, contexts: &[&[i64]]) -> Result<Vec<Box<[f32]>>, ort::Error> {
        let numbers: Vec<i64> = contexts.iter().flat_map(|context| context.iter().copied()).collect();
        let input = TensorRef::from_array_view(([contexts.len(), self.context], numbers.as_slice()))?;
        let outputs = self.predictor.run([SessionInputValue::from(input)])?;
        let (_, values) = outputs[0].try_extract_tensor::<f32>()?;
        if values.len() != contexts.len() * self.width {
            return Err(ort::Error::new(format!("{} numbers of the predictor", values.len())));
        }
        Ok(values.chunks_exact(self.width).map(Box::from).collect())
    }

    /// Hands `take` the logits of every row, `vocabulary` each: of steps heard and predictions, `width` numbers a row.
    ///
    /// # Errors
    /// What ONNX Runtime says.
    pub(super) fn join(
        &mut self,
        heard: &[f32],
        predicted: &[f32],
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<(), ort::Error> {
        let rows = heard.len() / self.width;
        let heard = TensorRef::from_array_view(([rows, self.width], heard))?;
        let predicted = TensorRef::from_array_view(([rows, self.width], predicted))?;
        let outputs = self.joiner.run([SessionInputValue::from(heard), SessionInputValue::from(predicted)])?;
        let (_, values) = outputs[0].try_extract_tensor::<f32>()?;
        if values.len() != rows * self.vocabulary {
            return Err(ort::Error::new(format!("{} numbers of the joiner", values.len())));
        }
        values.chunks_exact(self.vocabulary).enumerate().for_each(|(row, logits)| take(row, logits));
        Ok(())
    }
}

/// Two-dimensional outlets with a free first dimension, by their second one; -1 fits all.
fn shapes(file: &str, what: &'static str, outlets: &[ort::value::Outlet], widths: &[usize]) -> Result<(), ModelError> {
    let shape = |outlet: &ort::value::Outlet| outlet.dtype().tensor_shape().map(|shape| shape.to_vec());
    let fits = |(outlet, &width): (&ort::value::Outlet, &usize)| {
        shape(outlet).is_some_and(|shape| shape.len() == 2 && shape[0] < 0 && [-1, width as i64].contains(&shape[1]))
    };
    let expected: Vec<String> = widths.iter().map(|width| format!("[N, {width}]")).collect();
    let found: Vec<String> = outlets.iter().map(super::layout::outlet).collect();
    let is_fit = outlets.len() == widths.len() && outlets.iter().zip(widths).all(fits);
    if is_fit { Ok(()) } else { expect(file, what, &expected.join(", "), &found.join(", ")) }
}

/// The largest value's place; the first of equals.
pub(super) fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (at, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = at;
        }
    }
    best
}

/// How sure a transducer is of a token, 0-1: its share of all, cooled.
pub(super) fn confidence(logits: &[f32], token: usize) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| ((logit - highest) / TEMPERATURE).exp()).sum();
    // Of a graph that gives no numbers nobody is sure.
    (((logits[token] - highest) / TEMPERATURE).exp() / sum).max(0.0)
}

/// The logarithm of the sum of exponentials of all logits.
pub(super) fn log_sum_exp(logits: &[f32]) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    highest + logits.iter().map(|logit| (logit - highest).exp()).sum::<f32>().ln()
}
