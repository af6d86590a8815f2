//! Asterisk's `chan_websocket`, which ARI's externalMedia can use: raw audio in binary messages, events and commands in
//! text, either as words or as JSON (the dial string's `f(json)`).

use serde_json::json;

use super::{Dialect, Event, Message, Opening, Request, StreamError, Voice, json};
use crate::audio::{Encoding, Format, FormatError, Rate};

#[derive(Debug)]
pub(super) struct Asterisk {
    request: Request,
    format: Format,
    begun: bool,
    /// Whether it speaks JSON.
    in_json: bool,
    /// Whether it has asked for a pause: its queue is full.
    paused: bool,
    /// The mark that waits for the queue to be drained, which is told without a name.
    marked: Option<u32>,
}

/// An event with its fields.
struct Told {
    event: String,
    fields: Vec<(String, String)>,
    in_json: bool,
}

/// Whether a first message is Asterisk's.
pub(super) fn is_opening(text: &str) -> bool {
    told(text).event == "MEDIA_START"
}

impl Asterisk {
    pub(super) fn new(request: &Request) -> Asterisk {
        let format = Format { encoding: Encoding::Mulaw, rate: Rate::Narrow };
        Asterisk { request: request.clone(), format, begun: false, in_json: false, paused: false, marked: None }
    }

    pub(super) fn read(&mut self, message: &Message, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(bytes) if self.begun => {
                let mut samples = Vec::with_capacity(bytes.len());
                self.format.decode(bytes, &mut samples);
                if !samples.is_empty() {
                    events.push(Event::Audio { channel: 0, samples });
                }
                return Ok(());
            }
            Message::Binary(_) => return Err(unexpected("audio", "MEDIA_START")),
        };
        let told = told(text);
        match told.event.as_str() {
            "MEDIA_START" if !self.begun => self.start(&told, events)?,
            "MEDIA_START" => return Err(unexpected("a second MEDIA_START", "audio")),
            "DTMF_END" => {
                let key = told.field("digit").and_then(|digit| digit.chars().next()?.try_into().ok());
                events.extend(key.map(Event::Key));
            }
            "MEDIA_XOFF" => self.paused = true,
            "MEDIA_XON" => self.paused = false,
            "QUEUE_DRAINED" => events.extend(self.marked.take().map(Event::Marked)),
            // STATUS and whatever new versions say.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, told: &Told, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let format = told.field("format").unwrap_or("ulaw");
        self.format = match format {
            "ulaw" => Format { encoding: Encoding::Mulaw, rate: Rate::Narrow },
            "alaw" => Format { encoding: Encoding::Alaw, rate: Rate::Narrow },
            "slin" => Format { encoding: Encoding::L16, rate: Rate::Narrow },
            "slin16" => Format { encoding: Encoding::L16, rate: Rate::Wide },
            other => {
                let found = other.chars().take(40).collect();
                let error = FormatError::Encoding { found, expected: "ulaw, alaw, slin or slin16" };
                return Err(StreamError::Format { dialect: DIALECT, error });
            }
        };
        (self.begun, self.in_json) = (true, told.in_json);
        let details = told.fields.iter().filter(|(name, _)| ["channel", "channel_id"].contains(&name.as_str()));
        events.push(Event::Begun(Box::new(Opening {
            dialect: DIALECT,
            call: self.request.call.clone().or_else(|| told.field("connection_id").map(str::to_owned)),
            from: self.request.from.clone(),
            to: self.request.to.clone(),
            // One channel carries one voice, or a bridge's.
            voices: vec![self.request.voices.first().copied().unwrap_or(Voice::Caller)],
            rate: self.format.rate,
            plays: true,
            details: details.cloned().collect(),
        })));
        Ok(())
    }

    /// Audio, unless its queue is full: what is not taken now would be heard too late.
    pub(super) fn play(&self, samples: &[i16]) -> Option<Message> {
        let mut bytes = Vec::with_capacity(samples.len() * 2);
        self.format.encode(samples, &mut bytes);
        (!self.paused).then_some(Message::Binary(bytes))
    }

    pub(super) fn mark(&mut self, number: u32) -> Message {
        self.marked = Some(number);
        self.command("REPORT_QUEUE_DRAINED")
    }

    pub(super) fn clear(&self) -> Message {
        self.command("FLUSH_MEDIA")
    }

    fn command(&self, command: &str) -> Message {
        Message::Text(if self.in_json { json!({ "command": command }).to_string() } else { command.to_owned() })
    }
}

impl Told {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads `EVENT name:value name:value`, or the same as a JSON object.
fn told(text: &str) -> Told {
    if let Some(object) = json::object(text) {
        let event = json::text(&object, &["event"]).unwrap_or_default();
        return Told { event, fields: json::details(&object, &["event"]), in_json: true };
    }
    let mut words = text.split_whitespace();
    let event = words.next().map(json::bounded).unwrap_or_default();
    let fields = words.filter_map(|word| word.split_once(':')).take(json::DETAILS_MAX);
    let fields = fields.map(|(name, value)| (json::bounded(name), json::bounded(value))).collect();
    Told { event, fields, in_json: false }
}

fn unexpected(what: &str, expected: &'static str) -> StreamError {
    StreamError::Unexpected { dialect: DIALECT, what: what.to_owned(), expected }
}

const DIALECT: Dialect = Dialect::Asterisk;
