//! Lets an even share of what comes pass: of a hundred, as many as are not to be kept back, never in bursts. Pure.

/// What is owed to those who come next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Thinning {
    /// Hundredths of one that passes.
    credit: u32,
}

impl Thinning {
    /// Whether the next one passes while `kept_back_percent` (0-100) of a hundred do not.
    pub(crate) fn passes(&mut self, kept_back_percent: u32) -> bool {
        self.credit += 100_u32.saturating_sub(kept_back_percent);
        let passes = self.credit >= 100;
        self.credit = if passes { self.credit - 100 } else { self.credit };
        passes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever share is asked for, one after the other: each moment, at most one is owed or too many.
        #[test]
        fn the_share_is_even(shares in prop::collection::vec(0_u32..=100, 1..300)) {
            let (mut thinning, mut due, mut passed) = (Thinning::default(), 0, 0);
            for share in shares {
                due += 100 - share;
                passed += u32::from(thinning.passes(share)) * 100;
                prop_assert!(passed <= due && due < passed + 100, "{passed} of {due}");
            }
        }
    }
}
