//! Streams that talk to each other in simulated time.

use media::network::Network;
use media::srtp::{MASTER_BYTES_MAX, MasterKey, Suite};

use super::*;
use crate::clip::Clip;

/// Its SSRC is a whole number of packet times, so that the stream begins at once.
const SEED: u64 = 0x0000_4e20_fff0_0000;

#[test]
fn a_clean_stream_is_judged_clean() {
    let stats = heard(|packets| packets);
    assert_eq!((stats.packets_received, stats.packets_lost, stats.timestamp_jumps), (100, 0, 0));
    assert_eq!((stats.duplicates, stats.reordered, stats.ssrc_changes), (0, 0, 0));
    assert!(stats.jitter_ms < 0.1 && (stats.gap_ms_max - 20.0).abs() < 0.1);
}

#[test]
fn faults_are_seen() {
    let lost = heard(|mut packets| {
        packets.remove(50);
        packets
    });
    assert_eq!((lost.packets_lost, lost.packets_received, lost.timestamp_jumps), (1, 99, 0));

    let twice = heard(|mut packets| {
        packets.insert(51, packets[50].clone());
        packets
    });
    assert_eq!((twice.duplicates, twice.packets_received), (1, 100));

    let swapped = heard(|mut packets| {
        packets.swap(50, 51);
        packets
    });
    assert_eq!((swapped.reordered, swapped.packets_lost), (1, 0));

    let jumped = heard(|mut packets| {
        packets.iter_mut().skip(50).for_each(|(_, packet)| packet[5] ^= 1);
        packets
    });
    assert_eq!(jumped.timestamp_jumps + jumped.timestamp_steps_back, 1);

    let changed = heard(|mut packets| {
        packets.iter_mut().skip(50).for_each(|(_, packet)| packet[8] ^= 1);
        packets
    });
    assert_eq!(changed.ssrc_changes, 1);
}

#[test]
fn what_is_said_is_heard() {
    let (mut speaker, mut listener) = pair(Audio::tone(400, 0.5));
    let packets = sent(&mut speaker);
    for (at, packet) in packets {
        listener.receive(at, &packet);
    }
    let recording = listener.recording();
    assert_eq!(recording.samples.len(), 16_000);
    // 400 Hz at 8 kHz repeats after 20 samples; quantisation is far below a tenth.
    let repeats = recording.samples.windows(21).all(|w| (i32::from(w[0]) - i32::from(w[20])).abs() < 600);
    let peak = recording.samples.iter().map(|s| s.unsigned_abs()).max();
    assert!(repeats && peak > Some(15_000), "{peak:?}");
    assert_eq!(recording.received.since(&speaker.recording().sent).percentiles().max_ms, 0.0);
}

#[test]
fn stamps_tell_the_way() {
    let (mut speaker, mut listener) = pair(Audio::Stamped);
    for (at, packet) in sent(&mut speaker) {
        listener.receive(at + Duration::from_millis(3), &packet);
    }
    let percentiles = listener.latencies().percentiles();
    assert_eq!((percentiles.count, percentiles.p50_ms, percentiles.p99_ms), (100, 3.0, 3.0));
}

#[test]
fn a_late_sender_leaves_packets_out_and_keeps_time() {
    let (mut speaker, _) = pair(Audio::Silence);
    let mut count = 0;
    speaker.tick(Duration::ZERO, |_, _| count += 1);
    speaker.tick(Duration::from_secs(2), |_, _| count += 1);
    assert!(count <= 12, "{count} packets at once");
    assert_eq!(speaker.deadline(), Some(Duration::from_millis(2_020)));
    assert_eq!(speaker.audio_position(), 101 * 160);
}

