//! A tone in an Opus file is heard; damaged bytes are read or refused.

use std::f32::consts::TAU;

use ogg::{PacketWriteEndInfo, PacketWriter};
use proptest::prelude::*;

use super::*;

#[test]
fn one_and_two_channels() {
    for channels in [1, 2] {
        for duration_ms in [15, 500, 1_010] {
            let recording = read(&prompt(channels, duration_ms)).expect("our own");
            assert_eq!((recording.rate_hz, recording.channels), (48_000, u16::from(channels)));
            assert_eq!(recording.samples.len(), duration_ms as usize * 8);
            let power: f32 = recording.samples.iter().map(|sample| sample * sample).sum();
            let level = (power / recording.samples.len() as f32).sqrt();
            assert!(duration_ms < 100 || (0.33..0.37).contains(&level), "{channels} channels: {level}");
        }
    }
}

#[test]
fn an_early_end_is_taken() {
    let bytes = prompt(1, 3_000);
    let half = read(&bytes[..bytes.len() / 2]).expect("half of it");
    assert!((8_000..16_000).contains(&half.samples.len()), "{}", half.samples.len());
    refused(&bytes[..60], "packets of audio");
}

#[test]
fn what_is_no_prompt_says_so() {
    let head = |version, channels, family| {
        let mut head = b"OpusHead".to_vec();
        head.extend([version, channels, 0, 0, 0, 0, 0, 0, 0, 0, family]);
        head
    };
    refused(&[], "capture pattern");
    refused(&stream(&[(b"\x01vorbis", 0)]), "OpusHead");
    refused(&stream(&[(b"OpusHead\x01\x01", 0)]), "19 bytes");
    refused(&stream(&[(&head(16, 1, 0), 0)]), "version 16");
    refused(&stream(&[(&head(1, 6, 1), 0)]), "6 channels of mapping family 1");
    refused(&stream(&[(&head(1, 1, 0), 0), (b"audio", 0)]), "OpusTags");
    refused(&stream(&[(&head(1, 1, 0), 0), (b"OpusTags", 0), (&[3, 0xff], 960)]), "Opus packet 0");
    let mut damaged = prompt(1, 500);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    refused(&damaged, "damaged");
}

proptest! {
    #[test]
    fn damaged_bytes_are_read_or_refused(cut in 0_usize..6_000, at in 0_usize..6_000, octet: u8) {
        let mut bytes = prompt(2, 100);
        bytes.truncate(cut.max(1));
        let at = at % bytes.len();
        bytes[at] = octet;
        if let Ok(recording) = read(&bytes) {
            prop_assert!(recording.samples.len() <= 960 + 8 * 100);
        }
    }

    #[test]
    fn any_packets_are_read_or_refused(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8)) {
        let mut head = b"OpusHead".to_vec();
        head.extend([1, 1, 0x38, 1, 0, 0, 0, 0, 0, 0, 0]);
        let mut all: Vec<(&[u8], u64)> = vec![(&head, 0), (b"OpusTags", 0)];
        all.extend(packets.iter().map(|packet| (&packet[..], 480)));
        if let Ok(recording) = read(&stream(&all)) {
            prop_assert!(recording.samples.iter().all(|sample| sample.is_finite()));
        }
    }
}

/// A tone of 440 Hz at half the full scale, as an Opus file of that many channels.
pub(crate) fn prompt(channels: u8, duration_ms: u32) -> Vec<u8> {
    const PRE_SKIP: u64 = 312;
    let layout = if channels == 2 { opus::Channels::Stereo } else { opus::Channels::Mono };
    let mut encoder = opus::Encoder::new(48_000, layout, opus::Application::Audio).expect("libopus");
    let mut head = b"OpusHead".to_vec();
    head.extend([1, channels, 0x38, 0x01, 0x80, 0xbb, 0, 0, 0, 0, 0]);
    let mut packets = vec![(head, 0), (b"OpusTags\x04\0\0\0test\0\0\0\0".to_vec(), 0)];
    let wanted = PRE_SKIP + u64::from(duration_ms) * 48;
    for frame in 0..wanted.div_ceil(960) {
        let tone = (frame * 960..(frame + 1) * 960).map(|n| (TAU * 440.0 * n as f32 / 48_000.0).sin() * 0.5);
        let input: Vec<f32> = tone.flat_map(|sample| std::iter::repeat_n(sample, channels.into())).collect();
        let packet = encoder.encode_vec_float(&input, 1_275).expect("20 ms");
        packets.push((packet, wanted.min((frame + 1) * 960)));
    }
    let packets: Vec<(&[u8], u64)> = packets.iter().map(|(packet, position)| (&packet[..], *position)).collect();
    stream(&packets)
}

/// Packets and the positions they end at, each on a page of its own.
fn stream(packets: &[(&[u8], u64)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = PacketWriter::new(&mut bytes);
    for (n, (packet, position)) in packets.iter().enumerate() {
        let last = n + 1 == packets.len();
        let end = if last { PacketWriteEndInfo::EndStream } else { PacketWriteEndInfo::EndPage };
        writer.write_packet(*packet, 7, end, *position).expect("into memory");
    }
    bytes
}

#[track_caller]
fn refused(bytes: &[u8], complaint: &str) {
    let refusal = read(bytes).expect_err("no prompt").to_string();
    assert!(refusal.contains(complaint), "{refusal}");
}
