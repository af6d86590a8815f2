//! What is asked of a transcoder: every packet at once, in order, at the right time, and no hole where one is lost.

use std::f32::consts::TAU;

use super::*;

const HZ: f32 = 400.0;

#[test]
fn every_packet_becomes_one_at_once() {
    let mut run = Run::new(Codec::Pcmu, Codec::Pcma, 20);
    for number in 0..10 {
        run.say(number);
        assert_eq!(run.made.len() as u64, number + 1);
    }
    run.expect_times(&(0..10).map(|n| (n, n as u32 * 160, n == 0)).collect::<Vec<_>>());
    run.expect_tone();
}

#[test]
fn other_packet_lengths_are_put_together() {
    let mut run = Run::new(Codec::Pcmu, Codec::Pcma, 30);
    (0..6).for_each(|number| run.say(number));
    run.expect_times(&[(0, 0, true), (1, 240, false), (2, 480, false), (3, 720, false)]);
    run.expect_tone();
    let mut run = Run::new(Codec::Pcmu, Codec::Pcma, 10);
    (0..2).for_each(|number| run.say(number));
    run.expect_times(&[(0, 0, true), (1, 80, false), (2, 160, false), (3, 240, false)]);
}

#[test]
fn swapped_packets_are_put_in_order() {
    let mut run = Run::new(Codec::Pcmu, Codec::Pcma, 20);
    [0, 1, 3, 2, 4].into_iter().for_each(|number| run.say(number));
    run.expect_times(&[(0, 0, true), (1, 160, false), (2, 320, false), (3, 480, false), (4, 640, false)]);
    run.expect_tone();
    assert_eq!(run.transcoder.stats(), TranscodeStats::default());
}

#[test]
fn a_lost_packet_leaves_no_hole_in_time() {
    let mut run = Run::new(Codec::Pcmu, Codec::Pcma, 20);
    [0, 1, 3, 4].into_iter().for_each(|number| run.say(number));
    run.expect_times(&[(0, 0, true), (1, 160, false), (2, 320, false), (3, 480, false), (4, 640, false)]);
    run.say(2);
    assert_eq!(run.transcoder.stats(), TranscodeStats { late: 1, concealed_samples: 160, malformed: 0 });
}

#[test]
fn packets_that_are_lost_and_swapped_stay_in_order() {
    // In the order in which they come; those that come too late have been made up for.
    for (order, late, concealed) in [
        (&[0, 3, 2, 4, 5][..], 0, 160),
        (&[0, 3, 2, 1, 4, 5], 1, 160),
        (&[0, 1, 4, 2, 3, 5], 0, 0),
        (&[0, 3, 1, 2, 4, 5], 0, 0),
    ] {
        let mut run = Run::new(Codec::Pcmu, Codec::Pcma, 20);
        order.iter().for_each(|&number| run.say(number));
        run.expect_times(&(0..6).map(|n| (n, n as u32 * 160, n == 0)).collect::<Vec<_>>());
        run.expect_tone();
        assert_eq!(
            run.transcoder.stats(),
            TranscodeStats { late, concealed_samples: concealed, malformed: 0 },
            "{order:?}"
        );
    }
}

#[test]
fn the_wait_for_a_missing_packet_ends() {
    let mut run = Run::new(Codec::Pcmu, Codec::Pcma, 20);
    run.say(0);
    run.say(2);
    assert_eq!(run.made.len(), 1);
    run.now = run.transcoder.deadline().expect("one is held");
    run.transcoder.tick(run.now);
    run.drain();
    assert_eq!((run.made.len(), run.transcoder.deadline()), (3, None));
}

#[test]
fn a_pause_is_time_and_not_audio() {
    let mut run = Run::new(Codec::Pcmu, Codec::Pcma, 20);
    run.say(0);
    run.timestamp_ahead = 8_000;
    run.say(1);
    run.expect_times(&[(0, 0, true), (1, 8_160, true)]);
    // Half a packet is filled up, and the pause follows it.
    let mut run = Run::new(Codec::Pcmu, Codec::Pcma, 30);
    run.say(0);
    run.timestamp_ahead = 8_000;
    run.say(1);
    run.say(2);
    run.expect_times(&[(0, 0, true), (1, 160 + 8_000, true)]);
}

#[test]
fn a_long_loss_is_not_all_concealed() {
    let mut run = Run::new(Codec::Pcmu, Codec::Pcma, 20);
    [0, 100, 101].into_iter().for_each(|number| run.say(number));
    assert_eq!(run.transcoder.stats().concealed_samples, 800);
    assert_eq!(run.made.last().map(|made| made.timestamp), Some(101 * 160));
}

