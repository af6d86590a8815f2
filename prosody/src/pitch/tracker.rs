//! Samples in, pitches out: cuts the stream into hops and leads each frame through the rooms of the tracker.

use super::candidates::CANDIDATES;
use super::correlogram::{Correlogram, SPAN};
use super::evidence::{AHEAD, BEHIND, Evidence, FRAME_EVIDENCE};
use super::halver::Halver;
use super::network::{self, Around};
use super::path::{Column, Decision, Path};
use super::{FINAL_HOPS, PITCH_HZ, PROVISIONAL_HOPS};
use crate::SampleRate;
use crate::lanes::widest;
use crate::math::{exp, exp2, ln, log2};

/// Samples per hop at 8 kHz, where pitch is looked for whatever the input's rate.
const HOP: usize = 80;
/// Samples that the window ends before the newest one; the filter of 16 kHz input delays by as much.
const SPARE: usize = Halver::DELAY;
/// The newest frame's distance to the one whose voicing can be judged.
const FRAMES: usize = BEHIND + 1 + AHEAD;

/// The pitch of one hop of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pitch {
    /// Position of the hop's first sample in the stream, at the input's rate.
    pub position: u64,
    /// Fundamental frequency, Hz, 60-600; `None` where unvoiced.
    pub hz: Option<f32>,
    /// Probability that the hop is voiced, 0-1, by this frame and its neighbours.
    pub voicing: f32,
}

/// Tracks the pitch of one voice. Holds about 22 KiB; nothing grows, nothing is allocated after `new`.
pub struct Tracker {
    rate: SampleRate,
    halver: Halver,
    /// The samples since the last whole hop, at the input's rate.
    hop: [f32; SampleRate::Hz16000.hop()],
    hop_len: usize,
    /// The newest samples at 8 kHz, oldest first.
    recent: [f32; SPAN + SPARE],
    /// Whole hops taken, frames described, frames given out since the start.
    hops: u64,
    frames: u64,
    given: u64,
    correlogram: Correlogram,
    evidence: Evidence,
    /// Evidence of the newest frames, oldest first.
    around: Around,
    /// Columns of the newest frames, by frame modulo their number; they wait for their voicing.
    waiting: [Column; AHEAD + 1],
    path: Path,
    /// Of the newest frame.
    provisional: Option<Pitch>,
}

impl std::fmt::Debug for Tracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracker").field("rate", &self.rate).field("hops", &self.hops).finish_non_exhaustive()
    }
}

impl Tracker {
    /// A tracker at position 0 with silence before it.
    pub fn new(rate: SampleRate) -> Self {
        Self {
            rate,
            halver: Halver::default(),
            hop: [0.0; SampleRate::Hz16000.hop()],
            hop_len: 0,
            recent: [0.0; SPAN + SPARE],
            hops: 0,
            frames: 0,
            given: 0,
            correlogram: Correlogram::new(),
            evidence: Evidence::default(),
            around: [[0.0; FRAME_EVIDENCE]; FRAMES],
            waiting: [Column::default(); AHEAD + 1],
            path: Path::default(),
            provisional: None,
        }
    }

