//! A model that is missing, truncated, garbage or another one's is refused with the file, what is expected and found.

mod runtime;

use nlu::{AcousticModel, CLASSES, FEATURES};
use runtime::runtime_or_skip;

const GRAPH: &[u8] = include_bytes!("../models/acoustic.onnx");
const CARD: &str = include_str!("../models/acoustic.json");

#[test]
fn broken_graphs() {
    check(&[], CARD, "graph: expected an ONNX model, found 0 bytes");
    check(b"not a model at all", CARD, "graph: expected an ONNX model, found 18 bytes");
    check(&GRAPH[..GRAPH.len() / 2], CARD, "acoustic.onnx: graph: expected an ONNX model");
}

#[test]
fn broken_cards() {
    check(GRAPH, "", "acoustic.onnx: card: expected a JSON object");
    check(GRAPH, &CARD[..100], "acoustic.onnx: card: expected a JSON object");
    check(GRAPH, &CARD.replacen("\"anger\"", "\"rage\"", 1), "found neutral, calm, rage");
    check(GRAPH, &CARD.replacen("cepstrum_00_mean", "pitch_hz", 1), "expected cepstrum_00_mean, found pitch_hz");
    check(GRAPH, &CARD.replacen("\"version\": \"", "\"version\": \"9", 1), "version in the graph: expected 9");
}

#[test]
fn rows_become_probabilities() {
    let Some(runtime) = runtime_or_skip("rows become probabilities") else { return };
    let mut model = AcousticModel::built_in(&runtime).expect("the model that comes with the program loads");
    assert!(model.card().parameters <= 2_000_000);
    assert_eq!(model.judge(&[]).expect("nothing to judge"), Vec::<[f32; CLASSES]>::new());
    let rows: Vec<[f32; FEATURES]> = (0..64).map(|i| std::array::from_fn(|j| ((i * j) % 17) as f32 - 8.0)).collect();
    let rows: Vec<&[f32; FEATURES]> = rows.iter().collect();
    for judged in model.judge(&rows).expect("64 rows are judged") {
        assert!((judged.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{judged:?}");
        assert!(judged.iter().all(|p| (0.0..=1.0).contains(p)), "{judged:?}");
    }
}

/// Loading `graph` with `card` must fail and say `expected`.
#[track_caller]
fn check(graph: &[u8], card: &str, expected: &str) {
    let Some(runtime) = runtime_or_skip(expected) else { return };
    let error = AcousticModel::from_bytes(&runtime, "acoustic.onnx", graph, card.as_bytes()).expect_err(expected);
    assert!(error.to_string().contains(expected), "{error}");
}
