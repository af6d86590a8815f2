//! Plain RTP: the same codec on both sides, which passes as it is; two that have to be transcoded; other packet times.

use super::{G722, L16, Lab, OPUS, PCMA, PCMU, PLAIN, Side, baresip, baresip_with, check, linphone};

fn all(name: &'static str, cases: &[(Side, Side)]) {
    let lab = Lab::up(name, PLAIN);
    for (caller, callee) in cases {
        check(&lab, *caller, *callee);
    }
}

#[test]
fn one_codec_passes_as_it_is() {
    all("same-codec", &[PCMU, PCMA, G722, OPUS, L16].map(|codec| (baresip(codec), baresip(codec))));
}

#[test]
fn two_codecs_are_transcoded() {
    let pairs = [(PCMU, OPUS), (OPUS, PCMA), (G722, PCMU), (PCMA, G722), (OPUS, G722), (L16, OPUS)];
    all("two-codecs", &pairs.map(|(caller, callee)| (baresip(caller), baresip(callee))));
}

/// Whoever speaks several is answered with the one that the other side takes.
#[test]
fn the_codec_that_both_speak_is_found() {
    const SEVERAL: &str = "PCMU/8000/1,opus/48000/2,PCMA/8000/1";
    all("several", &[(baresip(SEVERAL), baresip(PCMA)), (baresip(PCMA), baresip(SEVERAL))]);
}

#[test]
fn packet_times_of_their_own() {
    let (in_30, in_40) = (";ptime=30", ";ptime=40");
    all(
        "packet-times",
        &[
            (baresip_with(PCMU, in_30), baresip_with(PCMU, in_40)),
            (baresip_with(PCMA, in_30), baresip(OPUS)),
            (baresip(G722), baresip_with(OPUS, in_40)),
        ],
    );
}

#[test]
fn linphone_calls_and_is_called() {
    all(
        "linphone",
        &[
            (linphone(&["PCMA"]), baresip(PCMA)),
            (linphone(&["opus", "PCMA"]), baresip(PCMU)),
            (baresip(OPUS), linphone(&["opus"])),
            (baresip(PCMU), linphone(&["G722"])),
        ],
    );
}
