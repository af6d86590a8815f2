//! The RIFF chunks of a WAV file: G.711 is read here, everything else is handed to `hound` (which has no G.711).

use std::io::{Cursor, ErrorKind, Read, Seek, SeekFrom};

use super::{CHANNELS_MAX, RATE_HZ_RANGE, SECONDS_MAX, Shape, WavError, format};
use crate::g711::{self, Law};

/// The sound as it lies in the file.
pub(super) struct Raw {
    pub(super) rate_hz: u32,
    pub(super) channels: u16,
    /// Interleaved, in `[-1, 1]`.
    pub(super) samples: Vec<f32>,
}

/// Chunks before the audio that are looked at, and how much of them.
const CHUNKS_MAX: usize = 64;
const SKIPPED_BYTES_MAX: u64 = 16 * 1024 * 1024;
const FORMAT_BYTES_MAX: u64 = 4 * 1024;

const TAG_ALAW: u16 = 6;
const TAG_ULAW: u16 = 7;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// Reads everything up to the end of the audio.
pub(super) fn read(source: impl Read) -> Result<Raw, WavError> {
    let mut head = Head { source, seen: Vec::new() };
    let form = head.find_form()?;
    let Some(law) = form.law() else {
        let length = head.find_data()?;
        return with_hound(Cursor::new(form.head(length)).chain(head.source));
    };

    form.check_companded()?;
    let octets = head.read_data(u64::from(SECONDS_MAX) * form.octets_per_second())?;
    let mut samples = Vec::with_capacity(octets.len());
    g711::decode_to_f32(law, &octets, &mut samples);
    Ok(Raw { rate_hz: form.rate_hz, channels: form.channels, samples })
}

/// Reads up to the beginning of the audio.
pub(super) fn look(mut source: impl Read + Seek) -> Result<Shape, WavError> {
    let mut head = Head { source: &mut source, seen: Vec::new() };
    let form = head.find_form()?;
    if form.law().is_some() {
        form.check_companded()?;
    }
    let length = head.find_data()?;
    let there = rest(&mut source)?;
    if form.law().is_some() {
        let frames = length.min(there) / u64::from(form.channels);
        return Ok(Shape { rate_hz: form.rate_hz, channels: form.channels, frames });
    }
    let head = form.head(length);
    let reader = hound::WavReader::new(&head[..])?;
    let spec = reader.spec();
    check_shape(spec.sample_rate, spec.channels)?;
    check_bits(spec)?;
    let frames = u64::from(reader.duration()).min(there / u64::from(form.frame_octets).max(1));
    check_first(Cursor::new(&head).chain(source), spec.sample_format)?;
    Ok(Shape { rate_hz: spec.sample_rate, channels: spec.channels, frames })
}

