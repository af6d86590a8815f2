//! Writes the model's input rows of recordings: the training recipe reads them, so both see the same numbers.
//!
//! `features --names` prints the names of a row's values. `features OUT.f32 < LIST`: a WAV path per line (8 kHz, mono, 16 bit). OUT gets little-endian f32 records:
//! line number, end of the window in seconds, signal-only scores (pitch, level, rate, alpha ratio), then the row.

mod recording;

use std::error::Error;
use std::io::{BufRead, BufWriter, Write};

#[expect(clippy::print_stdout, reason = "the names are the output")]
fn print_names() {
    println!("{}", nlu::Extractor::names().join("\n"));
}

#[expect(clippy::disallowed_methods, reason = "a program writes its own file")]
fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::args().nth(1).ok_or("usage: features OUT.f32 < LIST, or features --names")?;
    if out == "--names" {
        print_names();
        return Ok(());
    }
    let mut out = BufWriter::new(std::fs::File::create(out)?);
    for (number, path) in std::io::stdin().lock().lines().enumerate() {
        let samples = recording::read(path?)?;
        let mut rows = Vec::new();
        nlu::Extractor::default().push(&samples, &mut |_, _| {}, &mut rows);
        for row in rows {
            let at_s = row.position as f32 / 8000.0;
            let evidence = row.evidence;
            let head = [number as f32, at_s, evidence.pitch_z, evidence.level_z, evidence.rate_z, row.alpha_ratio_z];
            for value in head.iter().chain(row.values.iter()) {
                out.write_all(&value.to_le_bytes())?;
            }
        }
    }
    out.flush()?;
    Ok(())
}
