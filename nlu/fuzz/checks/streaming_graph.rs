//! Any bytes as the graph of a streaming model, its metadata included: loaded, or refused with the name of the file.
//!
//! Included by the fuzz target and by the test that replays the corpus. Without ONNX Runtime it checks nothing.

use std::sync::OnceLock;

use nlu::Runtime;
use nlu::recognition::streaming::{ModelFile, StreamingFiles, StreamingModel, StreamingOptions};

static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();

/// Loads `bytes` as a CTC model, and decodes silence with it.
///
/// # Panics
/// When a refusal does not say which file it is about.
pub fn check(bytes: &[u8]) {
    let Some(runtime) = RUNTIME.get_or_init(|| Runtime::find(None).ok()) else { return };
    let tokens = include_bytes!("../../tests/streaming/ctc/tokens.txt");
    let files = StreamingFiles {
        encoder: ModelFile { name: "model.onnx", bytes },
        others: &[],
        tokens: ModelFile { name: "tokens.txt", bytes: tokens },
        pieces: None,
    };
    match StreamingModel::new(runtime, &files, &StreamingOptions::default()) {
        Err(error) => assert!(error.to_string().starts_with("model.onnx: "), "{error}"),
        Ok(mut model) => {
            let mut stream = model.stream(0);
            stream.push(&[0.0; 8_000]);
            if model.is_ready(&stream) {
                // A graph that fails is told; it must not bring anything else down.
                let _told = model.decode(&mut [&mut stream]);
            }
        }
    }
}
