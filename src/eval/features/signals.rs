//! Voices whose values are known because they were made so, on the lines that they pass.

use std::path::Path;

use prosody::SampleRate;
use prosody::synthetic::{self, Kind, Plan, Random, Voice};

use super::table::Table;
use crate::cli::Failure;
use crate::eval::pitch::conditions::Condition;
use crate::eval::{progress, recording};

/// The file of what is true.
pub(super) const TRUTH: &str = "truth.csv";
/// Conditions of `calmline eval pitch` that voices are sent through.
const CONDITIONS: [&str; 9] =
    ["wide-clean", "wide-w20", "wide-b20", "tel-clean", "tel-w20", "tel-w10", "tel-b20", "tel-ulaw", "tel-alaw-loss5"];
/// A second has so many milliseconds.
const MS_PER_S: f32 = 1_000.0;
const SAMPLES_PER_MS: usize = synthetic::RATE_HZ as usize / 1_000;

/// One signal at 16 kHz.
struct Signal {
    samples: Vec<f32>,
    /// Per millisecond; 0 where there is no voice.
    pitch_hz: Vec<f32>,
    /// White noise so far below the voice that goes through the same band, dB.
    noise_db: Option<f32>,
}

/// Makes `voices` of each kind, and the signals of every condition.
pub(super) fn make(data: &Path, voices: usize, seed: u64) -> Result<(), Failure> {
    std::fs::create_dir_all(data).map_err(|error| Failure::of(data.display(), error))?;
    let (mut random, mut truth) = (Random::new(seed), Table::default());
    let conditions: Vec<Condition> =
        Condition::all().into_iter().filter(|condition| CONDITIONS.contains(&&*condition.name())).collect();
    for number in 0..voices {
        // Pitches over two octaves, in another order than everything else.
        let pitch_hz = 80.0 * 4f32.powf((number * 7 % voices) as f32 / voices as f32);
        let kinds = [
            ("rough", rough as fn(f32, &mut Random, &str, &mut Table) -> Signal),
            ("hoarse", hoarse),
            ("noisy", noisy),
            ("tract", tract),
            ("rhythm", rhythm),
        ];
        for (kind, voice) in kinds {
            let name = format!("{kind}-{number:03}");
            let signal = voice(pitch_hz, &mut random, &name, &mut truth);
            for condition in &conditions {
                let path = data.join(condition.name()).join(format!("{name}.wav"));
                recording::write(&path, &signal.through(condition, random.bits())?, condition.rate().hz())?;
            }
        }
        progress(number + 1, voices);
    }
    truth.write(&data.join(TRUTH))
}

impl Signal {
    fn of(voice: Voice) -> Self {
        Self { samples: voice.samples, pitch_hz: voice.pitch_hz, noise_db: None }
    }

    fn through(&self, condition: &Condition, seed: u64) -> Result<Vec<f32>, Failure> {
        let mut samples = condition.apply(&self.samples, &self.pitch_hz, &[], seed)?;
        if let Some(db) = self.noise_db {
            let noise = synthetic::white(self.samples.len(), seed ^ 1);
            let noise = match condition.rate() {
                SampleRate::Hz8000 => synthetic::telephone_band(&synthetic::half_rate(&noise)),
                SampleRate::Hz16000 => noise,
            };
            synthetic::add_at_snr(&mut samples, &noise, &self.pitch_hz, condition.rate().hz(), db);
        }
        Ok(samples)
    }
}

/// A steady voice with irregular periods.
fn rough(pitch_hz: f32, random: &mut Random, name: &str, truth: &mut Table) -> Signal {
    let voice = Voice::of(&Plan {
        jitter_percent: random.between(0.1, 2.0),
        shimmer_db: random.between(0.1, 1.5),
        ..Plan::new(Kind::Steady, pitch_hz, random.bits())
    });
    truth.insert(name, "jitter", 100.0 * f64::from(voice.jitter()));
    truth.insert(name, "shimmer", f64::from(voice.shimmer_db()));
    Signal::of(voice)
}

