//! A model that is missing, truncated, garbage or another one's is refused with the file, what is expected and found.

mod runtime;
mod voice;

use nlu::{AcousticModel, CLASSES, FEATURES, Listener, ListenerSettings, PartyId, Source};
use runtime::runtime_or_skip;
use voice::{AGITATED, CALM, speak};

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
    assert_eq!(model.judge(&[]).expect("nothing to judge"), Vec::<Option<[f32; CLASSES]>>::new());
    let rows: Vec<[f32; FEATURES]> = (0..64).map(|i| std::array::from_fn(|j| ((i * j) % 17) as f32 - 8.0)).collect();
    let rows: Vec<&[f32; FEATURES]> = rows.iter().collect();
    for judged in model.judge(&rows).expect("64 rows are judged") {
        let judged = judged.expect("this one, too");
        assert!((judged.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{judged:?}");
        assert!(judged.iter().all(|p| (0.0..=1.0).contains(p)), "{judged:?}");
    }
}

#[test]
fn rows_that_are_no_numbers_are_refused_one_by_one() {
    let Some(runtime) = runtime_or_skip("rows are refused one by one") else { return };
    let mut model = AcousticModel::built_in(&runtime).expect("the model that comes with the program loads");
    let right: [f32; FEATURES] = std::array::from_fn(|i| (i % 7) as f32);
    let mut wrong = right;
    wrong[17] = f32::NAN;
    let alone = model.judge(&[&right]).expect("it is judged");
    assert_eq!(model.judge(&[&right, &wrong, &right]).expect("two are judged"), [alone[0], None, alone[0]]);
    let error = model.judge(&[&wrong]).expect_err("there is nothing to judge");
    assert!(error.to_string().contains("not numbers"), "{error}");
    let broken = broken_graph();
    let mut model = AcousticModel::from_bytes(&runtime, "acoustic.onnx", &broken, CARD.as_bytes()).expect("it loads");
    let error = model.judge(&[&right]).expect_err("its answers are no numbers");
    assert!(error.to_string().contains("not numbers"), "{error}");
}

#[test]
fn a_model_whose_every_run_fails_says_so() {
    let Some(runtime) = runtime_or_skip("a model that fails says so") else { return };
    let broken = AcousticModel::from_bytes(&runtime, "acoustic.onnx", &broken_graph(), CARD.as_bytes());
    let mut listener = Listener::new(Some(broken.expect("it loads")), ListenerSettings::default());
    listener.add(PartyId(1));
    listener.push(PartyId(1), &speak(CALM, 5.0));
    let mut heard = Vec::new();
    listener.run(&mut heard);
    assert!(!heard.is_empty() && heard.iter().all(|each| each.source == Source::SignalOnly), "{heard:?}");
    assert!(listener.model_failures() > 0 && listener.model_failure().is_some_and(|why| why.contains("not numbers")));
    listener.judge_by(Some(AcousticModel::built_in(&runtime).expect("it loads")));
    assert_eq!(listener.model_failure(), None, "another one has not failed yet");
    let failures = listener.model_failures();
    listener.push(PartyId(1), &speak(AGITATED, 5.0));
    listener.run(&mut heard);
    assert_eq!((listener.model_failures(), listener.model_failure()), (failures, None));
}

/// The model that comes with the program, with a factor of all its answers that is no number.
fn broken_graph() -> Vec<u8> {
    let name = b"sharpnessJ\x04";
    let at = GRAPH.windows(name.len()).position(|bytes| bytes == name).expect("the factor") + name.len();
    let mut graph = GRAPH.to_vec();
    graph[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    graph
}

/// Loading `graph` with `card` must fail and say `expected`.
#[track_caller]
fn check(graph: &[u8], card: &str, expected: &str) {
    let Some(runtime) = runtime_or_skip(expected) else { return };
    let error = AcousticModel::from_bytes(&runtime, "acoustic.onnx", graph, card.as_bytes()).expect_err(expected);
    assert!(error.to_string().contains(expected), "{error}");
}
