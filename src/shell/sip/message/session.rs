//! What messages say of session timers (RFC 4028) and of provisional responses that must arrive (RFC 3262).

use rsipstack::sip::headers::make_header;
use rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
use rsipstack::sip::{Header as SipHeader, Headers, Request, Response};

use crate::control::{Refresher, SessionTerms};

/// What a message says of the session timer.
pub(in crate::shell::sip) fn terms(message: &impl HeadersExt) -> SessionTerms {
    let expires = message.session_expires_header().map(|header| header.value().to_owned()).unwrap_or_default();
    let mut parts = expires.split(';').map(str::trim);
    let interval_s = parts.next().and_then(|seconds| seconds.parse().ok());
    let refresher = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        match (name.trim().eq_ignore_ascii_case("refresher"), value.trim().to_ascii_lowercase().as_str()) {
            (true, "uac") => Some(Refresher::Uac),
            (true, "uas") => Some(Refresher::Uas),
            _ => None,
        }
    });
    let (supported, takes_update) = (knows(message, "timer"), takes(message, "UPDATE"));
    SessionTerms { supported, interval_s, refresher, least_s: least_interval_s(message), takes_update }
}

/// The shortest session interval that the far end agrees to, seconds: Min-SE. At most a day.
pub(in crate::shell::sip) fn least_interval_s(message: &impl HeadersExt) -> Option<u32> {
    let value = message.header_value("Min-SE")?;
    value.split(';').next()?.trim().parse().ok().filter(|seconds| *seconds <= 86_400)
}

/// Puts another session interval into an INVITE, which is sent again under the next number.
pub(in crate::shell::sip) fn ask_for(headers: &mut Headers, interval_s: u32, number: u32) {
    let kept =
        |header: &SipHeader| !["session-expires", "min-se"].contains(&header.name().to_ascii_lowercase().as_str());
    let mut changed: Vec<SipHeader> = headers.iter().filter(|header| kept(header)).cloned().collect();
    for header in &mut changed {
        if let SipHeader::CSeq(value) = header {
            *value = format!("{number} INVITE").into();
        }
    }
    changed.extend(["Session-Expires", "Min-SE"].map(|name| make_header(name, interval_s.to_string())));
    *headers = changed.into();
}

/// Whether the sender names an extension as supported or required.
pub(in crate::shell::sip) fn knows(message: &impl HeadersExt, extension: &str) -> bool {
    message.header_contains_token("Supported", extension) || message.header_contains_token("Require", extension)
}

/// Whether Allow names a method.
fn takes(message: &impl HeadersExt, method: &str) -> bool {
    let methods = message.headers().iter().filter_map(|header| match header {
        SipHeader::Allow(value) => Some(value.value()),
        _ => None,
    });
    methods.flat_map(|value| value.split(',')).any(|named| named.trim() == method)
}

/// The number of a provisional response that wants a PRACK (RFC 3262 §4), and that of the INVITE.
pub(in crate::shell::sip) fn reliable_number(response: &Response) -> Option<(u32, u32)> {
    if !response.header_contains_token("Require", "100rel") {
        return None;
    }
    let invite = response.cseq_header().ok()?.typed().ok()?.seq;
    Some((response.rseq_value()?, invite))
}

/// What a PRACK acknowledges: the response's number and the INVITE's (RFC 3262 §7.2).
pub(in crate::shell::sip) fn acknowledged(request: &Request) -> Option<(u32, u32)> {
    let value = request.headers.iter().find_map(|header| match header {
        SipHeader::RAck(value) => Some(value.value().to_owned()),
        _ => None,
    })?;
    let mut words = value.split_whitespace();
    let (response, invite, method) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
    (method == "INVITE" && words.next().is_none()).then_some((response, invite))
}
