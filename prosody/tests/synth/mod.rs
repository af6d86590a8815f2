//! Signals whose pitch is known exactly: vowels on a contour, put through a telephone, with noise.
//!
//! Not a speech synthesiser: harmonics under slowly moving formants, with unvoiced noise and pauses between.

use std::f32::consts::TAU;

pub const RATE: f32 = 8_000.0;

/// A signal and, per sample, its pitch in Hz (0 = unvoiced).
pub struct Voice {
    pub samples: Vec<f32>,
    pub pitch_hz: Vec<f32>,
}

/// How a voice moves.
#[derive(Debug, Clone, Copy)]
pub enum Contour {
    Steady,
    /// Up by the factor and back down once a second.
    Glide(f32),
    /// 5.5 Hz vibrato of ± semitones.
    Vibrato(f32),
    /// Phrases that fall from high to low with stressed syllables, as in speech.
    Speech,
}

/// Seconds of a voice around `pitch_hz`: vowels of 180 ms, some noise bursts (fricatives), pauses.
pub fn voice(pitch_hz: f32, contour: Contour, seconds: f32, seed: u64) -> Voice {
    let mut random = Random(seed.wrapping_mul(2_654_435_761).wrapping_add(1));
    let count = (seconds * RATE) as usize;
    let mut out = Voice { samples: vec![0.0; count], pitch_hz: vec![0.0; count] };
    let mut phase = 0.0f32;
    let mut vowel = VOWELS[0];
    let mut before = vowel;
    let mut hiss = 0.0f32;
    for i in 0..count {
        let time = i as f32 / RATE;
        let syllable = (time / 0.25) as usize;
        let inside = time - syllable as f32 * 0.25;
        if i % 2_000 == 0 {
            before = vowel;
            vowel = VOWELS[random.below(VOWELS.len())];
        }
        let pause = syllable % 7 == 6;
        let steady = matches!(contour, Contour::Steady | Contour::Vibrato(_) | Contour::Glide(_));
        let f0 = pitch_hz * factor(contour, time);
        phase = (phase + f0 / RATE).fract();
        let noise = random.normal();
        let sample;
        if steady || (!pause && inside < 0.19) {
            let blend = (inside / 0.06).min(1.0);
            let formants: [(f32, f32); 3] =
                std::array::from_fn(|k| (before[k].0 + (vowel[k].0 - before[k].0) * blend, vowel[k].1));
            let gain = if steady { 1.0 } else { (inside / 0.02).min(1.0) * ((0.19 - inside) / 0.03).min(1.0) };
            sample = gain * harmonics(f0, phase, &formants) + 0.004 * noise;
            out.pitch_hz[i] = f0;
        } else if !pause && syllable % 3 == 1 {
            // A fricative: noise above 2 kHz.
            sample = 0.05 * (noise - hiss);
        } else {
            sample = 0.000_5 * noise;
        }
        hiss = noise;
        out.samples[i] = sample;
    }
    let peak = out.samples.iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
    out.samples.iter_mut().for_each(|s| *s *= 0.4 / peak);
    out
}

fn factor(contour: Contour, time: f32) -> f32 {
    match contour {
        Contour::Steady => 1.0,
        Contour::Glide(by) => by.powf(0.5 - 0.5 * (TAU * time).cos()),
        Contour::Vibrato(semitones) => (semitones / 12.0 * (TAU * 5.5 * time).sin()).exp2(),
        Contour::Speech => {
            let phrase = (time / 1.75).fract();
            let stress = 0.25 * (TAU * time * 1.7).sin().max(0.0) + 0.04 * (TAU * time * 4.3).sin();
            (0.35 - 0.6 * phrase + stress).exp2()
        }
    }
}

/// First three formants and their bandwidths, Hz.
type Vowel = [(f32, f32); 3];
const VOWELS: [Vowel; 6] = [
    [(730.0, 80.0), (1_090.0, 90.0), (2_440.0, 120.0)],
    [(270.0, 60.0), (2_290.0, 100.0), (3_010.0, 120.0)],
    [(300.0, 60.0), (870.0, 90.0), (2_240.0, 120.0)],
    [(530.0, 70.0), (1_840.0, 100.0), (2_480.0, 120.0)],
    [(570.0, 70.0), (840.0, 90.0), (2_410.0, 120.0)],
    [(440.0, 60.0), (1_020.0, 90.0), (2_240.0, 120.0)],
];

