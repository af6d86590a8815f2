//! The HTTP API: calls, orders, live audio, events, health, metrics.
//!
//! Decides nothing: it shows the board and hands orders to call control. No door without the token or a session, except health,
//! the console's files and its sign-in.

mod accounts;
mod addresses;
mod adopting;
mod alerts;
mod audio;
mod audit;
mod auth;
mod backup;
mod board;
mod bus;
mod calls;
mod capture;
mod channel;
mod consent;
mod console;
mod deliveries;
mod denials;
mod elsewhere;
mod etag;
mod events;
mod everywhere;
mod exports;
mod facts;
mod forks;
mod forward;
mod health;
mod interactions;
mod keys;
mod knowledge;
mod libraries;
mod limits;
mod live;
mod log;
mod models;
mod moment;
mod moves;
mod node;
mod oidc;
mod openapi;
mod orders;
mod outcomes;
mod own;
mod password;
mod people;
mod permit;
mod playback;
mod policies;
mod problem;
mod query;
mod readiness;
mod record;
mod recordings;
mod reload;
mod reports;
mod routes;
mod scope;
mod seats;
mod server;
mod sessions;
mod shared;
mod signing;
mod sources;
mod trial;
mod users;
mod wall;
mod webrtc;
mod whole;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::log::Log;
use crate::metrics::Metrics;
use crate::settings::TlsSettings;
use crate::shell::advise::SharedShelf;
use crate::shell::browser::Browsers;
use crate::shell::capture::Captures;
use crate::shell::copy::Copies;
use crate::shell::crm::Outbox;
use crate::shell::escalate::Escalating;
use crate::shell::fork::ForkSide;
use crate::shell::inherited;
use crate::shell::listen::Bench;
use crate::shell::nats::Carrier;
use crate::shell::recordings::Recordings;
use crate::shell::reels::Reels;
use crate::sources::Customers;
use crate::store::Store;
use accounts::Accounts;
pub use audio::AUDIO_CLIENTS_MAX;
pub use board::{ACTIVE_MAX, Board, ENDED_MAX};
pub use bus::{Bus, Delivery, Event, KINDS, RING_MAX, Subscription, ToldCall, kind};
pub use channel::order_in;
pub use facts::facts_in;
pub use interactions::opening_in;
pub use live::{LiveOptions, TenantToken};
pub use moment::Moment;
pub use orders::Asked;
use policies::InForce;
pub use policies::KeptPolicies;
pub use readiness::{Component, Readiness};
pub use record::{
    Alert, AudioClient, Because, CallRecord, Decision, EVENTS_MAX, Escalated, Fork, Handled, Late, OUTCOMES_MAX, Peak,
    Prompt, PromptOutcome, Reply, Reroute, RerouteOutcome, State, Step, Summary, Supervisor, SupervisorState,
    TIMELINE_MAX, TimedNotice,
};
pub use recordings::RECORDING_BYTES_MAX;
pub use reload::{ReloadAsked, Reloaded};
pub use scope::Place;
use seats::Seats;
use signing::Signed;
pub use wall::WALLS_MAX;

/// Where the API listens unless the configuration says otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8_080);
/// Most event subscribers, walls aside, at the same time; further ones get 503, as does whoever has as many as are left.
pub const SUBSCRIBERS_MAX: usize = 64;
/// Most agents who are told of their own calls at the same time, likewise.
pub const OWN_FEEDS_MAX: usize = 512;
/// Searches of the library of answers at the same time; further ones wait.
const SEARCHES_MAX: usize = 2;
/// Most chats that have a WebSocket of their own at the same time; further ones get 503.
pub const CHANNELS_MAX: usize = 256;

/// How the API is offered.
#[derive(Debug, Clone)]
pub struct WebOptions {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Our certificate and its key; `None`: no TLS.
    pub tls: Option<TlsSettings>,
    /// What can be exchanged later.
    pub live: LiveOptions,
    /// The policies' files that are in force, by name.
    pub policies: BTreeMap<String, String>,
}

/// What the API shows and gives to others.
pub struct Inside {
    /// What is told of calls.
    pub bus: Arc<Bus>,
    /// Where orders go.
    pub orders: mpsc::Sender<Asked>,
    /// Who reads the configuration again.
    pub reloads: mpsc::Sender<ReloadAsked>,
    /// Where live audio comes from.
    pub copies: Copies,
    /// Who captures calls, where that may be.
    pub captures: Option<Captures>,
    /// Who connects supervisors' browsers.
    pub browsers: Browsers,
    /// Where forked calls come in.
    pub forks: ForkSide,
    /// Who listens to recordings.
    pub recordings: Recordings,
    /// What answers customers' questions.
    pub shelf: SharedShelf,
    /// What is known of people who call.
    pub customers: Customers,
    /// Alerts that wait for a reaction.
    pub escalating: Escalating,
    /// The models that judge.
    pub bench: Arc<Bench>,
    /// What works.
    pub readiness: Arc<Readiness>,
    /// The figures.
    pub metrics: Metrics,
    /// How much is logged.
    pub log: Arc<Log>,
    /// What is kept of calls, where anything is.
    pub store: Option<Store>,
    /// Who keeps audio, where anything is kept.
    pub reels: Option<Reels>,
    /// What systems outside are told, where any are.
    pub outbox: Option<Outbox>,
    /// What carries requests from node to node, where there is a bus.
    pub carrier: Option<Carrier>,
}

