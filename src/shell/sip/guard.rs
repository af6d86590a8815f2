//! Who is believed, how much they may ask, and what scanners hear: nothing, or 403.
//!
//! Every refusal is one line in the log that names the address (docs/OPERATING.md, config/fail2ban), bounded per source.
//! A source belongs to the trunk with the smallest network around it; the trunk says more about it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::digest::{Demand, Judgement, Subject, Verifier};
use super::door::{Kind, Plain, Refusal};
use super::recent::Recent;
use super::transport::{Peer, SipTransport};
use super::trunk::{Trunk, Trunks};
use crate::metrics::Metrics;
use crate::settings::{ClientCertificate, SipSettings, UnknownSources};

/// Source addresses that are remembered.
const SOURCES_MAX: usize = 16_384;
/// Lines about one source: this many at once, then one a second.
const LINES_AT_ONCE: u32 = 10;

/// Why somebody was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Neither trusted nor a trunk.
    UnknownSource,
    /// A trunk, but over another transport than it may.
    Transport,
    /// A trunk without the certificate it has to show.
    Certificate,
    /// A wrong digest.
    Authentication,
    /// More requests than it may send.
    Rate,
    /// Not well formed.
    Malformed,
    /// More connections than it may have.
    Connections,
    /// No TLS or WebSocket came of it.
    Handshake,
    /// A request of ours that came back, or one that has gone too far.
    Loop,
}

impl Refused {
    /// The word for it, in metrics and logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Refused::UnknownSource => "unknown_source",
            Refused::Transport => "transport",
            Refused::Certificate => "certificate",
            Refused::Authentication => "authentication",
            Refused::Rate => "rate",
            Refused::Malformed => "malformed",
            Refused::Connections => "connections",
            Refused::Handshake => "handshake",
            Refused::Loop => "loop",
        }
    }
}

/// What is done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is for the stack.
    Take,
    /// Nobody answers.
    Ignore,
    /// It is answered with this code, without the stack.
    Refuse(u16),
}

/// Who sent a request.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// A trunk, or a trusted source without one.
    Known(Option<Arc<Trunk>>),
    /// Nobody we know, and why.
    Stranger(Refused),
}

/// Believes and refuses.
pub(super) struct Guard {
    settings: SipSettings,
    trunks: Arc<Trunks>,
    metrics: Metrics,
    start: Instant,
    state: Mutex<State>,
}

struct State {
    /// What each known source has left of its requests.
    asked: Recent<IpAddr, Bucket>,
    /// What each source has left of its lines in the log.
    told: Recent<IpAddr, Bucket>,
    verifier: Verifier,
}

impl Guard {
    /// `secret` seals nonces.
    pub(super) fn new(settings: SipSettings, trunks: Arc<Trunks>, metrics: Metrics, secret: &[u8; 32]) -> Self {
        let verifier = Verifier::new(secret);
        let state = State { asked: Recent::new(SOURCES_MAX), told: Recent::new(SOURCES_MAX), verifier };
        Self { settings, trunks, metrics, start: Instant::now(), state: Mutex::new(state) }
    }

    /// The program's figures.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether `source` is trusted or a trunk's.
    pub(super) fn knows(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.settings.trusts(source) || self.is_trunk(source)
    }

    /// Whether `source` is a trunk's.
    pub(super) fn is_trunk(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.trunks.all().any(|trunk| trunk.network_of(source).is_some())
    }

    /// Judges a well-formed message before the stack has it.
    pub(super) fn admit(&self, source: SocketAddr, transport: SipTransport, plain: &Plain) -> Admission {
        // What belongs to a dialog or a transaction is known by its secrets, not by its address.
        let method = match &plain.kind {
            Kind::Response => return Admission::Take,
            Kind::Inside if self.knows(source.ip()) || self.may_ask(source.ip()) => return Admission::Take,
            Kind::Inside => return Admission::Ignore,
            Kind::Begins(method) => method,
        };
        let is_counted = !["ACK", "CANCEL"].contains(&method.as_str());
        if !self.knows(source.ip()) {
            self.note(source, transport, Refused::UnknownSource, Some(method));
            let may_hear = self.settings.unknown_sources == UnknownSources::Forbidden && method != "ACK";
            return if may_hear && self.may_ask(source.ip()) { Admission::Refuse(403) } else { Admission::Ignore };
        }
        if is_counted && !self.may_ask(source.ip()) {
            self.note(source, transport, Refused::Rate, Some(method));
            return Admission::Refuse(503);
        }
        Admission::Take
    }

