//! Whether a party's line brings the other party's voice back: how alike the contours of both are, one of them later.
//!
//! Compares the shape of the spectrum, not samples: a handset, a codec and a room change these, and hardly that. Hears one
//! voice as an echo of the other, not two people who speak at once.

use std::collections::VecDeque;
use std::ops::Range;

use prosody::{Descriptor, Row};

/// What is compared, each less its mean.
const CONTOURS: [Descriptor; 6] = [
    Descriptor::Mfcc1,
    Descriptor::Mfcc2,
    Descriptor::Mfcc3,
    Descriptor::Mfcc4,
    Descriptor::AlphaRatio,
    Descriptor::HammarbergIndex,
];
/// Hops that are compared at a time (1 s), how often (0.25 s), and how many of them have to be speech on both lines.
const WINDOW: u64 = 100;
const STEP: u64 = 25;
const SPEECH_MIN: usize = 45;
/// The longest way back: hops (0.6 s).
const LAG_MAX: u64 = 60;
const LAG_STEP: usize = 2;
/// Mean correlation of the contours from which one is the echo of the other.
const ALIKE: f32 = 0.6;
/// An echo is not louder than this beside the voice, dB.
const LOUDER_DB: f32 = 3.0;
/// What is kept of a line, hops (5 s): the lines are not heard at the same moment.
const KEPT: usize = 500;

/// Two lines of one conversation.
#[derive(Debug, Default)]
pub struct Echo {
    lines: [Line; 2],
}

#[derive(Debug, Default)]
struct Line {
    /// The hop of `frames[0]`, counted for both lines alike.
    first: u64,
    frames: VecDeque<Frame>,
    /// Where the next window ends that is compared.
    due: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    contours: [f32; CONTOURS.len()],
    level_db: f32,
    speech: bool,
}

impl Echo {
    /// Takes the next hop of one of the two lines (0 or 1); `hop` counts hops of 10 ms from a moment that is the same for
    /// both. What turns out to be an echo: on which line, and in which hops.
    pub fn push(&mut self, line: usize, hop: u64, row: &Row, speech: bool) -> Vec<(usize, Range<u64>)> {
        let frame = Frame { contours: CONTOURS.map(|contour| row.get(contour)), level_db: row.level.dbov, speech };
        self.lines[line].push(hop, frame);
        // What comes may be what either line was waiting for.
        (0..2).filter_map(|own| Some((own, self.compare(own)?))).collect()
    }

    /// Compares the window of a line that is due, if both lines have come so far.
    fn compare(&mut self, own: usize) -> Option<Range<u64>> {
        let end = self.lines[own].due;
        if end < WINDOW || self.lines.iter().any(|line| line.end() < end) {
            return None;
        }
        self.lines[own].due += STEP;
        let window = end - WINDOW..end;
        let (line, other) = (&self.lines[own], &self.lines[1 - own]);
        let before = window.start.saturating_sub(LAG_MAX)..window.end;
        if line.speech(&window) < SPEECH_MIN || other.speech(&before) < SPEECH_MIN {
            return None;
        }
        (0..=LAG_MAX).step_by(LAG_STEP).any(|lag| alike(line, other, &window, lag) >= ALIKE).then_some(window)
    }
}

impl Line {
    fn push(&mut self, hop: u64, frame: Frame) {
        if hop < self.end() {
            return;
        }
        // Behind a longer gap there is nothing to compare with.
        if hop - self.end() > WINDOW {
            self.frames.clear();
            self.first = hop;
            self.due = hop.next_multiple_of(STEP) + WINDOW;
        }
        while self.end() < hop {
            self.frames.push_back(Frame::default());
        }
        self.frames.push_back(frame);
        if self.frames.len() > KEPT {
            self.frames.pop_front();
            self.first += 1;
        }
        // The other line may have ended: then nobody waits for it.
        let earliest = self.first + WINDOW;
        if self.due < earliest {
            self.due = earliest.next_multiple_of(STEP);
        }
    }

