//! Reads and writes the recordings of the evaluations.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::process::{Command, Stdio};

use media::wav::{self, Channel};

use crate::cli::Failure;

/// A recording as mono at `rate_hz` (8,000 or 16,000), `[-1, 1]`: a WAV by our own reader, anything else by `ffmpeg`,
/// where that is installed.
pub(super) fn read(path: &Path, rate_hz: u32) -> Result<Vec<f32>, Failure> {
    let named = |error: &dyn std::fmt::Display| Failure::of(path.display(), error);
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav")) {
        let file = File::open(path).map_err(|error| named(&error))?;
        let recording = wav::read_at(BufReader::new(file), Channel::Only(0), rate_hz).map_err(|error| named(&error))?;
        return Ok(recording.samples);
    }
    let rate = rate_hz.to_string();
    let decoded = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-ac", "1", "-ar", &rate, "-f", "s16le", "-"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| named(&format!("not a WAV, and ffmpeg, which reads the rest, does not start: {error}")))?;
    if !decoded.status.success() {
        return Err(named(&String::from_utf8_lossy(&decoded.stderr).trim()));
    }
    let samples = decoded.stdout.as_chunks::<2>().0.iter().map(|&pair| f32::from(i16::from_le_bytes(pair)) / 32_768.0);
    Ok(samples.collect())
}

/// Writes mono 16-bit PCM, making the folder when it is not there.
pub(super) fn write(path: &Path, samples: &[f32], rate_hz: u32) -> Result<(), Failure> {
    let named = |error: &dyn std::fmt::Display| Failure::of(path.display(), error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| named(&error))?;
    }
    let file = File::create(path).map_err(|error| named(&error))?;
    wav::write(&to_i16(samples), rate_hz, BufWriter::new(file)).map_err(|error| named(&error))
}

/// `[-1, 1]` as 16-bit samples; louder ones are cut.
pub(super) fn to_i16(samples: &[f32]) -> Vec<i16> {
    samples.iter().map(|&sample| media::g711::to_i16(sample)).collect()
}
