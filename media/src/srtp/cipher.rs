//! What hides and authenticates octets under one session key, placed by stream and index.
//!
//! Knows no packet layout and keeps no state between packets. `ring` seals GCM; counter mode and HMAC-SHA1 come from
//! crates that use the processor's AES and SHA instructions, which `ring` does not offer for these two.

use aes::Aes128Enc;
use aes::cipher::{InnerIvInit, KeyInit as _, StreamCipher, StreamCipherCoreWrapper};
use ctr::CtrCore;
use ctr::flavors::Ctr64BE;
use hmac::{Hmac, Mac};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::derive::{Label, derive};
use super::{MasterKey, SrtpError, Suite};

/// The session keys of one direction for media packets, or for control packets.
#[expect(clippy::large_enum_variant, reason = "a box would be one more place in memory to visit per packet")]
pub(super) enum Cipher {
    Counter(CounterMode),
    Gcm(Gcm),
}

/// Which of the two a cipher is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Packets,
    Control,
}

/// AES in counter mode, and HMAC-SHA1 over what it made (RFC 3711 §4.1.1, §4.2.1).
pub(super) struct CounterMode {
    cipher: Aes128Enc,
    authentication: Hmac<Sha1>,
    salt: Zeroizing<[u8; 14]>,
    tag_bytes: usize,
}

/// AES in Galois/counter mode (RFC 7714).
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: Zeroizing<[u8; 12]>,
}

/// Octets of a GCM tag; no suite has a longer one.
pub(super) const TAG_BYTES_MAX: usize = 16;
/// Control packets have the long tag in both suites with HMAC-SHA1 (RFC 4568 §6.2.2).
const CONTROL_TAG_BYTES: usize = 10;
const AUTHENTICATION_KEY_BYTES: usize = 20;

impl Cipher {
    pub(super) fn new(master: &MasterKey, purpose: Purpose) -> Self {
        let [cipher, authentication, salt] = match purpose {
            Purpose::Packets => [Label::PacketCipher, Label::PacketAuthentication, Label::PacketSalt],
            Purpose::Control => [Label::ControlCipher, Label::ControlAuthentication, Label::ControlSalt],
        };
        match master.suite() {
            Suite::AesCm128HmacSha1Tag80 | Suite::AesCm128HmacSha1Tag32 => Cipher::Counter(CounterMode::new(
                &derive(master, cipher),
                &derive(master, authentication),
                derive(master, salt),
                if purpose == Purpose::Control { CONTROL_TAG_BYTES } else { master.suite().tag_bytes() },
            )),
            Suite::AeadAes128Gcm => Cipher::Gcm(Gcm::new(&derive::<16>(master, cipher)[..], derive(master, salt))),
            Suite::AeadAes256Gcm => Cipher::Gcm(Gcm::new(&derive::<32>(master, cipher)[..], derive(master, salt))),
        }
    }

    /// Octets that it puts behind what it seals.
    pub(super) fn tag_bytes(&self) -> usize {
        match self {
            Cipher::Counter(counter) => counter.tag_bytes,
            Cipher::Gcm(_) => TAG_BYTES_MAX,
        }
    }
}

impl CounterMode {
    pub(super) fn new(
        cipher: &[u8; 16],
        authentication: &[u8; AUTHENTICATION_KEY_BYTES],
        salt: Zeroizing<[u8; 14]>,
        tag_bytes: usize,
    ) -> Self {
        let authentication = Hmac::new_from_slice(authentication).expect("HMAC takes a key of any length");
        Self { cipher: Aes128Enc::new(cipher.into()), authentication, salt, tag_bytes }
    }

    /// Hides or uncovers `octets`.
    pub(super) fn apply(&self, ssrc: u32, index: u64, octets: &mut [u8]) {
        let mut start = [0; 16];
        start[4..8].copy_from_slice(&ssrc.to_be_bytes());
        start[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
        start.iter_mut().zip(self.salt.iter()).for_each(|(octet, salt)| *octet ^= salt);

        // The last two octets count blocks; a datagram has far fewer than 2^16.
        let stream = CtrCore::<_, Ctr64BE>::inner_iv_init(&self.cipher, &start.into());
        StreamCipherCoreWrapper::from_core(stream).apply_keystream(octets);
    }

    /// Writes the tag of `octets` and `suffix`, as long as `tag` is.
    pub(super) fn sign(&self, octets: &[u8], suffix: &[u8], tag: &mut [u8]) {
        let whole = self.authentication.clone().chain_update(octets).chain_update(suffix).finalize().into_bytes();
        tag.copy_from_slice(&whole[..tag.len()]);
    }

    /// Compares a tag in constant time.
    pub(super) fn verify(&self, octets: &[u8], suffix: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
        let authentication = self.authentication.clone().chain_update(octets).chain_update(suffix);
        authentication.verify_truncated_left(tag).map_err(|_| SrtpError::Forged)
    }
}

impl Gcm {
    /// The key says by its length which of the two it is for.
    pub(super) fn new(key: &[u8], salt: Zeroizing<[u8; 12]>) -> Self {
        let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let key = UnboundKey::new(algorithm, key).expect("a session key has 16 or 32 octets");
        Self { key: LessSafeKey::new(key), salt }
    }

    /// Hides `octets` and writes their tag, which covers `clear` too.
    pub(super) fn seal(
        &self,
        (ssrc, index): (u32, u64),
        clear: &[u8],
        octets: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), SrtpError> {
        let made = self.key.seal_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(clear), octets);
        tag.copy_from_slice(made.map_err(|_| SrtpError::Malformed)?.as_ref());
        Ok(())
    }

    /// Uncovers `octets` when the tag fits them and `clear`; otherwise they are lost.
    pub(super) fn open(
        &self,
        (ssrc, index): (u32, u64),
        clear: &[u8],
        octets: &mut [u8],
        tag: &[u8],
    ) -> Result<(), SrtpError> {
        let tag = Tag::try_from(tag).map_err(|_| SrtpError::Malformed)?;
        let opened = self.key.open_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(clear), tag, octets, 0..);
        opened.map(drop).map_err(|_| SrtpError::Forged)
    }

    /// Where the key stream begins (RFC 7714 §8.1, §9.1).
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        nonce.iter_mut().zip(self.salt.iter()).for_each(|(octet, salt)| *octet ^= salt);
        Nonce::assume_unique_for_key(nonce)
    }
}
