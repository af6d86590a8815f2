//! What there is to say of a voice: `describe WAV` prints pitch, quality and rhythm of a recording, second by second.
//!
//! Reads 8 or 16 kHz, mono, 16 bit. A hop counts as speech here when it is voiced; a server has a detector for that.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;

use prosody::baseline::{LEVEL, SpeakerBaseline};
use prosody::quality::QualityMeter;
use prosody::rhythm::RhythmMeter;
use prosody::{Analyzer, Descriptor, Row, SampleRate};

/// Hops per second.
const SECOND: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("expected a WAV file")?;
    let mut wav = hound::WavReader::open(&path)?;
    let rate = match (wav.spec().sample_rate, wav.spec().channels) {
        (8_000, 1) => SampleRate::Hz8000,
        (16_000, 1) => SampleRate::Hz16000,
        (hz, channels) => return Err(format!("expected 8 or 16 kHz mono, found {hz} Hz, {channels} channels").into()),
    };
    let samples: Vec<f32> =
        wav.samples::<i16>().map(|sample| sample.map(|s| f32::from(s) / 32_768.0)).collect::<Result<_, _>>()?;

    let (mut analyzer, mut rows) = (Analyzer::new(rate), Vec::new());
    let (mut quality, mut rhythm) = (QualityMeter::default(), RhythmMeter::default());
    let mut baseline = SpeakerBaseline::default();
    for packet in samples.chunks(2 * rate.hop()) {
        analyzer.push(packet, &mut rows);
    }
    analyzer.finish(&mut rows);

    println!("second  F0 Hz  level dBov  HNR dB  jitter %  SNR dB  syllables/s  F0 z  level z");
    for (second, hops) in rows.chunks(SECOND).enumerate() {
        for row in hops {
            let voiced = row.pitch_hz.is_some();
            quality.push(&row.level, voiced, false);
            rhythm.push(row, voiced);
            baseline.push(row, voiced);
        }
        let voiced: Vec<&Row> = hops.iter().filter(|row| row.pitch_hz.is_some()).collect();
        let mean =
            |of: &dyn Fn(&Row) -> f32| voiced.iter().map(|row| of(row)).sum::<f32>() / voiced.len().max(1) as f32;
        let scores = baseline.scores();
        println!(
            "{second:>6} {:>6.1} {:>11.1} {:>7.1} {:>9.2} {:>7.1} {:>12.1} {:>5.1} {:>8.1}",
            mean(&|row| row.pitch_hz.unwrap_or(0.0)),
            mean(&|row| row.level.dbov),
            mean(&|row| row.get(Descriptor::Harmonicity)),
            100.0 * mean(&|row| row.get(Descriptor::Jitter)),
            quality.quality().snr_db.unwrap_or(f32::NAN),
            rhythm.rhythm().speaking_rate,
            scores[Descriptor::Pitch as usize],
            scores[LEVEL],
        );
    }
    Ok(())
}
