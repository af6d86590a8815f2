//! What is asked for over the API before a copy comes: RTP ports for ARI's externalMedia, and ids for AudioSocket, so that
//! the two voices of one call find each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use forks::audiosocket::Uuid;
use forks::stream::Voice;
use media::Codec;
use tokio::time::timeout;

use super::{ForkSide, Held, Shared};
use crate::control::{ForkCommand, ForkOpening, Source};

/// Ids that are remembered until their connections come.
const ANNOUNCED_MAX: usize = 1_000;
/// How long an id is remembered.
const ANNOUNCED_FOR: Duration = Duration::from_secs(60);
/// How long call control may take.
const ACCEPT_WAIT: Duration = Duration::from_secs(5);

/// A call whose RTP somebody wants to send us.
#[derive(Debug, Clone)]
pub struct PortsWanted {
    /// How the asker names the call.
    pub call: Option<String>,
    /// Who calls.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// Whose voices come, a port for each.
    pub voices: Vec<Voice>,
    /// In which codec.
    pub codec: Codec,
    /// With which payload type.
    pub payload_type: u8,
    /// What else is said of the call.
    pub details: Vec<(String, String)>,
}

/// Where the RTP goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpPorts {
    /// The call's id.
    pub call: String,
    /// One per voice that was asked for.
    pub receivers: Vec<SocketAddr>,
}

/// Why there are no ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortsError {
    /// As many streams as there may be.
    #[error("too many streams")]
    Full,
    /// Call control did not take it.
    #[error("{0}")]
    Refused(String),
    /// Call control has not answered.
    #[error("no answer in time")]
    TooSlow,
}

/// What is known of a call whose AudioSocket connection is to come.
#[derive(Debug, Clone)]
pub(super) struct Announced {
    pub(super) call: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) voice: Voice,
    until: Duration,
}

/// Ids that have been given out.
#[derive(Debug, Default)]
pub(super) struct Announcements(Mutex<BTreeMap<[u8; 16], Announced>>);

impl ForkSide {
    /// Begins a call whose RTP comes to ports of ours, and says which.
    ///
    /// # Errors
    /// When the call is not taken.
    pub async fn open_ports(&self, wanted: PortsWanted) -> Result<RtpPorts, PortsError> {
        let mut held = self.shared.open().ok_or(PortsError::Full)?;
        let PortsWanted { call, from, to, voices, codec, payload_type, details } = wanted;
        let uri = "rtp:api".to_owned();
        let (source, local, plays) = (Source::Rtp, false, false);
        let opening = ForkOpening { source, uri, call, from, to, voices, codec, payload_type, local, plays, details };
        held.begin(Box::new(opening)).await;
        match timeout(ACCEPT_WAIT, held.orders.recv()).await {
            Ok(Some(ForkCommand::Accept { call, receivers, .. })) => {
                tokio::spawn(hold(held));
                Ok(RtpPorts { call, receivers })
            }
            Ok(Some(ForkCommand::End { reason, .. })) => {
                held.end(reason.clone()).await;
                Err(PortsError::Refused(reason))
            }
            Ok(None) | Err(_) => {
                held.end("no answer in time".to_owned()).await;
                Err(PortsError::TooSlow)
            }
        }
    }

    /// An id by which an AudioSocket connection of this call is known; `None` when too many are awaited.
    pub fn announce(&self, call: &str, from: &str, to: &str, voice: Voice) -> Option<Uuid> {
        let mut octets = [0; 16];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut octets).ok()?;
        let now = self.shared.clock.now();
        let mut all = self.shared.announcements.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, announced| announced.until > now);
        let (call, from, to, until) = (call.to_owned(), from.to_owned(), to.to_owned(), now + ANNOUNCED_FOR);
        (all.len() < ANNOUNCED_MAX).then(|| {
            all.insert(octets, Announced { call, from, to, voice, until });
            Uuid(octets)
        })
    }
}

impl Shared {
    /// What was said of an id, once.
    pub(super) fn announced(&self, id: Uuid) -> Option<Announced> {
        let now = self.clock.now();
        let mut all = self.announcements.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&id.0).filter(|announced| announced.until > now)
    }
}

/// The call goes on until call control ends it: RTP has no end of its own.
async fn hold(mut held: Held) {
    let stop = held.shared.stop.clone();
    let reason = loop {
        tokio::select! {
            order = held.orders.recv() => match order {
                Some(ForkCommand::Accept { .. }) => {}
                Some(ForkCommand::End { reason, .. }) => break reason,
                None => break "the server stops".to_owned(),
            },
            () = stop.cancelled() => break "the server stops".to_owned(),
        }
    };
    held.end(reason).await;
}
