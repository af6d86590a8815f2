//! Reading a remote description: a tolerant first pass over the lines, then `rtc-sdp` for the fields.
//!
//! The first pass holds the limits and keeps only the lines that offer/answer needs, in the order that the strict
//! grammar of RFC 4566 wants, so that one odd line of a far end does not cost a call (docs/decisions/sdp.md).

use std::io::Cursor;
use std::net::{IpAddr, SocketAddr};

use rtc_sdp::description::media::MediaDescription;
use rtc_sdp::description::session::SessionDescription;

use super::{BYTES_MAX, CLOCK_HZ, LINES_MAX, MEDIA_MAX, PTIME_MS_DEFAULT, SdpError};
use crate::{Codec, Direction};

/// A description as the far end sent it: an offer or an answer.
#[derive(Debug, Clone)]
pub struct Session {
    pub(super) description: SessionDescription,
    /// The media types as written; `rtc-sdp` only knows the registered ones.
    pub(super) media_types: Vec<String>,
}

/// The usable audio stream of a description.
#[derive(Debug, Clone)]
pub(super) struct Audio {
    /// Which media line it is.
    pub(super) index: usize,
    /// Where the far end receives; `None` when held by `0.0.0.0` or named instead of numbered.
    pub(super) remote: Option<SocketAddr>,
    /// What we can do of it, in its order.
    pub(super) codecs: Vec<(Codec, u8)>,
    pub(super) event: Option<TelephoneEvent>,
    pub(super) ptime_ms: u8,
    /// Seen from us.
    pub(super) direction: Direction,
    /// The formats as written, shortened for messages.
    pub(super) formats: String,
}

/// telephone-event at the audio codec's clock rate.
#[derive(Debug, Clone)]
pub(super) struct TelephoneEvent {
    pub(super) payload_type: u8,
    /// The event codes as offered (`0-15`), when well-formed.
    pub(super) codes: Option<String>,
}

/// Reads a description.
///
/// Line ends may be CRLF or LF, the last one may be missing; lines that offer/answer does not need are skipped.
/// Errors: `TooLarge` over [`BYTES_MAX`], [`LINES_MAX`] or [`MEDIA_MAX`]; `Malformed` otherwise.
pub fn parse(text: &str) -> Result<Session, SdpError> {
    within(text.len(), BYTES_MAX, "bytes")?;
    let lines = Lines::sort(text)?;
    let media_types = lines.media_types();
    let description = SessionDescription::unmarshal(&mut Cursor::new(lines.canonical().as_bytes()))
        .map_err(|error| SdpError::Malformed(shortened(&error.to_string())))?;
    Ok(Session { description, media_types })
}

impl Session {
    /// What we may do on the audio stream, seen from us; `None` without usable audio.
    ///
    /// Anything but `SendRecv` means that the far end holds the call or only listens.
    pub fn direction(&self) -> Option<Direction> {
        self.audio().ok().map(|audio| audio.direction)
    }

    /// The `o=` version, by which an unchanged re-offer is recognised (RFC 3264 §8).
    pub fn version(&self) -> u64 {
        self.description.origin.session_version
    }

    /// The first audio stream over plain RTP that is switched on and has a codec of ours, else the first such
    /// stream without one.
    pub(super) fn audio(&self) -> Result<Audio, SdpError> {
        let media = &self.description.media_descriptions;
        let mut streams =
            media.iter().enumerate().filter(|(_, m)| is_plain_audio(m)).map(|(index, m)| self.read_audio(index, m));
        let Some(first) = streams.next() else {
            let found: Vec<String> = media.iter().map(|m| m.media_name.to_string()).collect();
            let found = if found.is_empty() { "no media line".to_owned() } else { shortened(&found.join("; ")) };
            return Err(SdpError::NoAudio { found });
        };
        if first.codecs.is_empty() {
            return Ok(streams.find(|audio| !audio.codecs.is_empty()).unwrap_or(first));
        }
        Ok(first)
    }

    fn read_audio(&self, index: usize, media: &MediaDescription) -> Audio {
        let remote = self.remote(media);
        let formats = &media.media_name.formats;
        let payload_types = || formats.iter().filter_map(|format| format.parse::<u8>().ok().filter(|pt| *pt < 128));

        let codecs = payload_types().filter_map(|pt| Some((codec(media, pt)?, pt))).collect();
        let event = payload_types().find(|pt| is_telephone_event(media, *pt)).map(|pt| TelephoneEvent {
            payload_type: pt,
            codes: parameters(media, pt).filter(|codes| is_event_list(codes)).map(str::to_owned),
        });

        Audio {
            index,
            remote: remote.filter(|remote| !remote.ip().is_unspecified()),
            codecs,
            event,
            ptime_ms: packet_time_ms(media),
            direction: mirrored(self.sender_direction(media), remote.is_some_and(|r| r.ip().is_unspecified())),
            formats: shortened(&formats.join(" ")),
        }
    }

