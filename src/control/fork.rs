//! Calls that are forked to us: somebody sends a copy of what both sides say, and we are not in their path.
//!
//! Inside they are calls like any other, without dialogs of their parties: heard, judged, on record. What moves a party
//! is an order to the PBX whose call it is. How copies come is in `recording` (SIPREC) and `wire` (everything else). A chat
//! is a call of this kind, too: one that has no media at all (`chat`).

mod arrive;
mod recording;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use forks::siprec;
use media::sdp::{Formats, Wishes};
use media::{Direction, LegId};
use routing::CallKey;

use super::asking::channels_of;
use super::call::{Call, Stage, Talking, Tally};
use super::chat::{self, Chat};
use super::context::Context;
use super::drain::Departure;
use super::duties::Serving;
use super::facts::Learned;
use super::indicator::Indicator;
use super::leg::{Beginning, Dialog, Farewell, Leg, Partner};
use super::order::Party;
use super::relief::Relievable;
use super::session::EXPIRED;
use super::setup::Refusal;
use super::{Command, ControlSettings, Header, SipCommand, history};
use crate::notice::{ForkedParty, What};
use crate::settings::{AudioTerms, Route};

pub(super) use recording::{Admitted, Recording, admit};
pub use wire::{ForkCommand, ForkEvent, ForkOpening, StreamId};
pub(super) use wire::{Wire, admit as route};

/// Where a copy of a call comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A recording client, by SIP (RFC 7866).
    Siprec,
    /// Asterisk's AudioSocket.
    AudioSocket,
    /// A WebSocket of FreeSWITCH's modules.
    FreeSwitch,
    /// A WebSocket of Asterisk's channel.
    Asterisk,
    /// A WebSocket that speaks like Twilio's Media Streams.
    Twilio,
    /// RTP to ports that were asked for over the API, e.g. of ARI's externalMedia.
    Rtp,
    /// Nothing is forked: its parties write, over the API.
    Chat,
}

impl Source {
    /// Those that fork calls to us.
    pub const FORKING: [Self; 6] =
        [Self::Siprec, Self::AudioSocket, Self::FreeSwitch, Self::Asterisk, Self::Twilio, Self::Rtp];

    /// One word for it, in events and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Source::Siprec => "siprec",
            Source::AudioSocket => "audiosocket",
            Source::FreeSwitch => "freeswitch",
            Source::Asterisk => "asterisk",
            Source::Twilio => "twilio",
            Source::Rtp => "rtp",
            Source::Chat => "chat",
        }
    }
}

/// What a call is that is forked to us.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) source: Source,
    /// How its sender names the call.
    pub(super) pbx_call: Option<String>,
    pub(super) link: Link,
    /// Whether what is usual for the caller is kept for the next call.
    remembers: bool,
    /// Whether all streams are switched off for a while.
    paused: bool,
    /// What was told of it last.
    told: Option<What>,
}

/// How the copy comes.
#[derive(Debug)]
pub(super) enum Link {
    /// By a recording session.
    Recording(Box<Recording>),
    /// By streams without SIP.
    Wire(Wire),
    /// By messages.
    Chat(Box<Chat>),
}

impl Fork {
    pub(super) fn new(source: Source, pbx_call: Option<String>, link: Link, remembers: bool) -> Fork {
        Fork { source, pbx_call, link, remembers, paused: false, told: None }
    }

    /// What the call is found by when it comes again.
    fn found_by(&self) -> Option<(Source, String)> {
        let name = self.pbx_call.as_ref()?;
        let name = match &self.link {
            Link::Chat(chat) => chat::known_as(chat.channel(), name),
            Link::Recording(_) | Link::Wire(_) => name.clone(),
        };
        Some((self.source, name))
    }

    /// The leg of the recording session, when there is one.
    pub(super) fn recording_leg(&self) -> Option<LegId> {
        match &self.link {
            Link::Recording(recording) => Some(recording.leg),
            Link::Wire(_) | Link::Chat(_) => None,
        }
    }

    /// When the session is over that carries the copy, unless its sender refreshes it, and why: of a chat, unless somebody
    /// writes.
    pub(super) fn expires_at(&self) -> Option<(Duration, &'static str)> {
        match &self.link {
            Link::Recording(recording) => recording.timer.map(|timer| (timer.ends_at(), EXPIRED)),
            Link::Wire(_) => None,
            Link::Chat(chat) => Some((chat.ends_at(), chat::IDLE)),
        }
    }

    /// Whether all streams are switched off for a while.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// How the caller comes, for rules about channels.
    pub(super) fn channel(&self) -> &str {
        match &self.link {
            Link::Recording(_) | Link::Wire(_) => self.source.name(),
            Link::Chat(chat) => chat.channel(),
        }
    }

