//! Packets in every order and condition; what must hold is order, no repetition, and a true time axis.

use proptest::prelude::*;

use super::*;
use crate::codec::{Encoder, OpusSettings};
use crate::g711;

const PACKET: u64 = 160;

#[test]
fn in_order_is_given_out_at_once() {
    let mut bench = Bench::new();
    for n in 0..5 {
        bench.packet(n * 20, n as u16, n as u32 * 160);
        bench.expect(&[(n * PACKET, PieceKind::Heard, n as u16)]);
    }
    assert_eq!(bench.buffer.time_of(800), Some(ms(1_100)));
}

#[test]
fn swapped_packets_are_put_right() {
    let mut bench = Bench::new();
    bench.packet(0, 0, 0);
    bench.packet(21, 2, 320);
    bench.packet(22, 1, 160);
    bench.expect(&[(0, PieceKind::Heard, 0), (160, PieceKind::Heard, 1), (320, PieceKind::Heard, 2)]);
}

#[test]
fn duplicates_and_other_payload_types_are_dropped() {
    let mut bench = Bench::new();
    bench.packet(0, 0, 0);
    bench.packet(1, 0, 0);
    bench.buffer.push(ms(1_005), &datagram(101, 7, 1, 160, &[0; 4]));
    bench.packet(40, 2, 320);
    bench.expect(&[(0, PieceKind::Heard, 0)]);
    let stats = bench.buffer.stats();
    assert_eq!((stats.duplicates, stats.ignored, stats.lost), (1, 1, 0), "an event packet is not a loss");
}

#[test]
fn a_loss_is_concealed_for_sixty_milliseconds_then_silent() {
    let mut bench = Bench::new();
    bench.packet(0, 0, 0);
    bench.expect(&[(0, PieceKind::Heard, 0)]);
    bench.packet(100, 5, 800);
    bench.wait(165);
    let kinds: Vec<PieceKind> = bench.drain().iter().map(|(piece, _)| piece.kind).collect();
    let concealed = PieceKind::Concealed;
    assert_eq!(kinds, [concealed, concealed, concealed, PieceKind::Silence, PieceKind::Heard]);
    let stats = bench.buffer.stats();
    assert_eq!((stats.lost, stats.concealed_samples, stats.silence_samples), (4, 480, 160));
}

#[test]
fn concealment_fades() {
    let mut bench = Bench::new();
    bench.packet(0, 3, 0);
    bench.wait(200);
    let pieces = bench.drain();
    let peak = |samples: &[f32]| samples.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
    let peaks: Vec<f32> = pieces.iter().take(4).map(|(_, samples)| peak(samples)).collect();
    assert!(peaks[0] >= peaks[1] && peaks[1] > peaks[2] && peaks[2] > peaks[3] && peaks[3] > 0.0, "{peaks:?}");
}

#[test]
fn a_pause_is_filled_by_time() {
    let mut bench = Bench::new();
    bench.packet(0, 0, 0);
    bench.wait(1_000);
    let end = bench.drain().last().map(|(piece, samples)| piece.position + samples.len() as u64);
    let end = end.expect("a pause is not nothing");
    assert!((7_300..=8_000).contains(&end), "{end}");
    // The sender's clock went on: the packet stands where it was said.
    bench.packet(1_000, 1, 8_000);
    bench.wait(1_061);
    let heard = bench.drain().into_iter().find(|(piece, _)| piece.kind == PieceKind::Heard);
    assert_eq!(heard.expect("after the pause").0.position, 8_000);
}

#[test]
fn a_clock_that_stood_still_does_not_pull_time_back() {
    let mut bench = Bench::new();
    bench.packet(0, 0, 0);
    bench.wait(5_000);
    bench.drain();
    bench.packet(5_000, 1, 160);
    let heard = bench.drain();
    let position = heard.first().expect("heard at once").0.position;
    assert!((39_300..=40_000).contains(&position), "{position}");
}

#[test]
fn a_timestamp_jump_stays_on_the_time_axis() {
    for jump in [1_000_000_u32, 0x8000_0000, 0xffff_0000] {
        let mut bench = Bench::new();
        bench.packet(0, 0, 0);
        bench.drain();
        bench.packet(20, 1, 160_u32.wrapping_add(jump));
        bench.packet(40, 2, 320_u32.wrapping_add(jump));
        bench.wait(110);
        let heard: Vec<u64> =
            bench.drain().iter().filter(|(p, _)| p.kind == PieceKind::Heard).map(|(p, _)| p.position).collect();
        assert_eq!(heard, [160, 320], "jump of {jump}");
    }
}

