//! What a text says about its writer, as probabilities.

/// Polarity, in the order of [`TextJudgement::polarity`].
pub const POLARITIES: [&str; 3] = ["negative", "neutral", "positive"];
/// Emotions, in the order of [`TextJudgement::emotions`]: SMP2020's six (Ekman's five and neutral; fear is anxiety) and
/// dissatisfaction, which is what a polite complaint has instead of anger.
pub const EMOTIONS: [&str; 7] = ["neutral", "anger", "anxiety", "sadness", "surprise", "joy", "dissatisfaction"];
/// Whether it offends, in the order of the model's outputs.
pub const OFFENCES: [&str; 2] = ["civil", "offensive"];
/// What the writer wants, in the order of [`TextJudgement::intents`]; any number of them at once.
pub const INTENTS: [&str; 7] = ["complaint", "refund", "cancel", "human", "threat", "abuse", "thanks"];
/// Whether the writer is angry or dissatisfied, learnt as such.
pub const UPSET: [&str; 1] = ["upset"];
/// The heads of the model and their classes, in the order of its outputs.
pub const HEADS: [(&str, &[&str]); 5] = [
    ("polarity", &POLARITIES),
    ("emotion", &EMOTIONS),
    ("offensive", &OFFENCES),
    ("intent", &INTENTS),
    ("upset", &UPSET),
];
/// Outputs of the model.
pub(super) const OUTPUTS: usize = POLARITIES.len() + EMOTIONS.len() + OFFENCES.len() + INTENTS.len() + UPSET.len();

const ANGER: usize = 1;
const DISSATISFACTION: usize = 6;
/// How much anger there is in dissatisfaction: a polite complaint alone reaches level medium, never high.
const ANGER_IN_DISSATISFACTION: f32 = 0.5;

/// Probabilities of one text. Each array has the order of the constant of its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextJudgement {
    /// Sums to 1.
    pub polarity: [f32; 3],
    /// Sums to 1.
    pub emotions: [f32; 7],
    /// Insults, slurs, threats of violence; 0-1.
    pub offensive: f32,
    /// Each 0-1 by itself.
    pub intents: [f32; 7],
    /// Whether the writer is angry or dissatisfied; 0-1.
    pub upset: f32,
}

impl TextJudgement {
    /// What is known of a text without a word: nothing.
    pub const NOTHING: Self = Self {
        polarity: [0.0, 1.0, 0.0],
        emotions: [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        offensive: 0.0,
        intents: [0.0; 7],
        upset: 0.0,
    };

    pub(super) fn from_outputs(outputs: &[f32; OUTPUTS]) -> Self {
        let (polarity, rest) = outputs.split_at(POLARITIES.len());
        let (emotions, rest) = rest.split_at(EMOTIONS.len());
        let (offence, rest) = rest.split_at(OFFENCES.len());
        let (intents, upset) = rest.split_at(INTENTS.len());
        Self {
            polarity: std::array::from_fn(|i| polarity[i]),
            emotions: std::array::from_fn(|i| emotions[i]),
            offensive: offence[1],
            intents: std::array::from_fn(|i| intents[i]),
            upset: upset[0],
        }
    }

    /// Anger as policies mean it: who is upset, in full where anger is likelier than dissatisfaction, by half where there
    /// is dissatisfaction alone, and between these as the two stand to each other. 0-1.
    pub fn anger(&self) -> f32 {
        let [anger, dissatisfaction] =
            [ANGER, DISSATISFACTION].map(|class| self.emotions[class].max(f32::MIN_POSITIVE));
        let polite = dissatisfaction / (anger + dissatisfaction);
        self.upset * (1.0 - (1.0 - ANGER_IN_DISSATISFACTION) * polite)
    }

    /// The same in the classes of the voice: neutral (and surprise), anger, joy, sadness (and anxiety). Sums to 1: the
    /// others share what anger leaves.
    pub fn as_voice(&self) -> [f32; 4] {
        let [neutral, _, anxiety, sadness, surprise, joy, dissatisfaction] = self.emotions;
        let calm = neutral + surprise + (1.0 - ANGER_IN_DISSATISFACTION) * dissatisfaction;
        let others = [calm, joy, sadness + anxiety].map(|share| share.max(f32::MIN_POSITIVE));
        let anger = self.anger();
        let [calm, joy, sad] = others.map(|share| (1.0 - anger) * share / others.iter().sum::<f32>());
        [calm, anger, joy, sad]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_taken_apart_in_order() {
        let outputs: [f32; OUTPUTS] = std::array::from_fn(|i| i as f32);
        let judgement = TextJudgement::from_outputs(&outputs);
        assert_eq!(judgement.polarity, [0.0, 1.0, 2.0]);
        assert_eq!(judgement.emotions, [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!(judgement.offensive, 11.0);
        assert_eq!(judgement.intents, [12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0]);
        assert_eq!(judgement.upset, 19.0);
    }

    #[test]
    fn the_classes_of_the_voice_sum_to_one() {
        let emotions = [0.1, 0.2, 0.1, 0.1, 0.1, 0.1, 0.3];
        for (upset, anger) in [(0.0, 0.0), (0.5, 0.35), (1.0, 0.7)] {
            let judgement = TextJudgement { emotions, upset, ..TextJudgement::NOTHING };
            let voice = judgement.as_voice();
            assert!((voice.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{voice:?}");
            assert!((judgement.anger() - anger).abs() < 1e-6 && voice[1] == judgement.anger(), "{voice:?}");
        }
    }

    #[test]
    fn dissatisfaction_alone_is_never_high_anger() {
        let emotions = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let judgement = TextJudgement { emotions, upset: 1.0, ..TextJudgement::NOTHING };
        assert!((judgement.anger() - 0.5).abs() < 1e-6);
    }
}
