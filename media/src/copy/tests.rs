//! Copies of calls that never were: packets by the clock, and what stands where.

use super::*;
use crate::codec::{Encoder, OpusSettings};
use crate::packet::{Ssrc, Stamp};
use crate::{Codec, LegId, StreamSettings, TapFrame};

const CALLER_HZ: f32 = 500.0;
const AGENT_HZ: f32 = 1_100.0;
const START: Duration = Duration::from_secs(7);

#[test]
fn each_side_has_its_channel() {
    let mut stage = Stage::new(Codec::Pcmu, 0);
    stage.talk(100, |_| Lot::Sent);
    let (left, right) = stage.channels();
    expect(&left[1_600..14_400], CALLER_HZ, AGENT_HZ);
    expect(&right[1_600..14_400], AGENT_HZ, CALLER_HZ);
    let mixed: Vec<i16> = stage.frames.iter().flat_map(CopyFrame::mixed).collect();
    assert!(level(&mixed[1_600..14_400], CALLER_HZ) > 3_500.0 && level(&mixed[1_600..14_400], AGENT_HZ) > 3_500.0);
    assert_eq!(stage.copy.stats().concealed_samples, 0);
}

#[test]
fn frames_stand_on_the_grid_and_sound_stands_where_it_was() {
    let mut stage = Stage::new(Codec::Pcmu, 0);
    // The agent speaks from 300 ms on, the caller from 100 ms on.
    stage.talk_from(50, 5, 15);
    let (left, right) = stage.channels();
    let positions: Vec<u64> = stage.frames.iter().map(|frame| frame.position).collect();
    assert_eq!(positions, (0..positions.len() as u64).map(|n| n * 160).collect::<Vec<_>>());
    let begins = |channel: &[i16]| channel.iter().position(|sample| sample.unsigned_abs() > 500);
    for (channel, expected) in [(&left, 800), (&right, 2_400)] {
        let at = begins(channel).expect("somebody speaks");
        assert!((expected..expected + 8).contains(&at), "{at} instead of {expected}");
    }
}

#[test]
fn one_lost_packet_is_rebuilt_and_a_long_gap_is_silent() {
    let mut stage = Stage::new(Codec::Pcmu, 0);
    stage.talk(150, |n| if n == 30 || (60..110).contains(&n) { Lot::Lost } else { Lot::Sent });
    let (left, right) = stage.channels();
    assert!(level(&left[30 * 160..31 * 160], CALLER_HZ) > 2_000.0, "a single loss is concealed");
    let silent = &left[65 * 160..109 * 160];
    assert!(silent.iter().all(|sample| sample.unsigned_abs() < 10), "a second of nothing is silence");
    // What comes after the gap stands where it was said.
    expect(&left[111 * 160..140 * 160], CALLER_HZ, AGENT_HZ);
    assert!(level(&left[108 * 160..109 * 160], CALLER_HZ) < 100.0);
    expect(&right[65 * 160..109 * 160], AGENT_HZ, CALLER_HZ);
    assert!(stage.copy.stats().concealed_samples >= 160);
}

#[test]
fn late_packets_keep_their_places() {
    let mut stage = Stage::new(Codec::Pcma, 8);
    stage.talk(100, |n| if n % 7 == 3 { Lot::Late(40) } else { Lot::Sent });
    let (left, right) = stage.channels();
    expect(&left[1_600..14_400], CALLER_HZ, AGENT_HZ);
    expect(&right[1_600..14_400], AGENT_HZ, CALLER_HZ);
    assert_eq!(stage.copy.stats().concealed_samples, 0);
}

