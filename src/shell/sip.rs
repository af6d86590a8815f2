//! The SIP side: turns what `rsipstack` says into call control's events, and call control's commands into messages.
//!
//! Decides nothing about calls. Uses the stack's messages, transports and transactions; the dialogs are our own, see
//! `docs/decisions/sip-dialogs.md`.

mod accept;
mod astray;
mod dialog;
mod digest;
mod door;
mod exchange;
mod feedback;
mod guard;
mod incoming;
mod late;
mod leg;
mod message;
mod outgoing;
mod recent;
mod referral;
mod registry;
mod reliable;
mod resolve;
mod restraint;
mod running;
mod stamp;
#[cfg(test)]
pub(crate) mod tests;
pub mod trace;
mod transport;
mod trunk;
mod uri;
mod vouch;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use media::LegId;
use rsipstack::EndpointBuilder;
use rsipstack::platform::CancellationToken;
use rsipstack::sip::Method;
use rsipstack::transaction::Transaction;
use rsipstack::transaction::endpoint::{EndpointInnerRef, EndpointOption};
use rsipstack::transport::TransportLayer;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

pub use self::message::may_set;

use self::astray::{Lookout, Strays};
use self::dialog::Dialog;
pub use self::digest::Algorithm;
use self::feedback::Teller;
use self::guard::Guard;
use self::late::Late;
use self::leg::{End, Input, Leg, Stage, Waits};
use self::message::Identity;
use self::outgoing::Calling;
use self::registry::Registry;
use self::resolve::{Locator, Names, Router};
use self::restraint::Keeper;
use self::stamp::Stamper;
use self::trace::Trace;
pub use self::transport::SipTransport;
use self::transport::Transports;
pub(crate) use self::transport::{TlsFiles, client_by};
pub use self::trunk::{FreshTrunks, Health, PastTrunks, TrunkReport};
use self::trunk::{Trunk, Trunks};
use crate::control::{SipCommand, SipEvent};
use crate::metrics::Metrics;
use crate::settings::{SipSettings, TlsSettings, TrunkSettings};

/// The bit that marks the numbers of incoming legs.
const INCOMING_BIT: u32 = 1 << 31;

/// How long `shutdown` waits for the far ends to take our goodbyes.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(2);

/// How long goodbyes to registrars may take.
const UNREGISTER_WAIT: Duration = Duration::from_secs(1);

