//! What is usual for one speaker: centre and spread of a few features, robust, usable within seconds.
//!
//! Speech is summed up per second; the centre is a weighted median of those seconds, the spread their median absolute
//! deviation. Both are shrunk towards the population while little has been heard. How anger is kept from becoming the
//! new normal: the first 30 s of speech weigh 1 per second, later seconds 1/4, and a second whose pitch or level
//! stands more than 2 standard scores out (after the first 5 s) a fifth of that.

use super::frame::Frame;
use super::functionals::semitones;
use super::order::{quantile, sort};

/// What the baseline knows about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Median pitch, semitones re 55 Hz.
    Pitch,
    /// Median level of speech, dBov.
    Level,
    /// Syllable nuclei per second of speech.
    SyllableRate,
    /// Median tilt of voiced speech, dB.
    Tilt,
}

impl Feature {
    /// All of them, in the order of [`Feature`].
    pub const ALL: [Self; 4] = [Self::Pitch, Self::Level, Self::SyllableRate, Self::Tilt];

    /// Before anything was heard: mean over speakers, spread between speakers, spread within one (per second).
    const fn prior(self) -> Prior {
        match self {
            Self::Pitch => Prior { mean: 18.5, between: 5.0, within: 2.5 },
            Self::Level => Prior { mean: -25.0, between: 6.0, within: 4.0 },
            Self::SyllableRate => Prior { mean: 4.0, between: 0.7, within: 1.3 },
            Self::Tilt => Prior { mean: -9.0, between: 4.0, within: 3.0 },
        }
    }
}

struct Prior {
    mean: f32,
    between: f32,
    within: f32,
}

/// Standard scores are cut here.
const Z_MAX: f32 = 6.0;
/// Seconds of speech that weigh fully and are kept for good.
const ANCHOR_SECONDS: usize = 30;
/// Later seconds of speech that are remembered (the last ones).
const RECENT_SECONDS: usize = 90;
const RECENT_WEIGHT: f32 = 0.25;
/// Seconds before any second can be called outlying.
const TRUSTING_SECONDS: usize = 5;
const OUTLYING_Z: f32 = 2.0;
const OUTLYING_WEIGHT: f32 = 0.2;
/// Seconds of speech that the prior spread within a speaker is worth.
const SPREAD_WORTH: f32 = 8.0;
/// Neighbouring seconds are alike: so many are worth one independent one.
const SECONDS_ALIKE: f32 = 2.0;
/// Speech frames summed up in one go.
const FRAMES: usize = 100;
/// Voiced frames that a pitch or tilt needs.
const VOICED_MIN: usize = 20;

/// One second of speech: a value per feature, where there is one, and its weight.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    values: [Option<f32>; 4],
    weight: f32,
}

/// Centre of a feature and the spread that a new value is expected to have around it.
#[derive(Debug, Clone, Copy)]
struct Norm {
    centre: f32,
    spread: f32,
}

/// The baseline of one speaker. About 5 KiB; nothing grows, nothing is allocated after `new`.
pub struct Baseline {
    seconds: Vec<Second>,
    /// Seconds summed up since the start.
    taken: usize,
    norms: [Norm; 4],
    pitches: Vec<f32>,
    levels: Vec<f32>,
    tilts: Vec<f32>,
    syllables: usize,
    sorting: Vec<(f32, f32)>,
}

impl Default for Baseline {
    fn default() -> Self {
        Self::new()
    }
}

impl Baseline {
    /// The baseline of a speaker who has not spoken yet: the population's.
    pub fn new() -> Self {
        let mut baseline = Self {
            seconds: Vec::with_capacity(ANCHOR_SECONDS + RECENT_SECONDS),
            taken: 0,
            norms: [Norm { centre: 0.0, spread: 1.0 }; 4],
            pitches: Vec::with_capacity(FRAMES),
            levels: Vec::with_capacity(FRAMES),
            tilts: Vec::with_capacity(FRAMES),
            syllables: 0,
            sorting: Vec::with_capacity(ANCHOR_SECONDS + RECENT_SECONDS),
        };
        baseline.renew();
        baseline
    }

