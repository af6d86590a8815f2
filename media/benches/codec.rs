//! What a 20 ms frame costs in each codec: encode, decode, conceal, and the change of rate inside.

use divan::{Bencher, black_box};
use media::Codec;
use media::codec::noise::{Noise, NoiseGenerator};
use media::codec::{Decoder, Encoder, OpusSettings};

fn main() {
    divan::main();
}

const CODECS: [Codec; 6] = Codec::ALL;

#[divan::bench(args = CODECS)]
fn encode_8_khz(bencher: Bencher<'_, '_>, codec: Codec) {
    encode(bencher, codec, 8_000, None);
}

#[divan::bench(args = CODECS)]
fn encode_16_khz(bencher: Bencher<'_, '_>, codec: Codec) {
    encode(bencher, codec, 16_000, None);
}

#[divan::bench(args = [0, 1, 2, 3, 4, 5, 6, 8, 10])]
fn encode_opus_8_khz_by_complexity(bencher: Bencher<'_, '_>, complexity: u8) {
    encode(bencher, Codec::Opus, 8_000, Some(complexity));
}

#[divan::bench(args = [0, 1, 2, 3, 4, 5, 6, 8, 10])]
fn encode_opus_16_khz_by_complexity(bencher: Bencher<'_, '_>, complexity: u8) {
    encode(bencher, Codec::Opus, 16_000, Some(complexity));
}

#[divan::bench(args = CODECS)]
fn decode_8_khz(bencher: Bencher<'_, '_>, codec: Codec) {
    decode(bencher, codec, 8_000);
}

#[divan::bench(args = CODECS)]
fn decode_16_khz(bencher: Bencher<'_, '_>, codec: Codec) {
    decode(bencher, codec, 16_000);
}

/// One packet in ten is lost: a gap's beginning, where the pitch is sought, is what costs.
#[divan::bench(args = CODECS)]
fn ten_frames_one_concealed_8_khz(bencher: Bencher<'_, '_>, codec: Codec) {
    let packets = packets(codec, 8_000);
    let mut decoder = Decoder::new(codec, 8_000).expect("every codec at both rates");
    let mut samples = Vec::with_capacity(4_000);
    let mut from = 0;
    bencher.bench_local(|| {
        samples.clear();
        for payload in &packets[from..from + 9] {
            decoder.decode(black_box(payload), &mut samples).expect("our own packets");
        }
        decoder.conceal(160, &mut samples);
        from = (from + 9) % 90;
    });
}

#[divan::bench]
fn comfort_noise_8_khz(bencher: Bencher<'_, '_>) {
    let mut generator = NoiseGenerator::new(1);
    generator.set(Noise::read(&[40, 100, 130, 127]).expect("a payload"));
    let mut samples = Vec::with_capacity(160);
    bencher.bench_local(|| {
        samples.clear();
        generator.make(160, &mut samples);
    });
}

#[divan::bench]
fn comfort_noise_measured_8_khz(bencher: Bencher<'_, '_>) {
    let audio = voice(8_000);
    bencher.bench_local(|| Noise::measure(black_box(&audio[..160])));
}

fn encode(bencher: Bencher<'_, '_>, codec: Codec, rate_hz: u32, complexity: Option<u8>) {
    let audio = voice(rate_hz);
    let mut encoder = encoder(codec, rate_hz);
    if let Some(complexity) = complexity {
        encoder.set_opus_complexity(complexity);
    }
    let mut payload = Vec::with_capacity(4_000);
    let mut frames = audio.chunks_exact(rate_hz as usize / 50).cycle();
    bencher.bench_local(|| {
        payload.clear();
        encoder.encode(black_box(frames.next().expect("a cycle")), &mut payload).expect("20 ms");
    });
}

fn decode(bencher: Bencher<'_, '_>, codec: Codec, rate_hz: u32) {
    let packets = packets(codec, rate_hz);
    let mut decoder = Decoder::new(codec, rate_hz).expect("every codec at both rates");
    let mut samples = Vec::with_capacity(4_000);
    let mut packets = packets.iter().cycle();
    bencher.bench_local(|| {
        samples.clear();
        decoder.decode(black_box(packets.next().expect("a cycle")), &mut samples).expect("our own packets");
    });
}

fn encoder(codec: Codec, rate_hz: u32) -> Encoder {
    let settings = OpusSettings { fec: true, dtx: false, bitrate_max: None, ..OpusSettings::default() };
    Encoder::new(codec, rate_hz, settings).expect("every codec at both rates")
}

fn packets(codec: Codec, rate_hz: u32) -> Vec<Vec<u8>> {
    let mut encoder = encoder(codec, rate_hz);
    let frames = voice(rate_hz);
    let packets = frames.chunks_exact(rate_hz as usize / 50).map(|frame| {
        let mut payload = Vec::new();
        encoder.encode(frame, &mut payload).expect("20 ms");
        payload
    });
    packets.collect()
}

/// Two seconds of speech, half of it pauses.
fn voice(rate_hz: u32) -> Vec<i16> {
    let bytes = include_bytes!("../../fixtures/audio/agent.wav");
    let recording = media::wav::read(&bytes[..], media::wav::Channel::Mix).expect("a committed recording");
    let narrow = &recording.to_sound().samples[16_000..32_000];
    // Said twice as fast at 16 kHz: what matters is that it is speech and fills the band.
    let repeated = narrow.iter().copied().cycle();
    repeated.take(rate_hz as usize * 2).collect()
}
