//! The text model that comes with the program: it loads, judges, batches, and refuses what is not its own.

mod runtime;

use nlu::text::{TextModel, TextReader, TextSource};
use runtime::runtime_or_skip;

const GRAPH: &[u8] = include_bytes!("../models/text.onnx");
const CARD: &str = include_str!("../models/text.json");

#[test]
fn broken_models_are_refused() {
    check(&[], CARD, "text.onnx: graph: expected an ONNX model, found 0 bytes");
    check(&GRAPH[..GRAPH.len() / 2], CARD, "text.onnx: graph: expected an ONNX model");
    check(GRAPH, "", "text.onnx: card: expected a JSON object");
    check(GRAPH, &CARD[..1_000], "text.onnx: card: expected a JSON object");
    check(GRAPH, &CARD.replacen("emotion/anger", "emotion/rage", 1), "outputs of the card: expected polarity/negative");
    check(GRAPH, &CARD.replacen("\"version\":\"", "\"version\":\"9", 1), "version in the graph: expected 9");
    check(
        include_bytes!("../models/acoustic.onnx"),
        CARD,
        "inputs: expected tokens [-1, -1], grams [-1, -1], found features",
    );
}

#[test]
fn any_texts_become_probabilities_alone_and_in_batches() {
    let Some(runtime) = runtime_or_skip("texts become probabilities") else { return };
    let mut model = TextModel::built_in(&runtime).expect("the model that comes with the program loads");
    assert!(model.card().parameters <= 8_000_000);
    let long = "不".repeat(5_000);
    let texts = ["", " ", "太差了，退钱！", "thank you so much", "😡", "服務態度太差", &long, "\u{0}\u{fe0f}"];
    let together = model.judge(&texts).expect("they are judged");
    for (text, judged) in texts.iter().zip(&together) {
        let judged = judged.expect("each of them");
        assert!((judged.polarity.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{judged:?}");
        assert!((judged.emotions.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{judged:?}");
        let alone = model.judge(&[text]).expect("it is judged")[0].expect("it is no nonsense");
        let gap = alone.emotions.iter().zip(judged.emotions).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(gap < 1e-4, "a batch must not matter: {gap} for {text:?}");
    }
    let many: Vec<&str> = texts.iter().copied().cycle().take(200).collect();
    assert_eq!(model.judge(&many).expect("more than one run").len(), 200);
}

#[test]
fn plain_cases_are_judged_as_people_would() {
    let Some(runtime) = runtime_or_skip("plain cases") else { return };
    let model = TextModel::built_in(&runtime).expect("the model that comes with the program loads");
    let mut reader = TextReader::new(Some(model), Vec::new());
    let read = reader.read(&[
        "垃圾东西，气死我了，再也不买了",
        "很好吃，送得也快，非常满意",
        "服務態度太差，氣死我了",
        "服务态度太差，气死我了",
    ]);
    assert!(read.iter().all(|reading| reading.source == TextSource::Model));
    assert!(read[0].judgement.polarity[0] > 0.8 && read[0].judgement.anger() > 0.4, "{:?}", read[0].judgement);
    assert!(read[1].judgement.polarity[2] > 0.8 && read[1].judgement.anger() < 0.2, "{:?}", read[1].judgement);
    assert_eq!(read[2].judgement, read[3].judgement, "the script does not matter");
}

/// Loading `graph` with `card` must fail and say `expected`.
#[track_caller]
fn check(graph: &[u8], card: &str, expected: &str) {
    let Some(runtime) = runtime_or_skip(expected) else { return };
    let error = TextModel::from_bytes(&runtime, "text.onnx", graph, card.as_bytes()).expect_err(expected);
    assert!(error.to_string().contains(expected), "{error}");
}