    fn remote(&self, media: &MediaDescription) -> Option<SocketAddr> {
        let session = self.description.connection_information.as_ref();
        let connection = media.connection_information.as_ref().or(session)?;
        // `address/ttl` is for multicast, which nobody calls with.
        let address = connection.address.as_ref()?.address.split('/').next()?;
        let address: IpAddr = address.parse().ok()?;
        Some(SocketAddr::new(address, u16::try_from(media.media_name.port.value).ok()?))
    }

    /// The direction attribute as the sender means it; the media level wins over the session level.
    fn sender_direction(&self, media: &MediaDescription) -> Direction {
        let stream = media.attributes.iter().map(|a| a.key.as_str());
        let session = self.description.attributes.iter().map(|a| a.key.as_str());
        stream.chain(session).find_map(direction).unwrap_or(Direction::SendRecv)
    }
}

/// The lines that matter, sorted by where the grammar wants them.
struct Lines<'a> {
    origin: Option<&'a str>,
    connection: Option<&'a str>,
    timing: Option<&'a str>,
    attributes: Vec<&'a str>,
    media: Vec<MediaLines<'a>>,
}

struct MediaLines<'a> {
    name: &'a str,
    connection: Option<&'a str>,
    attributes: Vec<&'a str>,
}

impl<'a> Lines<'a> {
    fn sort(text: &'a str) -> Result<Self, SdpError> {
        let mut lines =
            Lines { origin: None, connection: None, timing: None, attributes: Vec::new(), media: Vec::new() };
        let mut version = false;
        for (number, line) in text.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
            within(number + 1, LINES_MAX, "lines")?;
            let Some((key, value)) = line.split_once('=') else {
                return Err(SdpError::Malformed(format!("expected key=value, found {:?}", shortened(line))));
            };
            // A carriage return in the middle of a line would end it for the strict reader.
            let value = value.split('\r').next().unwrap_or_default().trim();
            match key {
                "v" => version = true,
                _ if !version => {
                    return Err(SdpError::Malformed(format!("expected v=0 first, found {:?}", shortened(line))));
                }
                "m" => {
                    within(lines.media.len() + 1, MEDIA_MAX, "media lines")?;
                    lines.media.push(MediaLines { name: value, connection: None, attributes: Vec::new() });
                }
                _ => lines.keep(key, value),
            }
        }
        if !version {
            return Err(SdpError::Malformed("expected v=0 first, found nothing".to_owned()));
        }
        Ok(lines)
    }

    fn keep(&mut self, key: &str, value: &'a str) {
        match (key, self.media.last_mut()) {
            ("a", Some(media)) => media.attributes.push(value),
            ("a", None) => self.attributes.push(value),
            ("c", Some(media)) => media.connection = Some(value),
            ("c", None) => self.connection = Some(value),
            ("o", None) => self.origin = Some(value),
            ("t", None) => self.timing = self.timing.or(Some(value)),
            _ => {}
        }
    }

    fn media_types(&self) -> Vec<String> {
        self.media.iter().map(|m| m.name.split_whitespace().next().unwrap_or_default().to_owned()).collect()
    }

    /// The same description in the strict order, with stand-ins where a line is missing or of no use to us.
    fn canonical(&self) -> String {
        let mut text = String::from("v=0\r\n");
        let mut line = |key: &str, value: &str| {
            text.push_str(key);
            text.push('=');
            text.push_str(value);
            text.push_str("\r\n");
        };
        line("o", self.origin.filter(|o| is_origin(o)).unwrap_or("- 0 0 IN IP4 0.0.0.0"));
        line("s", "-");
        if let Some(connection) = self.connection {
            line("c", connection);
        }
        line("t", self.timing.filter(|t| is_timing(t)).unwrap_or("0 0"));
        self.attributes.iter().for_each(|value| line("a", value));
        for media in &self.media {
            let known = matches!(media.name.split_whitespace().next(), Some("audio" | "video" | "image" | "text"));
            match media.name.split_once(char::is_whitespace) {
                Some((_, rest)) if !known => line("m", &format!("application {rest}")),
                _ => line("m", media.name),
            }
            if let Some(connection) = media.connection {
                line("c", connection);
            }
            media.attributes.iter().for_each(|value| line("a", value));
        }
        text
    }
}

fn within(found: usize, limit: usize, unit: &'static str) -> Result<(), SdpError> {
    if found > limit { Err(SdpError::TooLarge { found, limit, unit }) } else { Ok(()) }
}

