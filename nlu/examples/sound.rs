//! Writes the rows that the model of the sound takes, of recordings: the training recipe reads them, so both see the same numbers.
//!
//! `sound --names` prints the names of a row's values. `sound ENCODER.onnx OUT.f32 < LIST`: a WAV path per line (8 kHz, mono, 16 bit).
//! OUT gets little-endian f32 records, as many as `features` writes: line number, end of the window in seconds, whether anything of it was
//! encoded (1 or 0), then the row, or zeros.

mod recording;

use std::error::Error;
use std::io::{BufRead, BufWriter, Write};

use nlu::{Encoder, Extractor, Memory, Runtime};

#[expect(clippy::print_stdout, reason = "the names are the output")]
fn print_names() {
    println!("{}", nlu::sound_names().join("\n"));
}

#[expect(clippy::disallowed_methods, reason = "a program reads and writes its own files")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (encoder, out) = match arguments.as_slice() {
        [names] if names == "--names" => {
            print_names();
            return Ok(());
        }
        [encoder, out] => (encoder, out),
        _ => return Err("usage: sound ENCODER.onnx OUT.f32 < LIST, or sound --names".into()),
    };
    let mut encoder = Encoder::from_bytes(&Runtime::find(None)?, encoder, &std::fs::read(encoder)?)?;
    let mut out = BufWriter::new(std::fs::File::create(out)?);
    for (number, path) in std::io::stdin().lock().lines().enumerate() {
        let samples = recording::read(path?)?;
        let mut rows = Vec::new();
        Extractor::hearing(true).push(&samples, &mut |_, _| {}, &mut rows);
        let rows: Vec<((), nlu::Row)> = rows.into_iter().map(|row| ((), row)).collect();
        let heard = encoder.rows(&rows, &mut Memory::default())?;
        for (((), row), heard) in rows.iter().zip(&heard) {
            let there = f32::from(u8::from(heard.is_some()));
            let values = heard.as_deref().unwrap_or(&[0.0; nlu::SOUND_FEATURES]);
            for value in [number as f32, row.position as f32 / 8000.0, there].iter().chain(values) {
                out.write_all(&value.to_le_bytes())?;
            }
        }
    }
    out.flush()?;
    Ok(())
}
