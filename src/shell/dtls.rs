//! DTLS-SRTP for one leg: shakes hands over datagrams that others carry, and gives the keys (RFC 5763, RFC 5764).
//!
//! No socket, no timer: time comes in as a `Duration` since start. The library underneath takes its randomness from the
//! system, and counts time in `Instant`s; ours are an arbitrary moment plus the time we are given.

mod screen;
#[cfg(test)]
mod tests;
pub mod worker;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use media::sdp::{Fingerprint, Handshake, Hash};
use media::srtp::{MasterKey, SessionKeys, Suite};
use ring::digest;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc_dtls::endpoint::EndpointEvent;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_dtls::state::State;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error as LibraryError;
use zeroize::Zeroizing;

use self::screen::{Fragment, Glance};
use crate::control::HandshakeFailure as Failure;

/// Who we are in every handshake: a key and a certificate that only its fingerprint vouches for.
#[derive(Clone)]
pub struct Certificate {
    library: rtc_dtls::crypto::Certificate,
    provider: Arc<dyn rtc_crypto::RTCCryptoProvider>,
    fingerprint: Fingerprint,
}

/// One end of one handshake.
pub struct Endpoint {
    library: rtc_dtls::endpoint::Endpoint,
    config: Arc<HandshakeConfig>,
    active: bool,
    expected: Fingerprint,
    /// Set from within the library when the far end's certificate is another one than promised.
    is_stranger: Arc<AtomicBool>,
    /// The library's name for the time zero.
    zero: Instant,
    /// When the time for the handshake began to run.
    began: Option<Duration>,
    progress: Progress,
    /// The fragments of the far end's handshake that the library has.
    seen: BTreeSet<Fragment>,
    /// What the far end's handshakes are told apart by, the current one last.
    hellos: Vec<[u8; 32]>,
    /// What we have said to its hello.
    answer: Option<BytesMut>,
    /// Our own hello, while nobody has answered it.
    greeting: Option<Greeting>,
    outgoing: VecDeque<BytesMut>,
    /// Datagrams and handshake fragments that were taken so far.
    datagrams: u32,
    fragments: usize,
}

/// A hello that is said again soon: the first one may have come before the far end had our session description.
struct Greeting {
    hello: BytesMut,
    at: Duration,
    wait: Duration,
}

enum Progress {
    Shaking,
    Done(Box<SessionKeys>),
    Failed(Failure),
}

/// How long a handshake may take: from our first datagram, or from the far end's first one when it begins.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Datagrams taken from one far end, and handshake fragments in them: several times what the worst network needs.
const DATAGRAMS_MAX: u32 = 300;
const FRAGMENTS_MAX: usize = 1_000;
/// How long the library waits before it says something again.
const REPEAT: Duration = Duration::from_millis(500);
/// How long nobody need have answered our hello before it is said again.
const GREETING: Duration = Duration::from_millis(50);
/// Octets of a datagram that we send, at most.
const DATAGRAM_BYTES: usize = 1_200;
/// What the keys are exported under (RFC 5764 §4.2).
const LABEL: &str = "EXTRACTOR-dtls_srtp";
/// The library tells far ends apart by address; an endpoint of ours has one, and others know where it is.
const FAR_END: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// What we offer, the one we like best first. Of what a far end offers, the library takes the first that is here.
const PROFILES: [(SrtpProtectionProfile, Suite); 3] = [
    (SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm, Suite::AeadAes128Gcm),
    (SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80, Suite::AesCm128HmacSha1Tag80),
    (SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm, Suite::AeadAes256Gcm),
];

impl Certificate {
    /// A new key (ECDSA P-256) with a certificate signed by itself; one serves the whole process.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self, Failure> {
        let provider = rtc_crypto::default_provider().map_err(|_| Failure::Begin)?;
        let names = vec!["calmline".to_owned()];
        let library = rtc_dtls::crypto::Certificate::generate_self_signed(names, provider.crypto())
            .map_err(|error| not_begun(&error))?;
        let own = library.certificate.first().ok_or(Failure::Begin)?;
        let fingerprint = fingerprint(Hash::Sha256, own);
        Ok(Self { library, provider, fingerprint })
    }

    /// What our session descriptions say of it.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.fingerprint)
    }
}

impl Endpoint {
    /// An end that begins at once when `agreed` says that we are active, and otherwise waits for the far end.
    ///
    /// # Errors
    /// When the library refuses the certificate.
    pub fn new(agreed: Handshake, certificate: &Certificate, now: Duration) -> Result<Self, Failure> {
        let Handshake { fingerprint: expected, active, .. } = agreed;
        let is_stranger = Arc::new(AtomicBool::new(false));
        let config = config(active, &expected, certificate, Arc::clone(&is_stranger))?;
        let mut endpoint = Self {
            library: library(active, &config),
            config,
            active,
            expected,
            is_stranger,
            zero: Instant::now(),
            began: None,
            progress: Progress::Shaking,
            seen: BTreeSet::new(),
            hellos: Vec::new(),
            answer: None,
            greeting: None,
            outgoing: VecDeque::new(),
            datagrams: 0,
            fragments: 0,
        };
        endpoint.begin(now)?;
        Ok(endpoint)
    }

