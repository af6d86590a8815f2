//! One leg through networks of every kind, in simulated time; seeds are printed when something fails.

use proptest::prelude::*;

use super::*;
use crate::g711;
use crate::network::{Bursts, Network, Random};

mod simulation;

use simulation::{Names, Scene, chirp, ms};

#[test]
fn a_perfect_network_changes_no_sample() {
    for seed in 0..20 {
        for frame_ms in [10, 20] {
            for packet_ms in [10, 20, 30, 60] {
                let report = Scene { seed, frame_ms, packet_ms, seconds: 3, ..Scene::new(seed) }.run();
                let heard = report.heard();
                let begin = heard.iter().position(|sample| *sample != 0).expect("something is heard");
                let wanted = report.sent.iter().map(|s| through_g711(*s)).skip_while(|sample| *sample == 0);
                let count = heard.len() - begin;
                let differs = wanted.take(count).zip(&heard[begin..]).position(|(a, b)| a != *b);
                assert_eq!(differs, None, "seed {seed}, frames of {frame_ms} ms, packets of {packet_ms} ms");
                // 10 ms of network, the packet itself, 20 ms of delay; a frame is as late as its tick.
                let late_ms = begin as u64 / 8;
                assert!(late_ms <= 10 + packet_ms + 20, "{late_ms} ms");
                assert_eq!(
                    (report.stats.late, report.stats.removed_samples, report.stats.concealed_samples),
                    (0, 0, 0)
                );
            }
        }
    }
}

#[test]
fn jitter_is_followed_up_at_once_and_down_again() {
    for seed in 0..8 {
        let network = |second: f64| match second {
            5.0..15.0 => Network { jitter_max: ms(100), keeps_order: true, ..Network::PERFECT },
            _ => Network::PERFECT,
        };
        let report = Scene { seed, seconds: 30, network, ..Scene::new(seed) }.run();
        report.assert_order(0.300, seed);
        let at = |second: f64| report.frames.iter().find(|frame| frame.second >= second).expect("a frame").stats;
        assert!(at(6.0).target_ms > 60, "seed {seed}: {:?}", at(6.0));
        let late_between = |from: f64, to: f64| at(to).late - at(from).late;
        assert!(late_between(6.0, 15.0) <= 20, "seed {seed}: {}", late_between(6.0, 15.0));
        assert!(at(24.0).target_ms <= 24 && at(24.0).delay_ms <= 40, "seed {seed}: {:?}", at(24.0));
        assert!(at(24.0).removed_samples > 0);
    }
}

#[test]
fn a_drifting_clock_neither_overflows_nor_drains() {
    for drift_ppm in [-200, 200] {
        let report = Scene { drift_ppm, seconds: 600, ..Scene::new(3) }.run();
        report.assert_order(0.100, 3);
        let stats = report.stats;
        assert_eq!((stats.late, stats.lost, stats.resyncs), (0, 0, 0), "{drift_ppm}: {stats:?}");
        // 120 ms of drift in all; what is concealed is the moment of a packet that came just too late.
        assert!(stats.concealed_samples <= 800, "{drift_ppm}: {stats:?}");
        let changed = stats.removed_samples + stats.inserted_samples;
        assert!((500..=2_000).contains(&changed), "{drift_ppm}: {stats:?}");
        assert!(stats.delay_ms <= 45, "{drift_ppm}: {stats:?}");
    }
}

#[test]
fn steps_of_the_delay_are_followed() {
    for (up_ms, seed) in [(60, 1), (120, 2), (300, 3)] {
        let network: fn(f64) -> Network = match up_ms {
            60 => |second| stepped(second, 60),
            120 => |second| stepped(second, 120),
            _ => |second| stepped(second, 300),
        };
        let report = Scene { seed, network, ..Scene::new(seed) }.run();
        report.assert_order(0.035 + 0.020 + 0.060 + up_ms as f64 / 1_000.0 + 0.200, seed);
        let at = |second: f64| report.frames.iter().find(|frame| frame.second >= second).expect("a frame");
        let calm = at(29.0);
        assert!(calm.stats.delay_ms <= 45, "{up_ms} ms: {:?}", calm.stats);
        let silent = report.frames.iter().filter(|frame| frame.second > 1.0 && frame.kind != FrameKind::Heard).count();
        assert!(silent as u64 * 20 <= up_ms + 400, "{up_ms} ms: {silent} frames");
    }
}

