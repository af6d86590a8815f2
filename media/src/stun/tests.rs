//! The sample messages of RFC 5769, and requests as browsers send them, right and wrong in every way.

use proptest::prelude::*;

use super::message::{INTEGRITY, fingerprint, is_signed};
use super::*;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
/// RFC 5769 §2.1.
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff\
    80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2\
    80280004e57a3bcf";
/// RFC 5769 §2.2 and §2.3.
const RESPONSES: [(&str, &str); 2] = [
    (
        "192.0.2.1:32853",
        "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643\
         000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
    ),
    (
        "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
        "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa\
         a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
    ),
];

#[test]
fn the_sample_request_is_authentic_and_asks_for_the_wrong_role() {
    let (answer, response) = ask(&octets(REQUEST));
    assert_eq!(answer, Answer::Refused(Refusal::RoleConflict));
    assert_eq!(error_code(&response), Some(487));
    assert!(is_sealed(&response, true));
}

#[test]
fn the_sample_responses_say_what_ours_say() {
    for (address, sample) in RESPONSES {
        let sample = octets(sample);
        assert!(is_sealed(&sample, true), "{address}");
        let mut out = vec![7; 5];
        let request = request(|_| {});
        let from = address.parse().expect("an address");
        assert_eq!(respond(&request, from, &credentials(), &mut out), Answer::Responded { nominated: false });
        // Ours has no SOFTWARE and stands behind what was there.
        let ours = &out[5..];
        assert_eq!(&out[..5], [7; 5]);
        assert!(is_sealed(ours, true), "{address}");
        assert_eq!(ours[20..ours.len() - 32], sample[36..sample.len() - 32], "{address}");
        assert_eq!(ours[4..20], sample[4..20]);
    }
}

#[test]
fn a_mapped_address_is_an_ipv4_address() {
    let mut mapped = Vec::new();
    let mut plain = Vec::new();
    let request = request(|_| {});
    respond(&request, "[::ffff:192.0.2.1]:9".parse().expect("an address"), &credentials(), &mut mapped);
    respond(&request, "192.0.2.1:9".parse().expect("an address"), &credentials(), &mut plain);
    assert_eq!(mapped, plain);
}

#[test]
fn nomination_is_told() {
    check(|bytes| attribute(bytes, 0x0025, &[]), Answer::Responded { nominated: true });
}

#[test]
fn wrong_credentials_are_refused_unsigned() {
    let names = ["evtj:other", "evtj", "evtjh6vY", "other:h6vY", "evtj:h6vYx", ""];
    for name in names {
        let (answer, response) = ask(&signed(name, PASSWORD, |_| {}));
        assert_eq!(answer, Answer::Refused(Refusal::Unauthorized), "{name}");
        assert_eq!((error_code(&response), is_sealed(&response, false)), (Some(401), true));
    }
    let (answer, _) = ask(&signed("evtj:h6vY", "another", |_| {}));
    assert_eq!(answer, Answer::Refused(Refusal::Unauthorized));
}

#[test]
fn the_far_ends_name_may_be_unknown_yet() {
    let early = IceCredentials { remote_name: String::new(), ..credentials() };
    let answer = respond(&request(|_| {}), home(), &early, &mut Vec::new());
    assert_eq!(answer, Answer::Responded { nominated: false });
}

#[test]
fn an_unsigned_request_is_a_bad_request() {
    let mut bare = header(BINDING_REQUEST);
    let (answer, response) = ask(&bare);
    assert_eq!(answer, Answer::Refused(Refusal::Unsigned));
    assert_eq!((error_code(&response), is_sealed(&response, false)), (Some(400), true));
    attribute(&mut bare, 0x0006, b"evtj:h6vY");
    assert_eq!(ask(&bare).0, Answer::Refused(Refusal::Unsigned));
}

#[test]
fn what_must_be_understood_is_named() {
    let request = request(|bytes| {
        attribute(bytes, 0x7001, &[1]);
        attribute(bytes, 0xc001, &[1]);
        attribute(bytes, 0x7002, &[]);
    });
    let (answer, response) = ask(&request);
    assert_eq!(answer, Answer::Refused(Refusal::UnknownAttributes));
    assert_eq!(error_code(&response), Some(420));
    assert!(response.windows(8).any(|window| window == [0, 0x0a, 0, 4, 0x70, 1, 0x70, 2]), "{response:02x?}");
    assert!(is_sealed(&response, true));
}

#[test]
fn what_follows_the_signature_does_not_count() {
    let mut request = request(|_| {});
    attribute(&mut request, 0x0025, &[]);
    attribute(&mut request, 0x7001, &[]);
    assert_eq!(ask(&request).0, Answer::Responded { nominated: false });
}

