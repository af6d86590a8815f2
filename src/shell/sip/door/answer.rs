//! Answers that need no transaction: made from the request's own lines, sent once, forgotten (RFC 3261 §8.2.7).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use rsipstack::sip::StatusCode;
use rsipstack::sip::typed::Via;
use rsipstack::transaction::make_tag;

use super::Verdict;
use super::head::{Fault, Head, Start};
use super::values::values;
use crate::quoted::parts;
use crate::shell::sip::message::{ALLOW, with_tag};

/// The answer to a request that cannot be served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Its status code.
    pub(crate) code: u16,
    /// What was wrong, in a few words of ours.
    pub(crate) why: &'static str,
    /// The response.
    pub(crate) response: Vec<u8>,
    /// Where it goes, on a datagram socket (RFC 3261 §18.2.2, RFC 3581 §4).
    pub(crate) to: SocketAddr,
}

/// Refuses a request; one that names nobody to answer, or an ACK, is dropped.
pub(super) fn refuse(head: &Head<'_>, fault: Fault, from: SocketAddr) -> Verdict {
    let method = match head.start {
        Start::Request { method, .. } => method,
        Start::Response { .. } => return Verdict::Drop(fault.why),
    };
    if method == "ACK" || values(head, "Via").next().is_none() {
        return Verdict::Drop(fault.why);
    }
    let mut lines = Lines::new(fault.code);
    let mut top = true;
    for via in values(head, "Via") {
        lines.add("Via", &if top { with_source(via, from) } else { via.to_owned() });
        top = false;
    }
    // Whatever is there of each is repeated once: an answer must not be as odd as its request.
    for name in ["From", "To", "Call-ID", "CSeq"] {
        if let Some(value) = values(head, name).next() {
            let tagged = if name == "To" { with_tag(value, make_tag().value()) } else { value.to_owned() };
            lines.add(name, &tagged);
        }
    }
    if fault.code == 405 {
        lines.add("Allow", ALLOW);
    }
    if fault.code == 503 {
        lines.add("Retry-After", "5");
    }
    if fault.code == 400 {
        lines.add("Warning", &format!("399 calmline \"{}\"", fault.why));
    }
    let to = values(head, "Via").next().map_or(from, |via| reply_address(via, from));
    Verdict::Refuse(Refusal { code: fault.code, why: fault.why, response: lines.end(), to })
}

/// Where the answer to a request of a datagram goes: to its source, at the port that its topmost Via names unless it
/// asks for the source's own (RFC 3261 §18.2.2, RFC 3581 §4).
pub(crate) fn reply_address(via: &str, from: SocketAddr) -> SocketAddr {
    let Ok(via) = Via::parse(first(via)) else { return from };
    match via.rport() {
        Some(_) => from,
        None => SocketAddr::new(from.ip(), via.sent_by().port.as_ref().map_or(5060, |port| port.value())),
    }
}

/// A Via with the address that its request came from (RFC 3261 §18.2.1, RFC 3581 §4).
fn with_source(via: &str, from: SocketAddr) -> String {
    let Ok(mut parsed) = Via::parse(first(via)) else { return via.to_owned() };
    if parsed.rport().is_some() {
        parsed = parsed.with_rport(Some(from.port()));
    } else if IpAddr::try_from(parsed.sent_by().host.clone()) == Ok(from.ip()) {
        return via.to_owned();
    }
    let rest = &via[first(via).len()..];
    format!("{}{rest}", parsed.with_received(from.ip().to_string().into()))
}

/// The first of several Vias in one line.
fn first(via: &str) -> &str {
    parts(via, ',').next().unwrap_or_default()
}

/// A response that grows.
struct Lines(String);

impl Lines {
    fn new(code: u16) -> Self {
        let status = StatusCode::from(code);
        Self(format!("SIP/2.0 {code} {}\r\n", status.text()))
    }

    fn add(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{name}: {value}\r\n");
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push_str("Content-Length: 0\r\n\r\n");
        self.0.into_bytes()
    }
}
