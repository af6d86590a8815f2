//! What a streaming graph remembers between two chunks, and how many frames it takes, as its metadata tells.
//!
//! The keys are those that k2's recipes write and sherpa-onnx reads; every state is a tensor of which one axis is the
//! batch. A graph whose inputs are not what its metadata says is refused.

use std::collections::BTreeMap;

use ort::value::{Outlet, TensorElementType};

use super::frames::Front;
use crate::model::ModelError;

/// Log-mel energies per frame.
pub(super) const BANDS: usize = 80;
/// Frames of one output of k2's models: what follows from every published front, 40 ms.
const FRAMES_PER_STEP: usize = 4;
/// The longest window of a graph, frames (10 s).
const WINDOW_MAX: usize = 1_000;
/// Numbers in one value of the metadata, and the largest of them.
const LIST_MAX: usize = 64;
const NUMBER_MAX: usize = 1 << 16;
/// What k2's kinds of encoder are called in the metadata, and how the names of NeMo's begin.
const K2: [&str; 4] = ["zipformer2", "zipformer", "conformer", "lstm"];
const NEMO: &str = "EncDec";
/// What one call may have to remember, numbers (64 MB).
const STATE_MAX: usize = 16 << 20;

/// What a graph takes, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Frames, then states.
    Plain,
    /// Behind them, how many frames the call has behind it: k2's conformers.
    Position,
    /// Frames by band, how many there are, states; it answers how many steps there are, too: NeMo's models.
    Bands,
    /// Frames, the step they begin at, how many steps are remembered, states, which of these steps there are: WeNet's models,
    /// which take one call at a time.
    Mask {
        /// Steps that are remembered.
        remembered: usize,
        /// Steps of one run.
        steps: usize,
    },
}

/// One tensor that a call remembers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StateShape {
    /// Its dimensions; that of the batch is 1.
    pub(super) dimensions: Vec<usize>,
    /// Which of them is the batch; none where a graph takes one call at a time.
    pub(super) axis: Option<usize>,
    /// What it is of: `Float32` or `Int64`.
    pub(super) element: TensorElementType,
}

/// What a graph takes and remembers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// Frames that one run looks at.
    pub(super) window: usize,
    /// Frames that it goes on by.
    pub(super) shift: usize,
    /// Frames of one output.
    pub(super) step: usize,
    /// In the order of the graph's inputs, behind the frames.
    pub(super) states: Vec<StateShape>,
    /// What comes before and behind them.
    pub(super) order: Order,
    /// It takes one call at a time: WeNet's graphs, and those that were published for phones.
    pub(super) lone: bool,
    /// What is left at the end of the audio is decoded, too, though it fills no window.
    pub(super) takes_rest: bool,
}

impl Layout {
    /// What the metadata of the graph in `file` tells.
    ///
    /// # Errors
    /// What is missing or not as it should be.
    pub(super) fn of(file: &str, metadata: &BTreeMap<String, String>) -> Result<Self, ModelError> {
        let fields = Fields { file, metadata };
        let layout = match fields.text("model_type")? {
            "zipformer2" => fields.k2(zipformer2, Order::Plain)?,
            "zipformer" => fields.k2(zipformer, Order::Plain)?,
            "conformer" => fields.k2(conformer, Order::Position)?,
            "lstm" => fields.k2(lstm, Order::Plain)?,
            "wenet_ctc" => wenet(&fields)?,
            other if other.starts_with(NEMO) => nemo(&fields)?,
            other => return Err(fields.wrong(&format!("model_type: {}, {NEMO}… or wenet_ctc", K2.join(", ")), other)),
        };
        if let Some(feature) = metadata.get("feature").filter(|feature| !feature.is_empty()) {
            return Err(fields.wrong("feature: log-mel energies (none told)", feature));
        }
        fields.check_size(&layout.states)?;
        Ok(layout)
    }

    /// What calls' audio is to be.
    pub(super) fn front(&self) -> Front {
        match self.order {
            Order::Plain | Order::Position => Front::Usual,
            Order::Bands => Front::Nemo,
            Order::Mask { .. } => Front::WeNet,
        }
    }

