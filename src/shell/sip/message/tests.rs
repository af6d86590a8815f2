//! What is read from messages and what may be written into them.

use proptest::prelude::*;
use rsipstack::sip::{Request, SipMessage};

use super::{Identity, Reply, Sipfrag, name_and_address, pass_through, response, sdp, session, sipfrag};
use super::{tag_of, unknown_extensions, with_headers, with_tag};
use crate::control::{Header, Refresher, SessionTerms};

#[test]
fn names_and_addresses() {
    let check = |value: &str, expected: Option<&str>| assert_eq!(name_and_address(value).as_deref(), expected);
    check("\"An, <odd> \\\" name\" <sip:a@b;x=y>;tag=1", Some("\"An, <odd> \\\" name\" <sip:a@b;x=y>"));
    check("Anna <sip:a@b>", Some("Anna <sip:a@b>"));
    check("<sip:a@b>", Some("<sip:a@b>"));
    check("sip:a@b;tag=1", Some("<sip:a@b>"));
    check("tel:+4930", Some("<tel:+4930>"));
    check("Anna", None);
    check("\"Anna", None);
    check("\"Anna\" sip:a@b", None);
    check("<sip:a@b", None);
    check("<sip:a@b>\r\nVia: x", None);
}

#[test]
fn tags() {
    assert_eq!(tag_of("\"x;tag=no\" <sip:a@b;tag=no>;x=1;TAG=yes"), Some("yes".to_owned()));
    assert_eq!(tag_of("sip:a@b;tag=yes"), Some("yes".to_owned()));
    assert_eq!(tag_of("<sip:a@b>"), None);
    assert_eq!(with_tag("<sip:a@b>;tag=1", "2"), "<sip:a@b>;tag=1");
    assert_eq!(with_tag("<sip:a@b>", "2"), "<sip:a@b>;tag=2");
}

#[test]
fn refer_outcomes() {
    let check = |headers: &str, body: &str, expected: Option<(u16, &str, bool)>| {
        let expected = expected.map(|(code, reason, last)| Sipfrag { code, reason: reason.to_owned(), last });
        assert_eq!(sipfrag(&request("NOTIFY", headers, body)), expected);
    };
    let active = "Event: refer\r\nSubscription-State: active;expires=60\r\n";
    let terminated = "Event: refer;id=2\r\nSubscription-State: terminated;reason=noresource\r\n";
    check(active, "SIP/2.0 100 Trying\r\n", Some((100, "Trying", false)));
    check(terminated, "SIP/2.0 200 OK", Some((200, "OK", true)));
    check(terminated, "SIP/2.0 603", Some((603, "", true)));
    check(terminated, "", Some((408, "no status, terminated;reason=noresource", true)));
    check(active, "SIP/2.0 9999 Odd", None);
    check(active, "hello", None);
    check("Event: dialog\r\nSubscription-State: active\r\n", "SIP/2.0 200 OK", None);
    check("o: refer\r\nSubscription-State: active\r\n", "SIP/2.0 200 OK", Some((200, "OK", false)));
}

#[test]
fn bodies() {
    let check = |content_type: &str, body: &str, expected: Option<&str>| {
        let message = request("INVITE", &format!("Content-Type: {content_type}\r\n"), body);
        assert_eq!(sdp(&message.headers, &message.body).as_deref(), expected);
    };
    check("application/sdp", "v=0\r\n", Some("v=0\r\n"));
    check("Application/SDP; charset=utf-8", "v=0\r\n", Some("v=0\r\n"));
    check("application/isup", "v=0\r\n", None);
    check("application/sdp", "", None);
    let parts =
        "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\ncontent-type: application/sdp\r\n\r\nv=0\r\n--b--";
    check("multipart/mixed; boundary=\"b\"", parts, Some("v=0"));
    check("multipart/mixed", parts, Some("v=0"));
    check("multipart/mixed; boundary=c", parts, None);
}

#[test]
fn session_timers() {
    let check = |headers: &str, supported: bool, interval_s: Option<u32>, refresher: Option<Refresher>| {
        let least_s = headers.contains("Min-SE").then_some(1800);
        let takes_update = headers.contains("UPDATE");
        let expected = SessionTerms { supported, interval_s, refresher, least_s, takes_update };
        assert_eq!(session::terms(&request("INVITE", headers, "")), expected, "{headers}");
    };
    let (by_sender, by_us) = (Some(Refresher::Uac), Some(Refresher::Uas));
    check("Session-Expires: 1800;refresher=uac\r\nSupported: replaces, timer\r\n", true, Some(1800), by_sender);
    check("x: 90 ; a=b ; Refresher=UAS\r\nk: timer\r\n", true, Some(90), by_us);
    check("Session-Expires: 1800\r\n", false, Some(1800), None);
    check("Session-Expires: 3600\r\nMin-SE: 1800;x=y\r\n", false, Some(3600), None);
    check("Require: timer\r\nAllow: INVITE, UPDATE\r\n", true, None, None);
    check("Session-Expires: soon;refresher=both\r\nSupported: timer\r\n", true, None, None);
}

