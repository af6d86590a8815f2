//! A voice by recipe: glottal pulses through two formants, four syllables a second; calm or agitated at will.

/// How the voice speaks.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Mean fundamental frequency, Hz.
    pub pitch_hz: f32,
    /// How far the pitch moves up and down, share of the mean.
    pub pitch_range: f32,
    /// Syllables per second.
    pub syllables_per_s: f32,
    /// Peak amplitude, 0-1.
    pub amplitude: f32,
    /// One-pole low-pass of the source, 0-1: more is darker.
    pub darkness: f32,
}

/// Somebody asking for an opening hour.
pub const CALM: Manner =
    Manner { pitch_hz: 120.0, pitch_range: 0.10, syllables_per_s: 3.5, amplitude: 0.12, darkness: 0.90 };
/// The same voice after the third transfer.
pub const AGITATED: Manner =
    Manner { pitch_hz: 175.0, pitch_range: 0.35, syllables_per_s: 5.5, amplitude: 0.60, darkness: 0.45 };

/// `seconds` of speech at 8 kHz with a short pause every 1.6 s.
pub fn speak(manner: Manner, seconds: f32) -> Vec<f32> {
    let vowels = [(700.0, 1_200.0), (300.0, 2_200.0), (500.0, 1_500.0), (350.0, 800.0)];
    let mut phase = 0.0_f32;
    let mut source = 0.0_f32;
    let mut formants = [[0.0_f32; 2]; 2];
    let mut noise = 1_u32;
    let mut samples = Vec::new();
    for i in 0..(seconds * 8_000.0) as usize {
        let t = i as f32 / 8_000.0;
        let hz = manner.pitch_hz * (1.0 + manner.pitch_range * (std::f32::consts::TAU * 0.9 * t).sin());
        phase += hz / 8_000.0;
        let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
        phase = phase.fract();
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let breath = (noise >> 16) as f32 / 65_536.0 - 0.5;
        source = manner.darkness * source + (1.0 - manner.darkness) * (pulse * 12.0 + breath * 0.3);
        let syllable = t * manner.syllables_per_s;
        let (f1, f2) = vowels[syllable as usize % vowels.len()];
        let mut voiced = source;
        for (state, hz) in formants.iter_mut().zip([f1, f2]) {
            voiced = resonate(state, voiced, hz);
        }
        let opening = (std::f32::consts::PI * syllable.fract()).sin().max(0.0);
        let speaking = if t % 1.6 < 1.35 { 1.0 } else { 0.0 };
        samples.push(voiced * opening * speaking);
    }
    let peak = samples.iter().fold(1e-6_f32, |peak, s| peak.max(s.abs()));
    samples.iter().map(|s| s / peak * manner.amplitude).collect()
}

fn resonate(state: &mut [f32; 2], input: f32, hz: f32) -> f32 {
    let radius = 0.96_f32;
    let angle = std::f32::consts::TAU * hz / 8_000.0;
    let output = input * (1.0 - radius) + 2.0 * radius * angle.cos() * state[0] - radius * radius * state[1];
    state[1] = state[0];
    state[0] = output;
    output
}
