//! Key presses between sides that send them in different ways.

use super::*;
use crate::dtmf::Key;

#[test]
fn a_press_is_told_once() {
    let mut world = World::new();
    press(&mut world, EVENT_TYPE, 5);
    assert_eq!(keys(&world), "5");
}

#[test]
fn a_press_ends_a_sound_that_may_be_ended() {
    for (key_ends, expected) in [(true, Some(false)), (false, None)] {
        let mut world = World::new();
        let sound = Arc::new(Sound { samples: vec![100; 8_000] });
        let mode = PlayMode::Replace;
        world.order(Command::Play { leg: CALLER, prompt: PromptId(1), sound, mode, repeats: false, key_ends });
        press(&mut world, EVENT_TYPE, 1);
        let ended = world.events.iter().find_map(|event| match event {
            Event::PlayEnded { completed, .. } => Some(*completed),
            _ => None,
        });
        assert_eq!(ended, expected, "key_ends {key_ends}");
    }
}

#[test]
fn a_side_without_events_hears_the_tones() {
    let mut world = World::with(settings(CALLER), settings(BOT).with_events(None));
    press(&mut world, EVENT_TYPE, 5);
    world.pass(ms(200));
    let sound = world.sound(BOT, Codec::Pcmu);
    // The two tones of 5 (ITU-T Q.23).
    for hz in [770.0, 1_336.0] {
        assert!(level(&sound[160..800], hz) > 1_000.0, "{hz} Hz: {}", level(&sound[160..800], hz));
    }
}

#[test]
fn keys_reach_a_side_for_which_audio_is_made() {
    for codec in [Codec::Pcmu, Codec::Opus] {
        let bot = settings_of(BOT, codec, if codec == Codec::Opus { 107 } else { 0 }).with_events(Some(EVENT_TYPE));
        let mut world = World::with(settings(CALLER), bot);
        let mut caller = Phone::new(11);
        world.speak(CALLER, &mut caller, 10);
        world.play(BOT, 1, vec![100; 16_000], PlayMode::Duck { attenuation_db: 6 });
        for event in [4, 4, 1] {
            world.speak(CALLER, &mut caller, 10);
            press_with(&mut world, &mut caller, EVENT_TYPE, event);
        }
        world.speak(CALLER, &mut caller, 10);
        let presses = world.heard.iter().filter(|heard| heard.leg == BOT && heard.header.payload_type == EVENT_TYPE);
        let mut told: Vec<(u32, u8)> = presses.map(|heard| (heard.header.timestamp, heard.payload[0])).collect();
        told.dedup();
        assert_eq!(told.iter().map(|(_, event)| *event).collect::<Vec<_>>(), [4, 4, 1], "{codec:?}");
    }
}

#[test]
fn durations_follow_the_clock_of_the_codec() {
    let bot = settings_of(BOT, Codec::Opus, 107).with_events(Some(102));
    let mut world = World::with(settings(CALLER), bot);
    let mut caller = Phone::new(11);
    world.speak(CALLER, &mut caller, 5);
    press_with(&mut world, &mut caller, EVENT_TYPE, 5);
    let presses: Vec<&Heard> =
        world.heard.iter().filter(|heard| heard.leg == BOT && heard.header.payload_type == 102).collect();
    assert_eq!(presses.len(), 7);
    let duration = |heard: &Heard| u16::from_be_bytes([heard.payload[2], heard.payload[3]]);
    assert_eq!((duration(presses[0]), duration(presses[6])), (160 * 6, 800 * 6));
    assert!(presses.windows(2).all(|pair| pair[0].header.timestamp == pair[1].header.timestamp));
}

