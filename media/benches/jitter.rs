//! What the playout buffer takes per packet and frame of 20 ms, decoding included, and the listening side's.

use std::time::Duration;

use divan::Bencher;
use media::codec::{Encoder, OpusSettings};
use media::jitter::JitterBuffer;
use media::network::{Network, Way};
use media::playout::{Packet, Payload, Playout};
use media::{Codec, Ssrc};

fn main() {
    divan::main();
}

#[divan::bench(args = [(Codec::Pcmu, 8_000), (Codec::G722, 16_000), (Codec::Opus, 16_000)])]
fn playout_calm(bencher: Bencher<'_, '_>, (codec, rate_hz): (Codec, u32)) {
    playout(bencher, codec, rate_hz, Network::PERFECT);
}

#[divan::bench(args = [(Codec::Pcmu, 8_000), (Codec::G722, 16_000), (Codec::Opus, 16_000)])]
fn playout_jitter_and_loss(bencher: Bencher<'_, '_>, (codec, rate_hz): (Codec, u32)) {
    let network = Network { loss_per_mille: 100, jitter_max: Duration::from_millis(60), ..Network::PERFECT };
    playout(bencher, codec, rate_hz, network);
}

#[divan::bench]
fn listening_put_and_get(bencher: Bencher<'_, '_>) {
    let mut buffer = JitterBuffer::new(Codec::Pcmu, 0);
    let mut samples = Vec::with_capacity(1_600);
    let mut number = 0_u32;
    let mut datagram = [0x55; 172];
    datagram[..2].copy_from_slice(&[0x80, 0]);
    bencher.bench_local(|| {
        datagram[2..4].copy_from_slice(&(number as u16).to_be_bytes());
        datagram[4..8].copy_from_slice(&number.wrapping_mul(160).to_be_bytes());
        let now = Duration::from_millis(20) * number;
        buffer.push(now, &datagram);
        while buffer.pop(now, &mut samples).is_some() {}
        number += 1;
    });
}

/// One packet in and one frame out, on average.
fn playout(bencher: Bencher<'_, '_>, codec: Codec, rate_hz: u32, network: Network) {
    let opus = OpusSettings { fec: true, dtx: false, bitrate_max: None, ..OpusSettings::default() };
    let mut encoder = Encoder::new(codec, rate_hz, opus).expect("a codec that is there");
    let payloads: Vec<Vec<u8>> = (0..50).map(|n| payload(&mut encoder, rate_hz, n)).collect();
    let mut playout = Playout::new(codec, rate_hz).expect("a codec that is there");
    let mut way = Way::new(1);
    let mut under_way = Vec::with_capacity(64);
    let mut frame = vec![0; rate_hz as usize / 50];
    let mut number = 0_u32;
    bencher.bench_local(|| {
        let now = Duration::from_millis(20) * number;
        under_way.extend(way.send(now, &network).into_iter().flatten().map(|at| (at, number)));
        while let Some(index) = under_way.iter().position(|(at, _)| *at <= now) {
            let (at, number) = under_way.swap_remove(index);
            let payload = Payload::Audio(&payloads[number as usize % payloads.len()]);
            let timestamp = number.wrapping_mul(codec.clock_hz() / 50);
            playout.push(at, Packet { ssrc: Ssrc(1), sequence: number as u16, timestamp, payload });
        }
        number += 1;
        playout.pull(now, &mut frame)
    });
}

fn payload(encoder: &mut Encoder, rate_hz: u32, number: usize) -> Vec<u8> {
    let count = rate_hz as usize / 50;
    let voice = |at: usize| {
        let phase = at as f64 * 820.0 / f64::from(rate_hz);
        (5_000.0 * phase.sin() + 2_000.0 * (3.0 * phase).sin()) as i16
    };
    let samples: Vec<i16> = (number * count..(number + 1) * count).map(voice).collect();
    let mut payload = Vec::new();
    encoder.encode(&samples, &mut payload).expect("20 ms are a packet");
    payload
}
