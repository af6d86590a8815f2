//! Two sides that speak different codecs, or the same one differently.

use super::prompts::assert_one_stream;
use super::*;
use crate::codec::{Encoder, OpusSettings};
use crate::sdp::Formats;

const HZ: f32 = 500.0;

#[test]
fn every_pair_of_codecs_is_heard() {
    for from in Codec::ALL {
        for to in Codec::ALL {
            let mut world = World::with(of(CALLER, to), of(BOT, from));
            let mut bot = Speaker::new(from, 20);
            world.speak(BOT, &mut bot.phone, 50);
            let heard = world.heard_by(CALLER);
            assert!(heard.len() >= 49, "{from:?} to {to:?}: only {} packets", heard.len());
            assert!(heard.iter().all(|heard| heard.header.payload_type == number(to)), "{from:?} to {to:?}");
            assert_steady(&world, to);
            assert_tone(&world, to, &format!("{from:?} to {to:?}"));
        }
    }
}

#[test]
fn transcoding_adds_no_wait() {
    let mut world = World::with(of(CALLER, Codec::Opus), of(BOT, Codec::Pcmu));
    let mut bot = Speaker::new(Codec::Pcmu, 20);
    for _ in 0..10 {
        let before = world.heard_by(CALLER).len();
        let bytes = bot.phone.next();
        world.packet(BOT, bytes);
        assert_eq!(world.heard_by(CALLER).len(), before + 1, "at the same moment");
        world.pass(ms(20));
    }
}

#[test]
fn packet_lengths_that_do_not_divide_are_steady_all_the_same() {
    // 30 ms in, 20 ms out: every packet's worth of audio leaves, and time is exact.
    let to = StreamSettings { ptime_ms: 20, ..of(CALLER, Codec::Opus) };
    let mut world = World::with(to, of(BOT, Codec::Pcmu));
    let mut bot = Speaker::new(Codec::Pcmu, 30);
    for _ in 0..40 {
        let bytes = bot.phone.next();
        world.packet(BOT, bytes);
        world.pass(ms(30));
    }
    assert_eq!(world.heard_by(CALLER).len(), 60);
    assert_steady(&world, Codec::Opus);
    assert_tone(&world, Codec::Opus, "30 ms to 20 ms");
}

#[test]
fn a_change_of_codec_in_the_middle_is_one_stream() {
    // Field notes 3: a re-INVITE must not break transcoding.
    let mut world = World::with(of(CALLER, Codec::Pcmu), of(BOT, Codec::Pcmu));
    let mut bot = Speaker::new(Codec::Pcmu, 20);
    world.speak(BOT, &mut bot.phone, 20);
    for codec in [Codec::G722, Codec::Pcma, Codec::Pcmu] {
        world.order(Command::Configure { leg: CALLER, settings: of(CALLER, codec) });
        world.heard.clear();
        world.speak(BOT, &mut bot.phone, 50);
        assert!(world.heard_by(CALLER).iter().all(|heard| heard.header.payload_type == number(codec)));
        assert_one_stream(&world.numbers(CALLER));
        assert_tone(&world, codec, &format!("after the change to {codec:?}"));
    }
    assert_eq!(world.engine.stats(CALLER).map(|stats| stats.concealed_ms), Some(0));
}

#[test]
fn a_prompt_over_transcoded_audio_and_back() {
    let mut world = World::with(of(CALLER, Codec::Opus), of(BOT, Codec::Pcmu));
    let mut bot = Speaker::new(Codec::Pcmu, 20);
    world.speak(BOT, &mut bot.phone, 20);
    world.play(CALLER, 1, tone(1_500.0, 6_000.0, 8_000), PlayMode::Duck { attenuation_db: 12 });
    world.speak(BOT, &mut bot.phone, 60);
    assert_one_stream(&world.numbers(CALLER));
    let sound = world.sound(CALLER, Codec::Opus);
    // At 16 kHz: twice the samples.
    let during = halved(&sound[12_800..19_200]);
    assert!(level(&during, 1_500.0) > 4_000.0, "the prompt: {}", level(&during, 1_500.0));
    assert!((1_000.0..3_000.0).contains(&level(&during, HZ)), "quieter: {}", level(&during, HZ));
    world.heard.clear();
    world.speak(BOT, &mut bot.phone, 50);
    assert_tone(&world, Codec::Opus, "after the prompt");
}

