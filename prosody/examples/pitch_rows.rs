//! Writes what the pitch network is shown of recordings: the training recipe reads it, so both see the same numbers.
//!
//! `pitch_rows < LIST`: per line a WAV (8 or 16 kHz, mono, 16 bit), a tab and the file to write: per frame of 10 ms
//! little-endian f32: number of candidates; their octaves; their evidence; the frame's evidence.

use std::error::Error;
use std::io::{BufRead, BufWriter, Write};

use prosody::pitch::training::{CANDIDATE_EVIDENCE, CANDIDATES, Correlogram, Evidence, Halver, SPAN};

const HOP: usize = 80;

#[expect(clippy::disallowed_methods, reason = "a program reads and writes its own files")]
fn main() -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (from, to) = line.split_once('\t').ok_or("expected WAV<TAB>FILE")?;
        let mut wav = hound::WavReader::open(from)?;
        let rate_hz = wav.spec().sample_rate;
        let samples: Vec<f32> =
            wav.samples::<i16>().map(|s| s.map(|s| f32::from(s) / 32768.0)).collect::<Result<_, _>>()?;
        if let Some(folder) = std::path::Path::new(to).parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut out = BufWriter::new(std::fs::File::create(to)?);
        for value in rows(&samples, rate_hz) {
            out.write_all(&value.to_le_bytes())?;
        }
        out.flush()?;
    }
    Ok(())
}

/// The windows of the tracker, with silence before and behind.
fn rows(samples: &[f32], rate_hz: u32) -> Vec<f32> {
    let hops = samples.len() / (rate_hz as usize / 100);
    let (narrow, delay) = if rate_hz == 16_000 {
        let (pairs, mut halver) = (samples.as_chunks::<2>().0, Halver::default());
        let mut narrow = vec![0.0; pairs.len()];
        pairs.chunks(HOP).zip(narrow.chunks_mut(HOP)).for_each(|(pairs, out)| halver.halve(pairs, out));
        (narrow, Halver::DELAY)
    } else {
        (samples.to_vec(), 0)
    };
    let before = SPAN / 2 - HOP / 2;
    let mut padded = vec![0.0; before];
    padded.extend(narrow);
    padded.extend([0.0; 2 * SPAN]);

    let mut correlogram = Correlogram::new();
    let mut evidence = Evidence::default();
    let mut out = Vec::new();
    for hop in 0..hops {
        let window = padded[hop * HOP + delay..].first_chunk().expect("padded behind");
        evidence.look(&mut correlogram, window);
        let candidates = evidence.candidates.as_slice();
        out.push(candidates.len() as f32);
        let octaves = candidates.iter().map(|c| c.octave).chain(std::iter::repeat(0.0));
        out.extend(octaves.take(CANDIDATES));
        let facts = candidates.iter().flat_map(|c| c.evidence).chain(std::iter::repeat(0.0));
        out.extend(facts.take(CANDIDATES * CANDIDATE_EVIDENCE));
        out.extend(evidence.frame);
    }
    out
}
