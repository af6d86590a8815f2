//! Calls in which everything goes well: every pair of legs, both roles, hold, another certificate, OpenSSL.

use std::sync::Arc;

use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::driver::{PhoneHandle, PhonePlan};
use loadtest::phone::{Behaviour, Event};
use loadtest::stream::Recording;
use media::Direction;

use crate::openssl::Identity;
use crate::phone::{Plan, SecurePhone, Seen};
use crate::stage::{ANY, BOT_HZ, CALLER_HZ, RATE, Stage, eventually, hears};

const REQUIRED: &str = "srtp = \"required\"\nkeys = \"dtls\"";
const OPTIONAL: &str = "srtp = \"optional\"\nkeys = \"dtls\"";
const EITHER: &str = "srtp = \"optional\"\nkeys = \"any\"";
const SDES: &str = "srtp = \"required\"";
const PLAIN: &str = "";

#[test]
fn both_sides_shake_hands() {
    let stage = Stage::set("both", REQUIRED, REQUIRED);
    let bot = SecurePhone::answering(stage.server.addresses.bot, Plan::singing(BOT_HZ));
    let caller = SecurePhone::calling(stage.server.addresses.sip, &stage.target(), Plan::singing(CALLER_HZ).passive());
    stage.until_keys(&["caller", "callee"]);
    let talked = |seconds: usize| {
        eventually("audio", || {
            caller.heard().samples.len() > seconds * RATE && bot.heard().samples.len() > seconds * RATE
        });
    };
    talked(3);
    hears("the caller", &caller.heard(), BOT_HZ);
    hears("the bot", &bot.heard(), CALLER_HZ);

    // Keys outlive a hold: nobody shakes hands again.
    caller.offer(Direction::SendOnly);
    caller.expect("the answer to hold", is_accepted);
    caller.offer(Direction::SendRecv);
    caller.expect("the answer to resume", is_accepted);
    talked(6);
    hears("the caller", &caller.heard(), BOT_HZ);
    hears("the bot", &bot.heard(), CALLER_HZ);
    for (who, seen) in [("caller", caller.seen()), ("bot", bot.seen())] {
        println!("{who}: {seen:?}");
        assert_eq!((seen.handshakes, seen.plain), (1, 0), "{who}: handshakes, plain packets");
        assert!(seen.reports > 0, "{who} got no report");
    }

    caller.order(loadtest::phone::Order::HangUp(0));
    bot.expect("the end", |event| matches!(event, Event::Bye { .. }));
    stage.until("the end", |what| matches!(what, What::CallEnded { packets_lost: 0, .. }));
    assert_eq!(stage.metric("calmline_handshakes_total{outcome=\"done\"}"), 2.0);
    stage.is_empty();
    stage.has_kept_its_keys();
    stage.server.stop().expect("a clean end");
}

#[test]
fn every_kind_of_leg_is_connected_with_every_other() {
    for (number, (callers, bots, caller, bot)) in [
        (REQUIRED, PLAIN, Kind::Shaking(true), Kind::Plain),
        (REQUIRED, SDES, Kind::Shaking(false), Kind::Keyed),
        (PLAIN, REQUIRED, Kind::Plain, Kind::Shaking(true)),
        (SDES, REQUIRED, Kind::Keyed, Kind::Shaking(false)),
        (EITHER, EITHER, Kind::Keyed, Kind::AtBest),
        (EITHER, EITHER, Kind::Shaking(true), Kind::Plain),
        (OPTIONAL, OPTIONAL, Kind::AtBest, Kind::AtBest),
        (OPTIONAL, OPTIONAL, Kind::Plain, Kind::Plain),
    ]
    .into_iter()
    .enumerate()
    {
        println!("-- {caller:?} to {bot:?}");
        let stage = Stage::set(&format!("pair-{number}"), callers, bots);
        let bot_phone = Leg::answering(&stage, bot);
        let caller_phone = Leg::calling(&stage, caller);
        let shaking = [("caller", caller), ("callee", bot)].into_iter().filter(|(_, kind)| kind.shakes_hands());
        stage.until_keys(&shaking.map(|(party, _)| party).collect::<Vec<_>>());
        eventually("audio", || {
            caller_phone.heard().samples.len() > 2 * RATE && bot_phone.heard().samples.len() > 2 * RATE
        });
        hears("the caller", &caller_phone.heard(), BOT_HZ);
        hears("the bot", &bot_phone.heard(), CALLER_HZ);
        for leg in [&caller_phone, &bot_phone] {
            let plain = leg.seen().map_or(0, |seen| seen.plain);
            assert_eq!(plain, 0, "{caller:?} to {bot:?}: plain packets to a leg with keys");
        }
    }
}

/// RFC 5764 §4.1: a port of its own means a handshake of its own.
#[test]
fn control_packets_may_have_a_port_and_a_handshake_of_their_own() {
    let stage = Stage::set("apart", REQUIRED, REQUIRED);
    let apart = |mut plan: Plan| {
        plan.terms.shares_port = false;
        plan
    };
    let bot = SecurePhone::answering(stage.server.addresses.bot, apart(Plan::singing(BOT_HZ)));
    let caller = apart(Plan::singing(CALLER_HZ).passive());
    let caller = SecurePhone::calling(stage.server.addresses.sip, &stage.target(), caller);
    stage.until_keys(&["caller", "callee"]);
    eventually("reports to both", || caller.seen().reports > 0 && bot.seen().reports > 0);
    for seen in [caller.seen(), bot.seen()] {
        println!("{seen:?}");
        assert_eq!((seen.handshakes, seen.plain), (2, 0), "handshakes, plain packets");
    }
    hears("the caller", &caller.heard(), BOT_HZ);
    hears("the bot", &bot.heard(), CALLER_HZ);
}

