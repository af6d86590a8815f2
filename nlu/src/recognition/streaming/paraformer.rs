//! A streaming Paraformer (Gao et al. 2022, arXiv:2206.08317; FunASR's "online" models): an encoder that hears 0.6 s beside
//! what came before and what comes next, a predictor that tells how many tokens it holds, and a decoder that writes all of
//! them at once.
//!
//! The encoder remembers nothing: what it heard last is given to it again. Its steps overlap, and of each only those count
//! that have others on both sides.

use std::collections::BTreeMap;

use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, TensorRef};

use super::cif::{Fired, Integrator};
use super::layout::{BANDS, Fields, Layout, Order, StateShape, outlet};
use super::low_rate::{LowRate, SHIFT, SIZE, WIDTH};
use super::model::Stream;
use super::states::{Row, Stack, gathered};
use super::tokens::Tokens;
use super::transducer::log_sum_exp;
use crate::model::{ModelError, expect};

/// Frames of one window, and by how many of them it goes on: ten steps.
const WINDOW: usize = 61;
const STEPS: usize = (WINDOW - SIZE) / SHIFT + 1;
/// Steps before those of a window that are heard again: some that counted already, and behind them some that did not, as what
/// came next was not known.
const LEFT: usize = 5;
const RIGHT: usize = 3;
const BEFORE: usize = LEFT + RIGHT;
/// Steps of one run of the encoder.
const HEARD: usize = BEFORE + STEPS;
/// The number of the token that stands for nothing.
const BLANK: i64 = 0;
/// The most blocks of a decoder.
const BLOCKS_MAX: usize = 64;

/// The two graphs, with what they say of themselves.
#[derive(Debug)]
pub(super) struct Paraformer {
    encoder: Session,
    decoder: Session,
    /// The decoder's outputs.
    outputs: Vec<String>,
    low: LowRate,
    /// Numbers of one step of the encoder.
    width: usize,
    vocabulary: usize,
    /// What lengths are given to the decoder as.
    lengths: [Lengths; 2],
}

/// How a graph takes lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lengths {
    Short,
    Long,
}

/// What a call remembers beside the states of the decoder.
#[derive(Debug, Clone, Default)]
pub(super) struct Carried {
    /// The last steps that the encoder was given; none before the first.
    steps: Vec<f32>,
    /// What is not a token yet.
    integrator: Integrator,
}

impl Carried {
    /// Begins the next utterance, as in sherpa-onnx: what was heard last is heard again, what was no token yet is lost.
    pub(super) fn next_utterance(&mut self) {
        self.integrator = Integrator::default();
    }
}

/// What one run of the encoder made of one call.
struct Heard {
    /// Its row in the run.
    row: usize,
    carried: Carried,
    fired: Fired,
}

/// What the decoder wrote for one call: tokens, each with its confidence, and what it remembers.
struct Written {
    tokens: Vec<(usize, f32)>,
    state: Row,
}

/// The layout that the metadata of the encoder in `file` tells.
///
/// # Errors
/// What is missing or not as it should be.
pub(super) fn layout(file: &str, metadata: &BTreeMap<String, String>) -> Result<Layout, ModelError> {
    let fields = Fields { file, metadata };
    if let Some(other) = metadata.get("model_type").filter(|kind| !kind.to_lowercase().contains("paraformer")) {
        return Err(fields.wrong("model_type: paraformer, as there is a decoder without a joiner", other));
    }
    for (key, expected) in [("lfr_window_size", SIZE), ("lfr_window_shift", SHIFT)] {
        let found = fields.number(key)?;
        if found != expected {
            return Err(fields.wrong(&format!("{key}: {expected}"), &found.to_string()));
        }
    }
    let (width, kernel) = (fields.number("encoder_output_size")?, fields.number("decoder_kernel_size")?);
    let blocks = fields.number("decoder_num_blocks")?;
    if blocks > BLOCKS_MAX || kernel < 2 {
        let expected = format!("decoder_num_blocks up to {BLOCKS_MAX}, decoder_kernel_size from 2 on");
        return Err(fields.wrong(&expected, &format!("{blocks} and {kernel}")));
    }
    let states = vec![StateShape::new(&[1, width, kernel - 1], 0); blocks];
    fields.check_size(&states)?;
    Ok(Layout {
        window: WINDOW,
        shift: STEPS * SHIFT,
        step: SHIFT,
        states,
        order: Order::Plain,
        lone: false,
        takes_rest: true,
    })
}

