//! Relay, latch, hold, payload types, silence, tap and malformed packets.

use super::*;

#[test]
fn relays_both_ways_with_our_own_numbers() {
    let mut world = World::new();
    let (mut caller, mut bot) = (Phone::new(11), Phone::new(22));
    for _ in 0..200 {
        world.packet(CALLER, caller.next());
        world.packet(BOT, bot.next());
        world.pass(ms(20));
    }

    let expected: Vec<(u16, u32)> = (0..200).map(|n| (n, u32::from(n) * 160)).collect();
    assert_eq!(world.numbers(CALLER), expected);
    assert_eq!(world.numbers(BOT), expected);
    let names: Vec<Ssrc> = [CALLER, BOT].iter().map(|&leg| world.heard_by(leg)[0].header.ssrc).collect();
    assert!(names[0] != names[1] && !names.contains(&Ssrc(11)) && !names.contains(&Ssrc(22)));
    assert_eq!(world.heard_by(CALLER)[0].to, home(CALLER));
    assert_eq!(
        world.events,
        [
            Event::Latched { leg: CALLER, source: home(CALLER) },
            Event::Bridged { leg: BOT, from: CALLER },
            Event::Latched { leg: BOT, source: home(BOT) },
            Event::Bridged { leg: CALLER, from: BOT },
        ]
    );
}

#[test]
fn loss_stays_visible() {
    let mut world = World::new();
    let mut bot = Phone::new(22);
    world.packet(BOT, bot.next());
    bot.skip(160);
    bot.skip(160);
    world.pass(ms(60));
    world.packet(BOT, bot.next());
    assert_eq!(world.numbers(CALLER), [(0, 0), (3, 480)]);
    assert_eq!(world.engine.stats(BOT).map(|stats| stats.packets_lost), Some(2));
}

#[test]
fn duplicates_are_not_passed_on() {
    let mut world = World::new();
    let bytes = Phone::new(22).next();
    world.packet(BOT, bytes.clone());
    world.packet(BOT, bytes);
    assert_eq!(world.numbers(CALLER).len(), 1);
}

#[test]
fn a_new_bridge_goes_on_where_the_old_one_was() {
    let mut world = World::new();
    let (mut bot, mut agent) = (Phone::new(22), Phone::new(33));
    agent.stamp.sequence = 7;
    agent.stamp.timestamp = 99;
    world.speak(BOT, &mut bot, 3);
    world.order(Command::Bridge { a: CALLER, b: AGENT });
    world.packet(BOT, bot.next());
    world.pass(ms(100));
    world.speak(AGENT, &mut agent, 2);

    assert_eq!(world.numbers(CALLER), [(0, 0), (1, 160), (2, 320), (3, 320 + 960), (4, 320 + 960 + 160)]);
    let markers: Vec<bool> = world.heard_by(CALLER).iter().map(|heard| heard.header.marker).collect();
    assert_eq!(markers, [true, false, false, true, false]);
    assert!(world.events.contains(&Event::Bridged { leg: CALLER, from: AGENT }));
}

#[test]
fn a_stream_begins_far_from_where_its_numbers_wrap() {
    for seed in 0..64 {
        let mut world = World::new();
        world.engine = Engine::new(8, seed);
        world.open(CALLER);
        world.order(Command::Configure { leg: CALLER, settings: settings(CALLER) });
        world.play(CALLER, 1, vec![0; 320], PlayMode::Replace);
        world.pass(ms(20));
        let first = world.heard_by(CALLER)[0].header.sequence;
        assert!(first <= 0x8000, "seed {seed}: {first}");
    }
}

#[test]
fn a_stranger_is_refused_until_the_phone_is_silent() {
    let mut world = World::new();
    let (mut bot, mut thief) = (Phone::new(22), Phone::new(66));
    let elsewhere = SocketAddr::from(([198, 51, 100, 1], 9));
    world.speak(BOT, &mut bot, 2);
    world.packet_from(BOT, elsewhere, thief.next());
    assert_eq!(world.numbers(CALLER).len(), 2);
    assert_eq!(world.engine.stats(BOT).map(|stats| stats.packets_refused), Some(1));

    world.pass(ms(2_000));
    world.packet_from(BOT, elsewhere, thief.next());
    assert_eq!(world.numbers(CALLER).len(), 3);
    assert!(world.events.contains(&Event::Latched { leg: BOT, source: elsewhere }));
}