#[test]
fn every_codec_is_heard_at_every_packet_time() {
    for codec in Codec::ALL {
        for ptime_ms in [10, 20, 30, 40, 60] {
            // Our encoder makes no Opus packets of 30 ms.
            if (codec, ptime_ms) == (Codec::Opus, 30) {
                continue;
            }
            let plan = StreamPlan { ptime_ms: Some(ptime_ms), network: None };
            let mut pair = Pair::new(agreed(codec), Audio::tone(1_000, 0.5), Audio::Silence, [plan; 2]);
            pair.run(Duration::from_secs(2));
            let (said, heard) = (pair.one.stats(), pair.other.recording());
            assert_eq!(heard.stats.packets_received, 2_000_u64.div_ceil(ptime_ms.into()), "{codec:?} {ptime_ms} ms");
            assert_eq!(
                (heard.stats.timestamp_jumps, heard.stats.timestamp_steps_back),
                (0, 0),
                "{codec:?} {ptime_ms} ms"
            );
            assert_eq!(heard.stats.audio_received, said.audio_sent, "{codec:?} {ptime_ms} ms");
            let (tone, other) = (strength(&heard.samples, 1_000.0), strength(&heard.samples, 600.0));
            assert!(tone > 0.3 && other < 0.03, "{codec:?} {ptime_ms} ms: {tone} and {other}");
        }
    }
}

#[test]
fn a_clip_sounds_as_its_samples_do() {
    let wave = |n: u32| (12_000.0 * (std::f32::consts::TAU * 700.0 * n as f32 / 16_000.0).sin()) as i16;
    let samples: Vec<i16> = (0..19_200).map(wave).collect();
    for (codec, ptime_ms) in [(Codec::Opus, 20), (Codec::G722, 20), (Codec::Pcmu, 40)] {
        // Encoded before or on the way.
        for formats in [vec![(codec, ptime_ms)], vec![]] {
            let clip = Clip::new(samples.clone(), &formats);
            let plan = StreamPlan { ptime_ms: Some(ptime_ms), network: None };
            let mut pair = Pair::new(agreed(codec), Audio::Clip(clip), Audio::Silence, [plan; 2]);
            pair.run(Duration::from_secs(2));
            let tone = strength(&pair.other.recording().samples, 700.0);
            assert!(tone > 0.25, "{codec:?} {formats:?}: {tone}");
        }
    }
}

#[test]
fn keys_are_pressed_in_the_place_of_audio() {
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        for ptime_ms in [10, 20, 60] {
            let plan = StreamPlan { ptime_ms: Some(ptime_ms), network: None };
            let mut pair = Pair::new(agreed(codec), Audio::tone(400, 0.5), Audio::Silence, [plan; 2]);
            pair.run(Duration::from_millis(500));
            let keys: Vec<dtmf::Key> = "159#".chars().map(|key| dtmf::Key::try_from(key).expect("a key")).collect();
            pair.one.press(&keys);
            pair.run(Duration::from_secs(3));
            let pressed: Vec<StreamEvent> = keys.into_iter().map(StreamEvent::Key).collect();
            assert_eq!(pair.events, [vec![StreamEvent::First], pressed].concat(), "{codec:?} {ptime_ms} ms");
            let stats = pair.other.stats();
            assert_eq!((stats.keys_received, stats.packets_lost, stats.unexpected), (4, 0, 0), "{codec:?}");
            assert_eq!((stats.timestamp_jumps, stats.timestamp_steps_back), (0, 0), "{codec:?} {ptime_ms} ms");
        }
    }
}

#[test]
fn clicks_come_back_from_an_echo() {
    for codec in [Codec::Pcma, Codec::G722, Codec::Opus] {
        let clip = Clip::with_clicks(&[(codec, 20)]);
        let plan =
            StreamPlan { ptime_ms: None, network: Some(BadNetwork { network: Network::PERFECT, ..BadNetwork::NONE }) };
        let mut pair = Pair::new(agreed(codec), Audio::Clip(clip), Audio::Echo, [plan, StreamPlan::default()]);
        pair.run(Duration::from_secs(12));
        let (caller, echo) = (pair.one.recording(), pair.other.stats());
        // The last click may be under way.
        assert!((11..=12).contains(&caller.stats.clicks_heard), "{codec:?} {:?}", caller.stats);
        assert_eq!(caller.stats.clicks_sent, 12);
        assert_eq!((caller.stats.timestamp_jumps, echo.packets_received), (0, 600), "{codec:?}");
        // 10 ms each way; what our own codec needs does not count.
        let round_trips = caller.round_trips.percentiles();
        assert!((19.9..20.5).contains(&round_trips.p50_ms), "{codec:?}: {round_trips:?}");
        assert!(round_trips.max_ms - round_trips.p50_ms < 2.0, "{codec:?}: {round_trips:?}");
    }
}

