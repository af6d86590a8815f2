//! How a stream is protected: what is wanted, what the far end brings for it, and what comes of the two.
//!
//! Negotiates only. Keys are used by `srtp`, and handshakes are made by whoever owns a certificate.

use std::fmt;

use super::SdpError;
use crate::srtp::sdes::Crypto;
use crate::srtp::{MasterKey, Suite};

/// Whether audio is protected on a trunk, and how its keys are agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// Whether it is protected.
    pub wanted: Wanted,
    /// Where keys come from.
    pub exchange: Exchange,
}

impl Protection {
    /// Plain RTP, whatever the far end offers.
    pub const OFF: Protection = Protection { wanted: Wanted::Never, exchange: Exchange::Any };
}

/// Whether audio is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Never: an offer that insists on it is refused.
    Never,
    /// When the far end can. Offered as RTP/AVP with keys beside it, which far ends without SRTP overlook (RFC 8643).
    Optional,
    /// Always: offered as SAVP, and an offer without it is refused.
    Required,
}

/// Where keys come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// From the descriptions (RFC 4568).
    Sdes,
    /// From a DTLS handshake on the media path (RFC 5763).
    Dtls,
    /// Both are offered and answered. A far end that brings both gets keys in the description, which need no handshake.
    Any,
}

impl Exchange {
    fn has_sdes(self) -> bool {
        matches!(self, Exchange::Sdes | Exchange::Any)
    }

    fn has_dtls(self) -> bool {
        matches!(self, Exchange::Dtls | Exchange::Any)
    }
}

/// What the DTLS handshake of a leg has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// What the far end's certificate must hash to.
    pub fingerprint: Fingerprint,
    /// Whether we begin (RFC 5763 §5).
    pub active: bool,
    /// Whether control packets have a port, and so a handshake, of their own (RFC 5764 §4.1).
    pub separate_control: bool,
}

/// The hash of a certificate (RFC 8122 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Which hash.
    pub hash: Hash,
    /// Its octets, as many as the hash has.
    pub octets: Vec<u8>,
}

/// The hashes that certificates are named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hash {
    /// SHA-256, which everybody has to know.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SHA-1, of old far ends.
    Sha1,
}

impl Hash {
    const ALL: [Hash; 4] = [Hash::Sha256, Hash::Sha384, Hash::Sha512, Hash::Sha1];

    /// Its name in descriptions.
    pub const fn name(self) -> &'static str {
        match self {
            Hash::Sha256 => "sha-256",
            Hash::Sha384 => "sha-384",
            Hash::Sha512 => "sha-512",
            Hash::Sha1 => "sha-1",
        }
    }

    /// How many octets it has.
    pub const fn octets(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            Hash::Sha512 => 64,
            Hash::Sha1 => 20,
        }
    }
}

impl Fingerprint {
    /// Reads `sha-256 4A:AD:…`; `None` when it is malformed or of a hash that we do not know.
    pub fn parse(value: &str) -> Option<Fingerprint> {
        let (name, digits) = value.trim().split_once(char::is_whitespace)?;
        let hash = Hash::ALL.into_iter().find(|hash| hash.name().eq_ignore_ascii_case(name))?;
        let octets: Vec<u8> = digits
            .trim()
            .split(':')
            .map(|pair| u8::from_str_radix(pair, 16).ok().filter(|_| pair.len() == 2))
            .collect::<Option<_>>()?;
        (octets.len() == hash.octets()).then_some(Fingerprint { hash, octets })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.hash.name())?;
        for (place, octet) in self.octets.iter().enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02X}")?;
        }
        Ok(())
    }
}

/// What is ours of one leg's keys and passwords; stays the same as long as the leg does, so that offers inside the
/// dialog change no key by themselves.
#[derive(Clone)]
pub struct Credentials {
    secret: [u8; Credentials::OCTETS],
    /// What our certificate hashes to; without one there are no handshakes.
    fingerprint: Option<Fingerprint>,
}

impl Credentials {
    /// Random octets that one leg takes.
    pub const OCTETS: usize = ICE_AT + ICE_NAME + ICE_PASSWORD;

    /// Credentials of a new leg. `secret` must be random and used for no other leg.
    pub fn new(secret: [u8; Credentials::OCTETS], fingerprint: Option<Fingerprint>) -> Credentials {
        Credentials { secret, fingerprint }
    }

    pub(super) fn fingerprint(&self) -> Option<&Fingerprint> {
        self.fingerprint.as_ref()
    }

    /// What we send with; each suite has its own.
    pub(super) fn key(&self, suite: Suite) -> MasterKey {
        let mut at = 0;
        for each in SUITES {
            let octets = each.key_bytes() + each.salt_bytes();
            if each == suite {
                return MasterKey::new(suite, &self.secret[at..at + octets]).expect("as long as the suite asks for");
            }
            at += octets;
        }
        unreachable!("every suite is in the table")
    }

    /// Our part of the name in connectivity checks (RFC 8839 §5.4: at least 4 characters).
    pub(super) fn ice_name(&self) -> String {
        characters(&self.secret[ICE_AT..ICE_AT + ICE_NAME])
    }

