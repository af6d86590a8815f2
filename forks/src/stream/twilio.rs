//! Twilio's Media Streams, and those who speak like it: `connected`, `start`, `media`, `dtmf`, `mark` and `stop` as JSON,
//! audio in base64.
//!
//! The inbound track is what comes from the party whose call the stream was started on, the outbound one what it hears.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::json::{self, Object};
use super::{Dialect, Event, Message, Opening, Playback, Request, StreamError, Voice};
use crate::audio::{Encoding, Format, FormatError, Rate};

#[derive(Debug)]
pub(super) struct Twilio {
    request: Request,
    /// What `start` has said.
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    stream: String,
    format: Format,
    /// Which channel a track is in.
    tracks: Vec<&'static str>,
}

/// Whether a first message is Twilio's.
pub(super) fn is_opening(text: &str) -> bool {
    json::object(text)
        .and_then(|object| json::text(&object, &["event"]))
        .is_some_and(|event| ["connected", "start"].contains(&event.as_str()))
}

impl Twilio {
    pub(super) fn new(request: &Request) -> Twilio {
        Twilio { request: request.clone(), begun: None }
    }

    pub(super) fn read(&mut self, message: &Message, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let Message::Text(text) = message else { return Err(unexpected("a binary message", "JSON")) };
        let Some(object) = json::object(text) else { return Err(unexpected("a text", "a JSON object")) };
        let event = json::text(&object, &["event"]).unwrap_or_default();
        match event.as_str() {
            "connected" => {}
            "start" if self.begun.is_none() => self.start(&object, events)?,
            "start" => return Err(unexpected("a second start", "media")),
            "media" => self.media(&object, events)?,
            "dtmf" => {
                let digit = json::inner(&object, &["dtmf"]).and_then(|dtmf| json::text(dtmf, &["digit"]));
                let key = digit.and_then(|digit| digit.chars().next()?.try_into().ok());
                events.extend(key.map(Event::Key));
            }
            "mark" => {
                let name = json::inner(&object, &["mark"]).and_then(|mark| json::text(mark, &["name"]));
                events.extend(name.and_then(|name| name.parse().ok()).map(Event::Marked));
            }
            "stop" => events.push(Event::Ended),
            // New kinds of messages come with new versions.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, object: &Object, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let Some(start) = json::inner(object, &["start"]) else {
            return Err(unexpected("start without its content", "an object under \"start\""));
        };
        let format = match json::inner(start, &["mediaFormat", "media_format"]) {
            Some(format) => read_format(format).map_err(|error| StreamError::Format { dialect: DIALECT, error })?,
            None => Format { encoding: Encoding::Mulaw, rate: Rate::Narrow },
        };
        let named = start.get("tracks").and_then(serde_json::Value::as_array);
        let names = |track: &str| named.is_some_and(|tracks| tracks.iter().any(|each| each == track));
        let tracks: Vec<&'static str> = match (names("inbound"), names("outbound")) {
            (true, true) => vec!["inbound", "outbound"],
            (false, true) => vec!["outbound"],
            (_, false) => vec!["inbound"],
        };
        let parameters = json::inner(start, &["customParameters", "custom_parameters"]).cloned().unwrap_or_default();
        let said = |name: &str| json::text(&parameters, &[name]);
        let stream = json::text(object, &["streamSid", "stream_id"]).or_else(|| json::text(start, &["streamSid"]));