#[test]
fn protected_streams_are_heard_and_forgeries_are_not() {
    for suite in Suite::ALL {
        let key = |octet| MasterKey::from_random(suite, &[octet; MASTER_BYTES_MAX]);
        let keys = |send, receive| Security::Keys(Box::new(SessionKeys { send: key(send), receive: key(receive) }));
        let settings = |security| StreamSettings { security, ..agreed(Codec::Pcma) };
        let plain = StreamPlan::default();
        let mut pair = Pair::new(agreed(Codec::Pcma), Audio::tone(400, 0.5), Audio::Silence, [plain; 2]);
        pair.one.configure(Duration::ZERO, settings(keys(1, 2)));
        pair.other.configure(Duration::ZERO, settings(keys(2, 1)));
        pair.run(Duration::from_secs(1));
        // A re-offer with the same keys goes on where it was.
        pair.one.configure(pair.now, settings(keys(1, 2)));
        pair.other.configure(pair.now, settings(keys(2, 1)));
        pair.run(Duration::from_secs(2));
        let heard = pair.other.recording();
        assert_eq!((heard.stats.packets_received, heard.stats.unexpected), (100, 0), "{suite:?}");
        assert!(strength(&heard.samples, 400.0) > 0.4, "{suite:?}");

        pair.one.configure(pair.now, settings(keys(3, 2)));
        pair.run(Duration::from_secs(3));
        let stats = pair.other.stats();
        assert_eq!((stats.packets_received, stats.unexpected), (100, 50), "{suite:?}");
    }
}

#[test]
fn a_bad_network_is_the_same_for_the_same_seed() {
    let network = Network {
        loss_per_mille: 50,
        duplicate_per_mille: 20,
        reorder_per_mille: 20,
        jitter_max: Duration::from_millis(15),
        ..BadNetwork::NONE.network
    };
    let history = |seed| {
        let plan = StreamPlan { ptime_ms: None, network: Some(BadNetwork { network, drift_ppm: 0, seed }) };
        let mut pair =
            Pair::new(agreed(Codec::Pcma), Audio::tone(400, 0.5), Audio::Silence, [plan, StreamPlan::default()]);
        pair.run(Duration::from_secs(20));
        (pair.one.stats(), pair.other.stats())
    };
    let (sent, heard) = history(7);
    assert_eq!(sent.packets_sent, 1_000);
    assert!((30..70).contains(&sent.network_lost_sent), "{sent:?}");
    assert!(heard.packets_lost.abs_diff(sent.network_lost_sent) <= 2, "{heard:?}");
    assert!(heard.duplicates > 5 && heard.reordered > 5 && heard.jitter_ms > 3.0, "{heard:?}");
    assert_eq!(history(7), (sent, heard));
    assert_ne!(history(8).1, heard);
}

#[test]
fn a_fast_clock_sends_more() {
    for (drift_ppm, expected) in [(-10_000, 990..=992), (0, 1_000..=1_000), (10_000, 1_009..=1_011)] {
        let plan = StreamPlan { ptime_ms: None, network: Some(BadNetwork { drift_ppm, ..BadNetwork::NONE }) };
        let mut pair = Pair::new(agreed(Codec::Pcma), Audio::Silence, Audio::Silence, [plan, StreamPlan::default()]);
        pair.run(Duration::from_secs(20));
        let received = pair.other.stats().packets_received;
        assert!(expected.contains(&received), "{drift_ppm} ppm: {received}");
    }
}

