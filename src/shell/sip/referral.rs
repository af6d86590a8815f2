//! The headers of REFER and of taking over a dialog: Refer-To with the headers in its URI, Replaces both ways.
//!
//! RFC 3515, RFC 3891; what a far end may put into a request of ours is a short list.

use rsipstack::sip::Request;
use rsipstack::sip::prelude::HeadersExt;

use super::message;
use crate::control::Header;

/// What a REFER asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Referral {
    /// Whom to call, without headers and method.
    pub(super) uri: String,
    /// What the INVITE carries: headers of the URI, and Referred-By.
    pub(super) headers: Vec<Header>,
    /// Whether the far end wants no NOTIFYs (RFC 4488).
    pub(super) quiet: bool,
}

/// Reads a REFER; nothing when it names no single SIP URI to be invited.
pub(super) fn referral(request: &Request) -> Option<Referral> {
    // Two of them are an error (RFC 3515 §2.4.1); a comma outside angle brackets would be a second one.
    let mut values = request.headers.iter().filter(|each| is_named(each.name(), "Refer-To", "r"));
    let value = values.next()?.value().to_owned();
    if values.next().is_some() {
        return None;
    }
    let address = message::name_and_address(&value)?;
    let inside = address.rsplit_once('<')?.1.strip_suffix('>')?;
    let (uri, asked) = inside.split_once('?').unwrap_or((inside, ""));
    let (uri, parameters) = uri.split_once(';').unwrap_or((uri, ""));
    let (kept, methods): (Vec<&str>, Vec<&str>) =
        parameters.split(';').filter(|each| !each.is_empty()).partition(|each| !each.starts_with("method="));
    let invites = methods.iter().all(|method| method.eq_ignore_ascii_case("method=INVITE"));
    let (scheme, place) = uri.split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    if !["sip", "sips"].contains(&scheme.as_str()) || !invites {
        return None;
    }
    let uri = format!("{scheme}:{place}");
    let uri = std::iter::once(uri.as_str()).chain(kept).collect::<Vec<_>>().join(";");

    let mut headers: Vec<Header> = asked.split('&').filter_map(asked_for).take(HEADERS_MAX).collect();
    if headers.iter().any(|each| each.name.eq_ignore_ascii_case("Replaces")) {
        // Who cannot replace must not begin a new call instead (RFC 3891 §4).
        headers.push(Header { name: "Require".to_owned(), value: "replaces".to_owned() });
    }
    let by = request.headers.iter().find(|each| is_named(each.name(), "Referred-By", "b"));
    if let Some(by) = by.filter(|by| message::is_clean(by.value()) && by.value().len() <= VALUE_OCTETS_MAX) {
        headers.push(Header { name: "Referred-By".to_owned(), value: by.value().to_owned() });
    }
    let quiet = request.header_value("Refer-Sub").is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
    Some(Referral { uri, headers, quiet })
}

/// Which dialog an INVITE is to take over (RFC 3891 §6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replaces {
    pub(super) call_id: String,
    pub(super) to_tag: String,
    pub(super) from_tag: String,
}

impl Replaces {
    /// As the value of a header.
    pub(super) fn value(&self) -> String {
        format!("{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)
    }

    /// From the value of a header; for `early-only` see `is_early_only`.
    pub(super) fn read(value: &str) -> Option<Replaces> {
        let (call_id, parameters) = value.split_once(';')?;
        let tag = |wanted: &str| {
            parameters.split(';').find_map(|each| {
                let (name, tag) = each.split_once('=')?;
                name.trim().eq_ignore_ascii_case(wanted).then(|| tag.trim().to_owned())
            })
        };
        Some(Replaces { call_id: call_id.trim().to_owned(), to_tag: tag("to-tag")?, from_tag: tag("from-tag")? })
    }
}

/// The Replaces header of an INVITE, when it has one; `Err` when it cannot be read or there are two.
pub(super) fn replaces(request: &Request) -> Result<Option<Replaces>, ()> {
    let mut values = request.headers.iter().filter(|each| each.name().eq_ignore_ascii_case("Replaces"));
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Replaces::read(value.value()).map(Some).ok_or(()),
        (Some(_), Some(_)) => Err(()),
    }
}

