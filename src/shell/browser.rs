//! Supervisors' browsers, connected by WebRTC: one peer each, which passes Opus between the browser and the media port that
//! call control has for it, over loopback.
//!
//! Decodes nothing and decides nothing: who may be connected is the API's to say, who hears whom call control's. Whatever
//! becomes of a peer, its call does not notice.

mod answer;
mod offer;
mod peer;
mod servers;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::LegId;
use tokio::sync::oneshot;

use crate::settings::{Token, WebRtcSettings};
pub use peer::{Peer, PeerError};
pub use servers::IceServer;

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
    /// Whom to tell that a browser takes part no longer.
    ends: Mutex<BTreeMap<LegId, oneshot::Sender<String>>>,
}

/// How browsers are connected.
#[derive(Debug)]
struct Terms {
    settings: WebRtcSettings,
    turn_secret: Option<Token>,
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
    pub fn new(settings: Option<&WebRtcSettings>) -> Result<Self, String> {
        let terms = settings.map(|settings| {
            let turn_secret = settings.turn_secret.as_ref().map(|source| source.fetch()).transpose()?;
            Ok::<_, String>(Terms { settings: settings.clone(), turn_secret })
        });
        let terms = terms.transpose()?;
        let ports = terms.iter().flat_map(|terms| terms.settings.ports.all()).collect();
        Ok(Self { shared: Arc::new(Shared { terms, ports: Mutex::new(ports), ends: Mutex::default() }) })
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
        let offer = offer::read(offer, terms.settings.address).map_err(PeerError::Offer)?;
        let port = self.shared.ports().pop_front().ok_or(PeerError::Full)?;
        let place = Place { port, shared: Arc::clone(&self.shared) };
        let local = SocketAddr::new(terms.settings.address, port);
        Peer::answer(offer, terms, local, place).await
    }

    /// Remembers whom call control has let in.
    pub fn admitted(&self, leg: LegId) -> Admitted {
        let (end, ended) = oneshot::channel();
        self.shared.ends().insert(leg, end);
        Admitted { leg, ended, shared: Arc::clone(&self.shared) }
    }

    /// Call control has ended a browser's part. One that is not known has gone already.
    pub fn end(&self, leg: LegId, reason: String) {
        if let Some(end) = self.shared.ends().remove(&leg) {
            // Whoever waited may be leaving by itself.
            let _ = end.send(reason);
        }
    }
}

impl Shared {
    fn ports(&self) -> MutexGuard<'_, VecDeque<u16>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> MutexGuard<'_, BTreeMap<LegId, oneshot::Sender<String>>> {
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
        self.shared.ends().remove(&self.leg);
    }
}