impl Paraformer {
    /// Checks the two graphs against each other, the metadata and the tokens.
    ///
    /// # Errors
    /// What does not fit.
    pub(super) fn new(
        layout: &Layout,
        metadata: &BTreeMap<String, String>,
        (file, encoder): (&str, Session),
        (decoder_file, decoder): (&str, Session),
        (tokens_file, tokens): (&str, &Tokens),
    ) -> Result<Self, ModelError> {
        let fields = Fields { file, metadata };
        let width = fields.number("encoder_output_size")?;
        let vocabulary = fields.number("vocab_size")?;
        if vocabulary > tokens.count() {
            let expected = format!("vocab_size: at most {}, as {tokens_file} has", tokens.count());
            return Err(fields.wrong(&expected, &vocabulary.to_string()));
        }
        let shift = fields.reals("neg_mean", WIDTH)?;
        let loudness = (width as f32).sqrt();
        let scale = fields.reals("inv_stddev", WIDTH)?.into_iter().map(|scale| scale * loudness).collect();
        check_encoder(file, &encoder, width)?;
        let lengths = check_decoder(decoder_file, &decoder, layout, width, vocabulary)?;
        let outputs = decoder.outputs().iter().map(|outlet| outlet.name().to_owned()).collect();
        Ok(Self { encoder, decoder, outputs, low: LowRate::new(shift, scale), width, vocabulary, lengths })
    }

    /// Goes on by one window of each of `streams`: one run of the encoder, and one of the decoder for those in which as many
    /// tokens came.
    ///
    /// # Errors
    /// What ONNX Runtime says; the streams stay as they were.
    pub(super) fn run(&mut self, layout: &Layout, streams: &mut [&mut Stream]) -> Result<(), ort::Error> {
        let steps: Vec<Vec<f32>> = streams.iter().map(|stream| self.steps(layout, stream)).collect();
        let (sounds, heard) = self.listen(streams, &steps)?;
        let mut written: Vec<Option<Written>> = streams.iter().map(|_| None).collect();
        let mut counts: BTreeMap<usize, Vec<&Heard>> = BTreeMap::new();
        for call in heard.iter().filter(|call| !call.fired.steps.is_empty()) {
            counts.entry(call.fired.steps.len()).or_default().push(call);
        }
        for (count, calls) in counts {
            let states: Vec<&Row> = calls.iter().map(|call| &streams[call.row].state).collect();
            let states = gathered(&layout.states, &states)?;
            for (call, each) in calls.iter().zip(self.write(layout, &sounds, &calls, count, &states)?) {
                written[call.row] = Some(each);
            }
        }
        for (heard, written) in heard.into_iter().zip(written) {
            let stream = &mut *streams[heard.row];
            go_on(layout, stream, heard, written);
        }
        Ok(())
    }

    /// What the encoder is given of a call: what it heard last, and the next window.
    fn steps(&self, layout: &Layout, stream: &Stream) -> Vec<f32> {
        let mut frames = stream.frames.window(layout).to_vec();
        frames.resize(WINDOW * BANDS, 0.0);
        let mut steps = stream.carried.steps.clone();
        steps.resize(BEFORE * WIDTH, 0.0);
        self.low.steps(&frames, stream.decoded / SHIFT as u64, &mut steps);
        steps
    }

    /// One run of the encoder: `width` numbers of each step of each call, and the tokens in them.
    fn listen(&mut self, streams: &[&mut Stream], steps: &[Vec<f32>]) -> Result<(Vec<f32>, Vec<Heard>), ort::Error> {
        let count = streams.len();
        let numbers = steps.concat();
        let speech = TensorRef::from_array_view(([count, HEARD, WIDTH], numbers.as_slice()))?;
        let lengths = vec![HEARD as i32; count];
        let lengths = TensorRef::from_array_view(([count], lengths.as_slice()))?;
        let outputs = self.encoder.run([SessionInputValue::from(speech), SessionInputValue::from(lengths)])?;
        let (_, sounds) = outputs[0].try_extract_tensor::<f32>()?;
        let (_, shares) = outputs[2].try_extract_tensor::<f32>()?;
        if sounds.len() != count * HEARD * self.width || shares.len() != count * HEARD {
            let found = format!("{} numbers and {} shares of {count} windows", sounds.len(), shares.len());
            return Err(ort::Error::new(found));
        }
        let each = sounds.chunks_exact(HEARD * self.width).zip(shares.chunks_exact(HEARD)).enumerate();
        let heard = each.map(|(row, (sounds, shares))| {
            let mut carried = streams[row].carried.clone();
            carried.steps = steps[row][STEPS * WIDTH..].to_vec();
            let (sounds, shares) = (&sounds[LEFT * self.width..], &shares[LEFT..HEARD - RIGHT]);
            let fired = carried.integrator.push(sounds, self.width, shares);
            Heard { row, carried, fired }
        });
        Ok((sounds.to_vec(), heard.collect()))
    }

