//! What voice and words find alone and together: `fused MODEL.onnx MODEL.json [ENCODER.onnx SOUND.onnx SOUND.json] < CALLS`,
//! figures as JSON per way, one line.
//!
//! CALLS has a call per line, as JSON: `path` (WAV, 8 kHz, mono, 16 bit), `onset_s` (when anger starts, or null), and
//! `said`: what was said, as `text`, `start_s`, `end_s`, `confidence`. The recipe calls it with models of the voice that
//! have not heard the speakers of CALLS, and sentences of which the model of words has learnt nothing.

mod recording;
mod voice;

use std::error::Error;
use std::io::BufRead;

use nlu::evaluation::OnsetTally;
use nlu::text::{Lexicon, LexiconError, TextModel, TextReader};
use nlu::{Listener, ListenerSettings, Observation, PartyId, Runtime, Utterance};
use serde::Deserialize;

const CALLER: PartyId = PartyId(0);
const CHUNK: usize = 1_600;
/// A recogniser tells what was said so long after its end, samples (0.5 s).
const TOLD_AFTER: u64 = 4_000;

#[derive(Deserialize)]
struct Call {
    path: String,
    onset_s: Option<f64>,
    said: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    text: String,
    start_s: f64,
    end_s: f64,
    confidence: f32,
}

#[expect(clippy::print_stdout, reason = "figures are what this program is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = Runtime::find(None)?;
    let voice = || voice::load(&runtime, &arguments);
    let words =
        || -> Result<_, Box<dyn Error>> { Ok(TextReader::new(Some(TextModel::built_in(&runtime)?), lexicons()?)) };
    let listener = |model| Listener::new(model, ListenerSettings::default());
    let mut ways = [
        ("voice", true, listener(Some(voice()?))),
        ("words", false, listener(None).with_reader(words()?)),
        ("both", true, listener(Some(voice()?)).with_reader(words()?)),
    ];
    let mut tallies: [OnsetTally; 3] = Default::default();
    for line in std::io::stdin().lock().lines() {
        let call: Call = serde_json::from_str(&line?)?;
        let samples = recording::read(&call.path)?;
        for ((way, heard, listener), tally) in ways.iter_mut().zip(&mut tallies) {
            let observations = listen(listener, &samples, if *way == "voice" { &[] } else { &call.said }, *heard);
            tally.add(&observations, call.onset_s.map(position), samples.len() as u64);
        }
    }
    for ((way, ..), tally) in ways.iter().zip(&tallies) {
        println!("{}", serde_json::json!({ "way": way, "figures": tally.figures() }));
    }
    Ok(())
}

/// Plays a call; where the voice is not to be `heard`, there is silence in its place.
fn listen(listener: &mut Listener, samples: &[f32], said: &[Said], heard: bool) -> Vec<Observation> {
    listener.add(CALLER);
    let mut observations = Vec::new();
    let mut at = 0;
    let mut waiting = said.iter().peekable();
    for chunk in samples.chunks(CHUNK) {
        let silence = [0.0; CHUNK];
        listener.push(CALLER, if heard { chunk } else { &silence[..chunk.len()] });
        at += chunk.len() as u64;
        while let Some(said) = waiting.next_if(|said| position(said.end_s) + TOLD_AFTER <= at) {
            let (text, confidence) = (said.text.clone(), said.confidence);
            let utterance = Utterance { text, start: position(said.start_s), end: position(said.end_s), confidence };
            listener.hear(CALLER, utterance);
        }
        listener.run(&mut observations);
    }
    observations
}

/// The lexicons that come with the program.
fn lexicons() -> Result<Vec<Lexicon>, LexiconError> {
    let shipped =
        [("zh", include_str!("../../config/lexicons/zh.toml")), ("en", include_str!("../../config/lexicons/en.toml"))];
    shipped.iter().map(|(name, text)| Lexicon::parse(name, text)).collect()
}

fn position(seconds: f64) -> u64 {
    (seconds * 8_000.0) as u64
}
