//! Where the keys of a telephone's calls come from: one secret, of which each call gets its own part (RFC 5869).
//!
//! The telephone stays pure: whoever makes it brings the random octets.

use media::sdp::Credentials;
use ring::hkdf::{HKDF_SHA256, KeyType, Prk};

/// Random octets of one telephone.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// `octets` must be random wherever somebody might listen.
    pub fn new(octets: [u8; 32]) -> Self {
        Secret(octets)
    }

    /// The keys of the call with this number, which no other call may have.
    pub(super) fn credentials(&self, call: u64) -> Credentials {
        let mut octets = [0; Credentials::OCTETS];
        let key = Prk::new_less_safe(HKDF_SHA256, &self.0);
        key.expand(&[&call.to_be_bytes()], Length)
            .and_then(|material| material.fill(&mut octets))
            .expect("far fewer octets than 255 hashes have");
        Credentials::new(octets, None)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        Credentials::OCTETS
    }
}
