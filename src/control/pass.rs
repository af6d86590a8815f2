//! What a target gets to see of a caller: headers by rule, identity by trust (RFC 3323, RFC 3325), hosts by wish.
//!
//! Pure text; `setup` and `reroute` send it.

use std::borrow::Cow;
use std::net::IpAddr;

use super::Header;
use super::leg::header;
use crate::settings::{HeaderChanges, HeaderRules, user_end};

/// What may be shown of a caller's INVITE to somebody: bounded, clean, and changed as its route says.
pub(super) fn kept(headers: &[Header], changes: &HeaderChanges) -> Vec<Header> {
    let is_good = |each: &&Header| {
        !each.name.to_ascii_lowercase().starts_with("x-calmline-")
            && each.value.len() <= VALUE_BYTES_MAX
            && !each.value.contains(['\r', '\n', '\0'])
    };
    changed(headers.iter().filter(is_good).take(HEADERS_MAX).cloned().collect(), changes)
}

/// From and headers as the rules of one target let them pass; `host` stands for hosts that are hidden.
pub(super) fn shown(from: &str, headers: &[Header], rules: &HeaderRules, host: IpAddr) -> (String, Vec<Header>) {
    let is_hidden = !rules.trusted && wants_privacy(headers);
    let passes = |each: &&Header| {
        rules.pass.iter().any(|name| name.matches(&each.name)) && !(is_hidden && is_one_of(&each.name, &IDENTITIES))
    };
    let headers = headers.iter().filter(passes).map(|each| match rules.hides_hosts {
        true if is_one_of(&each.name, &IDENTITIES) => header(&each.name, without_hosts(&each.value, host)),
        _ => each.clone(),
    });
    let from = match (is_hidden, rules.hides_hosts) {
        (true, _) => ANONYMOUS.to_owned(),
        (false, true) => without_hosts(from, host),
        (false, false) => from.to_owned(),
    };
    (from, changed(headers.collect(), &rules.changes))
}

fn changed(mut headers: Vec<Header>, changes: &HeaderChanges) -> Vec<Header> {
    let is_set = |name: &str| changes.set.iter().any(|(set, _)| set.eq_ignore_ascii_case(name));
    headers.retain(|each| !is_set(&each.name) && !changes.drop.iter().any(|name| name.matches(&each.name)));
    headers.extend(changes.set.iter().map(|(name, value)| header(name, value)));
    headers
}

/// Whether the caller asks that others are not told who calls.
fn wants_privacy(headers: &[Header]) -> bool {
    let values = headers.iter().filter(|each| each.name.eq_ignore_ascii_case("Privacy"));
    let mut wishes = values.flat_map(|each| each.value.split([';', ',']));
    wishes.any(|wish| is_one_of(wish.trim(), &["id", "user", "header"]))
}

fn is_one_of(text: &str, all: &[&str]) -> bool {
    all.iter().any(|each| each.eq_ignore_ascii_case(text))
}

/// `value` with `host` in place of every host, and port, of a SIP URI in it.
fn without_hosts(value: &str, host: IpAddr) -> String {
    let shown: Cow<'_, str> = match host {
        IpAddr::V4(address) => address.to_string().into(),
        IpAddr::V6(address) => format!("[{address}]").into(),
    };
    let (mut hidden, mut rest) = (String::new(), value);
    while let Some(scheme) = next_scheme(rest) {
        let (before, uri) = rest.split_at(scheme);
        let uri_end = uri.find(|c: char| c == '>' || c == ',' || c.is_whitespace()).unwrap_or(uri.len());
        let (uri, after) = uri.split_at(uri_end);
        // Without brackets, what follows a semicolon belongs to the header, and none stands in the user.
        let address = if after.starts_with('>') { uri } else { uri.split([';', '?']).next().unwrap_or_default() };
        let (user, shows) = uri.split_at(user_end(address));
        let parameters = &shows[shows.find([';', '?']).unwrap_or(shows.len())..];
        hidden.extend([before, user, &shown, parameters]);
        rest = after;
    }
    hidden + rest
}

/// Where the next URI begins, behind its scheme.
fn next_scheme(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    ["sip:", "sips:"].iter().filter_map(|scheme| lower.find(scheme).map(|at| at + scheme.len())).min()
}

/// The headers that say who calls.
const IDENTITIES: [&str; 5] =
    ["P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Diversion", "History-Info"];
