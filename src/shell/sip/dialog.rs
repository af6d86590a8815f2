//! One dialog as RFC 3261 §12 has it: tags, sequence numbers, route set, remote target.
//!
//! Builds in-dialog requests; sends nothing and keeps no state of calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
use rsipstack::sip::{Header as SipHeader, Headers, Method, Param, Request, Response, Transport, Uri, Version};
use rsipstack::transaction::{make_tag, make_uuid_v4};

use super::referral::Replaces;
use super::{message, uri};
use crate::control::Header;

/// Names a dialog from our side: Call-ID and our own tag. The far end's tag is checked by the leg.
pub(super) type DialogKey = (String, String);

/// The longest route set that is kept; a longer one is cut, for it can only be an attack or a loop.
const ROUTES_MAX: usize = 16;

/// One dialog, or the beginning of one.
#[derive(Debug)]
pub(super) struct Dialog {
    call_id: String,
    /// Our From (or To) value with its tag.
    local: String,
    local_tag: String,
    /// Their To (or From) value, with its tag once known.
    remote: String,
    remote_tag: Option<String>,
    target: Uri,
    routes: Vec<String>,
    /// Shared with whoever has to send a request again with credentials.
    local_sequence: Sequence,
    /// Max-Forwards of our requests.
    hops_left: u8,
    remote_sequence: Option<u32>,
}

impl Dialog {
    /// The dialog that answering `invite` makes; nothing when the request lacks what a dialog needs.
    pub(super) fn from_invite(invite: &Request) -> Option<Self> {
        let from = invite.from_header().ok()?.value().to_owned();
        let to = invite.to_header().ok()?.value().to_owned();
        let remote_tag = message::tag_of(&from)?;
        let local_tag = make_tag().to_string();
        Some(Self {
            call_id: invite.call_id_header().ok()?.value().to_owned(),
            local: message::with_tag(&to, &local_tag),
            local_tag,
            remote: from,
            remote_tag: Some(remote_tag),
            target: contact(invite)?,
            routes: route_set(invite),
            local_sequence: Sequence::default(),
            hops_left: message::HOPS_MAX,
            remote_sequence: sequence(invite),
        })
    }

    /// The beginning of a dialog with `target`, whom we show `from` (display name and URI).
    pub(super) fn to_target(from: &str, target: Uri) -> Option<Self> {
        let local_tag = make_tag().to_string();
        let from = message::name_and_address(from)?;
        Some(Self {
            call_id: make_uuid_v4(),
            local: format!("{from};tag={local_tag}"),
            local_tag,
            remote: format!("<{}>", uri::text(&target)),
            remote_tag: None,
            target,
            routes: Vec::new(),
            local_sequence: Sequence::default(),
            hops_left: message::HOPS_MAX,
            remote_sequence: None,
        })
    }

    /// The address of record `address` and the registrar that is asked to know it; no dialog, but numbered like one.
    pub(super) fn to_registrar(address: &str, registrar: Uri) -> Option<Self> {
        let dialog = Self::to_target(&format!("<{address}>"), registrar)?;
        let domain = Uri { auth: None, params: Vec::new(), ..dialog.target.clone() };
        Some(Self { remote: format!("<{address}>"), target: domain, ..dialog })
    }

    /// The dialog that `response` has made of `invite`, which was ours.
    pub(super) fn of_answer(invite: &Request, response: &Response) -> Option<Self> {
        let local = invite.from_header().ok()?.value().to_owned();
        let dialog = Self {
            call_id: invite.call_id_header().ok()?.value().to_owned(),
            local_tag: message::tag_of(&local)?,
            local,
            remote: String::new(),
            remote_tag: None,
            target: contact(response)?,
            routes: Vec::new(),
            local_sequence: Sequence(Arc::new(AtomicU32::new(sequence(invite)?))),
            hops_left: message::HOPS_MAX,
            remote_sequence: None,
        };
        dialog.fork(response)
    }

    /// The name by which requests inside this dialog are found.
    pub(super) fn key(&self) -> DialogKey {
        (self.call_id.clone(), self.local_tag.clone())
    }

    /// Who would have to take over this dialog's place: what Replaces names it by for its far end, and the far end's URI.
    pub(super) fn place(&self) -> (Replaces, String) {
        let replaces = Replaces {
            call_id: self.call_id.clone(),
            to_tag: self.remote_tag.clone().unwrap_or_default(),
            from_tag: self.local_tag.clone(),
        };
        (replaces, uri::text(&self.target))
    }

    /// Our tag, which every response of this dialog carries in To.
    pub(super) fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// Takes the far end's tag, route set and target from a response to our INVITE; false when it has no tag.
    pub(super) fn establish(&mut self, response: &Response) -> bool {
        let Ok(to) = response.to_header() else { return false };
        let Some(tag) = message::tag_of(to.value()) else { return false };
        self.remote = to.value().to_owned();
        self.remote_tag = Some(tag);
        self.routes = route_set(response);
        self.routes.reverse();
        if let Some(target) = contact(response) {
            self.target = target;
        }
        true
    }

    /// A second dialog of the same INVITE, which a forked 2xx made.
    pub(super) fn fork(&self, response: &Response) -> Option<Self> {
        let mut fork = Self {
            call_id: self.call_id.clone(),
            local: self.local.clone(),
            local_tag: self.local_tag.clone(),
            remote: String::new(),
            remote_tag: None,
            target: contact(response)?,
            routes: Vec::new(),
            local_sequence: self.local_sequence.clone(),
            hops_left: self.hops_left,
            remote_sequence: None,
        };
        fork.establish(response).then_some(fork)
    }

