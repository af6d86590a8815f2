//! Finds where a URI leads (RFC 3263): NAPTR, SRV, then addresses, in the order in which they are to be tried.
//!
//! Names come from `names`, which remembers them when the DNS is gone; the order is made by `order`, which is pure.
//! Places that did not answer lately are tried last.

mod names;
mod order;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rsipstack::sip::uri::ParamsExt;
use rsipstack::sip::{Host, Request, Scheme, Uri};
use rsipstack::transaction::endpoint::TargetLocator;
use rsipstack::transport::SipAddr;

pub(super) use self::names::Names;
use self::order::Service;
use super::astray::Strays;
use super::recent::Recent;
use super::transport::{Hop, Link, SipTransport, Transports};
use super::uri;

/// Places that one URI may lead to; further ones are not tried.
pub(super) const HOPS_MAX: usize = 8;
/// How long a place that did not answer is tried last.
const SUSPECT_FOR: Duration = Duration::from_secs(30);
/// Places that are suspected at a time.
const SUSPECTS_MAX: usize = 1_024;

/// Finds ways.
pub(super) struct Router {
    transports: Arc<Transports>,
    names: Names,
    suspects: Mutex<Recent<(SipTransport, SocketAddr), Instant>>,
}

impl Router {
    /// Asks `names`, and knows of `transports` what can be sent.
    pub(super) fn new(transports: Arc<Transports>, names: Names) -> Self {
        Self { transports, names, suspects: Mutex::new(Recent::new(SUSPECTS_MAX)) }
    }

