//! Builds and reads SIP messages in the words of call control: headers, bodies, tags, sipfrags.
//!
//! Knows no dialog and no transaction, sends nothing.

pub(super) mod session;

use std::time::Duration;

use forks::{multipart, siprec};
use rsipstack::sip::headers::make_header;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Header as SipHeader, Headers, Request, Response, SipMessage, StatusCode, Version};

use crate::control::{Description, Header};
use crate::quoted::after_quote;

/// The methods we answer with something else than 405.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, MESSAGE, NOTIFY, REFER";

/// The extensions an INVITE may require of us.
const EXTENSIONS: [&str; 4] = ["timer", "100rel", "replaces", SIPREC];

/// What a REFER may require besides (RFC 4488 §8).
const NO_SUBSCRIPTION: &str = "norefersub";

/// The option tag of recording sessions (RFC 7866 §8.1).
const SIPREC: &str = "siprec";

/// What Via and Contact add to a request of ours, at most, bytes.
const STAMP_BYTES: usize = 250;

/// Max-Forwards of a request that says nothing (RFC 3261 §8.1.1.6).
pub(super) const HOPS_MAX: u8 = 70;

/// The media type of an offer or answer.
const SDP: &str = "application/sdp";

/// The bodies we read.
pub(super) const ACCEPT: &str = "application/sdp, multipart/mixed, application/rs-metadata+xml";

/// What a response says, apart from what it copies from its request.
#[derive(Default)]
pub(super) struct Reply<'a> {
    /// Status code, 100-699.
    pub(super) code: u16,
    /// Reason phrase; the standard one when empty.
    pub(super) reason: &'a str,
    /// Headers to add; those that the stack owns are left out.
    pub(super) headers: &'a [Header],
    /// Offer or answer.
    pub(super) sdp: Option<&'a str>,
    /// Where the sender of the request is sent instead (3xx).
    pub(super) contact: Option<&'a str>,
}

impl Reply<'_> {
    /// A response with nothing but its code.
    pub(super) fn code(code: u16) -> Self {
        Self { code, ..Self::default() }
    }
}

/// The response to `request`, with `tag` in To when the request has none there.
pub(super) fn response(request: &Request, tag: &str, identity: &Identity, reply: &Reply<'_>) -> Response {
    let mut headers = Headers::default();
    for header in request.headers.iter() {
        match header {
            SipHeader::Via(_) | SipHeader::From(_) | SipHeader::CallId(_) | SipHeader::CSeq(_) => {
                headers.push(header.clone());
            }
            SipHeader::RecordRoute(_) if reply.code < 300 => headers.push(header.clone()),
            SipHeader::To(to) => headers.push(SipHeader::To(with_tag(to.value(), tag).into())),
            _ => {}
        }
    }
    if reply.code < 300 {
        // A recording server says that it is one (RFC 7866 §6.2).
        let feature = if is_from_recording_client(request) { ";+sip.srs" } else { "" };
        headers.push(SipHeader::Contact(format!("{}{feature}", identity.contact).into()));
    }
    if let Some(uri) = reply.contact.filter(|uri| is_clean(uri)) {
        headers.push(SipHeader::Contact(format!("<{uri}>").into()));
    }
    add_common(&mut headers, &identity.user_agent, reply.headers, reply.sdp.is_some());
    let body = reply.sdp.map(|sdp| sdp.as_bytes().to_vec()).unwrap_or_default();
    headers.push(SipHeader::ContentLength(content_length(&body).into()));
    Response { status_code: status(reply.code, reply.reason), wire_reason: None, version: Version::V2, headers, body }
}

/// Who we say we are to one far end.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The Contact header's value, reachable from outside.
    pub(super) contact: String,
    /// The User-Agent header's value.
    pub(super) user_agent: String,
}

/// Adds what requests and responses have in common: who we are, what we can, what call control wants said.
pub(super) fn add_common(headers: &mut Headers, user_agent: &str, extra: &[Header], sdp: bool) {
    headers.push(SipHeader::Allow(ALLOW.into()));
    headers.push(SipHeader::Supported(EXTENSIONS.join(", ").into()));
    headers.push(SipHeader::UserAgent(user_agent.into()));
    for header in extra.iter().filter(|header| may_send(header)) {
        headers.push(make_header(&header.name, header.value.clone()));
    }
    if sdp {
        headers.push(SipHeader::ContentType(SDP.into()));
    }
}

/// The Content-Length of a body.
pub(super) fn content_length(body: &[u8]) -> u32 {
    u32::try_from(body.len()).unwrap_or(u32::MAX)
}

/// The status line's content; the reason phrase is the standard one when `reason` is empty.
fn status(code: u16, reason: &str) -> StatusCode {
    if reason.is_empty() || !is_clean(reason) {
        return StatusCode::from(code);
    }
    StatusCode::Other(code, reason.to_owned())
}

/// Gives a request that has no body one.
pub(super) fn set_body(request: &mut Request, content_type: &str, text: &str) {
    request.body = text.as_bytes().to_vec();
    request.headers.unique_push(SipHeader::ContentType(content_type.to_owned().into()));
    request.headers.unique_push(SipHeader::ContentLength(content_length(&request.body).into()));
}

