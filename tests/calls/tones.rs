//! Tones: written to files that foreign telephones play, and looked for in what anybody heard.

use std::f64::consts::TAU;
use std::io::Cursor;
use std::path::Path;

use media::wav::{self, Channel};

use crate::stage::RATE;

/// Peak of every tone, 0-1.
pub const PEAK: f64 = 0.3;
/// Samples that are judged at a time, 50 ms: tones are multiples of 20 Hz, so that whole periods fit.
const WINDOW: usize = RATE / 20;
/// Amplitude from which on a window counts as sound.
const AUDIBLE: f64 = 0.02;

/// Writes a tone of `hz` and so many seconds as 16-bit mono WAV.
pub fn write_tone(path: &Path, rate_hz: u32, hz: u16, seconds: u32) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).expect("a file");
    for n in 0..rate_hz * seconds {
        let sample = PEAK * 32_767.0 * (TAU * f64::from(hz) * f64::from(n) / f64::from(rate_hz)).sin();
        writer.write_sample(sample as i16).expect("disk space");
    }
    writer.finalize().expect("disk space");
}

/// A recording of any rate as 8 kHz samples.
pub fn read(path: &Path) -> Vec<i16> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let read = wav::read(Cursor::new(bytes), Channel::Mix);
    read.unwrap_or_else(|error| panic!("{}: {error}", path.display())).to_sound().samples.to_vec()
}

/// What a recording says of a tone, from the first window that has it to the last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// How long it lasts, seconds.
    pub seconds: f64,
    /// Median amplitude, 0-1.
    pub level: f64,
    /// The share of windows that are this tone at this level and hardly anything else, 0-1.
    pub pure: f64,
}

/// Looks for a tone of `hz`.
pub fn heard(samples: &[i16], hz: u16) -> Heard {
    let windows: Vec<(f64, f64)> = samples.chunks_exact(WINDOW).map(|window| judge(window, hz)).collect();
    let first = windows.iter().position(|(level, _)| *level > AUDIBLE);
    let last = windows.iter().rposition(|(level, _)| *level > AUDIBLE);
    let Some((first, last)) = first.zip(last) else { return Heard { seconds: 0.0, level: 0.0, pure: 0.0 } };
    let windows = &windows[first..=last];
    let mut levels: Vec<f64> = windows.iter().map(|(level, _)| *level).collect();
    levels.sort_by(f64::total_cmp);
    let level = levels[levels.len() / 2];
    // 3 dB from the usual level, and at most a tenth of the power in anything else.
    let is_pure = |&&(amplitude, share): &&(f64, f64)| (0.7..1.4).contains(&(amplitude / level)) && share > 0.9;
    let pure = windows.iter().filter(is_pure).count() as f64 / windows.len() as f64;
    Heard { seconds: (windows.len() * WINDOW) as f64 / RATE as f64, level, pure }
}

/// The tone's amplitude in a window, and its share of the window's power.
fn judge(window: &[i16], hz: u16) -> (f64, f64) {
    let angle = |n: usize| TAU * f64::from(hz) * n as f64 / RATE as f64;
    let value = |sample: i16| f64::from(sample) / 32_768.0;
    let sum = |wave: fn(f64) -> f64| -> f64 {
        window.iter().enumerate().map(|(n, &sample)| value(sample) * wave(angle(n))).sum()
    };
    let amplitude = 2.0 * sum(f64::cos).hypot(sum(f64::sin)) / window.len() as f64;
    let power: f64 = window.iter().map(|&sample| value(sample).powi(2)).sum::<f64>() / window.len() as f64;
    let share = if power > 0.0 { (amplitude * amplitude / 2.0 / power).min(1.0) } else { 0.0 };
    (amplitude, share)
}