    /// One run of the decoder for calls with `count` tokens each.
    fn write(
        &mut self,
        layout: &Layout,
        sounds: &[f32],
        calls: &[&Heard],
        count: usize,
        states: &Stack,
    ) -> Result<Vec<Written>, ort::Error> {
        let rows = calls.len();
        let size = HEARD * self.width;
        let heard: Vec<f32> =
            calls.iter().flat_map(|call| &sounds[call.row * size..(call.row + 1) * size]).copied().collect();
        let fired: Vec<f32> = calls.iter().flat_map(|call| &call.fired.sounds).copied().collect();
        let heard = TensorRef::from_array_view(([rows, HEARD, self.width], heard.as_slice()))?;
        let fired = TensorRef::from_array_view(([rows, count, self.width], fired.as_slice()))?;
        let mut inputs: Vec<SessionInputValue<'_>> = vec![
            heard.into(),
            self.lengths[0].tensor(HEARD, rows)?.into(),
            fired.into(),
            self.lengths[1].tensor(count, rows)?.into(),
        ];
        inputs.extend(states.tensors().iter().map(SessionInputValue::from));
        let mut outputs = self.decoder.run(inputs.as_slice())?;
        let mut values: Vec<DynValue> = self.outputs.iter().filter_map(|name| outputs.remove(name)).collect();
        drop(outputs);
        let (logits, chosen) = (values.remove(0), values.remove(0));
        let next = Stack::of(&layout.states, values, rows)?;
        let (_, logits) = logits.try_extract_tensor::<f32>()?;
        let (_, chosen) = chosen.try_extract_tensor::<i64>()?;
        if logits.len() != rows * count * self.vocabulary || chosen.len() != rows * count {
            let found = format!("{} logits and {} tokens for {rows} calls of {count}", logits.len(), chosen.len());
            return Err(ort::Error::new(found));
        }
        let sure = |(&token, logits): (&i64, &[f32])| match usize::try_from(token) {
            Ok(token) if token < logits.len() => (token, (logits[token] - log_sum_exp(logits)).exp().max(0.0)),
            _ => (BLANK as usize, 0.0),
        };
        let tokens: Vec<(usize, f32)> = chosen.iter().zip(logits.chunks_exact(self.vocabulary)).map(sure).collect();
        let written =
            |(row, tokens): (usize, &[(usize, f32)])| Written { tokens: tokens.to_vec(), state: next.row(row) };
        Ok(tokens.chunks_exact(count).enumerate().map(written).collect())
    }
}

impl Lengths {
    /// What a graph takes at `input`.
    fn of(input: Option<&Outlet>) -> Option<Self> {
        match input?.dtype().tensor_type()? {
            TensorElementType::Int32 => Some(Lengths::Short),
            TensorElementType::Int64 => Some(Lengths::Long),
            _ => None,
        }
    }

    /// The same length for so many calls.
    fn tensor(self, length: usize, rows: usize) -> Result<DynValue, ort::Error> {
        Ok(match self {
            Lengths::Short => Tensor::from_array(([rows], vec![length as i32; rows]))?.into_dyn(),
            Lengths::Long => Tensor::from_array(([rows], vec![length as i64; rows]))?.into_dyn(),
        })
    }
}

