//! How messages come and go: sockets, connections, certificates, and which of them a request takes.
//!
//! The stack sees one UDP socket and, for every stream, an in-memory channel: what is read and written, how much of it
//! and for how long, is decided here. Knows no dialog.

mod connect;
mod frame;
mod hop;
mod listen;
mod stream;
mod tls;
mod udp;
mod websocket;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use rsipstack::platform::CancellationToken;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::typed::Via;
use rsipstack::sip::{Request, SipMessage};
use rsipstack::transaction::Transaction;
use rsipstack::transaction::endpoint::EndpointInner;
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

pub(super) use self::hop::Hop;
pub use self::hop::SipTransport;
pub(super) use self::listen::bind;
pub(super) use self::stream::Certificate;
pub(super) use self::tls::bears_name;
pub(crate) use self::tls::{TlsFiles, client_by};
pub(super) use self::udp::DatagramSocket;
use self::udp::LongWay;
use super::door::Plain;
use super::guard::Guard;
use super::recent::Recent;
use super::stamp::Stamper;
use super::trace::Trace;
use crate::settings::SipSettings;

/// Every socket and connection of the SIP side.
pub(super) struct Transports {
    pub(super) settings: SipSettings,
    pub(super) guard: Arc<Guard>,
    pub(super) stamper: Stamper,
    /// Who follows messages, where anybody does.
    trace: Option<Arc<Trace>>,
    tls: Arc<TlsFiles>,
    stop: CancellationToken,
    /// Where listeners really are: a port 0 of the settings has become one.
    bound: Vec<(SipTransport, SocketAddr)>,
    datagrams: Datagrams,
    /// Those that nobody accepts from yet.
    listeners: Mutex<Vec<(SipTransport, TcpListener)>>,
    /// Set once, when the stack is built around us.
    endpoint: OnceLock<Weak<EndpointInner>>,
    lines: Mutex<Lines>,
}

/// What carries datagrams.
struct Datagrams {
    /// The sockets as the stack sees them.
    udp: Option<SipConnection>,
    /// As we do.
    socket: Option<Arc<DatagramSocket>>,
    /// Far ends that took no connection when a request was too long for a datagram, and until when none is tried.
    only: Mutex<Recent<SocketAddr, Instant>>,
}

/// The connections that are up.
#[derive(Default)]
struct Lines {
    by_address: BTreeMap<(SipTransport, SocketAddr), Line>,
    /// How many there are of each source, those included whose handshake goes on.
    per_source: BTreeMap<IpAddr, usize>,
    /// How many there are in all.
    count: usize,
}

/// One connection.
#[derive(Clone)]
struct Line {
    connection: SipConnection,
    certificate: Option<Certificate>,
    /// The name that the far end has shown to be its own, when we connected to it by that name.
    name: Option<String>,
}

/// Who sent a request.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) transport: SipTransport,
    /// The certificate that it showed, signed by an authority of ours.
    pub(super) certificate: Option<Certificate>,
}

/// A way to a far end that is open.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) connection: SipConnection,
    pub(super) destination: SipAddr,
    pub(super) transport: SipTransport,
    /// What Via and Contact show.
    pub(super) shown: SocketAddr,
}

impl Link {
    /// Cancelled when the connection is gone; a datagram socket never is.
    pub(super) fn closed(&self) -> Option<CancellationToken> {
        if self.transport == SipTransport::Udp { None } else { self.connection.cancel_token() }
    }

    /// Whether it can still carry something.
    pub(super) fn is_open(&self) -> bool {
        self.closed().is_none_or(|closed| !closed.is_cancelled())
    }
}

