//! Answering: what the far end offers and what we accept become one agreement.

use std::net::{IpAddr, SocketAddr};

use super::read::{Audio, Session};
use super::secure::{Chosen, Credentials, Handshake, Protection, Setup};
use super::write::{self, Stream};
use super::{EVENT_CODES, Local, PTIME_MS_MAX, SdpError, Wishes, no_codec};
use crate::codec::OpusSettings;
use crate::srtp::sdes::Crypto;
use crate::srtp::{Security, SessionKeys};
use crate::{Codec, ControlPort, IceCredentials, StreamSettings};

/// What we agree to when we are offered something.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The codecs that we take; which of them is up to the offerer's order.
    pub codecs: &'a [Codec],
    /// Whether we want comfort noise when it is offered.
    pub comfort_noise: bool,
    /// Whether audio is protected.
    pub protection: Protection,
    /// Our keys and passwords; without them there is neither protection nor a connectivity check.
    pub credentials: Option<&'a Credentials>,
    /// Whether we began the handshake that stands already; kept when the offerer leaves it to us (RFC 5763 §5).
    pub active: Option<bool>,
    /// How those want it who will hear the offerer.
    pub wishes: Wishes,
}

/// What offer and answer came to, seen from us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// What the media path has to know.
    pub settings: StreamSettings,
    /// What the handshake has to know, when `settings.security` waits for one.
    pub handshake: Option<Handshake>,
    /// Whether the far end takes comfort noise.
    pub comfort_noise: bool,
    /// How the far end wants what it receives.
    pub wishes: Wishes,
    /// The codecs that the far end names, among those that we know.
    pub codecs: Vec<Codec>,
}

