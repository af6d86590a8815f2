//! Modified beam search of a transducer (k2's): at each step every way may add one token, the likeliest ways go on, and
//! ways to the same tokens count together.

use super::hotwords::Hotwords;
use super::path::Path;
use super::transducer::{Transducer, confidence, log_sum_exp};

/// The ways of one call; at least one.
#[derive(Debug, Clone)]
pub(super) struct Beam {
    paths: Vec<Path>,
}

impl Beam {
    /// One way.
    pub(super) fn new(path: Path) -> Self {
        Self { paths: vec![path] }
    }

    /// The way of a search that follows one only.
    pub(super) fn only(&mut self) -> &mut Path {
        &mut self.paths[0]
    }

    /// The likeliest way, by its score per token.
    pub(super) fn best(&self) -> &Path {
        let per_token = |path: &Path| path.score / (path.emitted.len() + path.context.len()).max(1) as f64;
        let mut best = &self.paths[0];
        for path in &self.paths[1..] {
            if per_token(path) > per_token(best) {
                best = path;
            }
        }
        best
    }
}

/// A way that may go on: whose, by which token, with which score.
struct Candidate {
    path: usize,
    token: usize,
    score: f64,
    confidence: f32,
}

/// Goes on with `beams` over what a transducer's encoder heard, `steps` steps of each call; they begin at `first`.
///
/// # Errors
/// What ONNX Runtime says.
pub(super) fn transducer(
    graphs: &mut Transducer,
    hotwords: &Hotwords,
    width: usize,
    heard: &[f32],
    steps: usize,
    first: &[u64],
    beams: &mut [&mut Beam],
) -> Result<(), ort::Error> {
    let numbers = graphs.width();
    let silence = graphs.silence();
    for step in 0..steps {
        predict(graphs, beams)?;
        let (mut inputs, mut predictions, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for (call, beam) in beams.iter().enumerate() {
            let from = (call * steps + step) * numbers;
            for path in 0..beam.paths.len() {
                inputs.extend_from_slice(&heard[from..from + numbers]);
                predictions.extend_from_slice(beam.paths[path].predicted.as_deref().unwrap_or_default());
                owners.push((call, path));
            }
        }
        let mut candidates: Vec<Vec<Candidate>> = beams.iter().map(|_| Vec::new()).collect();
        graphs.join(&inputs, &predictions, |row, logits| {
            let (call, path) = owners[row];
            likeliest(&mut candidates[call], width, path, beams[call].paths[path].score, logits);
        })?;
        for ((beam, candidates), first) in beams.iter_mut().zip(candidates).zip(first) {
            go_on(beam, candidates, first + step as u64, silence, hotwords);
        }
    }
    Ok(())
}

/// Asks the predictor for every way whose tokens have changed.
fn predict(graphs: &mut Transducer, beams: &mut [&mut Beam]) -> Result<(), ort::Error> {
    let mut stale: Vec<&mut Path> = beams.iter_mut().flat_map(|beam| beam.paths.iter_mut()).collect();
    stale.retain(|path| path.predicted.is_none());
    if stale.is_empty() {
        return Ok(());
    }
    let contexts: Vec<&[i64]> = stale.iter().map(|path| path.context.as_slice()).collect();
    let predicted = graphs.predict(&contexts)?;
    for (path, predicted) in stale.into_iter().zip(predicted) {
        path.predicted = Some(predicted);
    }
    Ok(())
}

/// Adds to a call's candidates what its way `path` may go on by, and keeps the `width` likeliest.
fn likeliest(candidates: &mut Vec<Candidate>, width: usize, path: usize, score: f64, logits: &[f32]) {
    let total = log_sum_exp(logits);
    for (token, logit) in logits.iter().enumerate() {
        let score = score + f64::from(logit - total);
        let is_full = candidates.len() == width;
        if is_full && candidates.last().is_some_and(|last| score <= last.score) {
            continue;
        }
        let at = candidates.partition_point(|candidate| candidate.score >= score);
        if is_full {
            candidates.pop();
        }
        candidates.insert(at, Candidate { path, token, score, confidence: 0.0 });
    }
    for candidate in candidates.iter_mut().filter(|candidate| candidate.path == path) {
        candidate.confidence = confidence(logits, candidate.token);
    }
}

/// The ways of the next step; those to the same tokens become one.
fn go_on(beam: &mut Beam, candidates: Vec<Candidate>, step: u64, silence: [Option<usize>; 2], hotwords: &Hotwords) {
    let mut paths: Vec<Path> = Vec::with_capacity(candidates.len());
    for Candidate { path, token, score, confidence } in candidates {
        let mut path = beam.paths[path].clone();
        path.score = score;
        if silence.contains(&Some(token)) {
            path.silent += 1;
        } else {
            path.emit(token, step, confidence);
            let (gain, hotword) = hotwords.step(path.hotword, token);
            path.score += gain;
            path.hotword = hotword;
        }
        let is_same = |known: &&mut Path| {
            known.emitted.len() == path.emitted.len()
                && known.emitted.iter().zip(&path.emitted).all(|(a, b)| a.token == b.token)
        };
        match paths.iter_mut().find(is_same) {
            Some(known) => known.score = log_add(known.score, path.score),
            None => paths.push(path),
        }
    }
    beam.paths = paths;
}

/// ln(exp a + exp b).
fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    high + (low - high).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_the_same_tokens_count_together() {
        let half = 0.5f64.ln();
        let mut beam = Beam::new(Path::new(vec![-1, 0]));
        let mut step = |choices: &[(usize, usize, f64)], step| {
            let candidate = |&(path, token, score)| Candidate { path, token, score, confidence: 0.5 };
            go_on(&mut beam, choices.iter().map(candidate).collect(), step, [Some(0), None], &Hotwords::default());
            beam.clone()
        };
        let after = step(&[(0, 7, half), (0, 0, half)], 0);
        assert_eq!(after.paths.len(), 2);
        // 7 then nothing, and nothing then 7.
        let after = step(&[(0, 0, 2.0 * half), (1, 7, 2.0 * half)], 1);
        assert_eq!((after.paths.len(), after.paths[0].emitted.len(), after.paths[0].silent), (1, 1, 1));
        assert!((after.paths[0].score - half).abs() < 1e-9, "{}", after.paths[0].score);
        assert_eq!(after.best().context, [0, 7]);
    }

    #[test]
    fn the_likeliest_are_kept_in_order() {
        let mut candidates = Vec::new();
        likeliest(&mut candidates, 3, 0, 0.0, &[1.0, 4.0, 2.0, 3.0]);
        likeliest(&mut candidates, 3, 1, -0.5, &[1.0, 4.0, 2.0, 3.0]);
        let found: Vec<(usize, usize)> = candidates.iter().map(|c| (c.path, c.token)).collect();
        assert_eq!(found, [(0, 1), (1, 1), (0, 3)]);
    }
}
