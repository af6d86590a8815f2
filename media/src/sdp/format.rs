//! Payload types: which codec each stands for, with which parameters, in what a far end wrote.
//!
//! Chooses nothing and writes nothing.

use rtc_sdp::description::media::MediaDescription;

use super::EVENT_CLOCK_HZ;
use crate::Codec;
use crate::codec::OpusSettings;

/// The payload types of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Formats {
    /// What we can do, in the writer's order.
    pub codecs: Vec<(Codec, u8)>,
    /// telephone-event (RFC 4733): clock rate in Hz and payload type, one for each clock rate.
    pub events: Vec<(u32, u8)>,
    /// Whether comfort noise is spoken (RFC 3389, payload type 13).
    pub comfort_noise: bool,
}

impl Formats {
    /// The telephone-event that goes with `codec`, its clock rate in Hz and payload type: events share the clock of the
    /// audio (RFC 4733 §2.1), but many telephones name that of 8,000 Hz alone, also beside Opus.
    pub fn event(&self, codec: Codec) -> Option<(u32, u8)> {
        let clocks = [codec.clock_hz(), EVENT_CLOCK_HZ];
        clocks.into_iter().find_map(|clock_hz| Some((clock_hz, self.event_at(clock_hz)?)))
    }

    /// The payload type of telephone-event with a clock rate in Hz.
    pub fn event_at(&self, clock_hz: u32) -> Option<u8> {
        self.events.iter().find(|(each, _)| *each == clock_hz).map(|(_, payload_type)| *payload_type)
    }

    /// The payload type of `codec`.
    pub fn payload_type(&self, codec: Codec) -> Option<u8> {
        self.codecs.iter().find(|(each, _)| *each == codec).map(|(_, payload_type)| *payload_type)
    }

    /// What `media` says.
    pub(super) fn read(media: &MediaDescription) -> Formats {
        let mut formats = Formats::default();
        for payload_type in payload_types(media) {
            if let Some(codec) = codec(media, payload_type) {
                if formats.payload_type(codec).is_none() {
                    formats.codecs.push((codec, payload_type));
                }
            } else if let Some(clock_hz) = event_clock(media, payload_type) {
                if formats.events.iter().all(|(known, _)| *known != clock_hz) {
                    formats.events.push((clock_hz, payload_type));
                }
            } else {
                formats.comfort_noise |= is_comfort_noise(media, payload_type);
            }
        }
        formats
    }
}

/// What a far end says of Opus as it wants to receive it (RFC 7587 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpusWishes {
    pub(super) settings: OpusSettings,
    /// The shortest packets it wants, milliseconds.
    pub(super) ptime_ms_min: u8,
}

impl OpusWishes {
    /// What `media` says of `payload_type`; the defaults where it says nothing that makes sense.
    pub(super) fn read(media: &MediaDescription, payload_type: u8) -> OpusWishes {
        let text = parameters(media, payload_type).unwrap_or_default();
        let value = |name: &str| {
            let pairs = text.split(';').filter_map(|pair| pair.trim().split_once('='));
            pairs
                .filter(|(key, _)| key.trim().eq_ignore_ascii_case(name))
                .find_map(|(_, v)| v.trim().parse::<u32>().ok())
        };
        let bitrate_max = value("maxaveragebitrate").filter(|bitrate| OPUS_BITRATES.contains(bitrate));
        let playback_hz_max = value("maxplaybackrate").filter(|rate_hz| OPUS_RATES_HZ.contains(rate_hz));
        // What is sampled at 8 kHz fits into the bit rate of narrow-band speech (RFC 7587 §3.1.1).
        let narrow = playback_hz_max.filter(|rate_hz| *rate_hz <= 8_000).map(|_| OPUS_BITRATE_NARROW);
        OpusWishes {
            settings: OpusSettings {
                fec: value("useinbandfec") == Some(1),
                dtx: value("usedtx") == Some(1),
                bitrate_max: bitrate_max.or(narrow),
                constant: value("cbr") == Some(1),
                playback_hz_max,
            },
            ptime_ms_min: value("minptime").filter(|ms| (3..=60).contains(ms)).map_or(3, |ms| ms as u8),
        }
    }
}

/// The numbers in the media line that are payload types, each once.
fn payload_types(media: &MediaDescription) -> Vec<u8> {
    let mut numbers = Vec::new();
    for number in media.media_name.formats.iter().filter_map(|format| format.parse::<u8>().ok()) {
        if number < 128 && !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    numbers
}

/// The codec behind a payload type: by its rtpmap, else by the static table (RFC 3551 §6).
fn codec(media: &MediaDescription, payload_type: u8) -> Option<Codec> {
    let Some((name, clock_hz, channels)) = mapping(media, payload_type) else {
        return Codec::ALL.into_iter().find(|codec| codec.static_payload_type() == Some(payload_type));
    };
    // Old telephones say of G.722 what is true instead of what is right (RFC 3551 §4.5.2).
    let clock_hz = if name.eq_ignore_ascii_case("G722") && clock_hz == 16_000 { 8_000 } else { clock_hz };
    Codec::ALL.into_iter().find(|codec| {
        // Channels may be left away, which the few who do it mean as "whatever the codec has".
        let channels_fit = channels.is_none_or(|channels| channels == u32::from(codec.channels()));
        codec.name().eq_ignore_ascii_case(name) && codec.clock_hz() == clock_hz && channels_fit
    })
}

fn event_clock(media: &MediaDescription, payload_type: u8) -> Option<u32> {
    let (name, clock_hz, _) = mapping(media, payload_type)?;
    name.eq_ignore_ascii_case("telephone-event").then_some(clock_hz)
}

fn is_comfort_noise(media: &MediaDescription, payload_type: u8) -> bool {
    payload_type == COMFORT_NOISE
        && mapping(media, payload_type)
            .is_none_or(|(name, clock_hz, _)| name.eq_ignore_ascii_case("CN") && clock_hz == 8_000)
}

/// Name, clock rate in Hz and channels of `a=rtpmap:<payload type> <name>/<clock>[/<channels>]`.
fn mapping(media: &MediaDescription, payload_type: u8) -> Option<(&str, u32, Option<u32>)> {
    let mut fields = attribute_of(media, "rtpmap", payload_type)?.split('/');
    let name = fields.next()?.trim();
    let clock_hz = fields.next()?.trim().parse().ok()?;
    let channels = fields.next().map(|channels| channels.trim().parse().unwrap_or(0));
    Some((name, clock_hz, channels))
}

/// The event codes of `payload_type` (`0-15,66`, RFC 4733 §2.4.1), when they are well-formed and short enough to be
/// repeated.
pub(super) fn event_codes(media: &MediaDescription, payload_type: u8) -> Option<&str> {
    parameters(media, payload_type).filter(|codes| {
        !codes.is_empty() && codes.len() <= 64 && codes.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b',')
    })
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

/// The payload type of comfort noise at 8 kHz (RFC 3551 §6).
pub(super) const COMFORT_NOISE: u8 = 13;
/// What `maxaveragebitrate` may say, bits per second (RFC 7587 §6.1).
const OPUS_BITRATES: std::ops::RangeInclusive<u32> = 6_000..=510_000;
/// What `maxplaybackrate` may say, Hz.
const OPUS_RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;
/// Enough for narrow-band speech, bits per second (RFC 7587 §3.1.1).
const OPUS_BITRATE_NARROW: u32 = 12_000;
