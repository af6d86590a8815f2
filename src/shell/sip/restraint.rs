//! What servers have asked us to keep back: a share of new calls (RFC 7339), or all of them for a time (503 with
//! Retry-After, RFC 3261 §21.5.4, RFC 3263 §4.3). `Restraints` are pure; `Keeper` is what legs ask, by the clock.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Request, Response};

use super::feedback::{self, Feedback, Sequence};
use super::recent::Recent;
use super::transport::Link;
use crate::metrics::Metrics;
use crate::thinning::Thinning;

/// How long a server may keep calls away with one word; what it asks for beyond that is not granted.
pub(super) const ASKED_FOR_MAX: Duration = Duration::from_secs(300);
/// Servers that are remembered.
const SERVERS_MAX: usize = 1_024;

/// What each server has asked for.
#[derive(Debug)]
pub(super) struct Restraints(Recent<SocketAddr, Restraint>);

/// The restraints of all legs.
pub(super) struct Keeper {
    start: Instant,
    restraints: Mutex<Restraints>,
    metrics: Metrics,
}

/// Why a call is kept back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeptBack {
    /// It is one of the share that its server asked to keep back; the word holds until then.
    Share(Duration),
    /// Its server takes no calls until then.
    Closed(Duration),
}

impl KeptBack {
    /// The word for it, in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            KeptBack::Share(_) => "feedback",
            KeptBack::Closed(_) => "retry_after",
        }
    }

    /// When the server may be asked again.
    pub(super) fn until(self) -> Duration {
        match self {
            KeptBack::Share(until) | KeptBack::Closed(until) => until,
        }
    }
}

impl fmt::Display for KeptBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeptBack::Share(_) => "asks for fewer calls",
            KeptBack::Closed(_) => "takes no calls for a while",
        })
    }
}

/// What one server has asked for.
#[derive(Debug, Default)]
struct Restraint {
    kept_back_percent: u8,
    /// Until when that holds.
    until: Duration,
    heard: Option<Sequence>,
    calls: Thinning,
    /// No calls at all before this.
    closed_until: Duration,
}

impl Restraint {
    fn share(&self, now: Duration) -> u8 {
        if now < self.until { self.kept_back_percent } else { 0 }
    }
}

impl Default for Restraints {
    fn default() -> Self {
        Self(Recent::new(SERVERS_MAX))
    }
}

impl Restraints {
    /// Takes a server's word at `now`; the share that is kept back, when it is another one than before.
    pub(super) fn hear(&mut self, now: Duration, server: SocketAddr, feedback: &Feedback) -> Option<u8> {
        // Whoever asks for nothing, and never has, need not be remembered.
        if feedback.validity.is_zero() && self.0.peek(&server).is_none() {
            return None;
        }
        let known = self.0.get_or(&server, Restraint::default);
        if known.heard.is_some_and(|heard| feedback.sequence <= heard) {
            return None;
        }
        let was = known.share(now);
        known.heard = Some(feedback.sequence);
        known.kept_back_percent = feedback.kept_back_percent;
        known.until = now + feedback.validity.min(ASKED_FOR_MAX);
        let is = known.share(now);
        (is != was).then_some(is)
    }

    /// Sends no calls to a server for `time` from `now`, at most for [`ASKED_FOR_MAX`]; that long.
    pub(super) fn close(&mut self, now: Duration, server: SocketAddr, time: Duration) -> Duration {
        let time = time.min(ASKED_FOR_MAX);
        self.0.get_or(&server, Restraint::default).closed_until = now + time;
        time
    }

    /// Whether one more call may go to a server at `now`.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn admit(&mut self, now: Duration, server: SocketAddr) -> Result<(), KeptBack> {
        let Some(known) = self.0.get(&server) else { return Ok(()) };
        if now < known.closed_until {
            return Err(KeptBack::Closed(known.closed_until));
        }
        match known.calls.passes(u32::from(known.share(now))) {
            true => Ok(()),
            false => Err(KeptBack::Share(known.until)),
        }
    }

    /// How many servers ask for something at `now`.
    pub(super) fn active(&self, now: Duration) -> usize {
        self.0.values().filter(|known| known.share(now) > 0 || now < known.closed_until).count()
    }
}

impl Keeper {
    /// With nothing to keep back.
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { start: Instant::now(), restraints: Mutex::default(), metrics }
    }

    /// Whether one more call may go to a server now.
    ///
    /// # Errors
    /// Why not, and for how long that holds.
    pub(super) fn admit(&self, server: SocketAddr) -> Result<(), (KeptBack, Duration)> {
        let now = self.start.elapsed();
        self.restraints().admit(now, server).map_err(|why| {
            self.metrics.count_kept_back(why.name());
            (why, why.until().saturating_sub(now))
        })
    }

    /// Takes what a response to `request` says of the load at the other end of `link`, when that was asked.
    pub(super) fn note(&self, request: &Request, response: &Response, link: &Link) {
        let via_of = |via: rsipstack::Result<&rsipstack::sip::Via>| via.map(|via| via.value().to_owned()).ok();
        if !via_of(request.via_header().map_err(Into::into)).is_some_and(|via| feedback::is_asked(&via)) {
            return;
        }
        let Some(via) = via_of(response.via_header().map_err(Into::into)) else { return };
        let Ok(server) = link.destination.get_socketaddr() else { return };
        match feedback::heard(&via) {
            Ok(Some(word)) => {
                let changed = self.restraints().hear(self.start.elapsed(), server, &word);
                if let Some(percent) = changed {
                    let holds_ms = word.validity.as_millis();
                    tracing::warn!(%server, percent, %holds_ms, "a server asks to keep so many new calls back");
                }
            }
            Ok(None) => {}
            Err(why) => tracing::debug!(%server, why, "a word about load that cannot be read"),
        }
    }

    /// Sends no calls to a server for `time`, as it has asked.
    pub(super) fn close(&self, server: SocketAddr, time: Duration) {
        let time = self.restraints().close(self.start.elapsed(), server, time);
        tracing::warn!(%server, time_s = time.as_secs(), "a server takes no calls for a while");
    }

    /// How many servers ask for something now.
    pub(super) fn active(&self) -> usize {
        self.restraints().active(self.start.elapsed())
    }

    fn restraints(&self) -> MutexGuard<'_, Restraints> {
        self.restraints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
