//! Call control, pure: SIP and media events, observations and orders in; commands and notices out.
//!
//! No socket, clock, thread or file. `handle(now, input, &mut out)`, `tick` and `deadline()` are all there is.
//! A back-to-back user agent: every call has a caller's leg and a far leg, both with media of our own.

mod act;
mod admission;
mod asking;
mod audio;
mod browser;
mod bypass;
mod call;
mod capture;
mod chat;
mod codecs;
mod command;
mod consent;
mod context;
mod conversation;
mod description;
mod doubt;
mod drain;
mod duties;
mod facts;
mod finish;
mod fork;
mod handshake;
mod history;
mod hold;
mod indicator;
mod input;
mod keys;
mod leg;
mod offer;
mod order;
mod overload;
mod pass;
mod ports;
mod prompts;
mod recorded;
mod reel;
mod refer;
mod relief;
mod reoffer;
mod reopen;
mod reroute;
mod said;
mod session;
mod setup;
mod site;
mod supervise;
mod takeover;
mod terms;
#[cfg(test)]
mod tests;
mod timer;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use forks::siprec::Seat;
use ipnet::IpNet;
use media::sdp::Fingerprint;
use media::tone::{self, Progress, Region};
use media::{LegId, PromptId, Sound};
use nlu::masking::Masker;
use routing::CallKey;

pub use browser::{BROWSER_PAYLOAD_TYPE, Browser};
pub use capture::Capturable;
pub(crate) use chat::is_garbled;
pub use chat::{ChatOpening, MOOD_HOLDS, Message, Showing};
pub use command::{Command, InfoMethod, SipCommand};
pub use description::Description;
pub use drain::Departures;
pub use fork::{ForkCommand, ForkEvent, ForkOpening, Source, StreamId};
pub(crate) use history::compared_by;
pub use input::{
    HandshakeFailure, Header, Input, Invite, OfferMethod, Presence, Refresher, ReplyId, SessionTerms, SipEvent,
};
pub use order::{Denied, DeniedKind, Done, Hears, Order, Party, PlayedSound, SupervisorMode, Whom};
pub use overload::{Load, Measured};
pub use recorded::{NOT_AGREED, RECORDING};
pub use reel::{ReelBeginning, ReelCommand};
pub use terms::OldTerms;
pub use transfer::Wish;

use self::bypass::BypassBy;
use self::call::Call;
use self::context::{Context, Shared};
use self::drain::Drain;
use self::keys::Way;
use self::overload::Overload;
use self::ports::PortPool;
use self::prompts::How;
use self::relief::Relief;
use self::supervise::{Change, Part};
use crate::compliance::Phrases;
use crate::pbx::Outcome;
use crate::settings::{
    Limits, Networks, Parties, Pattern, PbxTerms, PortRange, Routes, Spoken, SupervisionSettings, Target,
};

/// What call control needs to know of the configuration.
#[derive(Debug, Clone)]
pub struct ControlSettings {
    /// The address that our SDP shows.
    pub address: IpAddr,
    /// The address that our SIP messages show.
    pub sip_address: IpAddr,
    /// What our SDP shows in certain networks instead.
    pub networks: Networks,
    /// The same of our SIP messages.
    pub sip_networks: Networks,
    /// How long a port rests before another call gets it.
    pub port_rest: Duration,
    /// What our certificate hashes to; without one, no DTLS handshake is offered or answered.
    pub fingerprint: Option<Fingerprint>,
    /// The RTP ports calls may use; each leg takes an even one.
    pub ports: PortRange,
    /// A call in which nobody sends for this long is asked whether it is still there.
    pub silence: Duration,
    /// A call in which nobody sends for this long is ended.
    pub silence_limit: Duration,
    /// Whose voice is listened to, if anybody's.
    pub parties: Option<Parties>,
    /// Whether callers' baselines are kept from call to call, on routes that do not say otherwise.
    pub remember_speakers: bool,
    /// What is spoken on routes that do not say otherwise; `None` where nobody listens for words.
    pub language: Option<Spoken>,
    /// Whether punctuation is set in dictation that comes without any.
    pub punctuation: bool,
    /// What masks what parties say, on routes that do not say otherwise; it has heard nothing yet.
    pub masker: Masker,
    /// What whoever serves must say and must never say.
    pub compliance: Arc<Phrases>,
    /// The facts by which calls are compared with each other, besides scenario and target.
    pub compared: Vec<String>,
    /// Whether every feature's score is told.
    pub scores: bool,
    /// Whether functionals are told.
    pub functionals: bool,
    /// What is refused or ended when it grows too large or too old.
    pub limits: Limits,
    /// Who may supervise calls.
    pub supervision: SupervisionSettings,
    /// Where calls can be sent, by name.
    pub targets: BTreeMap<String, Target>,
    /// Which targets a call is offered to.
    pub routes: Routes,
    /// Whose addresses are agents', in the metadata of recorded calls.
    pub agents: Vec<Pattern>,
    /// Whose stream comes first in a recorded call when nothing else tells.
    pub first_stream: Seat,
    /// Systems outside that rules tell of calls, by name.
    pub crms: BTreeSet<String>,
    /// Who can be asked to act on calls, by name.
    pub pbxes: BTreeMap<String, PbxTerms>,
    /// Networks of trust: far ends may refer calls to hosts in them.
    pub trusted: Vec<IpNet>,
}

