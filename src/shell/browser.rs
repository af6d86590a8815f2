//! Supervisors' browsers, connected by WebRTC: one peer each, which passes Opus between the browser and the media port that
//! call control has for it, over loopback.
//!
//! Decodes nothing and decides nothing: who may be connected is the API's to say, who hears whom call control's. Whatever
//! becomes of a peer, its call does not notice.

mod answer;
mod offer;
mod ours;
mod pace;
mod peer;
mod servers;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use media::LegId;
use tokio::sync::oneshot;
use tracing::warn;

use self::ours::Ours;
use crate::settings::{Settings, Token, WebRtcSettings};
pub use peer::{Peer, PeerError};
pub use servers::IceServer;

/// Ends that are kept for browsers whose admission has not been heard of yet; of more, the oldest are forgotten.
const EARLY_ENDS_MAX: usize = 256;

/// Whoever holds the browsers' connections.
#[derive(Debug, Clone)]
pub struct Browsers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// How browsers are connected; `None`: not at all.
    terms: Option<Terms>,
    /// Ports that no browser has; who has rested longest comes first.
    ports: Mutex<VecDeque<u16>>,
    ends: Mutex<Ends>,
}

/// Whom to tell that a browser takes part no longer.
#[derive(Debug, Default)]
struct Ends {
    waiting: BTreeMap<LegId, oneshot::Sender<String>>,
    /// Those that nobody waits for: call control may end a browser before whoever holds it has heard of its admission.
    early: VecDeque<(LegId, String)>,
}

/// How browsers are connected.
#[derive(Debug)]
struct Terms {
    settings: WebRtcSettings,
    turn_secret: Option<Token>,
    /// How long passwords for TURN servers are good.
    passwords_for: Duration,
    /// Where nothing is sent to.
    ours: Ours,
}

/// The place of one browser: free again when this is dropped.
#[derive(Debug)]
struct Place {
    port: u16,
    shared: Arc<Shared>,
}

/// A browser that call control has let in; forgotten when this is dropped.
#[derive(Debug)]
pub struct Admitted {
    leg: LegId,
    /// Why call control has ended it, once it has.
    pub ended: oneshot::Receiver<String>,
    shared: Arc<Shared>,
}

impl Browsers {
    /// Takes browsers where the settings want them; fetches what TURN servers are asked with.
    ///
    /// # Errors
    /// What is wrong with the secret.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let terms = settings.webrtc.as_ref().map(|webrtc| Terms::of(settings, webrtc)).transpose()?;
        let ports = terms.iter().flat_map(|terms| terms.settings.ports.all()).collect();
        Ok(Self { shared: Arc::new(Shared { terms, ports: Mutex::new(ports), ends: Mutex::default() }) })
    }

    /// Nobody who takes browsers.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { shared: Arc::new(Shared { terms: None, ports: Mutex::default(), ends: Mutex::default() }) }
    }

    /// Whether browsers are connected at all.
    pub fn is_on(&self) -> bool {
        self.shared.terms.is_some()
    }

    /// The servers that browsers find their way by, with passwords that are good for some hours.
    pub fn servers(&self) -> Vec<IceServer> {
        self.shared.terms.as_ref().map(Terms::servers).unwrap_or_default()
    }

    /// A peer that answers a browser's offer. It passes nothing before it is told to.
    ///
    /// # Errors
    /// Why there is none; nothing is left of it then.
    pub async fn answer(&self, offer: &str) -> Result<Peer, PeerError> {
        let terms = self.shared.terms.as_ref().ok_or(PeerError::Off)?;
        let offer = offer::read(offer, &terms.ours).map_err(PeerError::Offer)?;
        let port = self.shared.ports().pop_front().ok_or(PeerError::Full)?;
        let place = Place { port, shared: Arc::clone(&self.shared) };
        let local = SocketAddr::new(terms.settings.address, port);
        Peer::answer(offer, terms, local, place).await
    }

    /// Remembers whom call control has let in; whom it has ended since hears of that at once.
    pub fn admitted(&self, leg: LegId) -> Admitted {
        let (end, ended) = oneshot::channel();
        let mut ends = self.shared.ends();
        match ends.early.iter().position(|(ended, _)| *ended == leg).and_then(|index| ends.early.remove(index)) {
            Some((_, reason)) => drop(end.send(reason)),
            None => drop(ends.waiting.insert(leg, end)),
        }
        Admitted { leg, ended, shared: Arc::clone(&self.shared) }
    }

    /// Call control has ended a browser's part. One that is not known has gone already, or is told once it is admitted.
    pub fn end(&self, leg: LegId, reason: String) {
        let mut ends = self.shared.ends();
        if let Some(end) = ends.waiting.remove(&leg) {
            // Whoever waited may be leaving by itself.
            let _ = end.send(reason);
            return;
        }
        if ends.early.len() == EARLY_ENDS_MAX {
            ends.early.pop_front();
        }
        ends.early.push_back((leg, reason));
    }
}

impl Terms {
    fn of(settings: &Settings, webrtc: &WebRtcSettings) -> Result<Self, String> {
        for server in webrtc.turn.iter().filter(|server| !servers::is_for_us(server)) {
            warn!(server, "only browsers go by this TURN server: the server goes by TURN over UDP alone");
        }
        Ok(Self {
            settings: webrtc.clone(),
            turn_secret: webrtc.turn_secret.as_ref().map(|source| source.fetch()).transpose()?,
            passwords_for: servers::passwords_for(settings.limits.call),
            ours: Ours::of(settings, webrtc),
        })
    }
}

impl Shared {
    fn ports(&self) -> MutexGuard<'_, VecDeque<u16>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.ports().push_back(self.port);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.shared.ends().waiting.remove(&self.leg);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_that_comes_before_the_admission_is_told() {
        let browsers = Browsers::none();
        browsers.end(LegId(7), "the call ended".to_owned());
        let (mut ended, mut other) = (browsers.admitted(LegId(7)), browsers.admitted(LegId(8)));
        assert_eq!((&mut ended.ended).await.as_deref(), Ok("the call ended"));
        browsers.end(LegId(8), "hung up".to_owned());
        assert_eq!((&mut other.ended).await.as_deref(), Ok("hung up"));
        assert!(browsers.shared.ends().early.is_empty());
    }

    #[test]
    fn ends_that_nobody_asks_for_are_bounded() {
        let browsers = Browsers::none();
        for leg in 0..1_000 {
            browsers.end(LegId(leg), String::new());
        }
        let ends = browsers.shared.ends();
        assert_eq!((ends.early.len(), ends.early.back().map(|(leg, _)| *leg)), (EARLY_ENDS_MAX, Some(LegId(999))));
    }
}
