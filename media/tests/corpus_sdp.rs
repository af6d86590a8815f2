//! Replays the committed fuzz corpus for session descriptions.

#[path = "../fuzz/checks/sdp.rs"]
mod sdp;

#[test]
#[expect(clippy::disallowed_methods, reason = "the test reads the committed corpus")]
fn every_description_is_survived() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/sdp");
    let mut descriptions = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is committed") {
        let path = entry.expect("the folder can be listed").path();
        let description = std::fs::read(&path).expect("the description can be read");
        // Cut anywhere, a description is still a description.
        (0..=description.len()).for_each(|end| sdp::check(&description[..end]));
        descriptions += 1;
    }
    assert!(descriptions >= 16, "{descriptions} descriptions");
}
