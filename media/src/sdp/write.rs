//! Writing our own descriptions with `rtc-sdp`.

use rtc_sdp::description::common::{Address, Attribute, ConnectionInformation};
use rtc_sdp::description::media::{MediaDescription, MediaName, RangedPort};
use rtc_sdp::description::session::{Origin, SessionDescription, TimeDescription};

use super::read::{Audio, Session};
use super::{CLOCK_HZ, Local, PTIME_MS_DEFAULT};
use crate::{Codec, Direction, StreamSettings};

/// The event codes that we take when the far end names none: digits, `*`, `#`, A-D and flash (RFC 4733 §3.2).
const EVENT_CODES: &str = "0-16";

/// The lines of one audio stream of ours.
struct Stream<'a> {
    port: u16,
    protos: Vec<String>,
    codecs: &'a [(Codec, u8)],
    event: Option<(u8, &'a str)>,
    ptime_ms: u8,
    direction: Direction,
}

/// The answer that `settings` says in words.
pub(super) fn answer(offer: &Session, audio: &Audio, local: &Local, settings: &StreamSettings) -> String {
    let offered = &offer.description.media_descriptions;
    let codes = audio.event.as_ref().and_then(|event| event.codes.as_deref()).unwrap_or(EVENT_CODES);
    let mut description = session(local);
    description.time_descriptions = offer.description.time_descriptions.clone();
    description.media_descriptions = offered
        .iter()
        .enumerate()
        .map(|(index, media)| {
            if index != audio.index {
                return declined(&offer.media_types[index], media);
            }
            Stream {
                port: local.port,
                protos: media.media_name.protos.clone(),
                codecs: &[(settings.codec, settings.payload_type)],
                event: settings.event_payload_type.map(|payload_type| (payload_type, codes)),
                ptime_ms: settings.ptime_ms,
                direction: settings.direction,
            }
            .write()
        })
        .collect();
    description.marshal()
}

/// An offer of one audio stream.
pub(super) fn offer(local: &Local, codecs: &[(Codec, u8)], event: Option<u8>, direction: Direction) -> String {
    let stream = Stream {
        port: local.port,
        protos: vec!["RTP".to_owned(), "AVP".to_owned()],
        codecs,
        event: event.map(|payload_type| (payload_type, EVENT_CODES)),
        ptime_ms: PTIME_MS_DEFAULT,
        direction,
    };
    let mut description = session(local);
    description.media_descriptions.push(stream.write());
    description.marshal()
}

fn session(local: &Local) -> SessionDescription {
    let address_type = if local.address.is_ipv4() { "IP4" } else { "IP6" };
    SessionDescription {
        origin: Origin {
            username: "-".to_owned(),
            session_id: local.session_id,
            session_version: local.version,
            network_type: "IN".to_owned(),
            address_type: address_type.to_owned(),
            unicast_address: local.address.to_string(),
        },
        session_name: "calmline".to_owned(),
        connection_information: Some(ConnectionInformation {
            network_type: "IN".to_owned(),
            address_type: address_type.to_owned(),
            address: Some(Address { address: local.address.to_string(), ttl: None, range: None }),
        }),
        time_descriptions: vec![TimeDescription::default()],
        ..SessionDescription::default()
    }
}

impl Stream<'_> {
    fn write(&self) -> MediaDescription {
        let payload_types = self.codecs.iter().map(|(_, pt)| *pt).chain(self.event.map(|(pt, _)| pt));
        let mut attributes: Vec<Attribute> = self
            .codecs
            .iter()
            .map(|(codec, pt)| valued("rtpmap", format!("{pt} {}/{CLOCK_HZ}", codec.name())))
            .collect();
        if let Some((pt, codes)) = self.event {
            attributes.push(valued("rtpmap", format!("{pt} telephone-event/{CLOCK_HZ}")));
            attributes.push(valued("fmtp", format!("{pt} {codes}")));
        }
        attributes.push(valued("ptime", self.ptime_ms.to_string()));
        attributes.push(Attribute::new(direction_name(self.direction).to_owned(), None));

        MediaDescription {
            media_name: MediaName {
                media: "audio".to_owned(),
                port: RangedPort { value: self.port as isize, range: None },
                protos: self.protos.clone(),
                formats: payload_types.map(|pt| pt.to_string()).collect(),
            },
            attributes,
            ..MediaDescription::default()
        }
    }
}

/// A stream that we do not take: the offered line with port 0 (RFC 3264 §6).
fn declined(media_type: &str, offered: &MediaDescription) -> MediaDescription {
    MediaDescription {
        media_name: MediaName {
            media: media_type.to_owned(),
            port: RangedPort { value: 0, range: None },
            ..offered.media_name.clone()
        },
        ..MediaDescription::default()
    }
}

fn valued(key: &str, value: String) -> Attribute {
    Attribute::new(key.to_owned(), Some(value))
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}
