//! Opus against ffmpeg's libopus: each side decodes what the other has encoded, in packets of every length and mode.
//!
//! The vectors of RFC 6716 are in no package that could be had; another program and another release of the library
//! stand in for them. Says so and passes where `ffmpeg` is not installed.
#![expect(clippy::disallowed_methods, reason = "these tests read files and run a program")]

use std::io::{Cursor, Write};
use std::process::{Command, Stdio};

use media::Codec;
use media::codec::{Decoder, Encoder, OpusSettings};
use media::wav::{self, Channel};
use ogg::{PacketReader, PacketWriteEndInfo, PacketWriter};

/// Samples per second of what is compared: PESQ is defined for telephones.
const RATE_HZ: u32 = 8_000;

#[test]
fn packets_of_ffmpeg_sound_the_same() {
    let said = speech();
    // SILK, hybrid and CELT, mono and stereo, one frame in a packet and several.
    for options in [
        "-application voip -frame_duration 20 -b:a 16k",
        "-application voip -frame_duration 60 -b:a 12k",
        "-application voip -frame_duration 10 -b:a 24k -fec 1 -packet_loss 20",
        "-application voip -frame_duration 120 -b:a 16k",
        "-application audio -frame_duration 20 -b:a 64k",
        "-application audio -frame_duration 2.5 -b:a 96k",
        "-application lowdelay -frame_duration 5 -b:a 48k -vbr off",
        "-application audio -frame_duration 20 -b:a 96k -ac 2",
    ] {
        let arguments = format!("-f s16le -ar {RATE_HZ} -ac 1 -i pipe:0 -c:a libopus {options} -f ogg pipe:1");
        let Some(file) = ffmpeg(&arguments, &octets(&said)) else { return };
        let mut decoder = Decoder::new(Codec::Opus, RATE_HZ).expect("Opus");
        let mut ours = Vec::new();
        let mut reader = PacketReader::new(Cursor::new(&file));
        // The first two packets are about the file (RFC 7845 §3).
        let packets = std::iter::from_fn(|| reader.read_packet().expect("a whole file")).skip(2);
        let count = packets.inspect(|packet| _ = decoder.decode(&packet.data, &mut ours).expect("a packet")).count();
        assert!(count > 10, "{options}: {count} packets");
        same(&decoded(&file), &ours, options);
    }
}

#[test]
fn ffmpeg_understands_our_packets() {
    let said = speech();
    let plain = OpusSettings::default();
    for (ptime_ms, settings) in [
        (10, plain),
        (20, plain),
        (30, plain),
        (40, plain),
        (50, plain),
        (60, plain),
        (20, OpusSettings { fec: true, ..plain }),
        (30, OpusSettings { fec: true, dtx: true, ..plain }),
        (20, OpusSettings { constant: true, bitrate_max: Some(12_000), ..plain }),
        (20, OpusSettings { playback_hz_max: Some(8_000), ..plain }),
    ] {
        let mut encoder = Encoder::new(Codec::Opus, RATE_HZ, settings).expect("Opus");
        let mut decoder = Decoder::new(Codec::Opus, RATE_HZ).expect("Opus");
        let mut ours = Vec::new();
        let packet = |samples: &[i16]| {
            let mut payload = Vec::new();
            encoder.encode(samples, &mut payload).expect("a packet");
            decoder.decode(&payload, &mut ours).expect("our own packet");
            payload
        };
        let packets: Vec<Vec<u8>> = said.chunks_exact(8 * ptime_ms).map(packet).collect();
        let file = written(&packets, 48 * ptime_ms as u64);
        let Some(theirs) = ffmpeg(&format!("-c:a libopus -i pipe:0 -f s16le -ar {RATE_HZ} -ac 1 pipe:1"), &file) else {
            return;
        };
        same(&samples(&theirs), &ours, &format!("{ptime_ms} ms, {settings:?}"));
    }
}

/// Both decodings last as long and sound the same to PESQ, for which 4.5 is the best.
#[track_caller]
fn same(theirs: &[i16], ours: &[i16], what: &str) {
    let shorter = theirs.len().min(ours.len());
    assert!(theirs.len().abs_diff(ours.len()) < 2_000, "{what}: {} and {} samples", theirs.len(), ours.len());
    let score = pesq::pesq_8k(&theirs[..shorter], &ours[..shorter]).expect("seconds of speech");
    assert!(score > 4.3, "{what}: {score:.2}");
}

/// What ffmpeg makes of an Opus file.
fn decoded(file: &[u8]) -> Vec<i16> {
    let arguments = format!("-c:a libopus -i pipe:0 -f s16le -ar {RATE_HZ} -ac 1 pipe:1");
    samples(&ffmpeg(&arguments, file).expect("it has encoded"))
}

/// An Opus file (RFC 7845) of packets that last so many samples of 48 kHz.
fn written(packets: &[Vec<u8>], ticks: u64) -> Vec<u8> {
    let mut head = b"OpusHead\x01\x01".to_vec();
    head.extend(0_u16.to_le_bytes());
    head.extend(RATE_HZ.to_le_bytes());
    head.extend([0; 3]);
    let mut tags = b"OpusTags".to_vec();
    tags.extend(8_u32.to_le_bytes());
    tags.extend(b"calmline");
    tags.extend(0_u32.to_le_bytes());
    let mut file = Vec::new();
    let mut writer = PacketWriter::new(&mut file);
    for page in [head, tags] {
        writer.write_packet(page, 7, PacketWriteEndInfo::EndPage, 0).expect("memory takes it");
    }
    for (number, packet) in packets.iter().enumerate() {
        let last = number + 1 == packets.len();
        let end = if last { PacketWriteEndInfo::EndStream } else { PacketWriteEndInfo::EndPage };
        writer.write_packet(packet.clone(), 7, end, ticks * (number as u64 + 1)).expect("memory takes it");
    }
    file
}

/// Speech at 8 kHz.
fn speech() -> Vec<i16> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/audio/angry-caller.wav");
    let recording = wav::read(std::fs::File::open(path).expect("the fixture"), Channel::Mix).expect("a recording");
    let samples = recording.to_sound().samples;
    samples[..samples.len().min(10 * RATE_HZ as usize)].to_vec()
}

/// What `ffmpeg` writes when it reads `input`; `None`, said aloud, when it is not there.
#[expect(clippy::print_stdout, reason = "a test that was skipped says so")]
fn ffmpeg(arguments: &str, input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin"]).args(arguments.split_whitespace());
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        println!("skipped: ffmpeg is not installed");
        return None;
    };
    let mut sink = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || sink.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "ffmpeg {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    writer.join().expect("it does not panic").expect("ffmpeg reads everything");
    Some(output.stdout)
}

fn octets(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

fn samples(octets: &[u8]) -> Vec<i16> {
    octets.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}
