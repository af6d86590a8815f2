//! Greedy search: at each step the likeliest token, for all calls of a run together.
//!
//! A transducer's joiner weighs several steps at once as long as nothing is said: what it makes of a step does not depend
//! on steps that said nothing. So the steps of a call that stays silent cost one run, and the result is the same.

use super::path::Path;
use super::transducer::{Transducer, confidence, largest};

/// Rows of one run of the joiner that are worth it ahead of time: beyond it a row costs as much as in a run of its own.
const ROWS_AHEAD: usize = 16;

/// Goes on with `paths` over what a transducer's encoder heard, `steps` steps of each call; they begin at `first`.
///
/// # Errors
/// What ONNX Runtime says.
pub(super) fn transducer(
    graphs: &mut Transducer,
    heard: &[f32],
    steps: usize,
    first: &[u64],
    paths: &mut [&mut Path],
) -> Result<(), ort::Error> {
    let width = graphs.width();
    let mut at = vec![0; paths.len()];
    let (mut rows, mut inputs, mut predictions) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let open: Vec<usize> = (0..paths.len()).filter(|&call| at[call] < steps).collect();
        if open.is_empty() {
            return Ok(());
        }
        predict(graphs, paths, &open)?;
        let ahead = (ROWS_AHEAD / open.len()).max(1);
        rows.clear();
        inputs.clear();
        predictions.clear();
        for &call in &open {
            for step in at[call]..(at[call] + ahead).min(steps) {
                rows.push((call, step));
                let from = (call * steps + step) * width;
                inputs.extend_from_slice(&heard[from..from + width]);
                predictions.extend_from_slice(paths[call].predicted.as_deref().unwrap_or_default());
            }
        }
        let silence = graphs.silence();
        let mut chosen = Vec::with_capacity(rows.len());
        graphs.join(&inputs, &predictions, |_, logits| {
            let token = largest(logits);
            chosen.push((!silence.contains(&Some(token))).then(|| (token, confidence(logits, token))));
        })?;
        let mut has_spoken = vec![false; paths.len()];
        for (&(call, step), chosen) in rows.iter().zip(chosen) {
            // Behind a token everything is to be weighed again.
            if has_spoken[call] {
                continue;
            }
            at[call] += 1;
            match chosen {
                None => paths[call].silent += 1,
                Some((token, confidence)) => {
                    paths[call].emit(token, first[call] + step as u64, confidence);
                    has_spoken[call] = true;
                }
            }
        }
    }
}

/// Asks the predictor for those calls whose tokens have changed.
fn predict(graphs: &mut Transducer, paths: &mut [&mut Path], calls: &[usize]) -> Result<(), ort::Error> {
    let stale: Vec<usize> = calls.iter().copied().filter(|&call| paths[call].predicted.is_none()).collect();
    if stale.is_empty() {
        return Ok(());
    }
    let contexts: Vec<&[i64]> = stale.iter().map(|&call| paths[call].context.as_slice()).collect();
    let predicted = graphs.predict(&contexts)?;
    for (call, predicted) in stale.into_iter().zip(predicted) {
        paths[call].predicted = Some(predicted);
    }
    Ok(())
}

/// Goes on with one call's `path` over a CTC model's log probabilities, `vocabulary` a step, from step `first` on.
pub(super) fn ctc(log_probabilities: &[f32], vocabulary: usize, blank: usize, first: u64, path: &mut Path) {
    for (step, values) in log_probabilities.chunks_exact(vocabulary).enumerate() {
        let token = largest(values);
        if token == blank {
            path.silent += 1;
        } else if path.last == Some(token) {
            path.silent = 0;
        } else {
            path.emit(token, first + step as u64, probability(values[token]));
        }
        path.last = Some(token);
    }
}

/// A probability of its logarithm; of what a graph gives instead, at least one that can be compared.
fn probability(logarithm: f32) -> f32 {
    let value = logarithm.exp();
    if value.is_nan() { 0.0 } else { value.min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_tokens_of_a_ctc_model_are_one() {
        let mut path = Path::default();
        ctc(&one_hot(&[0, 1, 1, 0, 1, 2, 2]), 3, 0, 10, &mut path);
        ctc(&one_hot(&[2, 0, 0]), 3, 0, 17, &mut path);
        let found: Vec<(usize, u64)> = path.emitted.iter().map(|each| (each.token, each.step)).collect();
        assert_eq!((found, path.silent), (vec![(1, 11), (1, 14), (2, 15)], 2));
    }

    fn one_hot(tokens: &[usize]) -> Vec<f32> {
        tokens.iter().flat_map(|&token| (0..3).map(move |at| if at == token { 0.0 } else { -9.0 })).collect()
    }
}