    /// Takes a datagram of the far end. What is wrong with it is the far end's affair, and others could have sent it:
    /// it only ever costs the time that the handshake has.
    pub fn handle(&mut self, now: Duration, datagram: &[u8]) {
        let Some(glance) = screen::glance(datagram) else { return };
        let fragments = self.fragments + glance.fragments.len();
        let has_room = self.datagrams < DATAGRAMS_MAX && fragments <= FRAGMENTS_MAX;
        if !has_room || matches!(self.progress, Progress::Failed(_)) {
            return;
        }
        self.datagrams += 1;
        self.fragments = fragments;
        self.greeting = None;
        self.began.get_or_insert(now);
        if matches!(self.progress, Progress::Shaking) {
            self.follow(&glance);
            if self.is_repetition(&glance) {
                self.repeat_answer(&glance);
                return;
            }
        }

        let at = self.at(now);
        let is_complete = match self.library.read(at, FAR_END, None, BytesMut::from(datagram)) {
            Ok(events) => {
                self.seen.extend(glance.fragments);
                events.iter().any(|event| matches!(event, EndpointEvent::HandshakeComplete))
            }
            Err(error) => {
                tracing::debug!(%error, "a datagram of a key handshake");
                false
            }
        };
        self.look(now, is_complete);
    }

    /// Says again what the far end may have missed, and gives up in the end; due at [`Endpoint::deadline`].
    pub fn tick(&mut self, now: Duration) {
        let (Progress::Shaking, Some(_)) = (&self.progress, self.began) else { return };
        self.greet(now);
        let at = self.at(now);
        if self.library.poll_timeout(&FAR_END).is_some_and(|due| due <= at)
            && let Err(error) = self.library.handle_timeout(FAR_END, at)
        {
            // It has said everything as often as it does; the far end may still come.
            tracing::debug!(%error, "a key handshake begins again");
            self.forget();
            self.progress = self.begin(now).map_or_else(Progress::Failed, |()| Progress::Shaking);
        }
        self.look(now, false);
    }

    /// The next datagram for the far end.
    pub fn poll(&mut self) -> Option<BytesMut> {
        self.outgoing.pop_front()
    }

    /// When [`Endpoint::tick`] is due; `None` while only the far end can go on, and after the end.
    pub fn deadline(&self) -> Option<Duration> {
        let Progress::Shaking = self.progress else { return None };
        let end = self.began? + HANDSHAKE_TIME_MAX;
        let repeat = self.library.poll_timeout(&FAR_END).map(|at| at.saturating_duration_since(self.zero));
        let greeting = self.greeting.as_ref().map(|greeting| greeting.at);
        [repeat, greeting].into_iter().flatten().chain([end]).min()
    }

    /// The keys, once the far end has shown that it is who it is expected to be.
    pub fn keys(&self) -> Option<&SessionKeys> {
        match &self.progress {
            Progress::Done(keys) => Some(keys),
            Progress::Shaking | Progress::Failed(_) => None,
        }
    }

    /// Why there will be no keys.
    pub fn failure(&self) -> Option<Failure> {
        match self.progress {
            Progress::Failed(failure) => Some(failure),
            Progress::Shaking | Progress::Done(_) => None,
        }
    }

    /// Says the first word when that is ours.
    fn begin(&mut self, now: Duration) -> Result<(), Failure> {
        if self.active {
            self.began.get_or_insert(now);
            let (at, config) = (self.at(now), Arc::clone(&self.config));
            self.library.connect(at, FAR_END, config, None).map_err(|error| not_begun(&error))?;
            self.collect();
            let hello = self.outgoing.back().filter(|_| self.datagrams == 0).cloned();
            self.greeting = hello.map(|hello| Greeting { hello, at: now + GREETING, wait: GREETING });
        }
        Ok(())
    }

    /// Says our hello again when it is time, with twice the wait each time, until the library would repeat it itself.
    fn greet(&mut self, now: Duration) {
        let Some(greeting) = self.greeting.as_mut().filter(|greeting| greeting.at <= now) else { return };
        self.outgoing.push_back(greeting.hello.clone());
        greeting.wait *= 2;
        greeting.at = now + greeting.wait;
        if greeting.wait >= REPEAT {
            self.greeting = None;
        }
    }

    /// Begins again when the far end has: its hello is another one than any before.
    fn follow(&mut self, glance: &Glance) {
        let Some(hello) = glance.hello.filter(|hello| !self.active && !self.hellos.contains(hello)) else { return };
        if !self.hellos.is_empty() {
            self.forget();
        }
        self.hellos.push(hello);
    }

    /// Whether a datagram says only what the library has, or belongs to a handshake that the far end has given up. It
    /// would stop the library's clock and nothing else; left alone, that repeats in time what the far end has missed.
    fn is_repetition(&self, glance: &Glance) -> bool {
        let is_given_up = glance.hello.is_some_and(|hello| !self.active && self.hellos.last() != Some(&hello));
        let is_known = glance.fragments.iter().all(|fragment| self.seen.contains(fragment));
        is_given_up || (is_known && !glance.has_more)
    }

