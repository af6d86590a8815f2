//! Forked calls that come without SIP: AudioSocket, WebSockets, and RTP to ports that were asked for.
//!
//! A stream carries one voice or two. Streams that name the same call become one; the newest stream of a side counts.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use forks::stream::Voice;
use media::dtmf::Key;
use media::sdp::Formats;
use media::{Codec, Direction, LegId, StreamSettings};
use routing::CallKey;

use super::super::call::{Call, Role};
use super::super::context::{Context, Shared};
use super::super::keys::Way;
use super::super::leg::Farewell;
use super::super::setup::Refusal;
use super::super::{Command, Header};
use super::{Begun, Fork, Link, Routed, Source, abandon, open_party};
use crate::notice::{ForkedParty, What};
use crate::settings::{AudioTerms, RequestView};

/// Names a stream as long as it lives; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// What happens on streams. Every stream that has begun ends once, also after `ForkCommand::End`.
#[derive(Debug, Clone, PartialEq)]
pub enum ForkEvent {
    /// A stream has begun: `ForkCommand::Accept` or `ForkCommand::End` follows.
    Begun {
        /// The stream.
        stream: StreamId,
        /// What it is.
        opening: Box<ForkOpening>,
    },
    /// Something was said of the call.
    Told {
        /// The stream.
        stream: StreamId,
        /// Names and values.
        details: Vec<(String, String)>,
    },
    /// A key was pressed by whoever is in the stream's first channel.
    Key {
        /// The stream.
        stream: StreamId,
        /// The key.
        key: Key,
    },
    /// The stream is over.
    Ended {
        /// The stream.
        stream: StreamId,
        /// Why, in a few words.
        reason: String,
    },
}

/// What a stream is.
#[derive(Debug, Clone, PartialEq)]
pub struct ForkOpening {
    /// In whose words it comes.
    pub source: Source,
    /// What routes match as request-URI, e.g. `audiosocket:40325ec2-5efd-4bd3-805f-53576e581d13`.
    pub uri: String,
    /// How its sender names the call.
    pub call: Option<String>,
    /// Who calls; empty when it is not said.
    pub from: String,
    /// Who is called; empty when it is not said.
    pub to: String,
    /// What its channels carry, one or two.
    pub voices: Vec<Voice>,
    /// How the audio comes as RTP.
    pub codec: Codec,
    /// With which payload type.
    pub payload_type: u8,
    /// Whether its RTP comes from this program itself, over loopback.
    pub local: bool,
    /// Whether sounds can be sent back.
    pub plays: bool,
    /// What else was said of the call.
    pub details: Vec<(String, String)>,
}

/// What whoever holds the streams is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForkCommand {
    /// The stream belongs to a call now.
    Accept {
        /// The stream.
        stream: StreamId,
        /// The call's id.
        call: String,
        /// Where the RTP of each channel goes.
        receivers: Vec<SocketAddr>,
    },
    /// Ends the stream, or does not take it.
    End {
        /// The stream.
        stream: StreamId,
        /// Why.
        reason: String,
    },
}

/// The streams of one call.
#[derive(Debug, Default)]
pub(in super::super) struct Wire {
    /// Whose audio each carries, channel by channel.
    streams: BTreeMap<StreamId, Vec<LegId>>,
    pub(super) from: String,
    to: String,
    /// Whether some stream has carried both voices in one channel.
    pub(super) is_mixed: bool,
    details: BTreeMap<String, String>,
}

impl Wire {
    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    pub(super) fn end(&mut self, context: &mut Context<'_>, reason: &str) {
        for stream in std::mem::take(&mut self.streams).into_keys() {
            context.shared.streams.remove(&stream);
            context.out.push(Command::Fork(ForkCommand::End { stream, reason: reason.to_owned() }));
        }
    }

