//! Chooses a pitch, or none, for each frame: the most probable path through the candidates (Viterbi).
//!
//! Looks [`DELAY`] frames ahead and no further, so what comes out is final.

use super::candidates::CANDIDATES;
use crate::math::ln;

/// Frames of look-ahead.
pub(super) const DELAY: usize = 4;

/// What a semitone from one frame to the next costs, and the most that a jump costs.
const STEP_COST: f32 = 0.5;
const JUMP_COST_MAX: f32 = 8.0;
/// What starting or ending to be voiced costs.
const CHANGE_COST: f32 = 3.0;
/// What a voiced frame is worth more than an unvoiced one: only its states pay for the doubt which candidate is right.
const VOICED_FAVOUR: f32 = 0.6;
/// Frames to each side of one through which its pitch is smoothed, and the largest step that is followed, octaves.
const REACH: usize = DELAY;
const STEP_MAX: f32 = 0.2;
/// What a neighbour counts by its distance: a Gaussian curve, deviation 2.5 frames.
const NEARNESS: [f32; REACH] = [0.923, 0.726, 0.487, 0.278];
/// What speaks for a straight and for a level contour, in the sums of distances to the fourth and to the second power.
const STRAIGHT: f32 = 1.0;
const LEVEL: f32 = 0.2;

/// The state "unvoiced" stands first, the candidates after it.
const STATES: usize = CANDIDATES + 1;
const UNVOICED: usize = 0;

/// One frame's states: where each is, and how good by itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Column {
    /// log2 of Hz, per candidate.
    pub(super) octaves: [f32; CANDIDATES],
    /// Log-probability of each candidate to be the right one, if any is.
    pub(super) chances: [f32; CANDIDATES],
    pub(super) count: usize,
    /// Probability of being voiced.
    pub(super) voicing: f32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Step {
    column: Column,
    /// Best sum up to here, per state; the best of all is 0.
    scores: [f32; STATES],
    /// The state before, on the way there.
    previous: [u8; STATES],
}

/// What is final about a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Decision {
    /// log2 of Hz.
    pub(super) octave: Option<f32>,
    pub(super) voicing: f32,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Path {
    steps: [Step; DELAY + 1],
    frames: usize,
    /// The last decisions before smoothing, newest first.
    before: [Option<f32>; REACH],
}

impl Path {
    /// Takes the next frame and decides on the frame [`DELAY`] before it, once there is one.
    #[inline(always)]
    pub(super) fn push(&mut self, column: &Column) -> Option<Decision> {
        let at = self.frames % (DELAY + 1);
        let before = self.steps[(self.frames + DELAY) % (DELAY + 1)];
        let mut step = Step { column: *column, ..Step::default() };
        if self.frames > 0 {
            before.best_ways_to(column, &mut step);
        }
        step.scores[UNVOICED] += ln((1.0 - column.voicing).max(CHANCE_MIN));
        let voiced = ln(column.voicing.max(CHANCE_MIN)) + VOICED_FAVOUR;
        let mut top = (UNVOICED, step.scores[UNVOICED]);
        for (i, chance) in column.chances[..column.count].iter().enumerate() {
            step.scores[i + 1] += voiced + chance;
            if step.scores[i + 1] > top.1 {
                top = (i + 1, step.scores[i + 1]);
            }
        }
        step.scores.iter_mut().for_each(|score| *score -= top.1);
        self.steps[at] = step;
        self.frames += 1;
        (self.frames > DELAY).then(|| self.decide(at, top.0))
    }

    /// Follows the path back from `state` of the newest frame to the oldest one.
    #[inline(always)]
    fn decide(&mut self, newest: usize, mut state: usize) -> Decision {
        let mut octaves = [None; DELAY + 1];
        let mut voicing = 0.0;
        for back in 0..=DELAY {
            let step = &self.steps[(newest + DELAY + 1 - back) % (DELAY + 1)];
            octaves[DELAY - back] = step.column.octave(state);
            voicing = step.column.voicing;
            state = usize::from(step.previous[state]);
        }
        let octave = octaves[0].map(|octave| smooth(octave, &octaves[1..=REACH], &self.before));
        self.before.rotate_right(1);
        self.before[0] = octaves[0];
        Decision { octave, voicing }
    }
}

impl Column {
    /// `None` is the unvoiced state.
    #[inline(always)]
    fn octave(&self, state: usize) -> Option<f32> {
        state.checked_sub(1).map(|i| self.octaves[i])
    }
}

/// No state is impossible.
const CHANCE_MIN: f32 = 1e-6;