    /// Everything that the graph takes, in its order.
    fn inputs(&self) -> Vec<StateShape> {
        let (count, states) = (StateShape::counts(&[1], 0), self.states.iter().cloned());
        let frames = match self.order {
            Order::Bands => StateShape::new(&[1, BANDS, self.window], 0),
            _ => StateShape::new(&[1, self.window, BANDS], 0),
        };
        match self.order {
            Order::Plain => std::iter::once(frames).chain(states).collect(),
            Order::Position => std::iter::once(frames).chain(states).chain([count]).collect(),
            Order::Bands => [frames, count].into_iter().chain(states).collect(),
            Order::Mask { remembered, steps } => {
                let lone = StateShape::lone(&[1], TensorElementType::Int64);
                let mask = StateShape::lone(&[1, 1, remembered + steps], TensorElementType::Bool);
                [frames, lone.clone(), lone].into_iter().chain(states).chain([mask]).collect()
            }
        }
    }

    /// Compares the inputs of the graph in `file` with this, and notes whether it takes one call at a time.
    ///
    /// # Errors
    /// The first input that differs.
    pub(super) fn check(&mut self, file: &str, inputs: &[Outlet]) -> Result<(), ModelError> {
        let expected = self.inputs();
        let wrong = |expected: String, found: String| {
            Err(ModelError::Mismatch { file: file.to_owned(), what: "input", expected, found })
        };
        if inputs.len() != expected.len() {
            return wrong(format!("{} by the metadata", expected.len()), inputs.len().to_string());
        }
        self.lone |= inputs.iter().zip(&expected).any(|(input, shape)| !shape.fits(input) && shape.fits_alone(input));
        for (input, shape) in inputs.iter().zip(expected) {
            if !(shape.fits(input) || self.lone && shape.fits_alone(input)) {
                return wrong(format!("{} {shape}", input.name()), outlet(input));
            }
        }
        Ok(())
    }
}

impl StateShape {
    pub(super) fn new(dimensions: &[usize], axis: usize) -> Self {
        Self { dimensions: dimensions.to_vec(), axis: Some(axis), element: TensorElementType::Float32 }
    }

    /// Counts instead of numbers.
    fn counts(dimensions: &[usize], axis: usize) -> Self {
        Self { element: TensorElementType::Int64, ..Self::new(dimensions, axis) }
    }

    /// Of one call alone.
    fn lone(dimensions: &[usize], element: TensorElementType) -> Self {
        Self { dimensions: dimensions.to_vec(), axis: None, element }
    }

    /// Numbers of one call's.
    pub(super) fn numbers(&self) -> usize {
        self.dimensions.iter().fold(1, |product: usize, &size| product.saturating_mul(size))
    }

    /// Whether a graph's outlet is of this shape, with a batch of any size.
    pub(super) fn fits(&self, outlet: &Outlet) -> bool {
        self.fits_with(outlet, |batch| batch < 0)
    }

    /// Whether it is, with or without a batch of one.
    fn fits_alone(&self, outlet: &Outlet) -> bool {
        self.fits_with(outlet, |batch| batch < 0 || batch == 1)
    }

    fn fits_with(&self, outlet: &Outlet, is_batch: impl Fn(i64) -> bool) -> bool {
        let Some(shape) = outlet.dtype().tensor_shape() else { return false };
        let is_fit = |(at, (&found, &size)): (usize, (&i64, &usize))| match Some(at) == self.axis {
            true => is_batch(found),
            false => found < 0 || found == size as i64,
        };
        outlet.dtype().tensor_type() == Some(self.element)
            && shape.len() == self.dimensions.len()
            && shape.iter().zip(&self.dimensions).enumerate().all(is_fit)
    }
}

impl std::fmt::Display for StateShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = |(at, size): (usize, &usize)| if Some(at) == self.axis { "N".to_owned() } else { size.to_string() };
        let sizes: Vec<String> = self.dimensions.iter().enumerate().map(size).collect();
        write!(f, "[{}] of {:?}", sizes.join(", "), self.element)
    }
}

/// Name, shape and type of an outlet, for people.
pub(super) fn outlet(outlet: &Outlet) -> String {
    let shape = outlet.dtype().tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default();
    let element = outlet.dtype().tensor_type().map_or("no tensor".to_owned(), |element| format!("{element:?}"));
    format!("{} {shape:?} of {element}", outlet.name())
}