    fn note(&mut self, opening: &ForkOpening) {
        let ForkOpening { from, to, voices, details, .. } = opening;
        self.is_mixed |= voices.contains(&Voice::Both);
        for (known, said) in [(&mut self.from, from), (&mut self.to, to)] {
            if known.is_empty() {
                known.clone_from(said);
            }
        }
        self.tell(details);
    }

    /// Takes up what was said; later words about the same thing replace earlier ones.
    fn tell(&mut self, details: &[(String, String)]) {
        for (name, value) in details {
            if self.details.len() < DETAILS_MAX || self.details.contains_key(name) {
                self.details.insert(name.clone(), value.clone());
            }
        }
    }

    fn as_notice(&self, source: Source, pbx_call: Option<&String>) -> What {
        let party = |party: &str, address: &String| ForkedParty {
            party: party.to_owned(),
            addresses: vec![address.clone()],
            name: None,
        };
        let known = [("caller", &self.from), ("callee", &self.to)];
        What::CallForked {
            source: source.name().to_owned(),
            again: false,
            pbx_call: pbx_call.cloned(),
            told_by: None,
            parties: known.iter().filter(|(_, a)| !a.is_empty()).map(|(side, a)| party(side, a)).collect(),
            details: self.details.clone().into(),
        }
    }
}

/// The route of a stream.
///
/// # Errors
/// When no route takes it.
pub(in super::super) fn admit(shared: &Shared, opening: &ForkOpening) -> Result<Routed, Refusal> {
    let headers: Vec<(&str, &str)> = opening.details.iter().map(|(name, value)| (&**name, &**value)).collect();
    let view = RequestView { request_uri: &opening.uri, to: &opening.to, from: &opening.from, headers: &headers };
    let settings = &shared.terms.settings;
    let route = settings.routes.find_forked(&view);
    let route = route.ok_or_else(|| Refusal::new(404, "no route takes this forked call"))?;
    Ok(Routed::by(settings, route))
}

impl Call {
    /// Begins a call with its first stream.
    pub(in super::super) fn start_wire(
        context: &mut Context<'_>,
        (key, id): (CallKey, String),
        (stream, opening): (StreamId, &ForkOpening),
        Routed { name: route, scenario, remembers }: Routed,
    ) -> Result<Call, Refusal> {
        let bind = bind(opening);
        let audio = AudioTerms::default();
        let caller = open_party(context, key, "caller", audio.clone(), formats(opening), bind)?;
        let far = if opening.voices.contains(&Voice::Callee) {
            match open_party(context, key, "callee", audio, formats(opening), bind) {
                Ok(far) => Some(far),
                Err(refusal) => {
                    abandon(context, caller);
                    return Err(refusal);
                }
            }
        } else {
            None
        };
        let passed = opening.details.iter().map(|(name, value)| Header { name: name.clone(), value: value.clone() });
        let begun = Begun {
            key,
            id,
            from: opening.from.clone(),
            to: opening.to.clone(),
            route,
            scenario: scenario.clone(),
            passed: passed.collect(),
            fork: Fork::new(opening.source, opening.call.clone(), Link::Wire(Wire::default()), remembers),
            caller,
            far,
        };
        let mut call = Call::forked(context, begun);
        call.fork_confirmed();
        call.attach(context, stream, opening);
        context.follow(call.key, &call.opening(context.now, &scenario));
        Ok(call)
    }

    /// Another stream of the same call.
    pub(in super::super) fn join(&mut self, context: &mut Context<'_>, stream: StreamId, opening: &ForkOpening) {
        if self.far.is_none() && opening.voices.contains(&Voice::Callee) {
            let far = open_party(context, self.key, "callee", AudioTerms::default(), formats(opening), bind(opening));
            match far {
                Ok(far) => self.far = Some(far),
                Err(Refusal { reason, .. }) => {
                    return context.out.push(Command::Fork(ForkCommand::End { stream, reason }));
                }
            }
        }
        self.attach(context, stream, opening);
        self.forked_again();
    }

