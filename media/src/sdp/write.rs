//! Writing our own descriptions with `rtc-sdp`.

use std::net::{IpAddr, SocketAddr};

use rtc_sdp::description::common::{Address, Attribute, ConnectionInformation};
use rtc_sdp::description::media::{MediaDescription, MediaName, RangedPort};
use rtc_sdp::description::session::{Origin, SessionDescription, TimeDescription};

use super::Local;
use super::format::COMFORT_NOISE;
use super::read::Session;
use super::secure::{Fingerprint, Setup};
use crate::codec::OpusSettings;
use crate::srtp::sdes::Crypto;
use crate::{Codec, Direction};

/// The lines of one audio stream of ours.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) protos: Vec<String>,
    pub(super) codecs: Vec<(Codec, u8)>,
    /// Clock rate in Hz, payload type, codes.
    pub(super) events: Vec<(u32, u8, String)>,
    pub(super) comfort_noise: bool,
    pub(super) ptime_ms: u8,
    /// How much a packet to us may hold, when we say so.
    pub(super) ptime_ms_max: Option<u8>,
    /// How Opus may be sent to us; we take redundancy in any case.
    pub(super) opus: OpusSettings,
    pub(super) direction: Direction,
    /// Whose it is, when it is not ours: whoever reads this sends there.
    pub(super) at: Option<SocketAddr>,
    pub(super) shares_port: bool,
    pub(super) keys: Vec<Crypto>,
    pub(super) handshake: Option<(Fingerprint, Setup)>,
    /// Our name and password in connectivity checks.
    pub(super) ice: Option<(String, String)>,
    /// Its name and whether that stands in a group.
    pub(super) name: Option<(String, bool)>,
}

/// The answer to `offer` that takes the media line `index` as `stream`, and declines all others.
pub(super) fn answer(offer: &Session, index: usize, local: &Local, stream: &Stream) -> String {
    let offered = &offer.description.media_descriptions;
    let mut description = session(local, stream);
    description.time_descriptions = offer.description.time_descriptions.clone();
    description.media_descriptions = offered
        .iter()
        .enumerate()
        .map(|(at, media)| if at == index { stream.write(local) } else { declined(&offer.media_types[at], media) })
        .collect();
    description.marshal()
}

/// An offer of one audio stream.
pub(super) fn offer(local: &Local, stream: &Stream) -> String {
    let mut description = session(local, stream);
    description.media_descriptions.push(stream.write(local));
    description.marshal()
}

fn session(local: &Local, stream: &Stream) -> SessionDescription {
    let address_type = |address: IpAddr| if address.is_ipv4() { "IP4" } else { "IP6" }.to_owned();
    let receiver = stream.at.map_or(local.address, |at| at.ip());
    let mut attributes = Vec::new();
    if stream.ice.is_some() {
        attributes.push(flag("ice-lite"));
    }
    if let Some((name, true)) = &stream.name {
        attributes.push(valued("group", format!("BUNDLE {name}")));
    }
    SessionDescription {
        origin: Origin {
            username: "-".to_owned(),
            session_id: local.session_id,
            session_version: local.version,
            network_type: "IN".to_owned(),
            address_type: address_type(local.address),
            unicast_address: local.address.to_string(),
        },
        session_name: "calmline".to_owned(),
        connection_information: Some(ConnectionInformation {
            network_type: "IN".to_owned(),
            address_type: address_type(receiver),
            address: Some(Address { address: receiver.to_string(), ttl: None, range: None }),
        }),
        time_descriptions: vec![TimeDescription::default()],
        attributes,
        ..SessionDescription::default()
    }
}

