//! The messages of RFC 4475, and those of our own that must not get through as they are.

use std::net::SocketAddr;
use std::path::Path;

use proptest::prelude::*;
use rsipstack::sip::SipMessage;
use rsipstack::transaction::key::{TransactionKey, TransactionRole};

use super::{HEAD_BYTES_MAX, HEADERS_MAX, Verdict, judge, refuse_large, reply_address};

/// What RFC 4475 wants of each of its messages, as the door has it: `Ok` passes, a code is the answer, 0 is none.
const TORTURE: [(&str, Result<(), u16>); 49] = [
    // §3.1.1, valid messages.
    ("wsinv", Ok(())),
    ("intmeth", Err(405)),
    ("esc01", Ok(())),
    ("escnull", Ok(())),
    ("esc02", Err(405)),
    ("lwsdisp", Ok(())),
    ("longreq", Ok(())),
    ("dblreq", Ok(())),
    ("semiuri", Ok(())),
    ("transports", Ok(())),
    ("mpart01", Ok(())),
    ("unreason", Ok(())),
    ("noreason", Ok(())),
    // §3.1.2, invalid messages.
    ("badinv01", Err(400)),
    ("clerr", Err(400)),
    ("ncl", Err(400)),
    ("scalar02", Err(400)),
    ("scalarlg", Err(0)),
    ("quotbal", Err(400)),
    ("ltgtruri", Err(400)),
    ("lwsruri", Err(400)),
    ("lwsstart", Err(400)),
    ("trws", Err(400)),
    ("escruri", Err(400)),
    // An odd date may be ignored.
    ("baddate", Ok(())),
    ("regbadct", Err(400)),
    ("badaspec", Err(400)),
    ("baddn", Err(400)),
    ("badvers", Err(505)),
    ("mismatch01", Err(400)),
    ("mismatch02", Err(400)),
    ("bigcode", Err(0)),
    // §3.2, the transaction layer.
    ("badbranch", Err(400)),
    // §3.3, the application layer: what is said beyond the door is tested through the sockets.
    ("insuf", Err(400)),
    ("unkscm", Err(416)),
    ("novelsc", Err(416)),
    ("unksm2", Ok(())),
    ("bext01", Ok(())),
    ("invut", Ok(())),
    ("regaut01", Ok(())),
    ("multi01", Err(400)),
    ("mcl01", Err(400)),
    ("bcast", Ok(())),
    ("zeromf", Ok(())),
    ("cparam01", Ok(())),
    ("cparam02", Ok(())),
    ("regescrt", Ok(())),
    ("sdp01", Ok(())),
    // §3.4, phones of RFC 2543.
    // The one known deviation: the RFC wants it to be taken; it has no tag in From, and is told so.
    ("inv2543", Err(400)),
];

