//! FreeSWITCH's `mod_audio_fork` and `mod_audio_stream`: a text that the dialplan made up, then linear samples of one or
//! two channels.
//!
//! Neither says how many channels there are and at which rate: the URL does, or it is one at 8 kHz.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::{Dialect, Event, Message, Opening, Playback, Request, StreamError, Voice, json};
use crate::audio::{Encoding, Format, Rate};

/// Names under which dialplans tell whose call it is.
const CALL: [&str; 8] = ["call", "call_id", "callId", "callid", "callSid", "uuid", "call_uuid", "Unique-ID"];
const FROM: [&str; 4] = ["from", "caller", "caller_id_number", "Caller-Caller-ID-Number"];
const TO: [&str; 4] = ["to", "callee", "destination_number", "Caller-Destination-Number"];

#[derive(Debug)]
pub(super) struct FreeSwitch {
    request: Request,
    voices: Vec<Voice>,
    format: Format,
    begun: bool,
    /// Octets of a sample, or of a pair of them, whose rest is still to come.
    rest: Vec<u8>,
}

impl FreeSwitch {
    pub(super) fn new(request: &Request) -> FreeSwitch {
        let voices = if request.voices.is_empty() { vec![Voice::Caller] } else { request.voices.clone() };
        let format = Format { encoding: Encoding::L16, rate: request.rate.unwrap_or(Rate::Narrow) };
        FreeSwitch { request: request.clone(), voices, format, begun: false, rest: Vec::new() }
    }

    #[expect(clippy::unnecessary_wraps, reason = "all dialects are read alike; this one takes everything")]
    pub(super) fn read(&mut self, message: &Message, events: &mut Vec<Event>) -> Result<(), StreamError> {
        match message {
            Message::Text(text) if self.begun => self.tell(text, events),
            Message::Text(text) => self.begin(Some(text), events),
            Message::Binary(bytes) => {
                if !self.begun {
                    self.begin(None, events);
                }
                self.audio(bytes, events);
            }
        }
        Ok(())
    }

    fn begin(&mut self, text: Option<&str>, events: &mut Vec<Event>) {
        self.begun = true;
        let object = text.and_then(json::object);
        let named = |names: &[&str]| object.as_ref().and_then(|object| json::text(object, names));
        let except: Vec<&str> = [&CALL[..], &FROM, &TO].concat();
        let details = match (&object, text) {
            (Some(object), _) => json::details(object, &except),
            (None, Some(text)) if !text.trim().is_empty() => vec![("text".to_owned(), json::bounded(text))],
            (None, _) => Vec::new(),
        };
        events.push(Event::Begun(Box::new(Opening {
            dialect: Dialect::FreeSwitch,
            call: self.request.call.clone().or_else(|| named(&CALL)),
            from: self.request.from.clone().or_else(|| named(&FROM)),
            to: self.request.to.clone().or_else(|| named(&TO)),
            voices: self.voices.clone(),
            rate: self.format.rate,
            plays: self.request.play != Playback::Off,
            details,
        })));
    }

    /// A text that the dialplan, or the application behind it, sends later: a key, or something it wants known.
    fn tell(&self, text: &str, events: &mut Vec<Event>) {
        let Some(object) = json::object(text) else {
            return events.push(Event::Told(vec![("text".to_owned(), json::bounded(text))]));
        };
        let key = json::text(&object, &["dtmf", "digit"]).and_then(|digit| digit.chars().next()?.try_into().ok());
        events.push(match key {
            Some(key) => Event::Key(key),
            None => Event::Told(json::details(&object, &[])),
        });
    }

    /// Samples of the channels take turns; a message may end between them.
    fn audio(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        let turn = self.format.sample_bytes() * self.voices.len();
        self.rest.extend_from_slice(bytes);
        let whole = self.rest.len() / turn * turn;
        let mut samples = Vec::with_capacity(whole / self.format.sample_bytes());
        self.format.decode(&self.rest[..whole], &mut samples);
        self.rest.drain(..whole);
        if samples.is_empty() {
            return;
        }
        if self.voices.len() == 1 {
            return events.push(Event::Audio { channel: 0, samples });
        }
        for channel in 0..self.voices.len() {
            let samples = samples.iter().skip(channel).step_by(self.voices.len()).copied().collect();
            events.push(Event::Audio { channel, samples });
        }
    }

    pub(super) fn play(&self, samples: &[i16]) -> Option<Message> {
        let mut bytes = Vec::with_capacity(samples.len() * 2);
        self.format.encode(samples, &mut bytes);
        match self.request.play {
            Playback::Off => None,
            Playback::On => Some(Message::Binary(bytes)),
            Playback::StreamAudio => {
                let data = json!({
                    "audioDataType": "raw",
                    "sampleRate": self.format.rate.hz(),
                    "audioData": BASE64.encode(bytes),
                });
                Some(Message::Text(json!({ "type": "streamAudio", "data": data }).to_string()))
            }
        }
    }

    pub(super) fn clear(&self) -> Option<Message> {
        let plays = self.request.play != Playback::Off;
        plays.then(|| Message::Text(json!({ "type": "killAudio" }).to_string()))
    }
}
