//! A figure with how far chance may have moved it: percentiles over resamples of what was judged (Efron 1979).

use serde::Serialize;

/// Resamples; the outermost 2.5 % on both sides are beyond the interval.
const RESAMPLES: usize = 400;
const SEED: u64 = 0x5eed;

/// A figure and its interval of 95 %.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Over everything that was judged.
    pub value: f64,
    /// 2.5 % of the resamples are below it.
    pub low: f64,
    /// 2.5 % of the resamples are above it.
    pub high: f64,
}

/// Estimates the figures that `figures` makes of items, all from the same resamples of `items`.
pub(super) fn estimates<T: Copy, const N: usize>(items: &[T], figures: impl Fn(&[T]) -> [f64; N]) -> [Estimate; N] {
    let values = figures(items);
    if items.is_empty() {
        return values.map(|value| Estimate { value, low: value, high: value });
    }
    let mut state = SEED;
    let mut resample = Vec::with_capacity(items.len());
    let mut found: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(RESAMPLES));
    for _ in 0..RESAMPLES {
        resample.clear();
        resample.extend((0..items.len()).map(|_| items[(next(&mut state) % items.len() as u64) as usize]));
        for (found, value) in found.iter_mut().zip(figures(&resample)) {
            found.push(value);
        }
    }
    let mut found = found.into_iter();
    values.map(|value| {
        let mut sorted = found.next().expect("as many as values");
        sorted.sort_by(f64::total_cmp);
        let outermost = RESAMPLES / 40;
        Estimate { value, low: sorted[outermost], high: sorted[RESAMPLES - 1 - outermost] }
    })
}

/// SplitMix64 (Steele, Lea & Flood 2014): evenly spread numbers, the same ones every time.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_the_interval_of_its_binomial() {
        let hits: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i % 5 != 0))).collect();
        let [share] = estimates(&hits, |hits| [hits.iter().sum::<f64>() / hits.len() as f64]);
        // Its standard deviation is 2 %.
        assert_eq!(share.value, 0.8);
        assert!((share.low - 0.761).abs() < 0.01 && (share.high - 0.839).abs() < 0.01, "{share:?}");
    }

    #[test]
    fn nothing_is_certain_of_nothing() {
        let [nothing] = estimates(&[] as &[f64], |items| [items.len() as f64]);
        assert_eq!(nothing, Estimate::default());
    }
}