/// Six tensors a layer, the front's, and how far it is.
fn zipformer2(fields: &Fields<'_>) -> Result<Vec<StateShape>, ModelError> {
    let dims = fields.list("encoder_dims", None)?;
    let stacks = Some(dims.len());
    let (queries, values) = (fields.list("query_head_dims", stacks)?, fields.list("value_head_dims", stacks)?);
    let (heads, layers) = (fields.list("num_heads", stacks)?, fields.list("num_encoder_layers", stacks)?);
    let (kernels, lefts) = (fields.list("cnn_module_kernels", stacks)?, fields.list("left_context_len", stacks)?);
    let mut states = Vec::new();
    for stack in 0..dims.len() {
        let (left, dim) = (lefts[stack], dims[stack]);
        let value = StateShape::new(&[left, 1, values[stack] * heads[stack]], 1);
        let kernel = StateShape::new(&[1, dim, kernels[stack] / 2], 0);
        let layer = [
            StateShape::new(&[left, 1, queries[stack] * heads[stack]], 1),
            StateShape::new(&[1, 1, left, 3 * dim / 4], 1),
            value.clone(),
            value,
            kernel.clone(),
            kernel,
        ];
        (0..layers[stack].min(LIST_MAX)).for_each(|_| states.extend_from_slice(&layer));
    }
    states.push(StateShape::new(&[1, 128, 3, ((BANDS - 1) / 2 - 1) / 2], 0));
    states.push(StateShape::counts(&[1], 0));
    Ok(states)
}

/// Seven kinds of tensor, each for all layers of a stack; all of a kind come together.
fn zipformer(fields: &Fields<'_>) -> Result<Vec<StateShape>, ModelError> {
    let dims = fields.list("encoder_dims", None)?;
    let stacks = Some(dims.len());
    let (attentions, layers) = (fields.list("attention_dims", stacks)?, fields.list("num_encoder_layers", stacks)?);
    let (kernels, lefts) = (fields.list("cnn_module_kernels", stacks)?, fields.list("left_context_len", stacks)?);
    let each = |shape: &dyn Fn(usize) -> StateShape| (0..dims.len()).map(shape).collect::<Vec<_>>();
    let value = |i: usize| StateShape::new(&[layers[i], lefts[i], 1, attentions[i] / 2], 2);
    let kernel = |i: usize| StateShape::new(&[layers[i], 1, dims[i], kernels[i] - 1], 1);
    let kinds = [
        each(&|i| StateShape::counts(&[layers[i], 1], 1)),
        each(&|i| StateShape::new(&[layers[i], 1, dims[i]], 1)),
        each(&|i| StateShape::new(&[layers[i], lefts[i], 1, attentions[i]], 2)),
        each(&value),
        each(&value),
        each(&kernel),
        each(&kernel),
    ];
    Ok(kinds.concat())
}

fn conformer(fields: &Fields<'_>) -> Result<Vec<StateShape>, ModelError> {
    let (layers, dim) = (fields.number("num_encoder_layers")?, fields.number("encoder_dim")?);
    let (left, kernel) = (fields.number("left_context")?, fields.number("cnn_module_kernel")?);
    Ok(vec![StateShape::new(&[layers, left, 1, dim], 2), StateShape::new(&[layers, kernel - 1, 1, dim], 2)])
}

fn lstm(fields: &Fields<'_>) -> Result<Vec<StateShape>, ModelError> {
    let layers = fields.number("num_encoder_layers")?;
    let (dim, hidden) = (fields.number("d_model")?, fields.number("rnn_hidden_size")?);
    Ok(vec![StateShape::new(&[layers, 1, dim], 1), StateShape::new(&[layers, 1, hidden], 1)])
}

