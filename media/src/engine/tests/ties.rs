//! When sockets are tied to their far ends.

use super::*;
use crate::IceCredentials;

#[test]
fn a_steady_far_end_is_tied_and_a_silent_one_let_go() {
    let mut world = World::new();
    let (mut caller, mut bot) = (Phone::new(1), Phone::new(2));
    for _ in 0..300 {
        world.packet(CALLER, caller.next());
        world.packet(BOT, bot.next());
        world.pass(ms(20));
    }
    assert_eq!(world.ties, [(CALLER, Some(home(CALLER))), (BOT, Some(home(BOT)))]);

    world.ties.clear();
    world.speak(BOT, &mut bot, 20);
    assert_eq!(world.ties, [(CALLER, None)], "others may be heard when the caller falls silent");
}

#[test]
fn a_new_address_lets_go_at_once() {
    let mut world = World::new();
    let mut caller = Phone::new(1);
    world.speak(CALLER, &mut caller, 300);
    assert_eq!(world.ties, [(CALLER, Some(home(CALLER)))]);
    world.ties.clear();
    let moved = StreamSettings { remote: Some(home(AGENT)), ..settings(CALLER) };
    world.order(Command::Configure { leg: CALLER, settings: moved });
    assert_eq!(world.ties, [(CALLER, None)]);
}

#[test]
fn connectivity_checks_keep_everybody_heard() {
    let credentials = IceCredentials {
        local_name: "ours".into(),
        local_password: "0123456789abcdef012345".into(),
        remote_name: "theirs".into(),
    };
    let mut world = World::with(StreamSettings { ice: Some(credentials), ..settings(CALLER) }, settings(BOT));
    let mut caller = Phone::new(1);
    world.speak(CALLER, &mut caller, 300);
    assert!(world.ties.is_empty());
}
