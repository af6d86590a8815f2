//! STUN messages as octets: a binding request is read and checked, a response is written and sealed (RFC 8489 §5, §14).
//!
//! Knows nothing of ICE but the attributes it adds.

use super::*;

/// A binding request whose attributes fill it and whose fingerprint, if any, fits.
pub(super) struct Request<'a> {
    bytes: &'a [u8],
    /// One past the last attribute that counts: the integrity check, or the end.
    counted: usize,
    /// Where the integrity attribute begins.
    integrity: Option<usize>,
}

/// What the checks of RFC 8489 §6.3 and RFC 8445 §7.3 say.
pub(super) enum Checked {
    Fine { nominated: bool },
    Wrong(Refusal),
}

impl<'a> Request<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Oddity> {
        let whole = HEADER_BYTES + usize::from(number(bytes, 2).ok_or(Oddity::Malformed)?);
        if !is_stun(bytes) || bytes.len() > PACKET_BYTES_MAX || whole != bytes.len() || !whole.is_multiple_of(4) {
            return Err(Oddity::Malformed);
        }
        if number(bytes, 0) != Some(BINDING_REQUEST) {
            return Err(Oddity::NotARequest);
        }

        let mut request = Self { bytes, counted: whole, integrity: None };
        let mut end = HEADER_BYTES;
        for attribute in attributes(bytes, HEADER_BYTES) {
            end = attribute.end;
            match attribute.kind {
                INTEGRITY if request.integrity.is_none() => {
                    if attribute.value.len() != INTEGRITY_BYTES {
                        return Err(Oddity::Malformed);
                    }
                    request.integrity = Some(attribute.start);
                    request.counted = attribute.end;
                }
                FINGERPRINT if attribute.end != whole || attribute.value != fingerprint(&bytes[..attribute.start]) => {
                    return Err(Oddity::Fingerprint);
                }
                _ => {}
            }
        }
        if end == whole { Ok(request) } else { Err(Oddity::Malformed) }
    }

    pub(super) fn transaction(&self) -> &'a [u8] {
        &self.bytes[8..HEADER_BYTES]
    }

    pub(super) fn check(&self, key: &hmac::Key, credentials: &IceCredentials) -> Checked {
        let (Some(integrity), Some(name)) = (self.integrity, self.value(USERNAME)) else {
            return Checked::Wrong(Refusal::Unsigned);
        };
        if !is_for_us(name, credentials) || !is_signed(self.bytes, integrity, key) {
            return Checked::Wrong(Refusal::Unauthorized);
        }
        if self.unknown().next().is_some() {
            return Checked::Wrong(Refusal::UnknownAttributes);
        }
        if self.value(ICE_CONTROLLED).is_some() {
            return Checked::Wrong(Refusal::RoleConflict);
        }
        Checked::Fine { nominated: self.value(USE_CANDIDATE).is_some() }
    }

    /// Attributes that must be understood and are not.
    pub(super) fn unknown(&self) -> impl Iterator<Item = u16> + Clone + 'a {
        self.counted().map(|attribute| attribute.kind).filter(|kind| *kind < OPTIONAL && !KNOWN.contains(kind))
    }

    /// The first attribute of a kind; later ones do not count (RFC 8489 §14).
    fn value(&self, kind: u16) -> Option<&'a [u8]> {
        self.counted().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
    }

    /// What comes after the integrity check is not covered by it and does not count (RFC 8489 §14.5).
    fn counted(&self) -> Attributes<'a> {
        attributes(&self.bytes[..self.counted], HEADER_BYTES)
    }
}

