//! What a recogniser of phrases hears in recordings, one line for each: path, seconds, phrases with how sure it is.
//!
//! `heard LANGUAGE PHRASES.toml built-in < paths` or `heard LANGUAGE PHRASES.toml MODEL_FOLDER DICTIONARY < paths`
//! (pocketsphinx); WAV of 8 kHz, a call of its own each. `nlu/train/words/beside.py` lays them beside each other.

mod recording;

use std::io::BufRead;
use std::path::{Path, PathBuf};

use nlu::recognition::built_in::BuiltInRecognizer;
use nlu::recognition::{Language, ModelFolder, PhraseList, PhraseSpotter, Recognizer};
use nlu::{PartyId, Runtime};

const RATE_HZ: f32 = 8_000.0;
/// Samples of a packet.
const PACKET: usize = 160;
/// Silence after a recording, samples.
const AFTER: usize = 4_800;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "what was heard in files is its purpose")]
fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [code, list, engine @ ..] = arguments.as_slice() else {
        return Err("heard LANGUAGE PHRASES.toml built-in|MODEL_FOLDER DICTIONARY < paths".into());
    };
    let language = Language::of_code(code).ok_or("LANGUAGE: zh or en")?;
    let list = PhraseList::from_toml(&std::fs::read_to_string(list)?)?;
    let mut recognizer: Box<dyn Recognizer> = match engine {
        [folder, dictionary] => {
            let model = ModelFolder {
                language,
                acoustic: PathBuf::from(folder),
                parameters: std::fs::read(Path::new(folder).join("feat.params"))?,
                dictionary: std::fs::read(dictionary)?,
            };
            Box::new(PhraseSpotter::new(None, &[model], &[list])?)
        }
        _ => Box::new(BuiltInRecognizer::new(&Runtime::find(None)?, &[list])?),
    };
    for path in std::io::stdin().lock().lines() {
        let path = path?;
        let samples = recording::read(&path)?;
        let phrases = heard(recognizer.as_mut(), language, &samples);
        println!("{path}\t{:.2}\t{}", samples.len() as f32 / RATE_HZ, phrases.join(" | "));
    }
    Ok(())
}

/// The phrases of the final transcripts of one call.
fn heard(recognizer: &mut dyn Recognizer, language: Language, samples: &[f32]) -> Vec<String> {
    let party = PartyId(1);
    let mut out = Vec::new();
    recognizer.open(party, language);
    recognizer.spare(true);
    let silence = vec![0.0; AFTER];
    for packet in samples.chunks(PACKET).chain(silence.chunks(PACKET)) {
        recognizer.push(party, packet);
        recognizer.run(&mut out);
    }
    recognizer.close(party, &mut out);
    let phrases = out.iter().flat_map(|transcript| &transcript.phrases);
    phrases.map(|phrase| format!("{} {:.3}", phrase.text, phrase.confidence)).collect()
}