/// Why the API cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The certificate or its key cannot be used.
    #[error("web.tls: {0}")]
    Certificate(String),
    /// The address cannot be bound.
    #[error("cannot listen on {listen}: {source}")]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A running API. It ends when `close` is called or this is dropped.
pub struct WebHandle {
    /// Where it listens.
    pub addr: SocketAddr,
    closing: CancellationToken,
    accounts: Arc<Accounts>,
    in_force: Arc<InForce>,
    signed: Signed,
    task: JoinHandle<()>,
}

impl WebHandle {
    /// Exchanges what can be exchanged. Whoever is connected stays so, whatever token let them in, but for people who are
    /// something else now, or nobody: what they have open ends.
    ///
    /// # Errors
    /// The system gives no random numbers; then nothing is exchanged.
    pub fn exchange(&self, options: LiveOptions) -> Result<(), WebError> {
        self.accounts.exchange(options)?;
        self.signed.look(&self.accounts.live().load());
        Ok(())
    }

    /// The policies before those in force are in force again.
    pub fn went_back(&self) {
        self.in_force.went_back();
    }

    /// Other policies are in force, by the names of their files. By itself, since a step back exchanges nothing else.
    pub fn took_policies(&self, texts: BTreeMap<String, String>) {
        self.in_force.took(texts);
    }

    /// Takes no new requests, ends event streams, lets running requests finish (at most 5 s), then returns.
    pub async fn close(mut self) {
        self.finish().await;
    }

    async fn finish(&mut self) {
        self.closing.cancel();
        // The task only waits for what it bounds itself; an error would mean it panicked, and then it is over too.
        let _ = (&mut self.task).await;
    }
}

impl Drop for WebHandle {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

/// Offers the API. Must be called inside a tokio runtime.
///
/// # Errors
/// The address cannot be bound, the certificate cannot be used, or the system gives no random numbers.
pub async fn serve(options: WebOptions, inside: Inside) -> Result<WebHandle, WebError> {
    let WebOptions { listen, tls, live, policies } = options;
    let tls = tls.map(|tls| server::certificate(tls).map_err(WebError::Certificate)).transpose()?;
    let in_force = Arc::new(InForce::new(policies));
    let accounts = Arc::new(Accounts::new(live)?);
    let bind_error = |source| WebError::Bind { listen, source };
    let listener = match inherited::listener(listen) {
        Some(given) => TcpListener::from_std(given),
        None => TcpListener::bind(listen).await,
    };
    let listener = listener.map_err(bind_error)?;
    let addr = listener.local_addr().map_err(bind_error)?;
    if !addr.ip().is_loopback() && tls.is_none() {
        tracing::warn!(%addr, "the API is offered beyond this machine, without TLS");
    }
    node::begin();
    let (closing, deeds) = (CancellationToken::new(), TaskTracker::new());
    let signed = Signed::new().map_err(|_| WebError::Random)?;
    let denials = Arc::new(denials::Denials::new(inside.store.clone()));
    let app = routes::App {
        inside: Arc::new(inside),
        live: Arc::clone(accounts.live()),
        accounts: Arc::clone(&accounts),
        in_force: Arc::clone(&in_force),
        signed: signed.clone(),
        signing_in: oidc::SigningIn::default(),
        limits: Arc::new(limits::Limits::new()),
        denials: Arc::clone(&denials),
        permissions: Arc::default(),
        replacing: libraries::Replacing::default(),
        shared: Arc::default(),
        searching: Arc::new(Semaphore::new(SEARCHES_MAX)),
        subscribers: Seats::new(SUBSCRIBERS_MAX, "event subscribers"),
        own_feeds: Seats::new(OWN_FEEDS_MAX, "agents who are told of their calls"),
        channels: Seats::new(CHANNELS_MAX, "channels at a time"),
        walls: Seats::new(WALLS_MAX, "walls"),
        uploads: Arc::new(Semaphore::new(recordings::UPLOADS_MAX)),
        listeners: Seats::new(AUDIO_CLIENTS_MAX, "clients of live audio"),
        players: Seats::new(playback::PLAYERS_MAX, "players"),
        closing: closing.clone(),
        deeds: deeds.clone(),
    };
    tokio::spawn(signed.clone().sweep(Arc::clone(accounts.live()), closing.clone()));
    if let Some(store) = app.store.clone() {
        if store.has_site() {
            tokio::spawn(shared::follow(app.clone(), store.clone()));
            tokio::spawn(adopting::follow(app.clone(), store.clone()));
        }
        tokio::spawn(Arc::clone(&accounts).read(app.clone(), store));
    }
    if let Some(tls) = &tls {
        tokio::spawn(server::reload(Arc::clone(tls), closing.clone()));
    }
    tokio::spawn(denials::tell(denials, closing.clone()));
    tokio::spawn(wall::tell(Arc::clone(&app.bus), closing.clone()));
    let metrics = app.metrics.clone();
    let router = routes::router(app.clone());
    if let Some(carrier) = app.carrier.clone() {
        tokio::spawn(forward::answer_others(carrier, app, router.clone(), closing.clone()));
    }
    let task = tokio::spawn(server::run((listener, tls), router, metrics, closing.clone(), deeds));
    Ok(WebHandle { addr, closing, accounts, in_force, signed, task })
}

#[cfg(test)]
mod tests;
