//! A vocal tract: five resonators in a row whose frequencies wander from vowel to vowel.

use std::f32::consts::TAU;

use super::plan::Plan;
use super::random::Random;

/// Resonators.
pub(super) const FORMANTS: usize = 5;

/// First three formants of six vowels, Hz (Peterson & Barney 1952, men), and their bandwidths.
const VOWELS: [[f32; 3]; 6] = [
    [730.0, 1_090.0, 2_440.0],
    [270.0, 2_290.0, 3_010.0],
    [300.0, 870.0, 2_240.0],
    [530.0, 1_840.0, 2_480.0],
    [570.0, 840.0, 2_410.0],
    [440.0, 1_020.0, 2_240.0],
];
const WIDTHS_HZ: [f32; FORMANTS] = [70.0, 90.0, 130.0, 200.0, 250.0];
const UPPER_HZ: [f32; 2] = [3_500.0, 4_500.0];

/// Where the formants are over time.
pub(super) struct Tract {
    scale: f32,
    width: f32,
    /// Times at which a vowel is reached, seconds, and the vowel.
    targets: Vec<(f32, usize)>,
}

impl Tract {
    /// A tract of a length that suits the pitch: higher voices have shorter ones.
    pub(super) fn new(plan: &Plan) -> Self {
        let &Plan { pitch_hz, seconds, seed, .. } = plan;
        let mut random = Random::new(seed ^ 0x54);
        let mut targets = Vec::new();
        let mut time_s = 0.0;
        while time_s < seconds + 0.5 {
            targets.push((time_s, random.below(VOWELS.len())));
            time_s += random.between(0.15, 0.35);
        }
        if plan.still {
            let first = targets[0].1;
            targets.iter_mut().for_each(|(_, vowel)| *vowel = first);
        }
        let scale = 1.0 + 0.12 * (pitch_hz / 110.0).log2().clamp(-0.5, 1.6) + random.between(-0.04, 0.04);
        Self { scale, width: random.between(0.5, 1.2), targets }
    }

    /// Frequency and bandwidth of each formant, Hz.
    pub(super) fn at(&self, time_s: f32) -> [(f32, f32); FORMANTS] {
        let next = self.targets.partition_point(|(at, _)| *at <= time_s).clamp(1, self.targets.len() - 1);
        let ((from_s, from), (to_s, to)) = (self.targets[next - 1], self.targets[next]);
        let share = ((time_s - from_s) / (to_s - from_s)).clamp(0.0, 1.0);
        let blend = 0.5 - 0.5 * (TAU * 0.5 * share).cos();
        std::array::from_fn(|k| {
            let hz = match k {
                0..3 => VOWELS[from][k] + (VOWELS[to][k] - VOWELS[from][k]) * blend,
                _ => UPPER_HZ[k - 3],
            };
            (hz * self.scale, WIDTHS_HZ[k] * self.width)
        })
    }
}

/// One resonator (Klatt 1980), gain 1 at 0 Hz.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Resonator {
    a: f32,
    b: f32,
    c: f32,
    before: [f32; 2],
}

impl Resonator {
    pub(super) fn tune(&mut self, (hz, width_hz): (f32, f32), rate_hz: f32) {
        let radius = (-TAU * 0.5 * width_hz / rate_hz).exp();
        self.c = -radius * radius;
        self.b = 2.0 * radius * (TAU * hz / rate_hz).cos();
        self.a = 1.0 - self.b - self.c;
    }

    pub(super) fn run(&mut self, input: f32) -> f32 {
        let output = self.a * input + self.b * self.before[0] + self.c * self.before[1];
        self.before = [output, self.before[0]];
        output
    }
}
