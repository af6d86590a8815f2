//! Forked calls to which anything happens in any order: nothing of them stays.

use forks::stream::Voice;
use media::LegId;
use proptest::prelude::*;

use super::{METADATA, World, offer, opening};
use crate::control::tests::sim::SipState;
use crate::control::{ForkEvent, Input, OfferMethod, Order, SipEvent, StreamId};

/// Something that may happen at any time.
#[derive(Debug, Clone)]
enum Step {
    /// A recording client comes, with two streams or one, with metadata or without.
    Record {
        streams: usize,
        named: bool,
    },
    /// It offers something else.
    Offer {
        which: usize,
        kind: u8,
    },
    /// It hangs up.
    Over {
        which: usize,
    },
    /// A stream of one of two calls begins.
    Begin {
        call: u8,
        voice: Voice,
        plays: bool,
    },
    /// A stream ends.
    End {
        which: usize,
    },
    HangUp {
        number: u8,
    },
    Wait {
        seconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let voice = prop_oneof![Just(Voice::Caller), Just(Voice::Callee), Just(Voice::Both)];
    prop_oneof![
        (1..=2_usize, any::<bool>()).prop_map(|(streams, named)| Step::Record { streams, named }),
        (0..4_usize, 0..8_u8).prop_map(|(which, kind)| Step::Offer { which, kind }),
        (0..4_usize).prop_map(|which| Step::Over { which }),
        (0..2_u8, voice, any::<bool>()).prop_map(|(call, voice, plays)| Step::Begin { call, voice, plays }),
        (0..6_usize).prop_map(|which| Step::End { which }),
        (1..9_u8).prop_map(|number| Step::HangUp { number }),
        (1..400_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_stays(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        let (mut legs, mut streams) = (Vec::new(), 0);
        for step in steps {
            world.happen(&step, &mut legs, &mut streams);
        }
        world.leaves_nothing();
    }
}

impl World {
    fn happen(&mut self, step: &Step, legs: &mut Vec<LegId>, streams: &mut u32) {
        let both = offer(["sendonly"; 2], [4000, 4002]);
        let one = both.split("m=audio 4002").next().expect("a line").to_owned();
        let is_up =
            |world: &World, leg: &LegId| world.sim.sip.get(leg).is_some_and(|leg| leg.state == SipState::Answered);
        match *step {
            Step::Record { streams, named } => {
                legs.push(self.record(if streams == 1 { &one } else { &both }, named.then_some(METADATA)));
            }
            Step::Offer { which, kind } => {
                let Some(leg) = legs.get(which).copied().filter(|leg| is_up(self, leg)) else { return };
                let (held, off) = (offer(["inactive"; 2], [4000, 4002]), offer(["sendonly"; 2], [0, 0]));
                let (method, sdp, metadata) = match kind {
                    0 => (OfferMethod::Update, None, None),
                    1 => (OfferMethod::Invite, None, Some(METADATA)),
                    2 => (OfferMethod::Invite, Some(&*held), None),
                    3 => (OfferMethod::Invite, Some(&*off), None),
                    4 => (OfferMethod::Invite, Some(&*one), None),
                    5 => (OfferMethod::Update, None, Some("<recording>")),
                    6 => (OfferMethod::Invite, Some("nothing"), Some(METADATA)),
                    _ => (OfferMethod::Invite, Some(&*both), Some(METADATA)),
                };
                self.offer(leg, method, sdp, metadata);
            }
            Step::Over { which } => {
                let leg = legs.get(which).copied().filter(|leg| is_up(self, leg));
                if let Some(leg) = leg {
                    self.sip(SipEvent::Ended { leg, reason: "BYE".into() });
                }
            }
            Step::Begin { call, voice, plays } => {
                *streams += 1;
                let opening = Box::new(opening(&format!("c{call}"), voice, plays));
                self.tell(Input::Fork(ForkEvent::Begun { stream: StreamId(*streams), opening }));
            }
            Step::End { which } => {
                let stream = StreamId(u32::try_from(which).expect("few"));
                self.tell(Input::Fork(ForkEvent::Ended { stream, reason: "closed".into() }));
            }
            Step::HangUp { number } => self.tell(Input::Order(Order::HangUp { call: format!("boot-{number}") })),
            Step::Wait { seconds } => {
                self.deliver();
                self.pass(seconds);
            }
        }
    }
}
