//! Any telephone-event packets at any time: every key that goes down comes up once, and nothing else is told.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::time::Duration;

use media::dtmf::{Press, Receiver};

/// Reads `script` as records: 4 ms steps to wait, marker and timestamp, length of a payload, the payload.
///
/// # Panics
/// When something is told that must not be.
pub fn check(script: &[u8]) {
    let mut receiver = Receiver::new(8_000);
    let mut now = Duration::ZERO;
    let mut out = Vec::new();
    let mut rest = script;
    while let Some((&[wait, stamp, length], after)) = rest.split_first_chunk::<3>() {
        let (payload, after) = after.split_at(usize::from(length & 7).min(after.len()));
        now += Duration::from_millis(u64::from(wait) * 4);
        receiver.tick(now, &mut out);
        // Steps of 20 ms; the highest ones reach around the circle.
        let timestamp = if stamp & 0x7f < 0x70 { u32::from(stamp & 0x7f) * 160 } else { u32::from(stamp) << 24 };
        let before = out.len();
        receiver.handle(now, timestamp, stamp & 0x80 != 0, payload, &mut out);
        assert!(out.len() - before <= 3, "one packet told {:?}", &out[before..]);
        rest = after;
    }

    while let Some(deadline) = receiver.deadline() {
        receiver.tick(deadline, &mut out);
    }
    for pair in out.chunks(2) {
        let [Press::Down(down), Press::Up { key: up, .. }] = pair else { panic!("{pair:?}") };
        assert_eq!(down, up);
    }
}
