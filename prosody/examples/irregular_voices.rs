//! Writes steady voices whose jitter and shimmer are known, in both bands, for `compare/periods.py`.
//!
//! `irregular_voices DIR N`: `wide-NNN.wav` (16 kHz) and `tel-NNN.wav` (8 kHz, 300-3400 Hz), and `truth.csv`.

use std::error::Error;
use std::path::Path;

use prosody::synthetic::{Kind, Plan, RATE_HZ, Random, Voice, half_rate, telephone_band};

/// Voices over two octaves from here on, Hz.
const LOWEST_HZ: f32 = 80.0;
/// Pitches between the lowest and the highest.
const PITCHES: u64 = 25;

#[expect(clippy::disallowed_methods, reason = "a program writes its own files")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, count] = arguments.as_slice() else { return Err("expected DIR N".into()) };
    std::fs::create_dir_all(folder)?;
    let mut truth = String::from("number,pitch_hz,jitter,shimmer_db\n");
    for number in 0..count.parse()? {
        let pitch_hz = LOWEST_HZ * 4f32.powf((number % PITCHES) as f32 / PITCHES as f32);
        let mut random = Random::new(number);
        let voice = Voice::of(&Plan {
            jitter_percent: random.between(0.1, 2.0),
            shimmer_db: random.between(0.1, 1.5),
            ..Plan::new(Kind::Steady, pitch_hz, 7_000 + number)
        });
        truth += &format!("{number},{pitch_hz},{},{}\n", voice.jitter(), voice.shimmer_db());
        write(&Path::new(folder).join(format!("wide-{number:03}.wav")), &voice.samples, RATE_HZ)?;
        let narrow = telephone_band(&half_rate(&voice.samples));
        write(&Path::new(folder).join(format!("tel-{number:03}.wav")), &narrow, RATE_HZ / 2)?;
    }
    std::fs::write(Path::new(folder).join("truth.csv"), truth)?;
    Ok(())
}

fn write(path: &Path, samples: &[f32], rate_hz: u32) -> hound::Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    samples.iter().try_for_each(|sample| writer.write_sample((32_767.0 * sample) as i16))?;
    writer.finalize()
}
