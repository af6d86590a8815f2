//! Arithmetic on many numbers at once: sums in lanes, and the widest instructions that the processor has.
//!
//! The order of every operation is written in the source and kept, so wide and narrow give the same bits; a test of the
//! analyzer holds it. What is to become wide must be `#[inline(always)]` all the way down.

/// Numbers that go side by side.
pub(crate) const LANES: usize = 16;

/// Does `work` with the widest instructions that there are, found out when the program runs.
#[inline(always)]
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(test)]
    if narrow::is_wanted() {
        return work();
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = fearless_simd::Level::new().as_avx2() {
        return fearless_simd::Simd::vectorize(avx2, work);
    }
    work()
}

/// An array of what `value` makes of every place; other than [`std::array::from_fn`] it is inlined whatever it does.
#[inline(always)]
pub(crate) fn each<const N: usize>(value: impl Fn(usize) -> f32) -> [f32; N] {
    let mut out = [0.0; N];
    for (i, out) in out.iter_mut().enumerate() {
        *out = value(i);
    }
    out
}

/// The sum of all values.
#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    sum_of(values, |value| value)
}

/// The sum of what `part` makes of every value.
#[inline(always)]
pub(crate) fn sum_of(values: &[f32], part: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += part(chunk[lane]);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += part(*value);
    }
    total(&lanes)
}

/// The sum of the lanes, neighbouring halves first.
#[inline(always)]
pub(crate) fn total<const N: usize>(lanes: &[f32; N]) -> f32 {
    let mut sums = *lanes;
    let mut half = N / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// The highest value, at least `floor`; what is no number is passed over.
#[inline(always)]
pub(crate) fn highest(values: &[f32], floor: f32) -> f32 {
    let mut lanes = [floor; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = if *value > *lane { *value } else { *lane };
    }
    lanes.into_iter().fold(floor, |highest, value| if value > highest { value } else { highest })
}

/// Lets a test take the narrow way on its own thread.
#[cfg(test)]
pub(crate) mod narrow {
    use std::cell::Cell;

    thread_local! {
        static WANTED: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn is_wanted() -> bool {
        WANTED.get()
    }

    /// Does `work` without wide instructions.
    pub(crate) fn only<R>(work: impl FnOnce() -> R) -> R {
        WANTED.set(true);
        let result = work();
        WANTED.set(false);
        result
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lanes_give_what_one_by_one_gives(values in prop::collection::vec(-1_000i16..1_000, 0..100)) {
            // Whole numbers, so that the order of the sum does not matter.
            let values: Vec<f32> = values.into_iter().map(f32::from).collect();
            prop_assert_eq!(sum(&values), values.iter().sum::<f32>());
            prop_assert_eq!(sum_of(&values, |x| 2.0 * x), 2.0 * values.iter().sum::<f32>());
            prop_assert_eq!(highest(&values, -7.0), values.iter().fold(-7.0, |a: f32, &b| a.max(b)));
        }
    }
}
