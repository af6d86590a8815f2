//! Digest authentication, both ways (RFC 8760, RFC 7616, RFC 3261 §22). Pure.
//!
//! Speaks qop `auth`, and the form without qop towards old far ends only. Nonces of ours carry the time of their making
//! under a seal, so that a challenge costs no memory; what is remembered is how often a proven one was used.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use md5::{Digest as _, Md5};
use ring::{digest, hmac};

use super::recent::Recent;

use crate::hexadecimal::hexadecimal;

/// How long a nonce of ours is good.
pub(super) const NONCE_LIFE: Duration = Duration::from_secs(120);
/// Nonces in use at a time; more make older ones stale.
const NONCES_MAX: usize = 8_192;
/// The longest header that is read, bytes.
const VALUE_BYTES_MAX: usize = 4_096;

/// How a digest is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// For far ends that know nothing better.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512/256.
    Sha512_256,
}

impl Algorithm {
    /// All of them, best first as RFC 8760 has it.
    pub const ALL: [Algorithm; 3] = [Algorithm::Sha512_256, Algorithm::Sha256, Algorithm::Md5];

    /// The name in headers.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512_256 => "SHA-512-256",
        }
    }

    /// The algorithm of a name.
    pub fn named(name: &str) -> Option<Algorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    fn hexadecimal(self, text: &str) -> String {
        match self {
            Algorithm::Md5 => hexadecimal(&Md5::digest(text.as_bytes())),
            Algorithm::Sha256 => hexadecimal(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()),
            Algorithm::Sha512_256 => hexadecimal(digest::digest(&digest::SHA512_256, text.as_bytes()).as_ref()),
        }
    }
}

/// Who proves to know a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, …)", self.user)
    }
}

/// The request that a digest is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
}

/// A challenge of a far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    with_qop: bool,
    /// The far end knew the password to be right, only the nonce was old.
    pub(super) stale: bool,
}

impl Challenge {
    /// Reads a WWW-Authenticate or Proxy-Authenticate value; nothing when it asks for what is not spoken here.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut fields = parameters(value)?;
        let algorithm = match fields.get("algorithm") {
            Some(name) => Algorithm::named(name)?,
            None => Algorithm::Md5,
        };
        let with_qop = match fields.get("qop") {
            Some(list) => list.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")).then_some(true)?,
            None => false,
        };
        Some(Self {
            realm: fields.remove("realm")?,
            nonce: fields.remove("nonce")?,
            opaque: fields.remove("opaque"),
            algorithm,
            with_qop,
            stale: fields.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The first of several challenges that is spoken here: the far end's own order counts (RFC 8760 §2.3).
    pub(super) fn first<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        values.filter_map(Self::parse).next()
    }

    /// The Authorization or Proxy-Authorization value that answers it. `cnonce` is random.
    pub(super) fn answer(&self, who: &Credentials, subject: Subject<'_>, cnonce: &str) -> String {
        let Self { realm, nonce, algorithm, .. } = self;
        let proof = Proof { algorithm: *algorithm, user: &who.user, realm, password: &who.password, nonce };
        let counted = self.with_qop.then_some(("00000001", cnonce));
        let response = proof.response(subject, counted);
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\", algorithm={}",
            quoted(&who.user),
            quoted(realm),
            quoted(nonce),
            quoted(subject.uri),
            algorithm.name(),
        );
        if let Some((count, cnonce)) = counted {
            // Writing to a String cannot fail.
            let _ = write!(value, ", qop=auth, nc={count}, cnonce={}", quoted(cnonce));
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(value, ", opaque={}", quoted(opaque));
        }
        value
    }
}

/// What a digest is made of besides its request.
struct Proof<'a> {
    algorithm: Algorithm,
    user: &'a str,
    realm: &'a str,
    password: &'a str,
    nonce: &'a str,
}

impl Proof<'_> {
    /// The response of RFC 7616 §3.4.1; with count and client's nonce for qop `auth`.
    fn response(&self, subject: Subject<'_>, counted: Option<(&str, &str)>) -> String {
        let Self { algorithm, user, realm, password, nonce } = self;
        let secret = algorithm.hexadecimal(&format!("{user}:{realm}:{password}"));
        let request = algorithm.hexadecimal(&format!("{}:{}", subject.method, subject.uri));
        match counted {
            Some((count, cnonce)) => {
                algorithm.hexadecimal(&format!("{secret}:{nonce}:{count}:{cnonce}:auth:{request}"))
            }
            None => algorithm.hexadecimal(&format!("{secret}:{nonce}:{request}")),
        }
    }
}

/// What is asked of a far end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand<'a> {
    pub(super) realm: &'a str,
    pub(super) who: &'a Credentials,
    pub(super) algorithms: &'a [Algorithm],
}

/// What an Authorization value was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is who it says.
    Proven,
    /// The password is right, the nonce is old, used up or none of ours: another try is welcome.
    Stale,
    /// Wrong or unreadable; why, in a few words.
    Wrong(&'static str),
}

/// Makes challenges and judges the answers.
pub(super) struct Verifier {
    seal: hmac::Key,
    /// The highest count of each proven nonce.
    used: Recent<String, u32>,
    /// Nonces that are older have been forgotten: they may have been used.
    forgotten_until: Duration,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} nonces)", self.used.len())
    }
}

