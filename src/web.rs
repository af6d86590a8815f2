//! The HTTP API: calls, events, health, metrics.
//!
//! Decides nothing: it shows the board and hands orders to call control. No door without the token, except health.
//! Plain HTTP/1.1; TLS is the business of a proxy in front while the API listens on loopback.

mod auth;
mod board;
mod bus;
mod events;
mod forks;
mod moment;
mod pii;
mod problem;
mod readiness;
mod record;
mod routes;
mod server;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::control::Order;
use crate::metrics::Metrics;
use crate::settings::Token;
use crate::shell::fork::ForkSide;
pub use board::{ACTIVE_MAX, Board, ENDED_MAX};
pub use bus::{Bus, Delivery, Event, KINDS, RING_MAX, Subscription, kind};
pub use moment::Moment;
pub use pii::Pii;
pub use readiness::{Component, Readiness};
pub use record::{
    Alert, Because, CallRecord, Decision, EVENTS_MAX, Fork, Peak, Prompt, PromptOutcome, Reroute, RerouteOutcome,
    State, Step, TIMELINE_MAX, TimedNotice,
};

/// Where the API listens unless the configuration says otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8_080);
/// Most event subscribers at the same time; further ones get 503.
pub const SUBSCRIBERS_MAX: usize = 64;

/// How the API is offered.
#[derive(Debug, Clone)]
pub struct WebOptions {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The token that opens the API. It never prints; browsers that use WebSockets need one that can stand in a
    /// subprotocol's name (letters, digits, `-._~+`).
    pub token: Token,
}

/// Why the API cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
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
#[derive(Debug)]
pub struct WebHandle {
    /// Where it listens.
    pub addr: SocketAddr,
    closing: CancellationToken,
    task: JoinHandle<()>,
}

impl WebHandle {
    /// Takes no new requests, ends event streams, lets running requests finish (at most 5 s), then returns.
    pub async fn close(mut self) {
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
/// The address cannot be bound, or the system gives no random numbers.
pub async fn serve(
    options: WebOptions,
    bus: Arc<Bus>,
    orders: mpsc::Sender<Order>,
    readiness: Arc<Readiness>,
    metrics: Metrics,
    forks: ForkSide,
) -> Result<WebHandle, WebError> {
    let gate = Arc::new(auth::Gate::new(&options.token)?);
    let listen = options.listen;
    let bind_error = |source| WebError::Bind { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(bind_error)?;
    let addr = listener.local_addr().map_err(bind_error)?;
    if !addr.ip().is_loopback() {
        tracing::warn!(%addr, "the API is offered beyond this machine, without TLS");
    }
    let closing = CancellationToken::new();
    let subscribers = Arc::new(Semaphore::new(SUBSCRIBERS_MAX));
    let app = routes::App { bus, orders, forks, readiness, metrics, gate, subscribers, closing: closing.clone() };
    let task = tokio::spawn(server::run(listener, routes::router(app), closing.clone()));
    Ok(WebHandle { addr, closing, task })
}

#[cfg(test)]
mod tests;