/// What NeMo's cache-aware FastConformers remember: layers' inputs, their convolutions', and how much of the first there is.
fn nemo(fields: &Fields<'_>) -> Result<Layout, ModelError> {
    let (window, shift) = (fields.number("window_size")?, fields.number("chunk_shift")?);
    let step = fields.number("subsampling_factor")?;
    fields.check_window(("window_size", window), ("chunk_shift", shift), step)?;
    if let Some(kind) = fields.metadata.get("normalize_type").filter(|kind| !kind.is_empty()) {
        return Err(fields.wrong("normalize_type: none", kind));
    }
    let sizes = |kind: &str| -> Result<Vec<usize>, ModelError> {
        (1..=3).map(|at| fields.number(&format!("cache_last_{kind}_dim{at}"))).collect()
    };
    let of_one = |sizes: Vec<usize>| StateShape::new(&[&[1], sizes.as_slice()].concat(), 0);
    let states = vec![of_one(sizes("channel")?), of_one(sizes("time")?), StateShape::counts(&[1], 0)];
    Ok(Layout { window, shift, step, states, order: Order::Bands, lone: false, takes_rest: false })
}

/// What WeNet's U2++ models remember: keys and values of every block's last steps, and its convolution's inputs.
fn wenet(fields: &Fields<'_>) -> Result<Layout, ModelError> {
    let (steps, left) = (fields.number("chunk_size")?, fields.number("left_chunks")?);
    let (step, right) = (fields.number("subsampling_factor")?, fields.number("right_context")?);
    let (window, shift) = ((steps - 1).saturating_mul(step).saturating_add(right + 1), steps.saturating_mul(step));
    fields.check_window(("window", window), ("chunk_size × subsampling_factor", shift), step)?;
    let (blocks, heads) = (fields.number("num_blocks")?, fields.number("head")?);
    let (width, kernel) = (fields.number("output_size")?, fields.number("cnn_module_kernel")?);
    if heads > width {
        return Err(fields.wrong(&format!("head: up to output_size, which is {width}"), &heads.to_string()));
    }
    let remembered = steps * left;
    let element = TensorElementType::Float32;
    let states = vec![
        StateShape::lone(&[blocks, heads, remembered, width / heads * 2], element),
        StateShape::lone(&[blocks, 1, width, kernel - 1], element),
    ];
    Ok(Layout { window, shift, step, states, order: Order::Mask { remembered, steps }, lone: true, takes_rest: false })
}

/// What one of k2's kinds of encoder remembers.
type States = fn(&Fields<'_>) -> Result<Vec<StateShape>, ModelError>;

/// The metadata of one file.
pub(super) struct Fields<'a> {
    pub(super) file: &'a str,
    pub(super) metadata: &'a BTreeMap<String, String>,
}

