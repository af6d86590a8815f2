//! Which language a party speaks, by the first seconds of its speech: Mandarin or English, and how sure.
//!
//! Looks at how speech sounds over a few seconds (the same windows as the emotion model), not at words. Decides once, after
//! 6 s of speech. Figures and training: docs/MODELS.md, nlu/train/language.

use crate::features::{Extractor, HOP, SAMPLE_RATE_HZ};
use crate::recognition::Language;
use crate::window::VALUES;

/// `LNG1`, how many values a window has, the offset, and of each value its mean, its deviation and its weight.
/// Little-endian, 4 bytes each.
static TABLE: &[u8] = include_bytes!("../models/language.bin");
const HEAD: usize = 12;
const ENTRY: usize = 12;

/// Speech after which it is decided, hops of 10 ms: after 3 s it is no surer the more it seems so.
const SPEECH_HOPS: u32 = 600;
/// The probability from which a language is surely spoken.
const SURE: f32 = 0.9;
/// A value counts up to so many deviations from its mean.
const DEVIATIONS_MAX: f32 = 3.0;

/// What was found out about a party.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LanguageFound {
    /// What it speaks, more likely than not.
    pub language: Language,
    /// How likely that is, 0.5-1.
    pub probability: f32,
    /// Whether that is enough to go by.
    pub is_sure: bool,
    /// The speech that was listened to, samples at 8 kHz.
    pub speech: u64,
}

/// Listens to the first speech of one party. Holds about 350 KiB.
#[derive(Debug, Default)]
pub struct LanguageFinder {
    extractor: Extractor,
    speech_hops: u32,
    /// Sums over the windows so far.
    sums: Option<Box<[f32; VALUES]>>,
    windows: u32,
    is_done: bool,
}

impl LanguageFinder {
    /// Takes the next samples (8 kHz, [-1, 1]). What was found out, once.
    pub fn push(&mut self, samples: &[f32]) -> Option<LanguageFound> {
        if self.is_done {
            return None;
        }
        let (mut rows, mut speech_hops) = (Vec::new(), 0);
        self.extractor.push(samples, &mut |_, speech| speech_hops += u32::from(speech), &mut rows);
        self.speech_hops += speech_hops;
        for row in rows {
            let sums = self.sums.get_or_insert_with(|| Box::new([0.0; VALUES]));
            sums.iter_mut().zip(row.values.iter()).for_each(|(sum, value)| *sum += value);
            self.windows += 1;
        }
        self.decide()
    }

    /// Goes on at `position`, behind audio that will never come.
    pub fn skip_to(&mut self, position: u64) {
        self.extractor.skip_to(position);
    }

    fn decide(&mut self) -> Option<LanguageFound> {
        let sums = self.sums.as_ref().filter(|_| self.speech_hops >= SPEECH_HOPS)?;
        let english = probability(sums, self.windows);
        let (language, probability) =
            if english >= 0.5 { (Language::English, english) } else { (Language::Mandarin, 1.0 - english) };
        self.is_done = true;
        let speech = u64::from(self.speech_hops) * HOP as u64;
        Some(LanguageFound { language, probability, is_sure: probability >= SURE, speech })
    }
}

impl LanguageFound {
    /// The speech that was listened to, seconds.
    pub fn speech_s(&self) -> f32 {
        self.speech as f32 / SAMPLE_RATE_HZ as f32
    }
}

/// The probability of English by the mean of some windows.
fn probability(sums: &[f32; VALUES], windows: u32) -> f32 {
    let parts = sums.iter().zip((HEAD..).step_by(ENTRY)).map(|(sum, entry)| {
        let [mean, deviation, weight] = [0, 4, 8].map(|at| number(entry + at));
        let value = (sum / windows as f32 - mean) / deviation;
        weight * value.clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX)
    });
    1.0 / (1.0 + (-(number(8) + parts.sum::<f32>())).exp())
}

/// The number at a byte of the table.
fn number(at: usize) -> f32 {
    f32::from_le_bytes(TABLE[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use prosody::synthetic::{Kind, Plan, Voice, half_rate, telephone_band};

    use super::*;

    #[test]
    fn the_table_fits_the_windows() {
        assert_eq!(&TABLE[..4], b"LNG1");
        let count = u32::from_le_bytes(TABLE[4..8].try_into().expect("four bytes")) as usize;
        assert_eq!((count, TABLE.len()), (VALUES, HEAD + VALUES * ENTRY));
        for entry in (HEAD..TABLE.len()).step_by(ENTRY) {
            assert!(number(entry + 4) > 0.0, "a deviation");
        }
    }

    #[test]
    fn it_is_decided_once_and_in_time_however_audio_comes() {
        let voice = Voice::of(&Plan { seconds: 12.0, ..Plan::new(Kind::Phrases, 140.0, 5) });
        let voice = telephone_band(&half_rate(&voice.samples));
        let of = |chunk: usize| -> Vec<LanguageFound> {
            let mut finder = LanguageFinder::default();
            voice.chunks(chunk).filter_map(|samples| finder.push(samples)).collect()
        };
        let found = of(160);
        let [one] = found[..] else { panic!("{found:?}") };
        assert!((0.5..=1.0).contains(&one.probability) && (6.0..6.2).contains(&one.speech_s()), "{one:?}");
        assert_eq!(of(80).len(), 1);
    }

    #[test]
    fn silence_is_no_language() {
        let mut finder = LanguageFinder::default();
        assert!((0..30).all(|_| finder.push(&[0.0; 8_000]).is_none()));
    }
}