#[test]
fn pauses_of_the_sender_are_no_loss() {
    let is_pause = |second: f64| second % 3.0 > 1.7;
    let network = |_: f64| Network { jitter_max: ms(30), keeps_order: true, ..Network::PERFECT };
    let report = Scene { is_pause, network, ..Scene::new(5) }.run();
    report.assert_order(0.130, 5);
    assert_eq!((report.stats.lost, report.stats.late, report.stats.resyncs), (0, 0, 0), "{:?}", report.stats);
    // Ten pauses; each begins like a loss, because nobody can know.
    assert!(report.stats.concealed_samples <= 10 * 640, "{:?}", report.stats);
    assert!(report.stats.silence_samples > 10 * 8_000, "{:?}", report.stats);
}

#[test]
fn jumps_and_new_sources_go_on_where_real_time_is() {
    let cases: [(&str, Names); 7] = [
        ("timestamps forward", |second| (7, 0, if second < 5.0 { 0 } else { 3_000_000 })),
        ("timestamps back", |second| (7, 0, if second < 5.0 { 0 } else { 0_u32.wrapping_sub(3_000_000) })),
        ("timestamps a little back", |second| (7, 0, if second < 5.0 { 0 } else { 0_u32.wrapping_sub(2_000) })),
        ("timestamps a little forward", |second| (7, 0, if second < 5.0 { 0 } else { 2_000 })),
        ("sequence", |second| (7, if second < 5.0 { 0 } else { 20_000 }, 0)),
        ("sequence back", |second| (7, if second < 5.0 { 0 } else { 0_u16.wrapping_sub(5_000) }, 0)),
        ("source", |second| if second < 5.0 { (7, 0, 0) } else { (8, 12_345, 0x8765_4321) }),
    ];
    for (name, names) in cases {
        let report = Scene { names, seconds: 12, ..Scene::new(9) }.run();
        report.assert_order(0.320, 9);
        let heard = |from: f64, to: f64| {
            let frames = report.frames.iter().filter(|frame| (from..to).contains(&frame.second));
            frames.filter(|frame| frame.kind == FrameKind::Heard).count()
        };
        assert!(heard(5.0, 5.5) >= 23, "{name}: {} of 25 frames after the jump", heard(5.0, 5.5));
        assert_eq!(heard(6.0, 11.0), 250, "{name}");
        let last = report.frames.last().expect("frames").stats;
        assert!(last.delay_ms <= 45, "{name}: {last:?}");
    }
}

#[test]
fn key_presses_and_comfort_noise_are_no_loss() {
    let mut playout = Playout::new(Codec::Pcmu, 8_000).expect("G.711");
    let mut frame = [0; 160];
    let mut kinds = Vec::new();
    for n in 0..300_u64 {
        let payload = match n {
            0..100 | 200.. => Payload::Audio(&[0x12; 160]),
            // Twice fifty packets of a key press, one of comfort noise and silence.
            100..150 => Payload::Other,
            150 => Payload::ComfortNoise { level: 60 },
            _ => Payload::Audio(&[]),
        };
        if payload != Payload::Audio(&[]) {
            let sequence = if n < 200 { n as u16 } else { n as u16 - 49 };
            let timestamp = if (100..150).contains(&n) { 16_000 } else { n as u32 * 160 };
            playout.push(ms(20 * n), Packet { ssrc: Ssrc(1), sequence, timestamp, payload });
        }
        kinds.push(playout.pull(ms(20 * n), &mut frame));
    }
    let stats = playout.stats();
    assert_eq!((stats.lost, stats.late, stats.resyncs, stats.concealed_samples), (0, 0, 0, 0), "{stats:?}");
    assert!(kinds[2..100].iter().chain(&kinds[203..]).all(|kind| *kind == FrameKind::Heard));
    assert!(kinds[103..200].iter().all(|kind| *kind == FrameKind::Silence));
}

#[test]
fn any_bad_network_is_survived_in_order_and_in_time() {
    for seed in 0..60 {
        let scene = any_scene(seed);
        let report = scene.run();
        // The network's longest way, the packet, the longest delay, what is over it, and a frame.
        let ways = 0.010 + 0.200 + 0.060;
        report.assert_order(ways + 0.020 + 0.200 + 0.020 + 0.060, seed);
    }
}

