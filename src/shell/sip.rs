//! The SIP side: turns what `rsipstack` says into call control's events, and call control's commands into messages.
//!
//! Decides nothing about calls. Uses the stack's messages, transports and transactions; the dialogs are our own, see
//! `docs/decisions/sip-dialogs.md`.

mod accept;
mod dialog;
mod door;
mod exchange;
mod incoming;
mod leg;
mod message;
mod outgoing;
mod registry;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use media::LegId;
use rsipstack::EndpointBuilder;
use rsipstack::platform::CancellationToken;
use rsipstack::sip::{Method, Uri};
use rsipstack::transaction::Endpoint;
use rsipstack::transaction::endpoint::{EndpointInnerRef, EndpointOption};
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipConnection, TransportLayer};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use self::dialog::Dialog;
use self::door::Door;
use self::leg::{End, Input, Leg, Stage, Waits};
use self::message::Identity;
use self::outgoing::Calling;
use self::registry::Registry;
use crate::control::SipCommand;
use crate::control::{Header, SipEvent};

/// The bit that marks the numbers of incoming legs.
const INCOMING_BIT: u32 = 1 << 31;

/// How long `shutdown` waits for the far ends to take our goodbyes.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(2);

/// Says of a source address whether it may start a dialog with us.
pub type Trust = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// What the SIP side has to know.
#[derive(Clone)]
pub struct SipOptions {
    /// Where to listen, UDP. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address that others reach us at, for Via and Contact, when it is not the one we listen on.
    pub external: Option<IpAddr>,
    /// The User-Agent header's value.
    pub user_agent: String,
    /// Who may call.
    pub trusted: Trust,
}

impl std::fmt::Debug for SipOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { listen, external, user_agent, trusted: _ } = self;
        formatter
            .debug_struct("SipOptions")
            .field("listen", listen)
            .field("external", external)
            .field("user_agent", user_agent)
            .finish_non_exhaustive()
    }
}

/// Why the SIP side could not start.
#[derive(Debug, thiserror::Error)]
pub enum SipError {
    /// The socket could not be opened.
    #[error("cannot listen for SIP on {address}: {reason}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
}

/// The running SIP side.
#[derive(Debug)]
pub struct SipSide {
    shared: Arc<Shared>,
    local: SocketAddr,
    stop: CancellationToken,
}

/// What all legs share.
pub(crate) struct Shared {
    endpoint: EndpointInnerRef,
    identity: Identity,
    trusted: Trust,
    events: mpsc::Sender<SipEvent>,
    legs: Registry,
    runtime: Handle,
    waits: Waits,
    next_incoming: AtomicU32,
    next_reply: AtomicU64,
    draining: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("legs", &self.legs.len()).finish_non_exhaustive()
    }
}

impl SipSide {
    /// Opens the socket and begins to answer. Runs on the current tokio runtime.
    ///
    /// `events` should have room for the events of some hundred legs: while it is full, new calls get 503, and legs
    /// wait with what they have to tell.
    ///
    /// # Errors
    ///
    /// When the socket cannot be opened.
    pub async fn start(options: SipOptions, events: mpsc::Sender<SipEvent>) -> Result<Self, SipError> {
        Self::start_with(options, events, EndpointOption::default(), Waits::default()).await
    }

    /// As `start`, with the stack's timers and our own waits.
    async fn start_with(
        options: SipOptions,
        events: mpsc::Sender<SipEvent>,
        timers: EndpointOption,
        waits: Waits,
    ) -> Result<Self, SipError> {
        let listen_error = |reason: String| SipError::Listen { address: options.listen, reason };
        let socket = tokio::net::UdpSocket::bind(options.listen).await.map_err(|e| listen_error(e.to_string()))?;
        let local = socket.local_addr().map_err(|e| listen_error(e.to_string()))?;
        let external = options.external.map(|ip| SocketAddr::new(ip, local.port()));

        let stop = CancellationToken::new();
        let connection = UdpConnection::from_socket(
            Arc::new(Door::new(socket, options.trusted.clone())),
            external,
            Some(stop.child_token()),
        )
        .await
        .map_err(|e| listen_error(e.to_string()))?;
        let contact = format!("<sip:calmline@{}>", connection.get_addr().addr);
        let transports = TransportLayer::new(stop.child_token());
        transports.add_transport(SipConnection::Udp(connection));
        let endpoint = EndpointBuilder::new()
            .with_user_agent(&options.user_agent)
            .with_transport_layer(transports)
            .with_cancel_token(stop.clone())
            .with_option(timers)
            .build();

        let shared = Arc::new(Shared {
            endpoint: endpoint.inner.clone(),
            identity: Identity { contact, user_agent: options.user_agent },
            trusted: options.trusted,
            events,
            legs: Registry::default(),
            runtime: Handle::current(),
            waits,
            next_incoming: AtomicU32::new(1),
            next_reply: AtomicU64::new(1),
            draining: AtomicBool::new(false),
        });
        serve(endpoint, shared.clone()).map_err(listen_error)?;
        Ok(Self { shared, local, stop })
    }