#[test]
fn others_are_left_alone() {
    for (what, oddity) in [
        (header(0x0011), Oddity::NotARequest),
        (header(SUCCESS), Oddity::NotARequest),
        (header(0x0003), Oddity::NotARequest),
        (header(BINDING_REQUEST)[..19].to_vec(), Oddity::Malformed),
        (Vec::new(), Oddity::Malformed),
        (vec![0x80; 172], Oddity::Malformed),
    ] {
        let (answer, response) = ask(&what);
        assert_eq!((answer, response.len()), (Answer::Ignored(oddity), 0), "{what:02x?}");
    }
    let mut damaged = octets(REQUEST);
    *damaged.last_mut().expect("octets") ^= 1;
    assert_eq!(ask(&damaged).0, Answer::Ignored(Oddity::Fingerprint));
    let mut reaching_past = header(BINDING_REQUEST);
    attribute(&mut reaching_past, 0x0006, b"abcd");
    reaching_past[23] = 5;
    assert_eq!(ask(&reaching_past).0, Answer::Ignored(Oddity::Malformed));
}

#[test]
fn stun_is_told_from_rtp_and_dtls() {
    assert!(is_stun(&octets(REQUEST)));
    assert!(!is_stun(&[0x80; 20]) && !is_stun(&[22; 20]) && !is_stun(&[0; 20]) && !is_stun(&[]));
}

proptest! {
    #[test]
    fn one_changed_octet_is_never_answered_with_success(at in 0_usize..200, change in 1_u8..) {
        let mut request = request(|bytes| attribute(bytes, 0x0025, &[]));
        let at = at % request.len();
        request[at] ^= change;
        let (answer, response) = ask(&request);
        prop_assert!(!matches!(answer, Answer::Responded { .. }), "octet {at}");
        prop_assert_eq!(matches!(answer, Answer::Ignored(_)), response.is_empty());
    }
}

#[track_caller]
fn check(add: impl FnOnce(&mut Vec<u8>), expected: Answer) {
    assert_eq!(ask(&request(add)).0, expected);
}

fn ask(request: &[u8]) -> (Answer, Vec<u8>) {
    let mut out = Vec::new();
    (respond(request, home(), &credentials(), &mut out), out)
}

fn credentials() -> IceCredentials {
    IceCredentials { local_name: "evtj".into(), local_password: PASSWORD.into(), remote_name: "h6vY".into() }
}

fn home() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 32_853))
}

fn request(add: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    signed("evtj:h6vY", PASSWORD, add)
}

/// A request as a browser sends it, without fingerprint.
/// A request as a browser that has chosen this pair sends it.
pub(crate) fn nominating_request(name: &str, password: &str) -> Vec<u8> {
    signed(name, password, |bytes| attribute(bytes, 0x0025, &[]))
}

fn signed(name: &str, password: &str, add: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = header(BINDING_REQUEST);
    attribute(&mut bytes, 0x0006, name.as_bytes());
    attribute(&mut bytes, 0x0024, &[0x6e, 0, 1, 0xff]);
    attribute(&mut bytes, 0x802a, &[1; 8]);
    add(&mut bytes);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let length = (bytes.len() + 24 - HEADER_BYTES) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let tag = hmac::sign(&key, &bytes);
    attribute(&mut bytes, INTEGRITY, tag.as_ref());
    bytes
}

fn header(kind: u16) -> Vec<u8> {
    let mut bytes = octets(REQUEST)[..20].to_vec();
    bytes[..2].copy_from_slice(&kind.to_be_bytes());
    bytes[2..4].fill(0);
    bytes
}

fn attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend(kind.to_be_bytes());
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let length = (bytes.len() - HEADER_BYTES) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

/// The fingerprint is last and right, and the integrity check before it is there as `signed` says, and right.
fn is_sealed(response: &[u8], signed: bool) -> bool {
    let end = response.len();
    let length = usize::from(u16::from_be_bytes([response[2], response[3]]));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, PASSWORD.as_bytes());
    let integrity = end - 32;
    length == end - HEADER_BYTES
        && response[end - 4..] == fingerprint(&response[..end - 8])
        && signed == (response[integrity..integrity + 4] == [0, 8, 0, 20])
        && signed == is_signed(response, integrity, &key)
}

fn error_code(response: &[u8]) -> Option<u16> {
    (response[20..22] == [0, 9]).then(|| u16::from(response[26]) * 100 + u16::from(response[27]))
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
    digits.chunks(2).map(octet).collect()
}
