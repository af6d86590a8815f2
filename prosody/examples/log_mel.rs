//! Log-mel energies of a recording, as a recogniser gets them: `log_mel WAV [CHUNK_SAMPLES] > ENERGIES`.
//!
//! Reads 8 or 16 kHz, mono, 16 bit; writes 80 little-endian f32 per 10 ms, of samples in [-1, 1].

use std::error::Error;
use std::io::{BufWriter, Write};

use prosody::SampleRate;
use prosody::logmel::{LogMel, LogMelSettings};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("expected a WAV file")?;
    let chunk = arguments.next().map_or(Ok(160), |text| text.parse::<usize>())?.max(1);
    let mut wav = hound::WavReader::open(&path)?;
    let rate = match (wav.spec().sample_rate, wav.spec().channels) {
        (8_000, 1) => SampleRate::Hz8000,
        (16_000, 1) => SampleRate::Hz16000,
        (hz, channels) => return Err(format!("expected 8 or 16 kHz mono, found {hz} Hz, {channels} channels").into()),
    };
    let samples: Vec<f32> =
        wav.samples::<i16>().map(|sample| sample.map(|s| f32::from(s) / 32_768.0)).collect::<Result<_, _>>()?;

    let mut log_mel = LogMel::new(LogMelSettings::new(rate))?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut energies = Vec::new();
    let mut write = |energies: &mut Vec<f32>| energies.drain(..).try_for_each(|e| out.write_all(&e.to_le_bytes()));
    for piece in samples.chunks(chunk) {
        log_mel.push(piece, &mut energies);
        write(&mut energies)?;
    }
    log_mel.finish(&mut energies);
    write(&mut energies)?;
    out.flush()?;
    Ok(())
}
