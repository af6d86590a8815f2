//! Offering: an offer of ours, and what its answer comes to.

use super::agree::Agreement;
use super::format::Formats;
use super::read::Session;
use super::secure::{self, Chosen, Credentials, Handshake, OfferedMeans, Protection, Setup, Wanted};
use super::write::{self, Stream};
use super::{EVENT_CLOCK_HZ, EVENT_CODES, Local, PTIME_MS_DEFAULT, PTIME_MS_MAX, SdpError, Wishes, no_codec};
use crate::srtp::sdes::Crypto;
use crate::srtp::{Security, SessionKeys, Suite};
use crate::{Codec, ControlPort, Direction, IceCredentials, StreamSettings};

/// An offer of one audio stream; kept until its answer comes.
#[derive(Debug, Clone)]
pub struct Offer {
    /// What is offered, best first.
    pub formats: Formats,
    /// What we want to do.
    pub direction: Direction,
    /// Whether control packets may share the port.
    pub shares_port: bool,
    /// Whether audio is protected.
    pub protection: Protection,
    /// Our keys and passwords.
    pub credentials: Option<Credentials>,
    /// The only suite that is offered, when one is in use already.
    pub suite: Option<Suite>,
    /// Whether we began the handshake that stands already.
    pub active: Option<bool>,
    /// The far end's name in connectivity checks, when an earlier description had one: they go on.
    pub ice_name: Option<String>,
    /// How those want it who will hear the far end.
    pub wishes: Wishes,
}

impl Offer {
    /// Both ways over plain RTP.
    pub fn plain(formats: Formats) -> Offer {
        Offer {
            formats,
            direction: Direction::SendRecv,
            shares_port: false,
            protection: Protection::OFF,
            credentials: None,
            suite: None,
            active: None,
            ice_name: None,
            wishes: Wishes::default(),
        }
    }

    /// The offer in words: telephone-event for each clock rate, and 20 ms per packet unless the hearers want something
    /// else.
    ///
    /// Optional protection is offered over RTP/AVP with keys or a fingerprint beside it, so that a far end without SRTP
    /// overlooks them (RFC 8643); required protection over RTP/SAVP, with a handshake over UDP/TLS/RTP/SAVP.
    pub fn write(&self, local: &Local) -> String {
        let mut stream = Stream {
            protos: Vec::new(),
            codecs: self.formats.codecs.clone(),
            events: self.formats.events.iter().map(|(hz, pt)| (*hz, *pt, EVENT_CODES.to_owned())).collect(),
            comfort_noise: self.formats.comfort_noise,
            ptime_ms: self.wishes.ptime_to_ask_for().unwrap_or(PTIME_MS_DEFAULT),
            ptime_ms_max: self.wishes.ptime_ms_max.map(|ptime_ms_max| ptime_ms_max.min(PTIME_MS_MAX)),
            opus: self.wishes.opus.unwrap_or_default(),
            direction: self.direction,
            shares_port: self.shares_port,
            keys: Vec::new(),
            handshake: None,
            ice: self.ice().map(|ice| (ice.local_name, ice.local_password)),
            name: None,
        };
        let required = self.protection.wanted == Wanted::Required;
        let mut transport = if required { "RTP/SAVP" } else { "RTP/AVP" };
        match self.means() {
            OfferedMeans::Nothing => {}
            OfferedMeans::Keys(keys) => stream.keys = keys,
            OfferedMeans::Fingerprint(fingerprint) => {
                stream.handshake = Some((fingerprint, self.active.map_or(Setup::Either, Setup::of)));
                if required {
                    transport = "UDP/TLS/RTP/SAVP";
                }
            }
        }
        stream.protos = transport.split('/').map(str::to_owned).collect();
        write::offer(local, &stream)
    }