impl<'a> Terms<'a> {
    /// Plain RTP with these codecs.
    pub fn plain(codecs: &'a [Codec]) -> Terms<'a> {
        Terms {
            codecs,
            comfort_noise: false,
            protection: Protection::OFF,
            credentials: None,
            active: None,
            wishes: Wishes::default(),
        }
    }

    /// Answers `offer` with the offerer's first codec that we take.
    ///
    /// The offered payload-type numbers, transport and `t=` line are kept, and the packet time when nobody else wishes for
    /// one; the direction is mirrored, and every other media line is declined with port 0 (RFC 3264 §6).
    ///
    /// # Errors
    /// `NoAudio`, `NoCodec`, `NoSecurity`.
    pub fn answer(&self, offer: &Session, local: &Local) -> Result<(String, Agreement), SdpError> {
        let protection = match self.credentials {
            Some(_) => self.protection,
            None => Protection::OFF,
        };
        let certified = self.credentials.is_some_and(|credentials| credentials.fingerprint().is_some());
        let (audio, chosen) = offer.audio(protection, certified)?;
        let Some(&(codec, payload_type)) = audio.formats.codecs.iter().find(|(codec, _)| self.codecs.contains(codec))
        else {
            return Err(no_codec(self.codecs.iter().copied(), audio.written));
        };

        let opus = offer.opus(audio.index, payload_type);
        let ice = self.credentials.zip(audio.ice_name.clone()).map(|(credentials, remote_name)| IceCredentials {
            local_name: credentials.ice_name(),
            local_password: credentials.ice_password(),
            remote_name,
        });
        let event = audio.formats.event(codec);
        let plain = StreamSettings::plain(audio.remote, codec, payload_type);
        let settings = StreamSettings {
            control: audio.control,
            ptime_ms: audio.packet_time_ms(codec, opus),
            packet_ms_max: audio.wishes.ptime_ms_max,
            direction: audio.direction,
            opus: if codec == Codec::Opus { opus.settings } else { plain.opus },
            ice,
            event_clock_hz: event.map_or(codec.clock_hz(), |(clock_hz, _)| clock_hz),
            ..plain.with_events(event.map(|(_, payload_type)| payload_type))
        };
        let comfort_noise = self.comfort_noise && audio.formats.comfort_noise && codec.clock_hz() == 8_000;
        let mut agreement = Agreement {
            settings,
            handshake: None,
            comfort_noise,
            wishes: audio.wishes,
            codecs: audio.formats.codecs.iter().map(|(codec, _)| *codec).collect(),
        };
        let keys = self.protect(chosen, local.address, &mut agreement);
        let stream = self.stream(offer, &audio, &agreement, keys);
        Ok((write::answer(offer, audio.index, local, &stream), agreement))
    }

    /// Writes what protects the stream into `agreement`; returns our own key when it stands in the answer. `ours` is the
    /// address that the far end is shown.
    fn protect(&self, chosen: Chosen, ours: IpAddr, agreement: &mut Agreement) -> Vec<Crypto> {
        match (chosen, self.credentials) {
            (Chosen::Keys(theirs), Some(credentials)) => {
                let ours = Crypto { tag: theirs.tag, key: credentials.key(theirs.suite()) };
                let keys = SessionKeys { send: ours.key.clone(), receive: theirs.key };
                agreement.settings.security = Security::Keys(Box::new(keys));
                vec![ours]
            }
            (Chosen::Handshake { fingerprint, setup }, Some(_)) => {
                let active = match setup {
                    Some(Setup::Passive) => true,
                    Some(Setup::Active) | None => false,
                    // Whoever begins has to know where to: behind connectivity checks or an address translation, that is
                    // the far end.
                    Some(Setup::Either) => {
                        let settings = &agreement.settings;
                        let is_reachable = |remote: SocketAddr| !is_private(remote.ip()) || is_private(ours);
                        let reachable = settings.ice.is_none() && settings.remote.is_some_and(is_reachable);
                        self.active.unwrap_or(reachable)
                    }
                };
                agreement.settings.security = Security::Handshake;
                let separate_control = agreement.settings.control != ControlPort::Shared;
                agreement.handshake = Some(Handshake { fingerprint, active, separate_control });
                Vec::new()
            }
            (Chosen::Plain, _) | (_, None) => Vec::new(),
        }
    }

    fn stream(&self, offer: &Session, audio: &Audio, agreement: &Agreement, keys: Vec<Crypto>) -> Stream {
        let settings = &agreement.settings;
        let codes = |payload_type| offer.event_codes(audio.index, payload_type).unwrap_or(EVENT_CODES).to_owned();
        let event = settings.event_payload_type.map(|event| (settings.event_clock_hz, event, codes(event)));
        let fingerprint = self.credentials.and_then(Credentials::fingerprint);
        let handshake = agreement.handshake.as_ref().zip(fingerprint);
        let ice = settings.ice.as_ref().map(|ice| (ice.local_name.clone(), ice.local_password.clone()));
        Stream {
            protos: offer.transport(audio.index),
            codecs: vec![(settings.codec, settings.payload_type)],
            events: event.into_iter().collect(),
            comfort_noise: agreement.comfort_noise,
            ptime_ms: self.wishes.ptime_to_ask_for(std::iter::once(settings.codec)).unwrap_or(settings.ptime_ms),
            ptime_ms_max: longest(self.wishes, audio.wishes),
            opus: self.wishes.opus.unwrap_or(OpusSettings { dtx: settings.opus.dtx, ..OpusSettings::default() }),
            direction: settings.direction,
            at: None,
            shares_port: settings.control == ControlPort::Shared,
            keys,
            handshake: handshake.map(|(theirs, ours)| (ours.clone(), Setup::of(theirs.active))),
            ice,
            name: offer.stream_name(audio.index).map(|(name, grouped)| (name.to_owned(), grouped)),
        }
    }
}

/// Whether an address is only good inside somebody's own network (RFC 1918, RFC 4193, RFC 6598).
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64,
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// What we say that a packet may hold at most: what the hearers say, or what we can when the offerer says something.
fn longest(hearers: Wishes, offerer: Wishes) -> Option<u8> {
    let ours = offerer.ptime_ms_max.map(|_| PTIME_MS_MAX);
    hearers.ptime_ms_max.map(|ptime_ms_max| ptime_ms_max.min(PTIME_MS_MAX)).or(ours)
}