impl ControlSettings {
    /// The address that our SDP shows a far end at `destination`.
    fn address_for(&self, destination: Option<IpAddr>) -> IpAddr {
        destination.and_then(|destination| self.networks.shown_to(destination)).unwrap_or(self.address)
    }

    /// The address that our SIP messages show a far end at `destination`.
    fn sip_address_for(&self, destination: Option<IpAddr>) -> IpAddr {
        destination.and_then(|destination| self.sip_networks.shown_to(destination)).unwrap_or(self.sip_address)
    }

    fn listens_to_far(&self) -> bool {
        self.parties == Some(Parties::Both)
    }
}

/// Fills a slice with random octets that nobody can foretell.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// What callers can be made to hear, besides texts.
#[derive(Debug, Clone, Default)]
pub struct Sounds {
    /// Prompts and music by file name, as policies name them.
    pub files: BTreeMap<String, Arc<Sound>>,
    /// The ringback tone, one turn of it; none where nobody is called.
    pub ringback: Option<Arc<Sound>>,
}

impl Sounds {
    /// These files, and the ringback tone of a region.
    pub fn new(files: BTreeMap<String, Arc<Sound>>, region: Region) -> Sounds {
        Sounds { files, ringback: Some(Arc::new(tone::Pattern::of(region, Progress::Ringback).render())) }
    }
}

/// All calls of one server.
pub struct Control {
    shared: Shared,
    /// Goes in front of every call's id, so that ids of different runs differ.
    boot_id: String,
    calls: BTreeMap<CallKey, Call>,
    /// When each call is next due.
    wakes: BTreeSet<(Duration, CallKey, &'static str)>,
    /// Those of the calls that are not over, chats among them.
    calls_up: usize,
    chats_up: usize,
    next_call: u64,
    drain: Option<Drain>,
    departures: Departures,
    overload: Overload,
    relief: Relief,
    listening: bool,
}

/// How many of what there is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Calls that are not over.
    pub calls: usize,
    /// Calls that are over, with legs that have not said their last word.
    pub calls_ending: usize,
    /// RTP ports that are free.
    pub ports_free: usize,
    /// RTP ports that the media path still holds.
    pub ports_held: usize,
    /// Legs about which something may still be said.
    pub legs: usize,
}

impl Control {
    /// Call control without any calls. `prompts` are the sounds by file name, as policies name them; `random` is where
    /// keys come from.
    pub fn new(
        settings: ControlSettings,
        engine: routing::Engine,
        sounds: Sounds,
        boot_id: String,
        random: Random,
    ) -> Control {
        let ports = PortPool::new(settings.ports.even(), settings.port_rest);
        Control {
            shared: Shared::new(settings, engine, sounds, ports, random),
            boot_id,
            calls: BTreeMap::new(),
            wakes: BTreeSet::new(),
            calls_up: 0,
            chats_up: 0,
            next_call: 1,
            drain: None,
            departures: Departures::default(),
            overload: Overload::default(),
            relief: Relief::default(),
            listening: false,
        }
    }