#[test]
fn audio_goes_to_where_audio_comes_from() {
    let mut world = World::new();
    let behind_nat = SocketAddr::from(([203, 0, 113, 5], 31_000));
    let (mut caller, mut bot) = (Phone::new(11), Phone::new(22));
    world.packet(BOT, bot.next());
    world.packet_from(CALLER, behind_nat, caller.next());
    world.packet(BOT, bot.next());
    let targets: Vec<SocketAddr> = world.heard_by(CALLER).iter().map(|heard| heard.to).collect();
    assert_eq!(targets, [home(CALLER), behind_nat]);
}

#[test]
fn hold_stops_what_it_forbids() {
    // Direction of the caller's leg, then: does the caller hear, does the bot hear?
    check_hold(Direction::SendRecv, true, true);
    check_hold(Direction::SendOnly, true, false);
    check_hold(Direction::RecvOnly, false, true);
    check_hold(Direction::Inactive, false, false);
}

#[track_caller]
fn check_hold(direction: Direction, caller_hears: bool, bot_hears: bool) {
    let mut world = World::with(StreamSettings { direction, ..settings(CALLER) }, settings(BOT));
    world.order(Command::Tap { leg: CALLER, on: true });
    world.packet(CALLER, Phone::new(11).next());
    world.packet(BOT, Phone::new(22).next());
    assert_eq!(!world.numbers(CALLER).is_empty(), caller_hears, "{direction:?}: caller");
    assert_eq!(!world.numbers(BOT).is_empty(), bot_hears, "{direction:?}: bot");
    assert_eq!(!world.frames.is_empty(), bot_hears, "{direction:?}: tap");
}

#[test]
fn resuming_goes_on_in_time() {
    let mut world = World::new();
    let mut bot = Phone::new(22);
    world.speak(BOT, &mut bot, 2);
    let held = StreamSettings { direction: Direction::RecvOnly, ..settings(CALLER) };
    world.order(Command::Configure { leg: CALLER, settings: held });
    world.speak(BOT, &mut bot, 50);
    world.order(Command::Configure { leg: CALLER, settings: settings(CALLER) });
    world.speak(BOT, &mut bot, 1);
    let numbers = world.numbers(CALLER);
    assert_eq!(numbers.last(), Some(&(2, 52 * 160)), "time has passed, but nothing was lost");
}

#[test]
fn payload_types_are_mapped() {
    let caller = settings_of(CALLER, Codec::Pcma, 8).with_events(Some(96));
    check_types(&caller, &settings(BOT), 0, Some(8));
    check_types(&caller, &settings(BOT), EVENT_TYPE, Some(96));
    check_types(&caller, &settings(BOT), 13, Some(13));
    check_types(&caller, &settings(BOT), 8, None);
    check_types(&caller, &settings(BOT), 77, None);
    let deaf = settings(CALLER).with_events(None);
    check_types(&deaf, &settings(BOT), EVENT_TYPE, None);
}

/// What becomes of a payload type that the bot sends.
#[track_caller]
fn check_types(caller: &StreamSettings, bot: &StreamSettings, sent: u8, expected: Option<u8>) {
    let mut world = World::with(caller.clone(), bot.clone());
    let mut phone = Phone::new(22);
    phone.stamp.payload_type = sent;
    world.packet(BOT, phone.next());
    let got = world.heard_by(CALLER).first().map(|heard| heard.header.payload_type);
    assert_eq!(got, expected);
}

#[test]
fn laws_are_converted() {
    let caller = settings_of(CALLER, Codec::Pcma, 8);
    let mut world = World::with(caller, settings(BOT));
    let mut octets = Vec::new();
    crate::g711::encode(crate::g711::Law::Mu, &tone(500.0, 8_000.0, 160), &mut octets);
    let mut bot = Phone::saying(22, move || octets.clone());
    world.speak(BOT, &mut bot, 10);
    let level = level(&world.sound(CALLER, Codec::Pcma), 500.0);
    assert!((level - 8_000.0).abs() < 200.0, "{level}");
}