#[test]
fn another_certificate_in_a_reoffer_means_new_keys() {
    let stage = Stage::set("renewed", REQUIRED, PLAIN);
    let bot = Leg::answering(&stage, Kind::Plain);
    let caller = SecurePhone::calling(stage.server.addresses.sip, &stage.target(), Plan::singing(CALLER_HZ));
    stage.until_keys(&["caller"]);
    eventually("audio", || caller.heard().samples.len() > RATE);
    for round in 2..4 {
        caller.renew();
        caller.offer(Direction::SendRecv);
        caller.expect("the answer", is_accepted);
        stage.until_keys(&["caller"]);
        let (heard, told) = (caller.heard().samples.len(), bot.heard().samples.len());
        eventually("audio again", || {
            caller.heard().samples.len() > heard + 2 * RATE && bot.heard().samples.len() > told + 2 * RATE
        });
        assert_eq!((caller.seen().handshakes, caller.seen().plain), (round, 0), "handshakes, plain packets");
    }
    let stats = bot.heard().stats;
    println!("the bot: {stats:?}");
    assert!(crate::stage::strength(&bot.heard().samples, CALLER_HZ) > 0.2);
    assert!(crate::stage::strength(&caller.heard().samples, BOT_HZ) > 0.2);
    assert_eq!((stats.ssrc_changes, stats.timestamp_steps_back), (0, 0), "one stream for the bot");
}

#[test]
fn openssl_shakes_hands_on_either_side() {
    for active in [true, false] {
        let stage = Stage::set(&format!("openssl-{active}"), REQUIRED, REQUIRED);
        let Some(identity) = Identity::make(&stage.folder).map(Arc::new) else { return };
        let of_role = |plan: Plan| if active { plan } else { plan.passive() };
        let bot = of_role(Plan::singing(BOT_HZ)).by_openssl(&identity);
        let bot = SecurePhone::answering(stage.server.addresses.bot, bot);
        let caller = of_role(Plan::singing(CALLER_HZ)).by_openssl(&identity);
        let caller = SecurePhone::calling(stage.server.addresses.sip, &stage.target(), caller);
        stage.until_keys(&["caller", "callee"]);
        eventually("audio", || caller.heard().samples.len() > 2 * RATE && bot.heard().samples.len() > 2 * RATE);
        hears("the caller", &caller.heard(), BOT_HZ);
        hears("the bot", &bot.heard(), CALLER_HZ);
        assert_eq!((caller.seen().plain, bot.seen().plain), (0, 0), "plain packets");
    }
}

/// What a telephone speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Keys in the description.
    Keyed,
    /// A handshake, and whether it would begin.
    Shaking(bool),
    /// A handshake that is offered beside RTP/AVP.
    AtBest,
}

impl Kind {
    fn shakes_hands(self) -> bool {
        matches!(self, Kind::Shaking(_) | Kind::AtBest)
    }

    fn plan(self, hz: u16) -> Plan {
        let mut plan = Plan::singing(hz);
        plan.terms.active = self != Kind::Shaking(false);
        if self == Kind::AtBest {
            plan.terms.transport = "RTP/AVP";
        }
        plan
    }
}

/// A telephone of any kind in a call.
enum Leg {
    Plain(PhoneHandle),
    Secure(SecurePhone),
}

impl Leg {
    fn answering(stage: &Stage, kind: Kind) -> Leg {
        let address = stage.server.addresses.bot;
        match kind {
            Kind::Plain | Kind::Keyed => {
                let plan = PhonePlan {
                    behaviour: Behaviour::answer(),
                    audio: Audio::tone(BOT_HZ, 0.3),
                    is_secured: kind == Kind::Keyed,
                    ..PhonePlan::new(address)
                };
                Leg::Plain(stage.phones.add(plan).expect("its port is free"))
            }
            Kind::Shaking(_) | Kind::AtBest => Leg::Secure(SecurePhone::answering(address, kind.plan(BOT_HZ))),
        }
    }

    fn calling(stage: &Stage, kind: Kind) -> Leg {
        match kind {
            Kind::Plain | Kind::Keyed => {
                let audio = Audio::tone(CALLER_HZ, 0.3);
                let plan = PhonePlan { audio, is_secured: kind == Kind::Keyed, ..PhonePlan::new(ANY) };
                let phone = stage.phones.add(plan).expect("a free port");
                phone.call(&stage.target(), &[]).expect("an order");
                Leg::Plain(phone)
            }
            Kind::Shaking(_) | Kind::AtBest => {
                let server = stage.server.addresses.sip;
                Leg::Secure(SecurePhone::calling(server, &stage.target(), kind.plan(CALLER_HZ)))
            }
        }
    }

    fn heard(&self) -> Recording {
        match self {
            Leg::Plain(phone) => phone.heard(),
            Leg::Secure(phone) => phone.heard(),
        }
    }

    fn seen(&self) -> Option<Seen> {
        match self {
            Leg::Plain(_) => None,
            Leg::Secure(phone) => Some(phone.seen()),
        }
    }
}

fn is_accepted(event: &Event) -> bool {
    matches!(event, Event::OfferAnswered { status: 200, .. })
}