    /// Notes a request that the door refuses; true when the source may hear so.
    pub(super) fn may_answer(&self, source: SocketAddr, transport: SipTransport, refusal: &Refusal) -> bool {
        self.note_malformed(source, transport, refusal.why);
        self.knows(source.ip()) || self.settings.unknown_sources == UnknownSources::Forbidden
    }

    /// Notes a message that is not well formed.
    pub(super) fn note_malformed(&self, source: SocketAddr, transport: SipTransport, why: &'static str) {
        tracing::debug!(%source, why, "malformed");
        self.note(source, transport, Refused::Malformed, None);
    }

    /// Counts a refusal and writes its line, unless the source has had its share of lines.
    pub(super) fn note(&self, source: SocketAddr, transport: SipTransport, why: Refused, method: Option<&str>) {
        self.metrics.count_sip_refused(why.name());
        let now = self.start.elapsed();
        let mut state = self.state();
        let lines = state.told.get_or(&source.ip(), || Bucket::full(now, LINES_AT_ONCE));
        if lines.take(now, 1, LINES_AT_ONCE) {
            drop(state);
            let (transport, method) = (transport.name(), method.unwrap_or("-"));
            let address = source.ip().to_canonical();
            // This line is a contract with config/fail2ban/filter.d/calmline.conf.
            tracing::warn!(source = %address, port = source.port(), %transport, %method, reason = %why.name(), "refused");
        }
    }

    /// Whose request it is; `user` is who it says it is, when it says so.
    pub(super) fn identify(&self, peer: &Peer, user: Option<&str>) -> Who {
        let source = peer.address.ip().to_canonical();
        let mut near: Vec<_> =
            self.trunks.all().filter_map(|trunk| Some((trunk.network_of(source)?.prefix_len(), trunk))).collect();
        // The smallest network first; of equal ones the trunk that the user is of.
        near.sort_by_key(|(prefix, trunk)| (std::cmp::Reverse(*prefix), !trunk.is_of(user)));
        let mut why = Refused::UnknownSource;
        for (_, trunk) in &near {
            match trunk.fits(peer) {
                Ok(()) => return Who::Known(Some((*trunk).clone())),
                Err(refused) => why = refused,
            }
        }
        if near.is_empty() && self.settings.trusts(source) { Who::Known(None) } else { Who::Stranger(why) }
    }

    /// The values of a new challenge.
    pub(super) fn challenge(&self, demand: Demand<'_>, stale: bool) -> Vec<String> {
        let mut salt = [0; 8];
        // Without random numbers nonces are still told apart by their time.
        let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut salt);
        self.state().verifier.challenge(self.start.elapsed(), demand, u64::from_be_bytes(salt), stale)
    }

    /// Judges credentials.
    pub(super) fn judge(&self, demand: Demand<'_>, subject: Subject<'_>, value: &str) -> Judgement {
        self.state().verifier.judge(self.start.elapsed(), demand, subject, value)
    }

    fn may_ask(&self, source: IpAddr) -> bool {
        let now = self.start.elapsed();
        let per_s = self.trunks.rate_of(source.to_canonical()).unwrap_or(self.settings.requests_per_s);
        self.state().asked.get_or(&source, || Bucket::full(now, per_s)).take(now, per_s, per_s)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trunk {
    /// Whether `peer`, whose address is this trunk's, is it.
    fn fits(&self, peer: &Peer) -> Result<(), Refused> {
        let settings = &self.settings;
        if !settings.transports.is_empty() && !settings.transports.contains(&peer.transport) {
            return Err(Refused::Transport);
        }
        match (settings.client_certificate, &peer.certificate) {
            (ClientCertificate::Off, _) | (ClientCertificate::Optional, None) => Ok(()),
            (ClientCertificate::Required, None) => Err(Refused::Certificate),
            (ClientCertificate::Optional | ClientCertificate::Required, Some(certificate)) => {
                let bears = super::transport::bears_name(certificate, &settings.certificate_names);
                let any = settings.certificate_names.is_empty();
                if any || bears { Ok(()) } else { Err(Refused::Certificate) }
            }
        }
    }
}

/// What somebody has left of something that grows back.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// In millionths.
    left: u64,
    at: Duration,
}

impl Bucket {
    fn full(now: Duration, most: u32) -> Self {
        Self { left: u64::from(most) * 1_000_000, at: now }
    }

    /// Takes one, when there is one.
    fn take(&mut self, now: Duration, per_s: u32, most: u32) -> bool {
        let passed_us = u64::try_from(now.saturating_sub(self.at).as_micros()).unwrap_or(u64::MAX);
        let grown = self.left.saturating_add(passed_us.saturating_mul(u64::from(per_s)));
        self.left = grown.min(u64::from(most) * 1_000_000);
        self.at = now;
        match self.left.checked_sub(1_000_000) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
