//! Reads and writes SIP URIs (RFC 3261 §19.1.1) whose user holds what numbers are given along with: `;`, `?`, escapes.
//!
//! The stack's reader ends the host at the first `;`, though it may stand in the user, and its writer escapes every `%`
//! once more. In what either of us has read, the user stands as it came.

use rsipstack::sip::{Auth, Domain, Host, HostWithPort, Uri};

use crate::quoted::{after_quote, parts};
use crate::settings::user_end;

/// A URI from its text; of other schemes than ours, as the stack reads it.
pub(super) fn read(text: &str) -> Option<Uri> {
    let text = text.trim();
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let is_sip = ["sip", "sips"].iter().any(|sip| sip.eq_ignore_ascii_case(scheme));
    let (user, host) = rest.split_at(if is_sip { user_end(rest) } else { 0 });
    let Some(user) = user.strip_suffix('@') else { return Uri::try_from(text).ok() };
    let without = Uri::try_from(format!("{scheme}:{host}")).ok()?;
    Some(Uri { auth: Some(Auth::from(user)), ..without })
}

/// The text of a URI that was read here or by the stack: escapes stay, and what may not stand in a user is escaped.
pub(super) fn text(uri: &Uri) -> String {
    let Some(auth) = &uri.auth else { return uri.to_string() };
    let scheme = uri.scheme.as_ref().map_or_else(String::new, |scheme| format!("{scheme}:"));
    let behind_user = Uri { scheme: None, auth: None, ..uri.clone() };
    format!("{scheme}{}{behind_user}", userinfo(auth))
}

/// The same URI for the start line of a request, which the stack writes: it comes out as `text` has it.
pub(super) fn spelled(uri: &Uri) -> Uri {
    let text = text(uri);
    let read = read(&text).unwrap_or_else(|| uri.clone());
    let Some(auth) = read.auth.as_ref().filter(|_| read.to_string() != text) else { return read };
    // A host is written as it stands.
    let HostWithPort { host, port } = &read.host_with_port;
    let host = Host::Domain(Domain(format!("{}{host}", userinfo(auth))));
    Uri { auth: None, host_with_port: HostWithPort { host, port: *port }, ..read }
}

/// The URIs of a list of names and addresses, as they are written, up to where it cannot be read.
pub(super) fn listed(list: &str) -> Vec<&str> {
    let (mut uris, mut rest) = (Vec::new(), list.trim());
    while !rest.is_empty() {
        let Some((uri, next)) = next_address(rest) else { break };
        uris.push(uri);
        rest = next;
    }
    uris
}

/// The first URI of a list, and the list behind it.
fn next_address(list: &str) -> Option<(&str, &str)> {
    let unnamed = match list.strip_prefix('"') {
        Some(quoted) => after_quote(quoted)?,
        None => list,
    };
    let end = unnamed.find(['<', ',', '"']).unwrap_or(unnamed.len());
    let (uri, behind) = match unnamed[end..].strip_prefix('<') {
        Some(bracketed) => bracketed.split_once('>')?,
        // Without brackets, what follows a semicolon belongs to the header (RFC 3261 §20.10).
        None => (unnamed[..end].split(';').next().unwrap_or_default(), unnamed),
    };
    let parameters = parts(behind, ',').next().unwrap_or_default();
    Some((uri.trim(), behind.get(parameters.len() + 1..).unwrap_or_default().trim_start()))
}

/// What stands before the host, with its `@`.
fn userinfo(Auth { user, password }: &Auth) -> String {
    let password = password.as_ref().map_or_else(String::new, |password| format!(":{}", escaped(password)));
    format!("{}{password}@", escaped(user))
}