#[test]
fn control_packets_are_none_of_our_business() {
    let (_, mut listener) = pair(Audio::Silence);
    listener.receive(Duration::ZERO, &[0x80, 200, 0, 6, 0, 0, 0, 1]);
    listener.receive(Duration::ZERO, &[0x80]);
    let stats = listener.stats();
    assert_eq!((stats.control_packets, stats.unexpected), (1, 1));
}

/// Two streams, one sending to the other, in simulated time.
struct Pair {
    one: Stream,
    other: Stream,
    now: Duration,
    /// What the other one was told.
    events: Vec<StreamEvent>,
}

impl Pair {
    fn new(settings: StreamSettings, says: Audio, other_says: Audio, plans: [StreamPlan; 2]) -> Self {
        let keep = Keep { audio_seconds: 20, trace: false };
        let mut one = Stream::new(1, says, SEED, keep, plans[0]);
        let mut other = Stream::new(2, other_says, SEED + 1, keep, plans[1]);
        one.configure(Duration::ZERO, settings.clone());
        other.configure(Duration::ZERO, settings);
        Pair { one, other, now: Duration::ZERO, events: Vec::new() }
    }

    /// Runs until just before `end`.
    fn run(&mut self, end: Duration) {
        while let Some(next) = self.one.deadline().into_iter().chain(self.other.deadline()).min().filter(|at| *at < end)
        {
            self.now = next;
            let (mut there, mut back) = (Vec::new(), Vec::new());
            self.one.tick(next, |_, packet| there.push(packet));
            there.iter().for_each(|packet| self.other.receive(next, packet));
            self.other.tick(next, |_, packet| back.push(packet));
            back.iter().for_each(|packet| self.one.receive(next, packet));
            self.events.extend(self.other.take_events());
        }
        self.now = end;
    }
}

fn agreed(codec: Codec) -> StreamSettings {
    let remote = Some(([127, 0, 0, 1], 4_000).into());
    StreamSettings::plain(remote, codec, codec.static_payload_type().unwrap_or(111)).with_events(Some(101))
}

/// How much of a tone is in the samples: the amplitude at `hz`, 0-1.
fn strength(samples: &[i16], hz: f64) -> f64 {
    // The first packets are left out: codecs need some to begin.
    let samples = &samples[800..8_800];
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (sin, cos) = (std::f64::consts::TAU * hz * n as f64 / 8_000.0).sin_cos();
        re += f64::from(*sample) / 32_768.0 * cos;
        im += f64::from(*sample) / 32_768.0 * sin;
    }
    2.0 * re.hypot(im) / samples.len() as f64
}

fn heard(change: impl FnOnce(Vec<(Duration, Vec<u8>)>) -> Vec<(Duration, Vec<u8>)>) -> StreamStats {
    let (mut speaker, mut listener) = pair(Audio::tone(400, 0.5));
    for (at, packet) in change(sent(&mut speaker)) {
        listener.receive(at, &packet);
    }
    listener.stats()
}

fn sent(speaker: &mut Stream) -> Vec<(Duration, Vec<u8>)> {
    let mut packets = Vec::new();
    for n in 0..100 {
        let now = PACKET_TIME * n;
        speaker.tick(now, |_, packet| packets.push((now, packet)));
    }
    packets
}

fn pair(audio: Audio) -> (Stream, Stream) {
    let keep = Keep { audio_seconds: 10, trace: true };
    let settings = StreamSettings::plain(Some(([127, 0, 0, 1], 4_000).into()), Codec::Pcma, 8);
    let mut speaker = Stream::new(1, audio, SEED, keep, StreamPlan::default());
    let mut listener = Stream::new(2, Audio::Silence, 1, keep, StreamPlan::default());
    speaker.configure(Duration::ZERO, settings.clone());
    listener.configure(Duration::ZERO, settings);
    (speaker, listener)
}
