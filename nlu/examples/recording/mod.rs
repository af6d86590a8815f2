//! Recordings as the programs beside this folder read them.

use std::path::Path;

/// The samples of a WAV file (mono, 16 bit), in [-1, 1].
pub fn read(path: impl AsRef<Path>) -> hound::Result<Vec<f32>> {
    let samples = hound::WavReader::open(path)?.into_samples::<i16>();
    samples.map(|sample| sample.map(|sample| f32::from(sample) / 32_768.0)).collect()
}
