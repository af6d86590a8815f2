//! What a voice is going to do: its contour, where it is voiced, how regular its periods are.

use std::f32::consts::TAU;

use super::random::Random;

/// The shapes a voice can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One pitch, voiced throughout.
    Steady,
    /// Up to an octave up and down again, voiced throughout.
    Glide,
    /// 4.5-6.5 Hz, up to ±1.5 semitones, voiced throughout.
    Vibrato,
    /// Falls towards 70 Hz while its periods become irregular.
    Creaky,
    /// Phrases of half a second and more between whispered gaps (noise through the same formants).
    Whispered,
    /// Syllables with consonants and pauses between, tones on the syllables: many changes of voicing.
    Phrases,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [Self::Steady, Self::Glide, Self::Vibrato, Self::Creaky, Self::Whispered, Self::Phrases];

    /// The name in file names and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Glide => "glide",
            Self::Vibrato => "vibrato",
            Self::Creaky => "creaky",
            Self::Whispered => "whispered",
            Self::Phrases => "phrases",
        }
    }
}

/// One voice, before it is heard. Two plans that are equal make equal signals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Its shape.
    pub kind: Kind,
    /// The pitch it moves around, Hz, 70-400.
    pub pitch_hz: f32,
    /// Length, seconds.
    pub seconds: f32,
    /// Deviation of a period from the contour, percent of it (normally distributed); 0 = exact.
    pub jitter_percent: f32,
    /// Deviation of a period's amplitude, dB (normally distributed); 0 = exact.
    pub shimmer_db: f32,
    /// Noise of breath under the voice, dB relative to it; at −60 there is none to speak of.
    pub breath_db: f32,
    /// Whether the tract keeps the vowel that it begins with: a voice without jitter then has equal periods.
    pub still: bool,
    /// Everything else: formants, vowels, shape of the contour.
    pub seed: u64,
}

/// What excites the formants for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Source {
    Voice,
    /// Noise through the formants, dB under the voice.
    Whisper(f32),
    /// Noise past the formants, above 2.5 kHz, dB under the voice.
    Hiss(f32),
    Silence,
}

/// A stretch of one source, seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch {
    pub(super) from_s: f32,
    pub(super) to_s: f32,
    pub(super) source: Source,
}

/// Silence at both ends of every voice, seconds.
const EDGE_S: f32 = 0.15;
/// Where creaking ends.
const CREAK_HZ: f32 = 70.0;

