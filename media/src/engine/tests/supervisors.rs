//! Supervisors in calls of many codecs: who hears whom, without a click, through re-routes, prompts and card numbers.

use super::prompts::assert_one_stream;
use super::*;
use crate::codec::{Encoder, OpusSettings};
use crate::copy::{CallCopy, CopyFrame};

const FIRST: LegId = LegId(11);
const SECOND: LegId = LegId(12);
const PROMPT_HZ: f32 = 2_000.0;
/// Each party's tone; whole periods in a second.
const TONES: [(LegId, f32); 5] = [(CALLER, 500.0), (BOT, 1_000.0), (AGENT, 1_300.0), (FIRST, 1_600.0), (SECOND, 700.0)];

#[test]
fn every_mix_of_codecs_is_clean() {
    use Codec::{G722, L16Wide, Opus, Pcma, Pcmu};
    for codecs in [[Pcmu, Pcmu, Pcma], [Pcma, G722, Opus], [Opus, Pcmu, G722], [L16Wide, Opus, Pcmu]] {
        let [caller, bot, supervisor] = codecs;
        let mut room = Room::new(&[(CALLER, caller), (BOT, bot), (FIRST, supervisor)]);
        for (mode, at_caller, at_bot) in [
            (Supervision::Listen, &[BOT][..], &[CALLER][..]),
            (Supervision::Whisper, &[BOT, FIRST], &[CALLER]),
            (Supervision::WhisperAcross, &[BOT], &[CALLER, FIRST]),
            (Supervision::Barge, &[BOT, FIRST], &[CALLER, FIRST]),
        ] {
            room.supervise(FIRST, mode);
            room.talk(&[CALLER, BOT, FIRST], 160);
            let what = format!("{codecs:?} {mode:?}");
            room.hears(&what, CALLER, at_caller);
            room.hears(&what, BOT, at_bot);
            room.hears(&what, FIRST, &[CALLER, BOT]);
        }
        room.streams_are_whole();
    }
}

#[test]
fn packets_of_any_length_are_mixed_without_a_gap() {
    for ptime_ms in [10, 20, 30, 40, 60] {
        for codec in [Codec::Pcmu, Codec::G722] {
            let mut room = Room::new(&[(CALLER, codec), (BOT, Codec::Pcmu), (FIRST, Codec::Pcmu)]);
            let settings = StreamSettings { ptime_ms, ..settings_of(CALLER, codec, number(codec)) };
            room.world.order(Command::Configure { leg: CALLER, settings });
            room.supervise(FIRST, Supervision::Whisper);
            room.talk(&[CALLER, BOT, FIRST], 300);
            room.hears(&format!("{codec:?} in packets of {ptime_ms} ms"), CALLER, &[BOT, FIRST]);
            let stats = room.world.engine.stats(CALLER).expect("it is open");
            assert_eq!(stats.underruns, 0, "{codec:?} in packets of {ptime_ms} ms");
        }
    }
}

#[test]
fn a_supervisor_stays_with_the_caller_through_a_re_route() {
    let mut room = Room::new(&[(CALLER, Codec::Pcmu), (BOT, Codec::Pcmu), (AGENT, Codec::Pcma), (FIRST, Codec::G722)]);
    room.supervise(FIRST, Supervision::WhisperAcross);
    room.talk(&[CALLER, BOT, FIRST], 50);
    room.world.order(Command::Bridge { a: CALLER, b: AGENT });
    room.world.order(Command::Close { leg: BOT });
    let before = room.world.heard_by(BOT).len();
    room.talk(&[CALLER, AGENT, FIRST], 110);
    room.hears("after the re-route", CALLER, &[AGENT]);
    room.hears("after the re-route", AGENT, &[CALLER, FIRST]);
    room.hears("after the re-route", FIRST, &[CALLER, AGENT]);
    assert_eq!(room.world.heard_by(BOT).len(), before);
}