#[test]
fn a_new_source_goes_on_in_time() {
    let mut bench = Bench::new();
    bench.packet(0, 0, 0);
    bench.buffer.push(ms(1_020), &datagram(0, 8, 40_000, 77, &[9; 160]));
    bench.packet(21, 1, 160);
    bench.buffer.push(ms(1_040), &datagram(0, 8, 40_001, 77 + 160, &[10; 160]));
    bench.expect(&[(0, PieceKind::Heard, 0), (160, PieceKind::Heard, 9), (320, PieceKind::Heard, 10)]);
    let stats = bench.buffer.stats();
    assert_eq!((stats.resyncs, stats.late, stats.lost), (1, 1, 0), "the straggler of the old source is late");
}

#[test]
fn a_stall_and_its_burst_end_near_real_time() {
    let mut bench = Bench::new();
    for n in 0..10_u64 {
        bench.packet(n * 20, n as u16, n as u32 * 160);
    }
    bench.drain();
    bench.wait(1_200);
    bench.drain();
    for n in 10..60_u64 {
        bench.packet(1_200, n as u16, n as u32 * 160);
    }
    for n in 60..300_u64 {
        bench.packet(n * 20, n as u16, n as u32 * 160);
        bench.drain();
    }
    let ahead = bench.buffer.cursor as i64 - 300 * 160;
    assert!(ahead.unsigned_abs() <= WINDOW + LEAD, "{ahead} samples off after the burst has settled");
}

#[test]
fn a_fast_clock_is_followed() {
    let mut bench = Bench::new();
    for n in 0..5_000_u64 {
        // 1 % fast: after 100 s its own clock would be a second off.
        bench.packet(n * 20 - n / 5, n as u16, n as u32 * 160);
        bench.drain();
        bench.hold_time();
    }
    assert!(bench.buffer.stats().resyncs > 5);
}

#[test]
fn noise_is_counted_and_forgotten() {
    let mut bench = Bench::new();
    bench.buffer.push(ms(0), b"");
    bench.buffer.push(ms(0), b"hello, I am no packet at all");
    bench.buffer.push(ms(0), &datagram(0, 7, 0, 0, &[0; 900]));
    bench.expect(&[]);
    assert_eq!(bench.buffer.stats().refused, 3);
    assert_eq!(bench.buffer.deadline(), None);
}

