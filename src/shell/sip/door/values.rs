//! Judges the headers that every message must have, and those that are dangerous when they are misread.
//!
//! Says what is wrong first; what the stack does not look at is not looked at here either.

use rsipstack::sip::{Host, Method, Uri};

use super::head::{Fault, Head, Start, is_token};
use crate::quoted::{after_quote, closes_its_quotes, parts};
use crate::shell::sip::message::tag_of;
use crate::shell::sip::uri;

/// Headers of which a message has at most one (RFC 3261 §20).
const SINGLE: [&str; 6] = ["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length"];
/// Headers without which nothing can be answered (RFC 3261 §8.1.1). Max-Forwards is younger than some phones.
const NEEDED: [&str; 5] = ["Via", "From", "To", "Call-ID", "CSeq"];
/// Headers made of a name and an address.
const ADDRESSES: [&str; 5] = ["From", "To", "Contact", "Route", "Record-Route"];
/// The largest sequence number (RFC 3261 §8.1.1.5).
const SEQUENCE_MAX: u64 = 1 << 31;

/// What is wrong with a message.
pub(super) fn check(head: &Head<'_>) -> Result<(), Fault> {
    for name in SINGLE {
        if values(head, name).count() > 1 {
            return Err(Fault::bad("a header twice that may stand only once"));
        }
    }
    for name in NEEDED {
        if values(head, name).all(str::is_empty) {
            return Err(Fault::bad("a header missing without which nothing can be answered"));
        }
    }
    check_via(head)?;
    check_sequence(head)?;
    // Only phones of RFC 2543 have none; nothing of a transaction or dialog could be told apart without it.
    if values(head, "From").next().is_none_or(|from| tag_of(from).is_none()) {
        return Err(Fault::bad("a From without a tag"));
    }
    check_method(head)?;
    if let Some(hops) = values(head, "Max-Forwards").next()
        && number(hops).is_none_or(|hops| hops > 255)
    {
        return Err(Fault::bad("a Max-Forwards beyond 255"));
    }
    for name in ADDRESSES {
        values(head, name).try_for_each(|value| check_addresses(name, value))?;
    }
    check_uri(head)
}

/// The values of the headers of one name.
pub(super) fn values<'a>(head: &'a Head<'_>, name: &'a str) -> impl Iterator<Item = &'a str> {
    head.headers.iter().filter(move |(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
}

/// What we cannot serve is answered 405 (RFC 3261 §8.2.1); methods are told apart by case (§7.1).
fn check_method(head: &Head<'_>) -> Result<(), Fault> {
    let Start::Request { method, .. } = head.start else { return Ok(()) };
    let is_known = method.parse::<Method>().is_ok_and(|known| known.to_string() == method);
    is_known.then_some(()).ok_or(Fault { code: 405, why: "a method that is not served" })
}

/// A URI of another kind than ours is answered 416 (RFC 3261 §8.2.2.1).
fn check_uri(head: &Head<'_>) -> Result<(), Fault> {
    let Start::Request { uri: text, .. } = head.start else { return Ok(()) };
    let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Err(Fault::bad("a request-URI without a scheme"));
    }
    if !["sip", "sips"].contains(&scheme.as_str()) {
        return Err(Fault { code: 416, why: "a request-URI of another scheme" });
    }
    // Headers behind the host would be put into requests by whoever follows it (RFC 3261 §19.1.1).
    let has_headers = uri::read(text).is_none_or(|uri| !uri.headers.is_empty());
    let is_visible_all = text.bytes().all(is_visible) && !text.contains(['<', '>', '"']);
    if has_headers || !is_visible_all || !is_sip_uri(text) {
        return Err(Fault::bad("a malformed request-URI"));
    }
    Ok(())
}

fn check_via(head: &Head<'_>) -> Result<(), Fault> {
    const FAULT: Fault = Fault::bad("a malformed Via");
    let top = values(head, "Via").next().ok_or(FAULT)?;
    // The stack reads on behind a quote that never closes, past the end of this value.
    if !closes_its_quotes(top) {
        return Err(FAULT);
    }
    let via = rsipstack::sip::typed::Via::parse(parts(top, ',').next().unwrap_or_default()).map_err(|_| FAULT)?;
    let host = via.uri.host_with_port.host.to_string();
    if host.is_empty() || host.contains([' ', '\t']) {
        return Err(FAULT);
    }
    let branch = via.branch().map(|branch| branch.value());
    if branch.is_some_and(|branch| branch.eq_ignore_ascii_case("z9hG4bK") || !branch.bytes().all(is_visible)) {
        return Err(Fault::bad("a branch that names no transaction"));
    }
    // `;;` and `;,` are parameters without a name (RFC 4475 §3.1.2.1).
    if parts(top, ';').skip(1).any(|parameter| parameter.trim_start().trim_start_matches(',').trim().is_empty()) {
        return Err(FAULT);
    }
    Ok(())
}