    /// Carries out a command. Never blocks; commands of one leg keep their order.
    ///
    /// A command for a leg that is over is ignored: its end has been told, or is about to be.
    pub fn handle(&self, command: SipCommand) {
        if let SipCommand::Invite { leg, uri, proxy, from, headers, sdp } = command {
            return self.shared.invite(leg, (&uri, proxy), &from, &headers, &sdp);
        }
        let leg = leg_of(&command);
        let Some(inbox) = self.shared.legs.inbox(leg) else {
            return tracing::debug!(leg = leg.0, ?command, "command for a leg that is over");
        };
        match inbox.try_send(Input::Command(command)) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => tracing::debug!(leg = leg.0, "command for a leg that just ended"),
            Err(TrySendError::Full(input)) => {
                tracing::error!(leg = leg.0, "the leg is stuck, a command has to wait");
                self.shared.runtime.spawn(async move { inbox.send(input).await });
            }
        }
    }

    /// Where we listen.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// How many legs are on.
    pub fn legs(&self) -> usize {
        self.shared.legs.len()
    }

    /// Takes no new calls, hangs up the running ones, waits for that at most two seconds and closes the socket.
    pub async fn shutdown(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
        for inbox in self.shared.legs.all() {
            let _ = inbox.try_send(Input::Shutdown);
        }
        let empty = async {
            while self.shared.legs.len() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(SHUTDOWN_WAIT, empty).await.is_err() {
            tracing::warn!(legs = self.shared.legs.len(), "legs left behind at shutdown");
        }
        self.stop.cancel();
    }
}

impl Drop for SipSide {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts the stack and the task that takes its requests.
fn serve(endpoint: Endpoint, shared: Arc<Shared>) -> Result<(), String> {
    let mut requests = endpoint.incoming_transactions().map_err(|error| error.to_string())?;
    tokio::spawn(async move { endpoint.serve().await });
    tokio::spawn(async move {
        while let Some(transaction) = requests.recv().await {
            accept::accept(&shared, transaction).await;
        }
    });
    Ok(())
}

impl Shared {
    /// Starts an outgoing leg. Its commands are queued from now on.
    fn invite(
        self: &Arc<Self>,
        leg: LegId,
        (uri, proxy): (&str, Option<SocketAddr>),
        from: &str,
        headers: &[Header],
        sdp: &str,
    ) {
        let target = message::is_clean(uri).then(|| Uri::try_from(uri).ok()).flatten();
        let dialog = target.and_then(|target| Dialog::to_target(from, target));
        let Some(mut dialog) = dialog else {
            return self.end(leg, End::Failed(503, "the target or From is no URI".to_owned()));
        };
        let method = Method::Invite;
        let Some(invite) = dialog.request(&self.endpoint, &self.identity, method, headers, Some(sdp)) else {
            return self.end(leg, End::Failed(503, "no address to send from".to_owned()));
        };
        let key = dialog.key();
        let calling = Calling::new(invite, proxy);
        let (task, inbox) = Leg::new(leg, self.clone(), dialog, Stage::Calling(Box::new(calling)));
        if !self.legs.add(leg, key, inbox) {
            return tracing::error!(leg = leg.0, "a leg number was used twice");
        }
        self.supervise(task);
    }

    /// Runs a leg and tells its end, also when it panics.
    fn supervise(self: &Arc<Self>, leg: Leg) {
        let (shared, id) = (self.clone(), leg.id);
        let task = self.runtime.spawn(leg.run());
        self.runtime.spawn(async move {
            let end = task.await.unwrap_or_else(|error| {
                tracing::error!(leg = id.0, %error, "a leg broke");
                End::Ended("internal error".to_owned())
            });
            shared.legs.remove(id);
            let _ = shared.events.send(end.event(id)).await;
        });
    }

    /// Tells the end of a leg that never began.
    fn end(self: &Arc<Self>, leg: LegId, end: End) {
        let shared = self.clone();
        self.runtime.spawn(async move { shared.events.send(end.event(leg)).await });
    }
}

fn leg_of(command: &SipCommand) -> LegId {
    match command {
        SipCommand::Invite { leg, .. }
        | SipCommand::Cancel { leg }
        | SipCommand::Progress { leg, .. }
        | SipCommand::Answer { leg, .. }
        | SipCommand::Reject { leg, .. }
        | SipCommand::Reply { leg, .. }
        | SipCommand::Reinvite { leg, .. }
        | SipCommand::Bye { leg, .. }
        | SipCommand::Refer { leg, .. }
        | SipCommand::Probe { leg } => *leg,
    }
}
