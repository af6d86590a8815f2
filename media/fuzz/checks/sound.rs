//! What holds for any bytes that somebody calls a prompt: WAV and Opus in Ogg.

/// Reads the bytes; what is taken is bounded and is sound.
pub fn check(bytes: &[u8]) {
    if let Ok(recording) = media::sound::read(bytes) {
        let longest = media::wav::SECONDS_MAX as usize * media::wav::RATE_HZ as usize;
        // A change of rate may add a block.
        assert!(recording.samples.len() <= longest + 1_024);
        assert!(recording.samples.iter().all(|sample| sample.is_finite()));
        assert_eq!(recording.to_sound().samples.len(), recording.samples.len());
    }
}