#[test]
fn whispering_and_listening_go_together() {
    // Field notes 20: a whisper must not be refused because somebody else only listens.
    let codecs = [(CALLER, Codec::Pcmu), (BOT, Codec::Pcmu), (FIRST, Codec::Pcmu), (SECOND, Codec::Pcmu)];
    let mut room = Room::new(&codecs);
    room.supervise(FIRST, Supervision::Listen);
    room.supervise(SECOND, Supervision::WhisperAcross);
    let all = [CALLER, BOT, FIRST, SECOND];
    room.talk(&all, 110);
    room.hears("one whispers", CALLER, &[BOT]);
    room.hears("one whispers", BOT, &[CALLER, SECOND]);
    room.hears("one whispers", FIRST, &[CALLER, BOT]);
    room.hears("one whispers", SECOND, &[CALLER, BOT]);

    room.supervise(SECOND, Supervision::Barge);
    room.talk(&all, 110);
    room.hears("one barges in", CALLER, &[BOT, SECOND]);
    room.hears("one barges in", BOT, &[CALLER, SECOND]);
    room.hears("one barges in", FIRST, &[CALLER, BOT, SECOND]);
    room.hears("one barges in", SECOND, &[CALLER, BOT]);
}

#[test]
fn a_whisper_and_one_side_only_go_together() {
    // Field notes 20: ChanSpy refuses to whisper when it listens to one side.
    let codecs = [(CALLER, Codec::Pcmu), (BOT, Codec::Pcma), (FIRST, Codec::Pcmu), (SECOND, Codec::Pcmu)];
    let mut room = Room::new(&codecs);
    let all = [CALLER, BOT, FIRST, SECOND];
    room.world.play(CALLER, 1, tone(PROMPT_HZ, 4_000.0, 160_000), PlayMode::Duck { attenuation_db: 0 });
    room.supervise_hearing(FIRST, Supervision::WhisperAcross, Sides::Supervised);
    room.supervise_hearing(SECOND, Supervision::Listen, Sides::Across);
    room.talk(&all, 110);
    room.hears("one side each", BOT, &[CALLER, FIRST]);
    room.hears("one side each", FIRST, &[CALLER]);
    room.hears_also("one side each", SECOND, &[BOT], &[PROMPT_HZ]);
    room.supervise_hearing(FIRST, Supervision::Barge, Sides::Across);
    room.talk(&all, 110);
    room.hears_also("the other side", CALLER, &[BOT, FIRST], &[PROMPT_HZ]);
    room.hears_also("the other side", FIRST, &[BOT], &[PROMPT_HZ]);
    room.hears_also("the other side", SECOND, &[BOT, FIRST], &[PROMPT_HZ]);
    room.streams_are_whole();
}

#[test]
fn one_too_many_is_not_heard() {
    let mut room = Room::new(&[(CALLER, Codec::Pcmu), (BOT, Codec::Pcmu)]);
    let many: Vec<LegId> = (21..=24).map(LegId).collect();
    for &leg in &many {
        room.world.open(leg);
        room.world.order(Command::Configure { leg, settings: settings(leg) });
        room.supervise(leg, Supervision::Barge);
    }
    room.talk(&[CALLER, BOT], 20);
    let heard: Vec<bool> = many.iter().map(|leg| !room.world.heard_by(*leg).is_empty()).collect();
    assert_eq!(heard, [true, true, true, false]);
}

#[test]
fn supervisors_hear_what_plays_to_the_caller() {
    let codecs = [(CALLER, Codec::Pcmu), (BOT, Codec::Pcmu), (FIRST, Codec::Pcma), (SECOND, Codec::Opus)];
    let mut room = Room::new(&codecs);
    let all = [CALLER, BOT, FIRST, SECOND];
    room.supervise(FIRST, Supervision::Listen);
    room.talk(&all, 20);
    room.world.play(CALLER, 1, tone(PROMPT_HZ, 4_000.0, 40_000), PlayMode::Replace);
    room.talk(&all, 50);
    // One who comes late hears the rest.
    room.supervise(SECOND, Supervision::Listen);
    room.talk(&all, 110);
    for (leg, parties) in [(CALLER, &[][..]), (FIRST, &[CALLER, BOT]), (SECOND, &[CALLER, BOT])] {
        room.hears_also("under the prompt", leg, parties, &[PROMPT_HZ]);
    }
    room.hears("under the prompt", BOT, &[CALLER]);

    room.world.order(Command::StopPlay { leg: CALLER });
    room.talk(&all, 110);
    for (leg, parties) in [(CALLER, &[BOT][..]), (FIRST, &[CALLER, BOT]), (SECOND, &[CALLER, BOT])] {
        room.hears("after the prompt", leg, parties);
    }
    let ended = room.world.events.iter().filter(|event| matches!(event, Event::PlayEnded { .. })).count();
    assert_eq!(ended, 1, "the caller's, and nobody else's");
    room.streams_are_whole();
}

