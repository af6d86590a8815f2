//! The mel scale, and logarithms and powers fast enough to be taken of every bin, written so that the compiler can do several at once.

/// The base-2 logarithm of a positive normal number, within 4e-6; below the smallest normal number, about −126.
#[inline(always)]
pub(crate) fn log2(x: f32) -> f32 {
    // The mantissa in [sqrt(1/2), sqrt(2)), so that logarithms near 0 are exact there.
    let bits = x.max(f32::MIN_POSITIVE).to_bits();
    let exponent = (bits.wrapping_sub(0x3F35_04F3) as i32) >> 23;
    let mantissa = f32::from_bits(bits.wrapping_sub((exponent as u32) << 23));
    // ln m = 2 atanh s with s = (m − 1) / (m + 1), |s| < 0.172: four terms of its series.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = 1.0 + square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0)));
    exponent as f32 + 2.0 * std::f32::consts::LOG2_E * s * series
}

/// The natural logarithm, by [`log2`].
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    std::f32::consts::LN_2 * log2(x)
}

/// Ten times the decimal logarithm, by [`log2`].
#[inline(always)]
pub(crate) fn decibels(power: f32) -> f32 {
    3.010_3 * log2(power)
}

/// Two to the power of `x`, within 4e-6 of it; 0 from −127 down.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    // Adding and taking away what leaves no room for fractions rounds, without a call to `round`.
    let whole = (x.clamp(-127.0, 127.0) + NO_FRACTIONS) - NO_FRACTIONS;
    let y = (x - whole).clamp(-0.5, 0.5) * std::f32::consts::LN_2;
    let series = 1.0 + y * (1.0 + y * (1.0 / 2.0 + y * (1.0 / 6.0 + y * (1.0 / 24.0 + y * (1.0 / 120.0)))));
    let scale = f32::from_bits(((whole as i32 + 127) as u32) << 23);
    scale * series
}

/// The exponential, by [`exp2`].
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    exp2(std::f32::consts::LOG2_E * x)
}

/// From here on a number has no fraction, and whole numbers around it are exact.
const NO_FRACTIONS: f32 = 1.5 * (1u32 << 23) as f32;

/// O'Shaughnessy's mel scale, natural logarithm, as HTK, Kaldi and openSMILE have it.
pub(crate) fn mel(hz: f32) -> f32 {
    1_127.0 * (1.0 + hz / 700.0).ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn close_to_the_exact_one(exponent in -125.0f32..125.0) {
            let x = exponent.exp2();
            prop_assert!((f64::from(log2(x)) - f64::from(x).log2()).abs() < 4e-6 + 1e-7 * f64::from(exponent.abs()));
        }
    }

    proptest! {
        #[test]
        fn powers_are_close_to_the_exact_ones(x in -125.0f32..125.0) {
            let exact = f64::from(x).exp2();
            prop_assert!((f64::from(exp2(x)) / exact - 1.0).abs() < 4e-6);
        }
    }

    #[test]
    fn exact_at_one_and_bounded_below() {
        assert_eq!(log2(1.0), 0.0);
        assert!(log2(0.0) < -125.0 && log2(0.0).is_finite());
    }
}