    /// Reads the answer: its first codec that we offered is taken.
    ///
    /// # Errors
    /// `NoAudio` when the stream was declined, `NoCodec` when the answer names nothing that we offered, `NoSecurity`
    /// when protection is required and not answered.
    pub fn accept(&self, answer: &Session) -> Result<Agreement, SdpError> {
        let protection = match self.means() {
            OfferedMeans::Nothing if self.protection.wanted != Wanted::Required => Protection::OFF,
            _ => self.protection,
        };
        let means = self.means();
        let (audio, chosen) = answer.audio(protection, matches!(means, OfferedMeans::Fingerprint(_)))?;
        let mut both = audio.formats.codecs.iter().filter_map(|&(codec, sent)| {
            let received = self.formats.payload_type(codec)?;
            Some((codec, sent, received))
        });
        let Some((codec, payload_type, payload_type_received)) = both.next() else {
            return Err(no_codec(self.formats.codecs.iter().map(|(codec, _)| *codec), audio.written));
        };

        let opus = answer.opus(audio.index, payload_type);
        let event = [codec.clock_hz(), EVENT_CLOCK_HZ]
            .into_iter()
            .find_map(|clock_hz| Some((clock_hz, audio.formats.event_at(clock_hz)?, self.formats.event_at(clock_hz)?)));
        let control = match audio.control {
            ControlPort::Shared if !self.shares_port => ControlPort::Next,
            control => control,
        };
        let plain = StreamSettings::plain(audio.remote, codec, payload_type);
        let mut settings = StreamSettings {
            control,
            payload_type_received,
            event_payload_type: event.map(|(_, sent, _)| sent),
            event_payload_type_received: event.map(|(.., received)| received),
            event_clock_hz: event.map_or(codec.clock_hz(), |(clock_hz, ..)| clock_hz),
            ptime_ms: audio.packet_time_ms(codec, opus),
            packet_ms_max: audio.wishes.ptime_ms_max,
            direction: audio.direction,
            opus: if codec == Codec::Opus { opus.settings } else { plain.opus },
            ice: self.ice().zip(audio.ice_name.clone()).map(|(ice, remote_name)| IceCredentials { remote_name, ..ice }),
            ..plain
        };
        let (security, handshake) = self.protect(means, chosen)?;
        settings.security = security;
        let comfort_noise = self.formats.comfort_noise && audio.formats.comfort_noise && codec.clock_hz() == 8_000;
        let codecs = audio.formats.codecs.iter().map(|(codec, _)| *codec).collect();
        Ok(Agreement { settings, handshake, comfort_noise, wishes: audio.wishes, codecs })
    }

    fn protect(&self, offered: OfferedMeans, chosen: Chosen) -> Result<(Security, Option<Handshake>), SdpError> {
        match (offered, chosen) {
            (OfferedMeans::Keys(ours), Chosen::Keys(theirs)) => {
                // The tag says which of ours was taken (RFC 4568 §5.1.2).
                let taken = |crypto: &&Crypto| crypto.tag == theirs.tag && crypto.suite() == theirs.suite();
                let Some(ours) = ours.iter().find(taken) else {
                    let found = format!("tag {} for {:?}", theirs.tag, theirs.suite());
                    return Err(SdpError::NoSecurity { expected: "a key that was offered", found });
                };
                let keys = SessionKeys { send: ours.key.clone(), receive: theirs.key };
                Ok((Security::Keys(Box::new(keys)), None))
            }
            (OfferedMeans::Fingerprint(_), Chosen::Handshake { fingerprint, setup }) => {
                let active = setup == Some(Setup::Passive);
                Ok((Security::Handshake, Some(Handshake { fingerprint, active })))
            }
            (_, Chosen::Plain) => Ok((Security::Plain, None)),
            (OfferedMeans::Nothing | OfferedMeans::Keys(_) | OfferedMeans::Fingerprint(_), _) => {
                Err(SdpError::NoSecurity { expected: "what was offered", found: "something else".to_owned() })
            }
        }
    }

    fn means(&self) -> OfferedMeans {
        match secure::offered(self.protection, self.credentials.as_ref()) {
            OfferedMeans::Keys(mut keys) => {
                keys.retain(|crypto| self.suite.is_none_or(|suite| crypto.suite() == suite));
                OfferedMeans::Keys(keys)
            }
            other => other,
        }
    }

    fn ice(&self) -> Option<IceCredentials> {
        let (credentials, remote_name) = self.credentials.as_ref().zip(self.ice_name.clone())?;
        Some(IceCredentials {
            local_name: credentials.ice_name(),
            local_password: credentials.ice_password(),
            remote_name,
        })
    }
}
