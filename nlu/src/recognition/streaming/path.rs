//! One way to understand an utterance: the tokens so far, and what the search needs to go on.

/// A token and where it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Emitted {
    /// Its number.
    pub(super) token: usize,
    /// The encoder's step in the utterance.
    pub(super) step: u64,
    /// 0-1.
    pub(super) confidence: f32,
}

/// The tokens of an utterance, and how sure they are together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Path {
    /// What was said.
    pub(super) emitted: Vec<Emitted>,
    /// The last tokens, as a predictor takes them; empty where there is none.
    pub(super) context: Vec<i64>,
    /// What the predictor makes of them, once it was asked.
    pub(super) predicted: Option<Box<[f32]>>,
    /// Steps at the end that said nothing.
    pub(super) silent: u64,
    /// The last step's token, nothing included: what a repeated one of a CTC model is told by.
    pub(super) last: Option<usize>,
    /// Logarithm of its probability, with what hotwords give it.
    pub(super) score: f64,
    /// How far into a hotword it is.
    pub(super) hotword: usize,
}

impl Path {
    /// Nothing yet, after `context`.
    pub(super) fn new(context: Vec<i64>) -> Self {
        Self { context, ..Self::default() }
    }

    /// Adds a token.
    pub(super) fn emit(&mut self, token: usize, step: u64, confidence: f32) {
        self.emitted.push(Emitted { token, step, confidence });
        self.silent = 0;
        if !self.context.is_empty() {
            self.context.rotate_left(1);
            *self.context.last_mut().expect("it is not empty") = token as i64;
            self.predicted = None;
        }
    }
}