#[test]
fn a_sound_that_ends_by_itself_ends_for_all() {
    let mut room = Room::new(&[(CALLER, Codec::Pcmu), (FIRST, Codec::Pcmu), (BOT, Codec::Pcmu)]);
    room.supervise(FIRST, Supervision::Listen);
    room.world.play(CALLER, 1, tone(PROMPT_HZ, 4_000.0, 8_000), PlayMode::Replace);
    room.talk(&[CALLER, BOT], 160);
    room.hears("after the end", FIRST, &[CALLER, BOT]);
    room.world.order(Command::Close { leg: FIRST });
    room.world.heard.clear();
    // Relayed again: a packet leaves at the moment it comes, and nothing of the mixer's delay stays (field notes 6).
    for count in 1..=10 {
        let (_, _, bot) = &mut room.parties[2];
        let bytes = bot.next();
        room.world.packet(BOT, bytes);
        assert_eq!(room.world.heard_by(CALLER).len(), count);
        room.world.pass(ms(20));
    }
}

#[test]
fn secret_input_reaches_neither_supervisors_nor_copies() {
    let mut room = Room::new(&[(CALLER, Codec::Pcmu), (BOT, Codec::Pcma), (FIRST, Codec::Pcmu)]);
    let all = [CALLER, BOT, FIRST];
    room.supervise(FIRST, Supervision::WhisperAcross);
    room.world.order(Command::Copy { leg: CALLER, on: true });
    room.talk(&all, 20);
    room.world.order(Command::Secure { leg: CALLER, on: true });
    let copied = room.world.copies.len();
    room.talk(&all, 90);
    room.hears("while input is secret", CALLER, &[BOT]);
    room.hears("while input is secret", BOT, &[CALLER, FIRST]);
    let heard = room.sound(FIRST);
    let last = &heard[heard.len() - 8_000..];
    assert!(last.iter().all(|sample| sample.unsigned_abs() < 200), "the supervisor hears the call");
    assert_eq!(room.world.copies.len(), copied);

    room.world.order(Command::Secure { leg: CALLER, on: false });
    room.talk(&all, 110);
    room.hears("afterwards", FIRST, &[CALLER, BOT]);
    assert!(room.world.copies.len() > copied);
}

#[test]
fn a_copy_is_what_the_caller_says_and_hears() {
    let codecs =
        [(CALLER, Codec::Pcmu), (BOT, Codec::Opus), (AGENT, Codec::Pcmu), (FIRST, Codec::G722), (SECOND, Codec::Pcmu)];
    let mut room = Room::new(&codecs);
    room.world.order(Command::Copy { leg: CALLER, on: true });
    let all = TONES.map(|(leg, _)| leg);
    // What the right channel is to hold in each of the seconds.
    let mut right: Vec<&[LegId]> = vec![&[BOT]];
    room.talk(&all, 50);
    room.supervise(FIRST, Supervision::WhisperAcross);
    right.push(&[BOT]);
    room.talk(&all, 50);
    room.supervise(FIRST, Supervision::Barge);
    right.push(&[BOT, FIRST]);
    room.talk(&all, 50);
    room.world.order(Command::Bridge { a: CALLER, b: AGENT });
    right.push(&[AGENT, FIRST]);
    room.talk(&all, 50);
    room.world.order(Command::Close { leg: FIRST });
    right.push(&[AGENT]);
    room.talk(&all, 60);

    let mut copy = CallCopy::new(ms(100_000));
    room.world.copies.iter().for_each(|packet| copy.push(packet));
    let frames: Vec<CopyFrame> = std::iter::from_fn(|| copy.pop(room.world.now)).collect();
    assert_eq!(frames.first().map(|frame| frame.position), Some((254 - 50) * 160), "only the last second is kept");

    // Read as it comes.
    let mut copy = CallCopy::new(ms(100_000));
    let mut frames = Vec::new();
    for packet in &room.world.copies {
        frames.extend(std::iter::from_fn(|| copy.pop(packet.frame.arrival)));
        copy.push(packet);
    }
    for (second, parties) in right.iter().enumerate() {
        // Away from the changes, which are faded and take a moment.
        let part = &frames[second * 50 + 24..second * 50 + 49];
        let left: Vec<i16> = part.iter().flat_map(|frame| frame.left).collect();
        let right: Vec<i16> = part.iter().flat_map(|frame| frame.right).collect();
        assert_tones(&format!("the caller in second {second}"), &left, &[500.0], 100.0);
        assert_tones(&format!("what is heard in second {second}"), &right, &tones(parties), 400.0);
    }
}