fn check_sequence(head: &Head<'_>) -> Result<(), Fault> {
    const FAULT: Fault = Fault::bad("a malformed CSeq");
    let value = values(head, "CSeq").next().ok_or(FAULT)?;
    let (sequence, named) = value.split_once([' ', '\t']).ok_or(FAULT)?;
    if number(sequence).is_none_or(|sequence| sequence >= SEQUENCE_MAX) || !is_token(named.trim()) {
        return Err(FAULT);
    }
    match head.start {
        Start::Request { method, .. } if method != named.trim() => {
            Err(Fault::bad("a CSeq that names another method than the request line"))
        }
        Start::Response { .. } if named.trim().parse::<Method>().is_err() => Err(FAULT),
        Start::Request { .. } | Start::Response { .. } => Ok(()),
    }
}

/// A list of names and addresses, or one where there can be one only.
fn check_addresses(name: &str, list: &str) -> Result<(), Fault> {
    if name == "Contact" && list == "*" {
        return Ok(());
    }
    let single = ["From", "To"].contains(&name);
    let mut rest = list;
    loop {
        rest = check_address(name, rest).ok_or(Fault::bad("a malformed name or address"))?;
        match rest.strip_prefix(',') {
            Some(next) if !single => rest = next,
            Some(_) => return Err(Fault::bad("more than one address where one may stand")),
            None => return Ok(()),
        }
    }
}

/// Checks the first name and address of a list; what follows it begins with a comma or is empty.
fn check_address<'a>(name: &str, list: &'a str) -> Option<&'a str> {
    let list = list.trim_start();
    let (quoted, list) = match list.strip_prefix('"') {
        Some(quoted) => (true, after_quote(quoted)?.trim_start()),
        None => (false, list),
    };
    let end = list.find(['<', ',', '"']).unwrap_or(list.len());
    if list[end..].starts_with('<') {
        // A name without quotes may be odd, as names are; a comma in it would make two addresses of one.
        let (uri, rest) = list[end + 1..].split_once('>')?;
        return is_address(name, uri).then_some(rest).and_then(|rest| check_parameters(rest.trim_start()));
    }
    if quoted || list[end..].starts_with('"') {
        return None;
    }
    // Without brackets, what follows a semicolon belongs to the header, and no question mark may stand in the URI
    // (RFC 3261 §20.10).
    let uri_end = list.find([';', ',']).unwrap_or(list.len());
    let uri = list[..uri_end].trim_end();
    let fits = is_address(name, uri) && !(uri.contains('?') && ["From", "To", "Contact"].contains(&name));
    fits.then_some(&list[uri_end..]).and_then(check_parameters)
}

/// Passes over `;name=value` parts; what follows them begins with a comma or is empty.
fn check_parameters(text: &str) -> Option<&str> {
    let mut rest = text.trim_start();
    while let Some(parameter) = rest.strip_prefix(';') {
        let parameter = parameter.trim_start();
        let name_end = parameter.find([';', ',', '=', '"']).unwrap_or(parameter.len());
        if !is_token(parameter[..name_end].trim_end()) {
            return None;
        }
        rest = &parameter[name_end..];
        if let Some(value) = rest.strip_prefix('=') {
            let value = value.trim_start();
            rest = match value.strip_prefix('"') {
                Some(quoted) => after_quote(quoted)?,
                None => &value[value.find([';', ',', '"']).unwrap_or(value.len())..],
            };
        }
        rest = rest.trim_start();
    }
    (rest.is_empty() || rest.starts_with(',')).then_some(rest)
}

/// A URI of any scheme. The stack must be able to read one of SIP, and whatever stands in From: without it, a request has
/// no transaction, and nobody would answer it.
fn is_address(name: &str, uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_sip = ["sip", "sips"].iter().any(|sip| sip.eq_ignore_ascii_case(scheme));
    let is_read = match name {
        _ if is_sip => is_sip_uri(uri),
        "From" => Uri::try_from(uri).is_ok(),
        _ => true,
    };
    is_scheme && !rest.is_empty() && uri.bytes().all(is_visible) && is_read
}

/// A URI with a host, which the stack reads too, if otherwise.
fn is_sip_uri(text: &str) -> bool {
    let Some(parsed) = uri::read(text).filter(|_| Uri::try_from(text).is_ok()) else { return false };
    let host = match parsed.host() {
        Host::Domain(domain) => domain.to_string(),
        Host::IpAddr(_) => return true,
    };
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn number(text: &str) -> Option<u64> {
    Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// Neither a blank nor a control character; what lies beyond ASCII is judged by who reads it.
fn is_visible(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}