impl Fields<'_> {
    /// What one of k2's models takes, which remembers `states`.
    fn k2(&self, states: States, order: Order) -> Result<Layout, ModelError> {
        let (window, shift, step) = (self.number("T")?, self.number("decode_chunk_len")?, FRAMES_PER_STEP);
        self.check_window(("T", window), ("decode_chunk_len", shift), step)?;
        let states = states(self)?;
        Ok(Layout { window, shift, step, states, order, lone: false, takes_rest: false })
    }

    /// Refuses windows that are too long, or do not go on by whole steps.
    fn check_window(
        &self,
        (whole, window): (&str, usize),
        (part, shift): (&str, usize),
        step: usize,
    ) -> Result<(), ModelError> {
        if window > WINDOW_MAX || shift > window || !shift.is_multiple_of(step) {
            let found = format!("{whole} {window}, {part} {shift}");
            let expected = format!("{part} up to {whole}, a multiple of {step}, {whole} up to {WINDOW_MAX}");
            return Err(self.wrong(&expected, &found));
        }
        Ok(())
    }

    /// Refuses states that take too much memory.
    pub(super) fn check_size(&self, states: &[StateShape]) -> Result<(), ModelError> {
        let numbers = states.iter().map(StateShape::numbers).fold(0, usize::saturating_add);
        if numbers > STATE_MAX {
            return Err(self.wrong(&format!("states of at most {STATE_MAX} numbers"), &numbers.to_string()));
        }
        Ok(())
    }

    fn text(&self, key: &str) -> Result<&str, ModelError> {
        self.metadata.get(key).map(String::as_str).ok_or_else(|| self.wrong(key, "no such key"))
    }

    pub(super) fn number(&self, key: &str) -> Result<usize, ModelError> {
        let text = self.text(key)?;
        number(text).ok_or_else(|| self.wrong(&format!("{key}: a number of 1-{NUMBER_MAX}"), text))
    }

    /// So many numbers between commas, whatever is written of them.
    pub(super) fn reals(&self, key: &str, count: usize) -> Result<Vec<f32>, ModelError> {
        let text = self.text(key)?;
        let is_number = |number: &f32| number.is_finite();
        let numbers: Option<Vec<f32>> =
            text.split(',').take(count + 1).map(|number| number.trim().parse().ok().filter(is_number)).collect();
        let found = || format!("{} of them: {text}", text.split(',').count());
        numbers
            .filter(|numbers| numbers.len() == count)
            .ok_or_else(|| self.wrong(&format!("{key}: {count} numbers between commas"), &found()))
    }

    /// Numbers between commas, as many as there are stacks.
    fn list(&self, key: &str, count: Option<usize>) -> Result<Vec<usize>, ModelError> {
        let text = self.text(key)?;
        let numbers: Option<Vec<usize>> = text.split(',').take(LIST_MAX + 1).map(number).collect();
        let is_long = |numbers: &Vec<usize>| numbers.len() == count.unwrap_or(numbers.len()).min(LIST_MAX);
        numbers.filter(is_long).ok_or_else(|| {
            let many = count.map_or(format!("1-{LIST_MAX}"), |count| count.to_string());
            self.wrong(&format!("{key}: {many} numbers of 1-{NUMBER_MAX} between commas"), text)
        })
    }

    pub(super) fn wrong(&self, expected: &str, found: &str) -> ModelError {
        let found = found.chars().take(FOUND_CHARACTERS_MAX).collect();
        ModelError::Mismatch { file: self.file.to_owned(), what: "metadata", expected: expected.to_owned(), found }
    }
}

/// So much of what is wrong is told.
const FOUND_CHARACTERS_MAX: usize = 80;

