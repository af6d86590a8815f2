//! WAV bytes to mono audio at 8 or 16 kHz and back: prompts, recordings for `analyze`, what telephones play.
//!
//! Reads integer PCM (8, 16, 24, 32 bits), 32-bit float and G.711, any channels, 8 to 48 kHz. Opens no file.

use std::io::{Read, Seek, Write};

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler};

use crate::{Sound, g711};

mod chunks;

#[cfg(test)]
mod tests;

/// The rate of everything that comes out unless another is asked for, Hz.
pub const RATE_HZ: u32 = 8_000;
/// The longest recording that is read, seconds.
pub const SECONDS_MAX: u32 = 3_600;
/// The slowest and fastest recording that is read, Hz.
pub const RATE_HZ_RANGE: std::ops::RangeInclusive<u32> = 8_000..=48_000;
/// The most channels that are read.
pub const CHANNELS_MAX: u16 = 8;

/// Which channel of a recording is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The mean of all.
    Mix,
    /// One of them, counted from 0.
    Only(u16),
}

/// A recording, mono.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Samples in `[-1, 1]`.
    pub samples: Vec<f32>,
    /// The rate the bytes were at, Hz.
    pub rate_hz: u32,
    /// The channels the bytes had.
    pub channels: u16,
}

impl Recording {
    /// The same as 16-bit samples, ready to be played to a leg.
    pub fn to_sound(&self) -> Sound {
        Sound { samples: self.samples.iter().map(|sample| g711::to_i16(*sample)).collect() }
    }
}

/// Why bytes are no recording that we take.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// The bytes end early or cannot be read.
    #[error("cannot read the recording: {0}")]
    Read(#[from] std::io::Error),
    /// Not the right kind of file.
    #[error("not a WAV recording that we read: expected {expected}, found {found}")]
    Format {
        /// What we take.
        expected: String,
        /// What it is.
        found: String,
    },
    /// `hound` found something wrong inside.
    #[error("damaged WAV recording: {0}")]
    Damaged(#[from] hound::Error),
}

/// Reads a recording as mono at 8 kHz.
///
/// A recording that ends before its header says is taken as far as it goes.
/// Errors name what was expected and found; the limits are [`SECONDS_MAX`], [`RATE_HZ_RANGE`] and [`CHANNELS_MAX`].
pub fn read(source: impl Read, channel: Channel) -> Result<Recording, WavError> {
    read_at(source, channel, RATE_HZ)
}

/// As [`read`], at `rate_hz` of the caller's choice, which must be in [`RATE_HZ_RANGE`].
pub fn read_at(source: impl Read, channel: Channel, rate_hz: u32) -> Result<Recording, WavError> {
    let raw = chunks::read(source)?;
    if let Channel::Only(wanted) = channel
        && wanted >= raw.channels
    {
        return Err(format(format!("channel {wanted}"), format!("{} channels, counted from 0", raw.channels)));
    }

    let mono = one_channel(raw.samples, raw.channels, channel);
    let samples = resampled(mono, raw.rate_hz, rate_hz)?;
    Ok(Recording { samples, rate_hz: raw.rate_hz, channels: raw.channels })
}

/// What a recording's head says of it, and how much of it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The rate, Hz.
    pub rate_hz: u32,
    /// Its channels.
    pub channels: u16,
    /// Whole frames (a sample of every channel) that are there, whatever the head says.
    pub frames: u64,
}

/// Reads the head of a recording and none of its audio: what is taken here, [`read`] takes too.
///
/// # Errors
/// As of [`read`].
pub fn look(source: impl Read + Seek) -> Result<Shape, WavError> {
    let shape = chunks::look(source)?;
    if shape.frames > u64::from(SECONDS_MAX) * u64::from(shape.rate_hz) {
        return Err(chunks::too_long());
    }
    Ok(shape)
}

/// The length of a head of 16-bit PCM, octets.
pub const HEAD_OCTETS: u64 = 44;

/// The head of a stream of 16-bit PCM that ends when it ends: both lengths say the most there can be, as players expect
/// of live streams, in whole frames of one or two channels, as strict readers do.
pub fn stream_head(channels: u16, rate_hz: u32) -> [u8; HEAD_OCTETS as usize] {
    head(channels, rate_hz, STREAM_OCTETS)
}

/// The head of so many octets of 16-bit PCM.
pub fn head(channels: u16, rate_hz: u32, octets: u32) -> [u8; HEAD_OCTETS as usize] {
    let octets_per_frame = 2 * channels;
    let mut head = [0; HEAD_OCTETS as usize];
    let parts: [&[u8]; 13] = [
        b"RIFF",
        &octets.saturating_add(36).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16_u32.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &channels.to_le_bytes(),
        &rate_hz.to_le_bytes(),
        &(rate_hz * u32::from(octets_per_frame)).to_le_bytes(),
        &octets_per_frame.to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &octets.to_le_bytes(),
    ];
    for (into, octet) in head.iter_mut().zip(parts.concat()) {
        *into = octet;
    }
    head
}

/// What the head of a stream says of its length: the most that leaves room for the head itself.
const STREAM_OCTETS: u32 = (u32::MAX - 36) & !3;

/// Writes mono 16-bit PCM.
pub fn write(samples: &[i16], rate_hz: u32, sink: impl Write + Seek) -> Result<(), WavError> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::new(sink, spec)?;
    for sample in samples {
        writer.write_sample(*sample)?;
    }
    Ok(writer.finalize()?)
}

fn format(expected: impl Into<String>, found: impl Into<String>) -> WavError {
    WavError::Format { expected: expected.into(), found: found.into() }
}

fn one_channel(interleaved: Vec<f32>, channels: u16, channel: Channel) -> Vec<f32> {
    if channels == 1 {
        return interleaved;
    }
    let frames = interleaved.chunks_exact(channels.into());
    match channel {
        Channel::Mix => frames.map(|frame| frame.iter().sum::<f32>() / f32::from(channels)).collect(),
        Channel::Only(wanted) => frames.map(|frame| frame[usize::from(wanted)]).collect(),
    }
}

fn resampled(samples: Vec<f32>, from_hz: u32, to_hz: u32) -> Result<Vec<f32>, WavError> {
    if from_hz == to_hz || samples.is_empty() {
        return Ok(samples);
    }
    // Frames per call; a larger block only costs memory, because a whole recording is turned at once.
    const CHUNK: usize = 1_024;
    let fails =
        |error: &dyn std::fmt::Display| format(format!("audio that can be brought to {to_hz} Hz"), error.to_string());
    let mut resampler =
        Fft::<f32>::new(from_hz as usize, to_hz as usize, CHUNK, 1, FixedSync::Input).map_err(|error| fails(&error))?;
    let input = SequentialSlice::new(&samples, 1, samples.len()).map_err(|error| fails(&error))?;
    let output = resampler.process_all(&input, samples.len(), None).map_err(|error| fails(&error))?;
    Ok(output.take_data())
}