    /// What checks to us are authenticated with (at least 22 characters).
    pub(super) fn ice_password(&self) -> String {
        characters(&self.secret[ICE_AT + ICE_NAME..])
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// One of 64 characters for each octet: six random bits of its eight.
fn characters(octets: &[u8]) -> String {
    const SET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    octets.iter().map(|octet| char::from(SET[usize::from(octet % 64)])).collect()
}

/// What a far end's stream brings for protection.
#[derive(Debug, Clone, Default)]
pub(super) struct Means {
    /// Whether its transport is SAVP: it insists.
    pub(super) insists: bool,
    /// Whether its transport names a handshake.
    pub(super) over_dtls: bool,
    /// Keys of suites that we know, in its order.
    pub(super) keys: Vec<Crypto>,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) setup: Option<Setup>,
    /// The transport as written.
    pub(super) transport: String,
}

/// Who begins a handshake, as the writer says it (RFC 4145 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setup {
    Active,
    Passive,
    Either,
}

impl Setup {
    pub(super) fn parse(value: &str) -> Option<Setup> {
        match value.trim() {
            "active" => Some(Setup::Active),
            "passive" => Some(Setup::Passive),
            "actpass" => Some(Setup::Either),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::Either => "actpass",
        }
    }

    /// Our own role as it is written.
    pub(super) fn of(active: bool) -> Setup {
        if active { Setup::Active } else { Setup::Passive }
    }
}

/// What protects an answered stream.
#[derive(Debug, Clone)]
pub(super) enum Chosen {
    Plain,
    /// With the far end's key, and ours of the same suite.
    Keys(Crypto),
    /// The role is ours to choose when `setup` says so.
    Handshake {
        fingerprint: Fingerprint,
        setup: Option<Setup>,
    },
}

impl Means {
    /// What we take of it under `protection`; `certified` when we have a certificate.
    pub(super) fn choose(&self, protection: Protection, certified: bool) -> Result<Chosen, SdpError> {
        let exchange = protection.exchange;
        let keys = self.keys.first().filter(|_| exchange.has_sdes() && !self.over_dtls);
        let fingerprint = self.fingerprint.as_ref().filter(|_| exchange.has_dtls() && certified);
        match (protection.wanted, keys, fingerprint) {
            (Wanted::Never, ..) if self.insists => Err(self.unfit("plain RTP")),
            (Wanted::Never, ..) => Ok(Chosen::Plain),
            (_, Some(keys), _) => Ok(Chosen::Keys(keys.clone())),
            (_, None, Some(fingerprint)) => {
                Ok(Chosen::Handshake { fingerprint: fingerprint.clone(), setup: self.setup })
            }
            (Wanted::Optional, None, None) if !self.insists => Ok(Chosen::Plain),
            (Wanted::Optional | Wanted::Required, None, None) => Err(self.unfit(match exchange {
                Exchange::Sdes => "SRTP with keys in a=crypto",
                Exchange::Dtls => "SRTP with a DTLS fingerprint",
                Exchange::Any => "SRTP with keys in a=crypto or a DTLS fingerprint",
            })),
        }
    }

    fn unfit(&self, expected: &'static str) -> SdpError {
        let keys = match (self.keys.len(), &self.fingerprint) {
            (0, None) => "no usable keys".to_owned(),
            (0, Some(_)) => "a fingerprint".to_owned(),
            (count, None) => format!("{count} usable keys"),
            (count, Some(_)) => format!("{count} usable keys and a fingerprint"),
        };
        SdpError::NoSecurity { expected, found: format!("{} with {keys}", self.transport) }
    }
}

/// What protects an offer of ours; far ends choose from it.
#[derive(Debug, Clone, Default)]
pub(super) struct OfferedMeans {
    /// One key per suite, best first.
    pub(super) keys: Vec<Crypto>,
    /// What our certificate hashes to.
    pub(super) fingerprint: Option<Fingerprint>,
}

impl OfferedMeans {
    /// All that we have of what `protection` wants. Without a certificate there is no handshake; whoever asks for nothing
    /// else gets the call refused by the far end.
    pub(super) fn new(protection: Protection, credentials: Option<&Credentials>) -> OfferedMeans {
        let Some(credentials) = credentials.filter(|_| protection.wanted != Wanted::Never) else {
            return OfferedMeans::default();
        };
        let suites: &[Suite] = if protection.exchange.has_sdes() { &SUITES } else { &[] };
        let keys = suites.iter().zip(1..).map(|(suite, tag)| Crypto { tag, key: credentials.key(*suite) });
        let fingerprint = credentials.fingerprint().filter(|_| protection.exchange.has_dtls());
        OfferedMeans { keys: keys.collect(), fingerprint: fingerprint.cloned() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.fingerprint.is_none()
    }

    /// The transport that offers them: with keys beside it when they are `required`, RTP/SAVP, which those who know
    /// only one of the two ways take as well.
    pub(super) fn transport(&self, required: bool) -> &'static str {
        match (required, self.keys.is_empty() && self.fingerprint.is_some()) {
            (false, _) => "RTP/AVP",
            (true, false) => "RTP/SAVP",
            (true, true) => "UDP/TLS/RTP/SAVP",
        }
    }
}

/// Best known first, then the strongest: the order of our offers, and of the keys in `Credentials`.
const SUITES: [Suite; 4] =
    [Suite::AesCm128HmacSha1Tag80, Suite::AeadAes256Gcm, Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1Tag32];
/// Octets of the keys of all suites.
const ICE_AT: usize = 30 + 44 + 28 + 30;
const ICE_NAME: usize = 8;
const ICE_PASSWORD: usize = 24;
