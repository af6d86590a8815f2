//! The connections under the API: HTTP/1.1, with TLS where there is a certificate, and limits on number, headers and waiting.
//!
//! Knows nothing of what is served, but whether somebody who is known has asked on a connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::middleware::Next;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::{Peer, network};
use super::problem::Problem;
use super::seats::{Seat, Seats};
use crate::metrics::Metrics;
use crate::settings::TlsSettings;
use crate::shell::sip::TlsFiles;

/// Most connections at the same time, where that is no more than a quarter of the files that may be open; further ones wait to be
/// accepted.
const CONNECTIONS_MAX: usize = 4_096;
/// As many of them may be strangers'.
const STRANGERS_SHARE: usize = 4;
/// Longest time for a request's head to arrive, and for a kept connection to idle.
const HEAD_LIMIT: Duration = Duration::from_secs(15);
/// Largest request head, bytes; longer ones are answered with 431.
const HEAD_BYTES_MAX: usize = 16 * 1_024;
/// Most header fields.
const HEADERS_MAX: usize = 64;
/// A peer that acknowledges nothing, or takes nothing, for this long is given up.
const PEER_LIMIT: Duration = Duration::from_secs(60);
/// What the system keeps for a peer beyond what that has room for, bytes: half a second of live audio, so that a peer
/// that was slow comes back to the present.
const UNSENT_BYTES_MAX: u32 = 16 * 1_024;
/// How long running requests may go on while closing.
pub(super) const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// Pause after a failed accept, so that a lack of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts and serves until `closing` is cancelled, the connections have ended, and so has what goes on without them.
pub(super) async fn run(
    (listener, tls): (TcpListener, Option<Arc<TlsFiles>>),
    router: Router,
    metrics: Metrics,
    closing: CancellationToken,
    deeds: TaskTracker,
) {
    let mut places = Places::new(connections_max());
    let strangers = Seats::new(places.max / STRANGERS_SHARE, "strangers");
    let connections = TaskTracker::new();
    while let Some((stream, peer, place)) = next(&listener, &mut places, &closing).await {
        let Ok(newcomer) = Newcomer::new(&strangers, peer) else {
            metrics.count_api_connection_refused();
            continue;
        };
        let (router, tls, metrics, closing) = (router.clone(), tls.clone(), metrics.clone(), closing.clone());
        connections.spawn(async move {
            metrics.begin_api_connection();
            if let Err(error) = set_limits(&stream) {
                tracing::debug!(%error, "cannot set socket options");
            }
            let from = (peer, newcomer);
            match tls {
                None => serve_connection(stream, from, router, closing).await,
                Some(tls) => match tokio::time::timeout(HEAD_LIMIT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => serve_connection(stream, from, router, closing).await,
                    Ok(Err(error)) => tracing::debug!(%error, "no TLS on an API connection"),
                    Err(_) => tracing::debug!("no TLS in time on an API connection"),
                },
            }
            metrics.end_api_connection();
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    deeds.close();
    deeds.wait().await;
}

/// How many connections there may be at the same time.
fn connections_max() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let share = files.and_then(|files| usize::try_from(files / 4).ok());
    share.unwrap_or(CONNECTIONS_MAX).clamp(1, CONNECTIONS_MAX)
}

/// Places of all connections.
struct Places {
    max: usize,
    free: Arc<Semaphore>,
    /// Whether it has been said that there are none.
    is_told: bool,
}

impl Places {
    fn new(max: usize) -> Self {
        Self { max, free: Arc::new(Semaphore::new(max)), is_told: false }
    }

    /// The next one that is free.
    async fn take(&mut self) -> OwnedSemaphorePermit {
        let free = self.free.available_permits();
        if free == 0 && !self.is_told {
            tracing::warn!(connections = self.max, "the API has as many connections as it may: further ones wait");
        }
        // Once for each time that it fills up.
        self.is_told = free == 0 || self.is_told && free < self.max / 10;
        Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed")
    }
}

/// Whoever is at the other end of a connection: in a stranger's seat until somebody who is known has asked there.
#[derive(Debug, Clone)]
pub(super) struct Newcomer(Arc<Mutex<Option<Seat>>>);

impl Newcomer {
    /// Somebody who comes from there. Programs on this machine need no seat: a proxy's strangers are its own business.
    ///
    /// # Errors
    /// When the strangers from there have as many as are left.
    fn new(strangers: &Arc<Seats>, peer: SocketAddr) -> Result<Self, Problem> {
        let address = peer.ip().to_canonical();
        let from = network(address).to_string();
        let seat = (!address.is_loopback()).then(|| strangers.take(Some(&from))).transpose()?;
        Ok(Self(Arc::new(Mutex::new(seat))))
    }

    fn is_known(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Takes note that whoever asks is known, and passes the request on.
pub(super) async fn known(request: Request<Body>, next: Next) -> Response {
    if let Some(newcomer) = request.extensions().get::<Newcomer>() {
        newcomer.is_known();
    }
    next.run(request).await
}

/// The next connection and its place; `None` when the server closes.
async fn next(
    listener: &TcpListener,
    places: &mut Places,
    closing: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    loop {
        let accepted = async {
            let place = places.take().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            () = closing.cancelled() => return None,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, peer)) => return Some((stream, peer, place)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept an API connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The certificate and its key.
///
/// # Errors
/// What is wrong with them.
pub(super) fn certificate(settings: TlsSettings) -> Result<Arc<TlsFiles>, String> {
    TlsFiles::read(Some(settings)).map(Arc::new).map_err(|error| error.to_string())
}

/// Reads the certificate's files again when they change.
pub(super) async fn reload(tls: Arc<TlsFiles>, closing: CancellationToken) {
    let tell = |read: Result<(), _>| match read {
        Ok(()) => tracing::info!("the API's certificate was read again"),
        Err(error) => tracing::warn!(%error, "the API's certificate cannot be read again: the one before stays"),
    };
    tls.watch(closing, tell).await;
}

async fn serve_connection<S>(
    stream: S,
    (peer, newcomer): (SocketAddr, Newcomer),
    router: Router,
    closing: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(newcomer.clone());
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(CLOSE_LIMIT, connection).await {
                Ok(outcome) => outcome,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "an API connection ended early");
    }
}

fn set_limits(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    socket.set_tcp_user_timeout(Some(PEER_LIMIT))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn strangers_of_one_address_leave_connections_to_others() {
        let strangers = Seats::new(16, "strangers");
        let come = |address: &str| {
            let address: IpAddr = address.parse().expect("an address");
            Newcomer::new(&strangers, (address, 4_000).into()).ok()
        };
        let first: Vec<Newcomer> = std::iter::from_fn(|| come("2001:db8::1")).collect();
        assert_eq!(first.len(), 8);
        assert!(come("2001:db8::2").is_none(), "of the same subscriber");
        let other = come("192.0.2.1");
        assert!(other.is_some());
        let _here: Vec<Newcomer> = (0..100).map(|_| come("127.0.0.1").expect("a proxy, perhaps")).collect();
        first[0].is_known();
        assert!(come("2001:db8::2").is_some(), "whoever is known is no stranger");
    }
}