/// A voice of equal periods in white noise, 0-30 dB below it: its ratio of harmonics to noise.
fn hoarse(pitch_hz: f32, random: &mut Random, name: &str, truth: &mut Table) -> Signal {
    let noise_db = random.between(0.0, 30.0);
    let voice = Voice::of(&Plan {
        jitter_percent: 0.0,
        shimmer_db: 0.0,
        breath_db: -60.0,
        still: true,
        ..Plan::new(Kind::Steady, pitch_hz, random.bits())
    });
    truth.insert(name, "hnr", f64::from(noise_db));
    Signal { noise_db: Some(noise_db), ..Signal::of(voice) }
}

/// Six seconds of syllables and pauses in white noise, 0-30 dB below the voice: the ratio of signal to noise.
fn noisy(pitch_hz: f32, random: &mut Random, name: &str, truth: &mut Table) -> Signal {
    let noise_db = random.between(0.0, 30.0);
    let voice = Voice::of(&Plan { seconds: 6.0, ..Plan::new(Kind::Phrases, pitch_hz, random.bits()) });
    truth.insert(name, "snr", f64::from(noise_db));
    Signal { noise_db: Some(noise_db), ..Signal::of(voice) }
}

/// A gliding voice in a tract that moves: the medians of its formants where it is voiced.
fn tract(pitch_hz: f32, random: &mut Random, name: &str, truth: &mut Table) -> Signal {
    let voice = Voice::of(&Plan::new(Kind::Glide, pitch_hz, random.bits()));
    for (i, value) in ["formant1", "formant2", "formant3"].into_iter().enumerate() {
        let voiced = voice.formants_hz.iter().zip(&voice.pitch_hz).filter(|(_, hz)| **hz > 0.0);
        let mut values: Vec<f32> = voiced.map(|(formants, _)| formants[i].0).collect();
        values.sort_by(f32::total_cmp);
        if let Some(median) = values.get(values.len() / 2) {
            truth.insert(name, value, f64::from(*median));
        }
    }
    Signal::of(voice)
}

/// Nine seconds of syllables of one length, in groups with pauses of one length between them.
fn rhythm(pitch_hz: f32, random: &mut Random, name: &str, truth: &mut Table) -> Signal {
    const SECONDS: f32 = 9.0;
    const EDGE_MS: usize = 200;
    let syllable_ms = (MS_PER_S / random.between(2.5, 6.5)) as usize;
    let pause_ms = (MS_PER_S * random.between(0.4, 1.0)) as usize;
    let group = 4 + random.below(6);
    let Voice { mut samples, mut pitch_hz, .. } =
        Voice::of(&Plan { seconds: SECONDS, ..Plan::new(Kind::Glide, pitch_hz, random.bits()) });

    // Where each syllable begins; the last group is a whole one.
    let group_ms = group * syllable_ms + pause_ms;
    let groups = ((pitch_hz.len() - 2 * EDGE_MS + pause_ms) / group_ms).max(1);
    let end_ms = EDGE_MS + groups * group_ms - pause_ms;
    let share_at = |ms: usize| {
        let at = ms.checked_sub(EDGE_MS).filter(|_| ms < end_ms)? % group_ms;
        (at < group * syllable_ms).then(|| (at % syllable_ms) as f32 / syllable_ms as f32)
    };
    for (ms, (hz, piece)) in pitch_hz.iter_mut().zip(samples.chunks_mut(SAMPLES_PER_MS)).enumerate() {
        // Closing between two syllables to a twentieth, and wholly in pauses.
        let open = share_at(ms).map(|share| 0.5 - 0.5 * (std::f32::consts::TAU * share).cos());
        let gain = open.map_or(0.0, |open| 0.05 + 0.95 * open.sqrt());
        piece.iter_mut().for_each(|sample| *sample *= gain);
        if open.is_none() {
            *hz = 0.0;
        }
    }
    let (syllables, speech_s) = ((groups * group) as f64, (end_ms - EDGE_MS) as f64 / f64::from(MS_PER_S));
    let pauses_s = ((groups - 1) * pause_ms) as f64 / f64::from(MS_PER_S);
    truth.insert(name, "speaking_rate", syllables / speech_s);
    truth.insert(name, "articulation_rate", syllables / (speech_s - pauses_s));
    truth.insert(name, "pause_share", pauses_s / speech_s);
    Signal { samples, pitch_hz, noise_db: None }
}