    fn attach(&mut self, context: &mut Context<'_>, stream: StreamId, opening: &ForkOpening) {
        let (Some(fork), far) = (&mut self.fork, &mut self.far) else { return };
        let Link::Wire(wire) = &mut fork.link else { return };
        let direction = if opening.plays { Direction::SendRecv } else { Direction::RecvOnly };
        let settings = StreamSettings { direction, ..StreamSettings::plain(None, opening.codec, opening.payload_type) };
        let (mut legs, mut receivers) = (Vec::new(), Vec::new());
        for voice in &opening.voices {
            let leg = match (voice, &mut *far) {
                (Voice::Callee, Some(far)) => far,
                (Voice::Callee, None) | (Voice::Caller | Voice::Both, _) => &mut self.caller,
            };
            leg.silent_since = None;
            leg.configure(context, settings.clone());
            legs.push(leg.id);
            receivers.push(SocketAddr::new(leg.local.address, leg.local.port));
        }

        let taken = |before: &Vec<LegId>| before.iter().any(|leg| legs.contains(leg));
        let replaced: Vec<StreamId> =
            wire.streams.extract_if(.., |_, before| taken(before)).map(|(id, _)| id).collect();
        for stream in replaced {
            context.shared.streams.remove(&stream);
            let reason = "another stream has taken its place".to_owned();
            context.out.push(Command::Fork(ForkCommand::End { stream, reason }));
        }
        wire.streams.insert(stream, legs);
        wire.note(opening);
        let told = wire.as_notice(fork.source, fork.pbx_call.as_ref());
        context.shared.streams.insert(stream, self.key);
        context.out.push(Command::Fork(ForkCommand::Accept { stream, call: self.id.clone(), receivers }));
        self.tap_parties(context);
        self.tell_fork(context, told);
    }

    /// Something on a stream of this call.
    pub(in super::super) fn wire_event(&mut self, context: &mut Context<'_>, event: ForkEvent) {
        let Some(fork) = &mut self.fork else { return };
        let Link::Wire(wire) = &mut fork.link else { return };
        match event {
            ForkEvent::Begun { .. } => {}
            ForkEvent::Told { details, .. } => {
                wire.tell(&details);
                let told = wire.as_notice(fork.source, fork.pbx_call.as_ref());
                self.tell_fork(context, told);
            }
            ForkEvent::Key { stream, key } => {
                if let Some(leg) = wire.streams.get(&stream).and_then(|legs| legs.first()).copied() {
                    self.pressed(context, leg, key, Way::Event);
                }
            }
            ForkEvent::Ended { stream, reason } => {
                context.shared.streams.remove(&stream);
                let legs = wire.streams.remove(&stream).unwrap_or_default();
                if wire.is_empty() {
                    return self.caller_gone(context, &reason);
                }
                legs.into_iter().for_each(|leg| self.detach(context, leg));
            }
        }
    }

    /// The stream of a party is over, but another one goes on.
    fn detach(&mut self, context: &mut Context<'_>, leg: LegId) {
        match self.role(leg) {
            Some(Role::Far) => {
                if let Some(far) = self.far.take() {
                    self.dismiss(context, far, Farewell { code: 480, reason: "its stream ended" });
                }
            }
            Some(Role::Caller) => {
                if let Some(settings) = self.caller.settings.clone() {
                    let settings = StreamSettings { direction: Direction::Inactive, ..settings };
                    self.caller.configure(context, settings);
                }
            }
            Some(Role::Next | Role::Supervisor | Role::Leaving) | None => {}
        }
    }
}

/// Where the parties' ports are, when that is not where all are.
fn bind(opening: &ForkOpening) -> Option<IpAddr> {
    opening.local.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn formats(opening: &ForkOpening) -> Formats {
    Formats { codecs: vec![(opening.codec, opening.payload_type)], ..Formats::default() }
}

/// The most details that are kept of one call.
const DETAILS_MAX: usize = 64;
