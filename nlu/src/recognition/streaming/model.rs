//! A streaming model: its graphs, checked against one another, and one run of them for many calls.

use std::collections::BTreeMap;

use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, TensorRef};

use super::beam::Beam;
use super::frames::Frames;
use super::greedy;
use super::hotwords::Hotwords;
use super::layout::{BANDS, FRAMES_PER_STEP, Layout};
use super::path::Path;
use super::states::{Row, Stack, gathered};
use super::tokens::Tokens;
use super::transducer::Transducer;
use crate::model::{ModelError, expect, open};
use crate::runtime::Runtime;

/// Calls of one run: beyond it a run only takes longer.
pub(super) const BATCH_MAX: usize = 64;

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
    /// `encoder.onnx` of a transducer, `model.onnx` of a CTC model.
    pub encoder: ModelFile<'a>,
    /// `decoder.onnx` and `joiner.onnx` of a transducer; without them it is a CTC model.
    pub transducer: Option<[ModelFile<'a>; 2]>,
    /// `tokens.txt`.
    pub tokens: ModelFile<'a>,
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

/// A loaded model.
#[derive(Debug)]
pub struct StreamingModel {
    encoder: Session,
    outputs: Vec<String>,
    layout: Layout,
    head: Head,
    tokens: Tokens,
    /// Numbers of one step of the encoder.
    width: usize,
    first: Row,
    hotwords: Hotwords,
    file: String,
}

/// What makes tokens of what the encoder hears.
#[derive(Debug)]
enum Head {
    Transducer { graphs: Box<Transducer>, search: Search },
    Ctc { blank: usize, vocabulary: usize },
}

/// One call's audio and what has been understood of it.
#[derive(Debug)]
pub struct Stream {
    frames: Frames,
    state: Row,
    beam: Beam,
    /// Frame that the utterance begins at.
    begins: u64,
    /// Frames of it that were decoded.
    decoded: u64,
}

impl StreamingModel {
    /// Loads and checks a model. One thread computes a run; more models compute more runs at a time.
    ///
    /// # Errors
    /// A file that is truncated, garbage, of another kind or of another model, by its name.
    pub fn new(runtime: &Runtime, files: &StreamingFiles<'_>, search: Search) -> Result<Self, ModelError> {
        let tokens = Tokens::read(files.tokens.name, files.tokens.bytes)?;
        let load = |file: &ModelFile<'_>| open(runtime, file.name, file.bytes);
        let encoder = load(&files.encoder)?;
        let file = files.encoder.name;
        let layout = Layout::of(file, &metadata(&encoder))?;
        layout.check(file, encoder.inputs())?;
        let outputs: Vec<String> = encoder.outputs().iter().map(|outlet| outlet.name().to_owned()).collect();
        let states = 1 + layout.states.len();
        expect(file, "outputs", &states.to_string(), &outputs.len().to_string())?;
        let width = output_width(file, &encoder)?;
        let head = match files.transducer {
            None => ctc_head(file, width, files.tokens.name, &tokens)?,
            Some([predictor, joiner]) => {
                let graphs = [(predictor.name, load(&predictor)?), (joiner.name, load(&joiner)?)];
                let [predictor, joiner] = graphs;
                let graphs = Transducer::new(predictor, joiner, (files.tokens.name, &tokens), width)?;
                Head::Transducer { graphs: Box::new(graphs), search }
            }
        };
        let first = Row::first(&layout.states).map_err(|error| failed(file, 1, &error))?;
        let (hotwords, file) = (Hotwords::default(), file.to_owned());
        Ok(Self { encoder, outputs, layout, head, tokens, width, first, hotwords, file })
    }

    /// Prefers these phrases from now on, each by its own boost; beam search only. Those that the model's tokens cannot
    /// write are told back.
    pub fn prefer<'a>(&mut self, phrases: &[(&'a str, f32)]) -> Vec<&'a str> {
        let mut written = Vec::new();
        let mut unwritten = Vec::new();
        for &(phrase, boost) in phrases {
            match self.tokens.numbers(phrase) {
                Some(numbers) => written.push((numbers, boost)),
                None => unwritten.push(phrase),
            }
        }
        self.hotwords = Hotwords::new(&written);
        unwritten
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
        let first = start / super::frames::SAMPLES_PER_FRAME;
        let beam = Beam::new(self.first_path());
        Stream { frames: Frames::new(), state: self.first.clone(), beam, begins: first, decoded: 0 }
    }

    /// Whether enough audio of a call is there for a run.
    pub fn is_ready(&self, stream: &Stream) -> bool {
        stream.frames.is_ready(&self.layout)
    }

    /// Goes on by one chunk of each of `streams`, all of which are ready, in runs of up to 64.
    ///
    /// # Errors
    /// When ONNX Runtime fails or answers in another shape; the streams of that run stay as they were.
    pub fn decode(&mut self, streams: &mut [&mut Stream]) -> Result<(), ModelError> {
        streams
            .chunks_mut(BATCH_MAX)
            .try_for_each(|streams| self.run(streams).map_err(|error| failed(&self.file, streams.len(), &error)))
    }

    /// Begins the next utterance of a call, as sherpa-onnx does: a transducer's encoder remembers what it heard and a
    /// greedy search what it said last; a beam search and a CTC model begin afresh.
    pub fn next_utterance(&self, stream: &mut Stream) {
        let said = stream.beam.best();
        let goes_on = matches!(self.head, Head::Transducer { search: Search::Greedy, .. }) && !said.emitted.is_empty();
        let context = if goes_on { said.context.clone() } else { self.first_path().context };
        stream.beam = Beam::new(Path::new(context));
        stream.begins += stream.decoded;
        stream.decoded = 0;
        if let Head::Ctc { .. } = self.head {
            stream.state = self.first.clone();
        }
    }

    fn run(&mut self, streams: &mut [&mut Stream]) -> Result<(), ort::Error> {
        let count = streams.len();
        let windows: Vec<&[f32]> = streams.iter().map(|stream| stream.frames.window(&self.layout)).collect();
        let windows = windows.concat();
        let positions: Vec<i64> = streams.iter().map(|stream| stream.decoded as i64).collect();
        let rows: Vec<&Row> = streams.iter().map(|stream| &stream.state).collect();
        let states = gathered(&self.layout.states, &rows)?;
        let windows = TensorRef::from_array_view(([count, self.layout.window, BANDS], windows.as_slice()))?;
        let positions = TensorRef::from_array_view(([count], positions.as_slice()))?;
        let mut inputs: Vec<SessionInputValue<'_>> = vec![windows.into()];
        inputs.extend(states.tensors().iter().map(SessionInputValue::from));
        if self.layout.takes_position {
            inputs.push(positions.into());
        }
        let mut outputs = self.encoder.run(inputs.as_slice())?;
        let mut values: Vec<DynValue> = self.outputs.iter().filter_map(|name| outputs.remove(name)).collect();
        drop(outputs);
        let heard = values.remove(0);
        let next = Stack::of(&self.layout.states, values, count)?;
        let (shape, heard) = heard.try_extract_tensor::<f32>()?;
        let steps = self.layout.shift / FRAMES_PER_STEP as usize;
        if **shape != [count as i64, steps as i64, self.width as i64] {
            return Err(ort::Error::new(format!("an answer of shape {shape:?} to {count} chunks")));
        }
        let first: Vec<u64> = streams.iter().map(|stream| stream.decoded / FRAMES_PER_STEP).collect();
        match &mut self.head {
            Head::Ctc { blank, vocabulary } => {
                for (call, heard) in heard.chunks_exact(steps * *vocabulary).enumerate() {
                    greedy::ctc(heard, *vocabulary, *blank, first[call], streams[call].beam.only());
                }
            }
            Head::Transducer { graphs, search: Search::Greedy } => {
                let mut paths: Vec<&mut Path> = streams.iter_mut().map(|stream| stream.beam.only()).collect();
                greedy::transducer(graphs, heard, steps, &first, &mut paths)?;
            }
            Head::Transducer { graphs, search: Search::Beam(width) } => {
                let mut beams: Vec<&mut Beam> = streams.iter_mut().map(|stream| &mut stream.beam).collect();
                super::beam::transducer(graphs, &self.hotwords, *width, heard, steps, &first, &mut beams)?;
            }
        }
        for (row, stream) in streams.iter_mut().enumerate() {
            stream.state = next.row(row);
            stream.frames.go_on(self.layout.shift);
            stream.decoded += self.layout.shift as u64;
        }
        Ok(())
    }

    /// Nothing said yet.
    fn first_path(&self) -> Path {
        Path::new(match &self.head {
            Head::Transducer { graphs, .. } => graphs.first_context(),
            Head::Ctc { .. } => Vec::new(),
        })
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
        emitted.iter().map(|each| (each.token, each.step * FRAMES_PER_STEP)).collect()
    }

    /// Frames of 10 ms of this utterance that were decoded, and how many at its end said nothing.
    pub fn frames(&self) -> (u64, u64) {
        (self.decoded, self.beam.best().silent * FRAMES_PER_STEP)
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

/// Numbers of one step of the encoder.
fn output_width(file: &str, encoder: &Session) -> Result<usize, ModelError> {
    let outlet = encoder.outputs().first();
    let shape = outlet.and_then(|outlet| outlet.dtype().tensor_shape().map(|shape| shape.to_vec()));
    match shape.as_deref() {
        Some(&[_, _, width]) if width > 0 => Ok(width as usize),
        other => expect(file, "output", "[N, steps, width]", &format!("{other:?}")).map(|()| 0),
    }
}

fn ctc_head(file: &str, vocabulary: usize, tokens_file: &str, tokens: &Tokens) -> Result<Head, ModelError> {
    let wrong = |file: &str, what, expected: String, found: String| ModelError::Mismatch {
        file: file.to_owned(),
        what,
        expected,
        found,
    };
    if vocabulary > tokens.count() {
        let expected = format!("at most {} tokens, as {tokens_file} has", tokens.count());
        return Err(wrong(file, "output", expected, vocabulary.to_string()));
    }
    let blank = tokens.blank().filter(|&blank| blank < vocabulary);
    let blank = blank.ok_or_else(|| wrong(tokens_file, "tokens", "<blk>, <eps> or <blank>".into(), "none".into()))?;
    Ok(Head::Ctc { blank, vocabulary })
}
