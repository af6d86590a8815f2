//! Every format reads as the same tone; damaged bytes are read or refused.

use std::f32::consts::TAU;
use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::g711::Law;

#[test]
fn integers_and_floats() {
    for (bits, sample_format) in [
        (8, hound::SampleFormat::Int),
        (16, hound::SampleFormat::Int),
        (24, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Float),
    ] {
        let bytes = hound_bytes(bits, sample_format, 8_000, 1);
        check(&bytes, Channel::Mix, 8_000, 1);
    }
}

#[test]
fn floats_beyond_full_scale_are_cut() {
    for rate_hz in [8_000, 16_000] {
        for channels in [1, 2] {
            let spec = hound::WavSpec {
                channels,
                sample_rate: rate_hz,
                bits_per_sample: 32,
                sample_format: hound::SampleFormat::Float,
            };
            let mut bytes = Cursor::new(Vec::new());
            let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("memory takes it");
            let odd = [3e38_f32, 3e38, -3e38, f32::INFINITY, f32::NAN, 1.5, -0.5, f32::MIN_POSITIVE];
            odd.iter().cycle().take(4_000).for_each(|sample| writer.write_sample(*sample).expect("memory takes it"));
            writer.finalize().expect("memory takes it");
            let samples = read(bytes.get_ref().as_slice(), Channel::Mix).expect("a recording").samples;
            assert!(samples.len() > 500 && samples.iter().all(|sample| sample.abs() < 2.0), "{rate_hz} Hz, {channels}");
        }
    }
}

#[test]
fn every_rate_becomes_telephone_rate() {
    for rate_hz in [8_000, 11_025, 16_000, 22_050, 44_100, 48_000] {
        check(&hound_bytes(16, hound::SampleFormat::Int, rate_hz, 1), Channel::Mix, rate_hz, 1);
    }
}

#[test]
fn channels_are_mixed_or_chosen() {
    let bytes = hound_bytes(16, hound::SampleFormat::Int, 16_000, 2);
    check(&bytes, Channel::Only(0), 16_000, 2);
    let silent = read(&bytes[..], Channel::Only(1)).expect("two channels");
    assert!(level(&silent.samples) < 1e-4);
    let mixed = read(&bytes[..], Channel::Mix).expect("two channels");
    assert!((level(&mixed.samples) - level(&tone(8_000)) / 2.0).abs() < 0.01);
    refused(&bytes, Channel::Only(2), "channel 2");
}

#[test]
fn telephone_formats() {
    for (law, tag) in [(Law::A, 6), (Law::Mu, 7)] {
        check(&law_bytes(law, tag, false), Channel::Mix, 8_000, 1);
        check(&law_bytes(law, tag, true), Channel::Mix, 8_000, 1);
    }
}