    /// The places that `uri` leads to, best first, never none.
    ///
    /// # Errors
    /// Why it leads nowhere, in words.
    pub(super) async fn hops(&self, uri: &Uri) -> Result<Vec<Hop>, String> {
        // One that the stack has read, for its ACK, may show a part of the user as its host.
        let uri = &uri::read(&uri::text(uri)).ok_or("no URI")?;
        let asked = Asked::of(uri)?;
        let mut hops = match (&uri.host_with_port.host, asked.port) {
            (Host::IpAddr(ip), port) => {
                let transport = asked.transport.unwrap_or(asked.default());
                let port = port.unwrap_or(transport.default_port());
                vec![Hop { transport, address: SocketAddr::new(*ip, port), name: None }]
            }
            (Host::Domain(name), port) => self.named(&name.to_string(), port, &asked).await?,
        };
        hops.truncate(HOPS_MAX);
        let (suspects, now) = (self.suspects.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        // Stable: the rest stays in order.
        hops.sort_by_key(|hop| suspects.peek(&(hop.transport, hop.address)).is_some_and(|until| *until > now));
        Ok(hops)
    }

    /// The first way that opens for `request`; without one, for what fits into a datagram.
    ///
    /// # Errors
    /// Why none does.
    pub(super) async fn open_for(&self, uri: &Uri, request: Option<&Request>) -> Result<Link, String> {
        let mut last = String::new();
        for hop in self.hops(uri).await? {
            match self.transports.open_for(&hop, request).await {
                Ok(link) => return Ok(link),
                Err(why) => {
                    self.suspect(&hop);
                    last = format!("{hop}: {why}");
                }
            }
        }
        Err(last)
    }

    /// The place of a proxy that is named by its address.
    pub(super) fn proxy(address: SocketAddr, uri: &Uri) -> Hop {
        let asked = Asked::of(uri).ok().and_then(|asked| asked.transport);
        let name = match &uri.host_with_port.host {
            Host::Domain(name) => Some(name.to_string()),
            Host::IpAddr(_) => None,
        };
        Hop { transport: asked.unwrap_or(SipTransport::Udp), address, name }
    }

    /// Tries a place last for a while.
    pub(super) fn suspect(&self, hop: &Hop) {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.insert((hop.transport, hop.address), Instant::now() + SUSPECT_FOR);
    }

    async fn named(&self, name: &str, port: Option<u16>, asked: &Asked) -> Result<Vec<Hop>, String> {
        // A name for what can only be reached over the connection that it came by (RFC 7118 §5).
        if name.ends_with(".invalid") || name == "invalid" {
            return Err(format!("{name}: a name that leads nowhere"));
        }
        if let Some(port) = port {
            let transport = asked.transport.unwrap_or(asked.default());
            return self.addresses(name, port, transport, name).await;
        }
        let services = match asked.transport {
            Some(transport) => vec![Service::of(name, transport)],
            None => {
                let found = self.names.pointers(name).await;
                let spoken = order::services(found, |transport| self.can(transport) && asked.allows(transport));
                let any = order::usual(name).into_iter();
                let any = any.filter(|service| self.can(service.transport) && asked.allows(service.transport));
                if spoken.is_empty() { any.collect() } else { spoken }
            }
        };
        let mut hops = Vec::new();
        for service in &services {
            for server in self.names.servers(&service.name).await {
                if hops.len() >= HOPS_MAX {
                    break;
                }
                // A name without an address does not spoil the others.
                let found = self.addresses(&server.target, server.port, service.transport, name).await;
                hops.extend(found.unwrap_or_default());
            }
        }
        if !hops.is_empty() {
            return Ok(hops);
        }
        let transport = asked.transport.unwrap_or(asked.default());
        self.addresses(name, transport.default_port(), transport, name).await
    }

    async fn addresses(
        &self,
        target: &str,
        port: u16,
        transport: SipTransport,
        asked: &str,
    ) -> Result<Vec<Hop>, String> {
        let found = self.names.addresses(target).await?;
        let hop = |ip| Hop { transport, address: SocketAddr::new(ip, port), name: Some(asked.to_owned()) };
        Ok(found.into_iter().map(hop).collect())
    }

    /// Whether we could send over `transport` at all.
    fn can(&self, transport: SipTransport) -> bool {
        transport != SipTransport::Udp || self.transports.bound().iter().any(|bound| bound.0 == SipTransport::Udp)
    }
}

/// What a URI says of the way.
struct Asked {
    secure: bool,
    transport: Option<SipTransport>,
    port: Option<u16>,
}

impl Asked {
    fn of(uri: &Uri) -> Result<Self, String> {
        let secure = match uri.scheme {
            Some(Scheme::Sip) | None => false,
            Some(Scheme::Sips) => true,
            Some(_) => return Err("no SIP URI".to_owned()),
        };
        let transport = match uri.transport() {
            None => None,
            Some(transport) => Some(SipTransport::of(*transport).ok_or("a transport that is not spoken")?),
        };
        // With sips, `tcp` and `ws` are what lies under the TLS (RFC 3261 §26.2.2).
        let transport = match transport {
            Some(SipTransport::Tcp) if secure => Some(SipTransport::Tls),
            Some(SipTransport::Ws) if secure => Some(SipTransport::Wss),
            Some(SipTransport::Udp) if secure => return Err("sips over UDP".to_owned()),
            other => other,
        };
        Ok(Self { secure, transport, port: uri.host_with_port.port.as_ref().map(|port| port.value()) })
    }

    fn default(&self) -> SipTransport {
        if self.secure { SipTransport::Tls } else { SipTransport::Udp }
    }

    fn allows(&self, transport: SipTransport) -> bool {
        !self.secure || transport.is_secure()
    }
}

/// Tells the stack where the ACK of a 2xx goes, the only request that it sends by itself.
pub(super) struct Locator(pub(super) Arc<Router>, pub(super) Strays);

#[async_trait]
impl TargetLocator for Locator {
    async fn locate(&self, uri: &Uri) -> rsipstack::Result<SipAddr> {
        if let Some(way) = self.1.way_to(uri) {
            return Ok(way);
        }
        // It brings no offer that its INVITE did not ask for: short, as a rule.
        let link = self.0.open_for(uri, None).await.map_err(rsipstack::Error::DnsResolutionError)?;
        Ok(link.destination)
    }
}