#[test]
fn a_reader_who_was_away_finds_the_last_second() {
    let mut stage = Stage::new(Codec::Pcmu, 0);
    stage.talk(20, |_| Lot::Sent);
    let before = stage.frames.len() as u64;
    stage.is_away = true;
    stage.talk(200, |_| Lot::Sent);
    stage.is_away = false;
    stage.talk(10, |_| Lot::Sent);
    let stats = stage.copy.stats();
    let missed = 201 - BACKLOG_FRAMES_MAX;
    assert_eq!(stats.frames_missed, missed, "{stats:?}");
    let first = stage.frames.iter().find(|frame| frame.position >= before * 160).expect("more frames");
    assert_eq!(first.position, (before + missed) * 160, "positions keep counting");
    let since: Vec<i16> = stage.frames.iter().skip(before as usize).flat_map(|frame| frame.left).collect();
    expect(&since, CALLER_HZ, AGENT_HZ);
}

#[test]
fn other_codecs_and_a_change_of_codec() {
    for (codec, number) in [(Codec::G722, 9), (Codec::Opus, 107), (Codec::L16Wide, 96), (Codec::L16Narrow, 97)] {
        let mut stage = Stage::new(codec, number);
        stage.talk(100, |_| Lot::Sent);
        let (left, right) = stage.channels();
        expect(&left[4_800..14_400], CALLER_HZ, AGENT_HZ);
        expect(&right[4_800..14_400], AGENT_HZ, CALLER_HZ);
        stage.change_codec(Codec::Pcmu, 0);
        stage.talk(100, |_| Lot::Sent);
        let (left, _) = stage.channels();
        expect(&left[left.len() - 8_000..], CALLER_HZ, AGENT_HZ);
    }
}

#[test]
fn what_is_no_audio_is_left_out() {
    let mut stage = Stage::new(Codec::Pcmu, 0);
    for (way, at, codec, bytes) in [
        (Way::Said, START - Duration::from_secs(1), Some(Codec::Pcmu), packet(0, 1, 0, &[0; 160])),
        (Way::Said, START, None, vec![1, 2, 3]),
        (Way::Heard, START, None, packet(101, 1, 0, &[5, 10, 0, 160])),
        (Way::Heard, START, None, packet(13, 2, 160, &[70])),
    ] {
        stage.copy.push(&copied(way, at, codec, &bytes));
    }
    stage.pull(START + Duration::from_secs(1));
    let (left, right) = stage.channels();
    assert_eq!(left.len(), 44 * 160, "a second less the delay");
    assert!(left.iter().chain(&right).all(|sample| *sample == 0));
}

/// What becomes of one of the caller's packets.
#[derive(Clone, Copy)]
enum Lot {
    Sent,
    Lost,
    /// So many milliseconds later than the others.
    Late(u64),
}

/// A caller and an agent who each say a tone, in packets of 20 ms; and the copy of it.
struct Stage {
    copy: CallCopy,
    frames: Vec<CopyFrame>,
    settings: StreamSettings,
    voices: [Voice; 2],
    /// Packets of 20 ms since the copy began.
    ticks: u64,
    /// Nobody reads.
    is_away: bool,
    late: Vec<(Duration, CopiedPacket)>,
}

struct Voice {
    hz: f32,
    encoder: Encoder,
    samples: u64,
    sequence: u16,
    timestamp: u32,
}

impl Stage {
    fn new(codec: Codec, number: u8) -> Self {
        let settings = StreamSettings::plain(None, codec, number);
        Self {
            copy: CallCopy::new(START),
            frames: Vec::new(),
            voices: [CALLER_HZ, AGENT_HZ].map(|hz| Voice::new(codec, hz)),
            settings,
            ticks: 0,
            is_away: false,
            late: Vec::new(),
        }
    }

    fn change_codec(&mut self, codec: Codec, number: u8) {
        self.settings = StreamSettings::plain(None, codec, number);
        for voice in &mut self.voices {
            let hz = voice.hz;
            *voice = Voice { sequence: voice.sequence, ..Voice::new(codec, hz) };
        }
    }

    fn talk(&mut self, ticks: u64, lot: impl Fn(u64) -> Lot) {
        for _ in 0..ticks {
            let n = self.ticks;
            self.tick(lot(n), true);
        }
    }