/// A status line as the body of a NOTIFY has it; the phrase is the standard one when `reason` is empty.
pub(super) fn status_line_of(code: u16, reason: &str) -> String {
    let status = status(code, reason);
    format!("SIP/2.0 {} {}\r\n", status.code(), status.text())
}

/// The code and phrase of a response as they stood on the wire.
pub(super) fn code_and_reason(response: &Response) -> (u16, String) {
    let reason = response.wire_reason.clone().unwrap_or_else(|| response.status_code.text().to_owned());
    (response.status_code.code(), reason)
}

/// What of a body is of use to us.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// An offer or answer: of a multipart body, the first part that is one (RFC 5621).
    pub(super) sdp: Option<Description>,
    /// The metadata of a recording session (RFC 7866 §9.1).
    pub(super) metadata: Option<Description>,
}

impl Body {
    /// Reads a body of one part or several, in any order. What cannot be read is left out.
    pub(super) fn read(headers: &Headers, body: &[u8]) -> Body {
        let content_type = headers.iter().find_map(|header| match header {
            SipHeader::ContentType(value) => Some(value.value().trim().to_owned()),
            _ => None,
        });
        let Some(content_type) = content_type.filter(|_| !body.is_empty()) else { return Body::default() };
        let parts = multipart::parts(&content_type, body).unwrap_or_else(|error| {
            tracing::debug!(%error, "a body that cannot be read");
            Vec::new()
        });
        let mut found = Body::default();
        for part in parts {
            if part.media_type == SDP {
                let text = std::str::from_utf8(part.content).ok().map(Description::from);
                found.sdp = found.sdp.or(text);
            } else if siprec::MEDIA_TYPES.contains(&part.media_type.as_str()) || part.disposition == siprec::DISPOSITION
            {
                found.metadata.get_or_insert_with(|| String::from_utf8_lossy(part.content).into_owned().into());
            }
        }
        found
    }
}

/// The offer or answer in a body.
pub(super) fn sdp(headers: &Headers, body: &[u8]) -> Option<Description> {
    Body::read(headers, body).sdp
}

/// Whether a request comes from a recording client (RFC 7866 §6.1), whose metadata may be missing.
pub(super) fn is_from_recording_client(request: &Request) -> bool {
    let is_client = |header: &SipHeader| match header {
        SipHeader::Require(value) => value.value().split(',').any(|tag| tag.trim().eq_ignore_ascii_case(SIPREC)),
        SipHeader::Contact(value) => value.value().to_ascii_lowercase().contains(";+sip.src"),
        _ => false,
    };
    request.headers.iter().any(is_client)
}

/// The headers of an INVITE that are not about transaction, dialog or body.
pub(super) fn pass_through(headers: &Headers) -> Vec<Header> {
    headers
        .iter()
        .filter(|header| !is_private(header.name()))
        .map(|header| Header { name: header.name().to_owned(), value: header.value().trim().to_owned() })
        .collect()
}

/// The extensions that `request` requires and we lack, as a list for Unsupported.
pub(super) fn unknown_extensions(request: &Request) -> Option<String> {
    let is_known = |tag: &str| EXTENSIONS.iter().chain([&NO_SUBSCRIPTION]).any(|known| known.eq_ignore_ascii_case(tag));
    let unknown: Vec<&str> = request
        .headers
        .iter()
        .filter_map(|header| match header {
            SipHeader::Require(value) => Some(value.value()),
            _ => None,
        })
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|tag| !tag.is_empty() && !is_known(tag))
        .collect();
    (!unknown.is_empty()).then(|| unknown.join(", "))
}

/// Max-Forwards of what is sent on because of `request` (RFC 3261 §16.6); nothing when it must go no further.
pub(super) fn hops_left(request: &Request) -> Option<u8> {
    let said = request.max_forwards_header().ok().and_then(|header| header.value().trim().parse::<u8>().ok());
    said.unwrap_or(HOPS_MAX).min(HOPS_MAX).checked_sub(1)
}

/// How long a request will be on the wire once Via and Contact are in it, bytes.
pub(super) fn bytes_sent(request: &Request) -> usize {
    SipMessage::Request(request.clone()).to_bytes().len() + STAMP_BYTES
}

/// Whether a request is for somebody who comes before others: an emergency (RFC 3261 §20.26), or a priority of a
/// network (RFC 4412) that is not the ordinary one.
pub(super) fn is_pressing(request: &Request) -> bool {
    let is_emergency = |value: String| value.trim().eq_ignore_ascii_case("emergency");
    let ranks = request.header_value("Resource-Priority").unwrap_or_default();
    let mut ranks = ranks.split(',').map(str::trim).filter(|rank| !rank.is_empty());
    request.header_value("Priority").is_some_and(is_emergency)
        || ranks.any(|rank| !rank.to_ascii_lowercase().ends_with(".routine"))
}

/// How long a server asks to be left alone, when it says so (RFC 3261 §20.33); what follows the number does not matter.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.header_value("Retry-After")?;
    let digits = value.trim().split(|each: char| !each.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().ok().map(Duration::from_secs).filter(|time| !time.is_zero())
}