/// Reads the first sample, if there is one: `hound` takes heads whose samples it does not read, e.g. 8 bits in two octets.
fn check_first(source: impl Read, kind: hound::SampleFormat) -> Result<(), WavError> {
    let mut reader = hound::WavReader::new(source)?;
    let first = match kind {
        hound::SampleFormat::Float => reader.samples::<f32>().next().map(|sample| sample.map(drop)),
        hound::SampleFormat::Int => reader.samples::<i32>().next().map(|sample| sample.map(drop)),
    };
    match first {
        Some(Err(error)) if !matches!(error, hound::Error::IoError(_)) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Octets from here to the end; stays where it is.
fn rest(source: &mut impl Seek) -> Result<u64, WavError> {
    let from = source.stream_position()?;
    let end = source.seek(SeekFrom::End(0))?;
    source.seek(SeekFrom::Start(from))?;
    Ok(end.saturating_sub(from))
}

/// What a format chunk says.
struct Form {
    tag: u16,
    rate_hz: u32,
    channels: u16,
    /// Octets of one sample of every channel.
    frame_octets: u16,
    bits: u16,
    /// Itself.
    chunk: Vec<u8>,
}

impl Form {
    fn of(chunk: Vec<u8>) -> Form {
        let word = |at: usize| chunk.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
        let tag = if word(0) == TAG_EXTENSIBLE { word(24) } else { word(0) };
        let rate_hz = u32::from(word(4)) | u32::from(word(6)) << 16;
        Form { tag, rate_hz, channels: word(2), frame_octets: word(12), bits: word(14), chunk }
    }

    /// What `hound` reads before the audio: the format, and how long the audio is to be in whole frames, for it refuses
    /// any other length, and who writes to a pipe says 0xffffffff.
    fn head(&self, length: u64) -> Vec<u8> {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        // As `hound` counts them: the octets of a sample times the channels.
        let frame = self.frame_octets - self.frame_octets.checked_rem(self.channels).unwrap_or(0);
        let whole = length - length.checked_rem(u32::from(frame)).unwrap_or(0);
        let format_octets = self.chunk.len() as u32;
        let [format_octets, whole] = [format_octets, whole].map(u32::to_le_bytes);
        [&b"RIFF\0\0\0\0WAVEfmt "[..], &format_octets, &self.chunk, b"data", &whole].concat()
    }

    /// The law of G.711, where it is that.
    fn law(&self) -> Option<Law> {
        match self.tag {
            TAG_ALAW => Some(Law::A),
            TAG_ULAW => Some(Law::Mu),
            _ => None,
        }
    }

    fn check_companded(&self) -> Result<(), WavError> {
        check_shape(self.rate_hz, self.channels)?;
        if self.bits != 8 {
            return Err(format("8 bits per sample of G.711", format!("{} bits", self.bits)));
        }
        Ok(())
    }

    /// Of G.711.
    fn octets_per_second(&self) -> u64 {
        u64::from(self.rate_hz) * u64::from(self.channels)
    }
}

/// The file's beginning, remembered so that it can be read again.
struct Head<R> {
    source: R,
    seen: Vec<u8>,
}

impl<R: Read> Head<R> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], std::io::Error> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes)?;
        self.seen.extend_from_slice(&bytes);
        Ok(bytes)
    }

    fn take_bytes(&mut self, count: u64) -> Result<usize, WavError> {
        let from = self.seen.len();
        let got = (&mut self.source).take(count).read_to_end(&mut self.seen)?;
        if (got as u64) < count {
            return Err(std::io::Error::from(ErrorKind::UnexpectedEof).into());
        }
        Ok(from)
    }

    /// The name and length of the next chunk.
    fn chunk(&mut self) -> Result<([u8; 4], u64), WavError> {
        let [a, b, c, d, length @ ..] = self.take::<8>()?;
        Ok(([a, b, c, d], u64::from(u32::from_le_bytes(length))))
    }

    /// What the format chunk says, once it is clear that this is a WAV at all.
    fn find_form(&mut self) -> Result<Form, WavError> {
        let Ok(riff) = self.take::<12>() else {
            return Err(format("a RIFF/WAVE header of 12 bytes", "fewer bytes"));
        };
        if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
            return Err(format("a RIFF/WAVE header", format!("{:?}", String::from_utf8_lossy(&riff))));
        }
        self.find_format().map(Form::of)
    }

    /// Goes to the `fmt ` chunk and returns its contents.
    fn find_format(&mut self) -> Result<Vec<u8>, WavError> {
        for _ in 0..CHUNKS_MAX {
            let (name, length) = self.chunk()?;
            match &name {
                b"fmt " if (16..=FORMAT_BYTES_MAX).contains(&length) => {
                    let from = self.take_bytes(length + length % 2)?;
                    return Ok(self.seen[from..].to_vec());
                }
                b"fmt " => return Err(format("a format chunk of at least 16 bytes", format!("{length} bytes"))),
                b"data" => return Err(format("a format chunk before the audio", "audio")),
                _ if self.seen.len() as u64 + length > SKIPPED_BYTES_MAX => break,
                _ => {
                    self.take_bytes(length + length % 2)?;
                }
            }
        }
        Err(format("a format chunk near the beginning", "none"))
    }

    /// Goes on to the `data` chunk and returns its contents as far as they are there.
    fn read_data(&mut self, bytes_max: u64) -> Result<Vec<u8>, WavError> {
        let length = self.find_data()?;
        let mut data = Vec::new();
        (&mut self.source).take(length.min(bytes_max + 1)).read_to_end(&mut data)?;
        if data.len() as u64 > bytes_max {
            return Err(too_long());
        }
        Ok(data)
    }

    /// Goes on to the beginning of the audio; how many octets of it there are to be.
    fn find_data(&mut self) -> Result<u64, WavError> {
        for _ in 0..CHUNKS_MAX {
            let (name, length) = self.chunk()?;
            if &name == b"data" {
                return Ok(length);
            }
            if self.seen.len() as u64 + length > SKIPPED_BYTES_MAX {
                break;
            }
            self.take_bytes(length + length % 2)?;
        }
        Err(format("audio near the beginning", "none"))
    }
}

