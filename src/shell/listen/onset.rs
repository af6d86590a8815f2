//! Tells when a party has begun to speak in earnest: long enough to be no breath, no cough, no "mhm".
//!
//! Counts frames of speech; what becomes of it is not decided here.

use std::time::Duration;

use nlu::{HOP, SAMPLE_RATE_HZ};

/// A pause up to this is inside a sentence: the closure of a stop, a breath between words.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// One party's speech.
#[derive(Debug)]
pub(super) struct Onset {
    /// Frames of speech that it takes.
    least: u32,
    /// Frames of speech since the last longer pause.
    speech: u32,
    /// Frames since the last one with speech.
    pause: u32,
    /// Frames since speech began.
    since: u32,
}

impl Onset {
    /// Waits for this much speech.
    pub(super) fn new(least: Duration) -> Self {
        Self { least: frames(least).max(1), speech: 0, pause: 0, since: 0 }
    }

    /// Takes the next frame; how long ago the party began when this is the one that makes it speech, once until the
    /// party pauses.
    pub(super) fn step(&mut self, speech: bool) -> Option<Duration> {
        if self.speech > 0 {
            self.since = self.since.saturating_add(1);
        }
        if !speech {
            self.pause = self.pause.saturating_add(1);
            if self.pause > frames(PAUSE_MAX) {
                (self.speech, self.since) = (0, 0);
            }
            return None;
        }
        self.pause = 0;
        self.since = self.since.max(1);
        self.speech = self.speech.saturating_add(1);
        (self.speech == self.least).then(|| HOP_TIME * self.since)
    }
}

const HOP_TIME: Duration = Duration::from_micros(HOP as u64 * 1_000_000 / SAMPLE_RATE_HZ as u64);

fn frames(span: Duration) -> u32 {
    (span.as_micros() / HOP_TIME.as_micros()).min(u128::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breath_is_no_speech() {
        check(&[(20, false), (9, true), (50, false), (30, true), (50, false)], &[]);
    }

    #[test]
    fn speech_is_told_once() {
        check(&[(20, false), (200, true)], &[(20 + 48, 480)]);
        check(&[(48, true), (30, false), (48, true)], &[(48, 480), (126, 480)]);
    }

    #[test]
    fn words_have_gaps() {
        // Three syllables of 160 ms with 100 ms between them: told with the last frame of the third.
        check(&[(16, true), (10, false), (16, true), (10, false), (16, true)], &[(68, 680)]);
        // With a pause between them they are three beginnings.
        check(&[(16, true), (21, false), (16, true), (21, false), (16, true)], &[]);
    }

    /// `parts` are frames with or without speech; `expected` the frame that tells, from 1, and what it tells, ms.
    #[track_caller]
    fn check(parts: &[(usize, bool)], expected: &[(usize, u64)]) {
        let mut onset = Onset::new(Duration::from_millis(480));
        let frames = parts.iter().flat_map(|&(count, speech)| std::iter::repeat_n(speech, count));
        let told: Vec<(usize, u64)> = frames
            .enumerate()
            .filter_map(|(at, speech)| Some((at + 1, onset.step(speech)?.as_millis() as u64)))
            .collect();
        assert_eq!(told, expected);
    }
}
