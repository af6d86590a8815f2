//! The scorer: two small perceptrons whose weights come with the crate (`models/pitch.bin`, recipe in `train/`).
//!
//! One judges every candidate by itself (log-odds among the candidates), the other the voicing of the frame (log-odds),
//! once without and once with the frames that follow.

use super::candidates::CANDIDATE_EVIDENCE;
use super::evidence::{AHEAD, BEHIND, Evidence, FRAME_EVIDENCE, SHARED_EVIDENCE};
use crate::lanes::each;

const JUDGE: [usize; 2] = [24, 12];
const VOICING: [usize; 2] = [32, 16];
const EARLY: [usize; 2] = [16, 8];
const JUDGE_INPUTS: usize = CANDIDATE_EVIDENCE + SHARED_EVIDENCE;
const VOICING_INPUTS: usize = (BEHIND + 1 + AHEAD) * FRAME_EVIDENCE;
const EARLY_INPUTS: usize = (BEHIND + 1) * FRAME_EVIDENCE;

/// Numbers in the file: for each perceptron, layer by layer, the weights of each input in turn, then the biases.
const COUNT: usize = size(JUDGE_INPUTS, JUDGE) + size(VOICING_INPUTS, VOICING) + size(EARLY_INPUTS, EARLY);

const fn size(inputs: usize, [one, two]: [usize; 2]) -> usize {
    (inputs + 1) * one + (one + 1) * two + two + 1
}

static WEIGHTS: [f32; COUNT] = parse(include_bytes!("../../models/pitch.bin"));

/// Little-endian numbers.
const fn parse<const N: usize>(bytes: &[u8]) -> [f32; N] {
    assert!(bytes.len() == 4 * N, "models/pitch.bin does not fit this network");
    let mut out = [0.0; N];
    let mut i = 0;
    while i < N {
        out[i] = f32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]]);
        i += 1;
    }
    out
}

/// The evidence of the frames around one, oldest first.
pub(super) type Around = [[f32; FRAME_EVIDENCE]; BEHIND + 1 + AHEAD];

/// Writes the log-odds of each candidate into `out`.
#[inline(always)]
pub(super) fn judge(evidence: &Evidence, out: &mut [f32]) {
    let weights = &WEIGHTS[..size(JUDGE_INPUTS, JUDGE)];
    let (own, rest) = weights.split_at(CANDIDATE_EVIDENCE * JUDGE[0]);
    let (shared, rest) = rest.split_at(SHARED_EVIDENCE * JUDGE[0]);
    let (bias, rest) = rest.split_at(JUDGE[0]);
    // What all candidates have in common is multiplied once.
    let mut common = [0.0; JUDGE[0]];
    common.copy_from_slice(bias);
    add_products(&mut common, &evidence.shared(), shared);
    for (score, candidate) in out.iter_mut().zip(evidence.candidates.as_slice()) {
        let mut first = common;
        add_products(&mut first, &candidate.evidence, own);
        *score = upper::<{ JUDGE[0] }, { JUDGE[1] }>(&first, rest);
    }
}

/// The log-odds that the frame in the middle of `around` is voiced.
#[inline(always)]
pub(super) fn voicing(around: &Around) -> f32 {
    let from = size(JUDGE_INPUTS, JUDGE);
    let weights = &WEIGHTS[from..from + size(VOICING_INPUTS, VOICING)];
    perceptron::<{ VOICING[0] }, { VOICING[1] }>(around.as_flattened(), weights)
}

/// The same for the last frame that is known, without the frames behind it.
#[inline(always)]
pub(super) fn early_voicing(before: &[[f32; FRAME_EVIDENCE]; BEHIND + 1]) -> f32 {
    let from = size(JUDGE_INPUTS, JUDGE) + size(VOICING_INPUTS, VOICING);
    perceptron::<{ EARLY[0] }, { EARLY[1] }>(before.as_flattened(), &WEIGHTS[from..])
}

#[inline(always)]
fn perceptron<const A: usize, const B: usize>(inputs: &[f32], weights: &[f32]) -> f32 {
    let (products, rest) = weights.split_at(inputs.len() * A);
    let (bias, rest) = rest.split_at(A);
    let mut first = [0.0; A];
    first.copy_from_slice(bias);
    add_products(&mut first, inputs, products);
    upper::<A, B>(&first, rest)
}

/// The two layers above the first, whose sums are given.
#[inline(always)]
fn upper<const A: usize, const B: usize>(first: &[f32; A], weights: &[f32]) -> f32 {
    let (products, rest) = weights.split_at(A * B);
    let (bias, last) = rest.split_at(B);
    let mut second = [0.0; B];
    second.copy_from_slice(bias);
    add_products(&mut second, &each::<A>(|i| first[i].max(0.0)), products);
    second.iter().zip(last).map(|(x, weight)| x.max(0.0) * weight).sum::<f32>() + last[B]
}

/// Adds to each sum every input times its weight.
#[inline(always)]
fn add_products<const N: usize>(sums: &mut [f32; N], inputs: &[f32], weights: &[f32]) {
    for (input, weights) in inputs.iter().zip(weights.as_chunks::<N>().0) {
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum += input * weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unrolled_products_are_the_plain_ones() {
        let inputs: Vec<f32> = (0..JUDGE_INPUTS).map(|i| ((i * 37) % 11) as f32 - 5.0).collect();
        let weights = &WEIGHTS[..size(JUDGE_INPUTS, JUDGE)];
        let got = perceptron::<{ JUDGE[0] }, { JUDGE[1] }>(&inputs, weights);
        assert!((f64::from(got) - scalar(&inputs, weights, JUDGE)).abs() < 1e-3, "{got}");
    }

    /// The same in 64 bits, one number at a time.
    fn scalar(inputs: &[f32], weights: &[f32], [one, two]: [usize; 2]) -> f64 {
        let mut values: Vec<f64> = inputs.iter().map(|&x| f64::from(x)).collect();
        let mut rest = weights;
        for width in [one, two, 1] {
            let (products, biases) = rest.split_at(values.len() * width);
            let sum = |out: usize| {
                let products = values.iter().enumerate().map(|(i, x)| x * f64::from(products[i * width + out]));
                f64::from(biases[out]) + products.sum::<f64>()
            };
            let next: Vec<f64> = (0..width).map(sum).collect();
            values = if width == 1 { next } else { next.iter().map(|x| x.max(0.0)).collect() };
            rest = &biases[width..];
        }
        values[0]
    }
}
