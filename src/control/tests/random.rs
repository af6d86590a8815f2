//! Random sequences of events: whatever happens in whatever order, nothing panics, nothing leaks, and no command
//! breaks the contract (`sim` looks after that). proptest prints the sequence that failed, made small.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use media::LegId;
use media::sdp::{Exchange, Protection, Wanted};
use media::srtp::Suite;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::audio::{audio_of, certificate};
use super::reached::{REACHED, kind};
use super::script::{observation, order, sdp};
use super::sim::{Sim, SipState, settings};
use crate::control::leg::header;
use crate::control::{
    ControlSettings, HandshakeFailure, Input, Invite, OfferMethod, Order, Refresher, ReplyId, SessionTerms, SipEvent,
};
use crate::notice::What;
use crate::pbx::{Answer, Outcome};
use crate::settings::Parties;

/// One thing that happens; the numbers choose among what there is at that moment.
#[derive(Debug, Clone)]
enum Step {
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
        alive: bool,
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
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
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
        7 => (leg.clone(), outcomes, any()).prop_map(|(leg, code, last)| Step::Refer { leg, code, last }),
        3 => (leg.clone(), prop::sample::select(vec![200_u16, 200, 491, 405, 408, 481, 500]))
            .prop_map(|(leg, code)| Step::Updated { leg, code }),
        1 => (leg.clone(), any()).prop_map(|(leg, alive)| Step::Probed { leg, alive }),
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
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn nothing_leaks_and_nothing_panics(steps in steps(), both in any::<bool>(), protects in any::<bool>()) {
        let mut settings = if protects { protected() } else { settings() };
        settings.parties = if both { Parties::Both } else { Parties::Caller };
        let mut sim = Sim::new(settings);
        for step in steps {
            happen(&mut sim, &step);
        }
        wind_up(&mut sim);
        sim.assert_clean();
        one_start_and_one_end(&sim);
        whoever_comes_goes(&sim);
    }
}

/// The sequences would prove little if they never got far: all that can be noticed happens in some of them.
#[test]
fn the_sequences_reach_everything() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for number in 0..40_000 {
        if reached.len() >= REACHED.len() {
            break;
        }
        let mut sim = Sim::new(if number % 2 == 0 { settings() } else { protected() });
        for step in steps().new_tree(&mut runner).expect("no filters").current() {
            happen(&mut sim, &step);
        }
        reached.extend(sim.notices.iter().map(|notice| kind(&notice.what)));
    }
    assert_eq!(reached.iter().map(String::as_str).collect::<Vec<_>>(), REACHED);
}

/// What operators ask for.
const OPERATORS: [&str; 18] = [
    "supervise floor barge",
    "supervise floor listen",
    "supervise sip:8001@10.0.0.9 whisper callee",
    "change 1 barge",
    "change 1 whisper caller",
    "change 1 whisper callee",
    "change 1 whisper caller",
    "change 1 hears caller",
    "release 1",
    "play callee duck",
    "play caller replace",
    "say callee replace",
    "say caller duck",
    "stop 3",
    "audio",
    "audio",
    "audio 1 missed 20",
    "audio 1 closes",
];

/// Callers and targets that are protected one way or another.
fn protected() -> ControlSettings {
    let mut settings = settings();
    settings.fingerprint = Some(certificate());
    for route in &mut settings.routes.0 {
        route.audio.protection = Protection { wanted: Wanted::Optional, exchange: Exchange::Any };
    }
    for (name, wanted) in [("bot", Wanted::Optional), ("human", Wanted::Required), ("floor", Wanted::Optional)] {
        audio_of(&mut settings, name).protection = Protection { wanted, exchange: Exchange::Dtls };
    }
    settings
}

/// Hangs up whatever is left and lets everybody say their last words.
fn wind_up(sim: &mut Sim) {
    for number in 1..200 {
        sim.tell(Input::Order(Order::HangUp { call: format!("boot-{number}") }));
    }
    for _ in 0..10_000 {
        if sim.pending.is_empty() {
            break;
        }
        deliver(sim, 0);
    }
    sim.pass(Duration::from_secs(100), |_, _| ());
}

/// Every call that was started ended once, and nothing was said about it after that.
fn one_start_and_one_end(sim: &Sim) {
    let mut up = BTreeSet::new();
    for notice in &sim.notices {
        match &notice.what {
            What::CallRefused { .. } | What::CallRedirected { .. } => {}
            What::CallStarted { .. } => assert!(up.insert(&notice.call), "started twice"),
            What::CallEnded { .. } => assert!(up.remove(&notice.call), "ended twice"),
            what => assert!(up.contains(&notice.call), "said after the end: {what:?}"),
        }
    }
    assert!(up.is_empty(), "never ended: {up:?}");
}

