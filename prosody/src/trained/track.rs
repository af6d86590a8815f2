//! Chooses a pitch, or none, for each frame: the cheapest path through the candidates (Viterbi).
//!
//! Looks `DELAY` frames ahead and no further, so the choice of a frame is final when it comes out.
//! Costs follow Boersma 1993: strength, a small bias against low pitch, jumps in octaves, changes of voicing;
//! besides, a small cost for pitches far from the speaker's habit of the last seconds.

use super::pitch::{CANDIDATES, Candidates, PITCH_HZ};

/// Frames of look-ahead (70 ms).
pub(crate) const DELAY: usize = 7;

/// Strength that a candidate needs to be called voiced.
const VOICED_STRENGTH: f32 = 0.36;
/// What an octave lower costs, so that a multiple of the period does not win.
const OCTAVE_COST: f32 = 0.045;
/// What a jump of an octave from one frame to the next costs.
const JUMP_COST: f32 = 0.5;
/// What starting or ending to be voiced costs.
const CHANGE_COST: f32 = 0.3;
/// Strength over which the voicing probability grows by the factor e in its odds.
const VOICING_SLOPE: f32 = 0.08;

/// What a pitch costs that is far from the speaker's habit. Small: an angry voice may jump by an octave.
const STRANGE_COST: f32 = 0.09;
/// The distance from the habit that costs half of it, octaves.
const STRANGE_OCTAVES: f32 = 0.42;
/// How the habit forgets per voiced frame (half in 2.3 s of voice), and voiced frames until it is trusted.
const HABIT_KEPT: f32 = 0.997;
const HABIT_FRAMES: f32 = 50.0;

/// The state "unvoiced" stands first, the voiced candidates after it.
const STATES: usize = CANDIDATES + 1;

/// What is final about a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Decision {
    pub(crate) pitch_hz: Option<f32>,
    pub(crate) voicing: f32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Column {
    candidates: Candidates,
    /// Best sum of gains less costs of a path that ends here, per state; the best of all is 0.
    scores: [f32; STATES],
    /// The state before, on that path.
    previous: [u8; STATES],
}

/// Where the speaker's pitch has been lately: a fading mean in octaves, and how much it is trusted, 0-1.
#[derive(Debug, Clone, Copy, Default)]
struct Habit {
    sum: f32,
    weight: f32,
}

impl Habit {
    fn learn(&mut self, octave: f32) {
        self.sum = self.sum * HABIT_KEPT + octave;
        self.weight = self.weight * HABIT_KEPT + 1.0;
    }

    fn cost(&self, octave: f32) -> f32 {
        if self.weight == 0.0 {
            return 0.0;
        }
        let distance = ((octave - self.sum / self.weight) / STRANGE_OCTAVES).powi(2);
        STRANGE_COST * (self.weight / HABIT_FRAMES).min(1.0) * distance / (1.0 + distance)
    }
}

pub(crate) struct Tracker {
    columns: [Column; DELAY + 1],
    frames: usize,
    habit: Habit,
}

impl Tracker {
    pub(crate) fn new() -> Self {
        Self { columns: [Column::default(); DELAY + 1], frames: 0, habit: Habit::default() }
    }

    /// Takes a frame's candidates and decides on the frame `DELAY` frames before, once there is one.
    pub(crate) fn push(&mut self, candidates: &Candidates) -> Option<Decision> {
        let at = self.frames % (DELAY + 1);
        let before = self.columns[(self.frames + DELAY) % (DELAY + 1)];
        let first = self.frames == 0;
        let column = &mut self.columns[at];
        *column = Column { candidates: *candidates, ..Column::default() };
        for state in 0..=candidates.as_slice().len() {
            let (previous, score) = if first { (0, 0.0) } else { before.best_way_to(column.octave(state)) };
            column.previous[state] = previous as u8;
            column.scores[state] = score + column.gain(state, &self.habit);
        }
        let best = column.best();
        let top = column.scores[best];
        column.scores.iter_mut().for_each(|score| *score -= top);
        self.frames += 1;
        if self.frames <= DELAY {
            return None;
        }
        let decision = self.decide(at, best);
        if let Some(hz) = decision.pitch_hz {
            self.habit.learn(hz.log2());
        }
        Some(decision)
    }

    /// Follows the path back from `state` of the newest column to the oldest one.
    fn decide(&self, newest: usize, mut state: usize) -> Decision {
        for back in 0..DELAY {
            let column = &self.columns[(newest + DELAY + 1 - back) % (DELAY + 1)];
            state = usize::from(column.previous[state]);
        }
        self.columns[(newest + 1) % (DELAY + 1)].decision(state)
    }
}

impl Column {
    /// `None` is the unvoiced state.
    fn octave(&self, state: usize) -> Option<f32> {
        state.checked_sub(1).map(|i| self.candidates.as_slice()[i].octave)
    }

    fn gain(&self, state: usize, habit: &Habit) -> f32 {
        match state.checked_sub(1).map(|i| self.candidates.as_slice()[i]) {
            None => VOICED_STRENGTH + self.candidates.quiet,
            Some(candidate) => {
                let low = PITCH_HZ.1.log2() - candidate.octave;
                candidate.strength - OCTAVE_COST * low - habit.cost(candidate.octave)
            }
        }
    }

    /// The state from which `octave` of the next column is reached best, and the score on arrival.
    fn best_way_to(&self, octave: Option<f32>) -> (usize, f32) {
        let mut best = (0, f32::NEG_INFINITY);
        for state in 0..=self.candidates.as_slice().len() {
            let cost = match (self.octave(state), octave) {
                (None, None) => 0.0,
                (Some(from), Some(to)) => JUMP_COST * (from - to).abs(),
                _ => CHANGE_COST,
            };
            if self.scores[state] - cost > best.1 {
                best = (state, self.scores[state] - cost);
            }
        }
        best
    }

    fn best(&self) -> usize {
        let states = self.candidates.as_slice().len() + 1;
        (0..states).fold(0, |best, state| if self.scores[state] > self.scores[best] { state } else { best })
    }

    fn decision(&self, state: usize) -> Decision {
        let chosen = state.checked_sub(1).map(|i| self.candidates.as_slice()[i]);
        let strongest = self.candidates.as_slice().first().map_or(0.0, |c| c.strength);
        let strength = chosen.map_or(strongest, |c| c.strength);
        let probability = 1.0 / (1.0 + ((VOICED_STRENGTH - strength) / VOICING_SLOPE).exp());
        match chosen {
            Some(candidate) => Decision { pitch_hz: Some(candidate.octave.exp2()), voicing: probability.max(0.5) },
            None => Decision { pitch_hz: None, voicing: probability.min(0.5) },
        }
    }
}
