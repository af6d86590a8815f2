//! Replays the committed fuzz corpora.

#[path = "../fuzz/checks/lexicon.rs"]
mod lexicon;
#[path = "../fuzz/checks/masking.rs"]
mod masking;
#[path = "../fuzz/checks/phrases.rs"]
mod phrases;
#[path = "../fuzz/checks/reading.rs"]
mod reading;
#[path = "../fuzz/checks/remote_answers.rs"]
mod remote_answers;
#[path = "../fuzz/checks/streaming_graph.rs"]
mod streaming_graph;
#[path = "../fuzz/checks/streaming_pieces.rs"]
mod streaming_pieces;
#[path = "../fuzz/checks/streaming_tokens.rs"]
mod streaming_tokens;
#[path = "../fuzz/checks/text_card.rs"]
mod text_card;

use proptest::prelude::*;

#[test]
fn every_phrase_list_is_read_or_refused() {
    replay("phrases", phrases::check);
}

#[test]
fn every_lexicon_is_read_or_refused() {
    replay("lexicon", lexicon::check);
}

#[test]
fn everything_said_is_masked() {
    replay("masking", masking::check);
}

#[test]
fn every_text_is_read() {
    replay("reading", reading::check);
}

#[test]
fn every_card_is_read_or_refused() {
    replay("text_card", text_card::check);
}

#[test]
fn every_list_of_tokens_is_read_or_refused() {
    replay("streaming_tokens", streaming_tokens::check);
}

#[test]
fn every_graph_is_loaded_or_refused() {
    replay("streaming_graph", streaming_graph::check);
}

#[test]
fn every_model_of_pieces_is_read_or_refused() {
    replay("streaming_pieces", streaming_pieces::check);
}

#[test]
fn every_answer_of_a_recogniser_elsewhere_is_taken_or_refused() {
    replay("remote_answers", remote_answers::check);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        lexicon::check(&bytes);
        reading::check(&bytes);
        text_card::check(&bytes);
        streaming_tokens::check(&bytes);
        remote_answers::check(&bytes);
    }

    #[test]
    fn any_answers_are_taken_or_refused(script in script_of_answers()) {
        remote_answers::check(script.as_bytes());
    }

    #[test]
    fn a_graph_with_other_bytes_is_refused_or_loaded(at in 0_usize..80_000, byte: u8, paraformer: bool) {
        let mut graph = match paraformer {
            true => include_bytes!("streaming/paraformer/encoder.onnx").to_vec(),
            false => include_bytes!("streaming/ctc/model.onnx").to_vec(),
        };
        let length = graph.len();
        graph[at % length] = byte;
        streaming_graph::check(&graph);
    }

    #[test]
    fn pieces_with_other_bytes_are_refused_or_cut(at: prop::sample::Index, byte: u8) {
        let mut pieces = include_bytes!("streaming/pieces/bpe.model").to_vec();
        let at = at.index(pieces.len());
        pieces[at] = byte;
        streaming_pieces::check(&pieces);
    }

    #[test]
    fn any_string_is_read(text in "(\\PC|[太差了不生气骗子 ,，\\[\\]']){0,200}") {
        reading::check(text.as_bytes());
    }

    #[test]
    fn a_lexicon_cut_short_is_refused_or_read(end in 0_usize..4_000) {
        let text = include_bytes!("../../config/lexicons/zh.toml");
        lexicon::check(&text[..end.min(text.len())]);
    }
}

/// Audio, gaps and answers that are nearly right, in any order.
fn script_of_answers() -> impl Strategy<Value = String> {
    let text = "[我要投诉 a-c'，。]{0,12}";
    let number =
        prop_oneof![(-5.0..20.0_f64).prop_map(|n| n.to_string()), Just("1e308".to_owned()), Just("null".to_owned())];
    let mode = prop_oneof![Just("2pass-online"), Just("2pass-offline"), Just("later")];
    let answer =
        (text, mode, number.clone(), number, any::<bool>(), 0..3_u8).prop_map(|(text, mode, a, b, ends, segment)| {
            let tokens: Vec<String> = text.chars().map(|letter| format!("{:?}", letter.to_string())).collect();
            let times = vec![a.as_str(); tokens.len()].join(",");
            format!(
                "{{\"text\":{text:?},\"mode\":\"{mode}\",\"is_final\":{ends},\"segment\":{segment},\"start_time\":{b},\
             \"tokens\":[{}],\"timestamps\":[{times}],\"ys_probs\":[{times}],\"timestamp\":\"[[{a},{b}]]\"}}",
                tokens.join(",")
            )
        });
    let message =
        prop_oneof![4 => answer, 2 => "b{1,20}", 1 => "g{1,3}", 1 => "\\PC{0,20}", 1 => Just("Done!".to_owned())];
    proptest::collection::vec(message, 0..12).prop_map(|messages| messages.join("\0"))
}

#[expect(clippy::disallowed_methods, reason = "the test reads the committed corpus")]
fn replay(corpus: &str, check: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
    let mut scripts = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is committed") {
        let path = entry.expect("the folder can be listed").path();
        let script = std::fs::read(&path).expect("the script can be read");
        check(&script);
        scripts += 1;
    }
    assert!(scripts >= 5, "{scripts} scripts");
}