/// Every supervisor and every client of live audio that came has gone once.
fn whoever_comes_goes(sim: &Sim) {
    let (mut supervisors, mut clients) = (BTreeSet::new(), BTreeSet::new());
    for notice in &sim.notices {
        let call = &notice.call;
        match &notice.what {
            What::SupervisorCalled { supervisor, .. } => assert!(supervisors.insert((call, *supervisor))),
            What::SupervisorJoined { supervisor, .. } | What::SupervisorChanged { supervisor, .. } => {
                assert!(supervisors.contains(&(call, *supervisor)));
            }
            What::SupervisorLeft { supervisor, .. } | What::SupervisorFailed { supervisor, .. } => {
                assert!(supervisors.remove(&(call, *supervisor)), "supervisor {supervisor} went twice");
            }
            What::AudioOpened { client, .. } => assert!(clients.insert((call, *client))),
            What::AudioClosed { client, .. } => assert!(clients.remove(&(call, *client)), "client {client} went twice"),
            _ => {}
        }
    }
    assert!(supervisors.is_empty() && clients.is_empty(), "still there: {supervisors:?} {clients:?}");
}

fn happen(sim: &mut Sim, step: &Step) {
    match *step {
        Step::Wait { millis } => sim.pass(Duration::from_millis(millis), |_, _| ()),
        Step::Deliver { which } => deliver(sim, which),
        Step::Order { hang_up: Some(number) } => {
            sim.tell(Input::Order(Order::HangUp { call: format!("boot-{number}") }));
        }
        Step::Order { hang_up: None } => {
            sim.tell(Input::Order(Order::Listening { up: true }));
        }
        Step::Operator { call, words } => {
            let words: Vec<&str> = words.split(' ').collect();
            // Whether it can be done depends on the call; either way it must not break anything.
            let _ = sim.order(order(&format!("boot-{call}"), &words));
        }
        Step::Invite { number, offer, expires_s } => {
            let session = terms(expires_s, sim.now.as_millis().is_multiple_of(2));
            let input = sim.incoming(invite(number, offer, session, None)).1;
            sim.tell(input);
        }
        _ => on_a_leg(sim, step),
    }
}

fn invite(number: &str, offer: &str, session: SessionTerms, replaces: Option<LegId>) -> Invite {
    Invite {
        request_uri: format!("sip:{number}@192.0.2.1"),
        hops_left: 69,
        from: "\"Li\" <sip:li@pbx>".into(),
        to: "<sip:x@y>".into(),
        sip_call_id: "abc".into(),
        headers: vec![header("X-PBX-Channel", "PJSIP/li-1")],
        sdp: sdp(offer),
        metadata: None,
        is_recording: false,
        session,
        replaces,
    }
}

/// What a far end that knows session timers says of one.
fn terms(interval_s: Option<u32>, ours: bool) -> SessionTerms {
    let refresher = interval_s.map(|_| if ours { Refresher::Uas } else { Refresher::Uac });
    SessionTerms { supported: interval_s.is_some(), interval_s, refresher, takes_update: ours }
}

/// What happens to a leg, as far as the leg's state allows it to happen.
fn on_a_leg(sim: &mut Sim, step: &Step) {
    match *step {
        Step::Ring { leg, code, sdp: words } => {
            let Some(leg) = pick(sim, leg, false, &[SipState::Inviting, SipState::Cancelling]) else { return };
            let reason = "Ringing".to_owned();
            sim.tell(Input::Sip(SipEvent::Progress { leg, code, reason, sdp: sdp(words) }));
        }
        Step::Answer { leg, sdp: words } => {
            let Some(leg) = pick(sim, leg, false, &[SipState::Inviting, SipState::Cancelling]) else { return };
            sim.pending.retain(|each| !matches!(each, Input::Sip(SipEvent::Failed { leg: l, .. }) if *l == leg));
            sim.sip.get_mut(&leg).expect("picked").state = SipState::Answered;
            let session = terms(words.starts_with('8').then_some(1_800), leg.0 % 2 == 0);
            sim.tell(Input::Sip(SipEvent::Answered { leg, sdp: sdp(words), session }));
        }
        Step::Fail { leg, code } => {
            let Some(leg) = pick(sim, leg, false, &[SipState::Inviting]) else { return };
            sim.over(leg);
            sim.tell(Input::Sip(SipEvent::Failed { leg, code, reason: "no".into() }));
        }
        Step::Leave { leg } => {
            if let Some(leg) = pick(sim, leg, true, &[SipState::Inviting]) {
                sim.over(leg);
                sim.tell(Input::Sip(SipEvent::Cancelled { leg }));
            } else if let Some(leg) = pick_any(sim, leg, &[SipState::Answered]) {
                sim.over(leg);
                sim.tell(Input::Sip(SipEvent::Ended { leg, reason: "BYE".into() }));
            }
        }
        Step::Confirm { leg } => {
            let Some(leg) = pick(sim, leg, true, &[SipState::Answered]) else { return };
            let answer = if sim.now.as_millis().is_multiple_of(2) { "0 101 sendrecv" } else { "no-sdp" };
            sim.tell(Input::Sip(SipEvent::Confirmed { leg, sdp: sdp(answer) }));
        }
        Step::Offer { leg, update, sdp: words } => {
            let all = [SipState::Inviting, SipState::Cancelling, SipState::Answered, SipState::Ending];
            let Some(leg) = pick_any(sim, leg, &all) else { return };
            let reply: ReplyId = sim.reply_id();
            let method = if update { OfferMethod::Update } else { OfferMethod::Invite };
            let session = terms(words.starts_with('8').then_some(600), leg.0 % 2 == 0);
            sim.tell(Input::Sip(SipEvent::Offer { leg, reply, method, sdp: sdp(words), session, metadata: None }));
            if method == OfferMethod::Invite && words == "no-sdp" {
                sim.tell(Input::Sip(SipEvent::Acknowledged { leg, reply, sdp: sdp("8 101 sendrecv") }));
            }
        }
        Step::Refer { leg, code, last } => {
            let Some(leg) = pick(sim, leg, true, &[SipState::Answered, SipState::Ending]) else { return };
            sim.tell(Input::Sip(SipEvent::ReferProgress { leg, code, reason: "so".into(), last }));
        }
        Step::Probed { leg, alive } => {
            let Some(leg) = pick_any(sim, leg, &[SipState::Answered, SipState::Ending]) else { return };
            sim.tell(Input::Sip(SipEvent::Probed { leg, alive }));
        }
        _ => is_moved(sim, step),
    }
}