    /// Takes samples (`[-1, 1]`; others are clamped, NaN counts as 0) and appends every pitch that became final.
    ///
    /// The pitch of a hop comes out with the last sample of the hop [`FINAL_HOPS`] after it.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<Pitch>) {
        let length = self.rate.hop();
        let mut rest = samples;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(length - self.hop_len));
            rest = after;
            for (into, sample) in self.hop[self.hop_len..].iter_mut().zip(piece) {
                *into = if sample.is_nan() { 0.0 } else { sample.clamp(-1.0, 1.0) };
            }
            self.hop_len += piece.len();
            if self.hop_len == length {
                self.hop_len = 0;
                let hop = self.hop;
                out.extend(self.push_hop(&hop[..length]));
            }
        }
    }

    /// Takes a whole hop of samples in `[-1, 1]`, where no part of one is waiting.
    pub(crate) fn push_hop(&mut self, hop: &[f32]) -> Option<Pitch> {
        widest(
            #[inline(always)]
            || self.take_hop(hop),
        )
    }

    /// The pitch of the newest hop that can be told at all, before its successors are known; it may still change.
    ///
    /// It belongs to the hop that ended [`PROVISIONAL_HOPS`] before the newest full one.
    pub fn provisional(&self) -> Option<Pitch> {
        self.provisional
    }

    /// Gives out the pitches still inside, as if silence followed, and starts again at position 0.
    ///
    /// A last hop that is not full gets its own pitch.
    pub fn finish(&mut self, out: &mut Vec<Pitch>) {
        let due = self.hops + u64::from(self.hop_len > 0);
        let silence = [0.0; SampleRate::Hz16000.hop()];
        while self.given < due {
            self.push(&silence[..self.rate.hop() - self.hop_len], out);
        }
        self.restart();
    }

    /// Forgets everything and starts again at position 0.
    pub(crate) fn restart(&mut self) {
        self.halver = Halver::default();
        self.hop_len = 0;
        self.recent.fill(0.0);
        (self.hops, self.frames, self.given) = (0, 0, 0);
        self.correlogram.restart();
        self.evidence.restart();
        self.path = Path::default();
        self.provisional = None;
    }

    #[inline(always)]
    fn take_hop(&mut self, hop: &[f32]) -> Option<Pitch> {
        self.recent.copy_within(HOP.., 0);
        let newest = &mut self.recent[SPAN + SPARE - HOP..];
        match self.rate {
            SampleRate::Hz8000 => newest.copy_from_slice(hop),
            SampleRate::Hz16000 => self.halver.halve(hop.as_chunks().0, newest),
        }
        self.hops += 1;
        if self.hops <= PROVISIONAL_HOPS as u64 {
            return None;
        }
        self.describe();
        let decision = self.decide()?;
        self.given += 1;
        Some(self.pitch(self.given - 1, decision))
    }

    /// Looks at the newest window and puts what it may be into `waiting`.
    #[inline(always)]
    fn describe(&mut self) {
        let from = if self.rate == SampleRate::Hz16000 { SPARE } else { 0 };
        let window: &[f32; SPAN] = self.recent[from..].first_chunk().expect("the window is shorter than the buffer");
        self.evidence.look_at(&mut self.correlogram, window);
        if self.frames == 0 {
            self.around = [self.evidence.frame; FRAMES];
        } else {
            self.around.copy_within(1.., 0);
            self.around[FRAMES - 1] = self.evidence.frame;
        }
        let mut column = Column { count: self.evidence.candidates.as_slice().len(), ..Column::default() };
        for (octave, candidate) in column.octaves.iter_mut().zip(self.evidence.candidates.as_slice()) {
            *octave = candidate.octave;
        }
        network::judge(&self.evidence, &mut column.chances);
        log_share(&mut column.chances[..column.count]);
        self.provisional = Some(self.guess(&column));
        self.waiting[self.frames as usize % (AHEAD + 1)] = column;
        self.frames += 1;
    }

    /// Judges the voicing of the frame that has all its neighbours now and lets the path go on over it.
    #[inline(always)]
    fn decide(&mut self) -> Option<Decision> {
        let frame = self.frames.checked_sub(1 + AHEAD as u64)?;
        let column = &mut self.waiting[frame as usize % (AHEAD + 1)];
        // A window without a peak has nothing that could be a pitch.
        column.voicing = if column.count == 0 { 0.0 } else { probability(network::voicing(&self.around)) };
        self.path.push(column)
    }

    /// The best candidate of the newest frame by what is known so far.
    #[inline(always)]
    fn guess(&self, column: &Column) -> Pitch {
        let before: &[[f32; FRAME_EVIDENCE]; BEHIND + 1] =
            self.around[AHEAD..].first_chunk().expect("the newest frames");
        let voicing = probability(network::early_voicing(before));
        let last = self.provisional.and_then(|pitch| pitch.hz).map(log2);
        let worth = |i: usize| column.chances[i] - last.map_or(0.0, |last| (column.octaves[i] - last).abs().min(0.5));
        let best = (0..column.count).max_by(|&a, &b| worth(a).total_cmp(&worth(b)));
        let octave = best.filter(|_| voicing >= 0.5).map(|i| column.octaves[i]);
        self.pitch(self.frames, Decision { octave, voicing })
    }

    #[inline(always)]
    fn pitch(&self, frame: u64, decision: Decision) -> Pitch {
        // Smoothing may lead a falling contour out of the range that was looked at.
        let hz = decision.octave.map(|octave| exp2(octave).clamp(PITCH_HZ.0, PITCH_HZ.1));
        Pitch { position: frame * self.rate.hop() as u64, hz, voicing: decision.voicing }
    }
}

/// A path never looks back further than what is kept for it.
const _: () = assert!(FINAL_HOPS <= 10 && CANDIDATES < u8::MAX as usize);

/// Log-odds to log-probabilities that sum to 1.
#[inline(always)]
fn log_share(scores: &mut [f32]) {
    let highest = scores.iter().fold(f32::NEG_INFINITY, |highest, &score| highest.max(score));
    let sum: f32 = scores.iter().map(|score| exp(score - highest)).sum();
    let total = highest + ln(sum);
    scores.iter_mut().for_each(|score| *score -= total);
}

#[inline(always)]
fn probability(log_odds: f32) -> f32 {
    1.0 / (1.0 + exp(-log_odds))
}