    /// Takes in one event at `now`, the time since start; `now` never runs backwards.
    pub fn handle(&mut self, now: Duration, input: Input, out: &mut Vec<Command>) {
        match input {
            Input::Sip(SipEvent::Incoming { leg, invite }) => self.incoming(now, leg, &invite, out),
            Input::Sip(event) => self.sip(now, event, out),
            Input::Media(event) => self.media(now, event, out),
            Input::Heard(observation) => {
                let leg = LegId(observation.party.0);
                self.with_owner(now, leg, out, |call, context| call.heard(context, &observation));
            }
            Input::Said(transcript) => {
                let leg = LegId(transcript.party.0);
                self.with_owner(now, leg, out, |call, context| call.said(context, &transcript, false));
            }
            Input::Crosstalk(transcript) => {
                let leg = LegId(transcript.party.0);
                self.with_owner(now, leg, out, |call, context| call.said(context, &transcript, true));
            }
            Input::Language { leg, found, heard_in } => {
                self.with_owner(now, leg, out, |call, context| call.language_found(context, leg, &found, heard_in));
            }
            Input::Turns { legs, turns } => {
                self.with_owner(now, legs[0], out, |call, context| call.took_turns(context, legs, &turns));
            }
            Input::Spoke { leg, lasted } => {
                self.with_owner(now, leg, out, |call, context| call.spoke(context, leg, lasted));
            }
            Input::Key { leg, key } => {
                self.with_owner(now, leg, out, |call, context| call.pressed(context, leg, key, Way::Audio));
            }
            Input::Shaken { leg, outcome } => {
                self.with_owner(now, leg, out, |call, context| call.shaken(context, leg, outcome));
            }
            Input::Spoken { leg, prompt, sound } => {
                self.with_owner(now, leg, out, |call, context| call.spoken(context, prompt, sound));
            }
            Input::Fork(event) => self.forked(now, event, out),
            Input::Pbx(answer) => {
                if let Some(key) = self.shared.orders.get(&answer.ticket).copied() {
                    if !matches!(answer.outcome, Outcome::Accepted) {
                        self.shared.orders.remove(&answer.ticket);
                    }
                    self.with_call(now, key, out, |call, context| call.order_answered(context, answer));
                }
            }
            Input::Measured(measured) => self.measured(now, &measured, out),
            Input::Order(order) => {
                // Nobody waits for the answer; what cannot be done is left undone.
                let _ = self.order(now, order, out);
            }
        }
    }

    /// Carries out an order at `now`.
    ///
    /// # Errors
    /// Why it cannot be carried out; then nothing is changed.
    pub fn order(&mut self, now: Duration, order: Order, out: &mut Vec<Command>) -> Result<Done, Denied> {
        match order {
            Order::HangUp { call } => self.ordered(now, &call, out, |call, context| {
                call.finish(context, "hung up by an operator");
                Ok(Done::Accepted)
            }),
            Order::Bypass { call } => self.ordered(now, &call, out, |call, context| {
                call.begin_bypass(context, BypassBy::Operator).map(|()| Done::Accepted)
            }),
            Order::EndBypass { call } => self.ordered(now, &call, out, |call, context| {
                call.end_bypass(context, "ended by an operator").map(|()| Done::Accepted)
            }),
            Order::Supervise { call, whom, mode, hears } => self.ordered(now, &call, out, |call, context| {
                call.call_supervisor(context, whom, Part { mode, hears }).map(Done::Supervisor)
            }),
            Order::ChangeSupervisor { call, supervisor, mode, hears, by } => {
                self.ordered(now, &call, out, |call, context| {
                    let change = Change { mode, hears, by: by.as_deref() };
                    call.change_supervisor(context, supervisor, change).map(|()| Done::Accepted)
                })
            }
            Order::EndSupervisor { call, supervisor } => self.ordered(now, &call, out, |call, context| {
                call.end_supervisor(context, supervisor).map(|()| Done::Accepted)
            }),
            Order::AdmitBrowser { .. } | Order::BrowserConnected { .. } | Order::BrowserGone { .. } => {
                self.browser_order(now, order, out)
            }
            Order::Move { call, wish } => self
                .ordered(now, &call, out, |call, context| call.move_by_order(context, &wish).map(|()| Done::Accepted)),
            Order::Prioritise { call, change } => self.prioritise(now, &call, change, out),
            Order::Play { call, party, sound, mode, until } => {
                let how = How { party, mode, until };
                self.ordered(now, &call, out, |call, context| call.play_by_order(context, sound, how))
            }
            Order::StopPlay { call, prompt } => self.ordered(now, &call, out, |call, context| {
                call.stop_by_order(context, PromptId(prompt)).map(|()| Done::Accepted)
            }),
            Order::Typed { call, party, text } => {
                self.ordered(now, &call, out, |call, context| call.typed(context, party, text).map(|()| Done::Accepted))
            }
            Order::OpenChat(_)
            | Order::Write { .. }
            | Order::Show { .. }
            | Order::EndChat { .. }
            | Order::ChatMoved { .. } => self.chat_order(now, order, out),
            Order::TellFacts { call, facts, by } => {
                let tell = |call: &mut Call, context: &mut Context<'_>| call.tell_facts(context, facts, by);
                self.ordered(now, &call, out, |call, context| tell(call, context).map(|()| Done::Accepted))
            }
            Order::Consent { call, given } => self
                .ordered(now, &call, out, |call, context| call.order_consent(context, given).map(|()| Done::Accepted)),
            Order::OpenAudio { call, layout } => {
                self.ordered(now, &call, out, |call, context| call.open_audio(context, layout))
            }
            Order::AudioMissed { call, client, missed_ms } => self.ordered(now, &call, out, |call, context| {
                call.audio_missed(context, client, missed_ms);
                Ok(Done::Accepted)
            }),
            Order::CloseAudio { call, client } => self.ordered(now, &call, out, |call, context| {
                call.close_audio(context, client);
                Ok(Done::Accepted)
            }),
            Order::PoliciesBack => self.policies_back().map(|()| Done::Accepted),
            of_all @ (Order::Drain | Order::Stop | Order::Listening { .. } | Order::Unheard) => {
                self.order_all(now, &of_all, out);
                Ok(Done::Accepted)
            }
        }
    }