/// What others say about moving a call, or want moved.
fn is_moved(sim: &mut Sim, step: &Step) {
    match *step {
        Step::Ordered { order, outcome } => {
            if sim.orders.is_empty() {
                return;
            }
            let order = sim.orders.remove(order % sim.orders.len());
            let outcomes = [Outcome::Done, Outcome::Done, Outcome::Accepted, Outcome::Failed("no".to_owned())];
            sim.tell(Input::Pbx(Answer { ticket: order.ticket, outcome: outcomes[outcome].clone() }));
        }
        Step::Referred { leg, host } => {
            let Some(leg) = pick_any(sim, leg, &[SipState::Answered]) else { return };
            let uri = format!("sip:other@{host}");
            sim.tell(Input::Sip(SipEvent::Referred { leg, uri, headers: Vec::new() }));
        }
        Step::Informed { leg, code } => {
            let Some(leg) = pick(sim, leg, true, &[SipState::Answered]) else { return };
            sim.tell(Input::Sip(SipEvent::Informed { leg, code, reason: "so".into() }));
        }
        Step::Replaces { leg, offer } => {
            let Some(leg) = pick_any(sim, leg, &[SipState::Answered]) else { return };
            let input = sim.incoming(invite("sales", offer, SessionTerms::default(), Some(leg))).1;
            sim.tell(input);
        }
        _ => answers_ours(sim, step),
    }
}

/// The answers to offers and refreshes of ours.
fn answers_ours(sim: &mut Sim, step: &Step) {
    match *step {
        Step::Reinvited { leg, code, sdp: words } => {
            let open: Vec<LegId> = sim.reinvites.iter().copied().collect();
            let Some(&leg) = open.get(leg % open.len().max(1)) else { return };
            sim.reinvites.remove(&leg);
            if matches!(sim.sip[&leg].state, SipState::Answered | SipState::Ending) {
                let session = terms((code == 200).then_some(1_800), leg.0 % 2 == 0);
                sim.tell(Input::Sip(SipEvent::Reinvited { leg, code, sdp: sdp(words), session }));
            }
        }
        Step::Updated { leg, code } => {
            let open: Vec<LegId> = sim.updates.iter().copied().collect();
            let Some(&leg) = open.get(leg % open.len().max(1)) else { return };
            sim.updates.remove(&leg);
            if matches!(sim.sip[&leg].state, SipState::Answered | SipState::Ending) {
                let session = terms((code == 200).then_some(1_800), true);
                sim.tell(Input::Sip(SipEvent::Updated { leg, code, session }));
            }
        }
        _ => is_heard(sim, step),
    }
}

