//! Sends a request again with credentials, when it is challenged (RFC 3261 §22, RFC 8760).

use rsipstack::sip::headers::make_header;
use rsipstack::sip::{Header as SipHeader, Request, Response};
use rsipstack::transaction::make_uuid_v4;

use super::digest::{Challenge, Credentials, Subject};
use super::uri;

/// `request`, which has no Via yet, with the answer to the challenge of `response`; nothing when it is none, or one that
/// `who` has answered in vain. `sequence` gives the next number.
pub(super) fn again(
    request: &Request,
    response: &Response,
    who: &Credentials,
    sequence: impl FnOnce() -> u32,
) -> Option<Request> {
    let (asks, answers) = match response.status_code.code() {
        401 => ("WWW-Authenticate", "Authorization"),
        407 => ("Proxy-Authenticate", "Proxy-Authorization"),
        _ => return None,
    };
    let values: Vec<String> = named(&response.headers, asks).map(|header| header.value().to_owned()).collect();
    let challenge = Challenge::first(values.iter().map(String::as_str))?;
    if named(&request.headers, answers).next().is_some() && !challenge.stale {
        return None;
    }
    let (method, uri) = (request.method.to_string(), uri::text(&request.uri));
    let answer = challenge.answer(who, Subject { method: &method, uri: &uri }, &make_uuid_v4());
    let mut headers: Vec<SipHeader> = Vec::new();
    let number = sequence();
    for header in request.headers.iter() {
        match header {
            SipHeader::CSeq(_) => headers.push(SipHeader::CSeq(format!("{number} {method}").into())),
            other if other.name().eq_ignore_ascii_case(answers) => {}
            other => headers.push(other.clone()),
        }
    }
    // Behind the headers of the dialog and before the body's.
    headers.insert(headers.len().saturating_sub(1), make_header(answers, answer));
    Some(Request { headers: headers.into(), ..request.clone() })
}

fn named<'a>(headers: &'a rsipstack::sip::Headers, name: &'a str) -> impl Iterator<Item = &'a SipHeader> {
    headers.iter().filter(move |header| header.name().eq_ignore_ascii_case(name))
}
