//! The model of voices that a program is told.

use std::error::Error;

use nlu::{AcousticModel, Encoder, Runtime, SoundModel};

/// Loads `MODEL.onnx MODEL.json`, and what judges the sound beside it, `ENCODER.onnx SOUND.onnx SOUND.json`, where it is told.
#[expect(clippy::disallowed_methods, reason = "a program reads its own files")]
pub fn load(runtime: &Runtime, files: &[String]) -> Result<AcousticModel, Box<dyn Error>> {
    let read = |path: &String| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
    let [graph, card, sound @ ..] = files else { return Err("expected MODEL.onnx MODEL.json".into()) };
    let model = AcousticModel::from_bytes(runtime, graph, &read(graph)?, &read(card)?)?;
    match sound {
        [] => Ok(model),
        [encoder, graph, card] => {
            let encoder = Encoder::from_bytes(runtime, encoder, &read(encoder)?)?;
            Ok(model.with_sound(SoundModel::from_bytes(runtime, encoder, graph, &read(graph)?, &read(card)?)?))
        }
        _ => Err("expected ENCODER.onnx SOUND.onnx SOUND.json behind the model".into()),
    }
}