/// A user or password whose escapes stay as they are; what may not stand there is escaped (RFC 3261 §25.1).
fn escaped(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for (at, byte) in part.bytes().enumerate() {
        let digits = part.as_bytes().get(at + 1..at + 3);
        let is_escape = byte == b'%' && digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) || is_escape {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn users_hold_what_their_numbers_are_given_along_with() {
        for (written, user, host) in [
            ("sip:+1415;verstat=Passed@sip.carrier.example;user=phone", "+1415;verstat=Passed", "sip.carrier.example"),
            ("sip:415;npdi;rn=+1400@192.0.2.1:5070", "415;npdi;rn=+1400", "192.0.2.1:5070"),
            ("sips:7;phone-context=a.example@[2001:db8::1]:5061", "7;phone-context=a.example", "[2001:db8::1]:5061"),
            ("sip:what?now@pbx.example", "what?now", "pbx.example"),
            ("sip:alice%40example.com@10.0.0.1", "alice%40example.com", "10.0.0.1"),
            ("sip:%23100@pbx", "%23100", "pbx"),
            ("sip:li:secret@pbx", "li", "pbx"),
            ("sip:pbx.example;lr", "", "pbx.example"),
            ("sip:li@pbx;x=y@z", "li", "pbx"),
        ] {
            let read = read(written).expect(written);
            let found = (read.user().unwrap_or_default(), read.host_with_port.to_string());
            assert_eq!(found, (user, host.to_owned()), "{written}");
            assert_eq!(text(&read), written);
            assert_eq!(spelled(&read).to_string(), written);
            // The stack has read what comes in, and the Contact that an ACK goes to.
            let by_the_stack = Uri::try_from(written).expect(written);
            assert_eq!(spelled(&by_the_stack).to_string().trim_end_matches('='), written);
        }
    }

    #[test]
    fn what_may_not_stand_in_a_user_is_escaped_once() {
        for (written, expected) in [
            ("sip:#100@pbx", "sip:%23100@pbx"),
            ("sip:50%@pbx", "sip:50%25@pbx"),
            ("sip:li@home@pbx", "sip:li%40home@pbx"),
            ("sip:李@pbx", "sip:%E6%9D%8E@pbx"),
        ] {
            let read = read(written).expect(written);
            assert_eq!((text(&read).as_str(), spelled(&read).to_string().as_str()), (expected, expected));
        }
        for none in ["", "sip:", "sip:li@", "sip:li@;x=y", "sip:li;x=y@"] {
            assert!(read(none).is_none(), "{none}");
        }
    }

    #[test]
    fn lists_are_cut_where_an_address_ends() {
        for (list, expected) in [
            (
                "<sip:a;b@c;lr>, <sip:d,e@f>;x=\"g, h\" ,\"I, <J>\" <sip:k@l>",
                &["sip:a;b@c;lr", "sip:d,e@f", "sip:k@l"][..],
            ),
            ("sip:a@b;x=y, Li Wei <sip:c@d>", &["sip:a@b", "sip:c@d"]),
            ("*", &["*"]),
            ("<sip:a@b>, <sip:c", &["sip:a@b"]),
            ("\"a", &[]),
            ("", &[]),
        ] {
            assert_eq!(listed(list), expected, "{list}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(any in "(sips?:)?\\PC{0,20}[@;?:%]?\\PC{0,20}[@;?]?\\PC{0,20}") {
            let _ = listed(&any);
            if let Some(uri) = read(&any) {
                let once = spelled(&uri).to_string();
                // Blanks and angle brackets at either end go.
                if !any.contains(|each: char| each.is_whitespace() || "<>".contains(each)) {
                    prop_assert_eq!(once, text(&uri));
                }
            }
        }

        #[test]
        fn what_is_well_formed_is_printed_as_it_was_read(
            written in "sips?:([a-zA-Z0-9;?=+$,/_.!*'()-]|%[0-9A-F]{2}){1,20}@[a-z]{1,8}(:506[0-9])?(;[a-z]{4}=[a-z]{1,4})?",
        ) {
            let read = read(&written).expect("it is well formed");
            prop_assert_eq!(text(&read), written.as_str());
            prop_assert_eq!(spelled(&read).to_string(), written);
        }
    }
}