/// What the listening side hears, and whoever speaks says.
fn is_heard(sim: &mut Sim, step: &Step) {
    match *step {
        Step::Keys { leg, keys, way } => {
            let all = [SipState::Inviting, SipState::Answered, SipState::Ending];
            let Some(leg) = pick_any(sim, leg, &all) else { return };
            for key in keys.chars().map(|letter| letter.try_into().expect("a key")) {
                sim.tell(match way {
                    0 => Input::Media(media::Event::Key { leg, key }),
                    1 => Input::Sip(SipEvent::Key { leg, key }),
                    _ => Input::Key { leg, key },
                });
            }
        }
        Step::Speaks { leg } => {
            let Some(leg) = pick_any(sim, leg, &[SipState::Answered, SipState::Ending]) else { return };
            sim.tell(Input::Spoke { leg, lasted: Duration::from_millis(480) });
        }
        Step::Spoken { text, well } => {
            if sim.texts.is_empty() {
                return;
            }
            let (leg, prompt) = sim.texts.remove(text % sim.texts.len());
            let sound = media::Sound { samples: vec![0; 800] };
            let sound = if well { Ok(Arc::new(sound)) } else { Err("nobody speaks".to_owned()) };
            sim.tell(Input::Spoken { leg, prompt, sound });
        }
        Step::Shaken { leg, how } => {
            let all = [SipState::Inviting, SipState::Answered, SipState::Ending];
            let Some(leg) = pick_any(sim, leg, &all) else { return };
            let outcome = match how {
                0 => Err(HandshakeFailure::TooSlow),
                1 => Err(HandshakeFailure::WrongCertificate),
                _ => Ok(Suite::AeadAes128Gcm),
            };
            sim.tell(Input::Shaken { leg, outcome });
        }
        Step::Mood { leg, mood } => {
            let Some(leg) = pick_any(sim, leg, &[SipState::Answered, SipState::Ending]) else { return };
            sim.tell(Input::Heard(observation(leg, mood)));
        }
        _ => in_the_media_path(sim, step),
    }
}

fn in_the_media_path(sim: &mut Sim, step: &Step) {
    let up: Vec<LegId> = sim.media.iter().filter(|(_, leg)| leg.up).map(|(id, _)| *id).collect();
    let at = |index: usize| (!up.is_empty()).then(|| up[index % up.len()]);
    let event = match *step {
        Step::OpenFails { leg } => at(leg).map(|leg| media::Event::OpenFailed { leg, reason: "in use".into() }),
        Step::Closes { leg } => at(leg).map(|leg| media::Event::Closed { leg, stats: media::LegStats::default() }),
        Step::Silent { leg, seconds } => {
            at(leg).map(|leg| media::Event::Silent { leg, silence: Duration::from_secs(seconds) })
        }
        Step::Sends { leg } => at(leg).map(|leg| media::Event::Heard { leg }),
        Step::Bridged { leg } => at(leg)
            .and_then(|leg| sim.media[&leg].peer.map(|from| (leg, from)))
            .map(|(leg, from)| media::Event::Bridged { leg, from }),
        Step::PlayStarts { play } | Step::PlayEnds { play } if sim.plays.is_empty() => {
            let (leg, prompt) = (LegId(play as u32), media::PromptId(play as u32));
            Some(media::Event::PlayStarted { leg, prompt })
        }
        Step::PlayStarts { play } => {
            let (leg, prompt) = sim.plays[play % sim.plays.len()];
            Some(media::Event::PlayStarted { leg, prompt })
        }
        Step::PlayEnds { play } => {
            let (leg, prompt) = sim.plays.remove(play % sim.plays.len());
            Some(media::Event::PlayEnded { leg, prompt, completed: true })
        }
        _ => None,
    };
    let Some(event) = event else { return };
    if let media::Event::OpenFailed { leg, .. } | media::Event::Closed { leg, .. } = &event {
        sim.media.get_mut(leg).expect("is up").up = false;
        sim.plays.retain(|(each, _)| each != leg);
    }
    sim.tell(Input::Media(event));
}

/// The SIP side and the media path say one of the things they have to say, in any order.
fn deliver(sim: &mut Sim, which: usize) {
    if sim.pending.is_empty() {
        return;
    }
    let input = sim.pending.remove(which % sim.pending.len()).expect("within");
    if let Input::Sip(SipEvent::Failed { leg, .. } | SipEvent::Ended { leg, .. }) = &input {
        sim.over(*leg);
    }
    sim.tell(input);
}

fn pick(sim: &Sim, index: usize, incoming: bool, states: &[SipState]) -> Option<LegId> {
    choose(sim, index, |id, state| (id.0 >> 31 == 1) == incoming && states.contains(&state))
}

fn pick_any(sim: &Sim, index: usize, states: &[SipState]) -> Option<LegId> {
    choose(sim, index, |_, state| states.contains(&state))
}

/// One of the legs for which `fits` holds, the newest first.
fn choose(sim: &Sim, index: usize, fits: impl Fn(LegId, SipState) -> bool) -> Option<LegId> {
    let legs: Vec<LegId> = sim.sip.iter().rev().filter(|(id, leg)| fits(**id, leg.state)).map(|(id, _)| *id).collect();
    (!legs.is_empty()).then(|| legs[index % legs.len()])
}
