//! What a streaming model makes of recordings, and how fast: one line of JSON per recording, one about all of them.
//!
//! `streaming MODEL_FOLDER greedy|beam WORKERS STREAMS RECORDING...` (16 kHz WAV): so many workers, each with a model
//! and so many calls at a time. `nlu/train/streaming/compare.py` lays it beside sherpa-onnx.

use std::path::Path;
use std::time::Instant;

use nlu::Runtime;
use nlu::recognition::streaming::{
    EndpointRules, ModelFile, Search, Stream, StreamingFiles, StreamingModel, StreamingOptions,
};

/// Silence after a recording, samples at 16 kHz.
const AFTER: usize = 10_560;
const RATE_HZ: f64 = 16_000.0;
/// sherpa-onnx's `max_active_paths`.
const PATHS: usize = 4;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A recording that is being decoded.
struct Call {
    recording: usize,
    stream: Stream,
    utterances: Vec<serde_json::Value>,
}

struct Work<'a> {
    model: StreamingModel,
    streams: usize,
    recordings: &'a [(String, Vec<f32>)],
}

#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "what was heard, and how fast, is its purpose")]
fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, search, workers, streams, recordings @ ..] = arguments.as_slice() else {
        return Err("streaming MODEL_FOLDER greedy|beam WORKERS STREAMS RECORDING...".into());
    };
    let search = if search == "beam" { Search::Beam(PATHS) } else { Search::Greedy };
    let (workers, streams): (usize, usize) = (workers.parse()?, streams.parse()?);
    let recordings: Vec<(String, Vec<f32>)> = recordings
        .iter()
        .map(|path| {
            Ok((path.clone(), hound::WavReader::open(path)?.samples::<i16>().map(scaled).collect::<Result<_, _>>()?))
        })
        .collect::<Result<_, Failure>>()?;
    let shares: Vec<Vec<(String, Vec<f32>)>> =
        (0..workers).map(|worker| recordings.iter().skip(worker).step_by(workers).cloned().collect()).collect();
    let runtime = Runtime::find(None)?;
    let works: Vec<Work<'_>> = shares
        .iter()
        .map(|recordings| Ok(Work { model: load(&runtime, folder, search)?, streams, recordings }))
        .collect::<Result<_, Failure>>()?;
    let began = (Instant::now(), cpu_s());
    let lines: Vec<serde_json::Value> = std::thread::scope(|scope| {
        let workers: Vec<_> = works.into_iter().map(|work| scope.spawn(move || work.run())).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker that ends")).collect::<Result<Vec<_>, _>>()
    })?
    .concat();
    let (wall_s, cpu_s) = (began.0.elapsed().as_secs_f64(), cpu_s() - began.1);
    let audio_s: f64 = recordings.iter().map(|(_, samples)| samples.len() as f64 / RATE_HZ).sum();
    lines.iter().for_each(|line| println!("{line}"));
    println!("{}", serde_json::json!({ "wall_s": wall_s, "cpu_s": cpu_s, "audio_s": audio_s }));
    Ok(())
}

impl Work<'_> {
    /// Decodes all recordings, so many at a time; what is ready goes together.
    fn run(mut self) -> Result<Vec<serde_json::Value>, Failure> {
        let mut calls: Vec<Call> = Vec::new();
        let mut lines = Vec::new();
        let mut next = 0;
        loop {
            while calls.len() < self.streams && next < self.recordings.len() {
                let mut stream = self.model.stream(0);
                stream.push_wide(&self.recordings[next].1);
                stream.push_wide(&[0.0; AFTER]);
                stream.finish();
                calls.push(Call { recording: next, stream, utterances: Vec::new() });
                next += 1;
            }
            if calls.is_empty() {
                return Ok(lines);
            }
            let mut ready: Vec<&mut Stream> = calls.iter_mut().map(|call| &mut call.stream).collect();
            ready.retain(|stream| self.model.is_ready(stream));
            self.model.decode(&mut ready)?;
            for call in &mut calls {
                let (frames, silent) = call.stream.frames();
                if EndpointRules::default().is_end(frames, silent) {
                    call.end(&self.model);
                }
            }
            for mut call in std::mem::take(&mut calls) {
                if self.model.is_ready(&call.stream) {
                    calls.push(call);
                    continue;
                }
                call.end(&self.model);
                let (file, _) = &self.recordings[call.recording];
                lines.push(serde_json::json!({ "file": file, "utterances": call.utterances }));
            }
        }
    }
}

impl Call {
    fn end(&mut self, model: &StreamingModel) {
        let tokens = self.stream.tokens();
        if !tokens.is_empty() {
            let text = model.tokens().text(tokens.iter().map(|&(token, _)| token));
            let times: Vec<u64> = tokens.iter().map(|&(_, frame)| frame).collect();
            self.utterances.push(serde_json::json!({ "text": text, "frames": times }));
        }
        model.next_utterance(&mut self.stream);
    }
}

#[expect(clippy::disallowed_methods, reason = "an example reads its own files")]
fn load(runtime: &Runtime, folder: &str, search: Search) -> Result<StreamingModel, Failure> {
    let read = |name: &str| std::fs::read(Path::new(folder).join(name));
    let is_ctc = Path::new(folder).join("model.onnx").is_file();
    let encoder = read(if is_ctc { "model.onnx" } else { "encoder.onnx" })?;
    let tokens = read("tokens.txt")?;
    // Those of a transducer, or the one of a Paraformer.
    let names: Vec<&str> =
        ["decoder.onnx", "joiner.onnx"].into_iter().filter(|name| Path::new(folder).join(name).is_file()).collect();
    let contents: Vec<Vec<u8>> = names.iter().map(|name| read(name)).collect::<Result<_, _>>()?;
    let others: Vec<ModelFile<'_>> =
        names.iter().zip(&contents).map(|(name, bytes)| ModelFile { name, bytes }).collect();
    let files = StreamingFiles {
        encoder: ModelFile { name: "encoder", bytes: &encoder },
        others: &others,
        tokens: ModelFile { name: "tokens.txt", bytes: &tokens },
        pieces: None,
    };
    Ok(StreamingModel::new(runtime, &files, &StreamingOptions { search, ..StreamingOptions::default() })?)
}

fn scaled(sample: Result<i16, hound::Error>) -> Result<f32, hound::Error> {
    sample.map(|sample| f32::from(sample) / 32_768.0)
}

/// Processor time of this process so far.
#[expect(clippy::disallowed_methods, reason = "an example reads its own figures")]
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap_or_default().split(' ').filter_map(|f| f.parse().ok()).collect();
    // utime and stime, in ticks of 10 ms; the state before them is no number.
    fields.get(10..12).map_or(0.0, |ticks| ticks.iter().sum::<f64>() / 100.0)
}
