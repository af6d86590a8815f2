//! Protected legs, and what comes beside RTP: reports, connectivity checks, handshakes.

use super::*;
use crate::srtp::{MasterKey, Receiver, Security, Sender, SessionKeys, Suite};
use crate::{ControlPort, IceCredentials, rtcp};

#[test]
fn plain_and_protected_sides_hear_each_other() {
    for suite in Suite::ALL {
        let mut world = World::with(protected(CALLER, suite, 1), settings(BOT));
        let (mut seal, mut open) = far_end(suite, 1);
        let (mut caller, mut bot) = (Phone::new(11), Phone::new(22));
        for _ in 0..5 {
            let plain = caller.next();
            world.packet(CALLER, sealed(&mut seal, &plain));
            assert_eq!(world.heard_by(BOT).last().map(|heard| heard.payload.clone()), Some(plain[12..].to_vec()));
            let plain = bot.next();
            world.packet(BOT, plain.clone());
            let heard = world.raw.last_mut().expect("it was sent");
            assert_ne!(heard[12..20], plain[12..20], "{suite:?}: it is hidden");
            let length = open.unprotect(heard).expect("the keys are the same");
            assert_eq!(heard[12..length], plain[12..]);
            world.pass(ms(20));
        }
    }
}

#[test]
fn forged_and_replayed_packets_change_nothing() {
    let suite = Suite::AesCm128HmacSha1Tag80;
    let mut world = World::with(protected(CALLER, suite, 1), settings(BOT));
    let (mut seal, _) = far_end(suite, 1);
    let mut caller = Phone::new(11);
    let first = sealed(&mut seal, &caller.next());
    world.packet_from(CALLER, stranger(), Phone::new(99).next());
    assert_eq!(world.events, [], "a forged packet does not latch");
    world.packet(CALLER, first.clone());
    world.packet(CALLER, first);
    let mut bent = sealed(&mut seal, &caller.next());
    bent[20] ^= 1;
    world.packet(CALLER, bent);
    let stats = world.engine.stats(CALLER).expect("it is open");
    assert_eq!((stats.packets_received, stats.packets_unauthentic), (1, 3));
    assert_eq!(world.heard_by(BOT).len(), 1);
}

#[test]
fn a_new_key_takes_over_without_a_gap() {
    let suite = Suite::AeadAes128Gcm;
    let mut world = World::with(protected(CALLER, suite, 1), settings(BOT));
    let (mut seal, _) = far_end(suite, 1);
    let mut caller = Phone::new(11);
    for _ in 0..3 {
        world.packet(CALLER, sealed(&mut seal, &caller.next()));
        world.pass(ms(20));
    }
    world.order(Command::Configure { leg: CALLER, settings: protected(CALLER, suite, 2) });
    let (mut seal, _) = far_end(suite, 2);
    for _ in 0..3 {
        world.packet(CALLER, sealed(&mut seal, &caller.next()));
        world.pass(ms(20));
    }
    assert_eq!(world.numbers(BOT), (0..6).map(|n| (n, u32::from(n) * 160)).collect::<Vec<_>>());
}

#[test]
fn a_key_that_comes_back_never_repeats_a_nonce() {
    let first = Suite::AeadAes128Gcm;
    let others = [settings(CALLER), protected(CALLER, Suite::AeadAes256Gcm, 2)];
    for between in others {
        let mut world = World::with(protected(CALLER, first, 1), settings(BOT));
        let (_, mut open) = far_end(first, 1);
        let mut bot = Phone::new(22);
        let mut reports = 0;
        for (settings, is_first) in [(None, true), (Some(between), false), (Some(protected(CALLER, first, 1)), true)] {
            if let Some(settings) = settings {
                world.order(Command::Configure { leg: CALLER, settings });
            }
            world.others.clear();
            world.speak(BOT, &mut bot, 1_000);
            for report in world.others.iter().filter(|other| is_first && other.leg == CALLER) {
                reports += 1;
                let mut bytes = report.bytes.clone();
                // The far end refuses an index that it has seen under this key before.
                assert!(open.unprotect_control(&mut bytes).is_ok(), "report {reports} repeats an index");
            }
        }
        assert!(reports >= 4, "only {reports} reports in forty seconds");
    }
}

