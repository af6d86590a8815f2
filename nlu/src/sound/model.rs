//! The perceptron on what the encoder makes, beside the one on the numbers.

use serde::Deserialize;

use super::{Encoder, Memories, SOUND_FEATURES, sound_names};
use crate::features::Row;
use crate::model::{CLASSES, ModelError, read_card};
use crate::perceptron::Perceptron;
use crate::runtime::Runtime;

/// What is told beside the card that every model of voices has.
#[derive(Debug, Deserialize)]
struct Shares {
    /// What the logarithms of the numbers' probabilities are multiplied by, and those of the sound's: so that the leading class of
    /// both together is as likely as it says.
    share_of_numbers: f32,
    share_of_sound: f32,
}

/// A loaded encoder and its perceptron.
#[derive(Debug)]
pub struct SoundModel {
    encoder: Encoder,
    perceptron: Perceptron<SOUND_FEATURES>,
    shares: Shares,
}

impl SoundModel {
    /// The model that comes with the program (`nlu/models/encoder.onnx` and `sound.onnx`).
    ///
    /// # Errors
    /// When ONNX Runtime refuses it.
    pub fn built_in(runtime: &Runtime) -> Result<Self, ModelError> {
        let (graph, card) = (include_bytes!("../../models/sound.onnx"), include_bytes!("../../models/sound.json"));
        Self::from_bytes(runtime, Encoder::built_in(runtime)?, "sound.onnx", graph, card)
    }

    /// Checks and loads the perceptron; `file` is the name that errors tell.
    ///
    /// # Errors
    /// As [`crate::AcousticModel::from_bytes`].
    pub fn from_bytes(
        runtime: &Runtime,
        encoder: Encoder,
        file: &str,
        graph: &[u8],
        card: &[u8],
    ) -> Result<Self, ModelError> {
        let told = read_card(file, card, &sound_names())?;
        let shares = serde_json::from_slice(card).map_err(|error| ModelError::Mismatch {
            file: file.to_owned(),
            what: "card",
            expected: "share_of_numbers and share_of_sound".to_owned(),
            found: error.to_string(),
        })?;
        Ok(Self { encoder, perceptron: Perceptron::open(runtime, file, graph, &told)?, shares })
    }

    /// Judges the windows of `rows` beside what their numbers said: `judged` becomes what both say together. What has no sound, or
    /// was not judged by its numbers, stays as it is.
    ///
    /// # Errors
    /// When ONNX Runtime fails, or no row can be judged; `judged` stays as it is.
    pub(crate) fn judge_beside<T>(
        &mut self,
        rows: &[(T, Row)],
        judged: &mut [Option<[f32; CLASSES]>],
        memories: &mut impl Memories<T>,
    ) -> Result<(), ModelError> {
        let heard = self.encoder.rows(rows, memories)?;
        let there: Vec<&[f32; SOUND_FEATURES]> = heard.iter().flatten().map(|row| &**row).collect();
        let mut by_sound = self.perceptron.judge("sound", &there)?.into_iter();
        for (judged, row) in judged.iter_mut().zip(&heard) {
            let sound = row.as_ref().and_then(|_| by_sound.next().flatten());
            if let (Some(numbers), Some(sound)) = (judged.as_mut(), sound) {
                *numbers = self.shares.together(numbers, &sound);
            }
        }
        Ok(())
    }
}

impl Shares {
    /// The product of both, each to the power of its share, brought to a sum of 1.
    fn together(&self, numbers: &[f32; CLASSES], sound: &[f32; CLASSES]) -> [f32; CLASSES] {
        let logarithm = |p: f32| p.max(f32::MIN_POSITIVE).ln();
        let sums: [f32; CLASSES] = std::array::from_fn(|class| {
            self.share_of_numbers * logarithm(numbers[class]) + self.share_of_sound * logarithm(sound[class])
        });
        let greatest = sums.iter().copied().fold(f32::MIN, f32::max);
        let likely = sums.map(|sum| (sum - greatest).exp());
        let total: f32 = likely.iter().sum();
        likely.map(|share| share / total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_say_is_surer_and_what_they_contradict_is_open() {
        let of = |class: usize, share: f32| {
            let mut all = [(1.0 - share) / (CLASSES - 1) as f32; CLASSES];
            all[class] = share;
            all
        };
        let shares = Shares { share_of_numbers: 1.0, share_of_sound: 1.0 };
        let agreed = shares.together(&of(2, 0.6), &of(2, 0.7));
        assert!(agreed[2] > 0.95 && (agreed.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{agreed:?}");
        let against = shares.together(&of(2, 0.6), &of(0, 0.6));
        assert!((against[2] - against[0]).abs() < 1e-6 && against[2] < 0.5, "{against:?}");
        assert_eq!(shares.together(&of(2, 1.0), &of(0, 1.0)).map(f32::is_finite), [true; CLASSES]);
    }
}
