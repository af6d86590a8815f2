//! `calmline eval asr`: what a recogniser hears of recordings whose words are known.
//!
//! Every recording is played as a call would be, in packets of 20 ms, as fast as it goes or, as calls at the same time
//! (`together`), in real time; how hits are counted is in `tally`.

mod tally;
mod together;

use std::path::Path;
use std::time::{Duration, Instant};

use media::wav;
use nlu::PartyId;
use nlu::recognition::{EngineKind, Language, Recognizer, Transcript};
use serde::Deserialize;

use super::{cpu_s, progress, recording};
use crate::cli::{EvalAsrArgs, Failure, print_line, spoken};
use crate::models::EngineName;
use crate::recognizer::{Dictation, Engine, RecognizerFiles};
use crate::signed::Trust;
use tally::{Heard, Tally};

/// The largest data set, recordings.
const ROWS_MAX: usize = 100_000;
/// Samples of one packet.
const PACKET: usize = 160;
/// Silence after a recording, as a caller who has spoken waits: samples (0.6 s).
const AFTER: usize = 4_800;
const PARTY: PartyId = PartyId(1);

/// One row of a manifest; further columns are passed over.
#[derive(Debug, Deserialize)]
struct Row {
    file: String,
    /// What is said; empty when that is not known.
    #[serde(default)]
    text: String,
}

/// Runs `calmline eval asr`.
///
/// # Errors
/// When there is no recogniser, or the manifest or a recording cannot be read.
pub fn run(args: &EvalAsrArgs) -> Result<(), Failure> {
    let language = spoken(&args.language)?;
    let files = RecognizerFiles::read(&args.models.models, &args.phrases, &engine(args)?, &Trust::anybody());
    let files = files.map_err(Failure::Failed)?;
    let mut recognizer = files.load().map_err(Failure::Failed)?;
    let manifest = if args.data.is_dir() { args.data.join("manifest.csv") } else { args.data.clone() };
    let rows = read_rows(&manifest)?;
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let mut tally = Tally::new(&files.phrases(language), args.engine == EngineName::SherpaOnnx.name());
    let mut done = 0;
    let mut take = |row: &Row, heard: &Heard| {
        done += 1;
        tally.add(&row.text, heard);
        progress(done, rows.len());
        if args.each { print_heard(row, heard) } else { Ok(()) }
    };
    let load = |row: &Row| recording::read(&folder.join(&row.file), wav::RATE_HZ);
    let began_cpu_s = cpu_s();
    if args.calls > 1 {
        let ended = |row: usize, heard: &Heard| take(&rows[row], heard);
        together::play(recognizer.as_mut(), language, args.calls.into(), &rows, load, ended)?;
    } else {
        for row in &rows {
            let heard = play(recognizer.as_mut(), language, &load(row)?);
            take(row, &heard)?;
        }
    }
    tally.report(&recognizer.name(), &args.data, cpu_s() - began_cpu_s, args.json)
}

fn print_heard(row: &Row, heard: &Heard) -> Result<(), Failure> {
    let phrases: Vec<String> = heard.phrases().map(|p| format!("{} ({:.2})", p.text, p.confidence)).collect();
    print_line(format_args!("{}\t{}\t{}\t{}", row.file, row.text, heard.dictated(), phrases.join(" | ")))
}

fn engine(args: &EvalAsrArgs) -> Result<Engine, Failure> {
    match args.engine.as_str() {
        name if name == EngineName::Pocketsphinx.name() => Ok(Engine::Phrases { library: args.library.clone() }),
        name if name == EngineName::SherpaOnnx.name() => {
            Ok(Engine::Dictation(Dictation { threads: args.threads.into(), ..Dictation::default() }))
        }
        name if name == EngineKind::BuiltIn.name() => Ok(Engine::BuiltIn { runtime: None }),
        other => {
            let expected = "built-in, pocketsphinx or sherpa-onnx";
            Err(Failure::Failed(format!("--engine: expected {expected}, found {other}")))
        }
    }
}

fn read_rows(manifest: &Path) -> Result<Vec<Row>, Failure> {
    let named = |error: csv::Error| Failure::of(manifest.display(), error);
    let mut reader = csv::Reader::from_path(manifest).map_err(named)?;
    let rows: Vec<Row> = reader.deserialize().take(ROWS_MAX).collect::<Result<_, _>>().map_err(named)?;
    match rows.is_empty() {
        true => Err(Failure::Failed(format!("{}: no recordings in it", manifest.display()))),
        false => Ok(rows),
    }
}

/// Plays one recording to the recogniser, as fast as it goes.
fn play(recognizer: &mut dyn Recognizer, language: Language, samples: &[f32]) -> Heard {
    let mut heard = Heard { samples: samples.len() as u64, ..Heard::default() };
    recognizer.open(PARTY, language);
    let silence = vec![0.0; AFTER];
    let mut position = 0;
    let mut take = |out: Vec<Transcript>, position: u64, took: Duration| {
        let late = |end: u64| of_samples(position.saturating_sub(end)) + took;
        out.into_iter().for_each(|transcript| heard.take(transcript, late, took));
    };
    for packet in samples.chunks(PACKET).chain(silence.chunks(PACKET)) {
        position += packet.len() as u64;
        recognizer.push(PARTY, packet);
        let began = Instant::now();
        let mut out = Vec::new();
        recognizer.run(&mut out);
        take(out, position, began.elapsed());
    }
    let mut out = Vec::new();
    recognizer.close(PARTY, &mut out);
    take(out, position, Duration::ZERO);
    heard
}

/// How long so many samples last.
fn of_samples(samples: u64) -> Duration {
    Duration::from_secs_f64(samples as f64 / f64::from(wav::RATE_HZ))
}

impl Heard {
    /// Takes a transcript that took so long to compute; `late` says how long ago the audio at a position was there.
    fn take(&mut self, transcript: Transcript, late: impl Fn(u64) -> Duration, took: Duration) {
        let phrase = transcript.phrases.last().map(|phrase| phrase.end);
        let word = transcript.words.last().filter(|_| transcript.text.is_some()).map(|word| word.end);
        if let Some(end) = word.or(phrase) {
            let latencies = if transcript.is_final { &mut self.finals } else { &mut self.partials };
            latencies.push(late(end));
        }
        if transcript.is_final {
            self.computing.push(took);
            self.transcripts.push(transcript);
        }
    }
}
