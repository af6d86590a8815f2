//! The protocol of the FunASR runtime in its mode `2pass`: text while a party speaks, and again, better, once it pauses.
//!
//! Source: runtime/docs/websocket_protocol.md, websocket-server-2pass.cpp and funasr_wss_server.py of FunASR. What comes
//! while a party speaks (`2pass-online`) goes on where the text before ended; what comes behind it (`2pass-offline`) takes
//! the place of all of it. Only the server in C++ tells times of the stream; those of the one in Python begin anew with
//! each utterance and are of no use.

use serde_json::{Map, Value, json};

use super::super::Listed;
use super::{Answer, AnswerError, Part, TimedWord, object, untimed};

/// What ends the audio.
pub(super) const GOODBYE: &str = "{\"is_speaking\":false,\"is_end\":true}";
/// Phrases that are told to be likely, and by how much: the weight of the protocol's examples.
const HOTWORDS_MAX: usize = 200;
const HOTWORD_WEIGHT: u32 = 20;

/// What comes before the audio: chunks of 0.6 s in messages of 60 ms at 16 kHz, numbers as they are said.
pub(super) fn greeting(listed: &Listed) -> String {
    let likely = listed.texts().take(HOTWORDS_MAX).map(|text| (text.to_owned(), json!(HOTWORD_WEIGHT)));
    let likely = Value::Object(likely.collect::<Map<_, _>>()).to_string();
    let greeting = json!({
        "mode": "2pass",
        "wav_name": "call",
        "wav_format": "pcm",
        "audio_fs": 16_000,
        "is_speaking": true,
        "chunk_size": [5, 10, 5],
        "chunk_interval": 10,
        "hotwords": likely,
        "itn": false,
    });
    greeting.to_string()
}

pub(super) fn read(text: &str) -> Result<Answer, AnswerError> {
    let object = object(text)?;
    if object.get("is_end").and_then(Value::as_bool) == Some(true) {
        return Ok(Answer::Over);
    }
    let said = match object.get("text") {
        Some(Value::String(said)) => said.trim(),
        // Answers about anything else, now and in versions to come.
        None | Some(Value::Null) => return Ok(Answer::Other),
        Some(_) => return Err(AnswerError { expected: "a text as \"text\"", found: "another value".to_owned() }),
    };
    let is_final = match object.get("mode").and_then(Value::as_str) {
        Some("2pass-online" | "online") => false,
        Some("2pass-offline" | "offline") => true,
        // The C++ server's last answer has neither mode nor text.
        None if said.is_empty() => return Ok(Answer::Other),
        None => return Err(AnswerError { expected: "a \"mode\" beside the text", found: "none".to_owned() }),
        Some(_) => {
            return Err(AnswerError { expected: "2pass-online or 2pass-offline", found: "another mode".to_owned() });
        }
    };
    if said.is_empty() && !is_final {
        return Ok(Answer::Other);
    }
    let mut words = untimed(said);
    if is_final {
        time(&mut words, &object);
    }
    Ok(Answer::Text(Part { text: said.to_owned(), is_whole: is_final, is_final, segment: None, words }))
}

/// Gives words the times that an answer has, where these are times of the stream and one for each word.
fn time(words: &mut [TimedWord], object: &Map<String, Value>) {
    let is_of_stream = object.contains_key("start_time");
    let Some(times) = object.get("timestamp").and_then(Value::as_str).filter(|_| is_of_stream) else { return };
    let Ok(times) = serde_json::from_str::<Vec<[f64; 2]>>(times) else { return };
    if times.len() != words.len() {
        return;
    }
    for (word, [start_ms, end_ms]) in words.iter_mut().zip(times) {
        (word.start_s, word.end_s) = (Some(start_ms / 1_000.0), Some(end_ms / 1_000.0));
    }
}