impl Transports {
    /// Tells the transports which stack they work for.
    pub(super) async fn serve(self: &Arc<Self>, endpoint: &Arc<EndpointInner>) {
        // Set twice it would be the same.
        let _ = self.endpoint.set(Arc::downgrade(endpoint));
        let Some(socket) = &self.datagrams.socket else { return };
        // A connection with nobody, whose queue leads to the stack.
        let ((events, long), (nobody, _)) = (mpsc::unbounded_channel(), mpsc::channel(1));
        let nowhere = SipAddr::from(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let made = ChannelConnection::create_connection_bounded(long, nobody, nowhere, Some(self.stop.child_token()));
        if let Ok(connection) = made.await {
            endpoint.transport_layer.add_connection(SipConnection::Channel(connection));
            socket.lead(LongWay { transports: Arc::downgrade(self), events });
        }
    }

    /// Begins to take connections. Not before the stack is there: in a socket that outlived another process they may wait
    /// already.
    pub(super) fn take_connections(self: &Arc<Self>) {
        let listeners = std::mem::take(&mut *self.listeners.lock().unwrap_or_else(PoisonError::into_inner));
        for (transport, listener) in listeners {
            tokio::spawn(listen::accept(self.clone(), transport, listener));
        }
    }

    /// Where we listen, in the order of the settings.
    pub(super) fn bound(&self) -> &[(SipTransport, SocketAddr)] {
        &self.bound
    }

    /// The UDP sockets, as the stack sees them.
    pub(super) fn udp(&self) -> Option<SipConnection> {
        self.datagrams.udp.clone()
    }

    /// Who sent the request of a server transaction.
    pub(super) fn peer(&self, transaction: &Transaction) -> Option<Peer> {
        let connection = transaction.connection.as_ref()?;
        let (address, transport) = match connection.get_remote_addr() {
            Some(remote) => (remote.get_socketaddr().ok()?, SipTransport::of(remote.r#type?)?),
            None => (source_of(&transaction.original)?, SipTransport::Udp),
        };
        let certificate = self.lines().by_address.get(&(transport, address)).and_then(|line| line.certificate.clone());
        Some(Peer { address, transport, certificate })
    }

    /// The way back to whoever sent a request, for the requests of its dialog.
    pub(super) fn link_back(&self, transaction: &Transaction) -> Option<Link> {
        let connection = transaction.connection.clone()?;
        let peer = self.peer(transaction)?;
        Some(self.link(connection, peer.transport, peer.address))
    }

    /// How many connections are up.
    pub(super) fn connections(&self) -> usize {
        self.lines().count
    }

    fn link(&self, connection: SipConnection, transport: SipTransport, address: SocketAddr) -> Link {
        let destination = SipAddr { r#type: Some(transport.into()), ..SipAddr::from(address) };
        Link { connection, destination, transport, shown: self.shown(transport, address) }
    }

    /// What Via and Contact show a far end at `remote`: the listener of the same transport and family, else the first
    /// of the family, else the first.
    pub(super) fn shown(&self, transport: SipTransport, remote: SocketAddr) -> SocketAddr {
        let same_family = |bound: &&(SipTransport, SocketAddr)| bound.1.is_ipv4() == remote.is_ipv4();
        let best = self.bound.iter().find(|bound| bound.0 == transport && same_family(bound));
        let best = best.or_else(|| self.bound.iter().find(|bound| bound.0 == transport));
        let best = best.or_else(|| self.bound.iter().find(same_family)).or(self.bound.first());
        best.map_or(remote, |(_, address)| self.settings.shown_to(remote.ip(), *address))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the stack is told of a message that came by a way of ours; nothing when it cannot read what the door let pass.
fn incoming(
    plain: &Plain,
    connection: SipConnection,
    transport: SipTransport,
    remote: SocketAddr,
) -> Option<TransportEvent> {
    let read = match SipMessage::try_from(plain.bytes.as_slice()) {
        Ok(message) => SipConnection::update_msg_received(message, remote, transport.into()),
        Err(error) => Err(error.into()),
    };
    match read {
        Ok(message) => {
            let from = SipAddr { r#type: Some(transport.into()), ..SipAddr::from(remote) };
            Some(TransportEvent::Incoming(message, connection, from))
        }
        Err(error) => {
            tracing::debug!(%error, %remote, "the stack cannot read what the door let pass");
            None
        }
    }
}

/// Where a request in a datagram came from, as its topmost Via tells since it was received (RFC 3261 §18.2.1, RFC 3581
/// §4).
fn source_of(request: &Request) -> Option<SocketAddr> {
    let via = Via::parse(request.via_header().ok()?.first_value().ok()?.value()).ok()?;
    let host = match via.received() {
        Some(received) => received.ok()?,
        None => IpAddr::try_from(via.sent_by().host.clone()).ok()?,
    };
    let named = via.sent_by().port.as_ref().map_or(5060, |port| port.value());
    Some(SocketAddr::new(host, via.rport().flatten().unwrap_or(named)))
}