    /// Takes the next frame; frames that are not `speech` are left out. Values that are not finite are left out too.
    pub fn push(&mut self, frame: &Frame, speech: bool) {
        if !speech || !frame.level_dbov.is_finite() || !frame.tilt_db.is_finite() {
            return;
        }
        self.levels.push(frame.level_dbov);
        self.syllables += usize::from(frame.syllable);
        if let Some(hz) = frame.pitch_hz.filter(|hz| hz.is_finite() && *hz > 0.0) {
            self.pitches.push(semitones(hz));
            self.tilts.push(frame.tilt_db);
        }
        if self.levels.len() == FRAMES {
            self.sum_up();
        }
    }

    /// How far `value` is from the speaker's usual, in robust standard deviations, cut to ±6.
    ///
    /// The spread includes what is not yet known about the speaker, so early scores are small. NaN gives 0.
    pub fn z(&self, feature: Feature, value: f32) -> f32 {
        let norm = self.norms[feature as usize];
        let z = (value - norm.centre) / norm.spread;
        if z.is_nan() { 0.0 } else { z.clamp(-Z_MAX, Z_MAX) }
    }

    /// The speaker's usual value of `feature`, in its unit.
    pub fn centre(&self, feature: Feature) -> f32 {
        self.norms[feature as usize].centre
    }

    /// The spread that values of `feature` are expected to have around the centre, in its unit.
    pub fn spread(&self, feature: Feature) -> f32 {
        self.norms[feature as usize].spread
    }

    /// Whole seconds of speech heard so far. From 3 on the speaker counts for more than the population.
    pub fn speech_s(&self) -> usize {
        self.taken
    }

    fn sum_up(&mut self) {
        sort(&mut self.pitches);
        sort(&mut self.levels);
        sort(&mut self.tilts);
        let voiced = self.pitches.len() >= VOICED_MIN;
        let values = [
            voiced.then(|| quantile(&self.pitches, 0.5)),
            Some(quantile(&self.levels, 0.5)),
            Some(self.syllables as f32),
            voiced.then(|| quantile(&self.tilts, 0.5)),
        ];
        self.pitches.clear();
        self.levels.clear();
        self.tilts.clear();
        self.syllables = 0;

        let weight = self.weight(&values);
        self.remember(Second { values, weight });
        self.taken += 1;
        self.renew();
    }

    fn weight(&self, values: &[Option<f32>; 4]) -> f32 {
        let outlying = [Feature::Pitch, Feature::Level]
            .iter()
            .any(|&feature| values[feature as usize].is_some_and(|v| self.z(feature, v).abs() > OUTLYING_Z));
        let by_age = if self.taken < ANCHOR_SECONDS { 1.0 } else { RECENT_WEIGHT };
        if outlying && self.taken >= TRUSTING_SECONDS { by_age * OUTLYING_WEIGHT } else { by_age }
    }

    /// The first seconds stay; of the later ones the oldest gives way.
    fn remember(&mut self, second: Second) {
        if self.seconds.len() < ANCHOR_SECONDS + RECENT_SECONDS {
            self.seconds.push(second);
        } else {
            self.seconds[ANCHOR_SECONDS + (self.taken - ANCHOR_SECONDS) % RECENT_SECONDS] = second;
        }
    }

    fn renew(&mut self) {
        for feature in Feature::ALL {
            self.norms[feature as usize] = self.norm(feature);
        }
    }

    /// Centre and predictive spread of a normal model with a normal prior on the centre, fed with robust estimates.
    fn norm(&mut self, feature: Feature) -> Norm {
        let prior = feature.prior();
        let values = self.seconds.iter().filter_map(|s| s.values[feature as usize].map(|value| (value, s.weight)));
        self.sorting.clear();
        self.sorting.extend(values);
        let heard: f32 = self.sorting.iter().map(|(_, weight)| weight).sum();
        let median = weighted_median(&mut self.sorting);
        for (value, _) in &mut self.sorting {
            *value = (*value - median).abs();
        }
        // 1.4826 makes the median absolute deviation of a normal distribution its standard deviation.
        let deviation = 1.482_6 * weighted_median(&mut self.sorting);

        let within = (SPREAD_WORTH * prior.within.powi(2) + heard * deviation.powi(2)) / (SPREAD_WORTH + heard);
        let between = prior.between.powi(2);
        let doubt = within / (heard / SECONDS_ALIKE).max(f32::MIN_POSITIVE);
        let trust = between / (between + doubt);
        Norm { centre: prior.mean + trust * (median - prior.mean), spread: (within + (1.0 - trust) * between).sqrt() }
    }
}

