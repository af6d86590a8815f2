//! The connections under the API: HTTP/1.1, with TLS where there is a certificate, and limits on number, headers and waiting.
//!
//! Knows nothing of what is served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::Peer;
use crate::settings::TlsSettings;
use crate::shell::sip::TlsFiles;

/// Most connections at the same time; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;
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
    closing: CancellationToken,
    deeds: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    while let Some((stream, peer, place)) = next(&listener, &places, &closing).await {
        let (router, tls, closing) = (router.clone(), tls.clone(), closing.clone());
        connections.spawn(async move {
            if let Err(error) = set_limits(&stream) {
                tracing::debug!(%error, "cannot set socket options");
            }
            match tls {
                None => serve_connection(stream, peer, router, closing).await,
                Some(tls) => match tokio::time::timeout(HEAD_LIMIT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => serve_connection(stream, peer, router, closing).await,
                    Ok(Err(error)) => tracing::debug!(%error, "no TLS on an API connection"),
                    Err(_) => tracing::debug!("no TLS in time on an API connection"),
                },
            }
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    deeds.close();
    deeds.wait().await;
}

/// The next connection and its place; `None` when the server closes.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    closing: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    loop {
        let accepted = async {
            let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
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

async fn serve_connection<S>(stream: S, peer: SocketAddr, router: Router, closing: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
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
