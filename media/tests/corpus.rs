//! Replays the committed fuzz corpus for RTP.

#[path = "../fuzz/checks/rtp.rs"]
mod rtp;

#[test]
#[expect(clippy::disallowed_methods, reason = "the test reads the committed corpus")]
fn every_script_is_survived() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/rtp");
    let mut scripts = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is committed") {
        let path = entry.expect("the folder can be listed").path();
        let script = std::fs::read(&path).expect("the script can be read");
        rtp::check(&script);
        // Cut anywhere, a script is still a script.
        (0..script.len()).for_each(|end| rtp::check(&script[..end]));
        scripts += 1;
    }
    assert!(scripts >= 10, "{scripts} scripts");
}
