//! Opens the way to a hop: the UDP socket, a connection that is up already, or a new one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rsipstack::transport::SipConnection;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::listen::prepare;
use super::stream::{self, Facts, Place, Session};
use super::{Hop, Link, SipTransport, Transports, websocket};

/// How long a connection may take to be up, TLS and WebSocket included.
const CONNECT_WAIT: Duration = Duration::from_secs(4);
/// The same for a request that would rather be a datagram.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// How long a far end that took no connection gets its long requests in datagrams.
const DATAGRAMS_ONLY_FOR: Duration = Duration::from_secs(600);

impl Transports {
    /// Opens the way to `hop` for a request of so many bytes: one that is too long for a datagram goes over TCP when we
    /// listen for it (its answers and the far end's requests come there), and the far end does too (RFC 3261 §18.1.1).
    ///
    /// # Errors
    /// Why it cannot be reached, in words.
    pub(in crate::shell::sip) async fn open_for(self: &Arc<Self>, hop: &Hop, bytes: usize) -> Result<Link, String> {
        let is_too_long = hop.transport == SipTransport::Udp && bytes > self.settings.long_request_bytes;
        if is_too_long && self.listens(SipTransport::Tcp, hop.address) && !self.takes_datagrams_only(hop.address) {
            let stream = Hop { transport: SipTransport::Tcp, ..hop.clone() };
            let opened = timeout(LONG_WAIT, self.open(&stream)).await;
            match opened.unwrap_or_else(|_| Err("no connection in time".to_owned())) {
                Ok(link) => return Ok(link),
                Err(why) => {
                    tracing::debug!(%hop, why, bytes, "a long request goes in a datagram");
                    let mut only = self.datagrams.only.lock().unwrap_or_else(PoisonError::into_inner);
                    only.insert(hop.address, Instant::now() + DATAGRAMS_ONLY_FOR);
                }
            }
        }
        self.open(hop).await
    }

    fn takes_datagrams_only(&self, address: SocketAddr) -> bool {
        let only = self.datagrams.only.lock().unwrap_or_else(PoisonError::into_inner);
        only.peek(&address).is_some_and(|until| *until > Instant::now())
    }

    /// Opens the way to `hop`.
    ///
    /// # Errors
    /// Why it cannot be reached, in words.
    pub(in crate::shell::sip) async fn open(self: &Arc<Self>, hop: &Hop) -> Result<Link, String> {
        let Hop { transport, address, .. } = *hop;
        if transport == SipTransport::Udp {
            let udp = self
                .datagrams
                .udp
                .as_ref()
                .filter(|_| self.listens(transport, address))
                .ok_or("no UDP socket for it")?;
            has_route(address).map_err(|error| error.to_string())?;
            return Ok(self.link(udp.clone(), transport, address));
        }
        if let Some(connection) = self.known(hop) {
            return Ok(self.link(connection, transport, address));
        }
        let connection = timeout(CONNECT_WAIT, self.connect(hop)).await.map_err(|_| "no connection in time")??;
        Ok(self.link(connection, transport, address))
    }

    /// Whether a socket of ours is there for `remote`'s family.
    fn listens(&self, transport: SipTransport, remote: SocketAddr) -> bool {
        self.bound.iter().any(|bound| bound.0 == transport && bound.1.is_ipv4() == remote.is_ipv4())
    }

    /// The connection to `hop` that is up; one under TLS only when the far end has shown that it is who is meant.
    fn known(&self, hop: &Hop) -> Option<SipConnection> {
        let lines = self.lines();
        let line = lines.by_address.get(&(hop.transport, hop.address))?;
        let is_open = line.connection.cancel_token().is_some_and(|token| !token.is_cancelled());
        let is_meant = !hop.transport.is_secure() || line.name == Some(identity_of(hop));
        (is_open && is_meant).then(|| line.connection.clone())
    }

    async fn connect(self: &Arc<Self>, hop: &Hop) -> Result<SipConnection, String> {
        let place = Place::take(self, hop.address).ok_or("too many connections")?;
        let stream = TcpStream::connect(hop.address).await.map_err(|error| error.to_string())?;
        prepare(&stream);
        let name = hop.transport.is_secure().then(|| identity_of(hop));
        let facts = Facts { transport: hop.transport, remote: hop.address, certificate: None, name };
        if !hop.transport.is_secure() {
            return begin(place, facts, stream, hop).await;
        }
        let stream = self.tls.connect(stream, hop.name.as_deref(), hop.address.ip()).await;
        begin(place, facts, stream.map_err(|error| format!("TLS: {error}"))?, hop).await
    }
}

/// Serves a connection from now on.
async fn begin<S>(place: Place, facts: Facts, stream: S, hop: &Hop) -> Result<SipConnection, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let gone = "the SIP side has ended";
    if matches!(hop.transport, SipTransport::Ws | SipTransport::Wss) {
        let socket = websocket::connect(stream, hop).await.map_err(|error| format!("WebSocket: {error}"))?;
        let session = Session::open(place, facts).await.ok_or(gone)?;
        let connection = session.connection();
        tokio::spawn(websocket::serve(session, socket));
        return Ok(connection);
    }
    let session = Session::open(place, facts).await.ok_or(gone)?;
    let connection = session.connection();
    tokio::spawn(stream::serve(session, stream));
    Ok(connection)
}

/// What the far end's certificate has to name.
fn identity_of(hop: &Hop) -> String {
    hop.name.clone().unwrap_or_else(|| hop.address.ip().to_string())
}

/// Connecting a UDP socket sends nothing, but fails where no packet could go.
fn has_route(address: SocketAddr) -> std::io::Result<()> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    std::net::UdpSocket::bind((any, 0))?.connect(address)
}