impl Plan {
    /// A voice of `kind` around `pitch_hz`, 3 s long, with the irregularity of a healthy voice.
    pub fn new(kind: Kind, pitch_hz: f32, seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x51);
        Self {
            kind,
            pitch_hz,
            seconds: 3.0,
            jitter_percent: random.between(0.2, 0.8),
            shimmer_db: random.between(0.1, 0.4),
            breath_db: random.between(-40.0, -22.0),
            still: false,
            seed,
        }
    }

    /// The sources in order, without gaps between them.
    pub(super) fn stretches(&self) -> Vec<Stretch> {
        let mut random = Random::new(self.seed ^ 0x52);
        let mut out = vec![Stretch { from_s: 0.0, to_s: EDGE_S, source: Source::Silence }];
        let end_s = self.seconds - EDGE_S;
        let mut add = |seconds: f32, source: Source| {
            let from_s = out.last().map_or(0.0, |last: &Stretch| last.to_s);
            let to_s = (from_s + seconds).min(end_s);
            if to_s > from_s {
                out.push(Stretch { from_s, to_s, source });
            }
            to_s >= end_s
        };
        match self.kind {
            Kind::Steady | Kind::Glide | Kind::Vibrato | Kind::Creaky => {
                add(self.seconds, Source::Voice);
            }
            Kind::Whispered => loop {
                let voiced_s = random.between(0.5, 0.9);
                let whisper_s = random.between(0.2, 0.45);
                let whisper_db = random.between(-30.0, -20.0);
                if add(voiced_s, Source::Voice) || add(whisper_s, Source::Whisper(whisper_db)) {
                    break;
                }
            },
            Kind::Phrases => loop {
                if add_syllable(&mut random, &mut add) {
                    break;
                }
            },
        }
        out.push(Stretch { from_s: end_s.max(EDGE_S), to_s: self.seconds, source: Source::Silence });
        out
    }

    /// The contour at `time_s`, Hz, without jitter.
    pub(super) fn contour_hz(&self, time_s: f32) -> f32 {
        let mut random = Random::new(self.seed ^ 0x53);
        let share = time_s / self.seconds;
        let octaves = match self.kind {
            Kind::Steady => 0.0,
            Kind::Glide => {
                let width = random.between(0.5, 1.0);
                let turns = random.between(1.0, 2.2);
                let start = random.uniform();
                width * (0.5 - 0.5 * (TAU * (share * turns + start)).cos())
            }
            Kind::Vibrato => {
                let rate_hz = random.between(4.5, 6.5);
                let semitones = random.between(0.5, 1.5);
                semitones / 12.0 * (TAU * rate_hz * time_s).sin() - 0.15 * share
            }
            Kind::Creaky => {
                let depth = (self.pitch_hz / CREAK_HZ).log2().max(0.0);
                let fall = (share * 1.6).min(1.0);
                -depth * (0.5 - 0.5 * (TAU * 0.5 * fall).cos())
            }
            Kind::Whispered | Kind::Phrases => self.speech_octaves(time_s, &mut random),
        };
        (self.pitch_hz * octaves.exp2()).clamp(60.0, 600.0)
    }

    /// Declination over phrases, stress, and a tone on each syllable.
    fn speech_octaves(&self, time_s: f32, random: &mut Random) -> f32 {
        let phrase_s = random.between(1.4, 2.2);
        let stress_hz = random.between(1.2, 2.0);
        let start = random.uniform();
        let phrase = (time_s / phrase_s + start).fract();
        let declination = 0.25 - 0.45 * smooth(phrase);
        let stress = 0.2 * (TAU * (time_s * stress_hz + start)).sin().max(0.0);
        let tone = 0.08 * (TAU * (time_s * 3.7 + 2.0 * start)).sin();
        declination + stress + tone
    }

    /// How irregular the period at `time_s` is: jitter in percent and shimmer in dB.
    pub(super) fn irregularity(&self, time_s: f32) -> (f32, f32) {
        if self.kind != Kind::Creaky {
            return (self.jitter_percent, self.shimmer_db);
        }
        let depth = (self.pitch_hz / CREAK_HZ).log2().max(0.1);
        let creak = ((self.pitch_hz / self.contour_hz(time_s)).log2() / depth).clamp(0.0, 1.0);
        (self.jitter_percent + 2.5 * creak, self.shimmer_db + 1.0 * creak)
    }
}

/// Consonant, vowel, sometimes a pause; true when the end is reached.
fn add_syllable(random: &mut Random, add: &mut impl FnMut(f32, Source) -> bool) -> bool {
    let consonant_s = random.between(0.05, 0.11);
    let consonant = match random.below(4) {
        0 => None,
        1 => Some(Source::Silence),
        2 => Some(Source::Whisper(random.between(-32.0, -22.0))),
        _ => Some(Source::Hiss(random.between(-34.0, -20.0))),
    };
    if consonant.is_some_and(|source| add(consonant_s, source)) {
        return true;
    }
    let vowel_s = random.between(0.11, 0.3);
    if add(vowel_s, Source::Voice) {
        return true;
    }
    let pause_s = random.between(0.2, 0.5);
    random.below(6) == 0 && add(pause_s, Source::Silence)
}

/// From 0 to 1 without a corner except where it starts over: the jump back takes the last tenth.
fn smooth(phrase: f32) -> f32 {
    if phrase < 0.9 { phrase / 0.9 } else { 0.5 + 0.5 * (TAU * 0.5 * (phrase - 0.9) / 0.1).cos() }
}