    /// What is for no call by itself.
    fn order_all(&mut self, now: Duration, order: &Order, out: &mut Vec<Command>) {
        match order {
            Order::Drain => self.begin_drain(now),
            Order::Stop => self.stop(now, out),
            Order::Listening { up } => self.listening = *up,
            // What is written is read as ever.
            Order::Unheard => self.calls.values_mut().filter(|call| call.chat().is_none()).for_each(Call::excuse),
            _ => {}
        }
    }

    /// Lets time pass: does everything that was due by `now`.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Command>) {
        let due: Vec<CallKey> = self.wakes.iter().take_while(|(at, ..)| *at <= now).map(|(_, key, _)| *key).collect();
        for key in due {
            self.with_call(now, key, out, Call::tick);
        }

        self.drain_tick(now, out);
        let mut decisions = Vec::new();
        self.shared.engine.tick(now, &mut decisions);
        for decision in decisions {
            self.with_call(now, decision.call, out, |call, context| call.carry_out(context, vec![decision]));
        }
    }

    /// When `tick` must be called at the latest, and for what.
    pub fn deadline(&self) -> Option<(Duration, &'static str)> {
        let call = self.wakes.first().map(|(at, _, what)| (*at, *what));
        [call, self.shared.engine.deadline(), self.drain_deadline()].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// The call that a leg belongs to, while it is known.
    pub fn call_of(&self, leg: LegId) -> Option<CallKey> {
        self.shared.owners.get(&leg).copied()
    }

    /// Whether the observations of a call tell functionals: what it began with holds to its end.
    pub fn tells_functionals(&self, call: CallKey) -> bool {
        self.calls.get(&call).is_some_and(|call| call.terms.settings.functionals)
    }

    /// What there is at the moment.
    pub fn counts(&self) -> Counts {
        Counts {
            calls: self.calls_up,
            calls_ending: self.calls.len() - self.calls_up,
            ports_free: self.shared.ports.free(),
            ports_held: self.shared.ports_held.len(),
            legs: self.shared.owners.len(),
        }
    }

    /// Whether new calls are taken: not draining.
    pub fn is_taking_calls(&self) -> bool {
        self.drain.is_none()
    }

    /// Whether observations can be expected.
    pub fn is_listening(&self) -> bool {
        self.listening
    }

    /// The key and the id of the next call.
    fn new_call(&mut self) -> (CallKey, String) {
        let key = CallKey(self.next_call);
        self.next_call += 1;
        (key, format!("{}-{}", self.boot_id, key.0))
    }

    fn take_up(&mut self, now: Duration, key: CallKey, call: Call, out: &mut Vec<Command>) {
        self.calls_up += usize::from(call.is_up());
        self.calls.insert(key, call);
        self.with_call(now, key, out, |_, _| ());
    }

    fn sip(&mut self, now: Duration, event: SipEvent, out: &mut Vec<Command>) {
        let leg = event.leg();
        if self.shared.owners.contains_key(&leg) {
            self.with_owner(now, leg, out, |call, context| call.handle_sip(context, leg, event));
            return;
        }
        // A dialog that no call knows any more must not live on.
        match event {
            SipEvent::Answered { .. } => {
                let reason = Some("SIP;cause=481;text=\"no such call\"".to_owned());
                out.push(Command::Sip(SipCommand::Bye { leg, reason }));
            }
            SipEvent::Offer { reply, .. } => {
                let refusal = SipCommand::Reply { leg, reply, code: 481, sdp: None, headers: Vec::new() };
                out.push(Command::Sip(refusal));
            }
            _ => {}
        }
    }

    fn media(&mut self, now: Duration, event: media::Event, out: &mut Vec<Command>) {
        let leg = media_leg_of(&event);
        if matches!(event, media::Event::Closed { .. } | media::Event::OpenFailed { .. }) {
            self.shared.release_port(now, leg);
        }
        self.with_owner(now, leg, out, |call, context| call.handle_media(context, leg, event));
    }

    /// Does something with the call of a leg, when there is one.
    fn with_owner(
        &mut self,
        now: Duration,
        leg: LegId,
        out: &mut Vec<Command>,
        work: impl FnOnce(&mut Call, &mut Context<'_>),
    ) {
        if let Some(&key) = self.shared.owners.get(&leg) {
            self.with_call(now, key, out, work);
        }
    }

    /// Carries an order out on the call of that id.
    fn ordered(
        &mut self,
        now: Duration,
        id: &str,
        out: &mut Vec<Command>,
        work: impl FnOnce(&mut Call, &mut Context<'_>) -> Result<Done, Denied>,
    ) -> Result<Done, Denied> {
        let mut outcome = Err(Denied::no_such_call());
        if let Some(key) = self.key_of(id) {
            self.with_call(now, key, out, |call, context| outcome = work(call, context));
        }
        outcome
    }

    /// Does something with a call, then drops it when nothing is left of it, or notes when it is next due.
    fn with_call(
        &mut self,
        now: Duration,
        key: CallKey,
        out: &mut Vec<Command>,
        work: impl FnOnce(&mut Call, &mut Context<'_>),
    ) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let mut context = Context { now, terms: Arc::clone(&call.terms), shared: &mut self.shared, out };
        let was_up = call.is_up();
        work(call, &mut context);
        let over = call.wrap_up(&mut context);
        if was_up && !call.is_up() {
            self.calls_up -= 1;
            self.chats_up -= usize::from(call.chat().is_some());
            if self.drain.is_some() {
                self.departures.note(call.departure);
            }
        }

        if let Some(noted) = call.wake.take() {
            self.wakes.remove(&noted);
        }
        if over {
            self.calls.remove(&key);
            self.shared.orders.retain(|_, owner| *owner != key);
            return;
        }
        if let Some((at, what)) = call.deadline() {
            call.wake = Some((at, key, what));
            self.wakes.insert((at, key, what));
        }
    }

    fn key_of(&self, id: &str) -> Option<CallKey> {
        let number = id.strip_prefix(&self.boot_id)?.strip_prefix('-')?;
        number.parse().ok().map(CallKey)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("boot_id", &self.boot_id)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

fn media_leg_of(event: &media::Event) -> LegId {
    match event {
        media::Event::OpenFailed { leg, .. }
        | media::Event::Latched { leg, .. }
        | media::Event::PlayStarted { leg, .. }
        | media::Event::PlayEnded { leg, .. }
        | media::Event::Bridged { leg, .. }
        | media::Event::Silent { leg, .. }
        | media::Event::Heard { leg }
        | media::Event::Key { leg, .. }
        | media::Event::CodecFailed { leg, .. }
        | media::Event::Handshake { leg, .. }
        | media::Event::Closed { leg, .. } => *leg,
    }
}