/// A response that grows at the end of a buffer.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, kind: u16, transaction: &[u8]) -> Self {
        let start = out.len();
        out.extend(kind.to_be_bytes());
        out.extend([0, 0]);
        out.extend(MAGIC_COOKIE);
        out.extend(transaction);
        Self { out, start }
    }

    /// RFC 8489 §14.2.
    pub(super) fn xor_mapped_address(&mut self, address: SocketAddr) {
        let mask: [u8; 16] =
            self.out[self.start + 4..self.start + HEADER_BYTES].try_into().expect("cookie and transaction");
        let masked = |octets: &[u8], value: &mut [u8]| {
            for ((masked, octet), mask) in value.iter_mut().zip(octets).zip(mask) {
                *masked = octet ^ mask;
            }
        };
        let mut value = [0; 20];
        masked(&address.port().to_be_bytes(), &mut value[2..4]);
        // A socket for both families names IPv4 peers by mapped addresses.
        let length = match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                value[1] = 1;
                masked(&ip.octets(), &mut value[4..8]);
                8
            }
            IpAddr::V6(ip) => {
                value[1] = 2;
                masked(&ip.octets(), &mut value[4..20]);
                20
            }
        };
        self.attribute(XOR_MAPPED_ADDRESS, &value[..length]);
    }

    /// RFC 8489 §14.8.
    pub(super) fn error_code(&mut self, code: u16, reason: &str) {
        let mut value = [0; 32];
        let reason = reason.as_bytes();
        let length = reason.len().min(value.len() - 4);
        value[2] = (code / 100) as u8;
        value[3] = (code % 100) as u8;
        value[4..4 + length].copy_from_slice(&reason[..length]);
        self.attribute(ERROR_CODE, &value[..4 + length]);
    }

    /// RFC 8489 §14.9; names the first few.
    pub(super) fn unknown_attributes(&mut self, kinds: impl Iterator<Item = u16>) {
        let mut value = [0; 2 * UNKNOWN_MAX];
        let mut length = 0;
        for (place, kind) in value.chunks_exact_mut(2).zip(kinds) {
            place.copy_from_slice(&kind.to_be_bytes());
            length += 2;
        }
        self.attribute(UNKNOWN_ATTRIBUTES, &value[..length]);
    }

    /// Seals the message: the integrity check if a key is given, then the fingerprint.
    pub(super) fn finish(mut self, key: Option<&hmac::Key>) {
        if let Some(key) = key {
            self.set_length(4 + INTEGRITY_BYTES);
            let tag = hmac::sign(key, &self.out[self.start..]);
            self.attribute(INTEGRITY, tag.as_ref());
        }
        self.set_length(FINGERPRINT_BYTES);
        let check = fingerprint(&self.out[self.start..]);
        self.attribute(FINGERPRINT, &check);
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.out.extend(kind.to_be_bytes());
        self.out.extend((value.len() as u16).to_be_bytes());
        self.out.extend(value);
        let length = self.out.len() - self.start;
        self.out.resize(self.start + length.next_multiple_of(4), 0);
    }

    /// Says the length that the message will have with `more` octets.
    fn set_length(&mut self, more: usize) {
        let length = (self.out.len() - self.start - HEADER_BYTES + more) as u16;
        self.out[self.start + 2..self.start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

#[derive(Debug, Clone, Copy)]
struct Attribute<'a> {
    kind: u16,
    value: &'a [u8],
    start: usize,
    /// One past its padding.
    end: usize,
}

/// The attributes as far as they are whole.
#[derive(Clone)]
struct Attributes<'a> {
    bytes: &'a [u8],
    next: usize,
}

fn attributes(bytes: &[u8], next: usize) -> Attributes<'_> {
    Attributes { bytes, next }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let start = self.next;
        let kind = number(self.bytes, start)?;
        let length = usize::from(number(self.bytes, start + 2)?);
        let value = self.bytes.get(start + 4..start + 4 + length)?;
        let end = start + 4 + length.next_multiple_of(4);
        if end > self.bytes.len() {
            return None;
        }
        self.next = end;
        Some(Attribute { kind, value, start, end })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

/// The name is ours, a colon, theirs (RFC 8445 §7.2.2). Theirs is not compared before their description has come.
fn is_for_us(name: &[u8], credentials: &IceCredentials) -> bool {
    let theirs = name.strip_prefix(credentials.local_name.as_bytes()).and_then(|rest| rest.strip_prefix(b":"));
    let awaited = credentials.remote_name.as_bytes();
    theirs.is_some_and(|theirs| awaited.is_empty() || theirs == awaited)
}

/// The integrity check covers the octets before it, under a header that says a length up to its end (RFC 8489 §14.5).
pub(super) fn is_signed(bytes: &[u8], integrity: usize, key: &hmac::Key) -> bool {
    let mut covered = [0; PACKET_BYTES_MAX];
    let end = integrity + 4 + INTEGRITY_BYTES;
    let (Some(copy), Some(original), Some(tag)) =
        (covered.get_mut(..integrity), bytes.get(..integrity), bytes.get(integrity + 4..end))
    else {
        return false;
    };
    copy.copy_from_slice(original);
    copy[2..4].copy_from_slice(&((end - HEADER_BYTES) as u16).to_be_bytes());
    hmac::verify(key, copy, tag).is_ok()
}

/// The check sum of the octets before it (RFC 8489 §14.7).
pub(super) fn fingerprint(bytes: &[u8]) -> [u8; 4] {
    (crc32fast::hash(bytes) ^ 0x5354_554e).to_be_bytes()
}

const INTEGRITY_BYTES: usize = 20;
const FINGERPRINT_BYTES: usize = 8;
/// The most attributes that a 420 response names.
const UNKNOWN_MAX: usize = 8;

const USERNAME: u16 = 0x0006;
pub(super) const INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;

/// Attributes from here on may be passed over when they are not known (RFC 8489 §14).
const OPTIONAL: u16 = 0x8000;
/// Those below that a binding request may carry.
const KNOWN: [u16; 4] = [USERNAME, INTEGRITY, PRIORITY, USE_CANDIDATE];
