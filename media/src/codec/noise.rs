//! Comfort noise (RFC 3389): what a silent party's room sounds like, as a payload, as a measurement and as noise.
//!
//! Sends nothing and decides nothing: who is silent, and how often to say so, is the caller's business.

/// Reflection coefficients that are kept; more of them change nothing that is heard (RFC 3389 §3.2 lets us).
pub const ORDER_MAX: usize = 12;
/// Reflection coefficients that are measured: enough for the room and the line.
const ORDER: usize = 8;
/// The step of a quantised reflection coefficient (RFC 3389 §3.2).
const STEP: f32 = 258.0 / 32_768.0;
/// The loudness that 0 dBov names: a square wave of full scale (RFC 3389 §3.1).
const OVERLOAD: f32 = 32_767.0;
const QUIETEST_DBOV: u8 = 127;

/// The level and the spectrum of a noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// How far it is below the overload point: 0 to 127, −dBov.
    pub level: u8,
    /// Reflection coefficients of an all-pole filter 1/A(z), each within (−1, 1); the first is −r(1)/r(0).
    pub reflection: [f32; ORDER_MAX],
}

impl Noise {
    /// Reads a payload of any length; `None` when it is empty.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let (level, coefficients) = payload.split_first()?;
        let mut reflection = [0.0; ORDER_MAX];
        for (value, octet) in reflection.iter_mut().zip(coefficients) {
            // 255 is reserved; as 254 it keeps the filter stable.
            *value = (f32::from(*octet.min(&254)) - 127.0) * STEP;
        }
        // The top bit is always zero (RFC 3389 §3.1); one who sets it is understood all the same.
        Some(Self { level: level & 0x7f, reflection })
    }

    /// Appends the payload: the level, and the coefficients up to the last that says anything.
    pub fn write(&self, payload: &mut Vec<u8>) {
        payload.push(self.level.min(QUIETEST_DBOV));
        let quantised = self.reflection.map(|value| (value / STEP).round().clamp(-127.0, 127.0) as i16);
        let order = quantised.iter().rposition(|value| *value != 0).map_or(0, |last| last + 1);
        payload.extend(quantised[..order].iter().map(|value| (value + 127) as u8));
    }

    /// Measures some samples, 10 ms or more; without any they are taken as silence.
    pub fn measure(samples: &[i16]) -> Self {
        let count = samples.len();
        let power = samples.iter().map(|sample| f32::from(*sample).powi(2)).sum::<f32>() / count.max(1) as f32;
        let level = -20.0 * (power.sqrt() / OVERLOAD).max(1e-9).log10();

        let mut correlation = [0.0_f32; ORDER + 1];
        for (lag, sum) in correlation.iter_mut().enumerate() {
            *sum = samples.iter().skip(lag).zip(samples).map(|(a, b)| f32::from(*a) * f32::from(*b)).sum();
        }
        // A floor of white noise 30 dB down keeps the filter away from ringing.
        correlation[0] = correlation[0] * 1.001 + 1.0;
        Self { level: level.round().clamp(0.0, f32::from(QUIETEST_DBOV)) as u8, reflection: reflection(&correlation) }
    }
}

/// Levinson and Durbin's recursion.
fn reflection(correlation: &[f32; ORDER + 1]) -> [f32; ORDER_MAX] {
    let mut found = [0.0; ORDER_MAX];
    let mut filter = [0.0_f32; ORDER + 1];
    filter[0] = 1.0;
    let mut error = correlation[0];
    for order in 1..=ORDER {
        let sum: f32 = (0..order).map(|n| filter[n] * correlation[order - n]).sum();
        let value = (-sum / error).clamp(-0.999, 0.999);
        found[order - 1] = value;
        let before = filter;
        for n in 1..=order {
            filter[n] = before[n] + value * before[order - n];
        }
        error *= 1.0 - value * value;
    }
    found
}

/// Makes noise like a [`Noise`]; a new one is reached within some 10 ms, without a step.
#[derive(Debug, Clone)]
pub struct NoiseGenerator {
    noise: Noise,
    /// Loudness of the excitation, and where it is going.
    gain: f32,
    gain_wanted: f32,
    /// The backward errors of the lattice filter.
    backward: [f32; ORDER_MAX + 1],
    random: u32,
}

/// How much nearer the loudness comes with each sample.
const GLIDE: f32 = 1.0 / 64.0;

impl NoiseGenerator {
    /// A silent generator; `seed` makes two of them differ.
    pub fn new(seed: u32) -> Self {
        let noise = Noise { level: QUIETEST_DBOV, reflection: [0.0; ORDER_MAX] };
        // A generator of this kind never leaves zero.
        let random = seed | 1;
        Self { noise, gain: 0.0, gain_wanted: 0.0, backward: [0.0; ORDER_MAX + 1], random }
    }

