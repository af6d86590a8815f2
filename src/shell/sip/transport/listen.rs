//! Opens the sockets of the settings, and takes the connections that come.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use rsipstack::platform::CancellationToken;
use rsipstack::transport::SipConnection;
use rsipstack::transport::udp::UdpConnection;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::stream::{self, Facts, Place, Session};
use super::{DatagramSocket, Datagrams, SipTransport, TlsFiles, Transports, websocket};
use crate::settings::SipSettings;
use crate::shell::inherited;
use crate::shell::sip::SipError;
use crate::shell::sip::guard::{Guard, Refused};
use crate::shell::sip::recent::Recent;
use crate::shell::sip::stamp::Stamper;
use crate::shell::sip::trace::Trace;

/// How long TLS and WebSocket may take to say hello.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// Pause after a failed accept (too many open files), so that it does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
/// Far ends that are remembered to speak no TCP.
const DATAGRAMS_ONLY_MAX: usize = 1_024;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 256;

/// Opens every socket; connections wait until `Transports::take_connections` is called.
pub(in crate::shell::sip) async fn bind(
    settings: SipSettings,
    (guard, stamper, tls): (Arc<Guard>, Stamper, Arc<TlsFiles>),
    trace: Option<Arc<Trace>>,
    stop: CancellationToken,
) -> Result<Arc<Transports>, SipError> {
    let (mut bound, mut datagrams, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
    for listener in &settings.listeners {
        let failed = |error: io::Error| SipError::Listen { address: listener.address, reason: error.to_string() };
        let address = match listener.transport {
            SipTransport::Udp => {
                let socket = datagrams_at(listener.address).and_then(UdpSocket::from_std).map_err(failed)?;
                let address = socket.local_addr().map_err(failed)?;
                datagrams.push(socket);
                address
            }
            transport => {
                let socket = listener_at(listener.address).and_then(TcpListener::from_std).map_err(failed)?;
                let address = socket.local_addr().map_err(failed)?;
                listeners.push((transport, socket));
                address
            }
        };
        bound.push((listener.transport, address));
    }
    let (udp, socket) = match datagrams.is_empty() {
        true => (None, None),
        false => {
            let socket =
                Arc::new(DatagramSocket::new(datagrams, guard.clone(), settings.datagram_bytes, trace.clone()));
            let made = UdpConnection::from_socket(socket.clone(), None, Some(stop.child_token())).await;
            let failed =
                |error: rsipstack::Error| SipError::Listen { address: settings.listen(), reason: error.to_string() };
            (Some(SipConnection::Udp(made.map_err(failed)?)), Some(socket))
        }
    };
    let datagrams = Datagrams { udp, socket, only: Mutex::new(Recent::new(DATAGRAMS_ONLY_MAX)) };
    let (endpoint, lines) = (OnceLock::new(), Mutex::default());
    let listeners = Mutex::new(listeners);
    let transports =
        Transports { settings, guard, stamper, trace, tls, stop, bound, datagrams, listeners, endpoint, lines };
    let transports = Arc::new(transports);
    tokio::spawn(reload(transports.clone()));
    Ok(transports)
}

/// The UDP socket at an address: the one that we were started with, else one of our own.
fn datagrams_at(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let own = || open(address, Type::DGRAM, Protocol::UDP).map(Socket::into);
    inherited::datagrams(address).map_or_else(own, Ok)
}

/// The TCP socket that listens at an address, likewise.
fn listener_at(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let own = || {
        let socket = open(address, Type::STREAM, Protocol::TCP)?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    inherited::listener(address).map_or_else(own, Ok)
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // IPv4 has a listener of its own.
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        // Connections of a server that has just ended must not keep it from starting again.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Takes connections until the SIP side stops.
pub(super) async fn accept(transports: Arc<Transports>, transport: SipTransport, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = transports.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, source) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, transport = transport.name(), "a connection could not be taken");
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            }
        };
        if !transports.guard.knows(source.ip()) {
            transports.guard.note(source, transport, Refused::UnknownSource, None);
            continue;
        }
        let Some(place) = Place::take(&transports, source) else {
            transports.guard.note(source, transport, Refused::Connections, None);
            continue;
        };
        tokio::spawn(greet(transports.clone(), transport, stream, source, place));
    }
}

/// Says hello in the transport's way and serves the connection.
async fn greet(
    transports: Arc<Transports>,
    transport: SipTransport,
    stream: TcpStream,
    remote: SocketAddr,
    place: Place,
) {
    prepare(&stream);
    let mut facts = Facts { transport, remote, certificate: None, name: None };
    if !transport.is_secure() {
        return serve(&transports, facts, stream, place).await;
    }
    match timeout(HELLO_WAIT, transports.tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            facts.certificate = shown.map(|certificate| Arc::new(certificate.clone().into_owned()));
            serve(&transports, facts, stream, place).await;
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, %remote, "no TLS");
            transports.guard.note(remote, transport, Refused::Handshake, None);
        }
        Err(_) => transports.guard.note(remote, transport, Refused::Handshake, None),
    }
}

async fn serve<S>(transports: &Arc<Transports>, facts: Facts, stream: S, place: Place)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    if !matches!(facts.transport, SipTransport::Ws | SipTransport::Wss) {
        if let Some(session) = Session::open(place, facts).await {
            stream::serve(session, stream).await;
        }
        return;
    }
    let (remote, transport) = (facts.remote, facts.transport);
    match timeout(HELLO_WAIT, websocket::accept(stream, &transports.settings.origins)).await {
        Ok(Ok(socket)) => {
            if let Some(session) = Session::open(place, facts).await {
                websocket::serve(session, socket).await;
            }
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, %remote, "no WebSocket");
            transports.guard.note(remote, transport, Refused::Handshake, None);
        }
        Err(_) => transports.guard.note(remote, transport, Refused::Handshake, None),
    }
}

/// What every connection of ours has: small messages go at once, and a far end that has vanished is noticed.
pub(super) fn prepare(stream: &TcpStream) {
    let alive =
        TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15)).with_retries(4);
    let set = stream.set_nodelay(true).and_then(|()| SockRef::from(stream).set_tcp_keepalive(&alive));
    if let Err(error) = set {
        tracing::debug!(%error, "a connection without keep-alive");
    }
}

/// Reads the certificates again whenever their files change.
async fn reload(transports: Arc<Transports>) {
    let tell = |read: Result<(), _>| match read {
        Ok(()) => {
            transports.guard.metrics().count_certificates("loaded");
            tracing::info!("new certificates: connections from now on use them");
        }
        Err(error) => {
            transports.guard.metrics().count_certificates("refused");
            tracing::error!(%error, "the new certificates cannot be used: the old ones stay");
        }
    };
    transports.tls.clone().watch(transports.stop.clone(), tell).await;
}