fn is_origin(value: &str) -> bool {
    let fields: Vec<&str> = value.split_whitespace().collect();
    matches!(fields[..], [_, id, version, "IN", "IP4" | "IP6", _]
        if id.parse::<u64>().is_ok() && version.parse::<u64>().is_ok())
}

fn is_timing(value: &str) -> bool {
    let fields: Vec<&str> = value.split_whitespace().collect();
    fields.len() == 2 && fields.iter().all(|field| field.parse::<u64>().is_ok())
}

/// Audio over plain RTP with a port: what we can anchor (SRTP and port 0 are not).
fn is_plain_audio(media: &MediaDescription) -> bool {
    let protos: Vec<&str> = media.media_name.protos.iter().map(String::as_str).collect();
    media.media_name.media == "audio"
        && media.media_name.port.value != 0
        && matches!(protos[..], ["RTP", "AVP" | "AVPF"])
}

/// The codec behind a payload type: by its rtpmap, else by the static table (RFC 3551 §6).
fn codec(media: &MediaDescription, payload_type: u8) -> Option<Codec> {
    let Some((name, clock_hz, channels)) = mapping(media, payload_type) else {
        return match payload_type {
            0 => Some(Codec::Pcmu),
            8 => Some(Codec::Pcma),
            _ => None,
        };
    };
    if clock_hz != CLOCK_HZ || channels != 1 {
        return None;
    }
    match name.to_ascii_uppercase().as_str() {
        "PCMU" => Some(Codec::Pcmu),
        "PCMA" => Some(Codec::Pcma),
        _ => None,
    }
}

fn is_telephone_event(media: &MediaDescription, payload_type: u8) -> bool {
    mapping(media, payload_type)
        .is_some_and(|(name, clock_hz, _)| name.eq_ignore_ascii_case("telephone-event") && clock_hz == CLOCK_HZ)
}

/// Name, clock rate in Hz and channels of `a=rtpmap:<payload type> <name>/<clock>[/<channels>]`.
fn mapping(media: &MediaDescription, payload_type: u8) -> Option<(&str, u32, u32)> {
    let mut fields = attribute_of(media, "rtpmap", payload_type)?.split('/');
    let name = fields.next()?.trim();
    let clock_hz = fields.next()?.trim().parse().ok()?;
    let channels = fields.next().map_or(Some(1), |channels| channels.trim().parse().ok())?;
    Some((name, clock_hz, channels))
}

/// The value of `a=fmtp:<payload type> <value>`.
fn parameters(media: &MediaDescription, payload_type: u8) -> Option<&str> {
    attribute_of(media, "fmtp", payload_type)
}

fn attribute_of<'a>(media: &'a MediaDescription, key: &str, payload_type: u8) -> Option<&'a str> {
    let values = media.attributes.iter().filter(|a| a.key.eq_ignore_ascii_case(key)).filter_map(|a| a.value.as_deref());
    values
        .filter_map(|value| value.trim().split_once(char::is_whitespace))
        .find_map(|(number, rest)| (number.parse::<u8>().ok()? == payload_type).then_some(rest.trim()))
}

/// A list of event codes such as `0-15,66,70` (RFC 4733 §2.4.1), short enough to be repeated.
fn is_event_list(codes: &str) -> bool {
    !codes.is_empty() && codes.len() <= 64 && codes.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b',')
}

/// What the far end wants per packet, when it is something that telephones do; 20 ms otherwise.
fn packet_time_ms(media: &MediaDescription) -> u8 {
    let of = |key: &str| media.attribute(key).flatten().and_then(|value| value.trim().parse::<f32>().ok());
    let maximum_ms = of("maxptime").unwrap_or(f32::from(u8::MAX));
    match of("ptime") {
        Some(ms) if ms <= maximum_ms && [10.0, 20.0, 30.0, 40.0, 60.0].contains(&ms) => ms as u8,
        None if maximum_ms < f32::from(PTIME_MS_DEFAULT) => 10,
        _ => PTIME_MS_DEFAULT,
    }
}

fn direction(key: &str) -> Option<Direction> {
    match key {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    }
}

/// The sender's direction as we see it; an address of `0.0.0.0` asks us to send nothing (RFC 3264 §8.4).
fn mirrored(sender: Direction, unspecified: bool) -> Direction {
    let sends = matches!(sender, Direction::SendRecv | Direction::SendOnly);
    let receives = matches!(sender, Direction::SendRecv | Direction::RecvOnly) && !unspecified;
    match (sends, receives) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::RecvOnly,
        (false, true) => Direction::SendOnly,
        (false, false) => Direction::Inactive,
    }
}

/// At most 120 characters, for error messages.
pub(super) fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 120;
    if text.chars().count() <= CHARACTERS_MAX {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(CHARACTERS_MAX).collect();
    short.push('…');
    short
}
