//! Any bytes as `bpe.model`: refused with the name of the file, or it cuts phrases into tokens that there are.
//!
//! Included by the fuzz target and by the test that replays the corpus. Without ONNX Runtime it checks nothing.

use std::sync::OnceLock;

use nlu::Runtime;
use nlu::recognition::streaming::{ModelFile, StreamingFiles, StreamingModel, StreamingOptions};

static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
const PHRASES: [(&str, f32); 4] = [("我要 refund", 1.0), ("speak to a manager", 2.0), ("ﬁle \u{301}é", 1.0), ("", 1.0)];

/// Loads `bytes` beside a CTC model, and prefers phrases.
///
/// # Panics
/// When a refusal does not say that it is about this file.
pub fn check(bytes: &[u8]) {
    let Some(runtime) = RUNTIME.get_or_init(|| Runtime::find(None).ok()) else { return };
    let file = |name, bytes| ModelFile { name, bytes };
    let files = StreamingFiles {
        encoder: file("model.onnx", include_bytes!("../../tests/streaming/ctc/model.onnx")),
        others: &[],
        tokens: file("tokens.txt", include_bytes!("../../tests/streaming/ctc/tokens.txt")),
        pieces: Some(file("bpe.model", bytes)),
    };
    match StreamingModel::new(runtime, &files, &StreamingOptions::default()) {
        Err(error) => assert!(error.to_string().starts_with("bpe.model: pieces: "), "{error}"),
        Ok(mut model) => assert!(model.prefer(&PHRASES).len() <= PHRASES.len()),
    }
}
