//! What is usual for one speaker: running median and median absolute deviation of every feature, usable after 3 s.
//!
//! Speech is summed up per second. The first half minute stays, so that anger does not become the new normal; of the
//! later seconds the last half minute counts as much, and only every fifth of those that stand out.

use crate::analyzer::Row;
use crate::descriptors::{DESCRIPTOR_NAMES, DESCRIPTORS, Descriptor};
use crate::rhythm::Syllables;

/// Features a baseline knows: the descriptors by [`Descriptor`], then level and syllable rate.
pub const FEATURES: usize = DESCRIPTORS + 2;
/// Median level of the speech of one second, dBov.
pub const LEVEL: usize = DESCRIPTORS;
/// Syllable nuclei per second of speech.
pub const SYLLABLE_RATE: usize = DESCRIPTORS + 1;

/// The names of the features, in order: openSMILE's for the descriptors.
pub fn names() -> impl Iterator<Item = &'static str> {
    DESCRIPTOR_NAMES.into_iter().chain(["level", "syllable_rate"])
}

/// Seconds of speech before anything is told.
const KNOWN_SECONDS: u32 = 3;
/// Seconds that are kept for good, and later ones of which the last are kept.
const ANCHOR_SECONDS: usize = 30;
const RECENT_SECONDS: usize = 30;
/// Speech hops that are summed up together.
const SECOND_HOPS: usize = 100;
/// Voiced hops that a second needs to count.
const VOICED_MIN: usize = 20;
/// Scores are cut here.
const Z_MAX: f32 = 6.0;
/// From this score of pitch or level on a second stands out; so many of those are left out per one taken.
const OUTLYING_Z: f32 = 2.5;
const OUTLYING_SKIPPED: u32 = 4;
/// Makes the median absolute deviation of normally distributed values their standard deviation.
const NORMAL: f32 = 1.482_6;
/// Seconds of speech that the usual spread within a speaker is worth.
const SPREAD_WORTH: f32 = 8.0;
/// Spread of seconds within one speaker: medians over seven sides of real calls at 8 kHz.
const USUAL_SPREAD: [f32; FEATURES] = [
    0.18, 4.3, 5.3, 0.01, 0.004, 0.09, 6.8, 9.5, 8.4, 6.6, 2.6, 0.0048, 0.29, 2.3, 2.0, 7.5, 61.0, 35.0, 3.5, 167.0,
    59.0, 7.6, 69.0, 45.0, 7.5, 4.0, 1.3,
];

/// What is usual, in a form that outlives a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    /// Seconds of speech behind it.
    pub speech_s: u32,
    /// Median of the seconds, per feature, in the feature's unit.
    pub centres: [f32; FEATURES],
    /// Robust standard deviation of the seconds, per feature, in its unit: 1.4826 times the median absolute deviation
    /// (Rousseeuw & Croux 1993), drawn towards what is usual within speakers while few seconds are known.
    pub spreads: [f32; FEATURES],
}

/// The baseline of one speaker. Holds about 20 KiB; nothing grows, nothing is allocated after `new`.
#[derive(Debug, Clone)]
pub struct SpeakerBaseline {
    /// One value per second of speech, per feature.
    seconds: Vec<[f32; FEATURES]>,
    taken: usize,
    skipped: u32,
    /// What earlier calls told, and how many seconds it still stands for.
    carried: Option<Usual>,
    usual: Option<Usual>,
    /// The newest second, taken or not.
    newest: [f32; FEATURES],
    syllables: Syllables,
    nuclei: usize,
    /// Voiced hops of the current second, and levels of all of its speech.
    voiced: Vec<[f32; DESCRIPTORS]>,
    levels: Vec<f32>,
    sorting: Vec<f32>,
}