/// What a NOTIFY about a REFER says (RFC 3515).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sipfrag {
    /// Status code of the referred request.
    pub(super) code: u16,
    /// Its reason phrase.
    pub(super) reason: String,
    /// True when the subscription ends with it.
    pub(super) last: bool,
}

/// Reads a NOTIFY of the `refer` package; nothing when it is of another package or says nothing.
///
/// A subscription that ends without a status line counts as 408: nobody will tell the outcome any more.
pub(super) fn sipfrag(request: &Request) -> Option<Sipfrag> {
    let event = request.header_value("Event")?;
    if !event.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("refer") {
        return None;
    }
    let state = request.header_value("Subscription-State").unwrap_or_default();
    let last = state.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("terminated");
    let body = String::from_utf8_lossy(&request.body);
    match body.lines().find_map(status_line) {
        Some((code, reason)) => Some(Sipfrag { code, reason, last }),
        None => last.then(|| Sipfrag { code: 408, reason: format!("no status, {state}"), last }),
    }
}

fn status_line(line: &str) -> Option<(u16, String)> {
    let rest = line.trim().strip_prefix("SIP/2.0 ")?.trim();
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let code = code.parse().ok().filter(|code| (100..700).contains(code))?;
    Some((code, reason.trim().to_owned()))
}

/// A From or To value without its parameters: display name and URI in angle brackets.
///
/// Nothing when there is no URI in it.
pub(super) fn name_and_address(value: &str) -> Option<String> {
    let value = value.trim();
    if !is_clean(value) {
        return None;
    }
    let after_name = match value.strip_prefix('"') {
        Some(quoted) => value.len() - after_quote(quoted)?.len(),
        None => 0,
    };
    match value[after_name..].find('<') {
        Some(open) => {
            let close = value[after_name + open..].find('>')?;
            Some(value[..=after_name + open + close].to_owned())
        }
        None if after_name == 0 && value.contains(':') => {
            Some(format!("<{}>", value.split(';').next().unwrap_or_default().trim()))
        }
        None => None,
    }
}

/// `value` with `tag` appended, unless it has one.
pub(super) fn with_tag(value: &str, tag: &str) -> String {
    match tag_of(value) {
        Some(_) => value.to_owned(),
        None => format!("{value};tag={tag}"),
    }
}

/// The tag parameter of a From or To value.
pub(super) fn tag_of(value: &str) -> Option<String> {
    let parameters = match value.rfind('>') {
        Some(close) => &value[close + 1..],
        None => value,
    };
    parameters.split(';').skip(1).find_map(|parameter| {
        let (name, tag) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("tag").then(|| tag.trim().to_owned())
    })
}

/// False for text that would break out of its header line.
pub(super) fn is_clean(text: &str) -> bool {
    !text.chars().any(|character| character.is_control() && character != '\t')
}

fn may_send(header: &Header) -> bool {
    let is_token = !header.name.is_empty()
        && header.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte));
    is_token && is_clean(&header.value) && !is_owned(&header.name)
}

/// Whether an operator may have a header added to our INVITEs: its name is one, and not one of those that SIP needs.
pub fn may_set(name: &str, value: &str) -> bool {
    may_send(&Header { name: name.to_owned(), value: value.to_owned() }) && !is_private(name)
}

/// Headers that this side writes itself, whatever call control says.
fn is_owned(name: &str) -> bool {
    const OWNED: [&str; 20] = [
        "via",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "max-forwards",
        "route",
        "record-route",
        "allow",
        "supported",
        "user-agent",
        "v",
        "f",
        "t",
        "i",
        "m",
        "l",
        "c",
        "k",
    ];
    let name = name.to_ascii_lowercase();
    OWNED.contains(&name.as_str()) || is_hop_secret(&name) || name.starts_with("content-")
}

/// Headers of an INVITE that call control has no business with.
fn is_private(name: &str) -> bool {
    const PRIVATE: [&str; 24] = [
        "via",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "max-forwards",
        "route",
        "record-route",
        "allow",
        "allow-events",
        "supported",
        "require",
        "unsupported",
        "session-expires",
        "min-se",
        "mime-version",
        "rseq",
        "rack",
        "timestamp",
        "path",
        "service-route",
        "accept",
        "session-id",
    ];
    let name = name.to_ascii_lowercase();
    PRIVATE.contains(&name.as_str())
        || is_hop_secret(&name)
        || name.starts_with("content-")
        || name.starts_with("accept-")
}

/// Credentials and challenges, which are for one hop only.
fn is_hop_secret(lower_case_name: &str) -> bool {
    lower_case_name.starts_with("proxy-")
        || ["authorization", "www-authenticate", "authentication-info"].contains(&lower_case_name)
}

/// A SIP URI that asks for `headers` in the request made from it (RFC 3261 §19.1.1), so that a far end that follows a
/// REFER carries them on.
pub(super) fn with_headers(uri: &str, headers: &[Header]) -> String {
    let mut text = uri.to_owned();
    for Header { name, value } in headers {
        text.push(if text.contains('?') { '&' } else { '?' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