    /// Our answer to a hello is the one thing that the library says only once.
    fn repeat_answer(&mut self, glance: &Glance) {
        let is_waited_for = glance.hello.is_some() && self.seen.iter().all(|fragment| fragment.message == 0);
        self.outgoing.extend(self.answer.clone().filter(|_| is_waited_for));
    }

    /// Takes what the library wants to say.
    fn collect(&mut self) {
        while let Some(transmit) = self.library.poll_transmit() {
            if !self.active && self.answer.is_none() {
                self.answer = Some(transmit.message.clone());
            }
            self.outgoing.push_back(transmit.message);
        }
    }

    fn forget(&mut self) {
        self.library = library(self.active, &self.config);
        self.seen.clear();
        self.answer = None;
    }

    fn look(&mut self, now: Duration, is_complete: bool) {
        self.collect();
        let Progress::Shaking = self.progress else { return };
        if self.is_stranger.load(Ordering::Relaxed) {
            self.progress = Progress::Failed(Failure::WrongCertificate);
        } else if is_complete {
            self.progress = self.export().map_or_else(Progress::Failed, |keys| Progress::Done(Box::new(keys)));
        } else if self.began.is_some_and(|began| now >= began + HANDSHAKE_TIME_MAX) {
            self.progress = Progress::Failed(Failure::TooSlow);
        }
    }

    /// The keys of both directions (RFC 5764 §4.2).
    fn export(&self) -> Result<SessionKeys, Failure> {
        let state = self.library.get_connection_state(FAR_END).ok_or(Failure::NoKeys)?;
        // The library has asked before; that keys depend on it is said here.
        if !is_expected(&self.expected, &state.peer_certificates) {
            return Err(Failure::WrongCertificate);
        }
        let profile = state.srtp_protection_profile();
        let suite = PROFILES.iter().find(|(known, _)| *known == profile).ok_or(Failure::NoProfile)?.1;
        let [client, server] = directions(state, suite).ok_or(Failure::NoKeys)?;
        let (send, receive) = if self.active { (client, server) } else { (server, client) };
        Ok(SessionKeys { send, receive })
    }

    fn at(&self, now: Duration) -> Instant {
        self.zero + now
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = match self.progress {
            Progress::Shaking => "shaking",
            Progress::Done(_) => "done",
            Progress::Failed(_) => "failed",
        };
        write!(f, "Endpoint({progress})")
    }
}

fn library(active: bool, config: &Arc<HandshakeConfig>) -> rtc_dtls::endpoint::Endpoint {
    let serves = (!active).then(|| Arc::clone(config));
    rtc_dtls::endpoint::Endpoint::new(FAR_END, TransportProtocol::UDP, serves)
}

fn config(
    active: bool,
    expected: &Fingerprint,
    certificate: &Certificate,
    is_stranger: Arc<AtomicBool>,
) -> Result<Arc<HandshakeConfig>, Failure> {
    let promised = expected.clone();
    let builder = ConfigBuilder::default()
        .with_crypto_provider(Arc::clone(&certificate.provider))
        .with_certificates(vec![certificate.library.clone()])
        .with_srtp_protection_profiles(PROFILES.iter().map(|&(profile, _)| profile).collect())
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        // No authority vouches for these certificates; the fingerprint does.
        .with_insecure_skip_verify(true)
        .with_verify_peer_certificate(Some(Arc::new(move |chain: &[Vec<u8>], _: &[_]| {
            if is_expected(&promised, chain) {
                return Ok(());
            }
            is_stranger.store(true, Ordering::Relaxed);
            Err(LibraryError::ErrInvalidCertificate)
        })))
        .with_server_name("calmline".to_owned())
        .with_flight_interval(REPEAT)
        .with_mtu(DATAGRAM_BYTES);
    builder.build(active, Some(FAR_END)).map(Arc::new).map_err(|error| not_begun(&error))
}

/// The exported octets, cut into the client's and the server's keys: both keys come before both salts.
fn directions(state: &State, suite: Suite) -> Option<[MasterKey; 2]> {
    let (key, salt) = (suite.key_bytes(), suite.salt_bytes());
    let exported = state.export_keying_material(LABEL, &[], 2 * (key + salt)).ok()?;
    let (keys, salts) = exported.as_ref().split_at_checked(2 * key)?;
    let direction = |at: usize| {
        let octets = Zeroizing::new([&keys[at * key..][..key], &salts[at * salt..][..salt]].concat());
        MasterKey::new(suite, &octets)
    };
    Some([direction(0)?, direction(1)?])
}

fn is_expected(expected: &Fingerprint, chain: &[Vec<u8>]) -> bool {
    chain.first().is_some_and(|own| fingerprint(expected.hash, own) == *expected)
}

fn fingerprint(hash: Hash, certificate: &[u8]) -> Fingerprint {
    let algorithm = match hash {
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
        Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
    };
    Fingerprint { hash, octets: digest::digest(algorithm, certificate).as_ref().to_vec() }
}

fn not_begun(error: &LibraryError) -> Failure {
    tracing::warn!(%error, "a key handshake cannot begin");
    Failure::Begin
}
