//! A streaming model: its graphs, checked against one another, and one run of them for many calls.

use std::collections::BTreeMap;

use ort::session::Session;

use super::beam::Beam;
use super::frames::{Frames, Front};
use super::hotwords::Hotwords;
use super::layout::Layout;
use super::paraformer::{self, Carried, Paraformer};
use super::path::Path;
use super::pieces::Pieces;
use super::states::Row;
use super::stepwise::Stepwise;
use super::tokens::Tokens;
use crate::device::Device;
use crate::model::{ModelError, open_on};
use crate::runtime::Runtime;

/// Calls of one run where nothing else is asked for: on a processor a larger run only takes longer.
pub const BATCH: usize = 64;

/// One file of a model: its name, for errors, and its content.
#[derive(Debug, Clone, Copy)]
pub struct ModelFile<'a> {
    /// The name.
    pub name: &'a str,
    /// The content.
    pub bytes: &'a [u8],
}

/// The files of a model, as sherpa-onnx publishes them.
#[derive(Debug, Clone, Copy)]
pub struct StreamingFiles<'a> {
    /// `encoder.onnx` of a transducer or Paraformer, `model.onnx` of a CTC model.
    pub encoder: ModelFile<'a>,
    /// `decoder.onnx` and `joiner.onnx` of a transducer, `decoder.onnx` alone of a Paraformer, none of a CTC model.
    pub others: &'a [ModelFile<'a>],
    /// `tokens.txt`.
    pub tokens: ModelFile<'a>,
    /// `bpe.model`, which cuts preferred phrases into tokens; without it they are cut into the longest ones.
    pub pieces: Option<ModelFile<'a>>,
}

/// How the likeliest tokens are searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// The likeliest at each step.
    #[default]
    Greedy,
    /// So many ways at a time, at most one token a step (k2's modified beam search); transducers only.
    Beam(usize),
}

/// How a model is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamingOptions {
    /// How the likeliest tokens are searched for.
    pub search: Search,
    /// What computes.
    pub device: Device,
    /// The most calls of one run, 1 at least.
    pub batch: usize,
}

impl Default for StreamingOptions {
    /// Greedy search by the processor.
    fn default() -> Self {
        Self { search: Search::Greedy, device: Device::Cpu, batch: BATCH }
    }
}

/// A loaded model.
#[derive(Debug)]
pub struct StreamingModel {
    graphs: Graphs,
    layout: Layout,
    tokens: Tokens,
    pieces: Option<Pieces>,
    first: Row,
    hotwords: Hotwords,
    batch: usize,
    file: String,
}

#[derive(Debug)]
enum Graphs {
    Stepwise(Box<Stepwise>),
    Paraformer(Box<Paraformer>),
}

/// One call's audio and what has been understood of it.
#[derive(Debug)]
pub struct Stream {
    pub(super) frames: Frames,
    pub(super) state: Row,
    pub(super) carried: Carried,
    pub(super) beam: Beam,
    /// Frame that the utterance begins at.
    begins: u64,
    /// Frames of it that were decoded.
    pub(super) decoded: u64,
    /// Frames of one step.
    step: u64,
}

impl StreamingModel {
    /// Loads and checks a model. One thread computes a run; more models compute more runs at a time.
    ///
    /// # Errors
    /// A file that is truncated, garbage, of another kind or of another model, by its name; a device that is not there.
    pub fn new(runtime: &Runtime, files: &StreamingFiles<'_>, options: &StreamingOptions) -> Result<Self, ModelError> {
        let mut tokens = Tokens::read(files.tokens.name, files.tokens.bytes)?;
        let pieces = files.pieces.map(|file| Pieces::read(file.name, file.bytes)).transpose()?;
        let load = |file: &ModelFile<'_>| open_on(runtime, file.name, file.bytes, options.device);
        let encoder = load(&files.encoder)?;
        let file = files.encoder.name;
        let told = metadata(&encoder);
        let (layout, graphs) = match files.others {
            [decoder] => {
                tokens.join_by_marks();
                let layout = paraformer::layout(file, &told)?;
                let (encoder, decoder) = ((file, encoder), (decoder.name, load(decoder)?));
                let graphs = Paraformer::new(&layout, &told, encoder, decoder, (files.tokens.name, &tokens))?;
                (layout, Graphs::Paraformer(Box::new(graphs)))
            }
            others => {
                let mut layout = Layout::of(file, &told)?;
                layout.check(file, encoder.inputs())?;
                let transducer = match others {
                    [predictor, joiner] => Some([(predictor.name, load(predictor)?), (joiner.name, load(joiner)?)]),
                    _ => None,
                };
                let tokens = (files.tokens.name, &tokens);
                let graphs = Stepwise::new(&layout, (file, encoder), transducer, tokens, options.search)?;
                (layout, Graphs::Stepwise(Box::new(graphs)))
            }
        };
        let first = Row::first(&layout.states).map_err(|error| failed(file, 1, &error))?;
        let batch = if layout.lone { 1 } else { options.batch.max(1) };
        let (hotwords, file) = (Hotwords::default(), file.to_owned());
        Ok(Self { graphs, layout, tokens, pieces, first, hotwords, batch, file })
    }

