//! A capture of a call between foreign telephones that protect their audio.

use std::thread::sleep;

use calmline::notice::What;

use super::secured::{INSISTS, REQUIRED};
use super::{CALLEE_HZ, CALLER_HZ, Lab, PCMA, PLAIN, TALK, Terms, baresip, baresip_with};
use crate::captures::{Capturing, WITH_AUDIO, messages, sound_to};
use crate::stage::strength;

#[test]
fn what_is_protected_on_the_wire_is_heard_in_a_capture_and_no_key_is_in_it() {
    let (caller, callee) = (baresip_with(PCMA, INSISTS), baresip(PCMA));
    if !caller.is_there() {
        return;
    }
    let name = "captured-protected";
    let _ = std::fs::remove_dir_all(crate::stage::folder(name).join("kept"));
    let lab = Lab::up_with(name, Terms { caller: REQUIRED, ..PLAIN }, &[WITH_AUDIO]);
    let mut answering = lab.callee(callee);
    let mut calling = lab.caller(caller);
    calling.call(&lab.uri);
    let up = lab.stage.until("the answer", |what| matches!(what, What::CallAnswered { .. }));
    let capturing = Capturing::begin(&lab.stage, name, &up.call);
    sleep(TALK);
    calling.hang_up();
    let (datagrams, _) = capturing.end();
    answering.heard();

    let messages = messages(&datagrams);
    let keys: Vec<&str> = messages
        .iter()
        .flat_map(|message| message.split("inline:").skip(1))
        .map(|key| key.split(['\r', '|', ';', ' ']).next().unwrap_or_default())
        .collect();
    assert!(!keys.is_empty() && keys.iter().all(|key| key.bytes().all(|octet| octet == b'x')), "{keys:?}");
    for (ports, hz) in [(&lab.caller_ports, CALLEE_HZ), (&lab.callee_ports, CALLER_HZ)] {
        let (first, last) = ports.audio();
        let sound: Vec<i16> = (first..=last).flat_map(|port| sound_to(&datagrams, port)).collect();
        assert!(sound.len() > 8_000 && strength(&sound, hz) > 0.1, "{hz} Hz: {}", strength(&sound, hz));
    }
}