#[test]
fn nothing_passes_before_the_handshake_has_brought_keys() {
    let mut world = World::with(shaking(CALLER), settings(BOT));
    let mut bot = Phone::new(22);
    world.speak(BOT, &mut bot, 2);
    world.packet(CALLER, Phone::new(11).next());
    assert_eq!(world.heard.len(), 0);

    world.packet(CALLER, vec![22, 254, 253, 0]);
    world.packet(BOT, vec![22, 254, 253, 0]);
    world.datagram(CALLER, Channel::Control, home(CALLER), vec![22, 254, 253, 0]);
    assert_eq!(world.handshakes(), [(CALLER, Channel::Media, 0)], "only where one is awaited");
    world.order(send(CALLER, Channel::Media, 3));
    assert_eq!(world.handshakes_sent(), [(Channel::Media, home(CALLER), 3)]);

    let suite = Suite::AeadAes128Gcm;
    world.order(key(CALLER, Channel::Media, keys(suite, 1)));
    let (mut seal, _) = far_end(suite, 1);
    world.packet(CALLER, sealed(&mut seal, &Phone::new(11).next()));
    world.speak(BOT, &mut bot, 1);
    assert_eq!((world.heard_by(BOT).len(), world.raw.len()), (1, 2));
}

/// Far ends that do not put control packets on the RTP port shake hands for them as well (RFC 5764 §4.1).
#[test]
fn control_packets_with_a_port_of_their_own_have_keys_of_their_own() {
    let mut world = World::with(StreamSettings { control: ControlPort::Next, ..shaking(CALLER) }, settings(BOT));
    let above = SocketAddr::new(home(CALLER).ip(), home(CALLER).port() + 1);
    world.datagram(CALLER, Channel::Control, above, vec![22, 254, 253, 7]);
    assert_eq!(world.handshakes(), [(CALLER, Channel::Control, 7)]);
    world.order(send(CALLER, Channel::Control, 8));
    assert_eq!(world.handshakes_sent(), [(Channel::Control, above, 8)]);

    let suite = Suite::AesCm128HmacSha1Tag80;
    world.order(key(CALLER, Channel::Media, keys(suite, 1)));
    let mut bot = Phone::new(22);
    world.speak(BOT, &mut bot, 500);
    let reports = |world: &World| {
        let theirs = world.others.iter().filter(|other| other.leg == CALLER && other.bytes[0] != 22);
        theirs.map(|other| (other.channel, other.bytes.clone())).collect::<Vec<_>>()
    };
    assert_eq!((reports(&world), world.raw.len()), (vec![], 500), "audio has keys, control packets have none");

    world.order(key(CALLER, Channel::Control, keys(suite, 2)));
    let (mut seal, mut open) = far_end(suite, 2);
    world.speak(BOT, &mut bot, 500);
    let reports = reports(&world);
    assert!(!reports.is_empty());
    for (channel, mut report) in reports {
        assert!(channel == Channel::Control && open.unprotect_control(&mut report).is_ok());
    }

    let refused = world.engine.packets_refused();
    let mut goodbye = vec![0; 64];
    goodbye[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0, 9]);
    let length = seal.protect_control(&mut goodbye, 8).expect("there is room");
    world.datagram(CALLER, Channel::Control, above, goodbye[..length].to_vec());
    assert_eq!(world.engine.packets_refused(), refused, "what the far end reports is taken");
}

/// An answer by SIP takes longer than a datagram on the media path (RFC 5763 §5).
#[test]
fn who_answers_may_begin_before_its_answer_is_here() {
    let mut world = World::new();
    let leg = LegId(9);
    world.order(Command::Open { leg, port: 4_010, address: None });
    world.slots.extend(world.engine.slot(leg).map(|slot| (leg, slot)));
    world.packet_from(leg, stranger(), vec![22, 254, 253, 1]);
    world.packet(leg, vec![22, 254, 253, 2]);
    assert_eq!(world.handshakes(), []);
    world.order(Command::Configure { leg, settings: shaking(leg) });
    assert_eq!(world.handshakes(), [(leg, Channel::Media, 1), (leg, Channel::Media, 2)]);
    world.packet_from(leg, stranger(), vec![22, 254, 253, 3]);
    assert_eq!(world.handshakes().len(), 2, "who is named has displaced the stranger");
}