#[test]
fn what_is_for_one_ear_alone_reaches_neither_copies_nor_supervisors() {
    for codec in [Codec::Pcmu, Codec::Opus] {
        let mut room = Room::new(&[(CALLER, codec), (BOT, Codec::Pcma), (FIRST, Codec::Pcmu)]);
        // With FEC libopus itself makes noise of two steady tones, as loud as a click, half a second behind where they begin.
        let settings = StreamSettings { opus: OpusSettings::default(), ..settings_of(CALLER, codec, number(codec)) };
        room.world.order(Command::Configure { leg: CALLER, settings });
        let all = [CALLER, BOT, FIRST];
        room.world.order(Command::Copy { leg: CALLER, on: true });
        room.supervise(FIRST, Supervision::Listen);
        room.talk(&all, 50);
        room.world.play(CALLER, 1, tone(PROMPT_HZ, 4_000.0, 16_000), PlayMode::Aside);
        room.talk(&all, 60);
        room.hears_also("under the tone", CALLER, &[BOT], &[PROMPT_HZ]);
        room.hears("under the tone", FIRST, &[CALLER, BOT]);
        room.hears("under the tone", BOT, &[CALLER]);
        room.talk(&all, 130);
        room.hears("after the tone", CALLER, &[BOT]);

        let mut copy = CallCopy::new(ms(100_000));
        let mut frames = Vec::new();
        for packet in &room.world.copies {
            frames.extend(std::iter::from_fn(|| copy.pop(packet.frame.arrival)));
            copy.push(packet);
        }
        // Before, under and after the tone, away from where it begins and ends.
        for from in [24, 80, 160] {
            let right: Vec<i16> = frames[from..from + 25].iter().flat_map(|frame| frame.right).collect();
            assert_tones(&format!("{codec:?}: what is copied from {from} on"), &right, &tones(&[BOT]), 400.0);
        }
    }
}

#[test]
fn who_speaks_next_goes_on_in_the_same_g722_stream() {
    // A phone's decoder is in step with who sends; with fresh encoders there was noise of 4,800 for 150 ms.
    for mode in [PlayMode::Aside, PlayMode::Duck { attenuation_db: 0 }] {
        let mut room = Room::new(&[(CALLER, Codec::G722), (BOT, Codec::Pcma), (AGENT, Codec::Pcmu)]);
        let all = [CALLER, BOT, AGENT];
        room.talk(&all, 50);
        let begins = room.sound(CALLER).len();
        room.world.play(CALLER, 1, tone(PROMPT_HZ, 4_000.0, 8_000), mode);
        room.talk(&all, 75);
        room.world.order(Command::Bridge { a: CALLER, b: AGENT });
        room.talk(&all, 50);
        let heard = room.sound(CALLER);
        // Away from the changes themselves: after 60 ms, when the tone has begun, and when it has ended.
        for (from, tones) in [(begins + 480, &[1_000.0, PROMPT_HZ][..]), (begins + 8_480, &[1_000.0])] {
            let noise = noises(&heard[from..from + 800], tones).into_iter().fold(0.0, f32::max);
            assert!(noise < 150.0, "{mode:?}: {noise} from {from} on");
        }
    }
}

/// A world in which parties say tones in codecs of their own.
struct Room {
    world: World,
    parties: Vec<(LegId, Codec, Phone)>,
    /// What each party has received so far, by number.
    seen: Vec<(LegId, Vec<(u16, u32)>)>,
}