#[test]
fn a_look_at_the_head_tells_what_is_there() {
    let look = |bytes: &[u8]| look(Cursor::new(bytes));
    for (bits, channels) in [(8, 1), (16, 2), (24, 1), (32, 2)] {
        let bytes = hound_bytes(bits, hound::SampleFormat::Int, 16_000, channels);
        let whole = look(&bytes).expect("a recording");
        let expected = read_at(&bytes[..], Channel::Only(0), 16_000).expect("a recording").samples.len() as u64;
        assert_eq!(whole, Shape { rate_hz: 16_000, channels, frames: expected }, "{bits} bits");
        let half = look(&bytes[..bytes.len() / 2]).expect("as far as it goes").frames;
        assert!((expected / 2 - 40..=expected / 2).contains(&half), "{half} of {expected}");
    }
    for (law, tag) in [(Law::A, 6), (Law::Mu, 7)] {
        let bytes = law_bytes(law, tag, true);
        let samples = read(&bytes[..], Channel::Mix).expect("a recording").samples.len() as u64;
        assert_eq!(look(&bytes).expect("a recording"), Shape { rate_hz: 8_000, channels: 1, frames: samples });
    }
    assert_eq!(look(&stream_head(2, 8_000)).expect("a head").frames, 0);
    for (bytes, expected) in [(&b"OggS"[..], "12 bytes"), (b"RIFF....WAVEfmt ", "cannot read")] {
        let told = look(bytes).expect_err(expected).to_string();
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_stream_reads_as_far_as_it_goes() {
    let samples: Vec<i16> = tone(8_000).iter().map(|sample| g711::to_i16(*sample)).collect();
    let pairs = samples.iter().flat_map(|sample| [sample.to_le_bytes(), [0, 0]]).flatten();
    let bytes: Vec<u8> = stream_head(2, 8_000).into_iter().chain(pairs).collect();
    check(&bytes, Channel::Only(0), 8_000, 2);
    let other = hound::WavReader::new(&bytes[..]).expect("another reader takes it");
    assert_eq!((other.spec().channels, other.spec().sample_rate, other.spec().bits_per_sample), (2, 8_000, 16));
}

#[test]
fn what_was_written_to_a_pipe_says_no_length() {
    for (bits, sample_format) in [
        (8, hound::SampleFormat::Int),
        (16, hound::SampleFormat::Int),
        (24, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Float),
    ] {
        for channels in [1, 2, 3] {
            let mut bytes = hound_bytes(bits, sample_format, 16_000, channels);
            let at = bytes.windows(4).position(|name| name == b"data").expect("audio");
            bytes[4..8].fill(0xff);
            bytes[at + 4..at + 8].fill(0xff);
            check(&bytes, Channel::Only(0), 16_000, channels);
            let shape = Shape { rate_hz: 16_000, channels, frames: 16_000 };
            assert_eq!(look(Cursor::new(&bytes)).expect("a recording"), shape, "{bits} bits");
        }
    }
}

#[test]
fn chunks_of_odd_length_are_padded() {
    let mut bytes = hound_bytes(16, hound::SampleFormat::Int, 8_000, 1);
    let at = bytes.windows(4).position(|name| name == b"data").expect("audio");
    bytes.splice(at..at, *b"LIST\x03\0\0\0abc\0");
    check(&bytes, Channel::Mix, 8_000, 1);
    assert_eq!(look(Cursor::new(&bytes)).expect("a recording").frames, 8_000);
}

#[test]
fn an_early_end_is_taken() {
    let bytes = hound_bytes(16, hound::SampleFormat::Int, 8_000, 1);
    let half = read(&bytes[..bytes.len() / 2], Channel::Mix).expect("half of it");
    assert!((3_900..4_100).contains(&half.samples.len()), "{}", half.samples.len());
    let bytes = law_bytes(Law::A, 6, false);
    assert!(!read(&bytes[..bytes.len() / 2], Channel::Mix).expect("half of it").samples.is_empty());
}

#[test]
fn what_is_no_recording_says_so() {
    refused(b"", Channel::Mix, "12 bytes");
    refused(b"OggS is something else", Channel::Mix, "OggS");
    refused(b"RIFF\x04\0\0\0WAVEdata\x04\0\0\0....", Channel::Mix, "before the audio");
    refused(&hound_bytes(16, hound::SampleFormat::Int, 96_000, 1), Channel::Mix, "96000 Hz");
    refused(&hound_bytes(16, hound::SampleFormat::Int, 8_000, 9), Channel::Mix, "9 channels");
}

#[test]
fn what_is_written_is_read() {
    let samples: Vec<i16> = (-400..400).map(|n| n * 80).collect();
    let mut bytes = Cursor::new(Vec::new());
    write(&samples, 8_000, &mut bytes).expect("into memory");
    let recording = read(&bytes.get_ref()[..], Channel::Mix).expect("our own");
    assert_eq!(recording.to_sound().samples, samples);
}

proptest! {
    #[test]
    fn damaged_bytes_are_read_or_refused(
        which in 0_usize..3,
        damage in proptest::collection::vec((0_usize..80, any::<u8>()), 0..6),
        length in 0_usize..200,
    ) {
        let mut bytes = match which {
            0 => hound_bytes(16, hound::SampleFormat::Int, 8_000, 1),
            1 => hound_bytes(32, hound::SampleFormat::Float, 8_000, 2),
            _ => law_bytes(Law::Mu, 7, true),
        };
        bytes.truncate(length);
        for (place, byte) in damage {
            if let Some(at) = bytes.get_mut(place) {
                *at = byte;
            }
        }
        let _ = read(&bytes[..], Channel::Mix);
    }
}

/// Reads the tone back: as long, as loud, and the same wave away from the ends.
#[track_caller]
fn check(bytes: &[u8], channel: Channel, rate_hz: u32, channels: u16) {
    let recording = read(bytes, channel).expect("readable");
    assert_eq!((recording.rate_hz, recording.channels), (rate_hz, channels));
    let expected = tone(8_000);
    assert!(recording.samples.len().abs_diff(expected.len()) <= 1, "{} samples", recording.samples.len());
    for at in 400..7_600 {
        let (got, expected) = (recording.samples[at], expected[at]);
        // Half a sample of shift is 0.09 at the tone's steepest.
        assert!((got - expected).abs() < 0.09, "sample {at}: expected {expected}, found {got}");
    }
}

#[track_caller]
fn refused(bytes: &[u8], channel: Channel, word: &str) {
    let error = read(bytes, channel).expect_err("not readable").to_string();
    assert!(error.contains(word), "{error}");
}

/// One second of 440 Hz at half scale.
fn tone(rate_hz: u32) -> Vec<f32> {
    (0..rate_hz).map(|n| 0.5 * (TAU * 440.0 * n as f32 / rate_hz as f32).sin()).collect()
}

fn level(samples: &[f32]) -> f32 {
    (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt()
}

/// The tone on channel 0, silence on the others.
fn hound_bytes(bits: u16, sample_format: hound::SampleFormat, rate_hz: u32, channels: u16) -> Vec<u8> {
    let spec = hound::WavSpec { channels, sample_rate: rate_hz, bits_per_sample: bits, sample_format };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("a header");
    for sample in tone(rate_hz) {
        for channel in 0..channels {
            let sample = if channel == 0 { sample } else { 0.0 };
            match sample_format {
                hound::SampleFormat::Float => writer.write_sample(sample).expect("a sample"),
                hound::SampleFormat::Int => {
                    let full_scale = (1_i64 << (bits - 1)) as f32;
                    writer.write_sample((sample * full_scale) as i32).expect("a sample");
                }
            }
        }
    }
    writer.finalize().expect("a file");
    bytes.into_inner()
}

fn law_bytes(law: Law, tag: u16, extensible: bool) -> Vec<u8> {
    let samples = tone(8_000);
    let mut data = Vec::new();
    g711::encode_from_f32(law, &samples, &mut data);

    let mut format = Vec::new();
    format.extend_from_slice(&(if extensible { 0xfffe } else { tag }).to_le_bytes());
    format.extend_from_slice(&1_u16.to_le_bytes());
    format.extend_from_slice(&8_000_u32.to_le_bytes());
    format.extend_from_slice(&8_000_u32.to_le_bytes());
    format.extend_from_slice(&1_u16.to_le_bytes());
    format.extend_from_slice(&8_u16.to_le_bytes());
    if extensible {
        format.extend_from_slice(&22_u16.to_le_bytes());
        format.extend_from_slice(&8_u16.to_le_bytes());
        format.extend_from_slice(&4_u32.to_le_bytes());
        format.extend_from_slice(&tag.to_le_bytes());
        format.extend_from_slice(&[0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
    }

    let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
    for (name, contents) in [(b"LIST", &b"abc\0"[..]), (b"fmt ", &format), (b"fact", &[0; 4]), (b"data", &data)] {
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&(contents.len() as u32).to_le_bytes());
        bytes.extend_from_slice(contents);
    }
    bytes
}