impl Default for SpeakerBaseline {
    fn default() -> Self {
        Self {
            seconds: Vec::with_capacity(ANCHOR_SECONDS + RECENT_SECONDS),
            taken: 0,
            skipped: 0,
            carried: None,
            usual: None,
            newest: [0.0; FEATURES],
            syllables: Syllables::default(),
            nuclei: 0,
            voiced: Vec::with_capacity(SECOND_HOPS),
            levels: Vec::with_capacity(SECOND_HOPS),
            sorting: Vec::with_capacity(SECOND_HOPS),
        }
    }
}

impl SpeakerBaseline {
    /// The baseline of a speaker who is known from earlier calls. What is heard now takes over within half a minute.
    pub fn resume(usual: Usual) -> Self {
        Self { carried: Some(usual), usual: Some(usual), ..Self::default() }
    }

    /// Takes the next row and whether it is speech.
    pub fn push(&mut self, row: &Row, speech: bool) {
        let nucleus = self.syllables.push(row);
        if !speech {
            return;
        }
        self.nuclei += usize::from(nucleus);
        self.levels.push(row.level.dbov);
        if row.pitch_hz.is_some() {
            self.voiced.push(row.descriptors);
        }
        if self.levels.len() == SECOND_HOPS {
            if self.voiced.len() >= VOICED_MIN {
                self.sum_up();
            }
            self.voiced.clear();
            self.levels.clear();
            self.nuclei = 0;
        }
    }

    /// What is usual; `None` before 3 s of speech of an unknown speaker.
    pub fn usual(&self) -> Option<&Usual> {
        self.usual.as_ref()
    }

    /// How far `value` is from what is usual, in robust standard deviations, cut to ±6; 0 while nothing is known.
    pub fn z(&self, feature: usize, value: f32) -> f32 {
        let Some(usual) = &self.usual else { return 0.0 };
        let z = (value - usual.centres[feature]) / usual.spreads[feature];
        if z.is_nan() { 0.0 } else { z.clamp(-Z_MAX, Z_MAX) }
    }

    /// Every feature of the newest second of speech as [`Self::z`]; zeros while nothing is known.
    pub fn scores(&self) -> [f32; FEATURES] {
        std::array::from_fn(|feature| self.z(feature, self.newest[feature]))
    }

    fn sum_up(&mut self) {
        let mut second = [0.0; FEATURES];
        for (i, value) in second[..DESCRIPTORS].iter_mut().enumerate() {
            self.sorting.clear();
            self.sorting.extend(self.voiced.iter().map(|descriptors| descriptors[i]));
            *value = median(&mut self.sorting);
        }
        second[LEVEL] = median(&mut self.levels);
        second[SYLLABLE_RATE] = self.nuclei as f32 * 100.0 / SECOND_HOPS as f32;
        self.newest = second;
        if self.stands_out(&second) && self.skipped < OUTLYING_SKIPPED {
            self.skipped += 1;
            return;
        }
        self.skipped = 0;
        if self.seconds.len() < ANCHOR_SECONDS + RECENT_SECONDS {
            self.seconds.push(second);
        } else {
            self.seconds[ANCHOR_SECONDS + self.taken % RECENT_SECONDS] = second;
        }
        self.taken += 1;
        self.renew();
    }

    /// Only after the anchor is laid: until then everything is news.
    fn stands_out(&self, second: &[f32; FEATURES]) -> bool {
        let features = [Descriptor::Pitch as usize, LEVEL];
        self.taken >= ANCHOR_SECONDS && features.iter().any(|&i| self.z(i, second[i]).abs() > OUTLYING_Z)
    }

