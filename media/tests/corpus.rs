//! Replays the committed fuzz corpora.

#[path = "../fuzz/checks/dtmf_info.rs"]
mod dtmf_info;
#[path = "../fuzz/checks/recording.rs"]
mod recording;
#[path = "../fuzz/checks/rtcp.rs"]
mod rtcp;
#[path = "../fuzz/checks/rtp.rs"]
mod rtp;
#[path = "../fuzz/checks/sdes.rs"]
mod sdes;
#[path = "../fuzz/checks/sound.rs"]
mod sound;
#[path = "../fuzz/checks/srtp.rs"]
mod srtp;
#[path = "../fuzz/checks/stun.rs"]
mod stun;
#[path = "../fuzz/checks/telephone_event.rs"]
mod telephone_event;

#[test]
fn every_script_is_survived() {
    replay("rtp", rtp::check);
}

#[test]
fn every_rtcp_script_is_survived() {
    replay("rtcp", rtcp::check);
}

#[test]
fn every_protected_script_is_survived() {
    replay("srtp", srtp::check);
}

#[test]
fn every_key_line_is_survived() {
    replay("sdes", sdes::check);
}

#[test]
fn every_telephone_event_is_survived() {
    replay("telephone_event", telephone_event::check);
}

#[test]
fn every_info_body_is_survived() {
    replay("dtmf_info", dtmf_info::check);
}

#[test]
fn every_connectivity_check_is_survived() {
    replay("stun", stun::check);
}

#[test]
fn every_recording_is_what_its_head_says() {
    replay("recording", recording::check);
}

#[test]
fn every_prompt_is_survived() {
    replay("sound", sound::check);
}

#[expect(clippy::disallowed_methods, reason = "the test reads the committed corpus")]
fn replay(corpus: &str, check: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
    let mut scripts = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is committed") {
        let path = entry.expect("the folder can be listed").path();
        let script = std::fs::read(&path).expect("the script can be read");
        check(&script);
        // Cut anywhere, a script is still a script.
        (0..script.len()).for_each(|end| check(&script[..end]));
        scripts += 1;
    }
    assert!(scripts >= 10, "{scripts} scripts");
}