impl Room {
    /// The caller is bridged to the bot.
    fn new(parties: &[(LegId, Codec)]) -> Self {
        let mut world = World::new();
        for &(leg, codec) in parties {
            if world.engine.slot(leg).is_none() {
                world.open(leg);
            }
            world.order(Command::Configure { leg, settings: settings_of(leg, codec, number(codec)) });
        }
        let parties = parties.iter().map(|&(leg, codec)| (leg, codec, phone(codec, hz(leg)))).collect();
        Self { world, parties, seen: Vec::new() }
    }

    fn supervise(&mut self, supervisor: LegId, mode: Supervision) {
        self.supervise_hearing(supervisor, mode, Sides::Both);
    }

    fn supervise_hearing(&mut self, supervisor: LegId, mode: Supervision, hears: Sides) {
        self.world.order(Command::Supervise { supervisor, leg: CALLER, mode, hears });
    }

    fn talk(&mut self, who: &[LegId], packets: usize) {
        for _ in 0..packets {
            for (leg, _, phone) in self.parties.iter_mut().filter(|(leg, ..)| who.contains(leg)) {
                // Phones are not in step.
                self.world.pass(ms(3));
                let bytes = phone.next();
                if self.world.engine.slot(*leg).is_some() {
                    self.world.packet(*leg, bytes);
                }
            }
            let spent = 3 * self.parties.iter().filter(|(leg, ..)| who.contains(leg)).count() as u64;
            self.world.pass(ms(20 - spent));
            let heard: Vec<(LegId, (u16, u32))> = self.world.heard[..]
                .iter()
                .map(|heard| (heard.leg, (heard.header.sequence, heard.header.timestamp)))
                .collect();
            for (leg, numbers) in heard {
                match self.seen.iter_mut().find(|(known, _)| *known == leg) {
                    Some((_, seen)) if seen.contains(&numbers) => {}
                    Some((_, seen)) => seen.push(numbers),
                    None => self.seen.push((leg, vec![numbers])),
                }
            }
        }
    }

    /// Everybody has received one stream without a gap.
    #[track_caller]
    fn streams_are_whole(&self) {
        for (leg, numbers) in &self.seen {
            assert!(numbers.len() > 50, "{leg:?}");
            assert_one_stream(numbers);
        }
    }

    /// A party hears the tones of these parties and nothing else: no other tone, no click.
    #[track_caller]
    fn hears(&self, what: &str, leg: LegId, parties: &[LegId]) {
        self.hears_also(what, leg, parties, &[]);
    }

    #[track_caller]
    fn hears_also(&self, what: &str, leg: LegId, parties: &[LegId], others: &[f32]) {
        let sound = self.sound(leg);
        let last = &sound[sound.len().checked_sub(8_000).expect("a second of it")..];
        let expected = [tones(parties), others.to_vec()].concat();
        // What codecs do to tones is no click: it may be as much as what they do to such a mix by themselves.
        let codecs = parties.iter().chain([&leg]).map(|party| self.codec_of(*party));
        let noise: f32 = codecs.map(|codec| noise_of(codec, &expected)).sum();
        assert_tones(&format!("{what}: {leg:?}"), last, &expected, 60.0 + 1.5 * noise);
    }

    fn codec_of(&self, leg: LegId) -> Codec {
        self.parties.iter().find(|(known, ..)| *known == leg).expect("a party").1
    }

    /// What a party has heard, 8 kHz.
    fn sound(&self, leg: LegId) -> Vec<i16> {
        let codec = self.codec_of(leg);
        let sound = self.world.sound(leg, codec);
        if codec.audio_rate_hz() == 16_000 { sound.iter().step_by(2).copied().collect() } else { sound }
    }
}

fn phone(codec: Codec, hz: f32) -> Phone {
    let rate = codec.audio_rate_hz();
    let opus = OpusSettings::default();
    let mut encoder = Encoder::new(codec, rate, opus).expect("it can be opened");
    let mut said = 0_u32;
    let mut phone = Phone::saying(hz as u32, move || {
        let count = rate / 50;
        let wave = |n: u32| (4_000.0 * (hz * std::f32::consts::TAU * (n % rate) as f32 / rate as f32).sin()) as i16;
        let samples: Vec<i16> = (said..said + count).map(wave).collect();
        said += count;
        let mut payload = Vec::new();
        encoder.encode(&samples, &mut payload).expect("it makes a packet");
        payload
    });
    phone.stamp.payload_type = number(codec);
    phone.ticks = Some(codec.clock_hz() / 50);
    phone
}

