//! Which language the program finds in recordings: a WAV path per line on the standard input (8 kHz, mono, 16 bit).
//!
//! Writes a line for each: path, `zh`, `en` or nothing, its probability, whether it is sure, seconds of speech. With
//! `language --values OUT.f32 < LIST` OUT gets little-endian f32 records instead: line number, seconds of speech so far, the
//! values of a window. The training recipe reads them, so both see the same numbers.

mod recording;

use std::error::Error;
use std::io::{BufRead, BufWriter, Write};

use nlu::{Extractor, LanguageFinder};

/// Audio that comes at a time, samples (20 ms).
const PIECE: usize = 160;

#[expect(clippy::print_stdout, reason = "what is found is the output")]
#[expect(clippy::disallowed_methods, reason = "a program writes its own file")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = match arguments.as_slice() {
        [] => None,
        [flag, out] if flag == "--values" => Some(BufWriter::new(std::fs::File::create(out)?)),
        _ => return Err("usage: language [--values OUT.f32] < LIST".into()),
    };
    for (number, path) in std::io::stdin().lock().lines().enumerate() {
        let path = path?;
        let samples = recording::read(&path)?;
        if let Some(out) = &mut out {
            write_values(number, &samples, out)?;
            continue;
        }
        let mut finder = LanguageFinder::default();
        match samples.chunks(PIECE).find_map(|piece| finder.push(piece)) {
            Some(found) => println!(
                "{path}\t{}\t{:.4}\t{}\t{:.2}",
                found.language.code(),
                found.probability,
                found.is_sure,
                found.speech_s()
            ),
            None => println!("{path}\t\t\t\t"),
        }
    }
    out.iter_mut().try_for_each(BufWriter::flush)?;
    Ok(())
}

fn write_values(number: usize, samples: &[f32], out: &mut impl Write) -> std::io::Result<()> {
    let (mut extractor, mut speech_hops) = (Extractor::default(), 0_u32);
    for piece in samples.chunks(PIECE) {
        let mut rows = Vec::new();
        extractor.push(piece, &mut |_, speech| speech_hops += u32::from(speech), &mut rows);
        for row in rows {
            // What was usual for the speaker stands behind the window's own values.
            let window = &row.values[..row.values.len() / 2];
            let head = [number as f32, speech_hops as f32 / 100.0];
            for value in head.iter().chain(window) {
                out.write_all(&value.to_le_bytes())?;
            }
        }
    }
    Ok(())
}