    /// Whether nothing more will be said about the way the copy came.
    pub(super) fn is_gone(&self) -> bool {
        match &self.link {
            Link::Recording(recording) => recording.dialog == Dialog::Over,
            Link::Wire(wire) => wire.is_empty(),
            Link::Chat(chat) => chat.is_over(),
        }
    }

    /// Asks the sender whether the call is still there, where it can be asked.
    pub(super) fn probe(&self, context: &mut Context<'_>) {
        if let Link::Recording(recording) = &self.link
            && recording.dialog == Dialog::Answered
        {
            context.sip(SipCommand::Probe { leg: recording.leg });
        }
    }

    /// Asks the sender's client a second time when that is due.
    pub(super) fn ask_again(&mut self, context: &mut Context<'_>) {
        if let Link::Recording(recording) = &mut self.link
            && recording.doubt.is_due(context.now)
        {
            self.probe(context);
        }
    }

    /// When that is.
    pub(super) fn ask_at(&self) -> Option<Duration> {
        match &self.link {
            Link::Recording(recording) => recording.doubt.ask_at(),
            Link::Wire(_) | Link::Chat(_) => None,
        }
    }

    /// How long nobody may send anything: RTP alone has no other end.
    pub(super) fn silence_limit(&self, silence: Duration, silence_limit: Duration) -> Duration {
        if self.source == Source::Rtp { silence } else { silence_limit }
    }

    /// Who alone is heard as the caller, as far as the sender of the copy says so.
    fn caller(&self, leg: LegId) -> Option<String> {
        match &self.link {
            Link::Recording(recording) => history::caller(&recording.sole_speaker(leg)?.names.first()?.address),
            Link::Chat(_) => None,
            Link::Wire(wire) if wire.is_mixed => None,
            // A PBX may name a number alone: then it is a number of that kind of PBX.
            Link::Wire(wire) if wire.from.contains('@') => history::caller(&wire.from),
            Link::Wire(wire) => history::caller(&format!("sip:{}@{}", wire.from, self.source.name())),
        }
    }

    /// Ends the way the copy came.
    pub(super) fn end(&mut self, context: &mut Context<'_>, reason: &str) {
        match &mut self.link {
            Link::Recording(recording) => recording.end(context, reason),
            Link::Wire(wire) => wire.end(context, reason),
            Link::Chat(chat) => chat.end(),
        }
    }
}

/// What the route of a forked call says.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) name: String,
    pub(super) scenario: String,
    remembers: bool,
}

impl Routed {
    pub(super) fn by(settings: &ControlSettings, route: &Route) -> Routed {
        let remembers = settings.remembers(route);
        Routed { name: route.name.clone(), scenario: route.scenario.clone(), remembers }
    }
}

/// What a forked call begins with.
pub(super) struct Begun {
    pub(super) key: CallKey,
    pub(super) id: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) route: String,
    pub(super) scenario: String,
    pub(super) passed: Vec<Header>,
    pub(super) fork: Fork,
    pub(super) caller: Leg,
    pub(super) far: Option<Leg>,
}

impl Call {
    /// A forked call, which is up from the beginning.
    pub(super) fn forked(context: &mut Context<'_>, begun: Begun) -> Call {
        let Begun { key, id, from, to, route, scenario, passed, fork, caller, far } = begun;
        let talking = Talking::new(context.now, &context.terms.settings);
        let target = fork.channel().to_owned();
        context.shared.forks.extend(fork.found_by().map(|name| (name, key)));
        // Whoever names no channel of its own has named the call as its PBX does.
        let channels = channels_of(&passed, fork.pbx_call.as_ref(), &context.terms.settings.pbxes);
        let mut call = Call {
            key,
            id,
            terms: Arc::clone(&context.terms),
            started: context.now,
            from: from.clone(),
            hops_left: HOPS_LEFT,
            language: context.terms.settings.language_on(&route),
            maskers: context.terms.settings.maskers_on(&route),
            consent: context.terms.settings.consent_on(&route, &passed),
            indicator: Indicator::default(),
            queue_priority: None,
            passed,
            channels,
            caller,
            far,
            leaving: Vec::new(),
            fork: Some(fork),
            stage: Stage::Talking(Box::new(talking)),
            tally: Tally::default(),
            learned: Learned::default(),
            serving: Serving::default(),
            relievable: Relievable::by(false),
            ports_refused: 0,
            departure: Departure::default(),
            wake: None,
        };
        let (from, to, tags) = (from.into(), to.into(), context.terms.settings.tags_on(&route));
        let groups = routing::groups(&context.terms.policies, &call.opening(context.now, &scenario));
        call.notice(context, What::CallStarted { from, to, route, scenario, tags });
        call.notice(context, What::CallAnswered { target, setup_ms: 0, uncalled: true, groups });
        call.begin_consent(context);
        call
    }