#[test]
fn a_key_press_keeps_its_time() {
    let mut run = Run::new(Codec::Pcmu, Codec::Opus, 20);
    run.say(0);
    run.transcoder.pass_over(Place { epoch: 1, position: 1_001 });
    let press = run.transcoder.hand_through(160, 8_000);
    assert_eq!((press.timestamp, press.ticks), (960, 0));
    let again = run.transcoder.hand_through(160, 8_000);
    assert_eq!((again.timestamp, again.place.position), (960, press.place.position + 1));
    run.timestamp_ahead = 0;
    run.place_ahead = 1;
    run.say(1);
    assert_eq!(run.made.last().map(|made| (made.timestamp, made.place.position)), Some((960, 3)));
}

#[test]
fn another_source_goes_on_behind() {
    let mut run = Run::new(Codec::Pcmu, Codec::Pcma, 20);
    run.say(0);
    run.epoch = 2;
    run.say(70);
    let places: Vec<u32> = run.made.iter().map(|made| made.place.epoch).collect();
    assert_eq!(places, [1, 2]);
}

#[test]
fn all_pairs_carry_the_tone() {
    for source in Codec::ALL {
        for target in Codec::ALL {
            let mut run = Run::new(source, target, 20);
            (0..25).for_each(|number| run.say(number));
            assert_eq!(run.made.len(), 25, "{source:?} to {target:?}");
            run.expect_tone();
        }
    }
}

/// A speaker of a tone, a transcoder, and what comes out.
struct Run {
    transcoder: Transcoder,
    encoder: Encoder,
    source: Codec,
    target: Codec,
    now: Duration,
    epoch: u32,
    place_ahead: u64,
    timestamp_ahead: u32,
    made: Vec<Produced>,
    payloads: Vec<Vec<u8>>,
}

impl Run {
    fn new(source: Codec, target: Codec, ptime_ms: u8) -> Self {
        let opus = OpusSettings { fec: false, dtx: false, bitrate_max: None, ..OpusSettings::default() };
        let wanted = Target { codec: target, ptime_ms, opus };
        Self {
            transcoder: Transcoder::new(source, wanted).expect("both can be opened"),
            encoder: Encoder::new(source, source.audio_rate_hz(), opus).expect("it can be opened"),
            source,
            target,
            now: Duration::ZERO,
            epoch: 1,
            place_ahead: 0,
            timestamp_ahead: 0,
            made: Vec::new(),
            payloads: Vec::new(),
        }
    }

    /// The packet of this number, 20 ms long.
    fn say(&mut self, number: u64) {
        let rate = self.source.audio_rate_hz() as usize;
        let from = number as usize * rate / 50;
        let wave = |n: usize| (8_000.0 * (TAU * HZ * n as f32 / rate as f32).sin()) as i16;
        let samples: Vec<i16> = (from..from + rate / 50).map(wave).collect();
        let mut payload = Vec::new();
        self.encoder.encode(&samples, &mut payload).expect("20 ms make a packet");
        let timestamp = number as u32 * self.source.clock_hz() / 50 + self.timestamp_ahead;
        let place = Place { epoch: self.epoch, position: 1_000 + number + self.place_ahead };
        self.transcoder.take(self.now, Spoken { place, timestamp, payload: &payload });
        self.drain();
        self.now += Duration::from_millis(1);
    }

    fn drain(&mut self) {
        let mut payload = Vec::new();
        while let Some(made) = self.transcoder.next(&mut payload) {
            self.made.extend(made);
            self.payloads.push(std::mem::take(&mut payload));
        }
    }

    /// Position and timestamp from the first packet's, and the marker.
    #[track_caller]
    fn expect_times(&self, expected: &[(u64, u32, bool)]) {
        let got: Vec<(u64, u32, bool)> =
            self.made.iter().map(|made| (made.place.position, made.timestamp, made.marker)).collect();
        assert_eq!(got, expected);
    }

    /// What comes out sounds like what went in, once the codecs have settled.
    #[track_caller]
    fn expect_tone(&self) {
        let rate = self.target.audio_rate_hz();
        let mut decoder = Decoder::new(self.target, rate).expect("it can be opened");
        let mut samples = Vec::new();
        for payload in &self.payloads {
            decoder.decode(payload, &mut samples).expect("it was just made");
        }
        let tail = &samples[samples.len() / 2..];
        let power: f32 = tail.iter().map(|&s| f32::from(s).powi(2)).sum::<f32>() / tail.len() as f32;
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (n, &sample) in tail.iter().enumerate() {
            let phase = TAU * HZ * n as f32 / rate as f32;
            sine += f32::from(sample) * phase.sin();
            cosine += f32::from(sample) * phase.cos();
        }
        let tone = 2.0 * (sine * sine + cosine * cosine) / (tail.len() as f32).powi(2);
        let names = (self.source, self.target);
        assert!(power.sqrt() > 4_000.0, "{names:?}: only {} loud", power.sqrt());
        assert!(tone / power > 0.9, "{names:?}: only {} of it is the tone", tone / power);
    }
}