proptest! {
    #[test]
    fn whatever_comes_a_frame_comes_out(
        events in proptest::collection::vec((0_u64..400, 0_u8..9, any::<u16>(), any::<u32>(), 0_usize..600), 0..150),
        codec in prop::sample::select(vec![Codec::Pcmu, Codec::Pcma]),
    ) {
        let mut playout = Playout::new(codec, 8_000).expect("G.711");
        let (mut now, mut sequence, mut timestamp) = (0, 0_u16, 0_u32);
        let mut frame = [0_i16; 160];
        for (wait, what, n, t, length) in events {
            now += wait;
            sequence = sequence.wrapping_add(1);
            timestamp = timestamp.wrapping_add(160);
            let octets = vec![n as u8; length];
            let payload = match what {
                0 => Payload::Other,
                1 => Payload::ComfortNoise { level: n as u8 },
                _ => Payload::Audio(&octets),
            };
            match what {
                2 => sequence = n,
                3 => timestamp = t,
                4 => sequence = sequence.wrapping_sub(n % 40),
                _ => {}
            }
            let ssrc = Ssrc(if what == 5 { t % 3 } else { 1 });
            playout.push(ms(now), Packet { ssrc, sequence, timestamp, payload });
            if what != 6 {
                let length = if n % 3 == 0 { 80 } else { 160 };
                playout.pull(ms(now), &mut frame[..length]);
            }
            prop_assert!(playout.queue.len() <= 64);
            prop_assert!(playout.audio.ready() <= 8 * 200, "{} samples wait", playout.audio.ready());
        }
    }
}

fn through_g711(sample: i16) -> i16 {
    g711::decode_sample(g711::Law::Mu, g711::encode_sample(g711::Law::Mu, sample))
}

fn stepped(second: f64, up_ms: u64) -> Network {
    let up = if (8.0..16.0).contains(&second) { ms(up_ms) } else { ms(0) };
    Network { delay: ms(10) + up, ..Network::PERFECT }
}

fn any_scene(seed: u64) -> Scene {
    let mut random = Random::new(seed + 1_000);
    let networks: [fn(f64) -> Network; 6] = [
        |_| Network { loss_per_mille: 300, jitter_max: ms(40), ..Network::PERFECT },
        |_| Network { jitter_max: ms(200), keeps_order: true, duplicate_per_mille: 100, ..Network::PERFECT },
        |_| Network { jitter_max: ms(200), loss_per_mille: 50, ..Network::PERFECT },
        |_| Network {
            bursts: Some(Bursts { begin_per_mille: 30, end_per_mille: 150, loss_per_mille: 900 }),
            jitter_max: ms(20),
            ..Network::PERFECT
        },
        |_| Network { reorder_per_mille: 200, duplicate_per_mille: 200, loss_per_mille: 20, ..Network::PERFECT },
        |second| Network {
            delay: ms(10 + 30 * (second as u64 % 4)),
            jitter_max: ms(second as u64 % 3 * 40),
            loss_per_mille: 50,
            keeps_order: true,
            ..Network::PERFECT
        },
    ];
    let pauses: [fn(f64) -> bool; 3] = [|_| false, |second| second % 5.0 > 3.9, |second| (second * 7.0) % 3.0 > 2.8];
    let names: [Names; 3] = [
        |_| (7, 0, 0),
        |second| (second as u32 / 9, 0, 0),
        |second| (7, second as u16 / 8 * 9_000, second as u32 / 11 * 100_000),
    ];
    Scene {
        frame_ms: [10, 20][random.below(2) as usize],
        packet_ms: [10, 20, 20, 20, 30, 60][random.below(6) as usize],
        drift_ppm: random.below(401) as i64 - 200,
        network: networks[random.below(6) as usize],
        is_pause: pauses[random.below(3) as usize],
        names: names[random.below(3) as usize],
        ..Scene::new(seed)
    }
}

#[test]
fn concealment_beats_silence() {
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        let rate_hz = codec.audio_rate_hz();
        let network = |_: f64| Network { loss_per_mille: 100, ..Network::PERFECT };
        let report = Scene { codec, rate_hz, network, signal: vowel, seconds: 20, ..Scene::new(4) }.run();
        let whole = Scene { codec, rate_hz, signal: vowel, seconds: 20, ..Scene::new(4) }.run();
        let (mut snr_db, mut distance_db, mut silence_db, mut count) = (0.0, 0.0, 0.0, 0);
        for (frame, wanted) in report.frames.iter().zip(&whole.frames).skip(50) {
            if frame.kind != FrameKind::Concealed {
                continue;
            }
            let error = power(frame.samples.iter().zip(&wanted.samples).map(|(a, b)| f64::from(*a) - f64::from(*b)));
            let signal = power(wanted.samples.iter().map(|sample| f64::from(*sample)));
            snr_db += (10.0 * (signal / error).log10()).clamp(-10.0, 35.0);
            distance_db += spectral_distance_db(&frame.samples, &wanted.samples);
            silence_db += spectral_distance_db(&vec![0; frame.samples.len()], &wanted.samples);
            count += 1;
        }
        let mean = |sum: f64| sum / f64::from(count);
        let told = format!("{codec:?}: {:.1} dB, {:.1} of {:.1} dB", mean(snr_db), mean(distance_db), mean(silence_db));
        // Silence has a segmental signal-to-noise ratio of 0 dB.
        assert!(count > 50 && mean(snr_db) > 1.0 && mean(distance_db) < mean(silence_db) / 2.0, "{told}");
    }
}

