//! Calls that come over a WebSocket, in the words of whoever sends them: FreeSWITCH's modules, Asterisk's channel,
//! Twilio and those who speak like it.
//!
//! The first message tells which. What the URL says goes before what the messages say.

mod asterisk;
mod freeswitch;
mod json;
mod request;
mod twilio;

use std::time::Duration;

use media::dtmf::Key;

use self::asterisk::Asterisk;
use self::freeswitch::FreeSwitch;
use self::twilio::Twilio;
use crate::audio::{FormatError, Rate};
pub use request::{Playback, Request, RequestError};

/// Subprotocols that clients ask for: FreeSWITCH's `mod_audio_fork`, Asterisk's `chan_websocket`.
pub const SUBPROTOCOLS: [&str; 3] = ["audio.drachtio.org", "audiostream.drachtio.org", "media"];

/// What is in one channel of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Who called.
    Caller,
    /// Whom the caller talks to.
    Callee,
    /// Everybody.
    Both,
}

/// Whose words are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `mod_audio_fork`, `mod_audio_stream`: a text, then linear samples.
    FreeSwitch,
    /// `chan_websocket`: commands and raw audio.
    Asterisk,
    /// Media Streams: everything in JSON.
    Twilio,
}

impl Dialect {
    /// One word for it, in events and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::FreeSwitch => "freeswitch",
            Dialect::Asterisk => "asterisk",
            Dialect::Twilio => "twilio",
        }
    }
}

/// A message, either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text frame.
    Text(String),
    /// A binary frame.
    Binary(Vec<u8>),
}

/// What a stream is, once it has said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// In whose words.
    pub dialect: Dialect,
    /// How the sender names the call.
    pub call: Option<String>,
    /// Who calls.
    pub from: Option<String>,
    /// Who is called.
    pub to: Option<String>,
    /// What its channels carry, one or two.
    pub voices: Vec<Voice>,
    /// Samples per second.
    pub rate: Rate,
    /// Whether sounds can be sent back.
    pub plays: bool,
    /// What else was said of the call, by name.
    pub details: Vec<(String, String)>,
}

/// What has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The stream begins; comes once, before anything else.
    Begun(Box<Opening>),
    /// Audio of one channel.
    Audio {
        /// Which, from 0.
        channel: usize,
        /// The samples.
        samples: Vec<i16>,
    },
    /// A key was pressed.
    Key(Key),
    /// Something was said of the call.
    Told(Vec<(String, String)>),
    /// All that was sent before this mark has been heard, or thrown away.
    Marked(u32),
    /// The stream is over.
    Ended,
}

/// A message that cannot be taken; the stream ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Not in this dialect.
    #[error("{dialect}: {what}, expected {expected}", dialect = dialect.name())]
    Unexpected {
        /// Whose words are spoken.
        dialect: Dialect,
        /// What came, without anything of the call.
        what: String,
        /// What should have come.
        expected: &'static str,
    },
    /// Audio that is not taken.
    #[error("{dialect}: {error}", dialect = dialect.name())]
    Format {
        /// Whose words are spoken.
        dialect: Dialect,
        /// Why not.
        error: FormatError,
    },
}

/// One stream.
#[derive(Debug)]
pub struct Stream {
    request: Request,
    words: Option<Words>,
}

#[derive(Debug)]
enum Words {
    FreeSwitch(FreeSwitch),
    Asterisk(Asterisk),
    Twilio(Twilio),
}

impl Stream {
    /// A stream that has been asked for with this URL.
    pub fn new(request: Request) -> Stream {
        Stream { request, words: None }
    }

    /// Takes a message.
    ///
    /// # Errors
    /// When it cannot be taken. The stream cannot go on.
    pub fn read(&mut self, message: &Message, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let request = &self.request;
        let words = self.words.get_or_insert_with(|| match dialect_of(message) {
            Dialect::FreeSwitch => Words::FreeSwitch(FreeSwitch::new(request)),
            Dialect::Asterisk => Words::Asterisk(Asterisk::new(request)),
            Dialect::Twilio => Words::Twilio(Twilio::new(request)),
        });
        match words {
            Words::FreeSwitch(words) => words.read(message, events),
            Words::Asterisk(words) => words.read(message, events),
            Words::Twilio(words) => words.read(message, events),
        }
    }

    /// Appends the messages that make the far end hear `samples`, 20 ms of them.
    pub fn play(&mut self, samples: &[i16], messages: &mut Vec<Message>) {
        messages.extend(match &mut self.words {
            Some(Words::FreeSwitch(words)) => words.play(samples),
            Some(Words::Asterisk(words)) => words.play(samples),
            Some(Words::Twilio(words)) => words.play(samples),
            None => None,
        });
    }

    /// Appends what asks the far end to say when all that was sent so far has been heard; false when it cannot.
    pub fn mark(&mut self, number: u32, messages: &mut Vec<Message>) -> bool {
        let message = match &mut self.words {
            Some(Words::Twilio(words)) => words.mark(number),
            Some(Words::Asterisk(words)) => Some(words.mark(number)),
            Some(Words::FreeSwitch(_)) | None => None,
        };
        let can = message.is_some();
        messages.extend(message);
        can
    }

    /// Appends what makes the far end throw away what it has not played yet.
    pub fn clear(&mut self, messages: &mut Vec<Message>) {
        messages.extend(match &mut self.words {
            Some(Words::FreeSwitch(words)) => words.clear(),
            Some(Words::Asterisk(words)) => Some(words.clear()),
            Some(Words::Twilio(words)) => words.clear(),
            None => None,
        });
    }
}

/// How long the first message may take to come, and with it the stream's beginning.
pub const OPENING_WAIT: Duration = Duration::from_secs(10);

/// Who speaks like this.
fn dialect_of(message: &Message) -> Dialect {
    match message {
        Message::Text(text) if asterisk::is_opening(text) => Dialect::Asterisk,
        Message::Text(text) if twilio::is_opening(text) => Dialect::Twilio,
        Message::Text(_) | Message::Binary(_) => Dialect::FreeSwitch,
    }
}

#[cfg(test)]
mod tests;
