//! Reading a remote description: a tolerant first pass over the lines, then `rtc-sdp` for the fields.
//!
//! The first pass holds the limits and keeps only the lines that offer/answer needs, in the order that the strict
//! grammar of RFC 4566 wants, so that one odd line of a far end does not cost a call (docs/decisions/sdp.md).

use std::fmt;
use std::io::Cursor;
use std::net::{IpAddr, SocketAddr};

use rtc_sdp::description::media::MediaDescription;
use rtc_sdp::description::session::SessionDescription;

use super::format::{Formats, OpusWishes, event_codes};
use super::secure::{Chosen, Fingerprint, Means, Protection, Setup};
use super::{BYTES_MAX, LINES_MAX, MEDIA_MAX, PTIME_MS_DEFAULT, PTIME_MS_MAX, SdpError, Wishes};
use crate::srtp::sdes::Crypto;
use crate::{Codec, ControlPort, Direction};

/// A description as the far end sent it: an offer or an answer. Its `Debug` shows nothing of it, for it may hold keys.
#[derive(Clone)]
pub struct Session {
    pub(super) description: SessionDescription,
    /// The media types as written; `rtc-sdp` only knows the registered ones.
    pub(super) media_types: Vec<String>,
}

/// An audio stream of a description.
#[derive(Debug, Clone)]
pub(super) struct Audio {
    /// Which media line it is.
    pub(super) index: usize,
    /// Where the far end receives; `None` when held by `0.0.0.0`, named instead of numbered, or still to be found by
    /// connectivity checks.
    pub(super) remote: Option<SocketAddr>,
    pub(super) control: ControlPort,
    pub(super) formats: Formats,
    pub(super) wishes: Wishes,
    /// Seen from us.
    pub(super) direction: Direction,
    pub(super) means: Means,
    /// The far end's name in connectivity checks, when it makes them.
    pub(super) ice_name: Option<String>,
    /// The formats as written, shortened for messages.
    pub(super) written: String,
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
        self.streams().find(|audio| !audio.formats.codecs.is_empty()).map(|audio| audio.direction)
    }

    /// How the far end wants what it receives.
    pub fn wishes(&self) -> Wishes {
        let audio = self.streams().find(|audio| !audio.formats.codecs.is_empty());
        audio.map(|audio| audio.wishes).unwrap_or_default()
    }

    /// The address at which the far end receives audio, as far as it says one.
    pub fn address(&self) -> Option<IpAddr> {
        self.streams().find_map(|audio| audio.remote).map(|remote| remote.ip())
    }

    /// The `o=` version, by which an unchanged re-offer is recognised (RFC 3264 §8).
    pub fn version(&self) -> u64 {
        self.description.origin.session_version
    }

    /// The payload types of the audio stream that an answer under `protection` would take; `certified` when we have a
    /// certificate for handshakes.
    ///
    /// # Errors
    /// What stands against any answer; the codecs may be none.
    pub fn formats(&self, protection: Protection, certified: bool) -> Result<Formats, SdpError> {
        self.audio(protection, certified).map(|(audio, _)| audio.formats)
    }

    /// The audio stream that is taken under `protection`: the first protected one with a codec of ours, else the first
    /// with a codec of ours, else the first. Far ends that leave the choice to us offer the same audio twice.
    pub(super) fn audio(&self, protection: Protection, certified: bool) -> Result<(Audio, Chosen), SdpError> {
        let mut taken: Option<(Audio, Chosen)> = None;
        let mut refused = None;
        for audio in self.streams() {
            let chosen = match audio.means.choose(protection, certified) {
                Ok(chosen) => chosen,
                Err(error) => {
                    refused.get_or_insert(error);
                    continue;
                }
            };
            let worth =
                |audio: &Audio, chosen: &Chosen| (!audio.formats.codecs.is_empty(), !matches!(chosen, Chosen::Plain));
            if taken.as_ref().is_none_or(|(best, how)| worth(&audio, &chosen) > worth(best, how)) {
                taken = Some((audio, chosen));
            }
        }
        taken.ok_or_else(|| refused.unwrap_or_else(|| self.no_audio()))
    }

    fn no_audio(&self) -> SdpError {
        let found: Vec<String> =
            self.description.media_descriptions.iter().map(|media| media.media_name.to_string()).collect();
        let found = if found.is_empty() { "no media line".to_owned() } else { shortened(&found.join("; ")) };
        SdpError::NoAudio { found }
    }

    /// Every audio stream over RTP that is switched on.
    fn streams(&self) -> impl Iterator<Item = Audio> {
        let media = self.description.media_descriptions.iter().enumerate();
        media.filter(|(_, media)| is_audio(media)).map(|(index, media)| self.read_audio(index, media))
    }

    fn read_audio(&self, index: usize, media: &MediaDescription) -> Audio {
        let remote = self.remote(media);
        let ice_name = self.attribute(media, "ice-ufrag").filter(|name| is_ice_name(name)).map(str::to_owned);
        let unspecified = remote.is_some_and(|remote| remote.ip().is_unspecified());
        // With connectivity checks, `0.0.0.0` and port 9 only say that the address is not known yet (RFC 8839 §4.2.1.3).
        let known = remote.filter(|remote| !(unspecified || ice_name.is_some() && remote.port() == DISCARD_PORT));
        let formats = Formats::read(media);
        let opus = formats.payload_type(Codec::Opus);
        Audio {
            index,
            remote: known,
            control: control_port(media, known),
            formats,
            wishes: Wishes {
                ptime_ms: milliseconds(media, "ptime"),
                ptime_ms_max: milliseconds(media, "maxptime"),
                opus: opus.map(|number| OpusWishes::read(media, number).settings),
            },
            direction: mirrored(self.sender_direction(media), unspecified && ice_name.is_none()),
            means: self.means(media),
            ice_name,
            written: shortened(&media.media_name.formats.join(" ")),
        }
    }

    fn means(&self, media: &MediaDescription) -> Means {
        let protos = &media.media_name.protos;
        let values = |key: &'static str| {
            let all = media.attributes.iter().chain(&self.description.attributes);
            all.filter(move |each| each.key.eq_ignore_ascii_case(key)).filter_map(|each| each.value.as_deref())
        };
        let crypto = media.attributes.iter().filter(|each| each.key.eq_ignore_ascii_case("crypto"));
        Means {
            insists: protos.last().is_some_and(|profile| profile.starts_with("SAVP")),
            over_dtls: protos.iter().any(|proto| proto == "TLS"),
            keys: crypto
                .filter_map(|each| each.value.as_deref())
                .filter_map(|value| Crypto::parse(value).ok())
                .collect(),
            fingerprint: values("fingerprint").filter_map(Fingerprint::parse).min_by_key(|each| each.hash),
            setup: values("setup").find_map(Setup::parse),
            transport: protos.join("/"),
        }
    }

    /// The value of an attribute of the stream, else of the session.
    fn attribute<'a>(&'a self, media: &'a MediaDescription, key: &str) -> Option<&'a str> {
        let all = media.attributes.iter().chain(&self.description.attributes);
        all.filter(|each| each.key.eq_ignore_ascii_case(key)).find_map(|each| each.value.as_deref())
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

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session(version {} of {:?})", self.version(), self.media_types)
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

impl Audio {
    /// How much audio a packet to this far end holds, milliseconds: what it asks for when that is something that
    /// telephones do, 20 otherwise.
    pub(super) fn packet_time_ms(&self, codec: Codec, opus: OpusWishes) -> u8 {
        let shortest_ms = if codec == Codec::Opus { opus.ptime_ms_min } else { 0 };
        let Wishes { ptime_ms, ptime_ms_max, .. } = self.wishes;
        let fits = |ms: u8| ms >= shortest_ms && ptime_ms_max.is_none_or(|longest_ms| ms <= longest_ms);
        let asked = ptime_ms.filter(|ms| POSSIBLE.contains(ms) && fits(*ms));
        let usual = [PTIME_MS_DEFAULT].into_iter().chain(POSSIBLE).find(|ms| fits(*ms));
        asked.or(usual).unwrap_or(PTIME_MS_DEFAULT)
    }
}

impl Session {
    /// What the far end wants of Opus under `payload_type` on the media line `index`.
    pub(super) fn opus(&self, index: usize, payload_type: u8) -> OpusWishes {
        OpusWishes::read(&self.description.media_descriptions[index], payload_type)
    }

    /// The transport of the media line `index`, part by part.
    pub(super) fn transport(&self, index: usize) -> Vec<String> {
        self.description.media_descriptions[index].media_name.protos.clone()
    }

    /// The event codes it names for `payload_type`.
    pub(super) fn event_codes(&self, index: usize, payload_type: u8) -> Option<&str> {
        event_codes(&self.description.media_descriptions[index], payload_type)
    }

    /// The name of the stream by which descriptions of browsers group it (RFC 8843), and whether it stands in a group.
    pub(super) fn stream_name(&self, index: usize) -> Option<(&str, bool)> {
        let media = &self.description.media_descriptions[index];
        let is_token = |name: &&str| !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_graphic());
        let name = attribute(media, "mid").map(str::trim).filter(is_token)?;
        let groups = self.description.attributes.iter().filter(|each| each.key == "group");
        let bundles = groups.filter_map(|each| each.value.as_deref()?.trim().strip_prefix("BUNDLE "));
        Some((name, bundles.flat_map(str::split_whitespace).any(|each| each == name)))
    }
}

