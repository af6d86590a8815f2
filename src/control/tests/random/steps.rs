//! What can happen in random sequences, and how often.

use proptest::prelude::*;

use crate::control::Presence;

/// One thing that happens; the numbers choose among what there is at that moment.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Invite {
        number: &'static str,
        offer: &'static str,
        expires_s: Option<u32>,
    },
    Ring {
        leg: usize,
        code: u16,
        sdp: &'static str,
    },
    Answer {
        leg: usize,
        sdp: &'static str,
    },
    Fail {
        leg: usize,
        code: u16,
    },
    /// CANCEL by a caller, BYE by anybody, as the leg's state allows.
    Leave {
        leg: usize,
    },
    Confirm {
        leg: usize,
    },
    Offer {
        leg: usize,
        update: bool,
        sdp: &'static str,
    },
    Reinvited {
        leg: usize,
        code: u16,
        sdp: &'static str,
    },
    /// The far end agrees to an offer of ours.
    Agrees {
        leg: usize,
    },
    /// The answer to an UPDATE of ours.
    Updated {
        leg: usize,
        code: u16,
    },
    Refer {
        leg: usize,
        code: u16,
        last: bool,
    },
    /// An order gets its answer.
    Ordered {
        order: usize,
        outcome: usize,
    },
    /// A far end asks for a transfer.
    Referred {
        leg: usize,
        host: &'static str,
    },
    /// A far end answers an INFO or MESSAGE.
    Informed {
        leg: usize,
        code: u16,
    },
    /// A new caller takes the place of a leg.
    Replaces {
        leg: usize,
        offer: &'static str,
    },
    Probed {
        leg: usize,
        found: Presence,
    },
    OpenFails {
        leg: usize,
    },
    Closes {
        leg: usize,
    },
    Silent {
        leg: usize,
        seconds: u64,
    },
    Sends {
        leg: usize,
    },
    /// The first packet of the leg it is bridged with.
    Bridged {
        leg: usize,
    },
    PlayStarts {
        play: usize,
    },
    PlayEnds {
        play: usize,
    },
    /// Keys, by one of three ways.
    Keys {
        leg: usize,
        keys: &'static str,
        way: usize,
    },
    Speaks {
        leg: usize,
    },
    Spoken {
        text: usize,
        well: bool,
    },
    /// A handshake ends well, too late or with a stranger.
    Shaken {
        leg: usize,
        how: usize,
    },
    Mood {
        leg: usize,
        mood: &'static str,
    },
    Order {
        hang_up: Option<u64>,
    },
    /// An order of an operator about one call, see `script::order`.
    Operator {
        call: u64,
        words: &'static str,
    },
    /// The SIP side and the media path say one of the things they have to say.
    Deliver {
        which: usize,
    },
    Wait {
        millis: u64,
    },
    /// The load is measured, every half second, to be the same so often.
    Measured {
        percent: f32,
        times: u32,
    },
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let plain_answers = vec!["0 101", "8 101", "0 8", "8 sendonly", "18", "bad-sdp", "no-sdp"];
    let keyed_answers =
        vec!["0 101 dtls-active avp", "0 dtls-passive avp", "0 101 other-dtls-active avp", "8 keys avp"];
    let answers = prop_oneof![3 => prop::sample::select(plain_answers), 2 => prop::sample::select(keyed_answers)];
    let plain_offers = vec!["0 8 101", "8 0", "8 101", "0 101 inactive", "18", "bad-sdp", "no-sdp"];
    let keyed_offers = vec!["0 101 dtls", "0 8 101 other-dtls-passive", "0 101 dtls-active sendonly", "0 101 keys"];
    let offers = prop_oneof![3 => prop::sample::select(plain_offers), 2 => prop::sample::select(keyed_offers)];
    let number = prop::sample::select(vec![
        "sales", "sales", "help", "help", "sales", "money", "money", "money", "void", "nowhere", "moves", "moves",
        "moves", "moves",
    ]);
    let expires = prop::option::weighted(0.2, prop::sample::select(vec![30_u32, 90, 1800]));
    let mood = prop::sample::select(vec!["angry", "angry", "sad", "calm"]);
    let keys = prop::sample::select(vec!["0", "0", "1", "2", "2", "3", "*9", "*91#", "A", "B", "C", "C", "D"]);
    let orders = prop::sample::select(&OPERATORS[..]);
    let (leg, any) = (0_usize..12, any::<bool>);
    let failures = prop::sample::select(vec![300_u16, 404, 408, 486, 487, 503, 600, 603]);
    let outcomes = prop::sample::select(vec![180_u16, 200, 202, 202, 503, 603]);
    let finals = prop::sample::select(vec![200_u16, 200, 200, 491, 488, 500, 408]);
    let waits = prop::sample::select(vec![1_u64, 20, 500, 2_000, 20_000, 31_000, 40_000, 901_000, 8_000_000]);
    let step = prop_oneof![
        3 => (number, offers.clone(), expires)
            .prop_map(|(number, offer, expires_s)| Step::Invite { number, offer, expires_s }),
        2 => (leg.clone(), prop::sample::select(vec![100_u16, 180, 183, 199]), answers.clone())
            .prop_map(|(leg, code, sdp)| Step::Ring { leg, code, sdp }),
        6 => (leg.clone(), answers).prop_map(|(leg, sdp)| Step::Answer { leg, sdp }),
        2 => (leg.clone(), failures).prop_map(|(leg, code)| Step::Fail { leg, code }),
        2 => leg.clone().prop_map(|leg| Step::Leave { leg }),
        2 => leg.clone().prop_map(|leg| Step::Confirm { leg }),
        2 => (leg.clone(), any(), offers.clone()).prop_map(|(leg, update, sdp)| Step::Offer { leg, update, sdp }),
        6 => (leg.clone(), finals, prop::sample::select(vec!["0 101", "8 101", "0 8", "8 sendonly", "bad-sdp"]))
            .prop_map(|(leg, code, sdp)| Step::Reinvited { leg, code, sdp }),
        10 => leg.clone().prop_map(|leg| Step::Agrees { leg }),
        7 => (leg.clone(), outcomes, any()).prop_map(|(leg, code, last)| Step::Refer { leg, code, last }),
        3 => (leg.clone(), prop::sample::select(vec![200_u16, 200, 491, 405, 408, 481, 500]))
            .prop_map(|(leg, code)| Step::Updated { leg, code }),
        1 => (leg.clone(), any()).prop_map(|(leg, answers)| Step::Probed { leg, found: found(answers, leg) }),
        4 => (leg.clone(), 0_usize..4).prop_map(|(order, outcome)| Step::Ordered { order, outcome }),
        3 => (leg.clone(), prop::sample::select(vec!["10.0.0.9", "198.51.100.3", "203.0.113.9"]))
            .prop_map(|(leg, host)| Step::Referred { leg, host }),
        4 => (leg.clone(), prop::sample::select(vec![200_u16, 200, 415])).prop_map(|(leg, code)| Step::Informed { leg, code }),
        2 => (leg.clone(), offers.clone()).prop_map(|(leg, offer)| Step::Replaces { leg, offer }),
        1 => leg.clone().prop_map(|leg| Step::OpenFails { leg }),
        1 => leg.clone().prop_map(|leg| Step::Closes { leg }),
        3 => (leg.clone(), 1_u64..400).prop_map(|(leg, seconds)| Step::Silent { leg, seconds }),
        1 => leg.clone().prop_map(|leg| Step::Sends { leg }),
        8 => leg.clone().prop_map(|leg| Step::Bridged { leg }),
        2 => leg.clone().prop_map(|play| Step::PlayStarts { play }),
        2 => leg.clone().prop_map(|play| Step::PlayEnds { play }),
        6 => (leg.clone(), keys, 0_usize..3).prop_map(|(leg, keys, way)| Step::Keys { leg, keys, way }),
        1 => leg.clone().prop_map(|leg| Step::Speaks { leg }),
        3 => (leg.clone(), any()).prop_map(|(text, well)| Step::Spoken { text, well }),
        8 => (leg.clone(), 0_usize..4).prop_map(|(leg, how)| Step::Shaken { leg, how }),
        6 => (leg, mood).prop_map(|(leg, mood)| Step::Mood { leg, mood }),
        1 => prop::option::weighted(0.9, 0_u64..9).prop_map(|hang_up| Step::Order { hang_up }),
        9 => (1_u64..3, orders).prop_map(|(call, words)| Step::Operator { call, words }),
        8 => (0_usize..8).prop_map(|which| Step::Deliver { which }),
        4 => waits.prop_map(|millis| Step::Wait { millis }),
        // It comes down more often than it goes up: else sequences would soon be nothing but refusals.
        1 => prop::sample::select(vec![(85_f32, 3_u32), (99.0, 3), (99.0, 9), (1.0, 12), (1.0, 12), (1.0, 12), (1.0, 12), (1.0, 40)])
            .prop_map(|(percent, times)| Step::Measured { percent, times }),
    ];
    prop::collection::vec(step, 1..200)
}

/// What comes of a question whether somebody is there: who does not answer well says nothing, or that nothing is known.
fn found(answers: bool, leg: usize) -> Presence {
    match answers {
        true => Presence::Here,
        false if leg.is_multiple_of(2) => Presence::Silent,
        false => Presence::Gone,
    }
}

/// What operators ask for.
const OPERATORS: [&str; 29] = [
    "supervise floor barge",
    "supervise floor listen",
    "supervise sip:8001@10.0.0.9 whisper callee",
    "change 1 barge",
    "change 1 whisper caller",
    "change 1 whisper callee",
    "change 1 whisper caller",
    "change 1 hears caller",
    "release 1",
    "browser barge",
    "mute browser listen",
    "connected 1",
    "connected 2",
    "gone 1",
    "play callee duck",
    "play caller replace",
    "say callee replace",
    "say caller duck",
    "stop 3",
    "audio",
    "audio",
    "audio 1 missed 20",
    "audio 1 closes",
    "bypass",
    "bypass",
    "bypass",
    "end bypass",
    "end bypass",
    "end bypass",
];