#[test]
fn loss_is_concealed_on_the_way() {
    let mut world = World::with(of(CALLER, Codec::Opus), of(BOT, Codec::Pcmu));
    let mut bot = Speaker::new(Codec::Pcmu, 20);
    for packet in 0..100 {
        let bytes = bot.phone.next();
        if packet % 10 != 5 {
            world.packet(BOT, bytes);
        }
        world.pass(ms(20));
    }
    assert!(world.heard_by(CALLER).len() >= 98, "{} packets", world.heard_by(CALLER).len());
    assert_steady(&world, Codec::Opus);
    let stats = world.engine.stats(CALLER).expect("it is open");
    assert_eq!(stats.concealed_ms, 10 * 20);
}

#[test]
fn a_far_end_changes_its_codec_before_and_after_we_know() {
    // Its new codec may overtake its answer, and its old one goes on until it has our offer (RFC 3264 §5.1).
    for agreed_first in [false, true] {
        let mut world = World::with(of(CALLER, Codec::Pcmu), speaks(Codec::Pcma, &[Codec::Opus, Codec::Pcma]));
        let changed = Command::Configure { leg: BOT, settings: speaks(Codec::Opus, &[Codec::Opus, Codec::Pcma]) };
        let mut bot = Speaker::new(Codec::Pcma, 20);
        world.speak(BOT, &mut bot.phone, 25);
        if agreed_first {
            world.order(changed.clone());
        }
        world.speak(BOT, &mut bot.phone, 25);
        let mut bot = bot.changed_to(Codec::Opus);
        world.speak(BOT, &mut bot.phone, 25);
        world.order(changed);
        world.speak(BOT, &mut bot.phone, 25);

        assert!(world.heard_by(CALLER).len() >= 98, "{} packets", world.heard_by(CALLER).len());
        assert_one_stream(&world.numbers(CALLER));
        assert_tone(&world, Codec::Pcmu, "after the change");
        let stats = world.engine.stats(BOT).expect("it is open");
        assert_eq!((stats.packets_lost, stats.packets_refused), (0, 0));
        assert!(stats.jitter_ms < 1.0, "another clock is no jitter: {} ms", stats.jitter_ms);
    }
}

#[test]
fn one_transcoder_after_another_makes_one_stream() {
    let codecs = [Codec::Opus, Codec::G722, Codec::L16Wide];
    let mut world = World::with(of(CALLER, Codec::Pcmu), speaks(codecs[0], &codecs));
    let mut bot = Speaker::new(codecs[0], 20);
    for codec in codecs.into_iter().cycle().take(6) {
        bot = bot.changed_to(codec);
        world.speak(BOT, &mut bot.phone, 20);
    }
    assert!(world.heard_by(CALLER).len() >= 115, "{} packets", world.heard_by(CALLER).len());
    assert_one_stream(&world.numbers(CALLER));
    // Also when it is the hearer who changes.
    for codec in [Codec::G722, Codec::Pcma, Codec::G722] {
        world.order(Command::Configure { leg: CALLER, settings: of(CALLER, codec) });
        world.speak(BOT, &mut bot.phone, 20);
    }
    assert_one_stream(&world.numbers(CALLER));
}

