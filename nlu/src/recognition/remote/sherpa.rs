//! The protocol of sherpa-onnx's servers of streaming models: each answer is all of the utterance that goes on.
//!
//! Source: online-websocket-server-impl.cc and OnlineRecognizerResult::AsJsonString of sherpa-onnx for the server in C++,
//! which says what is final and when words are said; streaming_server.py for the one in Python, which only numbers its
//! utterances.

use serde_json::{Map, Value};

use super::super::listed::is_unspaced;
use super::{Answer, AnswerError, Part, TimedWord, object, untimed};

/// What ends the audio.
pub(super) const GOODBYE: &str = "Done";
/// What the server in C++ ends its answers by.
const OVER: &str = "Done!";
/// What begins a word among pieces of words.
const WORD_BEGINS: [char; 2] = [' ', '\u{2581}'];

pub(super) fn read(text: &str) -> Result<Answer, AnswerError> {
    if text == OVER {
        return Ok(Answer::Over);
    }
    let object = object(text)?;
    let Some(said) = object.get("text").and_then(Value::as_str) else {
        return Err(AnswerError { expected: "a text as \"text\"", found: "none".to_owned() });
    };
    let said = said.trim();
    let is_final = object.get("is_final").and_then(Value::as_bool).unwrap_or(false);
    let segment = object.get("segment").and_then(Value::as_u64);
    let words = timed(said, &object).unwrap_or_else(|| untimed(said));
    Ok(Answer::Text(Part { text: said.to_owned(), is_whole: true, is_final, segment, words }))
}

/// The words of a text at the times and as sure as their tokens; `None` where the tokens make up other words.
fn timed(said: &str, object: &Map<String, Value>) -> Option<Vec<TimedWord>> {
    let numbers = |key: &str| object.get(key)?.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
    let tokens: Vec<&str> = object.get("tokens")?.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?;
    let times = numbers("timestamps").filter(|times| times.len() == tokens.len())?;
    let sure = numbers("ys_probs").filter(|sure| sure.len() == tokens.len());
    let start = object.get("start_time").and_then(Value::as_f64).unwrap_or_default();
    let mut words: Vec<TimedWord> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let letters = token.trim_start_matches(WORD_BEGINS);
        // A probability's logarithm; what is no number is not sure at all.
        let confidence = sure.as_ref().map(|sure| sure[index].exp().clamp(0.0, 1.0) as f32);
        match words.last_mut().filter(|word| goes_on(word, token)) {
            Some(word) => {
                word.text.push_str(letters);
                word.confidence = word.confidence.zip(confidence).map(|(before, this)| before.min(this));
            }
            None => {
                let start_s = Some(start + times[index]);
                words.push(TimedWord { text: letters.to_owned(), start_s, end_s: None, confidence });
            }
        }
    }
    words.retain(|word| !word.text.is_empty());
    let spelt = |texts: &mut dyn Iterator<Item = &str>| {
        texts.flat_map(str::chars).filter(|c| c.is_alphanumeric()).collect::<String>()
    };
    let is_same = spelt(&mut words.iter().map(|word| word.text.as_str())) == spelt(&mut std::iter::once(said));
    is_same.then_some(words)
}

/// Whether a token goes on with a word rather than beginning one.
fn goes_on(word: &TimedWord, token: &str) -> bool {
    let is_apart = |letter: Option<char>| letter.is_none_or(is_unspaced);
    !token.starts_with(WORD_BEGINS)
        && !is_apart(token.chars().next())
        && !word.text.chars().next_back().is_some_and(is_unspaced)
}