/// The value at which half the weight is reached; 0 when there are none.
fn weighted_median(values: &mut [(f32, f32)]) -> f32 {
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half = 0.5 * values.iter().map(|(_, weight)| weight).sum::<f32>();
    let mut reached = 0.0;
    for (value, weight) in values.iter() {
        reached += weight;
        if reached >= half {
            return *value;
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn before_speech_the_population_is_usual() {
        let baseline = Baseline::new();
        for feature in Feature::ALL {
            assert_eq!(baseline.z(feature, feature.prior().mean), 0.0);
            assert!(baseline.spread(feature) > feature.prior().between);
        }
    }

    #[test]
    fn three_seconds_move_the_centre_most_of_the_way() {
        let mut baseline = Baseline::new();
        speak(&mut baseline, 3, 110.0, -35.0);
        assert!((baseline.centre(Feature::Pitch) - 12.0).abs() < 1.5, "{}", baseline.centre(Feature::Pitch));
        assert!((baseline.centre(Feature::Level) + 35.0).abs() < 3.5, "{}", baseline.centre(Feature::Level));
    }

    #[test]
    fn a_raised_voice_stands_out_and_stays_out() {
        let mut baseline = Baseline::new();
        speak(&mut baseline, 20, 120.0, -30.0);
        let before = baseline.z(Feature::Pitch, semitones(190.0));
        assert!(before > 2.5, "{before}");
        speak(&mut baseline, 20, 190.0, -18.0);
        let after = baseline.z(Feature::Pitch, semitones(190.0));
        assert!(after > 2.0, "{after}");
        assert!(baseline.z(Feature::Level, -18.0) > 2.0);
    }

    #[test]
    fn silence_teaches_nothing() {
        let mut baseline = Baseline::new();
        for i in 0..10_000 {
            baseline.push(&Frame::silent(i), false);
        }
        assert_eq!(baseline.speech_s(), 0);
        assert_eq!(baseline.centre(Feature::Level), Feature::Level.prior().mean);
    }

    #[test]
    fn remembers_a_bounded_number_of_seconds() {
        let mut baseline = Baseline::new();
        speak(&mut baseline, 1_000, 200.0, -20.0);
        assert_eq!(baseline.seconds.len(), ANCHOR_SECONDS + RECENT_SECONDS);
        assert_eq!(baseline.seconds.capacity(), ANCHOR_SECONDS + RECENT_SECONDS);
    }

    proptest! {
        #[test]
        fn scores_are_finite_and_bounded(
            frames in prop::collection::vec((any::<f32>(), any::<f32>(), any::<Option<f32>>()), 0..600),
            value in any::<f32>(),
        ) {
            let mut baseline = Baseline::new();
            for (level_dbov, tilt_db, pitch_hz) in frames {
                baseline.push(&Frame { level_dbov, tilt_db, pitch_hz, ..Frame::silent(0) }, true);
            }
            for feature in Feature::ALL {
                prop_assert!(baseline.z(feature, value).abs() <= Z_MAX);
            }
        }
    }

    fn speak(baseline: &mut Baseline, seconds: u64, pitch_hz: f32, level_dbov: f32) {
        for i in 0..seconds * FRAMES as u64 {
            let frame = Frame {
                level_dbov,
                pitch_hz: Some(pitch_hz),
                tilt_db: -9.0,
                syllable: i % 25 == 0,
                ..Frame::silent(i * 80)
            };
            baseline.push(&frame, true);
        }
    }
}
