//! Any bytes as AudioSocket frames: the same frames come out however they are cut, and audio is written as it was read.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use forks::audiosocket::{self, Decoder, Frame, FrameError};

/// The longest payload that is taken here.
const PAYLOAD_MAX: usize = 2_048;

/// Reads the bytes at once and one by one.
///
/// # Panics
/// When that makes a difference, or audio changes on its way.
pub fn check(bytes: &[u8]) {
    let whole = frames(bytes, bytes.len().max(1));
    assert_eq!(whole, frames(bytes, 1));
    for frame in whole.0 {
        if let Frame::Audio { rate, ref samples } = frame {
            let mut wire = Vec::new();
            audiosocket::write_audio(rate, samples, &mut wire);
            assert_eq!(frames(&wire, wire.len()), (vec![frame], None));
        }
    }
}

fn frames(bytes: &[u8], length: usize) -> (Vec<Frame>, Option<FrameError>) {
    let mut decoder = Decoder::new(PAYLOAD_MAX);
    let mut frames = Vec::new();
    for piece in bytes.chunks(length) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}