impl Stream {
    fn write(&self, local: &Local) -> MediaDescription {
        let port = self.at.map_or(local.port, |at| at.port());
        let noise = self.comfort_noise.then_some(COMFORT_NOISE);
        let events = self.events.iter().map(|(_, payload_type, _)| *payload_type);
        let payload_types = self.codecs.iter().map(|(_, payload_type)| *payload_type).chain(noise).chain(events);
        MediaDescription {
            media_name: MediaName {
                media: "audio".to_owned(),
                port: RangedPort { value: port as isize, range: None },
                protos: self.protos.clone(),
                formats: payload_types.map(|payload_type| payload_type.to_string()).collect(),
            },
            attributes: self.attributes(local),
            ..MediaDescription::default()
        }
    }

    fn attributes(&self, local: &Local) -> Vec<Attribute> {
        let mut attributes = Vec::new();
        if let Some((name, _)) = &self.name {
            attributes.push(valued("mid", name.clone()));
        }
        for (codec, payload_type) in &self.codecs {
            self.write_codec(*codec, *payload_type, &mut attributes);
        }
        if self.comfort_noise {
            attributes.push(valued("rtpmap", format!("{COMFORT_NOISE} CN/8000")));
        }
        for (clock_hz, payload_type, codes) in &self.events {
            attributes.push(valued("rtpmap", format!("{payload_type} telephone-event/{clock_hz}")));
            attributes.push(valued("fmtp", format!("{payload_type} {codes}")));
        }
        attributes.push(valued("ptime", self.ptime_ms.to_string()));
        if let Some(longest_ms) = self.ptime_ms_max {
            attributes.push(valued("maxptime", longest_ms.to_string()));
        }
        attributes.push(flag(direction_name(self.direction)));
        if self.shares_port {
            attributes.push(flag("rtcp-mux"));
        }
        self.write_protection(local, &mut attributes);
        attributes
    }

    fn write_codec(&self, codec: Codec, payload_type: u8, attributes: &mut Vec<Attribute>) {
        let channels = if codec.channels() == 1 { String::new() } else { format!("/{}", codec.channels()) };
        let (name, clock_hz) = (codec.name(), codec.clock_hz());
        attributes.push(valued("rtpmap", format!("{payload_type} {name}/{clock_hz}{channels}")));
        if codec == Codec::Opus {
            let mut wishes = "minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0".to_owned();
            let OpusSettings { dtx, constant, bitrate_max, playback_hz_max, fec: _ } = self.opus;
            wishes += if dtx { ";usedtx=1" } else { "" };
            wishes += if constant { ";cbr=1" } else { "" };
            wishes += &bitrate_max.map_or(String::new(), |bitrate| format!(";maxaveragebitrate={bitrate}"));
            wishes += &playback_hz_max.map_or(String::new(), |rate_hz| format!(";maxplaybackrate={rate_hz}"));
            attributes.push(valued("fmtp", format!("{payload_type} {wishes}")));
        }
    }

    fn write_protection(&self, local: &Local, attributes: &mut Vec<Attribute>) {
        attributes.extend(self.keys.iter().map(|crypto| valued("crypto", crypto.to_value())));
        if let Some((fingerprint, setup)) = &self.handshake {
            attributes.push(valued("fingerprint", fingerprint.to_string()));
            attributes.push(valued("setup", setup.name().to_owned()));
        }
        if let Some((name, password)) = &self.ice {
            attributes.push(valued("ice-ufrag", name.clone()));
            attributes.push(valued("ice-pwd", password.clone()));
            // Host candidates: type preference 126, one address (RFC 8445 §5.1.2.1).
            let components = if self.shares_port { 1..=1 } else { 1..=2 };
            for component in components {
                let port = local.port + (component - 1);
                let priority = (126_u32 << 24) + (65_535 << 8) + (256 - u32::from(component));
                let address = local.address;
                let value = format!("1 {component} UDP {priority} {address} {port} typ host");
                attributes.push(valued("candidate", value));
            }
        }
    }
}

/// A stream that we do not take: the offered line with port 0 (RFC 3264 §6).
pub(super) fn declined(media_type: &str, offered: &MediaDescription) -> MediaDescription {
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

fn flag(key: &str) -> Attribute {
    Attribute::new(key.to_owned(), None)
}

pub(super) fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}
