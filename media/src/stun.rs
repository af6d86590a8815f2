//! Answers connectivity checks on a media port: ICE-lite (RFC 8445 §2.5) over STUN (RFC 8489).
//!
//! Sends no check of its own and keeps no state: each request is answered from what it says and the agreed
//! credentials. What is no binding request is left alone.

use std::net::{IpAddr, SocketAddr};

use ring::hmac;

use crate::{IceCredentials, PACKET_BYTES_MAX};

mod message;

#[cfg(test)]
pub(crate) mod tests;

use message::{Checked, Request, Writer};

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A success response was written: the sender has proven that it knows the credentials.
    Responded {
        /// The far end chose this pair (USE-CANDIDATE, RFC 8445 §8.1.1).
        nominated: bool,
    },
    /// An error response was written.
    Refused(Refusal),
    /// Nothing was written.
    Ignored(Oddity),
}

/// Why a request was answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 400: no name or no integrity check in it (RFC 8489 §9.1.3).
    Unsigned,
    /// 401: another name, or signed with another password.
    Unauthorized,
    /// 420: attributes that must be understood and are not (RFC 8489 §6.3.1).
    UnknownAttributes,
    /// 487: the far end wants us to be in control, which the lite side never is (RFC 8445 §7.3.1.1).
    RoleConflict,
}

/// Why a datagram was left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// Not STUN, or its attributes do not fill it.
    Malformed,
    /// STUN, but no binding request: an indication, a response, another method.
    NotARequest,
    /// The fingerprint does not fit the octets.
    Fingerprint,
}

/// True when a datagram is to be taken for STUN: first octet 0-3 (RFC 7983 §7) and the magic cookie.
pub fn is_stun(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER_BYTES && bytes[0] <= 3 && bytes[4..8] == MAGIC_COOKIE
}

/// Answers one datagram that came from `from`. The response, if any, is appended to `out`.
///
/// Nothing in `request` can make this panic, and an unsigned request learns nothing but its own address family.
pub fn respond(request: &[u8], from: SocketAddr, credentials: &IceCredentials, out: &mut Vec<u8>) -> Answer {
    let request = match Request::parse(request) {
        Ok(request) => request,
        Err(oddity) => return Answer::Ignored(oddity),
    };

    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, credentials.local_password.as_bytes());
    let refusal = match request.check(&key, credentials) {
        Checked::Fine { nominated } => {
            let mut response = Writer::new(out, SUCCESS, request.transaction());
            response.xor_mapped_address(from);
            response.finish(Some(&key));
            return Answer::Responded { nominated };
        }
        Checked::Wrong(refusal) => refusal,
    };

    let mut response = Writer::new(out, ERROR, request.transaction());
    let (code, reason) = refusal.words();
    response.error_code(code, reason);
    if refusal == Refusal::UnknownAttributes {
        response.unknown_attributes(request.unknown());
    }
    // Who has not proven to know the password gets nothing signed (RFC 8489 §9.1.3).
    let signed = !matches!(refusal, Refusal::Unsigned | Refusal::Unauthorized);
    response.finish(signed.then_some(&key));
    Answer::Refused(refusal)
}

impl Refusal {
    fn words(self) -> (u16, &'static str) {
        match self {
            Refusal::Unsigned => (400, "Bad Request"),
            Refusal::Unauthorized => (401, "Unauthenticated"),
            Refusal::UnknownAttributes => (420, "Unknown Attribute"),
            Refusal::RoleConflict => (487, "Role Conflict"),
        }
    }
}

/// Octets of a STUN header (RFC 8489 §5).
const HEADER_BYTES: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

const BINDING_REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const ERROR: u16 = 0x0111;