/// One sample of a glottal source (−12 dB per octave, +6 by radiation) through the formants.
fn harmonics(f0: f32, phase: f32, formants: &Vowel) -> f32 {
    let count = ((3_950.0 / f0) as usize).min(60);
    (1..=count)
        .map(|k| {
            let hz = f0 * k as f32;
            let gain: f32 = formants
                .iter()
                .map(|&(centre, width)| {
                    let (real, imaginary) = (centre * centre - hz * hz, hz * width);
                    centre * centre / (real * real + imaginary * imaginary).sqrt()
                })
                .product();
            let turn = (phase * k as f32).fract();
            gain / k as f32 * (TAU * turn + 0.7 * (k as f32).sqrt()).sin()
        })
        .sum()
}

/// Through a telephone: 300-3400 Hz (high-pass and low-pass of eighth order), then A-law and back.
pub fn telephone(samples: &[f32]) -> Vec<f32> {
    let mut out = samples.to_vec();
    for q in [0.509_8, 0.601_3, 0.9, 2.562_9] {
        biquad(&mut out, 300.0, q, true);
        biquad(&mut out, 3_400.0, q, false);
    }
    out.iter().map(|&s| a_law(s)).collect()
}

/// Adds white noise, or babble of six other voices, at `snr_db` under the mean power of the voiced samples.
pub fn add_noise(voice: &mut Voice, babble: bool, snr_db: f32, seed: u64) {
    let count = voice.samples.len();
    let seconds = count as f32 / RATE;
    let mut noise = vec![0.0; count];
    if babble {
        for talker in 0..6u64 {
            let pitch = [95.0, 118.0, 140.0, 185.0, 210.0, 240.0][talker as usize];
            let other = self::voice(pitch, Contour::Speech, seconds + 1.0, seed * 31 + talker);
            let shift = talker as usize * 1_171;
            noise.iter_mut().zip(&other.samples[shift..]).for_each(|(n, o)| *n += o);
        }
    } else {
        let mut random = Random(seed + 77);
        noise.iter_mut().for_each(|n| *n = random.normal());
    }
    let power = |values: &mut dyn Iterator<Item = f32>| {
        let (count, sum) = values.fold((0.0, 0.0), |(count, sum), v| (count + 1.0, sum + v * v));
        sum / f32::max(count, 1.0)
    };
    let speech = power(&mut voice.samples.iter().zip(&voice.pitch_hz).filter(|(_, f0)| **f0 > 0.0).map(|(s, _)| *s));
    let gain = (speech / power(&mut noise.iter().copied()) / 10f32.powf(snr_db / 10.0)).sqrt();
    voice.samples.iter_mut().zip(&noise).for_each(|(s, n)| *s = (*s + gain * n).clamp(-1.0, 1.0));
}

/// One second-order section in place (R. Bristow-Johnson's cookbook).
fn biquad(samples: &mut [f32], hz: f32, q: f32, high_pass: bool) {
    let omega = TAU * hz / RATE;
    let (sin, cos) = omega.sin_cos();
    let alpha = sin / (2.0 * q);
    let edge = if high_pass { 1.0 + cos } else { 1.0 - cos };
    let middle = if high_pass { -edge } else { edge };
    let a0 = 1.0 + alpha;
    let (b0, b1, a1, a2) = (edge / 2.0 / a0, middle / a0, -2.0 * cos / a0, (1.0 - alpha) / a0);
    let [mut x1, mut x2, mut y1, mut y2] = [0.0f32; 4];
    for sample in samples {
        let x = *sample;
        let y = b0 * (x + x2) + b1 * x1 - a1 * y1 - a2 * y2;
        (x2, x1, y2, y1) = (x1, x, y1, y);
        *sample = y;
    }
}

/// Quantises like G.711 A-law: 16 segments, 16 steps each.
fn a_law(sample: f32) -> f32 {
    let magnitude = sample.abs().min(0.999_9) * 4_096.0;
    let step = if magnitude < 64.0 { 2.0 } else { 2f32.powf((magnitude / 64.0).log2().floor()) * 4.0 };
    let quantised = ((magnitude / step).floor() + 0.5) * step / 4_096.0;
    quantised.copysign(sample)
}

/// xorshift64*: the same numbers on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(2_685_821_657_736_338_717)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    /// Uniform in 0-1.
    pub fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Nearly normal: the sum of twelve uniform numbers less six.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}
