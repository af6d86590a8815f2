//! What is captured of legs for whoever looks for a fault, and what never is.

use super::keys::{press, press_with};
use super::protected::{far_end, protected, sealed};
use super::*;
use crate::srtp::Suite;
use crate::{CapturedPacket, Capturing, Depth, Way};

#[test]
fn both_ways_of_both_legs_as_they_are_without_protection() {
    let suite = Suite::AeadAes128Gcm;
    let mut world = World::with(protected(CALLER, suite, 1), settings(BOT));
    capture(&mut world, Depth::Whole);
    let (mut seal, _) = far_end(suite, 1);
    let (mut caller, mut bot) = (Phone::saying(11, || vec![0x21; 160]), Phone::saying(22, || vec![0x42; 160]));
    for _ in 0..5 {
        let plain = caller.next();
        world.packet(CALLER, sealed(&mut seal, &plain));
        let plain = bot.next();
        world.packet(BOT, plain);
        world.pass(ms(20));
    }
    for (leg, way, said) in
        [(CALLER, Way::Said, 0x21), (BOT, Way::Heard, 0x21), (BOT, Way::Said, 0x42), (CALLER, Way::Heard, 0x42)]
    {
        let packets = packets_of(&world, leg, way);
        assert_eq!(packets.len(), 5, "{leg:?} {way:?}");
        for packet in packets {
            assert_eq!((packet.far, packet.near, packet.length), (home(leg), near(leg), 172));
            assert_eq!(packet.octets()[12..], [said; 160]);
        }
    }
}

#[test]
fn headers_alone_where_nothing_else_is_asked_for() {
    let mut world = World::new();
    capture(&mut world, Depth::Headers);
    world.speak(CALLER, &mut Phone::new(11), 3);
    assert!(!world.captures.is_empty());
    for packet in &world.captures {
        assert_eq!((packet.octets().len(), packet.length), (12, 172));
    }
}

#[test]
fn secret_keys_are_captured_nowhere() {
    let mut world = World::new();
    capture(&mut world, Depth::Whole);
    let mut caller = Phone::new(11);
    world.order(Command::Secure { leg: CALLER, on: true });
    press_with(&mut world, &mut caller, EVENT_TYPE, 5);
    // A side that takes no events is sent the tones of a key, which are made a while after it.
    world.order(Command::Press { leg: BOT, key: crate::dtmf::Key::from_event(7).expect("a key") });
    world.order(Command::Secure { leg: CALLER, on: false });
    world.pass(ms(1_000));
    assert!(packets_of(&world, BOT, Way::Heard).len() > 10, "they were sent");
    let rtp = |packet: &&CapturedPacket| !crate::rtcp::is_control(packet.octets());
    assert!(world.captures.iter().filter(rtp).all(|packet| packet.octets().len() == 12));

    world.pass(ms(19_500));
    world.captures.clear();
    press_with(&mut world, &mut caller, EVENT_TYPE, 6);
    assert!(world.captures.iter().filter(rtp).any(|packet| packet.octets().len() > 12), "and then they are again");
}

#[test]
fn who_takes_a_place_while_input_is_secret_gives_nothing_away() {
    let mut world = World::new();
    capture(&mut world, Depth::Whole);
    world.order(Command::Secure { leg: CALLER, on: true });
    world.order(Command::Bridge { a: CALLER, b: AGENT });
    press(&mut world, EVENT_TYPE, 5);
    let heard = packets_of(&world, AGENT, Way::Heard);
    assert!(!heard.is_empty() && heard.iter().all(|packet| packet.octets().len() == 12));
}

#[test]
fn nothing_is_captured_once_it_has_ended() {
    let mut world = World::new();
    capture(&mut world, Depth::Whole);
    for leg in [CALLER, BOT, AGENT] {
        world.order(Command::Capture { leg, capture: None });
    }
    world.speak(CALLER, &mut Phone::new(11), 3);
    assert!(world.captures.is_empty());
}

fn capture(world: &mut World, depth: Depth) {
    for leg in [CALLER, BOT, AGENT] {
        let capture = Some(Capturing { number: leg.0, near: near(leg), depth });
        world.order(Command::Capture { leg, capture });
    }
}

fn packets_of(world: &World, leg: LegId, way: Way) -> Vec<&CapturedPacket> {
    world.captures.iter().filter(|packet| packet.number == leg.0 && packet.way == way).collect()
}

fn near(leg: LegId) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], 4_000 + (leg.0 & 0xf) as u16))
}
