//! The lines that a voice passes through before it is tracked, and how the signals of each are made.

use std::fs;
use std::path::Path;

use media::Codec;
use media::codec::{Decoder, Encoder, OpusSettings};
use prosody::SampleRate;
use prosody::synthetic::{self, Kind, Plan, Random, Voice};

use super::truth::{self, Truth};
use super::{progress, recording};
use crate::cli::Failure;

/// Noise under the voice, dB below it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Noise {
    White(u8),
    Babble(u8),
}

/// One column of the tables.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::eval) struct Condition {
    band: SampleRate,
    noise: Option<Noise>,
    /// `None` is 16-bit PCM.
    codec: Option<Codec>,
    lossy: bool,
}

/// Packets lost where packets are lost.
const LOSS: f32 = 0.05;
/// Samples per packet at 8 kHz: 20 ms.
const PACKET: usize = 160;
/// Recordings mixed into one babble, where the folder brings some.
const TALKERS: usize = 8;

impl Condition {
    /// Wide and telephone band, each clean, with white noise and babble at 20, 10 and 5 dB; then codecs and loss.
    pub(in crate::eval) fn all() -> Vec<Self> {
        let noises: Vec<Option<Noise>> = std::iter::once(None)
            .chain([20, 10, 5].map(|db| Some(Noise::White(db))))
            .chain([20, 10, 5].map(|db| Some(Noise::Babble(db))))
            .collect();
        let mut all = Vec::new();
        for (band, codec) in [(SampleRate::Hz16000, None), (SampleRate::Hz8000, Some(Codec::Pcma))] {
            all.extend(noises.iter().map(|&noise| Self { band, noise, codec, lossy: false }));
        }
        let line = |band, codec, lossy| Self { band, noise: None, codec: Some(codec), lossy };
        all.extend([
            line(SampleRate::Hz8000, Codec::Pcmu, false),
            line(SampleRate::Hz8000, Codec::Opus, false),
            line(SampleRate::Hz16000, Codec::Opus, false),
            line(SampleRate::Hz8000, Codec::Pcma, true),
            line(SampleRate::Hz8000, Codec::Opus, true),
        ]);
        all
    }

    /// As in `tel-b10`: band, then noise or codec, then loss.
    pub(in crate::eval) fn name(&self) -> String {
        let band = if self.band == SampleRate::Hz8000 { "tel" } else { "wide" };
        let line = match (self.noise, self.codec) {
            (Some(Noise::White(db)), _) => format!("w{db}"),
            (Some(Noise::Babble(db)), _) => format!("b{db}"),
            (None, Some(Codec::Opus)) => "opus".to_owned(),
            (None, Some(Codec::Pcmu)) => "ulaw".to_owned(),
            (None, _) if self.lossy => "alaw".to_owned(),
            (None, _) => "clean".to_owned(),
        };
        format!("{band}-{line}{}", if self.lossy { "-loss5" } else { "" })
    }

    /// The rate of its signals.
    pub(in crate::eval) fn rate(&self) -> SampleRate {
        self.band
    }

    /// A ratio to noise, dB, after the white noise that the line adds; `None` under babble, which is voices, not noise.
    pub(in crate::eval) fn ratio_db(&self, db: f64) -> Option<f64> {
        let share = |db: f64| 10f64.powf(-db / 10.0);
        match self.noise {
            None => Some(db),
            Some(Noise::White(own_db)) => Some(-10.0 * (share(db) + share(f64::from(own_db))).log10()),
            Some(Noise::Babble(_)) => None,
        }
    }

