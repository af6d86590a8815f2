//! Any bytes as the graph of a streaming model, its metadata included, or as the encoder of a Paraformer: loaded, or refused
//! with the name of the file.
//!
//! Included by the fuzz target and by the test that replays the corpus. Without ONNX Runtime it checks nothing.

use std::sync::OnceLock;

use nlu::Runtime;
use nlu::recognition::streaming::{ModelFile, StreamingFiles, StreamingModel, StreamingOptions};

static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();

/// Loads `bytes` as a CTC model and as a Paraformer's encoder, and decodes silence with what loads.
///
/// # Panics
/// When a refusal does not say which file it is about.
pub fn check(bytes: &[u8]) {
    let Some(runtime) = RUNTIME.get_or_init(|| Runtime::find(None).ok()) else { return };
    let tokens = include_bytes!("../../tests/streaming/ctc/tokens.txt");
    decode(runtime, &files(ModelFile { name: "model.onnx", bytes }, &[], tokens));
    let decoder = include_bytes!("../../tests/streaming/paraformer/decoder.onnx");
    let decoder = ModelFile { name: "decoder.onnx", bytes: decoder };
    let tokens = include_bytes!("../../tests/streaming/paraformer/tokens.txt");
    decode(runtime, &files(ModelFile { name: "encoder.onnx", bytes }, &[decoder], tokens));
}

fn files<'a>(encoder: ModelFile<'a>, others: &'a [ModelFile<'a>], tokens: &'a [u8]) -> StreamingFiles<'a> {
    StreamingFiles { encoder, others, tokens: ModelFile { name: "tokens.txt", bytes: tokens }, pieces: None }
}

fn decode(runtime: &Runtime, files: &StreamingFiles<'_>) {
    match StreamingModel::new(runtime, files, &StreamingOptions::default()) {
        Err(error) => {
            let told = error.to_string();
            // An encoder that loads may be another one than the decoder's.
            let names = files.others.iter().map(|file| file.name).chain([files.encoder.name]);
            assert!(names.into_iter().any(|name| told.starts_with(&format!("{name}: "))), "{told}");
        }
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