#[test]
fn torture() {
    let mut wrong = Vec::new();
    for (name, expected) in TORTURE {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/sip/torture/{name}.dat"));
        let message = std::fs::read(file).expect("a fixture");
        let got = match judge(&message, source()) {
            Verdict::Pass(plain) => {
                readable(&plain.bytes);
                Ok(())
            }
            Verdict::Refuse(refusal) => Err(refusal.code),
            Verdict::Drop(_) => Err(0),
        };
        if got != expected {
            wrong.push(format!("{name}: {got:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_passes_is_plain() {
    let message = "INVITE sip:a@b SIP/2.0\r\nv: SIP / 2.0 / UDP c;branch=z9hG4bKx\r\nf : <sip:c@d>;tag=1\r\n\
                   t:\r\n <sip:a@b>\r\ni: x\r\nCSEQ: 1\r\n INVITE\r\nl: 2\r\n\r\nhello";
    assert_eq!(
        String::from_utf8(passes(message)).expect("text"),
        "INVITE sip:a@b SIP/2.0\r\nVia: SIP / 2.0 / UDP c;branch=z9hG4bKx\r\nFrom: <sip:c@d>;tag=1\r\n\
         To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 2\r\n\r\nhe"
    );
}

#[test]
fn parameters_are_written_without_blanks() {
    for (from, expected) in [
        ("<sip:c@d> ;  tag = 1", "<sip:c@d>;tag=1"),
        ("\"x ; y = \\\" ; z\"  <sip:c@d> ; tag= 1 ;q =2", "\"x ; y = \\\" ; z\"  <sip:c@d>;tag=1;q=2"),
        ("<sip:c@d;x=y> ;tag=1;x = \"a ; b\"", "<sip:c@d;x=y>;tag=1;x=\"a ; b\""),
    ] {
        let text = passes(&request_from("OPTIONS sip:a@b SIP/2.0", from, "CSeq: 1 OPTIONS\r\n"));
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains(&format!("\r\nFrom: {expected}\r\n")), "{text}");
    }
}

#[test]
fn refusals_are_answers() {
    let message = request("FLY sip:a@b SIP/2.0", "CSeq: 1 FLY\r\n");
    let Verdict::Refuse(refusal) = judge(message.as_bytes(), source()) else { panic!("FLY is no method") };
    let text = String::from_utf8(refusal.response).expect("text");
    assert!(
        text.starts_with("SIP/2.0 405 Method Not Allowed\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKx;received=192.0.2.9")
    );
    assert!(text.contains("\r\nTo: <sip:a@b>;tag=") && text.contains("\r\nCSeq: 1 FLY\r\n"), "{text}");
    assert!(text.contains("\r\nAllow: INVITE") && !text.contains("Max-Forwards"), "{text}");
    assert_eq!(refusal.to, SocketAddr::from(([192, 0, 2, 9], 5060)));
}

#[test]
fn answers_go_where_via_says() {
    for (via, expected) in [
        ("SIP/2.0/UDP c;branch=z9hG4bKx", "192.0.2.9:5060"),
        ("SIP/2.0/UDP c:5070;branch=z9hG4bKx, SIP/2.0/UDP d:1", "192.0.2.9:5070"),
        ("SIP/2.0/UDP c:5070;rport;branch=z9hG4bKx", "192.0.2.9:4000"),
        ("nonsense", "192.0.2.9:4000"),
    ] {
        assert_eq!(reply_address(via, source()).to_string(), expected, "{via}");
    }
}

#[test]
fn limits() {
    let many = "X: y\r\n".repeat(HEADERS_MAX);
    refused(&request("OPTIONS sip:a@b SIP/2.0", &format!("CSeq: 1 OPTIONS\r\n{many}")), 513);
    let long = format!("X: {}\r\n", "y".repeat(HEAD_BYTES_MAX));
    refused(&request("OPTIONS sip:a@b SIP/2.0", &format!("CSeq: 1 OPTIONS\r\n{long}")), 513);
    let endless = request("OPTIONS sip:a@b SIP/2.0", &format!("CSeq: 1 OPTIONS\r\n{long}"));
    let Verdict::Refuse(refusal) = refuse_large(&endless.as_bytes()[..HEAD_BYTES_MAX], source()) else {
        panic!("an answer is possible")
    };
    assert!(refusal.response.starts_with(b"SIP/2.0 513 "));
}

#[test]
fn oddities_of_real_phones_pass() {
    for from in [
        "M\u{fc}ller Hans <sip:c@d>;tag=1",
        "+49 30/1234 (Berlin) <sip:c@d>;tag=1",
        "\"a, b\" <sip:c@d>;tag=1;x=\"y;z\"",
        "sip:c@d;tag=1",
        "<tel:+4930>;tag=1",
        "<sip:c@[2001:db8::1]:5060;transport=tcp>;tag=1",
        "<sip:+14155551234;verstat=TN-Validation-Passed@sip.carrier.com;user=phone>;tag=1",
    ] {
        passes(&request_from("OPTIONS sip:a@b SIP/2.0", from, "CSeq: 1 OPTIONS\r\n"));
    }
    // Latin-1 in a name.
    let mut bytes =
        request_from("OPTIONS sip:a@b SIP/2.0", "M#ller <sip:c@d>;tag=1", "CSeq: 1 OPTIONS\r\n").into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'#').expect("it is there");
    bytes[at] = 0xfc;
    assert!(matches!(judge(&bytes, source()), Verdict::Pass(_)));
}

#[test]
fn lines_cannot_be_smuggled() {
    refused(&request("OPTIONS sip:a@b SIP/2.0", "CSeq: 1 OPTIONS\r\nX: a\nVia: SIP/2.0/UDP evil\r\n"), 400);
    refused(&request("OPTIONS sip:a@b SIP/2.0", "CSeq: 1 OPTIONS\r\nNo colon\r\n"), 400);
    refused(&request("OPTIONS sip:a@b SIP/2.0", "CSeq: 1 OPTIONS\r\nContent-Length: +5\r\n"), 400);
    refused(&request("options sip:a@b SIP/2.0", "CSeq: 1 options\r\n"), 405);
    dropped(&request("ACK sip:a@b SIP/2.0", "CSeq: 1 ACK\r\nNo colon\r\n"));
    dropped("\r\n\r\n");
    dropped("");
    dropped("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What the door lets pass, the stack can read and find a transaction for.
    #[test]
    fn what_passes_is_read(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..6)) {
        let mut bytes = request("INVITE sip:4000@pbx.example;transport=tcp SIP/2.0",
            "CSeq: 1 INVITE\r\nContact: \"x\" <sip:c@192.0.2.1:5060>;expires=3\r\nRoute: <sip:p;lr>\r\n").into_bytes();
        for (index, byte, kind) in edits {
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        if let Verdict::Pass(plain) = judge(&bytes, source()) {
            readable(&plain.bytes);
        }
    }
}

/// Fails unless the stack reads `plain` and finds its transaction: what it does not, nobody would answer.
#[track_caller]
fn readable(plain: &[u8]) {
    let text = String::from_utf8_lossy(plain);
    match SipMessage::try_from(plain).unwrap_or_else(|error| panic!("{error}: {text}")) {
        SipMessage::Request(request) => {
            let key = TransactionKey::from_request(&request, TransactionRole::Server);
            assert!(key.is_ok(), "{:?}: {text}", key.err());
        }
        SipMessage::Response(response) => drop(TransactionKey::from_response(&response, TransactionRole::Client)),
    }
}

#[track_caller]
fn passes(message: &str) -> Vec<u8> {
    match judge(message.as_bytes(), source()) {
        Verdict::Pass(plain) => plain.bytes,
        other => panic!("{message}: {other:?}"),
    }
}

#[track_caller]
fn refused(message: &str, code: u16) {
    match judge(message.as_bytes(), source()) {
        Verdict::Refuse(refusal) => assert_eq!(refusal.code, code, "{}", refusal.why),
        other => panic!("{message}: {other:?}"),
    }
}

#[track_caller]
fn dropped(message: &str) {
    assert!(matches!(judge(message.as_bytes(), source()), Verdict::Drop(_)), "{message}");
}

fn request(line: &str, more: &str) -> String {
    request_from(line, "<sip:c@d>;tag=1", more)
}

fn request_from(line: &str, from: &str, more: &str) -> String {
    format!(
        "{line}\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKx\r\nFrom: {from}\r\nTo: <sip:a@b>\r\nCall-ID: x\r\n\
         Max-Forwards: 70\r\n{more}\r\n"
    )
}

fn source() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 9], 4000))
}
