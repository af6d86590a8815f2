//! Far ends behind address translation that speak UDP and show a Contact which leads nowhere from here.
//!
//! As border controllers do, we keep that Contact as the request-URI of what follows in the dialog, and send it to where
//! the message came from that showed it. Over a connection everything goes back by it anyway; proxies that stay in the
//! path are taken at their word.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Host, Response, SipMessage, Transport, Uri};
use rsipstack::transaction::endpoint::MessageInspector;
use rsipstack::transport::SipAddr;

use super::dialog::{self, Dialog};
use super::feedback::Teller;
use super::recent::Recent;
use super::transport::{Link, SipTransport};
use super::uri;

/// Contacts that are remembered until their ACK is sent.
const CONTACTS_MAX: usize = 1_024;

/// Whether the requests of `dialog` go over `link`, the way back to a far end that speaks UDP, because what it calls
/// itself leads nowhere.
pub(super) fn leads_back(dialog: &Dialog, link: &Link) -> bool {
    let source = link.destination.get_socketaddr().ok().filter(|_| link.transport == SipTransport::Udp);
    source.is_some_and(|source| !dialog.has_routes() && is_astray(&dialog.next_uri(), source.ip()))
}

/// Whether a far end that speaks from `source` cannot be reached by a URI of its own: that is in a network which means
/// something only to those inside, and `source` is not in the same.
fn is_astray(uri: &Uri, source: IpAddr) -> bool {
    let Host::IpAddr(named) = uri.host_with_port.host else { return false };
    let inside = network(named);
    inside.is_some() && inside != network(source)
}

/// The network of an address that means something only inside of it (RFC 1918, 3927, 4193, 4291, 6598).
fn network(ip: IpAddr) -> Option<&'static str> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => match ip.octets() {
            [10, ..] => Some("10/8"),
            [100, 64..=127, ..] => Some("100.64/10"),
            [127, ..] => Some("loopback"),
            [169, 254, ..] => Some("link-local"),
            [172, 16..=31, ..] => Some("172.16/12"),
            [192, 168, ..] => Some("192.168/16"),
            _ => None,
        },
        IpAddr::V6(ip) if ip.is_loopback() => Some("loopback"),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Some("link-local"),
        IpAddr::V6(ip) if ip.is_unique_local() => Some("fc00::/7"),
        IpAddr::V6(_) => None,
    }
}

/// Where answers came from whose Contact leads nowhere, for their ACKs: the stack sends these by itself, and knows of the
/// Contact only.
#[derive(Clone)]
pub(super) struct Strays(Arc<Mutex<Recent<String, SocketAddr>>>);

impl Strays {
    /// None so far.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Recent::new(CONTACTS_MAX))))
    }

    /// Where the ACK of an answer with this Contact goes, unless it goes where the Contact leads.
    pub(super) fn way_to(&self, contact: &Uri) -> Option<SipAddr> {
        let source = *self.0.lock().unwrap_or_else(PoisonError::into_inner).peek(&uri::text(contact))?;
        Some(SipAddr { r#type: Some(Transport::Udp), ..SipAddr::from(source) })
    }

    fn note(&self, response: &Response, from: &SipAddr) {
        let is_answer = (200..300).contains(&response.status_code.code()) && from.r#type == Some(Transport::Udp);
        if !is_answer || !response.record_route_headers().is_empty() {
            return;
        }
        let (Some(target), Ok(source)) = (dialog::contact(response), from.get_socketaddr()) else { return };
        let (contact, mut known) = (uri::text(&target), self.0.lock().unwrap_or_else(PoisonError::into_inner));
        // Two far ends may call themselves the same: the one that has spoken last is meant.
        if is_astray(&target, source.ip()) || known.peek(&contact).is_some() {
            known.insert(contact, source);
        }
    }
}

/// Sees what the stack receives before it does anything about it, and lets the teller see what it sends.
pub(super) struct Lookout {
    pub(super) strays: Strays,
    pub(super) teller: Teller,
}

impl MessageInspector for Lookout {
    fn before_send(&self, message: SipMessage, to: Option<&SipAddr>) -> SipMessage {
        self.teller.before_send(message, to)
    }

    fn after_received(&self, message: SipMessage, from: Option<&SipAddr>) -> SipMessage {
        if let (SipMessage::Response(response), Some(from)) = (&message, from) {
            self.strays.note(response, from);
        }
        self.teller.after_received(message, from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_nowhere() {
        for (contact, source, expected) in [
            ("sip:x@192.168.1.5:5060", "203.0.113.9", true),
            ("sip:x@10.0.0.5", "192.168.0.1", true),
            ("sip:x@172.31.0.5", "203.0.113.9", true),
            ("sip:x@100.64.0.5", "203.0.113.9", true),
            ("sip:x@169.254.0.5", "10.0.0.1", true),
            ("sip:x@127.0.0.1", "203.0.113.9", true),
            ("sip:x@[fd00::5]", "2001:db8::9", true),
            ("sip:x@[fe80::5]", "2001:db8::9", true),
            // It may have several addresses, and mean what it says.
            ("sip:x@192.168.1.5", "192.168.1.5", false),
            ("sip:x@192.168.1.5", "192.168.7.7", false),
            ("sip:x@192.168.1.5", "::ffff:192.168.7.7", false),
            ("sip:x@172.32.0.5", "203.0.113.9", false),
            ("sip:x@100.128.0.5", "203.0.113.9", false),
            ("sip:x@203.0.113.10", "203.0.113.9", false),
            ("sip:x@203.0.113.10", "10.0.0.1", false),
            ("sip:x@pbx.example", "203.0.113.9", false),
        ] {
            let read = uri::read(contact).expect(contact);
            assert_eq!(is_astray(&read, source.parse().expect(source)), expected, "{contact} from {source}");
        }
    }
}