/// Who calls when that is hidden (RFC 3323 §4.1.1.3).
const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
/// The most headers that are kept of an INVITE.
const HEADERS_MAX: usize = 32;
/// The longest value that is kept, bytes.
const VALUE_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::settings::Pattern;

    const US: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const FROM: &str = "\"Li\" <sip:li@10.0.0.7:5062;user=phone>";

    fn caller() -> Vec<Header> {
        vec![
            header("X-Account", "7"),
            header("P-Asserted-Identity", "\"Li\" <sip:li@10.0.0.7>, <tel:+8613800000000>"),
            header("Diversion", "<sip:4000@pbx.intern:5060>;reason=no-answer"),
            header("Privacy", "id;critical"),
            header("Subject", "returns"),
        ]
    }

    fn seen(headers: &[Header], rules: &HeaderRules) -> Vec<String> {
        let (from, headers) = shown(FROM, headers, rules, US);
        std::iter::once(from).chain(headers.iter().map(|each| format!("{}: {}", each.name, each.value))).collect()
    }

    #[test]
    fn only_harmless_headers_are_kept() {
        let bad = [header("X-A", "1\r\nVia: evil"), header("X-B", "1".repeat(2000)), header("x-calmline-emotion", "x")];
        assert_eq!(kept(&bad, &HeaderChanges::default()), []);
        assert_eq!(kept(&vec![header("X-A", "1"); 99], &HeaderChanges::default()).len(), HEADERS_MAX);
        let drop = vec![Pattern::new("x-*")];
        let set = vec![("x-account".to_owned(), "8".to_owned()), ("X-Tenant".to_owned(), "shop".to_owned())];
        let names: Vec<_> =
            kept(&caller(), &HeaderChanges { drop, set }).iter().map(|each| each.name.clone()).collect();
        assert_eq!(names, ["P-Asserted-Identity", "Diversion", "Privacy", "Subject", "x-account", "X-Tenant"]);
    }

    #[test]
    fn a_trusted_target_is_told_what_passes() {
        let expected = [
            FROM,
            "X-Account: 7",
            "P-Asserted-Identity: \"Li\" <sip:li@10.0.0.7>, <tel:+8613800000000>",
            "Diversion: <sip:4000@pbx.intern:5060>;reason=no-answer",
            "Privacy: id;critical",
        ];
        assert_eq!(seen(&caller(), &HeaderRules::default()), expected);
        let pass = vec![Pattern::new("Subject")];
        assert_eq!(seen(&caller(), &HeaderRules { pass, ..HeaderRules::default() }), [FROM, "Subject: returns"]);
    }

    #[test]
    fn an_untrusted_target_is_not_told_who_hides() {
        let rules = HeaderRules { trusted: false, ..HeaderRules::default() };
        assert_eq!(seen(&caller(), &rules), [ANONYMOUS, "X-Account: 7", "Privacy: id;critical"]);
        let open: Vec<Header> = caller().into_iter().filter(|each| each.name != "Privacy").collect();
        assert_eq!(seen(&open, &rules).len(), 4);
        assert_eq!(seen(&open, &rules)[0], FROM);
    }

    #[test]
    fn hosts_are_hidden() {
        let rules = HeaderRules { hides_hosts: true, ..HeaderRules::default() };
        let expected = [
            "\"Li\" <sip:li@192.0.2.1;user=phone>",
            "X-Account: 7",
            "P-Asserted-Identity: \"Li\" <sip:li@192.0.2.1>, <tel:+8613800000000>",
            "Diversion: <sip:4000@192.0.2.1>;reason=no-answer",
            "Privacy: id;critical",
        ];
        assert_eq!(seen(&caller(), &rules), expected);
        for (value, expected) in [
            ("sip:pbx.intern", "sip:[2001:db8::1]"),
            ("<SIPS:a@[::1]:5061?X=y>;tag=1", "<SIPS:a@[2001:db8::1]?X=y>;tag=1"),
            ("<sip:a@b>, <sip:c@d>", "<sip:a@[2001:db8::1]>, <sip:c@[2001:db8::1]>"),
            ("<sip:+1;npdi@b;x=y>;tag=1@b", "<sip:+1;npdi@[2001:db8::1];x=y>;tag=1@b"),
            ("sip:b;tag=1@b", "sip:[2001:db8::1];tag=1@b"),
            ("", ""),
        ] {
            assert_eq!(
                without_hosts(value, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
                expected,
                "{value}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_value_breaks_it(value in "\\PC{0,60}(sip:)?\\PC{0,20}") {
            let _ = without_hosts(&value, US);
        }
    }
}