fn number(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|number| (1..=NUMBER_MAX).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZIPFORMER2: &str = "model_type=zipformer2;T=45;decode_chunk_len=32;encoder_dims=192,256;query_head_dims=32,32;\
        value_head_dims=12,12;num_heads=4,8;num_encoder_layers=2,1;cnn_module_kernels=31,15;left_context_len=128,64";

    #[test]
    fn a_zipformer2_remembers_six_tensors_a_layer() {
        let layout = Layout::of("encoder.onnx", &metadata(ZIPFORMER2)).expect("a layout");
        assert_eq!((layout.window, layout.shift, layout.states.len()), (45, 32, 3 * 6 + 2));
        check(&layout, 0, "[128, N, 128] of Float32");
        check(&layout, 1, "[1, N, 128, 144] of Float32");
        check(&layout, 12, "[64, N, 256] of Float32");
        check(&layout, 17, "[N, 256, 7] of Float32");
        check(&layout, 18, "[N, 128, 3, 19] of Float32");
        check(&layout, 19, "[N] of Int64");
    }

    #[test]
    fn the_others_remember_theirs() {
        let text = "model_type=zipformer;T=39;decode_chunk_len=32;encoder_dims=384,384;attention_dims=192,192;\
                    num_encoder_layers=2,4;cnn_module_kernels=31,31;left_context_len=64,32";
        let layout = Layout::of("encoder.onnx", &metadata(text)).expect("a layout");
        assert_eq!(layout.states.len(), 14);
        check(&layout, 1, "[4, N] of Int64");
        check(&layout, 4, "[2, 64, N, 192] of Float32");
        check(&layout, 13, "[4, N, 384, 30] of Float32");
        let text = "model_type=lstm;T=9;decode_chunk_len=4;num_encoder_layers=12;d_model=512;rnn_hidden_size=1024";
        let layout = Layout::of("encoder.onnx", &metadata(text)).expect("a layout");
        check(&layout, 1, "[12, N, 1024] of Float32");
        let text = "model_type=conformer;T=71;decode_chunk_len=64;num_encoder_layers=12;encoder_dim=512;left_context=64;\
                    cnn_module_kernel=31;pad_length=7";
        let layout = Layout::of("encoder.onnx", &metadata(text)).expect("a layout");
        check(&layout, 1, "[12, 30, N, 512] of Float32");
        assert_eq!(layout.order, Order::Position);
    }

    const NEMO_CTC: &str = "model_type=EncDecHybridRNNTCTCBPEModel;window_size=65;chunk_shift=56;subsampling_factor=8;\
        normalize_type=;cache_last_channel_dim1=17;cache_last_channel_dim2=70;cache_last_channel_dim3=512;\
        cache_last_time_dim1=17;cache_last_time_dim2=512;cache_last_time_dim3=8;vocab_size=1024";
    const WENET_CTC: &str = "model_type=wenet_ctc;chunk_size=16;left_chunks=4;head=4;num_blocks=12;output_size=256;\
        cnn_module_kernel=8;right_context=6;subsampling_factor=4;vocab_size=4233";

    #[test]
    fn models_of_nemo_and_wenet_take_what_theirs_do() {
        let layout = Layout::of("model.onnx", &metadata(NEMO_CTC)).expect("a layout");
        assert_eq!((layout.window, layout.shift, layout.step, layout.lone), (65, 56, 8, false));
        let inputs: Vec<String> = layout.inputs().iter().map(ToString::to_string).collect();
        let states = ["[N, 17, 70, 512] of Float32", "[N, 17, 512, 8] of Float32", "[N] of Int64"];
        assert_eq!(inputs[..2], ["[N, 80, 65] of Float32", "[N] of Int64"]);
        assert_eq!(inputs[2..], states);

        let layout = Layout::of("model.onnx", &metadata(WENET_CTC)).expect("a layout");
        assert_eq!((layout.window, layout.shift, layout.step, layout.lone), (67, 64, 4, true));
        let inputs: Vec<String> = layout.inputs().iter().map(ToString::to_string).collect();
        assert_eq!(inputs[..3], ["[N, 67, 80] of Float32", "[1] of Int64", "[1] of Int64"]);
        assert_eq!(inputs[3..5], ["[12, 4, 64, 128] of Float32", "[12, 1, 256, 7] of Float32"]);
        assert_eq!(inputs[5..], ["[1, 1, 80] of Bool"]);
    }

    #[test]
    fn what_is_no_metadata_is_named() {
        refused("T=45", "expected model_type, found no such key");
        refused(
            "model_type=whisper",
            "model_type: zipformer2, zipformer, conformer, lstm, EncDec… or wenet_ctc, found whisper",
        );
        refused(
            &NEMO_CTC.replace("chunk_shift=56", "chunk_shift=52"),
            "expected chunk_shift up to window_size, a multiple of 8",
        );
        refused(&NEMO_CTC.replace("normalize_type=", "normalize_type=per_feature"), "expected normalize_type: none");
        refused(&WENET_CTC.replace("head=4", "head=300"), "expected head: up to output_size, which is 256, found 300");
        refused(&WENET_CTC.replace("left_chunks=4", "left_chunks=65536"), "expected states of at most");
        refused("model_type=lstm;T=9;decode_chunk_len=12", "expected decode_chunk_len up to T");
        refused(
            "model_type=lstm;T=9;decode_chunk_len=6",
            "a multiple of 4, T up to 1000, found T 9, decode_chunk_len 6",
        );
        refused(
            "model_type=lstm;T=9;decode_chunk_len=4;num_encoder_layers=-1",
            "expected num_encoder_layers: a number",
        );
        refused(&ZIPFORMER2.replace("num_heads=4,8", "num_heads=4"), "expected num_heads: 2 numbers");
        refused(&ZIPFORMER2.replace("128,64", "65536,65536"), "expected states of at most");
        refused(&format!("{ZIPFORMER2};feature=whisper"), "expected feature: log-mel energies");
    }

    fn metadata(text: &str) -> BTreeMap<String, String> {
        let pairs = text.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[track_caller]
    fn check(layout: &Layout, state: usize, expected: &str) {
        assert_eq!(layout.states[state].to_string(), expected);
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = Layout::of("encoder.onnx", &metadata(text)).expect_err("no layout").to_string();
        assert!(error.starts_with("encoder.onnx: metadata: ") && error.contains(expected), "{error}");
    }
}