/// What the SIP side has to know.
#[derive(Debug, Clone)]
pub struct SipOptions {
    /// Where and how SIP is spoken. A listener with port 0 takes a free one.
    pub settings: SipSettings,
    /// The neighbours.
    pub trunks: BTreeMap<String, TrunkSettings>,
    /// Where is counted.
    pub metrics: Metrics,
    /// Who follows messages, where anybody does.
    pub trace: Option<Arc<Trace>>,
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
    /// A password is not to be had.
    #[error("the password of trunk {trunk}: {reason}")]
    Password {
        /// The trunk.
        trunk: String,
        /// What was found instead.
        reason: String,
    },
    /// The certificates cannot be used.
    #[error("certificates: {0}")]
    Tls(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// The running SIP side.
#[derive(Debug)]
pub struct SipSide {
    shared: Arc<Shared>,
    stop: CancellationToken,
    broken: CancellationToken,
}

/// What all legs share.
pub(crate) struct Shared {
    endpoint: EndpointInnerRef,
    transports: Arc<Transports>,
    router: Arc<Router>,
    trunks: Arc<Trunks>,
    keeper: Keeper,
    teller: Teller,
    stop: CancellationToken,
    events: mpsc::Sender<SipEvent>,
    legs: Registry,
    late: Arc<Late>,
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
        let stop = CancellationToken::new();
        let trunks = Arc::new(Trunks::new(FreshTrunks::read(&options.trunks)?));
        let (metrics, trace) = (options.metrics.clone(), options.trace);
        let transports = open(options.settings, (&trunks, metrics), trace.clone(), &stop).await?;
        let keeper = Keeper::new(options.metrics.clone());
        let names = Names::new(&transports.settings.dns, options.metrics);
        let router = Arc::new(Router::new(transports.clone(), names));
        let (teller, strays) = (Teller::new(transports.guard.clone()), Strays::new());

        let layer = TransportLayer::new(stop.child_token());
        if let Some(udp) = transports.udp() {
            layer.add_transport(udp);
        }
        let endpoint = EndpointBuilder::new()
            .with_user_agent(&transports.settings.user_agent)
            .with_transport_layer(layer)
            .with_target_locator(Box::new(Locator(router.clone(), strays.clone())))
            .with_inspector(Box::new(Lookout { strays, teller: teller.clone() }))
            .with_cancel_token(stop.clone())
            .with_option(timers)
            .build();
        transports.serve(&endpoint.inner).await;

        let shared = Arc::new(Shared {
            endpoint: endpoint.inner.clone(),
            transports,
            router,
            trunks,
            keeper,
            teller,
            stop: stop.clone(),
            events,
            legs: Registry::new(trace),
            late: Arc::default(),
            runtime: Handle::current(),
            waits,
            next_incoming: AtomicU32::new(1),
            next_reply: AtomicU64::new(1),
            draining: AtomicBool::new(false),
        });
        let failed = |reason: String| SipError::Listen { address: shared.transports.settings.listen(), reason };
        let broken = running::begin(endpoint, shared.clone()).map_err(failed)?;
        shared.transports.take_connections();
        for trunk in shared.trunks.now().all() {
            shared.watch_trunk(trunk);
        }
        Ok(Self { shared, stop, broken })
    }

    /// Carries out a command. Never blocks; commands of one leg keep their order.
    ///
    /// A command for a leg that is over is ignored: its end has been told, or is about to be.
    pub fn handle(&self, command: SipCommand) {
        if matches!(command, SipCommand::Invite { .. }) {
            return self.shared.invite(command);
        }
        let leg = leg_of(&command);
        let Some(inbox) = self.shared.legs.inbox(leg) else {
            return tracing::debug!(leg = leg.0, ?command, "command for a leg that is over");
        };
        self.shared.late.send(&self.shared.runtime, leg, &inbox, Input::Command(command));
    }

    /// Goes by other settings and trunks from now on, where `settings` is the same as at the start but for who is
    /// believed and how much everybody may ask. Calls that are up stay up.
    ///
    /// A trunk that has gone is asked no more, and its registration given back, before new ones register; one that has
    /// not changed does not notice.
    pub fn exchange(&self, settings: SipSettings, fresh: FreshTrunks) -> PastTrunks {
        self.shared.guard().exchange(settings);
        let (come, gone) = self.shared.trunks.exchange(fresh);
        for trunk in &gone {
            trunk.leave();
        }
        let (shared, past) = (self.shared.clone(), PastTrunks::new(gone.clone()));
        self.shared.runtime.spawn(async move {
            // A goodbye that comes late would take back what a new trunk has registered.
            farewell(&gone).await;
            for trunk in &come {
                shared.watch_trunk(trunk);
            }
        });
        past
    }

    /// Cancelled when SIP has ended by itself, which only a new process mends.
    pub fn broken(&self) -> CancellationToken {
        self.broken.clone()
    }

    /// Where we listen first.
    pub fn local_addr(&self) -> SocketAddr {
        self.bound().first().map_or(self.shared.transports.settings.listen(), |(_, address)| *address)
    }

    /// Where we listen, in the order of the settings.
    pub fn bound(&self) -> &[(SipTransport, SocketAddr)] {
        self.shared.transports.bound()
    }

    /// How the trunks are.
    pub fn trunks(&self) -> Vec<TrunkReport> {
        self.shared.trunks.now().all().map(|trunk| trunk.report()).collect()
    }

    /// Tells neighbours that ask (RFC 7339) what share of new calls is refused now, in percent.
    pub fn tell_load(&self, refused_percent: u32) {
        self.shared.teller.measure(refused_percent);
    }

    /// How many servers have asked us for fewer calls, or none for a while.
    pub fn servers_restrained(&self) -> usize {
        self.shared.keeper.active()
    }

    /// How many connections are up.
    pub fn connections(&self) -> usize {
        self.shared.transports.connections()
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
        let trunks: Vec<Arc<Trunk>> = self.shared.trunks.now().all().cloned().collect();
        for trunk in &trunks {
            trunk.leave();
        }
        farewell(&trunks).await;
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

/// Waits until registrars have been told that we go. Registrations end by themselves when nobody takes the goodbye.
async fn farewell(trunks: &[Arc<Trunk>]) {
    let all = futures::future::join_all(trunks.iter().map(|trunk| trunk.gone()));
    let _ = tokio::time::timeout(UNREGISTER_WAIT, all).await;
}

/// Reads the files of certificates as the SIP side would.
///
/// # Errors
/// Which file is wrong, and why.
pub fn check_certificates(settings: &TlsSettings) -> Result<(), SipError> {
    TlsFiles::read(Some(settings.clone())).map(|_| ()).map_err(|error| SipError::Tls(error.to_string()))
}

/// Opens the sockets.
async fn open(
    settings: SipSettings,
    (trunks, metrics): (&Arc<Trunks>, Metrics),
    trace: Option<Arc<Trace>>,
    stop: &CancellationToken,
) -> Result<Arc<Transports>, SipError> {
    let mut secrets = [[0; 32]; 2];
    for secret in &mut secrets {
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), secret).map_err(|_| SipError::Random)?;
    }
    let guard = Arc::new(Guard::new(settings.clone(), trunks.clone(), metrics, &secrets[0]));
    let tls = TlsFiles::read(settings.tls.clone()).map_err(|error| SipError::Tls(error.to_string()))?;
    transport::bind(settings, (guard, Stamper::new(&secrets[1]), Arc::new(tls)), trace, stop.clone()).await
}

impl Shared {
    /// Starts an outgoing leg. Its commands are queued from now on.
    fn invite(self: &Arc<Self>, command: SipCommand) {
        let SipCommand::Invite { leg, uri, proxy, trunk, hops_left, from, headers, sdp } = command else { return };
        let target = message::is_clean(&uri).then(|| uri::read(&uri)).flatten();
        let dialog = target.and_then(|target| Dialog::to_target(&from, target));
        let Some(mut dialog) = dialog.map(|dialog| dialog.with_hops(hops_left)) else {
            return self.end(leg, End::Failed(503, "the target or From is no URI".to_owned()));
        };
        let invite = dialog.request(self.user_agent(), Method::Invite, &headers, Some(&sdp));
        let key = dialog.key();
        let calling = Calling::new(invite, proxy);
        let (mut task, inbox) = Leg::new(leg, self.clone(), dialog, Stage::Calling(Box::new(calling)));
        if let Some(name) = trunk {
            task.trunk = self.trunks.now().named(&name);
            if task.trunk.is_none() {
                return self.end(leg, End::Failed(503, format!("there is no trunk {name}")));
            }
        }
        if self.legs.add(leg, key, None, inbox).is_err() {
            return tracing::error!(leg = leg.0, "a leg number was used twice");
        }
        self.supervise(task);
    }

