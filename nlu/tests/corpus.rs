//! Replays the committed fuzz corpora.

#[path = "../fuzz/checks/lexicon.rs"]
mod lexicon;
#[path = "../fuzz/checks/masking.rs"]
mod masking;
#[path = "../fuzz/checks/phrases.rs"]
mod phrases;
#[path = "../fuzz/checks/reading.rs"]
mod reading;
#[path = "../fuzz/checks/streaming_graph.rs"]
mod streaming_graph;
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        lexicon::check(&bytes);
        reading::check(&bytes);
        text_card::check(&bytes);
        streaming_tokens::check(&bytes);
    }

    #[test]
    fn a_graph_with_other_bytes_is_refused_or_loaded(at in 0_usize..40_000, byte: u8) {
        let mut graph = include_bytes!("streaming/ctc/model.onnx").to_vec();
        let length = graph.len();
        graph[at % length] = byte;
        streaming_graph::check(&graph);
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
