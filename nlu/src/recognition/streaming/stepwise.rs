//! Graphs that go on step by step: the encoder of a transducer or CTC model, which remembers what it heard, and what makes
//! tokens of its steps.

use ort::session::Session;
use ort::value::DynValue;

use super::beam::{self, Beam};
use super::given::Given;
use super::greedy;
use super::hotwords::Hotwords;
use super::layout::{Layout, Order};
use super::model::{Search, Stream};
use super::path::Path;
use super::states::{Row, Stack, gathered};
use super::tokens::Tokens;
use super::transducer::Transducer;
use crate::model::{ModelError, expect};

/// The encoder, and what makes tokens of what it hears.
#[derive(Debug)]
pub(super) struct Stepwise {
    encoder: Session,
    outputs: Vec<String>,
    /// Numbers of one step of the encoder.
    width: usize,
    head: Head,
}

/// What makes tokens of what the encoder hears.
#[derive(Debug)]
enum Head {
    Transducer { graphs: Box<Transducer>, search: Search },
    Ctc { blank: usize },
}

impl Stepwise {
    /// The encoder in `file`, with decoder and joiner of a transducer or without them, checked against one another.
    ///
    /// # Errors
    /// What does not fit.
    pub(super) fn new(
        layout: &Layout,
        (file, encoder): (&str, Session),
        transducer: Option<[(&str, Session); 2]>,
        tokens: (&str, &Tokens),
        search: Search,
    ) -> Result<Self, ModelError> {
        let outputs: Vec<String> = encoder.outputs().iter().map(|outlet| outlet.name().to_owned()).collect();
        let expected = 1 + layout.states.len() + usize::from(layout.order == Order::Bands);
        expect(file, "outputs", &expected.to_string(), &outputs.len().to_string())?;
        let width = output_width(file, &encoder)?;
        let head = match transducer {
            None => ctc_head(file, width, tokens)?,
            Some([predictor, joiner]) => {
                let graphs = Transducer::new(predictor, joiner, tokens, width)?;
                Head::Transducer { graphs: Box::new(graphs), search }
            }
        };
        Ok(Self { encoder, outputs, width, head })
    }

    /// Goes on by one chunk of each of `streams`, in one run.
    ///
    /// # Errors
    /// What ONNX Runtime says; the streams stay as they were.
    pub(super) fn run(
        &mut self,
        layout: &Layout,
        hotwords: &Hotwords,
        streams: &mut [&mut Stream],
    ) -> Result<(), ort::Error> {
        let count = streams.len();
        let rows: Vec<&Row> = streams.iter().map(|stream| &stream.state).collect();
        let states = gathered(&layout.states, &rows)?;
        let given = Given::of(layout, streams);
        let inputs = given.inputs(layout, &states)?;
        let mut outputs = self.encoder.run(inputs.as_slice())?;
        let mut values: Vec<DynValue> = self.outputs.iter().filter_map(|name| outputs.remove(name)).collect();
        drop(outputs);
        let heard = values.remove(0);
        if layout.order == Order::Bands {
            // How many steps there are, which the shape tells.
            drop(values.remove(0));
        }
        let next = Stack::of(&layout.states, values, count)?;
        let (shape, heard) = heard.try_extract_tensor::<f32>()?;
        let steps = layout.shift / layout.step;
        if **shape != [count as i64, steps as i64, self.width as i64] {
            return Err(ort::Error::new(format!("an answer of shape {shape:?} to {count} chunks")));
        }
        self.search(layout, hotwords, heard, steps, streams)?;
        for (row, stream) in streams.iter_mut().enumerate() {
            stream.state = next.row(row);
            stream.go_on(layout.shift);
        }
        Ok(())
    }

    /// Makes tokens of `steps` steps of each call.
    fn search(
        &mut self,
        layout: &Layout,
        hotwords: &Hotwords,
        heard: &[f32],
        steps: usize,
        streams: &mut [&mut Stream],
    ) -> Result<(), ort::Error> {
        let first: Vec<u64> = streams.iter().map(|stream| stream.decoded / layout.step as u64).collect();
        match &mut self.head {
            Head::Ctc { blank } => {
                for (call, heard) in heard.chunks_exact(steps * self.width).enumerate() {
                    greedy::ctc(heard, self.width, *blank, first[call], streams[call].beam.only());
                }
                Ok(())
            }
            Head::Transducer { graphs, search: Search::Greedy } => {
                let mut paths: Vec<&mut Path> = streams.iter_mut().map(|stream| stream.beam.only()).collect();
                greedy::transducer(graphs, heard, steps, &first, &mut paths)
            }
            Head::Transducer { graphs, search: Search::Beam(width) } => {
                let mut beams: Vec<&mut Beam> = streams.iter_mut().map(|stream| &mut stream.beam).collect();
                beam::transducer(graphs, hotwords, *width, heard, steps, &first, &mut beams)
            }
        }
    }

    /// Nothing said yet.
    pub(super) fn first_path(&self) -> Path {
        Path::new(match &self.head {
            Head::Transducer { graphs, .. } => graphs.first_context(),
            Head::Ctc { .. } => Vec::new(),
        })
    }

    /// How the next utterance begins, as in sherpa-onnx: a greedy search of a transducer remembers what was said last; a
    /// beam search and a CTC model begin afresh.
    pub(super) fn next_path(&self, said: &Path) -> Path {
        let goes_on = matches!(self.head, Head::Transducer { search: Search::Greedy, .. }) && !said.emitted.is_empty();
        if goes_on { Path::new(said.context.clone()) } else { self.first_path() }
    }

    /// Whether the encoder remembers from one utterance to the next what it heard: that of a transducer does.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self.head, Head::Transducer { .. })
    }
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

fn ctc_head(file: &str, vocabulary: usize, (tokens_file, tokens): (&str, &Tokens)) -> Result<Head, ModelError> {
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
    Ok(Head::Ctc { blank })
}