#[test]
fn extensions_sources_and_padding_are_left_out() {
    let mut world = World::new();
    let mut bytes = Phone::new(22).next();
    bytes[0] = 0xb1;
    bytes.splice(12..12, [0, 0, 0, 9, 0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
    bytes.extend([0, 0, 3]);
    world.packet(BOT, bytes);
    assert_eq!(world.heard_by(CALLER)[0].payload, [0xff; 160]);
}

#[test]
fn silence_is_said_at_doubling_spans() {
    let mut world = World::new();
    let mut bot = Phone::new(22);
    world.order(Command::Close { leg: CALLER });
    world.order(Command::Close { leg: AGENT });
    world.events.clear();
    world.pass(ms(21_000));
    world.packet(BOT, bot.next());
    world.pass(ms(5_500));
    let said: Vec<String> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Silent { silence, .. } => Some(format!("silent {}", silence.as_secs())),
            Event::Heard { .. } => Some("heard".into()),
            _ => None,
        })
        .collect();
    assert_eq!(said, ["silent 5", "silent 10", "silent 20", "heard", "silent 5"]);
}

#[test]
fn a_held_leg_is_not_silent() {
    let mut world = World::with(
        StreamSettings { direction: Direction::SendOnly, ..settings(CALLER) },
        StreamSettings { direction: Direction::Inactive, ..settings(BOT) },
    );
    world.pass(ms(30_000));
    assert_eq!(world.events, []);
    world.order(Command::Configure { leg: CALLER, settings: settings(CALLER) });
    world.pass(ms(4_900));
    assert_eq!(world.events, [], "counted from the moment that packets are expected");
    world.pass(ms(400));
    assert_eq!(world.events.len(), 1);
}

#[test]
fn the_tap_copies_what_was_sent() {
    let mut world = World::new();
    world.order(Command::Tap { leg: BOT, on: true });
    let bytes = Phone::new(22).next();
    world.packet(BOT, bytes.clone());
    world.packet(BOT, Phone::saying(22, || vec![0; 700]).next());
    world.order(Command::Tap { leg: BOT, on: false });
    assert_eq!(world.frames.len(), 1);
    assert_eq!((world.frames[0].leg, world.frames[0].arrival), (BOT, world.now));
    assert_eq!(world.frames[0].packet(), bytes);
}

#[test]
fn too_long_for_the_tap_is_counted() {
    let mut world = World::new();
    world.order(Command::Tap { leg: BOT, on: true });
    world.packet(BOT, Phone::saying(22, || vec![0; 700]).next());
    world.engine.count_tap_drop(BOT);
    assert_eq!(world.engine.stats(BOT).map(|stats| stats.tap_dropped), Some(2));
    assert_eq!(world.numbers(CALLER).len(), 1, "the call does not notice");
}

#[test]
fn malformed_packets_are_counted_and_go_nowhere() {
    let mut world = World::new();
    for bytes in [vec![0x80], vec![0; 172], vec![0x9f; 30], vec![0xa0; 12], vec![0x80; 1_501]] {
        world.packet(BOT, bytes);
    }
    // An empty datagram is nothing at all.
    world.packet(BOT, vec![]);
    assert_eq!(world.heard.len(), 0);
    assert_eq!(world.engine.stats(BOT).map(|stats| stats.packets_refused), Some(5));
    assert_eq!(world.events, [], "noise does not latch");
}

#[test]
fn closing_tells_the_figures_once() {
    let mut world = World::new();
    let mut bot = Phone::new(22);
    world.speak(BOT, &mut bot, 5);
    world.events.clear();
    world.order(Command::Close { leg: BOT });
    world.order(Command::Close { leg: BOT });
    let [Event::Closed { leg: BOT, stats }] = world.events[..] else {
        panic!("one event: {:?}", world.events);
    };
    assert_eq!((stats.packets_received, stats.bytes_received, stats.packets_lost), (5, 800, 0));

    world.packet(CALLER, Phone::new(11).next());
    assert_eq!(world.numbers(BOT).len(), 0, "nobody hears the caller now");
}

#[test]
fn there_is_room_for_so_many_legs() {
    let mut world = World::new();
    for leg in (50..=55).map(LegId).chain([BOT]) {
        world.order(Command::Open { leg, port: 4000, address: None });
    }
    let failed: Vec<LegId> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::OpenFailed { leg, .. } => Some(*leg),
            _ => None,
        })
        .collect();
    assert_eq!(failed, [LegId(55), BOT]);
}
