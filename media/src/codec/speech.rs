//! Signals for the codec tests, and what is measured of them.

use std::f32::consts::TAU;

use realfft::RealFftPlanner;

use crate::wav::{self, Channel};

/// A human voice saying "ah" as a machine makes it: pulses of the glottis through three formants, pitch gliding.
pub(super) fn vowel(rate_hz: u32, pitch_hz: f32, duration_ms: u32) -> Vec<i16> {
    let rate = rate_hz as f32;
    let count = (rate_hz / 1_000 * duration_ms) as usize;
    let mut phase = 0.0_f32;
    let mut resonators = [(700.0, 90.0), (1_220.0, 110.0), (2_600.0, 160.0)].map(|(centre_hz, width_hz)| {
        let radius = (-std::f32::consts::PI * width_hz / rate).exp();
        ([2.0 * radius * (TAU * centre_hz / rate).cos(), -radius * radius], [0.0_f32; 2])
    });
    // A glottis closes softly: its pulses lose 12 dB with each octave from 200 Hz on.
    let softness = 1.0 - (-TAU * 200.0 / rate).exp();
    let mut glottis = [0.0_f32; 2];
    let mut audio: Vec<f32> = (0..count)
        .map(|n| {
            let seconds = n as f32 / rate;
            phase += pitch_hz * (1.0 + 0.05 * (TAU * 2.5 * seconds).sin()) / rate;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase %= 1.0;
            glottis[0] += (pulse - glottis[0]) * softness;
            glottis[1] += (glottis[0] - glottis[1]) * softness;
            resonators.iter_mut().fold(glottis[1], |input, (factor, past)| {
                let output = input + factor[0] * past[0] + factor[1] * past[1];
                *past = [output, past[0]];
                output
            })
        })
        .collect();
    let peak = audio.iter().fold(1e-9_f32, |peak, sample| peak.max(sample.abs()));
    audio.iter_mut().for_each(|sample| *sample *= 9_000.0 / peak);
    audio.into_iter().map(|sample| sample as i16).collect()
}

/// A sine of half the full scale.
pub(super) fn tone(rate_hz: u32, tone_hz: f32, duration_ms: u32) -> Vec<i16> {
    let count = rate_hz / 1_000 * duration_ms;
    (0..count).map(|n| ((TAU * tone_hz * n as f32 / rate_hz as f32).sin() * 16_000.0) as i16).collect()
}

/// Five seconds of the agent in `fixtures/`, 8 kHz.
pub(super) fn sentence() -> Vec<i16> {
    let bytes = include_bytes!("../../../fixtures/audio/agent.wav");
    let sound = wav::read(&bytes[..], Channel::Mix).expect("a committed recording").to_sound();
    sound.samples[8_000..48_000].to_vec()
}

/// How late `heard` is against `said`, samples: where the two are most alike.
pub(super) fn delay(said: &[i16], heard: &[i16], delay_max: usize) -> usize {
    let likeness =
        |lag: usize| -> f64 { said.iter().zip(&heard[lag..]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    (0..=delay_max).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).expect("at least one lag")
}

/// Mean over 20 ms segments of the signal-to-noise ratio, each within 0 to 45 dB; quiet segments do not count.
pub(super) fn segmental_snr_db(said: &[i16], heard: &[i16], segment: usize) -> f64 {
    let power = |samples: &mut dyn Iterator<Item = f64>| samples.map(|sample| sample * sample).sum::<f64>();
    let ratios: Vec<f64> = said
        .chunks_exact(segment)
        .zip(heard.chunks_exact(segment))
        .filter_map(|(said, heard)| {
            let signal = power(&mut said.iter().map(|sample| f64::from(*sample)));
            let noise = power(&mut said.iter().zip(heard).map(|(a, b)| f64::from(*a) - f64::from(*b)));
            let loud = signal / segment as f64 > 100.0 * 100.0;
            loud.then(|| (10.0 * (signal / noise.max(1e-9)).log10()).clamp(0.0, 45.0))
        })
        .collect();
    assert!(ratios.len() > 10, "too little is loud");
    ratios.iter().sum::<f64>() / ratios.len() as f64
}

/// Power in bands of 500 Hz, dB, from windows of 32 ms.
pub(super) fn bands_db(audio: &[i16], rate_hz: u32) -> Vec<f64> {
    let window = (rate_hz / 1_000 * 32) as usize;
    let transform = RealFftPlanner::<f64>::new().plan_fft_forward(window);
    let mut spectrum = transform.make_output_vec();
    let mut bands = vec![0.0; (rate_hz / 1_000) as usize];
    for frame in audio.chunks_exact(window) {
        let mut input: Vec<f64> = frame
            .iter()
            .enumerate()
            .map(|(n, sample)| f64::from(*sample) * (std::f64::consts::PI * n as f64 / window as f64).sin())
            .collect();
        transform.process(&mut input, &mut spectrum).expect("the lengths fit");
        for (bin, value) in spectrum.iter().take(window / 2).enumerate() {
            bands[bin / 16] += value.norm_sqr();
        }
    }
    bands.iter().map(|power| 10.0 * power.max(1.0).log10()).collect()
}
