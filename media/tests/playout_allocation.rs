//! Once it is made, a playout buffer asks the allocator for nothing, in whatever network.

mod counting;

use std::time::Duration;

use media::codec::{Encoder, OpusSettings};
use media::network::{Bursts, Network, Way};
use media::playout::{Packet, Payload, Playout};
use media::{Codec, Ssrc};

const SECONDS: u64 = 30;

#[test]
fn push_and_pull_allocate_nothing() {
    for codec in Codec::ALL {
        for rate_hz in [8_000, 16_000] {
            let arrivals = arrivals(codec, rate_hz);
            let mut playout = Playout::new(codec, rate_hz).expect("every codec at both rates");
            let mut frame = vec![0; rate_hz as usize / 50];
            let before = counting::calls();
            let mut next = arrivals.iter().peekable();
            for tick in 0..SECONDS * 50 {
                let now = Duration::from_millis(tick * 20);
                while let Some((at, sequence, payload)) = next.next_if(|(at, ..)| *at <= now) {
                    let timestamp = u32::from(*sequence) * codec.clock_hz() / 50;
                    let payload = Payload::Audio(payload);
                    playout.push(*at, Packet { ssrc: Ssrc(1), sequence: *sequence, timestamp, payload });
                }
                playout.pull(now, &mut frame);
            }
            assert_eq!(counting::calls() - before, 0, "{codec:?} at {rate_hz} Hz");
            let stats = playout.stats();
            assert!(stats.packets > 1_000 && stats.concealed_samples > 0 && stats.removed_samples > 0, "{stats:?}");
        }
    }
}

/// Jitter that comes and goes, and bursts of loss.
fn arrivals(codec: Codec, rate_hz: u32) -> Vec<(Duration, u16, Vec<u8>)> {
    let opus = OpusSettings { fec: true, dtx: false, bitrate_max: None, ..OpusSettings::default() };
    let mut encoder = Encoder::new(codec, rate_hz, opus).expect("every codec at both rates");
    let mut way = Way::new(11);
    let mut arrivals = Vec::new();
    let samples = rate_hz as usize / 50;
    for n in 0..(SECONDS * 50) as usize {
        let voice = |at: usize| (6_000.0 * (at as f64 * 900.0 / f64::from(rate_hz)).sin()) as i16;
        let said: Vec<i16> = (n * samples..(n + 1) * samples).map(voice).collect();
        let mut payload = Vec::new();
        encoder.encode(&said, &mut payload).expect("20 ms are a packet");
        let bursts = Bursts { begin_per_mille: 10, end_per_mille: 300, loss_per_mille: 900 };
        let jitter_max = Duration::from_millis(if n < 500 { 120 } else { 0 });
        let network = Network { bursts: Some(bursts), jitter_max, duplicate_per_mille: 20, ..Network::PERFECT };
        let came = way.send(Duration::from_millis(20 * n as u64), &network);
        arrivals.extend(came.into_iter().flatten().map(|at| (at, n as u16, payload.clone())));
    }
    arrivals.sort_by_key(|(at, ..)| *at);
    arrivals
}