/// Whether a Replaces is only for a dialog that has not been answered (RFC 3891 §6.1).
pub(super) fn is_early_only(request: &Request) -> bool {
    let mut values = request.headers.iter().filter(|each| each.name().eq_ignore_ascii_case("Replaces"));
    values.any(|each| each.value().split(';').skip(1).any(|word| word.trim().eq_ignore_ascii_case("early-only")))
}

/// One `name=value` of a URI's headers, when a far end may ask for it.
fn asked_for(pair: &str) -> Option<Header> {
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (unescaped(name)?, unescaped(value)?);
    let lower = name.to_ascii_lowercase();
    let may =
        matches!(&*lower, "replaces" | "user-to-user") || lower.starts_with("x-") && !lower.starts_with("x-calmline-");
    (may && message::is_clean(&value) && value.len() <= VALUE_OCTETS_MAX).then_some(Header { name, value })
}

/// `text` with `%41` as `A`; nothing when that is no text.
fn unescaped(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| after.get(..2)).flatten();
        match escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()) {
            Some(octet) => {
                octets.push(octet);
                rest = &after[2..];
            }
            None if first == b'%' => return None,
            None => {
                octets.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(octets).ok()
}

fn is_named(name: &str, long: &str, short: &str) -> bool {
    name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short)
}

/// The most headers of a URI that are taken over.
const HEADERS_MAX: usize = 8;
/// The longest value that is taken over.
const VALUE_OCTETS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rsipstack::sip::SipMessage;

    use super::*;

    fn refer(headers: &str) -> Option<Referral> {
        let text = format!(
            "REFER sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKx\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\
             Call-ID: x\r\nCSeq: 1 REFER\r\nMax-Forwards: 70\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        match SipMessage::try_from(text.as_bytes()) {
            Ok(SipMessage::Request(request)) => referral(&request),
            _ => None,
        }
    }

    #[test]
    fn blind_and_attended() {
        let plain = refer("Refer-To: \"Queue\" <sip:700@pbx;user=phone;method=INVITE>\r\n").expect("a REFER");
        assert_eq!((plain.uri.as_str(), plain.headers.len(), plain.quiet), ("sip:700@pbx;user=phone", 0, false));
        for (target, uri) in [("SIP:a@b", "sip:a@b"), ("sips:700@pbx;user=phone", "sips:700@pbx;user=phone")] {
            assert_eq!(refer(&format!("Refer-To: <{target}>\r\n")).expect("a REFER").uri, uri);
        }
        let attended = refer(
            "Refer-To: <sip:7@pbx?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&X-Account=9&Via=evil&X-Calmline-Call=1>\r\n\
             Referred-By: <sip:agent@pbx>\r\nRefer-Sub: false\r\n",
        )
        .expect("a REFER");
        let headers: Vec<String> =
            attended.headers.iter().map(|each| format!("{}: {}", each.name, each.value)).collect();
        let replaces = "a@b;to-tag=1;from-tag=2";
        assert_eq!(
            headers,
            [&format!("Replaces: {replaces}"), "X-Account: 9", "Require: replaces", "Referred-By: <sip:agent@pbx>"]
        );
        assert!(attended.quiet);
        assert_eq!(Replaces::read(replaces).expect("well-formed").value(), replaces);
    }

    #[test]
    fn what_is_refused() {
        for headers in [
            "",
            "Refer-To: nobody\r\n",
            "Refer-To: <tel:+4930>\r\n",
            "Refer-To: <sip:a@b;method=BYE>\r\n",
            "Refer-To: <sip:a@b>\r\nRefer-To: <sip:c@d>\r\n",
        ] {
            assert_eq!(refer(headers), None, "{headers}");
        }
        for value in ["", "a", "a;to-tag=1", "a;from-tag=1;to-tag"] {
            assert_eq!(Replaces::read(value), None, "{value}");
        }
    }

    proptest! {
        /// Whatever stands in a Refer-To: no header that comes of it leaves its line.
        #[test]
        fn any_refer_to_is_taken(value in "[ -~]{0,80}", escaped in "(%[0-9a-fA-F]{2}|[a-z=&-]){0,30}") {
            for value in [value, format!("<sip:a@b?{escaped}>"), format!("<sip:a@b?x-a={escaped}>")] {
                for header in refer(&format!("Refer-To: {value}\r\n")).into_iter().flat_map(|refer| refer.headers) {
                    prop_assert!(message::is_clean(&header.value));
                }
            }
        }
    }
}