impl Step {
    /// Writes into `step`, whose column comes next, from where each of its states is reached best, and the score on
    /// arrival.
    #[inline(always)]
    fn best_ways_to(&self, next: &Column, step: &mut Step) {
        let (mut scores, mut previous) = ([self.scores[UNVOICED] - CHANGE_COST; CANDIDATES], [0u8; CANDIDATES]);
        step.scores[UNVOICED] = self.scores[UNVOICED];
        for (i, octave) in self.column.octaves[..self.column.count].iter().enumerate() {
            let score = self.scores[i + 1];
            for to in 0..CANDIDATES {
                let cost = (12.0 * STEP_COST * (octave - next.octaves[to]).abs()).min(JUMP_COST_MAX);
                let is_better = score - cost > scores[to];
                scores[to] = if is_better { score - cost } else { scores[to] };
                previous[to] = if is_better { i as u8 + 1 } else { previous[to] };
            }
            if score - CHANGE_COST > step.scores[UNVOICED] {
                step.scores[UNVOICED] = score - CHANGE_COST;
                step.previous[UNVOICED] = i as u8 + 1;
            }
        }
        step.scores[1..].copy_from_slice(&scores);
        step.previous[1..].copy_from_slice(&previous);
    }
}

/// The value at its middle of the parabola through an octave and its neighbours on both sides (nearest first), as far
/// as they go on without a jump.
///
/// Weighted least squares, with the bend and the slope held towards 0: few neighbours, or those of one side only, tell little of
/// either.
#[inline(always)]
fn smooth(octave: f32, after: &[Option<f32>], before: &[Option<f32>]) -> f32 {
    // Weighted sums of powers of time, and of what is above the octave times them.
    let (mut powers, mut rises) = ([1.0f32, 0.0, 0.0, 0.0, 0.0], [0.0f32; 3]);
    for (neighbours, direction) in [(after, 1.0f32), (before, -1.0)] {
        let mut last = octave;
        for ((distance, neighbour), weight) in neighbours.iter().enumerate().zip(NEARNESS) {
            let Some(value) = neighbour.filter(|value| (value - last).abs() < STEP_MAX) else { break };
            let time = direction * (distance + 1) as f32;
            let mut power = weight;
            for (i, sum) in powers.iter_mut().enumerate() {
                *sum += power;
                if let Some(rise) = rises.get_mut(i) {
                    *rise += power * (value - octave);
                }
                power *= time;
            }
            last = value;
        }
    }
    let [count, times, squares, cubes, fourths] = powers;
    let [rise, by_time, by_square] = rises;
    // Cramer's rule for the value at time 0.
    let (slope, bend) = (squares + LEVEL, fourths + STRAIGHT);
    let own = slope * bend - cubes * cubes;
    let determinant =
        count * own - times * (times * bend - cubes * squares) + squares * (times * cubes - slope * squares);
    let value =
        rise * own - times * (by_time * bend - cubes * by_square) + squares * (by_time * cubes - slope * by_square);
    octave + value / determinant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_octave_error_between_good_frames_is_mended() {
        // The wrong candidate is better by itself in one frame only.
        let column = |wrong: f32| Column {
            octaves: std::array::from_fn(|i| 7.0 + i as f32),
            chances: std::array::from_fn(|i| if i == 0 { -0.4 } else { wrong }),
            count: 2,
            voicing: 0.95,
        };
        let chances = [-2.0, -2.0, -2.0, -2.0, -0.1, -2.0, -2.0, -2.0, -2.0, -2.0];
        let mut path = Path::default();
        let found: Vec<Option<f32>> =
            chances.iter().filter_map(|&wrong| path.push(&column(wrong))).map(|decision| decision.octave).collect();
        assert_eq!(found, vec![Some(7.0); chances.len() - DELAY]);
    }

    #[test]
    fn smoothing_keeps_lines_and_bows_and_stops_at_jumps() {
        check(7.2, &[7.23, 7.26, 7.29, 7.32], &[7.17, 7.14, 7.11, 7.08], 7.2);
        check(7.2, &[7.21, 7.24, 7.29, 7.36], &[7.21, 7.24, 7.29, 7.36], 7.2);
        check(7.2, &[7.23], &[7.17, 6.1], 7.2);
        check(7.2, &[8.2, 7.2], &[], 7.2);
        check(7.23, &[7.2; REACH], &[7.2; REACH], 7.209);
        check(7.2, &[7.23, 7.26, 7.29, 7.32], &[], 7.204);
    }

    #[track_caller]
    fn check(octave: f32, after: &[f32], before: &[f32], expected: f32) {
        let some = |values: &[f32]| values.iter().copied().map(Some).collect::<Vec<_>>();
        let got = smooth(octave, &some(after), &some(before));
        assert!((got - expected).abs() < 0.002, "{got} instead of {expected}");
    }
}