/// Adds to a call what was heard and written of its window.
fn go_on(layout: &Layout, stream: &mut Stream, heard: Heard, written: Option<Written>) {
    let first = stream.decoded / SHIFT as u64;
    // The first step that counts is one that was heard before: what came next was not known then.
    let place = |step: usize| (first + (LEFT + step) as u64).saturating_sub(BEFORE as u64);
    let path = stream.beam.only();
    let silent = path.silent;
    let tokens = written.iter().flat_map(|written| &written.tokens).zip(&heard.fired.steps);
    let mut has_spoken = false;
    for (&(token, confidence), &step) in tokens.filter(|((token, _), _)| *token != BLANK as usize) {
        path.emit(token, place(step), confidence);
        has_spoken = true;
    }
    // As in sherpa-onnx, silence is counted from the beginning of the last window with a token.
    path.silent = if has_spoken { 0 } else { silent } + STEPS as u64;
    if let Some(Written { state, .. }) = written {
        stream.state = state;
    }
    stream.carried = heard.carried;
    let waiting = stream.frames.window(layout).len() / BANDS;
    stream.go_on(if waiting < WINDOW { waiting } else { layout.shift });
}

fn check_encoder(file: &str, encoder: &Session, width: usize) -> Result<(), ModelError> {
    let (inputs, outputs) = (encoder.inputs(), encoder.outputs());
    let is_fit = matches!(inputs, [speech, lengths]
            if fits(speech, TensorElementType::Float32, &[HEARD, WIDTH]) && fits(lengths, TensorElementType::Int32, &[]))
        && matches!(outputs, [sounds, _, shares]
            if fits(sounds, TensorElementType::Float32, &[HEARD, width])
                && fits(shares, TensorElementType::Float32, &[HEARD]));
    if is_fit {
        return Ok(());
    }
    let expected = format!(
        "[N, {HEARD}, {WIDTH}] of Float32 and [N] of Int32 in; [N, {HEARD}, {width}] of Float32, lengths and [N, {HEARD}] of \
         Float32 out"
    );
    expect(file, "inputs and outputs", &expected, &format!("{} in; {} out", named(inputs), named(outputs)))
}

fn check_decoder(
    file: &str,
    decoder: &Session,
    layout: &Layout,
    width: usize,
    vocabulary: usize,
) -> Result<[Lengths; 2], ModelError> {
    let (inputs, outputs) = (decoder.inputs(), decoder.outputs());
    let states = layout.states.len();
    let are_states = |outlets: &[Outlet]| outlets.iter().zip(&layout.states).all(|(outlet, state)| state.fits(outlet));
    let is_fit = inputs.len() == 4 + states
        && outputs.len() == 2 + states
        && fits(&inputs[0], TensorElementType::Float32, &[HEARD, width])
        && fits(&inputs[2], TensorElementType::Float32, &[0, width])
        && fits(&outputs[0], TensorElementType::Float32, &[0, vocabulary])
        && fits(&outputs[1], TensorElementType::Int64, &[0])
        && are_states(&inputs[4..]);
    match (is_fit, Lengths::of(inputs.get(1)), Lengths::of(inputs.get(3))) {
        (true, Some(heard), Some(fired)) => Ok([heard, fired]),
        _ => {
            let state = layout.states[0].to_string();
            let expected = format!(
                "[N, {HEARD}, {width}], lengths, [N, tokens, {width}], lengths and {states} states {state} in; \
                 [N, tokens, {vocabulary}] of Float32, [N, tokens] of Int64 and the states out"
            );
            let found = format!("{} in; {} out", named(inputs), named(outputs));
            expect(file, "inputs and outputs", &expected, &found).map(|()| [Lengths::Short; 2])
        }
    }
}

/// Whether an outlet is of this type and of these sizes behind that of the batch, which is any; 0 is any, too.
fn fits(outlet: &Outlet, element: TensorElementType, sizes: &[usize]) -> bool {
    let Some(shape) = outlet.dtype().tensor_shape() else { return false };
    // Outputs of some exports are of unknown rank.
    let is_known = !shape.is_empty();
    let is_fit = |(&found, &size): (&i64, &usize)| found < 0 || size == 0 || found == size as i64;
    outlet.dtype().tensor_type() == Some(element)
        && (!is_known || (shape.len() == 1 + sizes.len() && shape[0] < 0 && shape[1..].iter().zip(sizes).all(is_fit)))
}

fn named(outlets: &[Outlet]) -> String {
    outlets.iter().map(outlet).collect::<Vec<_>>().join(", ")
}
