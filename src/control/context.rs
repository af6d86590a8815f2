//! What all calls share while one event is handled: ports, numbers, the policy engine, the output; and what each
//! goes by.
//!
//! Holds no call state. Ports are tied to legs here, because a port outlives its call when the media path is
//! slow to close it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use media::sdp::Credentials;
use media::{LegId, PromptId};
use routing::{CallKey, Decision, Engine, Opening, Policy};

use super::history::History;
use super::ports::PortPool;
use super::site::Site;
use super::terms::Terms;
use super::{Command, ControlSettings, Random, SipCommand, Sounds, Source, StreamId};
use crate::pbx::{Deed, Order, Ticket};

/// What all calls draw from.
pub(super) struct Shared {
    /// What new calls begin with.
    pub(super) terms: Arc<Terms>,
    /// The policies before the last reload, with their sounds.
    pub(super) policies_before: Option<(Arc<[Policy]>, Sounds)>,
    /// What else calls go by that began since that reload.
    pub(super) terms_before: Vec<Weak<Terms>>,
    pub(super) engine: Engine,
    pub(super) ports: PortPool,
    /// Which call a leg belongs to, as long as anything may still be said about it.
    pub(super) owners: BTreeMap<LegId, CallKey>,
    /// Which forked call a stream belongs to.
    pub(super) streams: BTreeMap<StreamId, CallKey>,
    /// Forked calls that are up, by how their senders name them.
    pub(super) forks: BTreeMap<(Source, String), CallKey>,
    /// Which port a leg holds until the media path says that it is closed.
    pub(super) ports_held: BTreeMap<LegId, u16>,
    /// Which call an order is for, until it is answered or the call is gone.
    pub(super) orders: BTreeMap<Ticket, CallKey>,
    /// How callers felt in their last calls.
    pub(super) history: History,
    /// Whether scenarios turn sour.
    pub(super) site: Site,
    random: Random,
    next_leg: u32,
    next_prompt: u32,
    next_ticket: u64,
}

impl Shared {
    pub(super) fn new(
        settings: ControlSettings,
        engine: Engine,
        sounds: Sounds,
        ports: PortPool,
        random: Random,
    ) -> Shared {
        let policies = Arc::clone(engine.policies());
        Shared {
            terms: Arc::new(Terms { settings, policies, sounds }),
            policies_before: None,
            terms_before: Vec::new(),
            engine,
            ports,
            owners: BTreeMap::new(),
            streams: BTreeMap::new(),
            forks: BTreeMap::new(),
            ports_held: BTreeMap::new(),
            orders: BTreeMap::new(),
            history: History::default(),
            site: Site::default(),
            random,
            next_leg: 1,
            next_prompt: 1,
            next_ticket: 1,
        }
    }

    /// Frees the port of a leg that the media path has closed, or could not open.
    pub(super) fn release_port(&mut self, now: Duration, leg: LegId) {
        if let Some(port) = self.ports_held.remove(&leg) {
            self.ports.give_back(now, port);
        }
    }

    /// A number in a range, by chance.
    pub(super) fn random_in(&mut self, range: std::ops::Range<u64>) -> u64 {
        let mut octets = [0; 8];
        (self.random)(&mut octets);
        range.start + u64::from_le_bytes(octets) % (range.end - range.start).max(1)
    }

    /// Keys and passwords for a new leg.
    pub(super) fn new_credentials(&mut self) -> Credentials {
        let mut secret = [0; Credentials::OCTETS];
        (self.random)(&mut secret);
        Credentials::new(secret, self.terms.settings.fingerprint.clone())
    }
}

/// One moment of one call: the time, what the call goes by, what is shared, and where commands go.
pub(super) struct Context<'a> {
    pub(super) now: Duration,
    pub(super) terms: Arc<Terms>,
    pub(super) shared: &'a mut Shared,
    pub(super) out: &'a mut Vec<Command>,
}

impl<'a> Context<'a> {
    /// For a call that begins now.
    pub(super) fn of_newest(now: Duration, shared: &'a mut Shared, out: &'a mut Vec<Command>) -> Context<'a> {
        Context { now, terms: Arc::clone(&shared.terms), shared, out }
    }
}

impl Context<'_> {
    pub(super) fn sip(&mut self, command: SipCommand) {
        self.out.push(Command::Sip(command));
    }

    pub(super) fn media(&mut self, command: media::Command) {
        self.out.push(Command::Media(command));
    }

    /// Copies what a leg's far end says to the listening side, or no longer; nothing where nobody is listened to.
    pub(super) fn tap(&mut self, leg: LegId, on: bool) {
        if self.terms.settings.parties.is_some() {
            self.media(media::Command::Tap { leg, on });
        }
    }

    /// A number for a leg of ours; the top bit is left to the SIP side.
    pub(super) fn new_leg(&mut self) -> LegId {
        let leg = LegId(self.shared.next_leg);
        // 2^31 legs are years of calls; past that the numbers start again, and old legs are long gone.
        self.shared.next_leg = (self.shared.next_leg % (INCOMING_BIT - 1)) + 1;
        leg
    }

    pub(super) fn new_prompt(&mut self) -> PromptId {
        let prompt = PromptId(self.shared.next_prompt);
        self.shared.next_prompt = self.shared.next_prompt.wrapping_add(1);
        prompt
    }

    /// Has somebody outside do something about a call.
    pub(super) fn order(&mut self, call: CallKey, pbx: &str, deed: Deed, within: Duration) -> Ticket {
        let ticket = Ticket(self.shared.next_ticket);
        self.shared.next_ticket += 1;
        self.shared.orders.insert(ticket, call);
        self.out.push(Command::Pbx(Order { ticket, pbx: pbx.to_owned(), deed, within }));
        ticket
    }

    /// Lets the policies that were in force when a call began decide about it from now on.
    pub(super) fn follow(&mut self, call: CallKey, opening: &Opening) {
        self.shared.engine.start(self.now, call, opening, Arc::clone(&self.terms.policies));
        if self.terms.settings.parties.is_none() {
            self.judge(call, &routing::Event::Listened { on: false });
        }
    }

    /// The likelihood of an escalation from which on a call is warned of.
    pub(super) fn warn_at(&self, call: CallKey) -> f32 {
        self.shared.engine.warn_at(call)
    }

    /// Tells the policy engine something about a call; what it decides, in order.
    pub(super) fn judge(&mut self, call: CallKey, event: &routing::Event) -> Vec<Decision> {
        let mut decisions = Vec::new();
        self.shared.engine.handle(self.now, call, event, &mut decisions);
        decisions
    }
}

/// Set in the numbers of incoming legs.
const INCOMING_BIT: u32 = 1 << 31;