    /// Listens to whom the settings say. Said again, it changes nothing.
    fn tap_parties(&self, context: &mut Context<'_>) {
        let remembering = self.fork.as_ref().filter(|fork| fork.remembers);
        if let Some(caller) = remembering.and_then(|fork| fork.caller(self.caller.id)) {
            context.out.push(Command::Know { leg: self.caller.id, caller });
        }
        self.tap(context, self.caller.id, true);
        if let Some(far) = &self.far {
            let on = context.terms.settings.listens_to_far();
            self.tap(context, far.id, on);
        }
    }

    /// Tells who takes part, unless that has been told.
    fn tell_fork(&mut self, context: &mut Context<'_>, what: What) {
        let Some(fork) = &mut self.fork else { return };
        if fork.told.as_ref() == Some(&what) {
            return;
        }
        let before = fork.told.replace(what.clone());
        let mut what = what;
        if let What::CallForked { again, .. } = &mut what {
            *again = before.is_some();
        }
        self.notice(context, what);
    }

    /// The sender of the copy knows that we take it.
    pub(super) fn fork_confirmed(&mut self) {
        if let Stage::Talking(talking) = &mut self.stage {
            talking.watch.confirm();
        }
    }

    /// Whether the copy goes on, so that the call does, wherever its PBX moves it.
    pub(super) fn goes_on_forked(&self) -> bool {
        self.fork.as_ref().is_some_and(|fork| !fork.is_gone())
    }

    /// Tells when all streams are switched off, and when one is on again.
    fn tell_pause(&mut self, context: &mut Context<'_>) {
        let agreed = || std::iter::once(&self.caller).chain(&self.far).filter_map(|leg| leg.settings.as_ref());
        let paused = agreed().count() > 0 && agreed().all(|settings| settings.direction == Direction::Inactive);
        let Some(fork) = self.fork.as_mut().filter(|fork| fork.paused != paused) else { return };
        fork.paused = paused;
        if let Stage::Talking(talking) = &mut self.stage {
            talking.watch.streams_changed(context.now);
        }
        self.notice(context, What::ForkPaused { on: paused });
        let on = !paused && context.terms.settings.parties.is_some();
        self.judge(context, &routing::Event::Listened { on });
    }

    /// Why a party cannot be made to hear anything, when that is so.
    pub(super) fn unheard(&self, party: Party) -> Option<&'static str> {
        if self.fork.as_ref()?.source == Source::Chat {
            return Some(chat::NO_SOUND);
        }
        let leg = match party {
            Party::Caller => Some(&self.caller),
            Party::Callee => self.far.as_ref(),
        };
        let settings = leg.and_then(|leg| leg.settings.as_ref());
        let plays = settings.is_some_and(|settings| settings.direction == Direction::SendRecv);
        (!plays).then_some("the call is forked to us, and nothing can be sent back")
    }

    /// The fork has ended, with the call.
    pub(super) fn end_fork(&mut self, context: &mut Context<'_>, reason: &str) {
        if self.chat().is_some() {
            self.attend(context, false);
        }
        let Some(fork) = &mut self.fork else { return };
        fork.end(context, reason);
        if let Some(name) = fork.found_by()
            && context.shared.forks.get(&name) == Some(&self.key)
        {
            context.shared.forks.remove(&name);
        }
    }
}

/// A party of a forked call: a stream without a dialog; `local` when its audio comes over loopback.
fn open_party(
    context: &mut Context<'_>,
    call: CallKey,
    name: &'static str,
    audio: AudioTerms,
    formats: Formats,
    bind: Option<IpAddr>,
) -> Result<Leg, Refusal> {
    let beginning = Beginning {
        name,
        audio,
        formats,
        wishes: Wishes::default(),
        partner: Partner::default(),
        destination: bind,
        bind,
    };
    let mut leg =
        Leg::open(context, call, None, beginning).ok_or_else(|| Refusal::new(503, "No media port is free"))?;
    leg.dialog = Dialog::Absent;
    leg.party = name;
    Ok(leg)
}

/// Lets go of a party for which there is no call.
fn abandon(context: &mut Context<'_>, mut leg: Leg) {
    leg.end(context, Farewell { code: 480, reason: "no call" });
    context.shared.owners.remove(&leg.id);
}

/// What is told of a participant.
fn party(party: &str, participant: Option<&siprec::Participant>) -> Option<ForkedParty> {
    let participant = participant?;
    Some(ForkedParty {
        party: party.to_owned(),
        addresses: participant.names.iter().map(|name| name.address.clone()).collect(),
        name: participant.names.iter().find_map(|name| name.name.clone()),
    })
}

/// Max-Forwards of what a forked call sends on: nobody has forwarded it to us (RFC 3261 §8.1.1.6).
const HOPS_LEFT: u8 = 70;
