//! When an utterance is over: three rules over how long nothing was said and how long the utterance is, as in Kaldi and
//! sherpa-onnx.

/// The rules; any one of them ends an utterance. Seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EndpointRules {
    /// So much silence, though nothing was understood.
    pub silence_s: f32,
    /// So much silence after something was understood.
    pub silence_after_words_s: f32,
    /// So long an utterance, whatever is said.
    pub utterance_s: f32,
}

impl Default for EndpointRules {
    /// Those of sherpa-onnx.
    fn default() -> Self {
        Self { silence_s: 2.4, silence_after_words_s: 1.2, utterance_s: 20.0 }
    }
}

/// Multiplied by and compared in single precision as in sherpa-onnx, where 120 frames are a hair less than 1.2 s.
const FRAME_S: f32 = 0.01;

impl EndpointRules {
    /// Whether an utterance of `frames` is over, of which the last `silent` said nothing (frames of 10 ms).
    pub fn is_end(&self, frames: u64, silent: u64) -> bool {
        let (length_s, silence_s) = (frames as f32 * FRAME_S, silent as f32 * FRAME_S);
        silence_s >= self.silence_s
            || (frames > silent && silence_s >= self.silence_after_words_s)
            || length_s >= self.utterance_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_rule_ends() {
        check(500, 120, false);
        check(500, 121, true);
        check(121, 121, false);
        check(240, 240, false);
        check(241, 241, true);
        check(1_999, 0, false);
        check(2_000, 0, true);
        check(0, 0, false);
    }

    #[track_caller]
    fn check(frames: u64, silent: u64, expected: bool) {
        assert_eq!(EndpointRules::default().is_end(frames, silent), expected, "{frames} frames, {silent} silent");
    }
}
