//! Replays the committed corpora of `fuzz`, so that what was found once stays fixed without a fuzzer at hand.

#[path = "../fuzz/checks/chat.rs"]
mod chat;
#[path = "../fuzz/checks/compliance.rs"]
mod compliance;
#[path = "../fuzz/checks/knowledge.rs"]
mod knowledge;
#[path = "../fuzz/checks/rows.rs"]
mod rows;

use proptest::prelude::*;

#[test]
fn every_knowledge_file_is_read_or_refused() {
    replay("knowledge", knowledge::check);
}

#[test]
fn every_list_of_phrases_is_read_or_refused() {
    replay("compliance", compliance::check);
}

#[test]
fn every_export_is_read_or_refused() {
    replay("rows", rows::check);
}

#[test]
fn every_body_of_a_chat_is_read_or_refused() {
    replay("chat", chat::check);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_octets_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        knowledge::check(&octets);
        compliance::check(&octets);
        rows::check(&octets);
        chat::check(&octets);
    }

    /// Damaged files come closer to the readers' branches than noise does.
    #[test]
    fn shipped_files_with_other_pieces_are_read_or_refused(
        at in any::<prop::sample::Index>(), put in "[\\[\\]{}=\",a-z0-9.\n-]{0,6}",
    ) {
        for (text, check) in [(KNOWLEDGE, knowledge::check as fn(&[u8])), (PHRASES, compliance::check)] {
            let at = text.char_indices().nth(at.index(text.chars().count())).map_or(0, |(at, _)| at);
            check(format!("{}{put}{}", &text[..at], &text[at..]).as_bytes());
        }
    }
}

const KNOWLEDGE: &str = include_str!("../config/knowledge/banking.toml");
const PHRASES: &str = include_str!("../config/compliance/phrases.toml");

fn replay(corpus: &str, check: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
    let mut scripts = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is committed") {
        let path = entry.expect("the folder can be listed").path();
        check(&std::fs::read(&path).expect("the script can be read"));
        scripts += 1;
    }
    assert!(scripts >= 5, "{scripts} scripts");
}
