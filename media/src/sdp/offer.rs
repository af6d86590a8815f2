//! Offering: an offer of ours, and what its answer comes to.

use std::net::SocketAddr;

use super::agree::Agreement;
use super::format::Formats;
use super::read::Session;
use super::secure::{Chosen, Credentials, Handshake, OfferedMeans, Protection, Setup, Wanted};
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
    /// Where the far end is to send, and where from it hears, when that is not us.
    pub at: Option<SocketAddr>,
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
            at: None,
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
    /// overlooks them (RFC 8643); required protection over RTP/SAVP, with nothing but a handshake over UDP/TLS/RTP/SAVP.
    pub fn write(&self, local: &Local) -> String {
        let means = self.means();
        let transport = means.transport(self.protection.wanted == Wanted::Required);
        let setup = self.active.map_or(Setup::Either, Setup::of);
        let stream = Stream {
            protos: transport.split('/').map(str::to_owned).collect(),
            codecs: self.formats.codecs.clone(),
            events: self.formats.events.iter().map(|(hz, pt)| (*hz, *pt, EVENT_CODES.to_owned())).collect(),
            comfort_noise: self.formats.comfort_noise,
            ptime_ms: self
                .wishes
                .ptime_to_ask_for(self.formats.codecs.iter().map(|(codec, _)| *codec))
                .unwrap_or(PTIME_MS_DEFAULT),
            ptime_ms_max: self.wishes.ptime_ms_max.map(|ptime_ms_max| ptime_ms_max.min(PTIME_MS_MAX)),
            opus: self.wishes.opus.unwrap_or_default(),
            direction: self.direction,
            at: self.at,
            shares_port: self.shares_port,
            keys: means.keys,
            handshake: means.fingerprint.map(|fingerprint| (fingerprint, setup)),
            ice: self.ice().map(|ice| (ice.local_name, ice.local_password)),
            name: None,
        };
        write::offer(local, &stream)
    }

    /// Reads the answer: its first codec that we offered is taken.
    ///
    /// # Errors
    /// `NoAudio` when the stream was declined, `NoCodec` when the answer names nothing that we offered, `NoSecurity`
    /// when protection is required and not answered.
    pub fn accept(&self, answer: &Session) -> Result<Agreement, SdpError> {
        let means = self.means();
        let nothing_needed = means.is_empty() && self.protection.wanted != Wanted::Required;
        let protection = if nothing_needed { Protection::OFF } else { self.protection };
        let (audio, chosen) = answer.audio(protection, means.fingerprint.is_some())?;
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
        let (security, handshake) = protect(&means, chosen, control)?;
        let settings = StreamSettings {
            control,
            payload_type_received,
            event_payload_type: event.map(|(_, sent, _)| sent),
            event_payload_type_received: event.map(|(.., received)| received),
            event_clock_hz: event.map_or(codec.clock_hz(), |(clock_hz, ..)| clock_hz),
            ptime_ms: audio.packet_time_ms(codec, opus),
            packet_ms_max: audio.wishes.ptime_ms_max,
            direction: audio.direction,
            opus: if codec == Codec::Opus { opus.settings } else { plain.opus },
            security,
            ice: self.ice().zip(audio.ice_name.clone()).map(|(ice, remote_name)| IceCredentials { remote_name, ..ice }),
            ..plain
        };
        let comfort_noise = self.formats.comfort_noise && audio.formats.comfort_noise && codec.clock_hz() == 8_000;
        let codecs = audio.formats.codecs.iter().map(|(codec, _)| *codec).collect();
        Ok(Agreement { settings, handshake, comfort_noise, wishes: audio.wishes, codecs })
    }

    fn means(&self) -> OfferedMeans {
        let mut means = OfferedMeans::new(self.protection, self.credentials.as_ref());
        means.keys.retain(|crypto| self.suite.is_none_or(|suite| crypto.suite() == suite));
        means
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

/// What the answer took of what was offered.
fn protect(
    offered: &OfferedMeans,
    chosen: Chosen,
    control: ControlPort,
) -> Result<(Security, Option<Handshake>), SdpError> {
    match chosen {
        Chosen::Plain => Ok((Security::Plain, None)),
        Chosen::Keys(theirs) => {
            // The tag says which of ours was taken (RFC 4568 §5.1.2).
            let taken = |crypto: &&Crypto| crypto.tag == theirs.tag && crypto.suite() == theirs.suite();
            let Some(ours) = offered.keys.iter().find(taken) else {
                let found = format!("tag {} for {:?}", theirs.tag, theirs.suite());
                return Err(SdpError::NoSecurity { expected: "a key that was offered", found });
            };
            let keys = SessionKeys { send: ours.key.clone(), receive: theirs.key };
            Ok((Security::Keys(Box::new(keys)), None))
        }
        Chosen::Handshake { fingerprint, setup } if offered.fingerprint.is_some() => {
            let active = setup == Some(Setup::Passive);
            let separate_control = control != ControlPort::Shared;
            Ok((Security::Handshake, Some(Handshake { fingerprint, active, separate_control })))
        }
        Chosen::Handshake { .. } => {
            Err(SdpError::NoSecurity { expected: "what was offered", found: "a DTLS fingerprint".to_owned() })
        }
    }
}