#[test]
fn redundancy_of_opus_comes_in_time() {
    // Whatever the phase of the ticks: most packets lost alone are told of by the next one.
    for seed in 0..20 {
        let network = |_: f64| Network { loss_per_mille: 50, ..Network::PERFECT };
        let scene = || Scene { codec: Codec::Opus, rate_hz: 16_000, signal: vowel, ..Scene::new(seed) };
        let stats = Scene { network, ..scene() }.run().stats;
        let recovered = stats.recovered_samples / 320;
        assert!(stats.lost > 30 && recovered * 100 >= stats.lost * 80, "seed {seed}: {recovered} of {}", stats.lost);
        assert!(stats.concealed_samples <= stats.lost * 340, "seed {seed}: {stats:?}");
        assert_eq!(stats.delay_ms, 40, "seed {seed}");
    }
}

#[test]
fn silence_that_opus_leaves_out_is_no_loss_and_moves_nothing() {
    for seed in 0..8 {
        let spoken = |second: f64| if second % 4.0 < 2.0 { chirp(second) } else { 0.0 };
        let network = |_: f64| Network { jitter_max: ms(10), keeps_order: true, ..Network::PERFECT };
        let scene = Scene { codec: Codec::Opus, dtx: true, signal: spoken, network, ..Scene::new(seed) };
        let report = scene.run();
        let stats = report.stats;
        assert!(stats.packets < 1_100, "seed {seed}: nothing was left out, {} packets", stats.packets);
        assert_eq!((stats.lost, stats.late, stats.resyncs), (0, 0, 0), "seed {seed}: {stats:?}");
        // A pause may look like a loss at its beginning, and no longer.
        assert!(stats.concealed_samples <= 8 * 480, "seed {seed}: {} samples", stats.concealed_samples);
        assert!(stats.silence_samples > 8_000 * 8, "seed {seed}: {stats:?}");
        // What is said after each pause is heard when it should be, as far as a chirp through Opus tells.
        for begin in (4..28).step_by(4).map(f64::from) {
            let mut behind: Vec<f64> = Vec::new();
            behind.extend(
                report.delays().iter().filter(|(second, _)| (begin..begin + 2.0).contains(second)).map(|d| d.1),
            );
            behind.sort_by(f64::total_cmp);
            let median = behind.get(behind.len() / 2).copied().unwrap_or(f64::MAX);
            assert!(median < 0.120, "seed {seed}: {median} s behind after {begin} s, {} frames", behind.len());
        }
    }
}

/// A voice whose pitch and loudness move slowly.
fn vowel(second: f64) -> f64 {
    let phase = std::f64::consts::TAU * (130.0 * second - 4.0 * (second * 3.0).cos());
    let loud = 1.0 + 0.3 * (second * 5.0).sin();
    loud * (1..=12).map(f64::from).map(|n| 3_000.0 / n * (n * phase).sin()).sum::<f64>()
}

fn power(samples: impl Iterator<Item = f64>) -> f64 {
    samples.map(|sample| sample * sample).sum::<f64>() + 1.0
}

/// Mean distance of two log spectra, in bands of a few hundred hertz.
fn spectral_distance_db(a: &[i16], b: &[i16]) -> f64 {
    let bands = |samples: &[i16]| {
        let mut transform = realfft::RealFftPlanner::<f64>::new();
        let transform = transform.plan_fft_forward(samples.len());
        let mut time: Vec<f64> = samples.iter().map(|sample| f64::from(*sample)).collect();
        let mut spectrum = transform.make_output_vec();
        transform.process(&mut time, &mut spectrum).expect("lengths that fit");
        let band = |bins: &[realfft::num_complex::Complex<f64>]| {
            10.0 * (bins.iter().map(|bin| bin.norm_sqr()).sum::<f64>() + 1e4).log10()
        };
        spectrum.chunks(6).map(band).collect::<Vec<f64>>()
    };
    let (a, b) = (bands(a), bands(b));
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64
}
