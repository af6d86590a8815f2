//! Random sequences of events: whatever happens in whatever order, nothing panics, nothing leaks, and no command
//! breaks the contract (`sim` looks after that). proptest prints the sequence that failed, made small.

mod steps;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use media::LegId;
use media::sdp::{Exchange, Protection, Wanted};
use media::srtp::Suite;
use nlu::LanguageFound;
use nlu::recognition::Language;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use self::steps::{Step, steps};
use super::audio::{audio_of, certificate};
use super::reached::{REACHED, kind};
use super::reload::reload;
use super::script::{observation, order, sdp, transcript};
use super::sim::{Sim, SipState, settings};
use crate::control::leg::header;
use crate::control::{
    ControlSettings, HandshakeFailure, Input, Invite, Measured, OfferMethod, Order, Refresher, ReplyId, SessionTerms,
    SipEvent,
};
use crate::notice::What;
use crate::pbx::{Answer, Outcome};
use crate::settings::{Measure, Parties};

proptest! {
    #[test]
    fn nothing_leaks_and_nothing_panics(
        steps in steps(), both in any::<bool>(), protects in any::<bool>(), drains in any::<bool>(),
        reloads in any::<bool>(),
    ) {
        let mut settings = if protects { protected() } else { settings() };
        settings.parties = Some(if both { Parties::Both } else { Parties::Caller });
        let mut sim = Sim::new(settings);
        let half = steps.len() / 2;
        for (number, step) in steps.iter().enumerate() {
            if reloads && number == half {
                reload(&mut sim);
            }
            happen(&mut sim, step);
        }
        if drains {
            drain(&mut sim);
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
    for number in 0..30_000 {
        if reached.len() >= REACHED.len() {
            break;
        }
        let mut sim = Sim::new(if number % 2 == 0 { settings() } else { protected() });
        for step in steps().new_tree(&mut runner).expect("no filters").current() {
            happen(&mut sim, &step);
        }
        reached.extend(sim.notices.iter().map(|notice| kind(&notice.what)));
    }
    let missing: Vec<&str> = REACHED.into_iter().filter(|kind| !reached.contains(*kind)).collect();
    assert!(missing.is_empty(), "not reached: {missing:?}");
    assert_eq!(reached.iter().map(String::as_str).collect::<Vec<_>>(), REACHED);
}

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

/// Stops the server: some of the calls that are up are handed over.
fn drain(sim: &mut Sim) {
    sim.tell(Input::Order(Order::Drain));
    sim.pass(Duration::from_secs(60), |_, _| ());
    for leg in 0..20 {
        answers_ours(sim, &Step::Agrees { leg });
    }
    sim.tell(Input::Order(Order::Stop));
    assert_eq!(sim.control.counts().calls, 0, "nothing is up any more");
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
            What::CallRefused { .. }
            | What::CallRedirected { .. }
            | What::LoadChanged { .. }
            | What::ScenarioTurned(_)
            | What::GroupTurned(_) => {}
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
        Step::Wait { millis } => {
            if millis >= UNANSWERED_MS {
                nobody_answers(sim);
            }
            sim.pass(Duration::from_millis(millis), |_, _| ());
        }
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
        Step::Measured { percent, times } => {
            for _ in 0..times {
                sim.pass(Duration::from_millis(500), |_, _| ());
                sim.tell(Input::Measured(Measured::new(|measure| if measure == Measure::Cpu { percent } else { 0.0 })));
            }
        }
        Step::Invite { number, offer, expires_s } => {
            let session = terms(expires_s, sim.now.as_millis().is_multiple_of(2));
            let input = sim.incoming(invite(number, offer, session, None)).1;
            sim.tell(input);
        }
        _ => on_a_leg(sim, step),
    }
}

/// What the SIP side says of requests that have had no answer for long enough.
fn nobody_answers(sim: &mut Sim) {
    let session = SessionTerms::default();
    for leg in std::mem::take(&mut sim.updates) {
        if sim.sip[&leg].state == SipState::Answered {
            sim.tell(Input::Sip(SipEvent::Updated { leg, code: 408, session }));
        }
    }
    while !sim.reinvites.is_empty() {
        reinvited(sim, 0, 408, |_| String::new());
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
    SessionTerms { supported: interval_s.is_some(), interval_s, refresher, least_s: None, takes_update: ours }
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
            let retry_after = (code == 503).then_some(Duration::from_secs(5));
            sim.tell(Input::Sip(SipEvent::Failed { leg, code, reason: "no".into(), retry_after }));
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
        Step::Probed { leg, found } => {
            let Some(leg) = pick_any(sim, leg, &[SipState::Answered, SipState::Ending]) else { return };
            sim.tell(Input::Sip(SipEvent::Probed { leg, found }));
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
        Step::Reinvited { leg, code, sdp: words } => reinvited(sim, leg, code, |_| words.to_owned()),
        Step::Agrees { leg } => reinvited(sim, leg, 200, |offer| {
            let formats = offer.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap_or_default();
            format!("{} 101", formats.split(' ').nth(2).unwrap_or_default())
        }),
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

/// One of our offers that are open gets an answer, in the words of `sdp`.
fn reinvited(sim: &mut Sim, leg: usize, code: u16, answer: impl Fn(&str) -> String) {
    let open: Vec<LegId> = sim.reinvites.keys().copied().collect();
    let Some(&leg) = open.get(leg % open.len().max(1)) else { return };
    let Some(offer) = sim.reinvites.remove(&leg) else { return };
    if matches!(sim.sip[&leg].state, SipState::Answered | SipState::Ending) {
        let session = terms((code == 200).then_some(1_800), leg.0 % 2 == 0);
        sim.tell(Input::Sip(SipEvent::Reinvited { leg, code, sdp: sdp(&answer(&offer)), session }));
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
            sim.tell(Input::Said(transcript(leg, "complaint", true)));
            sim.tell(Input::Crosstalk(transcript(leg, "complaint", true)));
            let found = LanguageFound { language: Language::English, probability: 0.9, is_sure: true, speech: 24_000 };
            sim.tell(Input::Language { leg, found, heard_in: Language::English });
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
            sim.tell(Input::Heard(Box::new(observation(leg, mood))));
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

/// How long an answer may take (RFC 3261, 64·T1), milliseconds.
const UNANSWERED_MS: u64 = 32_000;

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