#[test]
fn every_codec_stands_where_it_was_said() {
    for codec in Codec::ALL {
        for packet_ms in [20, 40, 60] {
            let opus = OpusSettings { fec: true, dtx: false, bitrate_max: None, ..OpusSettings::default() };
            let rate_hz = codec.audio_rate_hz();
            let mut encoder = Encoder::new(codec, rate_hz, opus).expect("every codec");
            let mut buffer = JitterBuffer::new(codec, 96);
            let mut samples = Vec::new();
            let (mut heard, mut next) = (0, 0);
            for n in 0..50_u32 {
                let count = (rate_hz * packet_ms / 1_000) as usize;
                let said: Vec<i16> = (0..count).map(|at| (5_000.0 * (at as f64 * 0.3).sin()) as i16).collect();
                let mut payload = Vec::new();
                encoder.encode(&said, &mut payload).expect("one packet");
                let now = ms(u64::from(n * packet_ms) + 1_000);
                // One is lost, and after the thirtieth the sender pauses for a second.
                let pause = if n >= 30 { 1_000 } else { 0 };
                let now = now + ms(pause);
                let timestamp = (u64::from(n * packet_ms) + pause) as u32 * (codec.clock_hz() / 1_000);
                if n != 10 {
                    buffer.push(now, &datagram(96, 7, n as u16, timestamp, &payload));
                }
                while let Some(piece) = buffer.pop(now, &mut samples) {
                    assert_eq!(piece.position, next, "{codec:?}");
                    next += samples.len() as u64;
                    heard += if piece.kind == PieceKind::Heard { samples.len() as u64 } else { 0 };
                }
            }
            assert_eq!(heard, u64::from(49 * packet_ms) * 8, "{codec:?}, {packet_ms} ms");
            let stats = buffer.stats();
            assert_eq!((stats.lost, stats.late, stats.refused, stats.resyncs), (1, 0, 0, 0), "{codec:?}: {stats:?}");
            // The loss, and the beginning of the pause, which looks like one.
            let concealed_max = u64::from(packet_ms) * 8 + CONCEAL_MAX;
            assert!((1..=concealed_max).contains(&stats.concealed_samples), "{codec:?}: {stats:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_order_within_the_window_is_put_right(delays in proptest::collection::vec((0_u64..58, any::<bool>(), any::<bool>()), 2..120)) {
        // Each packet: network delay, lost or not, sent twice or not. The first is heard on time.
        let mut arrivals: Vec<(u64, u16)> = vec![(0, 0)];
        for (n, (delay, lost, twice)) in delays.iter().enumerate().skip(1) {
            let n = n as u16;
            let at = u64::from(n) * 20 + delay;
            if !lost || delay % 3 != 0 {
                arrivals.push((at, n));
            }
            if *twice {
                arrivals.push((at + 1, n));
            }
        }
        arrivals.sort_unstable();

        let mut bench = Bench::new();
        let mut heard = Vec::new();
        let mut next = 0;
        for (at, n) in arrivals.clone() {
            bench.wait(at);
            bench.packet(at, n, u32::from(n) * 160);
            for (piece, samples) in bench.drain() {
                prop_assert_eq!(piece.position, next);
                next += samples.len() as u64;
                if piece.kind == PieceKind::Heard {
                    heard.push((piece.position, mark(&samples)));
                }
            }
            bench.hold_time();
        }
        bench.wait(4_000);
        heard.extend(bench.drain().iter().filter(|(p, _)| p.kind == PieceKind::Heard).map(|(p, s)| (p.position, mark(s))));

        let mut sent: Vec<u16> = arrivals.iter().map(|(_, n)| *n).collect();
        sent.sort_unstable();
        sent.dedup();
        let expected: Vec<(u64, u16)> = sent.iter().map(|n| (u64::from(*n) * PACKET, *n)).collect();
        prop_assert_eq!(heard, expected);
    }

    #[test]
    fn whatever_comes_time_holds_and_memory_is_bounded(
        events in proptest::collection::vec((0_u64..300, 0_u8..6, any::<u16>(), any::<u32>(), 0_usize..900), 0..200)
    ) {
        let mut bench = Bench::new();
        let (mut at, mut sequence, mut timestamp) = (0, 0_u16, 0_u32);
        let mut next = 0;
        for (wait, what, n, t, length) in events {
            at += wait;
            bench.wait(at);
            sequence = sequence.wrapping_add(1);
            timestamp = timestamp.wrapping_add(160);
            match what {
                0 => sequence = n,
                1 => timestamp = t,
                2 => bench.buffer.push(bench.now, &datagram(0, u32::from(n % 3), n, t, &vec![1; length])),
                3 => bench.buffer.push(bench.now, &t.to_be_bytes().repeat(length / 8)),
                _ => {}
            }
            bench.packet(at, sequence, timestamp);
            for (piece, samples) in bench.drain() {
                prop_assert!(!samples.is_empty() && samples.len() <= PAYLOAD_MAX);
                prop_assert_eq!(piece.position, next);
                next += samples.len() as u64;
            }
            bench.hold_time();
            prop_assert!(bench.buffer.pending.len() <= PENDING_MAX);
            prop_assert!(bench.buffer.deadline().is_none_or(|deadline| deadline > bench.now), "nothing is left undone");
        }
    }
}

/// A buffer and the time; packets carry their number as their sound.
struct Bench {
    buffer: JitterBuffer,
    now: Duration,
}

impl Bench {
    fn new() -> Self {
        Bench { buffer: JitterBuffer::new(Codec::Pcmu, 0), now: ms(1_000) }
    }

    /// A packet of 20 ms that arrives `at` milliseconds after the start.
    fn packet(&mut self, at: u64, sequence: u16, timestamp: u32) {
        self.wait(at);
        let sound = (sequence % 128) as u8;
        self.buffer.push(self.now, &datagram(0, 7, sequence, timestamp, &[sound; 160]));
    }

    fn wait(&mut self, at: u64) {
        self.now = self.now.max(ms(1_000 + at));
    }

    fn drain(&mut self) -> Vec<(Piece, Vec<f32>)> {
        let mut samples = Vec::new();
        let mut pieces = Vec::new();
        while let Some(piece) = self.buffer.pop(self.now, &mut samples) {
            pieces.push((piece, samples.clone()));
        }
        pieces
    }

    /// The position never leaves real time by more than the waits and one packet.
    #[track_caller]
    fn hold_time(&self) {
        let Some(start) = self.buffer.start else { return };
        let now = position_at(start, self.now);
        let cursor = self.buffer.cursor;
        assert!(cursor + WINDOW + PIECE > now, "{cursor} is behind {now}");
        assert!(cursor <= now + LEAD + PAYLOAD_MAX as u64, "{cursor} is ahead of {now}");
    }

    /// `expected`: position, kind and the packet's number.
    #[track_caller]
    fn expect(&mut self, expected: &[(u64, PieceKind, u16)]) {
        let got: Vec<(u64, PieceKind, u16)> =
            self.drain().iter().map(|(piece, samples)| (piece.position, piece.kind, mark(samples))).collect();
        assert_eq!(got, expected);
    }
}

/// The packet's number, told from its sound; the beginning is still joined to a loss before it.
fn mark(samples: &[f32]) -> u16 {
    let loudest = samples.last().copied().unwrap_or_default();
    u16::from(g711::encode_sample(g711::Law::Mu, g711::to_i16(loudest)))
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn datagram(payload_type: u8, ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&timestamp.to_be_bytes());
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