    /// The User-Agent header's value.
    fn user_agent(&self) -> &str {
        &self.transports.settings.user_agent
    }

    fn guard(&self) -> &Guard {
        &self.transports.guard
    }

    fn metrics(&self) -> &Metrics {
        self.guard().metrics()
    }

    /// Who we are to whoever sent a request.
    fn identity(&self, transaction: &Transaction) -> Identity {
        let link = self.transports.link_back(transaction);
        let contact = link.map_or_else(String::new, |link| stamp::contact(&link));
        Identity { contact, user_agent: self.user_agent().to_owned() }
    }

    /// Begins to ask a trunk for signs of life, and to register.
    fn watch_trunk(self: &Arc<Self>, trunk: &Arc<Trunk>) {
        let Some(uri) = trunk.uri() else { return };
        if let Some(every) = trunk.settings.health {
            self.runtime.spawn(trunk::watch(self.clone(), trunk.clone(), uri.clone(), every));
        }
        if let Some(wanted) = trunk.settings.register.clone() {
            self.runtime.spawn(trunk::register(self.clone(), trunk.clone(), uri, wanted));
        }
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

/// The leg that a command is about.
pub(crate) fn leg_of(command: &SipCommand) -> LegId {
    match command {
        SipCommand::Invite { leg, .. }
        | SipCommand::Cancel { leg }
        | SipCommand::Progress { leg, .. }
        | SipCommand::Answer { leg, .. }
        | SipCommand::Reject { leg, .. }
        | SipCommand::Reply { leg, .. }
        | SipCommand::Reinvite { leg, .. }
        | SipCommand::Update { leg, .. }
        | SipCommand::Bye { leg, .. }
        | SipCommand::Refer { leg, .. }
        | SipCommand::TellReferrer { leg, .. }
        | SipCommand::Inform { leg, .. }
        | SipCommand::Redirect { leg, .. }
        | SipCommand::Leave { leg }
        | SipCommand::Probe { leg } => *leg,
    }
}
