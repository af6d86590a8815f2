//! What holds for any bytes that somebody uploads as a recording: what the head is taken for, the audio is.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::io::Cursor;

use media::wav::{CHANNELS_MAX, Channel, RATE_HZ, RATE_HZ_RANGE, SECONDS_MAX, look, read, read_at};

/// Looks at the head, then reads the last channel.
///
/// # Panics
/// When a head is taken whose audio is not, or the audio is another than the head says.
pub fn check(bytes: &[u8]) {
    let whole = read(bytes, Channel::Only(0));
    let Ok(shape) = look(Cursor::new(bytes)) else { return };
    assert!((1..=CHANNELS_MAX).contains(&shape.channels) && RATE_HZ_RANGE.contains(&shape.rate_hz), "{shape:?}");
    assert!(shape.frames <= u64::from(SECONDS_MAX) * u64::from(shape.rate_hz), "{shape:?}");
    let whole = whole.expect("its head was taken");
    assert!(whole.samples.iter().all(|sample| sample.is_finite()));
    assert_eq!((whole.rate_hz, whole.channels), (shape.rate_hz, shape.channels));
    let last = read_at(bytes, Channel::Only(shape.channels - 1), shape.rate_hz).expect("it has that channel");
    assert_eq!(last.samples.len() as u64, shape.frames);
    assert!(shape.rate_hz != RATE_HZ || whole.samples.len() as u64 == shape.frames);
}