    fn end(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    fn at(&self, hop: u64) -> Option<&Frame> {
        self.frames.get(usize::try_from(hop.checked_sub(self.first)?).ok()?)
    }

    fn speech(&self, hops: &Range<u64>) -> usize {
        hops.clone().filter_map(|hop| self.at(hop)).filter(|frame| frame.speech).count()
    }
}

/// How alike a window of a line is to what the other line had `lag` hops before: the mean correlation of the contours where
/// both have speech, -1 to 1; 0 where there is too little of it, or it is too loud for an echo.
fn alike(line: &Line, other: &Line, window: &Range<u64>, lag: u64) -> f32 {
    let pairs = window.clone().filter_map(|hop| Some((line.at(hop)?, other.at(hop.checked_sub(lag)?)?)));
    let pairs: Vec<(&Frame, &Frame)> = pairs.filter(|(own, theirs)| own.speech && theirs.speech).collect();
    if pairs.len() < SPEECH_MIN {
        return 0.0;
    }
    let louder = pairs.iter().map(|(own, theirs)| own.level_db - theirs.level_db).sum::<f32>() / pairs.len() as f32;
    if louder > LOUDER_DB {
        return 0.0;
    }
    let correlations = (0..CONTOURS.len()).map(|contour| {
        let values = pairs.iter().map(|(own, theirs)| (own.contours[contour], theirs.contours[contour]));
        correlation(values, pairs.len() as f32)
    });
    correlations.sum::<f32>() / CONTOURS.len() as f32
}

fn correlation(pairs: impl Iterator<Item = (f32, f32)> + Clone, count: f32) -> f32 {
    let (x, y) = pairs.clone().fold((0.0, 0.0), |(x, y), pair| (x + pair.0, y + pair.1));
    let (x, y) = (x / count, y / count);
    let (xx, yy, xy) = pairs.fold((0.0, 0.0, 0.0), |(xx, yy, xy), pair| {
        let (dx, dy) = (pair.0 - x, pair.1 - y);
        (xx + dx * dx, yy + dy * dy, xy + dx * dy)
    });
    if xx * yy > 0.0 { xy / (xx * yy).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use prosody::synthetic::{Kind, Plan, Voice, half_rate, telephone_band};

    use super::*;
    use crate::{Extractor, HOP};

    #[test]
    fn a_voice_that_comes_back_is_an_echo_on_the_line_that_brings_it() {
        let voice = speech(140.0, 5);
        for delay_ms in [40, 250, 500] {
            let echoed = returned(&voice, delay_ms, 0.2);
            let found = found(&voice, &echoed);
            assert!(found.len() >= 8, "{delay_ms} ms: {found:?}");
            assert!(found.iter().all(|(line, _)| *line == 1), "{delay_ms} ms: {found:?}");
        }
    }

    #[test]
    fn two_voices_are_none() {
        assert_eq!(found(&speech(140.0, 5), &speech(150.0, 9)), []);
        assert_eq!(found(&speech(140.0, 5), &vec![0.0; 48_000]), []);
    }

    #[test]
    fn a_line_that_ends_holds_up_nothing_and_what_is_kept_is_bounded() {
        let mut echo = Echo::default();
        let rows = rows(&speech(140.0, 5));
        for times in 0..4 {
            for (row, speech) in &rows {
                let hop = times * 700 + row.position / HOP as u64;
                assert_eq!(echo.push(0, hop, row, *speech), []);
            }
        }
        assert!(echo.lines[0].frames.len() <= KEPT);
        echo.push(0, u64::MAX / 2, &rows[0].0, true);
        assert_eq!(echo.lines[0].frames.len(), 1, "a gap is not filled");
    }

    fn found(first: &[f32], second: &[f32]) -> Vec<(usize, Range<u64>)> {
        let (first, second) = (rows(first), rows(second));
        let mut echo = Echo::default();
        let mut found = Vec::new();
        for (one, two) in first.iter().zip(&second) {
            let hop = 1_000 + one.0.position / HOP as u64;
            found.extend(echo.push(0, hop, &one.0, one.1));
            found.extend(echo.push(1, hop, &two.0, two.1));
        }
        found
    }

    fn rows(samples: &[f32]) -> Vec<(Row, bool)> {
        let mut rows = Vec::new();
        Extractor::default().push(samples, &mut |row, speech| rows.push((*row, speech)), &mut Vec::new());
        rows
    }

    /// The voice as a line brings it back: later, softer, duller.
    fn returned(voice: &[f32], delay_ms: usize, gain: f32) -> Vec<f32> {
        let mut out = vec![0.0; 8 * delay_ms];
        let mut before = 0.0;
        out.extend(voice.iter().map(|&sample| {
            let dull = sample + 0.4 * before;
            before = sample;
            gain * dull
        }));
        out.truncate(voice.len());
        out
    }

    fn speech(pitch_hz: f32, seed: u64) -> Vec<f32> {
        let voice = Voice::of(&Plan { seconds: 6.0, ..Plan::new(Kind::Phrases, pitch_hz, seed) });
        telephone_band(&half_rate(&voice.samples))
    }
}