    /// `source` (16 kHz) after this line.
    pub(in crate::eval) fn apply(
        &self,
        source: &[f32],
        pitch_hz: &[f32],
        babble: &[Vec<f32>],
        seed: u64,
    ) -> Result<Vec<f32>, Failure> {
        let narrow = |samples: &[f32]| synthetic::telephone_band(&synthetic::half_rate(samples));
        let band = |samples: &[f32]| if self.band == SampleRate::Hz8000 { narrow(samples) } else { samples.to_vec() };
        let mut samples = band(source);
        let noise = self.noise.map(|noise| match noise {
            Noise::White(db) => (synthetic::white(source.len(), seed), db),
            Noise::Babble(db) if babble.is_empty() => (synthetic::babble(source.len(), seed), db),
            Noise::Babble(db) => (mix(babble, source.len(), seed), db),
        });
        if let Some((noise, db)) = noise {
            synthetic::add_at_snr(&mut samples, &band(&noise), pitch_hz, self.band.hz(), f32::from(db));
        }
        match self.codec {
            Some(codec) => transmit(&samples, codec, self.band.hz(), self.lossy, seed),
            None => Ok(samples),
        }
    }
}

/// Makes `source` and `truth` of synthetic voices unless they are there, then the signals of every condition.
pub(super) fn make(data: &Path, voices: usize, seed: u64) -> Result<(), Failure> {
    let sources = data.join("source");
    if !sources.is_dir() {
        synthesise(data, voices, seed)?;
    }
    let truths = truth::read_all(&data.join("truth"))?;
    let babble = read_babble(&data.join("babble"))?;
    for (number, (signal, truth)) in truths.iter().enumerate() {
        let source = recording::read(&sources.join(format!("{signal}.wav")), synthetic::RATE_HZ)?;
        let pitch_hz = truth.per_ms();
        for condition in Condition::all() {
            let path = data.join(condition.name()).join(format!("{signal}.wav"));
            let own_seed = seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
            let samples = condition.apply(&source, &pitch_hz, &babble, own_seed)?;
            recording::write(&path, &samples, condition.rate().hz())?;
        }
        progress(number + 1, truths.len());
    }
    Ok(())
}

/// `voices` of each kind but the steady one, their pitches spread over 75-340 Hz, their levels over 20 dB.
fn synthesise(data: &Path, voices: usize, seed: u64) -> Result<(), Failure> {
    fs::create_dir_all(data.join("truth")).map_err(|error| Failure::of(data.display(), error))?;
    let mut random = Random::new(seed);
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Steady) {
        for number in 0..voices {
            let share = (number as f32 + random.uniform()) / voices as f32;
            let pitch_hz = 75.0 * (340.0f32 / 75.0).powf(share);
            let voice = Voice::of(&Plan::new(kind, pitch_hz, random.bits()));
            let gain = 10f32.powf(random.between(-12.0, 8.0) / 20.0);
            let samples: Vec<f32> = voice.samples.iter().map(|sample| gain * sample).collect();
            let name = format!("{}-{number:02}", kind.name());
            recording::write(&data.join("source").join(format!("{name}.wav")), &samples, synthetic::RATE_HZ)?;
            let points = voice.pitch_hz.iter().enumerate().map(|(ms, hz)| (ms as f64 / 1_000.0, Some(*hz)));
            Truth::new(points.collect()).write(&data.join("truth").join(format!("{name}.csv")))?;
        }
    }
    Ok(())
}

/// The recordings that babble is mixed from, at 16 kHz; none when the folder is not there.
fn read_babble(folder: &Path) -> Result<Vec<Vec<f32>>, Failure> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let named = |error: std::io::Error| Failure::of(folder.display(), error);
    let entries = fs::read_dir(folder).map_err(named)?.collect::<Result<Vec<_>, _>>().map_err(named)?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| recording::read(path, synthetic::RATE_HZ)).collect()
}

/// Eight of the recordings at once, each from a place of its own and going round.
fn mix(recordings: &[Vec<f32>], count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    let mut out = vec![0.0; count];
    for _ in 0..TALKERS {
        let recording = &recordings[random.below(recordings.len())];
        let from = random.below(recording.len().max(1));
        let power = recording.iter().map(|sample| sample * sample).sum::<f32>() / recording.len().max(1) as f32;
        let gain = 10f32.powf(random.between(-4.0, 4.0) / 20.0) / power.sqrt().max(1e-6);
        let around = recording.iter().cycle().skip(from);
        out.iter_mut().zip(around).for_each(|(sum, sample)| *sum += gain * sample);
    }
    out
}

