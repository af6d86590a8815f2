//! Which class a judgement is said to be: offsets and thresholds that move names, never probabilities.
//!
//! The likeliest class is right most often, but rare classes are then hardly ever named. A model's card says by how much
//! each class is preferred where one has to be named (`nlu/train/text/judge.py`).

use super::judgement::{EMOTIONS, INTENTS, OFFENCES, POLARITIES, TextJudgement};

/// Classes of the heads of which one class is named: polarity, emotion, offence.
pub(super) const NAMED: usize = POLARITIES.len() + EMOTIONS.len() + OFFENCES.len();
/// Without a model what stands for itself is found from this probability on.
const THRESHOLD_USUAL: f32 = 0.5;

/// How classes are named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Naming {
    /// Added to the logarithm of each class's probability: polarity, emotion, offence, in the order of their constants.
    pub offsets: [f32; NAMED],
    /// The probability from which on each intent counts as found, in the order of [`INTENTS`].
    pub intents: [f32; INTENTS.len()],
    /// The probability from which on the writer counts as upset.
    pub upset: f32,
}

impl Naming {
    /// The likeliest class, and whatever is at least as likely as not.
    pub const USUAL: Self =
        Self { offsets: [0.0; NAMED], intents: [THRESHOLD_USUAL; INTENTS.len()], upset: THRESHOLD_USUAL };

    /// How much each polarity is preferred, as a factor of its probability.
    pub(super) fn polarity(&self) -> [f32; POLARITIES.len()] {
        std::array::from_fn(|class| self.offsets[class].exp())
    }

    /// The same of emotions.
    pub(super) fn emotions(&self) -> [f32; EMOTIONS.len()] {
        std::array::from_fn(|class| self.offsets[POLARITIES.len() + class].exp())
    }

    /// The same of offence.
    pub(super) fn offence(&self) -> [f32; OFFENCES.len()] {
        std::array::from_fn(|class| self.offsets[POLARITIES.len() + EMOTIONS.len() + class].exp())
    }

    /// The emotion that is named, one of [`EMOTIONS`].
    pub fn emotion(&self, judgement: &TextJudgement) -> &'static str {
        let weighed = judgement.emotions.iter().zip(self.emotions()).map(|(probability, factor)| probability * factor);
        weighed.zip(EMOTIONS).max_by(|a, b| a.0.total_cmp(&b.0)).map_or(EMOTIONS[0], |(_, name)| name)
    }

    /// The intents that are found, as named in [`INTENTS`].
    pub fn intents(&self, judgement: &TextJudgement) -> Vec<&'static str> {
        let each = INTENTS.iter().zip(judgement.intents.iter().zip(&self.intents));
        each.filter(|(_, (probability, threshold))| probability >= threshold).map(|(name, _)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_move_the_name_alone() {
        let judgement = TextJudgement { emotions: [0.5, 0.0, 0.0, 0.0, 0.3, 0.2, 0.0], ..TextJudgement::NOTHING };
        assert_eq!(Naming::USUAL.emotion(&judgement), "neutral");
        let mut naming = Naming::USUAL;
        naming.offsets[POLARITIES.len() + 4] = 0.6;
        assert_eq!(naming.emotion(&judgement), "surprise");
        naming.offsets[POLARITIES.len() + 4] = 0.5;
        assert_eq!(naming.emotion(&judgement), "neutral");
        assert_eq!((naming.polarity(), naming.offence()), ([1.0; 3], [1.0; 2]));
    }

    #[test]
    fn an_intent_is_found_from_its_own_threshold_on() {
        let judgement = TextJudgement { intents: [0.3, 0.3, 0.0, 1.0, 0.0, 0.0, 0.5], ..TextJudgement::NOTHING };
        let naming = Naming { intents: [0.2, 0.4, 0.1, 0.9, 0.5, 0.5, 0.5], ..Naming::USUAL };
        assert_eq!(naming.intents(&judgement), ["complaint", "human", "thanks"]);
        assert!(naming.intents(&TextJudgement::NOTHING).is_empty());
    }
}
