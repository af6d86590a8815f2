//! Binding requests and their answers (RFC 8489), by hand.

use std::net::{Ipv4Addr, SocketAddr};

use ring::hmac;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// A binding request for `name`, signed with `password` if any, which may nominate.
pub fn request(transaction: u8, name: &str, password: Option<&str>, nominates: bool) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0];
    bytes.extend(COOKIE);
    bytes.extend([transaction; 12]);
    attribute(&mut bytes, 0x0006, name.as_bytes());
    attribute(&mut bytes, 0x0024, &[0x6e, 0, 1, 0xff]);
    attribute(&mut bytes, 0x802a, &[7; 8]);
    if nominates {
        attribute(&mut bytes, 0x0025, &[]);
    }
    if let Some(password) = password {
        say_length(&mut bytes, 24);
        let tag = hmac::sign(&key(password), &bytes);
        attribute(&mut bytes, 0x0008, tag.as_ref());
    }
    say_length(&mut bytes, 8);
    let sum = (crc32(&bytes) ^ 0x5354_554e).to_be_bytes();
    attribute(&mut bytes, 0x8028, &sum);
    bytes
}

/// What a response says.
#[derive(Debug, PartialEq, Eq)]
pub enum Response {
    /// The address that our request came from.
    Success(SocketAddr),
    /// An error code.
    Error(u16),
}

/// Reads the response to a request; a success must be signed with `password`.
pub fn response(bytes: &[u8], transaction: u8, password: &str) -> Response {
    assert_eq!((&bytes[4..8], &bytes[8..20]), (&COOKIE[..], &[transaction; 12][..]));
    assert_eq!(usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), bytes.len() - 20);
    let sum = bytes.len() - 8;
    assert_eq!(bytes[sum + 4..], (crc32(&bytes[..sum]) ^ 0x5354_554e).to_be_bytes());
    match u16::from_be_bytes([bytes[0], bytes[1]]) {
        0x0101 => {
            let mut signed = bytes[..sum - 24].to_vec();
            say_length(&mut signed, 24);
            hmac::verify(&key(password), &signed, &bytes[sum - 20..sum]).expect("it is signed by the server");
            let mapped = value(bytes, 0x0020).expect("XOR-MAPPED-ADDRESS");
            let port = u16::from_be_bytes([mapped[2] ^ COOKIE[0], mapped[3] ^ COOKIE[1]]);
            let octets: [u8; 4] = std::array::from_fn(|at| mapped[4 + at] ^ COOKIE[at]);
            Response::Success(SocketAddr::from((Ipv4Addr::from(octets), port)))
        }
        0x0111 => {
            let code = value(bytes, 0x0009).expect("ERROR-CODE");
            Response::Error(u16::from(code[2]) * 100 + u16::from(code[3]))
        }
        other => panic!("no response to a binding request: {other:#06x}"),
    }
}

fn key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

fn attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend(kind.to_be_bytes());
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    say_length(bytes, 0);
}

/// The length that the message will have with `more` octets.
fn say_length(bytes: &mut [u8], more: usize) {
    let length = (bytes.len() - 20 + more) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

fn value(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut at = 20;
    while at + 4 <= bytes.len() {
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        if bytes[at..at + 2] == kind.to_be_bytes() {
            return bytes.get(at + 4..at + 4 + length);
        }
        at += 4 + length.next_multiple_of(4);
    }
    None
}

/// CRC-32 of ITU-T V.42.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

#[test]
fn the_check_sum_is_the_known_one() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}