    /// What the noise is from now on.
    pub fn set(&mut self, noise: Noise) {
        self.noise = noise;
        // The filter makes its input louder by this much, and uniform noise within ±1 has a power of 1/3.
        let narrowing: f32 = noise.reflection.iter().map(|value| 1.0 - value * value).product();
        let wanted = OVERLOAD * 10.0_f32.powf(-f32::from(noise.level.min(QUIETEST_DBOV)) / 20.0);
        self.gain_wanted = wanted * (3.0 * narrowing.max(0.0)).sqrt();
    }

    /// Appends `count` samples.
    pub fn make(&mut self, count: usize, samples: &mut Vec<i16>) {
        samples.extend((0..count).map(|_| self.sample()));
    }

    fn sample(&mut self) -> i16 {
        self.gain += (self.gain_wanted - self.gain) * GLIDE;
        let mut forward = self.white() * self.gain;
        for order in (0..ORDER_MAX).rev() {
            let value = self.noise.reflection[order];
            forward -= value * self.backward[order];
            self.backward[order + 1] = self.backward[order] + value * forward;
        }
        self.backward[0] = forward;
        // `as` saturates, and takes what is no number to zero.
        forward.round() as i16
    }

    /// Uniform within ±1 (xorshift of 32 bits).
    fn white(&mut self) -> f32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random as i32 as f32 / -(i32::MIN as f32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::speech::bands_db;
    use super::*;

    #[test]
    fn level_and_spectrum_survive_the_way_round() {
        for level in [20, 35, 50, 65] {
            for slope in [-0.85_f32, -0.4, 0.0, 0.4, 0.85] {
                let mut reflection = [0.0; ORDER_MAX];
                reflection[..2].copy_from_slice(&[slope, 0.3]);
                let said = Noise { level, reflection };
                let first = made(said, 40_000);
                let measured = Noise::measure(&first);
                let mut payload = Vec::new();
                measured.write(&mut payload);
                let second = made(Noise::read(&payload).expect("a payload"), 40_000);

                assert!(measured.level.abs_diff(level) <= 1, "{level} became {}", measured.level);
                assert!(Noise::measure(&second).level.abs_diff(level) <= 1);
                // Rounding to whole samples whitens the quietest noise.
                for (band, (a, b)) in bands_db(&first, 8_000).iter().zip(&bands_db(&second, 8_000)).enumerate() {
                    assert!((a - b).abs() < 3.0, "-{level} dBov, {slope}, band {band}: {a:.1} and {b:.1} dB");
                }
            }
        }
    }

    #[test]
    fn low_noise_is_low() {
        // The first coefficient is -r(1)/r(0): near -1 for what changes slowly.
        let noise = made(Noise::read(&[30, 17]).expect("a payload"), 40_000);
        let bands = bands_db(&noise, 8_000);
        assert!(bands[0] > bands[7] + 15.0, "{bands:?}");
    }

    #[test]
    fn payloads() {
        assert_eq!(Noise::read(&[]), None);
        let silence = Noise { level: 127, reflection: [0.0; ORDER_MAX] };
        assert_eq!(Noise::measure(&[]), Noise { level: 127, ..silence });
        let mut payload = Vec::new();
        silence.write(&mut payload);
        assert_eq!(payload, [127]);
        assert_eq!(Noise::read(&[255, 127, 127]), Some(silence));
        let loud = Noise::read(&[0, 0, 254, 255]).expect("a payload").reflection;
        assert!((loud[0] + 0.99994).abs() < 1e-3 && (loud[1] - 0.99994).abs() < 1e-3 && loud[1] == loud[2]);
    }

    #[test]
    fn a_new_level_comes_without_a_step() {
        let mut generator = NoiseGenerator::new(1);
        let mut samples = Vec::new();
        generator.set(Noise { level: 20, reflection: [0.0; ORDER_MAX] });
        generator.make(4_000, &mut samples);
        let start = samples[..8].iter().map(|sample| sample.unsigned_abs()).max();
        assert!(start < Some(900), "{start:?}");
        assert_eq!(Noise::measure(&samples[1_000..]).level, 20);
    }

    proptest! {
        #[test]
        fn any_payload_makes_bounded_noise(payload in prop::collection::vec(any::<u8>(), 1..40), seed: u32) {
            let noise = Noise::read(&payload).expect("not empty");
            let mut samples = made_with(seed, noise, 500);
            samples.extend([i16::MAX, i16::MIN, 0]);
            let mut again = Vec::new();
            Noise::measure(&samples).write(&mut again);
            prop_assert!((1..=1 + ORDER_MAX).contains(&again.len()));
        }
    }

    fn made(noise: Noise, count: usize) -> Vec<i16> {
        made_with(7, noise, count)
    }

    fn made_with(seed: u32, noise: Noise, count: usize) -> Vec<i16> {
        let mut generator = NoiseGenerator::new(seed);
        generator.set(noise);
        let mut samples = Vec::new();
        generator.make(count + 1_000, &mut samples);
        samples.split_off(1_000)
    }
}