#[test]
fn opus_goes_with_the_event_clock_that_a_phone_knows() {
    // Events at 8 kHz beside Opus at 48 kHz, as many phones have them: relayed, transcoded, and pressed by us.
    let opus = |leg: LegId, number: u8, event_clock_hz: u32| StreamSettings {
        event_clock_hz,
        ..settings_of(leg, Codec::Opus, 107).with_events(Some(number))
    };
    for (caller, bot, first, last) in [
        (opus(CALLER, 101, 8_000), opus(BOT, 102, 48_000), 960, 4_800),
        (opus(CALLER, 101, 8_000), opus(BOT, 102, 8_000), 160, 800),
        (opus(CALLER, 101, 8_000), settings_of(BOT, Codec::Pcmu, 0).with_events(Some(102)), 160, 800),
        (settings(CALLER), opus(BOT, 102, 8_000), 160, 800),
    ] {
        let mut world = World::with(caller.clone(), bot.clone());
        let mut phone = Phone::new(11);
        phone.stamp.payload_type = caller.payload_type;
        phone.ticks = Some(caller.codec.clock_hz() / 50);
        if caller.codec == Codec::Opus {
            phone.payload = Box::new(|| vec![0xf8, 0xff, 0xfe]);
        }
        world.speak(CALLER, &mut phone, 5);
        press_with(&mut world, &mut phone, EVENT_TYPE, 5);
        let presses: Vec<&Heard> =
            world.heard.iter().filter(|heard| heard.leg == BOT && heard.header.payload_type == 102).collect();
        let duration = |heard: &Heard| u16::from_be_bytes([heard.payload[2], heard.payload[3]]);
        assert_eq!((presses.len(), duration(presses[0]), duration(presses[6])), (7, first, last), "{caller:?} {bot:?}");
        assert!(presses.windows(2).all(|pair| pair[0].header.timestamp == pair[1].header.timestamp));
        assert_eq!(keys(&world), "5");

        world.heard.clear();
        world.order(Command::Press { leg: BOT, key: Key::try_from('7').expect("it is a key") });
        world.speak(CALLER, &mut phone, 10);
        let pressed: Vec<&Heard> = world.heard.iter().filter(|heard| heard.header.payload_type == 102).collect();
        assert!(pressed.len() >= 5, "{}", pressed.len());
        assert_eq!(duration(pressed[0]), first);
        assert!(pressed.windows(2).all(|pair| pair[0].header.timestamp == pair[1].header.timestamp));
    }
}

#[test]
fn keys_are_pressed_for_a_leg() {
    let mut world = World::new();
    let mut caller = Phone::new(11);
    world.speak(CALLER, &mut caller, 5);
    let key = Key::try_from('7').expect("it is a key");
    world.order(Command::Press { leg: BOT, key });
    world.speak(CALLER, &mut caller, 20);
    let sent: Vec<&Heard> =
        world.heard.iter().filter(|heard| heard.leg == BOT && heard.header.payload_type == EVENT_TYPE).collect();
    assert!(sent.len() >= 5, "{}", sent.len());
    assert!(sent.iter().all(|heard| heard.payload[0] == 7));
    assert!(sent.windows(2).all(|pair| pair[0].header.timestamp == pair[1].header.timestamp));
    assert_eq!(world.heard_by(BOT).last().map(|heard| heard.header.payload_type), Some(0), "audio goes on");
    let numbers: Vec<u16> = world.numbers(BOT).iter().map(|(sequence, _)| *sequence).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}

#[test]
fn a_secret_input_is_not_copied() {
    let mut world = World::new();
    world.order(Command::Tap { leg: CALLER, on: true });
    world.order(Command::Secure { leg: CALLER, on: true });
    press(&mut world, EVENT_TYPE, 5);
    assert_eq!((world.frames.len(), world.heard_by(BOT).len()), (0, 7), "the other side gets it");
    world.order(Command::Secure { leg: CALLER, on: false });
    world.packet(CALLER, Phone::new(12).next());
    assert_eq!(world.frames.len(), 1);
}

/// A press of 100 ms as a phone sends it: five packets, the last said three times.
fn press(world: &mut World, payload_type: u8, event: u8) {
    press_with(world, &mut Phone::new(11), payload_type, event);
}

fn press_with(world: &mut World, phone: &mut Phone, payload_type: u8, event: u8) {
    for (packet, units) in [160_u16, 320, 480, 640, 800, 800, 800].into_iter().enumerate() {
        let mut stamp = phone.stamp;
        (stamp.payload_type, stamp.marker) = (payload_type, packet == 0);
        let end = if packet >= 4 { 0x80 } else { 0 };
        let [high, low] = units.to_be_bytes();
        world.packet(CALLER, [&stamp.to_bytes()[..], &[event, end | 10, high, low]].concat());
        phone.stamp.sequence = phone.stamp.sequence.wrapping_add(1);
        world.pass(ms(20));
    }
    phone.stamp.timestamp = phone.stamp.timestamp.wrapping_add(960);
}

fn keys(world: &World) -> String {
    let key = |event: &Event| match event {
        Event::Key { key, .. } => Some(key.to_string()),
        _ => None,
    };
    world.events.iter().filter_map(key).collect()
}