    /// Prefers these phrases from now on, each by its own boost; beam search only. Those that the model's tokens cannot
    /// write are told back.
    pub fn prefer<'a>(&mut self, phrases: &[(&'a str, f32)]) -> Vec<&'a str> {
        let mut written = Vec::new();
        let mut unwritten = Vec::new();
        for &(phrase, boost) in phrases {
            match self.numbers(phrase) {
                Some(numbers) => written.push((numbers, boost)),
                None => unwritten.push(phrase),
            }
        }
        self.hotwords = Hotwords::new(&written);
        unwritten
    }

    /// The tokens that a phrase is heard as; one that is not to be written as it stands, in large or small letters.
    fn numbers(&self, phrase: &str) -> Option<Vec<usize>> {
        let cut = |phrase: &str| match &self.pieces {
            Some(pieces) => pieces.numbers(&self.tokens, phrase),
            None => self.tokens.numbers(phrase),
        };
        cut(phrase).or_else(|| cut(&phrase.to_uppercase())).or_else(|| cut(&phrase.to_lowercase()))
    }

    /// What the tokens mean.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Samples at 8 kHz that one run goes on by.
    pub fn chunk(&self) -> u64 {
        self.layout.shift as u64 * super::frames::SAMPLES_PER_FRAME
    }

    /// A call at position `start` of its audio, samples at 8 kHz.
    pub fn stream(&self, start: u64) -> Stream {
        let (front, path) = match &self.graphs {
            Graphs::Stepwise(graphs) => (self.layout.front(), graphs.first_path()),
            Graphs::Paraformer(_) => (Front::FunAsr, Path::default()),
        };
        Stream {
            frames: Frames::new(front),
            state: self.first.clone(),
            carried: Carried::default(),
            beam: Beam::new(path),
            begins: start / super::frames::SAMPLES_PER_FRAME,
            decoded: 0,
            step: self.layout.step as u64,
        }
    }

    /// Whether enough audio of a call is there for a run.
    pub fn is_ready(&self, stream: &Stream) -> bool {
        stream.frames.is_ready(&self.layout)
    }

    /// Goes on by one chunk of each of `streams`, all of which are ready, in runs of as many as the options allow.
    ///
    /// # Errors
    /// When ONNX Runtime fails or answers in another shape; the streams of that run stay as they were.
    pub fn decode(&mut self, streams: &mut [&mut Stream]) -> Result<(), ModelError> {
        let Self { graphs, layout, hotwords, batch, file, .. } = self;
        streams.chunks_mut(*batch).try_for_each(|streams| {
            let run = match graphs {
                Graphs::Stepwise(graphs) => graphs.run(layout, hotwords, streams),
                Graphs::Paraformer(graphs) => graphs.run(layout, streams),
            };
            run.map_err(|error| failed(file, streams.len(), &error))
        })
    }

    /// Begins the next utterance of a call, as sherpa-onnx does: a transducer's encoder remembers what it heard and a
    /// greedy search what it said last; a beam search, a CTC model and a Paraformer's decoder begin afresh.
    pub fn next_utterance(&self, stream: &mut Stream) {
        let (path, goes_on) = match &self.graphs {
            Graphs::Stepwise(graphs) => (graphs.next_path(stream.beam.best()), graphs.goes_on()),
            Graphs::Paraformer(_) => (Path::default(), false),
        };
        stream.beam = Beam::new(path);
        stream.carried.next_utterance();
        stream.begins += stream.decoded;
        stream.decoded = 0;
        if !goes_on {
            stream.state = self.first.clone();
        }
    }

    /// Lets go of states that are kept only because others were computed with them.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub(super) fn settle(&self, stream: &mut Stream) -> Result<(), ModelError> {
        stream.state.settle(&self.layout.states).map_err(|error| failed(&self.file, 1, &error))
    }
}

impl Stream {
    /// Takes samples at 8 kHz, [-1, 1]. Ten minutes may wait; true when there was more and the oldest were lost.
    pub fn push(&mut self, samples: &[f32]) -> bool {
        let lost = self.frames.push(samples);
        self.lose(lost)
    }

    /// Takes samples at 16 kHz, [-1, 1], as `push` does those at 8 kHz.
    pub fn push_wide(&mut self, samples: &[f32]) -> bool {
        let lost = self.frames.push_wide(samples);
        self.lose(lost)
    }

    /// Positions go on behind frames that were lost.
    fn lose(&mut self, frames: usize) -> bool {
        self.begins += frames as u64;
        frames > 0
    }

    /// Tells that no more audio comes.
    pub fn finish(&mut self) {
        self.frames.finish();
    }

    /// The numbers of the tokens of this utterance so far, and where each came: frames of 10 ms since it began.
    pub fn tokens(&self) -> Vec<(usize, u64)> {
        let emitted = &self.beam.best().emitted;
        emitted.iter().map(|each| (each.token, each.step * self.step)).collect()
    }

    /// Frames of 10 ms of this utterance that were decoded, and how many at its end said nothing.
    pub fn frames(&self) -> (u64, u64) {
        (self.decoded, self.beam.best().silent * self.step)
    }

    /// Goes on by so many frames, which were decoded.
    pub(super) fn go_on(&mut self, frames: usize) {
        self.frames.go_on(frames);
        self.decoded += frames as u64;
    }

    /// Samples at 8 kHz of one step.
    pub(super) fn samples_per_step(&self) -> u64 {
        self.step * super::frames::SAMPLES_PER_FRAME
    }

    /// The likeliest way to understand it.
    pub(super) fn best(&self) -> &Path {
        self.beam.best()
    }

    /// The frame of the call's audio that the utterance begins at.
    pub(super) fn begins(&self) -> u64 {
        self.begins
    }
}

fn failed(file: &str, rows: usize, error: &ort::Error) -> ModelError {
    ModelError::Run { model: "streaming", rows, found: format!("{file}: {error}") }
}

fn metadata(session: &Session) -> BTreeMap<String, String> {
    let Ok(metadata) = session.metadata() else { return BTreeMap::new() };
    let keys = metadata.custom_keys().unwrap_or_default();
    keys.into_iter().filter_map(|key| metadata.custom(&key).map(|value| (key, value))).collect()
}