        let inbound = match (self.request.voices.first(), said("channels").as_deref()) {
            (Some(voice), _) => *voice,
            (None, Some("callee")) => Voice::Callee,
            (None, _) => Voice::Caller,
        };
        let outbound = if inbound == Voice::Callee { Voice::Caller } else { Voice::Callee };
        let voice = |track: &&str| if *track == "inbound" { inbound } else { outbound };
        let voices = tracks.iter().map(voice).collect();
        if said("play").as_deref() == Some("on") {
            self.request.play = Playback::On;
        }
        let call = self.request.call.clone().or_else(|| said("call"));
        events.push(Event::Begun(Box::new(Opening {
            dialect: DIALECT,
            call: call.or_else(|| json::text(start, &["callSid", "call_control_id"])),
            from: self.request.from.clone().or_else(|| said("from")),
            to: self.request.to.clone().or_else(|| said("to")),
            voices,
            rate: format.rate,
            plays: self.request.play != Playback::Off,
            details: json::details(&parameters, &["call", "from", "to", "channels", "play", "token"]),
        })));
        self.begun = Some(Begun { stream: stream.unwrap_or_default(), format, tracks });
        Ok(())
    }

    fn media(&self, object: &Object, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let Some(begun) = &self.begun else { return Err(unexpected("media", "start")) };
        let media = json::inner(object, &["media"]);
        let payload = media.and_then(|media| media.get("payload")).and_then(serde_json::Value::as_str);
        let (Some(media), Some(payload)) = (media, payload) else {
            return Err(unexpected("media without a payload", "base64 under \"payload\""));
        };
        let Ok(bytes) = BASE64.decode(payload) else { return Err(unexpected("a payload that is no base64", "base64")) };
        let track = json::text(media, &["track"]);
        let channel = match &track {
            Some(track) => begun.tracks.iter().position(|each| each == track),
            None => Some(0),
        };
        // A track that was not announced is nobody's voice.
        let Some(channel) = channel else { return Ok(()) };
        let mut samples = Vec::with_capacity(bytes.len());
        begun.format.decode(&bytes, &mut samples);
        if !samples.is_empty() {
            events.push(Event::Audio { channel, samples });
        }
        Ok(())
    }

    pub(super) fn play(&self, samples: &[i16]) -> Option<Message> {
        let begun = self.begun.as_ref().filter(|_| self.request.play != Playback::Off)?;
        let mut bytes = Vec::with_capacity(samples.len() * 2);
        begun.format.encode(samples, &mut bytes);
        let media = json!({ "payload": BASE64.encode(bytes) });
        Some(Message::Text(json!({ "event": "media", "streamSid": begun.stream, "media": media }).to_string()))
    }

    pub(super) fn mark(&self, number: u32) -> Option<Message> {
        let begun = self.begun.as_ref()?;
        let mark = json!({ "name": number.to_string() });
        Some(Message::Text(json!({ "event": "mark", "streamSid": begun.stream, "mark": mark }).to_string()))
    }

    pub(super) fn clear(&self) -> Option<Message> {
        let begun = self.begun.as_ref()?;
        Some(Message::Text(json!({ "event": "clear", "streamSid": begun.stream }).to_string()))
    }
}

fn read_format(format: &Object) -> Result<Format, FormatError> {
    let name = json::text(format, &["encoding"]).unwrap_or_default();
    let encoding = match name.to_ascii_lowercase().trim_start_matches("audio/") {
        "x-mulaw" | "mulaw" | "pcmu" => Encoding::Mulaw,
        "x-alaw" | "alaw" | "pcma" => Encoding::Alaw,
        "x-l16" | "l16" | "pcm16" => Encoding::L16,
        _ => {
            return Err(FormatError::Encoding {
                found: name.chars().take(40).collect(),
                expected: "x-mulaw, x-alaw or l16",
            });
        }
    };
    let rate = json::number(format, &["sampleRate", "sample_rate"]).unwrap_or(8_000);
    match json::number(format, &["channels"]) {
        None | Some(1) => Ok(Format { encoding, rate: Rate::of(rate)? }),
        Some(more) => {
            Err(FormatError::Encoding { found: format!("{more} channels in one track"), expected: "one channel" })
        }
    }
}

fn unexpected(what: &str, expected: &'static str) -> StreamError {
    StreamError::Unexpected { dialect: DIALECT, what: what.to_owned(), expected }
}

const DIALECT: Dialect = Dialect::Twilio;