    /// The sides begin to speak with these ticks.
    fn talk_from(&mut self, ticks: u64, caller: u64, agent: u64) {
        for n in 0..ticks {
            self.tick(if n < caller { Lot::Lost } else { Lot::Sent }, n >= agent);
        }
    }

    fn tick(&mut self, caller: Lot, agent: bool) {
        let now = START + Duration::from_millis(20 * self.ticks);
        self.ticks += 1;
        let (due, waits) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = waits;
        let due: Vec<(Duration, CopiedPacket)> = due;
        due.iter().for_each(|(_, packet)| self.copy.push(packet));
        for (voice, way) in self.voices.iter_mut().zip([Way::Said, Way::Heard]) {
            let bytes = voice.next(&self.settings);
            match (way, caller) {
                (Way::Said, Lot::Lost) => {}
                (Way::Said, Lot::Late(ms)) => {
                    let at = now + Duration::from_millis(ms);
                    self.late.push((at, copied(way, at, Some(self.settings.codec), &bytes)));
                }
                (Way::Heard, _) if !agent => {}
                _ => self.copy.push(&copied(way, now, Some(self.settings.codec), &bytes)),
            }
        }
        if !self.is_away {
            self.pull(now + Duration::from_millis(20));
        }
    }

    fn pull(&mut self, now: Duration) {
        while let Some(frame) = self.copy.pop(now) {
            self.frames.push(frame);
        }
    }

    fn channels(&self) -> (Vec<i16>, Vec<i16>) {
        (
            self.frames.iter().flat_map(|frame| frame.left).collect(),
            self.frames.iter().flat_map(|frame| frame.right).collect(),
        )
    }
}

impl Voice {
    fn new(codec: Codec, hz: f32) -> Self {
        let opus = OpusSettings::default();
        let encoder = Encoder::new(codec, codec.audio_rate_hz(), opus).expect("it can be opened");
        Self { hz, encoder, samples: 0, sequence: 65_500, timestamp: 4_294_960_000 }
    }

    /// The next 20 ms.
    fn next(&mut self, settings: &StreamSettings) -> Vec<u8> {
        let rate_hz = settings.codec.audio_rate_hz();
        let step = self.hz * std::f32::consts::TAU / rate_hz as f32;
        let count = u64::from(rate_hz / 50);
        let samples: Vec<i16> =
            (self.samples..self.samples + count).map(|n| (4_000.0 * (step * n as f32).sin()) as i16).collect();
        self.samples += count;
        let mut payload = Vec::new();
        self.encoder.encode(&samples, &mut payload).expect("a whole packet");
        let bytes = packet(settings.payload_type, self.sequence, self.timestamp, &payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(settings.codec.clock_hz() / 50);
        bytes
    }
}

fn packet(payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let stamp = Stamp { marker: false, payload_type, sequence, timestamp, ssrc: Ssrc(7) };
    [&stamp.to_bytes()[..], payload].concat()
}

fn copied(way: Way, at: Duration, codec: Option<Codec>, bytes: &[u8]) -> CopiedPacket {
    CopiedPacket { way, frame: TapFrame::new(LegId(1), at, codec, bytes).expect("it fits") }
}

/// One tone is there and the other is not.
#[track_caller]
fn expect(signal: &[i16], there: f32, missing: f32) {
    let (loud, quiet) = (level(signal, there), level(signal, missing));
    assert!((3_500.0..4_500.0).contains(&loud), "{there} Hz at {loud}");
    assert!(quiet < 100.0, "{missing} Hz at {quiet}");
}

/// The amplitude of a sine in a signal (Goertzel's sum).
fn level(signal: &[i16], hz: f32) -> f32 {
    let step = std::f32::consts::TAU * hz / 8_000.0;
    let sum = |wave: fn(f32) -> f32| -> f32 {
        signal.iter().enumerate().map(|(n, &sample)| f32::from(sample) * wave(step * n as f32)).sum()
    };
    2.0 * sum(f32::cos).hypot(sum(f32::sin)) / signal.len() as f32
}