fn with_hound(source: impl Read) -> Result<Raw, WavError> {
    let mut reader = hound::WavReader::new(source)?;
    let spec = reader.spec();
    check_shape(spec.sample_rate, spec.channels)?;
    let limit = SECONDS_MAX as usize * spec.sample_rate as usize * usize::from(spec.channels);

    let samples = match (spec.sample_format, spec.bits_per_sample) {
        (hound::SampleFormat::Float, _) => {
            // Full scale is one; what is far louder would overflow when samples are added up.
            collect(reader.samples::<f32>(), limit, |s| if s.is_finite() { s.clamp(-1.0, 1.0) } else { 0.0 })
        }
        (hound::SampleFormat::Int, bits @ 1..=32) => {
            let full_scale = (1_i64 << (bits - 1)) as f32;
            collect(reader.samples::<i32>(), limit, |s| s as f32 / full_scale)
        }
        (_, bits) => Err(wrong_bits(bits)),
    }?;
    Ok(Raw { rate_hz: spec.sample_rate, channels: spec.channels, samples })
}

/// All samples up to the end, even when it comes early.
fn collect<S>(
    samples: impl Iterator<Item = Result<S, hound::Error>>,
    limit: usize,
    convert: impl Fn(S) -> f32,
) -> Result<Vec<f32>, WavError> {
    let mut all = Vec::new();
    for sample in samples {
        match sample {
            Ok(_) if all.len() >= limit => return Err(too_long()),
            Ok(sample) => all.push(convert(sample)),
            // `hound` says this when the bytes end before the header's length.
            Err(hound::Error::IoError(_)) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}

fn check_shape(rate_hz: u32, channels: u16) -> Result<(), WavError> {
    if !RATE_HZ_RANGE.contains(&rate_hz) {
        return Err(format(
            format!("{} to {} Hz", RATE_HZ_RANGE.start(), RATE_HZ_RANGE.end()),
            format!("{rate_hz} Hz"),
        ));
    }
    if !(1..=CHANNELS_MAX).contains(&channels) {
        return Err(format(format!("1 to {CHANNELS_MAX} channels"), format!("{channels} channels")));
    }
    Ok(())
}

fn check_bits(spec: hound::WavSpec) -> Result<(), WavError> {
    let is_read = spec.sample_format == hound::SampleFormat::Float || (1..=32).contains(&spec.bits_per_sample);
    if is_read { Ok(()) } else { Err(wrong_bits(spec.bits_per_sample)) }
}

fn wrong_bits(bits: u16) -> WavError {
    format("1 to 32 bits per sample", format!("{bits} bits"))
}

pub(super) fn too_long() -> WavError {
    format(format!("at most {SECONDS_MAX} seconds"), "more")
}
