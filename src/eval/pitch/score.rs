//! Counts what a pitch track got wrong.

use serde::Serialize;

use super::truth::Truth;

/// One frame of a track: its middle, and the pitch there, 0 when unvoiced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tracked {
    pub(super) time_s: f64,
    pub(super) hz: f32,
}

/// A pitch further off than this is a gross error.
const GROSS: f32 = 0.2;

/// Frames counted so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Score {
    frames: u64,
    both_voiced: u64,
    gross: u64,
    voicing: u64,
    cents: f64,
}

/// The usual figures (Chu & Alwan 2009), and the fine error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Figures {
    /// Frames scored.
    pub(super) frames: u64,
    /// Gross pitch errors: more than 20 % off, among the frames that are voiced in truth and track.
    pub(super) gpe_percent: f64,
    /// F0 frame errors: gross or wrongly voiced, among all frames.
    pub(super) ffe_percent: f64,
    /// Wrongly voiced or unvoiced, among all frames.
    pub(super) vde_percent: f64,
    /// Mean absolute error of what is no gross error.
    pub(super) fine_cents: f64,
}

impl Score {
    /// Counts the frames of `track` at whose time the truth is known.
    pub(super) fn add(&mut self, truth: &Truth, track: &[Tracked]) {
        for frame in track {
            let Some(true_hz) = truth.at(frame.time_s) else { continue };
            self.frames += 1;
            if (true_hz > 0.0) != (frame.hz > 0.0) {
                self.voicing += 1;
            } else if true_hz > 0.0 {
                self.both_voiced += 1;
                let ratio = frame.hz / true_hz;
                if (ratio - 1.0).abs() > GROSS {
                    self.gross += 1;
                } else {
                    self.cents += f64::from((1_200.0 * ratio.log2()).abs());
                }
            }
        }
    }

    pub(super) fn figures(&self) -> Figures {
        let share = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
        Figures {
            frames: self.frames,
            gpe_percent: share(self.gross, self.both_voiced),
            ffe_percent: share(self.gross + self.voicing, self.frames),
            vde_percent: share(self.voicing, self.frames),
            fine_cents: self.cents / (self.both_voiced - self.gross).max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let truth = Truth::new(vec![(0.0, Some(100.0)), (0.01, Some(100.0)), (0.02, Some(0.0)), (0.03, None)]);
        // Right by a semitone, an octave off, a false alarm, unknown.
        check(&truth, &[100.0 * 1.059_463_1, 200.0, 90.0, 50.0], [3, 1, 1, 1]);
        check(&truth, &[0.0, 100.0, 0.0, 0.0], [3, 0, 1, 0]);
    }

    /// `expected`: frames scored, gross errors, voicing errors, whole semitones of fine error.
    #[track_caller]
    fn check(truth: &Truth, track: &[f32], expected: [u64; 4]) {
        let mut score = Score::default();
        let track: Vec<Tracked> =
            track.iter().enumerate().map(|(i, &hz)| Tracked { time_s: 0.01 * i as f64, hz }).collect();
        score.add(truth, &track);
        let found = [score.frames, score.gross, score.voicing, (score.cents / 100.0).round() as u64];
        assert_eq!(found, expected);
    }
}