#[test]
fn what_a_prack_acknowledges() {
    let check = |value: &str, expected: Option<(u32, u32)>| {
        assert_eq!(session::acknowledged(&request("PRACK", &format!("RAck: {value}\r\n"), "")), expected, "{value}");
    };
    check("7 1 INVITE", Some((7, 1)));
    check(" 7  1   INVITE ", Some((7, 1)));
    check("7 1 UPDATE", None);
    check("7 1 INVITE x", None);
    check("-7 1 INVITE", None);
    check("7", None);
}

#[test]
fn required_extensions() {
    let check = |headers: &str, expected: Option<&str>| {
        assert_eq!(unknown_extensions(&request("INVITE", headers, "")).as_deref(), expected);
    };
    check("Require: timer\r\n", None);
    check("Require: Timer, precondition, 100rel\r\nRequire: x\r\n", Some("precondition, x"));
    check("", None);
}

#[test]
fn only_what_is_call_controls_business_is_passed_on() {
    let message = request("INVITE", "X-Queue: gold\r\nAuthorization: secret\r\nDiversion: <sip:z@b>\r\n", "");
    let names: Vec<String> = pass_through(&message.headers).into_iter().map(|header| header.name).collect();
    assert_eq!(names, ["X-Queue", "Diversion"]);
}

#[test]
fn responses_are_addressed_and_clean() {
    let identity = Identity { contact: "<sip:us@h>".to_owned(), user_agent: "us".to_owned() };
    let headers = [
        Header { name: "X-Emotion".to_owned(), value: "angry".to_owned() },
        Header { name: "Via".to_owned(), value: "evil".to_owned() },
        Header { name: "X-Evil".to_owned(), value: "a\r\nVia: evil".to_owned() },
        Header { name: "X Evil: x".to_owned(), value: "a".to_owned() },
    ];
    let reply = Reply { headers: &headers, sdp: Some("v=0\r\n"), reason: "Fine", ..Reply::code(200) };
    let text = response(&request("INVITE", "", ""), "mine", &identity, &reply).to_string();
    assert!(text.starts_with("SIP/2.0 200 Fine\r\n"), "{text}");
    assert!(text.contains("To: <sip:b@b>;tag=mine\r\n") && text.contains("X-Emotion: angry\r\n"), "{text}");
    assert!(text.contains("Contact: <sip:us@h>\r\n") && text.ends_with("\r\n\r\nv=0\r\n"), "{text}");
    assert!(!text.to_lowercase().contains("evil"), "{text}");
}

proptest! {
    #[test]
    fn no_value_breaks_the_readers(value in "\\PC{0,60}", body in "\\PC{0,200}") {
        let _ = (name_and_address(&value), tag_of(&value));
        let message = request("NOTIFY", "Event: refer\r\nContent-Type: multipart/mixed;boundary=b\r\n", &body);
        let _ = (sipfrag(&message), sdp(&message.headers, &message.body));
    }
}

fn request(method: &str, headers: &str, body: &str) -> Request {
    let text = format!(
        "{method} sip:b@b SIP/2.0\r\nVia: SIP/2.0/UDP a:5060;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\n\
         Call-ID: 1\r\nCSeq: 1 {method}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    match SipMessage::try_from(text.as_str()).expect("the test's own message") {
        SipMessage::Request(request) => request,
        SipMessage::Response(_) => unreachable!("a request line was written above"),
    }
}

#[test]
fn headers_in_a_uri_are_escaped() {
    let header = |name: &str, value: &str| Header { name: name.into(), value: value.into() };
    let headers = [header("X-Calmline-Emotion", "anger;level=high"), header("X-Calmline-Call", "7f-1")];
    let expected = "sip:700@pbx?X-Calmline-Emotion=anger%3Blevel%3Dhigh&X-Calmline-Call=7f-1";
    assert_eq!(with_headers("sip:700@pbx", &headers), expected);
    assert_eq!(with_headers("sip:700@pbx", &[]), "sip:700@pbx");
}
