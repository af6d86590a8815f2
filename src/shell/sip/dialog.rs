//! One dialog as RFC 3261 §12 has it: tags, sequence numbers, route set, remote target.
//!
//! Builds in-dialog requests; sends nothing and keeps no state of calls.

use rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
use rsipstack::sip::typed::RecordRoute;
use rsipstack::sip::{Header as SipHeader, Headers, Method, Request, Response, Uri, Version};
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::{make_tag, make_uuid_v4};

use super::message::{self, Identity};
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
    local_sequence: u32,
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
            local_sequence: 0,
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
            remote: format!("<{target}>"),
            remote_tag: None,
            target,
            routes: Vec::new(),
            local_sequence: 0,
            remote_sequence: None,
        })
    }

    /// The name by which requests inside this dialog are found.
    pub(super) fn key(&self) -> DialogKey {
        (self.call_id.clone(), self.local_tag.clone())
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
            local_sequence: self.local_sequence,
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

    /// The next request of this dialog; nothing when the stack has no address to put into Via.
    pub(super) fn request(
        &mut self,
        endpoint: &EndpointInnerRef,
        identity: &Identity,
        method: Method,
        extra: &[Header],
        sdp: Option<&str>,
    ) -> Option<Request> {
        self.local_sequence += 1;
        let via = endpoint.get_via(None, None).ok()?;
        let mut headers = Headers::default();
        headers.push(SipHeader::Via(via.into()));
        headers.push(SipHeader::MaxForwards(70.into()));
        headers.extend(self.routes.iter().map(|route| SipHeader::Route(route.clone().into())).collect());
        headers.push(SipHeader::From(self.local.clone().into()));
        headers.push(SipHeader::To(self.remote.clone().into()));
        headers.push(SipHeader::CallId(self.call_id.clone().into()));
        headers.push(SipHeader::CSeq(format!("{} {method}", self.local_sequence).into()));
        headers.push(SipHeader::Contact(identity.contact.clone().into()));
        message::add_common(&mut headers, identity, extra, sdp.is_some());
        let body = sdp.map(|sdp| sdp.as_bytes().to_vec()).unwrap_or_default();
        headers.push(SipHeader::ContentLength(message::content_length(&body).into()));
        Some(Request { method, uri: self.target.clone(), version: Version::V2, headers, body })
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

fn contact(message: &impl HeadersExt) -> Option<Uri> {
    let uri = message.typed_contact_headers().ok()?.into_iter().next()?.uri;
    (!uri.host_with_port.to_string().is_empty()).then_some(uri)
}

fn route_set(message: &impl HeadersExt) -> Vec<String> {
    message
        .record_route_headers()
        .into_iter()
        .flat_map(|header| RecordRoute::parse_header_list(header.value()).unwrap_or_default())
        .map(|route| format!("<{}>", route.uri))
        .take(ROUTES_MAX)
        .collect()
}

fn sequence(request: &Request) -> Option<u32> {
    request.cseq_header().ok()?.typed().ok().map(|cseq| cseq.seq)
}