fn number(codec: Codec) -> u8 {
    codec.static_payload_type().unwrap_or(if codec == Codec::Opus { 107 } else { 97 })
}

fn hz(leg: LegId) -> f32 {
    TONES.iter().find(|(known, _)| *known == leg).expect("a party").1
}

fn tones(legs: &[LegId]) -> Vec<f32> {
    legs.iter().map(|leg| hz(*leg)).collect()
}

/// The most noise that a codec makes of tones in a hundredth of a second, root mean square.
fn noise_of(codec: Codec, tones: &[f32]) -> f32 {
    let rate = codec.audio_rate_hz();
    let opus = OpusSettings::default();
    let mut encoder = Encoder::new(codec, rate, opus).expect("it can be opened");
    let mut decoder = Decoder::new(codec, 8_000).expect("it can be opened");
    let wave = |n: u32| -> f32 {
        let angle = |hz: &f32| hz * std::f32::consts::TAU * (n % rate) as f32 / rate as f32;
        tones.iter().map(|hz| 4_000.0 * angle(hz).sin()).sum()
    };
    let mut decoded = Vec::new();
    for packet in 0..100 {
        let samples: Vec<i16> = (packet * rate / 50..(packet + 1) * rate / 50).map(|n| wave(n) as i16).collect();
        let mut payload = Vec::new();
        encoder.encode(&samples, &mut payload).expect("it makes a packet");
        decoder.decode(&payload, &mut decoded).expect("it is its own");
    }
    noises(&decoded[8_000..], tones).into_iter().fold(0.0, f32::max)
}

/// A signal is the sum of these tones, of amplitude 4,000 each, and what else is in it stays below `noise_max` in every
/// hundredth of a second (root mean square): a click would not.
#[track_caller]
fn assert_tones(what: &str, signal: &[i16], expected: &[f32], noise_max: f32) {
    for hz in TONES.map(|(_, hz)| hz).into_iter().chain([PROMPT_HZ]) {
        let (cosine, sine) = parts(signal, hz);
        let got = cosine.hypot(sine);
        let range = if expected.contains(&hz) { 3_300.0..4_700.0 } else { 0.0..200.0 };
        assert!(range.contains(&got), "{what}: {hz} Hz at {got}");
    }
    for (n, noise) in noises(signal, expected).into_iter().enumerate() {
        assert!(noise < noise_max, "{what}: {noise} at {} ms, {noise_max} expected", n * 10);
    }
}

/// What is left of a signal without these tones, in each hundredth of a second, root mean square.
fn noises(signal: &[i16], tones: &[f32]) -> Vec<f32> {
    let mut rest: Vec<f32> = signal.iter().map(|&sample| f32::from(sample)).collect();
    for hz in tones {
        let (cosine, sine) = parts(signal, *hz);
        let step = std::f32::consts::TAU * hz / 8_000.0;
        for (n, sample) in rest.iter_mut().enumerate() {
            let angle = step * n as f32;
            *sample -= cosine * angle.cos() + sine * angle.sin();
        }
    }
    let power = |piece: &[f32]| piece.iter().map(|sample| sample * sample).sum::<f32>() / piece.len() as f32;
    rest.chunks_exact(80).map(|piece| power(piece).sqrt()).collect()
}

/// The amplitudes of a cosine and a sine in a signal.
fn parts(signal: &[i16], hz: f32) -> (f32, f32) {
    let step = std::f32::consts::TAU * hz / 8_000.0;
    let sum = |wave: fn(f32) -> f32| -> f32 {
        signal.iter().enumerate().map(|(n, &sample)| f32::from(sample) * wave(step * n as f32)).sum()
    };
    (2.0 * sum(f32::cos) / signal.len() as f32, 2.0 * sum(f32::sin) / signal.len() as f32)
}