#[test]
fn the_next_far_end_is_heard_whatever_its_numbers() {
    // Field notes: "after the transfer the caller cannot hear the agent". The agent's numbers lie behind or before the bot's.
    for (codec, sequence) in
        [Codec::Pcmu, Codec::G722, Codec::Opus].into_iter().flat_map(|codec| [100, 64_900, 65_200].map(|n| (codec, n)))
    {
        for is_new in [false, true] {
            let what = format!("{codec:?} from {sequence}, in the place of the leg before: {is_new}");
            let mut world = World::with(of(CALLER, codec), of(BOT, Codec::Pcmu));
            world.speak(BOT, &mut Speaker::new(Codec::Pcmu, 20).phone, 50);
            if is_new {
                world.order(Command::Close { leg: AGENT });
                world.order(Command::Close { leg: BOT });
                world.open(AGENT);
            }
            world.order(Command::Configure { leg: AGENT, settings: of(AGENT, Codec::Pcmu) });
            world.order(Command::Bridge { a: CALLER, b: AGENT });
            let before = world.heard_by(CALLER).len();
            let mut agent = Speaker::new(Codec::Pcmu, 20);
            agent.phone.stamp = Stamp { sequence, ssrc: Ssrc(33), ..agent.phone.stamp };
            world.speak(AGENT, &mut agent.phone, 50);
            assert_eq!(world.heard_by(CALLER).len(), before + 50, "{what}");
            assert_one_stream(&world.numbers(CALLER));
            assert_tone(&world, codec, &what);
            let stats = world.engine.stats(CALLER).expect("it is open");
            assert_eq!(stats.concealed_ms, 0, "{what}");
        }
    }
}

#[test]
fn a_codec_that_begins_with_a_packet_of_no_use_is_followed_all_the_same() {
    let mut world = World::with(of(CALLER, Codec::Pcmu), speaks(Codec::Pcma, &[Codec::Opus, Codec::Pcma]));
    let mut bot = Speaker::new(Codec::Pcma, 20);
    world.speak(BOT, &mut bot.phone, 10);
    let mut bot = bot.changed_to(Codec::Opus);
    bot.phone.stamp.sequence -= 1;
    world.speak(BOT, &mut bot.phone, 1);
    assert_eq!(world.engine.stats(BOT).map(|stats| stats.packets_refused), Some(1), "its number was taken");
    world.speak(BOT, &mut bot.phone, 50);
    assert!(world.heard_by(CALLER).len() >= 59, "{} packets", world.heard_by(CALLER).len());
    assert_tone(&world, Codec::Pcmu, "after the change");
}

#[test]
fn the_listening_side_is_told_what_each_packet_holds() {
    let mut world = World::with(of(CALLER, Codec::Pcmu), speaks(Codec::Pcma, &[Codec::Opus, Codec::Pcma]));
    world.order(Command::Tap { leg: BOT, on: true });
    let mut bot = Speaker::new(Codec::Pcma, 20);
    world.speak(BOT, &mut bot.phone, 1);
    let mut bot = bot.changed_to(Codec::Opus);
    world.speak(BOT, &mut bot.phone, 1);
    bot.phone.stamp.payload_type = EVENT_TYPE;
    world.speak(BOT, &mut bot.phone, 1);
    let told: Vec<_> = world.frames.iter().map(|frame| (frame.codec, frame.payload_type())).collect();
    assert_eq!(told, [(Some(Codec::Pcma), 8), (Some(Codec::Opus), 107), (None, EVENT_TYPE)]);
}

#[test]
fn nobody_makes_us_open_codecs_all_the_time() {
    let mut world = World::with(of(CALLER, Codec::Pcmu), speaks(Codec::Pcma, &[Codec::Opus, Codec::Pcma]));
    let mut bot = Speaker::new(Codec::Pcma, 20);
    for codec in [Codec::Opus, Codec::Pcma].into_iter().cycle().take(100) {
        bot = bot.changed_to(codec);
        world.speak(BOT, &mut bot.phone, 1);
    }
    // Every 200 ms at most; what comes in the other codec in between is not taken.
    let stats = world.engine.stats(BOT).expect("it is open");
    assert!((40..=60).contains(&stats.packets_refused), "{} refused", stats.packets_refused);
}