/// Of two forks that answer, the newest description counts; the other one may have begun.
#[test]
fn a_fork_that_was_left_shakes_no_hands() {
    let mut world = World::with(shaking(CALLER), settings(BOT));
    world.packet(CALLER, vec![22, 254, 253, 1]);
    let second = SocketAddr::from(([192, 0, 2, 77], 4_000));
    let settings = StreamSettings { remote: Some(second), ..shaking(CALLER) };
    world.order(Command::Configure { leg: CALLER, settings });
    world.order(send(CALLER, Channel::Media, 5));
    assert_eq!(world.handshakes_sent(), [(Channel::Media, second, 5)]);
    world.packet(CALLER, vec![22, 254, 253, 2]);
    world.packet_from(CALLER, second, vec![22, 254, 253, 3]);
    assert_eq!(world.handshakes(), [(CALLER, Channel::Media, 1), (CALLER, Channel::Media, 3)]);
}

/// The association stands while a call is held; a new one takes over when it has brought keys (RFC 8842 §3.1).
#[test]
fn keys_of_a_handshake_outlive_a_hold_and_give_way_to_those_of_the_next() {
    let suite = Suite::AeadAes128Gcm;
    let mut world = World::with(shaking(CALLER), settings(BOT));
    world.order(key(CALLER, Channel::Media, keys(suite, 1)));
    let (mut seal, _) = far_end(suite, 1);
    let mut caller = Phone::new(11);
    for direction in [Direction::SendRecv, Direction::RecvOnly, Direction::SendRecv] {
        world.order(Command::Configure { leg: CALLER, settings: StreamSettings { direction, ..shaking(CALLER) } });
        world.packet(CALLER, sealed(&mut seal, &caller.next()));
    }
    assert_eq!(world.heard_by(BOT).len(), 3);

    world.order(key(CALLER, Channel::Media, keys(suite, 2)));
    world.packet(CALLER, sealed(&mut seal, &caller.next()));
    let (mut seal, _) = far_end(suite, 2);
    world.packet(CALLER, sealed(&mut seal, &caller.next()));
    assert_eq!(world.heard_by(BOT).len(), 4, "only with the new keys");

    // What was agreed anew without a handshake is not opened by the keys of the old one, and the other way round.
    world.order(Command::Configure { leg: CALLER, settings: settings(CALLER) });
    world.order(key(CALLER, Channel::Media, keys(suite, 3)));
    world.packet(CALLER, caller.next());
    assert_eq!(world.heard_by(BOT).len(), 5, "plain, as it was agreed");
    world.order(Command::Configure { leg: CALLER, settings: shaking(CALLER) });
    world.packet(CALLER, caller.next());
    world.packet(CALLER, sealed(&mut seal, &caller.next()));
    assert_eq!(world.heard_by(BOT).len(), 5, "nothing without a new handshake");
}

#[test]
fn reports_leave_where_they_are_wanted() {
    let elsewhere = SocketAddr::from(([192, 0, 2, 200], 6_001));
    let next = SocketAddr::new(home(CALLER).ip(), home(CALLER).port() + 1);
    for (control, channel, to) in [
        (ControlPort::Next, Channel::Control, next),
        (ControlPort::Shared, Channel::Media, home(CALLER)),
        (ControlPort::At(elsewhere), Channel::Control, elsewhere),
    ] {
        let mut world = World::with(StreamSettings { control, ..settings(CALLER) }, settings(BOT));
        let (mut caller, mut bot) = (Phone::new(11), Phone::new(22));
        for _ in 0..500 {
            world.speak(BOT, &mut bot, 1);
            let bytes = caller.next();
            world.packet(CALLER, bytes);
        }
        world.order(Command::Close { leg: CALLER });
        let reports: Vec<&Other> = world.others.iter().filter(|other| other.leg == CALLER).collect();
        assert!((2..=5).contains(&reports.len()), "{control:?}: {} reports in ten seconds", reports.len());
        for report in reports {
            assert_eq!((report.channel, report.to), (channel, to));
            assert!(rtcp::is_control(&report.bytes));
            assert_eq!(report.bytes[1], 200, "a sender report first (RFC 3550 §6.1)");
        }
    }
}

