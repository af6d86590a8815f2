//! What telephones agree on: codecs by their own numbers, packet times, keys of both kinds.

use media::srtp::{Security, Suite};

use super::*;

#[test]
fn each_codec_by_the_numbers_of_its_offer() {
    for (codec, first, expected) in
        [(Codec::Opus, 96, 96), (Codec::Opus, 101, 102), (Codec::L16Wide, 120, 120), (Codec::G722, 96, 9)]
    {
        let mut world = World::with(Behaviour::answer(), &[], |n, settings| PhoneSettings {
            codecs: if n == 0 { vec![codec] } else { vec![Codec::Pcmu, codec] },
            // The callee takes the numbers of the offer, whatever its own are.
            payload_type_first: if n == 0 { first } else { 110 },
            ..settings
        });
        world.call(None);
        world.run(ms(2_000));
        for phone in 0..2 {
            let stream = &world.phones[phone].calls[0].stream;
            let settings = stream.settings().expect("agreed");
            let numbers = (settings.payload_type, settings.payload_type_received);
            assert_eq!((settings.codec, numbers), (codec, (expected, expected)));
            assert!(settings.event_payload_type.is_some(), "{codec:?}");
            let stats = stream.stats();
            assert_eq!((stats.unexpected, stats.packets_lost), (0, 0), "{codec:?}");
            assert!((95..=100).contains(&stats.packets_received), "{codec:?} {stats:?}");
        }
    }
}

#[test]
fn each_sends_at_the_packet_time_it_has() {
    let mut world = World::with(Behaviour::answer(), &[], |n, settings| PhoneSettings {
        stream: StreamPlan { ptime_ms: Some(if n == 0 { 60 } else { 10 }), network: None },
        ..settings
    });
    world.call(None);
    world.run(ms(3_000));
    let received = |phone: usize| world.phones[phone].heard(0).stats.packets_received;
    assert!((295..=300).contains(&received(0)), "{}", received(0));
    assert!((49..=50).contains(&received(1)), "{}", received(1));
    assert!(world.invite_of(1).body.contains("a=ptime:60\r\n"));
}

#[test]
fn secured_telephones_hear_each_other_and_nobody_else() {
    let secured = |who: &'static [usize]| {
        move |n: usize, settings: PhoneSettings| PhoneSettings {
            secret: who.contains(&n).then(|| Secret::new([n as u8; 32])),
            ..settings
        }
    };
    let mut world = World::with(Behaviour::answer(), &[], secured(&[0, 1]));
    world.call(None);
    world.run(ms(1_000));
    world.order(0, Order::Offer(0, Direction::SendOnly));
    world.run(ms(2_000));
    world.order(0, Order::Offer(0, Direction::SendRecv));
    world.run(ms(3_000));
    assert!(world.invite_of(1).body.contains("RTP/SAVP"));
    for phone in 0..2 {
        let stats = world.phones[phone].heard(0).stats;
        let security = &world.phones[phone].calls[0].stream.settings().expect("agreed").security;
        assert!(matches!(security, Security::Keys(_)));
        assert_eq!((stats.unexpected, stats.packets_lost), (0, 0));
        assert!(stats.packets_received > 90, "{stats:?}");
    }

    for who in [&[0][..], &[1]] {
        let mut world = World::with(Behaviour::answer(), &[], secured(who));
        world.call(None);
        world.run(ms(1_000));
        assert_eq!(world.events(0), [Event::Failed { status: 488 }], "{who:?}");
    }
}

#[test]
fn only_the_suite_that_was_asked_for() {
    let suite = Some(Suite::AeadAes256Gcm);
    let mut world = World::with(Behaviour::answer(), &[], |n, settings| PhoneSettings {
        secret: Some(Secret::new([n as u8; 32])),
        suite: suite.filter(|_| n == 0),
        ..settings
    });
    world.call(None);
    world.run(ms(500));
    for phone in 0..2 {
        match &world.phones[phone].calls[0].stream.settings().expect("agreed").security {
            Security::Keys(keys) => assert_eq!(Some(keys.send.suite()), suite),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn no_two_calls_have_the_same_keys() {
    let mut world = World::with(Behaviour::answer(), &[], |n, settings| PhoneSettings {
        secret: Some(Secret::new([n as u8; 32])),
        ..settings
    });
    world.call(None);
    world.call(None);
    world.run(ms(1_000));
    let keys = |call: usize| match &world.phones[0].calls[call].stream.settings().expect("agreed").security {
        Security::Keys(keys) => keys.send.key_and_salt().to_vec(),
        other => panic!("{other:?}"),
    };
    assert_ne!(keys(0), keys(1));
}

#[test]
fn keys_are_told_to_whoever_listens() {
    let mut world = World::new(Behaviour::answer(), &[]);
    world.call(None);
    world.run(ms(500));
    let keys: Vec<dtmf::Key> = "42#".chars().map(|key| dtmf::Key::try_from(key).expect("a key")).collect();
    world.order(0, Order::Press(0, keys.clone()));
    world.run(ms(3_000));
    let pressed: Vec<Event> = keys.into_iter().map(Event::Key).collect();
    assert_eq!(world.events(1)[2..], pressed);
    assert_eq!(world.phones[1].stats(0).keys_received, 3);
    assert_eq!(world.phones[0].stats(0).keys_received, 0);
}

#[test]
fn calls_one_after_another_have_accidents_of_their_own() {
    let network = media::network::Network { loss_per_mille: 200, ..BadNetwork::NONE.network };
    let mut world = World::with(Behaviour::answer(), &[], |n, mut settings| {
        settings.stream.network = (n == 0).then_some(BadNetwork { network, drift_ppm: 0, seed: 3 });
        settings
    });
    world.call(None);
    world.call(None);
    world.run(ms(5_000));
    let lost = |call| world.phones[1].stats(call).packets_lost;
    assert!(lost(0) > 20 && lost(1) > 20 && lost(0) != lost(1), "{} and {}", lost(0), lost(1));
}