    fn renew(&mut self) {
        let heard = self.seconds.len() as f32;
        let carried =
            self.carried.map(|usual| (usual, (ANCHOR_SECONDS as f32 - heard).max(0.0) / ANCHOR_SECONDS as f32));
        if self.seconds.len() < KNOWN_SECONDS as usize && carried.is_none() {
            return;
        }
        let earlier_s = carried.map_or(0, |(usual, _)| usual.speech_s);
        let mut usual = Usual {
            speech_s: earlier_s.saturating_add(self.taken as u32),
            centres: [0.0; FEATURES],
            spreads: [0.0; FEATURES],
        };
        for (i, usual_spread) in USUAL_SPREAD.iter().enumerate() {
            self.sorting.clear();
            self.sorting.extend(self.seconds.iter().map(|second| second[i]));
            let centre = median(&mut self.sorting);
            self.sorting.iter_mut().for_each(|value| *value = (*value - centre).abs());
            let deviation = NORMAL * median(&mut self.sorting);
            let square = SPREAD_WORTH * usual_spread * usual_spread + heard * deviation * deviation;
            let spread = (square / (SPREAD_WORTH + heard)).sqrt();
            let blend = |now: f32, before: f32, share: f32| now + share * (before - now);
            (usual.centres[i], usual.spreads[i]) = match &carried {
                Some((before, share)) => {
                    (blend(centre, before.centres[i], *share), blend(spread, before.spreads[i], *share))
                }
                None => (centre, spread),
            };
        }
        self.usual = Some(usual);
    }
}

/// The upper one of two middle values; 0 without values.
fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::Level;
    use crate::semitones;

    const PITCH: usize = Descriptor::Pitch as usize;

    #[test]
    fn nothing_is_told_before_three_seconds() {
        let mut baseline = SpeakerBaseline::default();
        speak(&mut baseline, 2, 110.0, -30.0);
        assert!(baseline.usual().is_none() && baseline.z(PITCH, 40.0) == 0.0);
        speak(&mut baseline, 1, 110.0, -30.0);
        assert_eq!(baseline.usual().map(|usual| usual.speech_s), Some(3));
        assert!((baseline.z(PITCH, semitones(110.0))).abs() < 0.1);
        assert!(baseline.z(PITCH, semitones(165.0)) > 2.0 && baseline.z(LEVEL, -20.0) > 2.0);
    }

    #[test]
    fn a_raised_voice_does_not_become_usual() {
        let mut baseline = SpeakerBaseline::default();
        speak(&mut baseline, 30, 110.0, -30.0);
        speak(&mut baseline, 60, 220.0, -18.0);
        assert!(baseline.z(PITCH, semitones(220.0)) > 2.0, "{}", baseline.z(PITCH, semitones(220.0)));
        assert!(baseline.scores()[PITCH] > 2.0 && baseline.scores()[LEVEL] > 2.0, "{:?}", baseline.scores());
    }

    #[test]
    fn outliers_move_little() {
        let mut baseline = SpeakerBaseline::default();
        for second in 0..20 {
            speak(&mut baseline, 1, if second % 5 == 4 { 330.0 } else { 110.0 }, -30.0);
        }
        assert!((baseline.z(PITCH, semitones(110.0))).abs() < 0.2);
    }

    #[test]
    fn a_known_speaker_is_known_at_once_and_learned_anew() {
        let mut earlier = SpeakerBaseline::default();
        speak(&mut earlier, 40, 110.0, -30.0);
        let mut baseline = SpeakerBaseline::resume(*earlier.usual().expect("40 s of speech"));
        assert!(baseline.z(PITCH, semitones(165.0)) > 2.0);
        speak(&mut baseline, 30, 165.0, -30.0);
        assert!(baseline.z(PITCH, semitones(165.0)).abs() < 0.1);
    }

    /// Seconds of speech that is voiced throughout and swings a little.
    fn speak(baseline: &mut SpeakerBaseline, seconds: usize, hz: f32, dbov: f32) {
        for i in 0..100 * seconds {
            let mut descriptors = [0.0; DESCRIPTORS];
            descriptors[PITCH] = semitones(hz) + (i as f32 * 0.7).sin();
            let level = Level { dbov: dbov + (i as f32 * 0.3).sin(), peak: 0.1, clipped: 0.0 };
            baseline.push(&Row { position: 0, pitch_hz: Some(hz), voicing: 1.0, level, descriptors }, true);
        }
    }
}