#[test]
fn a_protected_leg_protects_its_reports() {
    let suite = Suite::AesCm128HmacSha1Tag80;
    let mut world = World::with(protected(CALLER, suite, 1), settings(BOT));
    let (_, mut open) = far_end(suite, 1);
    let mut bot = Phone::new(22);
    world.speak(BOT, &mut bot, 200);
    let report = world.others.iter().find(|other| other.leg == CALLER).expect("it is time for one");
    let mut bytes = report.bytes.clone();
    let length = open.unprotect_control(&mut bytes).expect("the keys are the same");
    assert!(length < report.bytes.len());
}

#[test]
fn a_chosen_pair_is_followed() {
    let credentials = IceCredentials {
        local_name: "evtj".to_owned(),
        local_password: "VOkJxbRl1RmTxUk/WvJxBt".to_owned(),
        remote_name: "h6vY".to_owned(),
    };
    let mut world = World::with(StreamSettings { ice: Some(credentials), ..settings(CALLER) }, settings(BOT));
    // No request of ours: it is refused, and the address is not followed.
    world.packet_from(
        CALLER,
        stranger(),
        vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    );
    assert_eq!(world.events, []);
    let request = crate::stun::tests::nominating_request("evtj:h6vY", "VOkJxbRl1RmTxUk/WvJxBt");
    world.packet_from(CALLER, stranger(), request);
    assert_eq!(world.events, [Event::Latched { leg: CALLER, source: stranger() }]);
    let mut bot = Phone::new(22);
    world.speak(BOT, &mut bot, 1);
    assert_eq!(world.heard_by(CALLER).last().map(|heard| heard.to), Some(stranger()));
}

fn shaking(leg: LegId) -> StreamSettings {
    StreamSettings { security: Security::Handshake, control: ControlPort::Shared, ..settings(leg) }
}

fn key(leg: LegId, channel: Channel, keys: SessionKeys) -> Command {
    Command::Key { leg, channel, keys: Box::new(keys) }
}

/// An order to send a handshake datagram that ends with `mark`.
fn send(leg: LegId, channel: Channel, mark: u8) -> Command {
    Command::Send { leg, channel, datagram: vec![22, 254, 253, mark] }
}

impl World {
    /// The handshake datagrams that were handed on, by their last octets.
    fn handshakes(&self) -> Vec<(LegId, Channel, u8)> {
        let handshake = |event: &Event| match event {
            Event::Handshake { leg, channel, datagram } => Some((*leg, *channel, *datagram.last()?)),
            _ => None,
        };
        self.events.iter().filter_map(handshake).collect()
    }

    /// Those that were sent.
    fn handshakes_sent(&self) -> Vec<(Channel, SocketAddr, u8)> {
        let sent = self.others.iter().filter(|other| other.bytes[0] == 22);
        sent.map(|other| (other.channel, other.to, *other.bytes.last().expect("it is not empty"))).collect()
    }
}

pub(super) fn protected(leg: LegId, suite: Suite, number: u8) -> StreamSettings {
    StreamSettings { security: Security::Keys(Box::new(keys(suite, number))), ..settings(leg) }
}

fn keys(suite: Suite, number: u8) -> SessionKeys {
    let key = |fill: u8| MasterKey::new(suite, &vec![fill; suite.key_bytes() + suite.salt_bytes()]).expect("it fits");
    SessionKeys { send: key(number), receive: key(100 + number) }
}

/// What the far end seals with, and what it opens with.
pub(super) fn far_end(suite: Suite, number: u8) -> (Sender, Receiver) {
    let SessionKeys { send, receive } = keys(suite, number);
    (Sender::new(&receive), Receiver::new(&send))
}

pub(super) fn sealed(sender: &mut Sender, plain: &[u8]) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    bytes.resize(plain.len() + 32, 0);
    let length = sender.protect(&mut bytes, plain.len()).expect("there is room");
    bytes.truncate(length);
    bytes
}

fn stranger() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 9], 7_000))
}
