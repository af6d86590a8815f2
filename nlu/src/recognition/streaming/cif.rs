//! Continuous integrate-and-fire (Dong & Xu 2020, arXiv:1905.11235): how much of a token each step of an encoder holds is
//! added up, and whenever it makes a whole one, the steps weighed by it are that token's sound.

/// Shares that make a token.
const WHOLE: f32 = 1.0;

/// What is not a whole token yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Integrator {
    /// Steps since the last token, weighed and summed up; empty before the first.
    sound: Vec<f32>,
    /// The sum of their shares, below 1.
    share: f32,
}

/// The tokens of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fired {
    /// The sound of each, as many numbers as a step has.
    pub(super) sounds: Vec<f32>,
    /// The step at which each became whole.
    pub(super) steps: Vec<usize>,
}

impl Integrator {
    /// Goes on over steps of `width` numbers by the share of a token that each holds. A share beyond what steps hold (0-1) or
    /// that is no number counts as the nearest of these, or as none.
    pub(super) fn push(&mut self, heard: &[f32], width: usize, shares: &[f32]) -> Fired {
        self.sound.resize(width, 0.0);
        let mut fired = Fired::default();
        for (step, (heard, &share)) in heard.chunks_exact(width).zip(shares).enumerate() {
            let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, WHOLE) };
            if self.share + share < WHOLE {
                self.share += share;
                self.add(heard, share);
                continue;
            }
            self.add(heard, WHOLE - self.share);
            fired.sounds.extend_from_slice(&self.sound);
            fired.steps.push(step);
            self.share += share - WHOLE;
            self.sound.iter_mut().zip(heard).for_each(|(sound, heard)| *sound = heard * self.share);
        }
        fired
    }

    fn add(&mut self, heard: &[f32], share: f32) {
        self.sound.iter_mut().zip(heard).for_each(|(sound, heard)| *sound += heard * share);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_shares_fire_and_the_rest_goes_on() {
        let mut integrator = Integrator::default();
        let fired = integrator.push(&[1.0, 2.0, 4.0], 1, &[0.5, 0.25, 0.5]);
        assert_eq!(fired, Fired { sounds: vec![0.5 + 0.5 + 1.0], steps: vec![2] });
        assert_eq!(integrator, Integrator { sound: vec![1.0], share: 0.25 });
        let fired = integrator.push(&[0.0, 8.0], 1, &[0.0, 0.75]);
        assert_eq!(fired, Fired { sounds: vec![7.0], steps: vec![1] });
    }

    #[test]
    fn shares_that_are_none_do_no_harm() {
        let mut integrator = Integrator::default();
        let fired = integrator.push(&[1.0; 4], 1, &[f32::NAN, -3.0, f32::INFINITY, 1.0]);
        assert_eq!(fired.steps, [2, 3]);
    }

    proptest! {
        #[test]
        fn in_pieces_as_at_once(shares in proptest::collection::vec(0.0_f32..1.0, 1..40), cut in 0_usize..40) {
            let heard: Vec<f32> = (0..shares.len()).map(|step| step as f32).collect();
            let whole = Integrator::default().push(&heard, 1, &shares);
            let cut = cut.min(shares.len());
            let mut integrator = Integrator::default();
            let mut pieces = integrator.push(&heard[..cut], 1, &shares[..cut]);
            let rest = integrator.push(&heard[cut..], 1, &shares[cut..]);
            pieces.sounds.extend(rest.sounds);
            pieces.steps.extend(rest.steps.iter().map(|step| cut + step));
            prop_assert_eq!(pieces, whole);
        }
    }
}