/// Through the coder in packets of 20 ms, losing some of them and concealing what is lost.
fn transmit(samples: &[f32], codec: Codec, rate_hz: u32, lossy: bool, seed: u64) -> Result<Vec<f32>, Failure> {
    let failed = |error: media::codec::CodecError| Failure::of("coding a signal", error);
    let opus = OpusSettings::default();
    let mut encoder = Encoder::new(codec, rate_hz, opus).map_err(failed)?;
    let mut decoder = Decoder::new(codec, rate_hz).map_err(failed)?;
    let mut random = Random::new(seed ^ 0x10);
    let packet = PACKET * rate_hz as usize / 8_000;
    let mut pcm = recording::to_i16(samples);
    // The coder looks ahead; what it holds back at the end is pushed out by silence and what it adds in front is cut.
    let delay = if codec == Codec::Opus { opus_delay(rate_hz) } else { 0 };
    pcm.resize((pcm.len() + delay).next_multiple_of(packet), 0);
    let (mut payload, mut heard) = (Vec::new(), Vec::with_capacity(pcm.len()));
    for piece in pcm.chunks(packet) {
        payload.clear();
        encoder.encode(piece, &mut payload).map_err(failed)?;
        if lossy && random.uniform() < LOSS {
            decoder.conceal(packet, &mut heard);
        } else {
            decoder.decode(&payload, &mut heard).map_err(failed)?;
        }
    }
    Ok(heard[delay..delay + samples.len()].iter().map(|&sample| f32::from(sample) / 32_768.0).collect())
}

/// What Opus delays by in its mode for speech: 6.5 ms (RFC 6716 §2; `OPUS_GET_LOOKAHEAD`).
fn opus_delay(rate_hz: u32) -> usize {
    (rate_hz as usize * 13) / 2_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_conditions_apart() {
        let mut names: Vec<String> = Condition::all().iter().map(Condition::name).collect();
        assert_eq!(names[..3], ["wide-clean", "wide-w20", "wide-w10"]);
        assert!(names.contains(&"tel-alaw-loss5".to_owned()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn noise_of_the_voice_and_of_the_line_add_up() {
        let ratio_db = |name: &str, db: f64| {
            let condition = Condition::all().into_iter().find(|condition| condition.name() == name);
            condition.expect("a condition").ratio_db(db).map(|db| (10.0 * db).round() / 10.0)
        };
        assert_eq!(ratio_db("tel-clean", 12.0), Some(12.0));
        assert_eq!(ratio_db("tel-w20", 20.0), Some(17.0));
        assert_eq!(ratio_db("wide-w10", 30.0), Some(10.0));
        assert_eq!(ratio_db("wide-b10", 30.0), None);
    }

    #[test]
    fn a_coded_signal_stays_in_its_place() {
        let voice = Voice::of(&Plan { seconds: 1.0, ..Plan::new(Kind::Glide, 150.0, 3) });
        let narrow = synthetic::telephone_band(&synthetic::half_rate(&voice.samples));
        for codec in [Codec::Pcma, Codec::Pcmu, Codec::Opus] {
            let heard = transmit(&narrow, codec, 8_000, false, 1).expect("a codec that we have");
            let at = |shift: isize| -> f32 {
                (2_000..6_000).map(|i| narrow[i] * heard[(i as isize + shift) as usize]).sum()
            };
            let best = (-20..=20).max_by(|&a, &b| at(a).total_cmp(&at(b)));
            assert!(best.is_some_and(|shift| shift.abs() <= 1), "{codec:?} is late by {best:?} samples");
        }
    }
}
