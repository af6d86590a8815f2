//! The fuzz corpus once more in every test run: what was found once stays fixed, without a fuzzer at hand.

mod shipped;

#[path = "../fuzz/checks/interactions.rs"]
mod interactions;

use std::collections::BTreeMap;

use routing::Policy;

#[test]
fn every_text_is_read_or_refused_as_before() {
    let good: BTreeMap<&str, usize> = CORPUS
        .iter()
        .filter_map(|&(name, text)| Policy::parse(text).ok().map(|policy| (name, policy.rules.len())))
        .collect();
    let expected = [
        ("after-sales", 2),
        ("banking", 11),
        ("chinese", 1),
        ("ecommerce", 11),
        ("finance", 2),
        ("government", 11),
        ("travel", 11),
    ];
    assert_eq!(good, BTreeMap::from(expected));
}

#[expect(clippy::disallowed_methods, reason = "the test reads the committed corpus")]
#[test]
fn every_set_of_interactions_is_replayed_or_refused() {
    let policies = shipped::policies();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/interactions");
    let mut sets = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is committed") {
        let path = entry.expect("the folder can be listed").path();
        interactions::check(&policies, &std::fs::read(&path).expect("the set can be read"));
        sets += 1;
    }
    assert!(sets >= 10, "{sets} sets");
}

#[test]
fn the_corpus_has_the_shipped_policies() {
    for (name, shipped) in [
        ("after-sales", include_str!("../../config/policies/after-sales.toml")),
        ("finance", include_str!("../../config/policies/finance.toml")),
        ("banking", include_str!("../../config/policies/banking.toml")),
        ("ecommerce", include_str!("../../config/policies/ecommerce.toml")),
        ("government", include_str!("../../config/policies/government.toml")),
        ("travel", include_str!("../../config/policies/travel.toml")),
    ] {
        assert!(CORPUS.contains(&(name, shipped)), "copy {name}.toml into routing/fuzz/corpus/policy");
    }
}

const CORPUS: [(&str, &str); 12] = [
    ("after-sales", include_str!("../fuzz/corpus/policy/after-sales.toml")),
    ("bad_values", include_str!("../fuzz/corpus/policy/bad_values.toml")),
    ("chinese", include_str!("../fuzz/corpus/policy/chinese.toml")),
    ("deep", include_str!("../fuzz/corpus/policy/deep.toml")),
    ("empty", include_str!("../fuzz/corpus/policy/empty.toml")),
    ("finance", include_str!("../fuzz/corpus/policy/finance.toml")),
    ("banking", include_str!("../fuzz/corpus/policy/banking.toml")),
    ("ecommerce", include_str!("../fuzz/corpus/policy/ecommerce.toml")),
    ("government", include_str!("../fuzz/corpus/policy/government.toml")),
    ("travel", include_str!("../fuzz/corpus/policy/travel.toml")),
    ("not_toml", include_str!("../fuzz/corpus/policy/not_toml.toml")),
    ("wrong_types", include_str!("../fuzz/corpus/policy/wrong_types.toml")),
];