impl Verifier {
    /// With a seal made of `secret`, which nobody else knows.
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let seal = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self { seal, used: Recent::new(NONCES_MAX), forgotten_until: Duration::ZERO }
    }

    /// The WWW-Authenticate values of a challenge, best algorithm first. `salt` is random.
    pub(super) fn challenge(&self, now: Duration, demand: Demand<'_>, salt: u64, stale: bool) -> Vec<String> {
        let nonce = self.nonce(now, salt);
        let stale = if stale { ", stale=true" } else { "" };
        let one = |algorithm: &Algorithm| {
            format!(
                "Digest realm={}, nonce=\"{nonce}\", algorithm={}, qop=\"auth\"{stale}",
                quoted(demand.realm),
                algorithm.name()
            )
        };
        demand.algorithms.iter().map(one).collect()
    }

    /// Judges an Authorization value.
    pub(super) fn judge(&mut self, now: Duration, demand: Demand<'_>, subject: Subject<'_>, value: &str) -> Judgement {
        let Some(fields) = parameters(value) else { return Judgement::Wrong("unreadable credentials") };
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let algorithm = Algorithm::named(fields.get("algorithm").map_or("MD5", String::as_str));
        let Some(algorithm) = algorithm.filter(|algorithm| demand.algorithms.contains(algorithm)) else {
            return Judgement::Wrong("an algorithm that was not offered");
        };
        if field("realm") != demand.realm || field("username") != demand.who.user {
            return Judgement::Wrong("another user or realm");
        }
        // Some far ends write the request-URI without its parameters; the digest is over what they wrote.
        let uri = field("uri");
        if uri.is_empty() || !field("qop").eq_ignore_ascii_case("auth") {
            return Judgement::Wrong("a digest without uri or qop");
        }
        let count = Some(field("nc")).filter(|nc| nc.len() == 8).and_then(|nc| u32::from_str_radix(nc, 16).ok());
        let Some(count) = count.filter(|count| *count > 0) else { return Judgement::Wrong("no nonce count") };
        let nonce = field("nonce");
        let proof =
            Proof { algorithm, user: &demand.who.user, realm: demand.realm, password: &demand.who.password, nonce };
        let expected = proof.response(Subject { uri, ..subject }, Some((field("nc"), field("cnonce"))));
        let given = field("response").to_ascii_lowercase();
        if !is_same(&expected, &given) {
            return Judgement::Wrong("a wrong digest");
        }
        if self.use_up(now, nonce, count) { Judgement::Proven } else { Judgement::Stale }
    }

    /// Notes that a nonce was used; false when it may not be, any more or so often.
    fn use_up(&mut self, now: Duration, nonce: &str, count: u32) -> bool {
        let Some(made) = self.made_at(nonce) else { return false };
        let is_fresh = made <= now && now - made <= NONCE_LIFE && made >= self.forgotten_until;
        if !is_fresh {
            return false;
        }
        if self.used.is_full() {
            // What is forgotten now must not be usable once more.
            self.forgotten_until = now;
            self.used = Recent::new(NONCES_MAX);
            return false;
        }
        let highest = self.used.get_or(&nonce.to_owned(), || 0);
        let is_new = count > *highest;
        *highest = (*highest).max(count);
        is_new
    }

    /// `TIME-SALT-SEAL`, hexadecimal; the time in milliseconds.
    fn nonce(&self, now: Duration, salt: u64) -> String {
        let head = format!("{:012x}-{salt:016x}", now.as_millis());
        let seal = hexadecimal(&hmac::sign(&self.seal, head.as_bytes()).as_ref()[..16]);
        format!("{head}-{seal}")
    }

    /// When a nonce of ours was made; nothing when it is none of ours.
    fn made_at(&self, nonce: &str) -> Option<Duration> {
        let (head, seal) = nonce.rsplit_once('-')?;
        let expected = hexadecimal(&hmac::sign(&self.seal, head.as_bytes()).as_ref()[..16]);
        if !is_same(&expected, seal) {
            return None;
        }
        u64::from_str_radix(head.split('-').next()?, 16).ok().map(Duration::from_millis)
    }
}

/// The user that an Authorization value names.
pub(super) fn user_of(value: &str) -> Option<String> {
    parameters(value)?.remove("username")
}

/// The parameters of a Digest value, names in lower case, quotes taken off; nothing when one stands twice or the value
/// is of another scheme.
fn parameters(value: &str) -> Option<BTreeMap<String, String>> {
    let value = value.trim();
    let (scheme, mut rest) = value.split_once([' ', '\t'])?;
    if !scheme.eq_ignore_ascii_case("Digest") || value.len() > VALUE_BYTES_MAX {
        return None;
    }
    let mut fields = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(fields);
        }
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (text, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if fields.insert(name.trim().to_ascii_lowercase(), text).is_some() {
            return None;
        }
        rest = after;
    }
}

/// The text of a quoted string whose opening quote is gone, and what follows it.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.push(characters.next()?.1),
            other => text.push(other),
        }
    }
    None
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Digests of secrets tell nothing by how early they differ.
fn is_same(secret: &str, given: &str) -> bool {
    let digest = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    digest(secret).as_ref() == digest(given).as_ref()
}

#[cfg(test)]
mod tests;
