//! Secure RTP: the transform that hides and authenticates packets, and the keys it works with (RFC 3711, RFC 7714).
//!
//! Keys are never printed: their `Debug` says only which suite they are for.

mod cipher;
mod derive;
pub mod sdes;
mod streams;
#[cfg(test)]
mod tests;
mod transform;

use std::fmt;

use zeroize::Zeroizing;

pub use transform::{Receiver, Sender, SrtpError, TRAILER_BYTES_MAX};

/// How packets are hidden and authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80` (RFC 4568 §6.2).
    AesCm128HmacSha1Tag80,
    /// `AES_CM_128_HMAC_SHA1_32`; its control packets have the long tag all the same (RFC 4568 §6.2.2).
    AesCm128HmacSha1Tag32,
    /// `AEAD_AES_128_GCM` (RFC 7714).
    AeadAes128Gcm,
    /// `AEAD_AES_256_GCM` (RFC 7714).
    AeadAes256Gcm,
}

/// The master key and master salt of one direction.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    bytes: Zeroizing<Vec<u8>>,
}

/// The keys of both directions of one leg, seen from us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKeys {
    /// What we send with.
    pub send: MasterKey,
    /// What the far end sends with.
    pub receive: MasterKey,
}

/// How the packets of a leg are protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    Plain,
    /// With keys that were agreed in the session descriptions (RFC 4568).
    Keys(Box<SessionKeys>),
    /// With keys that a DTLS handshake on the media path will bring (RFC 5764); until then nothing passes.
    Handshake,
}

/// Octets of the longest master key with its salt.
pub const MASTER_BYTES_MAX: usize = 44;

impl Suite {
    /// Every suite, the one we like best first.
    pub const ALL: [Suite; 4] =
        [Suite::AeadAes128Gcm, Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1Tag80, Suite::AesCm128HmacSha1Tag32];

    /// Its name in session descriptions (RFC 4568 §6.2, RFC 7714 §14.2).
    pub const fn name(self) -> &'static str {
        match self {
            Suite::AesCm128HmacSha1Tag80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128HmacSha1Tag32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Octets of the tag behind a media packet.
    pub const fn tag_bytes(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1Tag80 => 10,
            Suite::AesCm128HmacSha1Tag32 => 4,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 16,
        }
    }

    /// Octets of its master key.
    pub const fn key_bytes(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1Tag80 | Suite::AesCm128HmacSha1Tag32 | Suite::AeadAes128Gcm => 16,
            Suite::AeadAes256Gcm => 32,
        }
    }

    /// Octets of its master salt.
    pub const fn salt_bytes(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1Tag80 | Suite::AesCm128HmacSha1Tag32 => 14,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 12,
        }
    }
}

impl MasterKey {
    /// A key of `suite` from its octets, the salt behind the key; `None` when there are too few or too many.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<Self> {
        let fits = key_and_salt.len() == suite.key_bytes() + suite.salt_bytes();
        fits.then(|| Self { suite, bytes: Zeroizing::new(key_and_salt.to_vec()) })
    }

    /// A new key from the front of random octets, which nobody else may have seen.
    pub fn from_random(suite: Suite, random: &[u8; MASTER_BYTES_MAX]) -> Self {
        let length = suite.key_bytes() + suite.salt_bytes();
        Self { suite, bytes: Zeroizing::new(random[..length].to_vec()) }
    }

    /// What it is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The key without the salt.
    pub fn key(&self) -> &[u8] {
        &self.bytes[..self.suite.key_bytes()]
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.bytes[self.suite.key_bytes()..]
    }

    /// Both, the salt behind the key, as session descriptions carry them.
    pub fn key_and_salt(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({:?})", self.suite)
    }
}
