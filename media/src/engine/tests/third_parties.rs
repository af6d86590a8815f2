//! Supervisors: who hears whom, told from the frequencies that arrive.

use super::prompts::assert_one_stream;
use super::*;
use crate::g711::{self, Law};

const CALLER_HZ: f32 = 500.0;
const BOT_HZ: f32 = 1_000.0;
const SUPERVISOR_HZ: f32 = 1_500.0;

#[test]
fn listening_hears_both_and_is_not_heard() {
    let world = supervised(Supervision::Listen);
    expect(&world, AGENT, &[CALLER_HZ, BOT_HZ]);
    expect(&world, CALLER, &[BOT_HZ]);
    expect(&world, BOT, &[CALLER_HZ]);
}

#[test]
fn a_whisper_is_heard_by_one() {
    let world = supervised(Supervision::Whisper);
    expect(&world, AGENT, &[CALLER_HZ, BOT_HZ]);
    expect(&world, CALLER, &[BOT_HZ]);
    expect(&world, BOT, &[CALLER_HZ, SUPERVISOR_HZ]);
}

#[test]
fn barging_in_is_heard_by_all() {
    let world = supervised(Supervision::Barge);
    expect(&world, AGENT, &[CALLER_HZ, BOT_HZ]);
    expect(&world, CALLER, &[BOT_HZ, SUPERVISOR_HZ]);
    expect(&world, BOT, &[CALLER_HZ, SUPERVISOR_HZ]);
}

#[test]
fn the_call_is_relayed_again_when_the_supervisor_leaves() {
    let mut world = supervised(Supervision::Barge);
    world.order(Command::Close { leg: AGENT });
    world.heard.clear();
    // The first packet of phones that start anew is believed with the second.
    talk(&mut world, &mut phones(), &[CALLER, BOT], 21);
    assert_eq!((world.heard_by(CALLER).len(), world.heard_by(BOT).len()), (20, 20));
    expect(&world, CALLER, &[BOT_HZ]);
}

#[test]
fn a_supervised_leg_that_closes_leaves_the_supervisor_alone() {
    let mut world = supervised(Supervision::Whisper);
    world.order(Command::Close { leg: BOT });
    world.heard.clear();
    talk(&mut world, &mut phones(), &[CALLER, AGENT], 10);
    assert_eq!(world.heard.len(), 0, "nobody is left to be heard");
}

#[test]
fn hearing_does_not_go_in_circles() {
    let mut world = World::new();
    world.order(Command::Supervise { supervisor: CALLER, leg: BOT, mode: Supervision::Barge, hears: Sides::Both });
    world.order(Command::Supervise { supervisor: AGENT, leg: AGENT, mode: Supervision::Barge, hears: Sides::Both });
    talk(&mut world, &mut phones(), &[CALLER, BOT], 10);
    assert_eq!((world.heard_by(CALLER).len(), world.heard_by(AGENT).len()), (10, 0));
}

/// The agent supervises the bot's leg while all three talk for a second and a half.
fn supervised(mode: Supervision) -> World {
    let mut world = World::new();
    world.order(Command::Supervise { supervisor: AGENT, leg: BOT, mode, hears: Sides::Both });
    let mut phones = phones();
    talk(&mut world, &mut phones, &[CALLER, BOT, AGENT], 75);
    for leg in [CALLER, BOT, AGENT] {
        assert_one_stream(&world.numbers(leg));
    }
    world
}

fn phones() -> [(LegId, Phone); 3] {
    [(CALLER, CALLER_HZ), (BOT, BOT_HZ), (AGENT, SUPERVISOR_HZ)].map(|(leg, hz)| {
        let mut octets = Vec::new();
        g711::encode(Law::Mu, &tone(hz, 4_000.0, 160), &mut octets);
        (leg, Phone::saying(leg.0, move || octets.clone()))
    })
}

fn talk(world: &mut World, phones: &mut [(LegId, Phone)], who: &[LegId], packets: usize) {
    for _ in 0..packets {
        for (leg, phone) in phones.iter_mut().filter(|(leg, _)| who.contains(leg)) {
            let bytes = phone.next();
            world.packet(*leg, bytes);
        }
        world.pass(ms(20));
    }
}

/// These frequencies are heard and the others are not.
#[track_caller]
fn expect(world: &World, leg: LegId, heard: &[f32]) {
    let sound = world.sound(leg, Codec::Pcmu);
    let tail = &sound[sound.len() / 2 / 160 * 160..];
    for hz in [CALLER_HZ, BOT_HZ, SUPERVISOR_HZ] {
        let got = level(tail, hz);
        let expected = if heard.contains(&hz) { 3_400.0..4_600.0 } else { 0.0..200.0 };
        assert!(expected.contains(&got), "{leg:?} hears {hz} Hz at {got}");
    }
}