#[test]
fn packets_longer_than_the_hearer_takes_are_cut() {
    for (from, to) in [(Codec::Pcma, Codec::Pcma), (Codec::Opus, Codec::Opus), (Codec::Pcma, Codec::Pcmu)] {
        let short = StreamSettings { ptime_ms: 20, packet_ms_max: Some(30), ..of(CALLER, to) };
        let mut world = World::with(short, of(BOT, from));
        let mut bot = Speaker::new(from, 40);
        for _ in 0..25 {
            let bytes = bot.phone.next();
            world.packet(BOT, bytes);
            world.pass(ms(40));
        }
        assert_eq!(world.heard_by(CALLER).len(), 50, "{from:?}");
        assert_steady(&world, to);
        assert_tone(&world, to, &format!("{from:?} cut"));
        // What is short enough is relayed as it is, once another agreement begins anew.
        world.order(Command::Configure { leg: CALLER, settings: of(CALLER, to) });
        let bytes = bot.phone.next();
        world.packet(BOT, bytes.clone());
        assert_eq!(world.heard_by(CALLER)[50].payload.len(), bytes.len() - 12);
    }
}

/// A phone that says a tone in any codec.
struct Speaker {
    phone: Phone,
}

impl Speaker {
    fn new(codec: Codec, ptime_ms: u32) -> Self {
        let rate = codec.audio_rate_hz();
        let opus = OpusSettings { fec: true, dtx: false, bitrate_max: None, ..OpusSettings::default() };
        let mut encoder = Encoder::new(codec, rate, opus).expect("it can be opened");
        let mut said = 0_u32;
        let mut phone = Phone::saying(22, move || {
            let count = rate / 1_000 * ptime_ms;
            let wave = |n: u32| (8_000.0 * (HZ * std::f32::consts::TAU * n as f32 / rate as f32).sin()) as i16;
            let samples: Vec<i16> = (said..said + count).map(wave).collect();
            said += count;
            let mut payload = Vec::new();
            encoder.encode(&samples, &mut payload).expect("it makes a packet");
            payload
        });
        phone.stamp.payload_type = number(codec);
        phone.ticks = Some(codec.clock_hz() / 1_000 * ptime_ms);
        Self { phone }
    }

    /// The same source, which goes on in another codec.
    fn changed_to(self, codec: Codec) -> Self {
        let mut next = Self::new(codec, 20);
        let Stamp { sequence, timestamp, .. } = self.phone.stamp;
        next.phone.stamp = Stamp { sequence, timestamp, ..next.phone.stamp };
        next
    }
}

/// The bot's agreement on `codec`, who may speak all of `codecs`.
fn speaks(codec: Codec, codecs: &[Codec]) -> StreamSettings {
    let codecs = codecs.iter().map(|codec| (*codec, number(*codec))).collect();
    StreamSettings { also_received: Box::new(Formats { codecs, ..Formats::default() }), ..of(BOT, codec) }
}

fn of(leg: LegId, codec: Codec) -> StreamSettings {
    settings_of(leg, codec, number(codec))
}

fn number(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => 107,
        Codec::L16Narrow => 96,
        Codec::L16Wide => 97,
        _ => codec.static_payload_type().expect("it has one"),
    }
}

/// Packets follow each other by one, and timestamps by 20 ms of the codec's clock.
#[track_caller]
fn assert_steady(world: &World, codec: Codec) {
    for pair in world.numbers(CALLER).windows(2) {
        assert_eq!(pair[1].0.wrapping_sub(pair[0].0), 1, "{codec:?}: {pair:?}");
        assert_eq!(pair[1].1.wrapping_sub(pair[0].1), codec.clock_hz() / 50, "{codec:?}: {pair:?}");
    }
}

/// The second half of what the caller hears is the bot's tone.
#[track_caller]
fn assert_tone(world: &World, codec: Codec, what: &str) {
    let sound = world.sound(CALLER, codec);
    let sound = if codec.audio_rate_hz() == 16_000 { halved(&sound) } else { sound };
    let half = &sound[sound.len() / 2 / 160 * 160..];
    let got = level(half, HZ);
    assert!((6_500.0..9_500.0).contains(&got), "{what}: {got}");
}

/// Every other sample: tones below 2 kHz stay what they are.
fn halved(samples: &[i16]) -> Vec<i16> {
    samples.iter().step_by(2).copied().collect()
}