    /// True when `message` comes from the far end of this dialog, as far as that is known.
    pub(super) fn is_from_peer(&self, request: &Request) -> bool {
        let tag = request.from_header().ok().and_then(|from| message::tag_of(from.value()));
        tag.is_some() && tag == self.remote_tag
    }

    /// True when the response to our INVITE belongs to this dialog and not to a fork.
    pub(super) fn is_answer(&self, response: &Response) -> bool {
        let tag = response.to_header().ok().and_then(|to| message::tag_of(to.value()));
        tag == self.remote_tag
    }

    /// Notes the request's number; false when it is older than one already seen (RFC 3261 §12.2.2).
    pub(super) fn accept_sequence(&mut self, request: &Request) -> bool {
        let Some(sequence) = sequence(request) else { return false };
        if self.remote_sequence.is_some_and(|highest| sequence < highest) {
            return false;
        }
        self.remote_sequence = Some(sequence);
        true
    }

    /// Follows the Contact of a target refresh request, or of the 2xx to one.
    pub(super) fn refresh_target(&mut self, message: &impl HeadersExt) {
        if let Some(target) = contact(message) {
            self.target = target;
        }
    }

    /// The next request of this dialog, without Via and Contact, which depend on the way that it takes.
    pub(super) fn request(&mut self, user_agent: &str, method: Method, extra: &[Header], sdp: Option<&str>) -> Request {
        let mut headers = Headers::default();
        headers.push(SipHeader::MaxForwards(u32::from(self.hops_left).into()));
        headers.extend(self.routes.iter().map(|route| SipHeader::Route(route.clone().into())).collect());
        headers.push(SipHeader::From(self.local.clone().into()));
        headers.push(SipHeader::To(self.remote.clone().into()));
        headers.push(SipHeader::CallId(self.call_id.clone().into()));
        headers.push(SipHeader::CSeq(format!("{} {method}", self.local_sequence.next()).into()));
        message::add_common(&mut headers, user_agent, extra, sdp.is_some());
        let body = sdp.map(|sdp| sdp.as_bytes().to_vec()).unwrap_or_default();
        headers.push(SipHeader::ContentLength(message::content_length(&body).into()));
        Request { method, uri: self.target.clone(), version: Version::V2, headers, body }
    }

    /// Where the next request of this dialog goes: the first proxy of its route set, else the far end itself.
    pub(super) fn next_uri(&self) -> Uri {
        let first = self.routes.first().and_then(|route| uri::read(route.trim_matches(['<', '>'])));
        first.unwrap_or_else(|| self.target.clone())
    }

    /// Whether proxies have asked to stay in its path.
    pub(super) fn has_routes(&self) -> bool {
        !self.routes.is_empty()
    }

    /// Our own address in it, in angle brackets.
    pub(super) fn local_address(&self) -> String {
        let local = &self.local;
        let uri = local.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(uri, _)| uri);
        format!("<{}>", uri.or(local.split(';').next()).unwrap_or_default())
    }

    /// The numbers of its requests.
    pub(super) fn sequence(&self) -> Sequence {
        self.local_sequence.clone()
    }

    /// The beginning of a dialog whose requests may go `hops_left` times further.
    pub(super) fn with_hops(self, hops_left: u8) -> Self {
        Self { hops_left, ..self }
    }
}

/// The numbers of the requests of one dialog.
#[derive(Debug, Clone, Default)]
pub(super) struct Sequence(Arc<AtomicU32>);

impl Sequence {
    /// The next number.
    pub(super) fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The CANCEL of `invite` (RFC 3261 §9.1).
pub(super) fn cancel_of(invite: &Request) -> Request {
    let mut headers = Headers::default();
    for header in invite.headers.iter() {
        match header {
            SipHeader::Via(_)
            | SipHeader::MaxForwards(_)
            | SipHeader::Route(_)
            | SipHeader::From(_)
            | SipHeader::To(_)
            | SipHeader::CallId(_)
            | SipHeader::UserAgent(_) => headers.push(header.clone()),
            SipHeader::CSeq(value) => {
                let number = value.value().split_whitespace().next().unwrap_or("1");
                headers.push(SipHeader::CSeq(format!("{number} CANCEL").into()));
            }
            _ => {}
        }
    }
    headers.push(SipHeader::ContentLength(0.into()));
    Request { method: Method::Cancel, uri: invite.uri.clone(), version: Version::V2, headers, body: Vec::new() }
}

/// Where the sender of a message wants to be reached.
pub(super) fn contact(message: &impl HeadersExt) -> Option<Uri> {
    let mut target = uri::read(uri::listed(message.contact_header().ok()?.value()).first()?)?;
    // As the stack has it, which takes the target of its ACK from here too.
    target.params.retain(|parameter| !matches!(parameter, Param::Transport(Transport::Udp)));
    target.headers.clear();
    (!target.host_with_port.to_string().is_empty()).then_some(target)
}

fn route_set(message: &impl HeadersExt) -> Vec<String> {
    message
        .record_route_headers()
        .into_iter()
        .flat_map(|header| uri::listed(header.value()))
        .filter(|route| uri::read(route).is_some())
        .map(|route| format!("<{route}>"))
        .take(ROUTES_MAX)
        .collect()
}

/// The number of CSeq.
pub(super) fn sequence(request: &Request) -> Option<u32> {
    request.cseq_header().ok()?.typed().ok().map(|cseq| cseq.seq)
}