/// Audio over RTP of any profile, with a port: 0 means off.
fn is_audio(media: &MediaDescription) -> bool {
    let protos: Vec<&str> = media.media_name.protos.iter().map(String::as_str).collect();
    media.media_name.media == "audio"
        && media.media_name.port.value != 0
        && matches!(protos[..], ["RTP", "AVP" | "AVPF" | "SAVP" | "SAVPF"] | ["UDP", "TLS", "RTP", "SAVP" | "SAVPF"])
}

fn attribute<'a>(media: &'a MediaDescription, key: &str) -> Option<&'a str> {
    media.attributes.iter().filter(|each| each.key.eq_ignore_ascii_case(key)).find_map(|each| each.value.as_deref())
}

/// A number of milliseconds, as far as it makes sense; fractions are cut off.
fn milliseconds(media: &MediaDescription, key: &str) -> Option<u8> {
    let ms = attribute(media, key)?.trim().parse::<f32>().ok()?;
    (1.0..=200.0).contains(&ms).then_some(ms as u8)
}

/// Where the far end wants control packets: `a=rtcp-mux` (RFC 5761), `a=rtcp:<port> [IN IP4 <address>]` (RFC 3605).
fn control_port(media: &MediaDescription, remote: Option<SocketAddr>) -> ControlPort {
    if media.attributes.iter().any(|each| each.key.eq_ignore_ascii_case("rtcp-mux")) {
        return ControlPort::Shared;
    }
    let written = attribute(media, "rtcp").and_then(|value| {
        let mut fields = value.split_whitespace();
        let port: u16 = fields.next()?.parse().ok().filter(|port| *port != 0)?;
        let address = match fields.nth(2) {
            Some(address) => address.parse().ok()?,
            None => remote?.ip(),
        };
        Some(SocketAddr::new(address, port)).filter(|at| !at.ip().is_unspecified())
    });
    match (written, remote) {
        (Some(at), Some(remote)) if at.ip() == remote.ip() && Some(at.port()) == remote.port().checked_add(1) => {
            ControlPort::Next
        }
        (Some(at), _) => ControlPort::At(at),
        (None, _) => ControlPort::Next,
    }
}

/// `ice-char`s, not more than we carry along (RFC 8839 §5.4).
fn is_ice_name(name: &str) -> bool {
    (4..=256).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

/// Packets that we make, milliseconds.
const POSSIBLE: [u8; 6] = [10, 20, 30, 40, 50, PTIME_MS_MAX];
/// What descriptions name where an address is not known yet.
const DISCARD_PORT: u16 = 9;

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
