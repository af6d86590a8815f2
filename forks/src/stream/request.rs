//! What a stream's URL says of it: `?call=…&channels=caller,callee&rate=16000&from=…&to=…&play=on`.

use super::Voice;
use super::json::bounded;
use crate::audio::{FormatError, Rate};

/// How sounds are sent back, where it has to be said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Playback {
    /// Not at all.
    #[default]
    Off,
    /// As audio frames, like those that come.
    On,
    /// In JSON of the type `streamAudio` (`mod_audio_stream`).
    StreamAudio,
}

/// What the URL says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// How the sender names the call.
    pub call: Option<String>,
    /// What the channels carry; empty when it is not said.
    pub voices: Vec<Voice>,
    /// Samples per second.
    pub rate: Option<Rate>,
    /// Who calls.
    pub from: Option<String>,
    /// Who is called.
    pub to: Option<String>,
    /// How sounds are sent back.
    pub play: Playback,
}

/// A URL that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A rate that is not taken.
    #[error("rate: {0}")]
    Rate(#[from] FormatError),
    /// A value that is none.
    #[error("{name}: found {found:?}, expected {expected}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// What stands there, shortened.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
}

impl Request {
    /// Reads the parameters of a URL, already decoded. Those that are not known are somebody else's.
    ///
    /// # Errors
    /// When a value is none.
    pub fn read<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Request, RequestError> {
        let mut request = Request::default();
        for (name, value) in parameters {
            let text = || Some(bounded(value)).filter(|text| !text.is_empty());
            match name {
                "call" => request.call = text(),
                "from" => request.from = text(),
                "to" => request.to = text(),
                "channels" => request.voices = voices(value)?,
                "rate" => request.rate = Some(rate(value)?),
                "play" => request.play = playback(value)?,
                _ => {}
            }
        }
        Ok(request)
    }
}

fn rate(value: &str) -> Result<Rate, FormatError> {
    let hz = match value {
        "8k" => Some(8_000),
        "16k" => Some(16_000),
        _ => value.parse().ok(),
    };
    hz.map_or_else(|| Err(FormatError::Rate { found: shortened(value) }), Rate::of)
}

fn voices(value: &str) -> Result<Vec<Voice>, RequestError> {
    let voice = |word: &str| match word.trim() {
        "caller" => Some(Voice::Caller),
        "callee" => Some(Voice::Callee),
        "both" => Some(Voice::Both),
        _ => None,
    };
    let voices: Option<Vec<Voice>> = value.split(',').map(voice).collect();
    let fits = |voices: &Vec<Voice>| match voices[..] {
        [_] => true,
        [first, second] => first != second && !voices.contains(&Voice::Both),
        _ => false,
    };
    voices.filter(fits).ok_or_else(|| RequestError::Value {
        name: "channels",
        found: shortened(value),
        expected: "caller, callee, both, \"caller,callee\" or \"callee,caller\"",
    })
}

fn playback(value: &str) -> Result<Playback, RequestError> {
    match value {
        "off" => Ok(Playback::Off),
        "on" => Ok(Playback::On),
        "streamAudio" => Ok(Playback::StreamAudio),
        _ => Err(RequestError::Value {
            name: "play",
            found: shortened(value),
            expected: "\"off\", \"on\" or \"streamAudio\"",
        }),
    }
}

fn shortened(value: &str) -> String {
    value.chars().take(40).collect()
}
