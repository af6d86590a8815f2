//! The signs of an escalation, how much each counts, and the words in which they are told.
//!
//! The weights are fitted by `scripts/fit-warning.py`, few and drawn to nothing, on synthetic interactions.

use std::collections::VecDeque;

use super::past::Bin;

/// Scatter of the scores that is taken for granted, s, and in how many bins.
const SCATTER: (f32, f32) = (0.05, 3.0);
/// A rise of so many standard errors is as sure as any.
const SURE: f32 = 8.0;
/// More of withdrawal counts no more: turns an e-th part as long, and a silence in two minutes besides.
const WITHDRAWN_MOST: f32 = 1.5;

/// What each sign counts: the rise, the mood above the usual, repeats, interruptions, withdrawal.
const WEIGHTS: [f32; 5] = [0.25, 5.51, 4.70, 12.72, 32.77];
/// What the signs must outweigh: such that [`WARN_AT`](super::WARN_AT) is where precision and recall are about the same on calls
/// drawn anew.
const BIAS: f32 = 0.18;

/// The signs of an escalation. "Usual" is what is usual for this caller in this call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Signs {
    /// The share of negative speech now and usually, 0-1.
    pub(super) share: f32,
    pub(super) share_usual: f32,
    /// The score of anger now and usually, 0-1.
    pub(super) score: f32,
    pub(super) score_usual: f32,
    /// The rise of the score over what is remembered: as it is told, and in standard errors.
    pub(super) slope_per_min: f32,
    pub(super) rise: f32,
    pub(super) repeats_per_min: f32,
    /// By how much there are more of them than usual.
    pub(super) interruptions_over_per_min: f32,
    pub(super) silences_over_per_min: f32,
    /// How long the caller's turns are usually and now, s.
    pub(super) turns_s: Option<(f32, f32)>,
}

impl Signs {
    /// How likely an escalation is, 0-1: a logistic function of the weighted signs.
    pub(super) fn likelihood(&self) -> f32 {
        let sum: f32 = self.weighted().iter().sum();
        1.0 / (1.0 + (BIAS - sum).exp())
    }

    /// What speaks for an escalation, in words, the strongest first.
    pub(super) fn evidence(&self) -> Vec<String> {
        let mut weighted: Vec<(f32, String)> =
            self.weighted().into_iter().zip(self.words()).filter(|(weight, _)| *weight > 0.0).collect();
        weighted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        weighted.into_iter().map(|(_, words)| words).collect()
    }

    /// Repeats, interruptions and withdrawal speak for an escalation in as far as the mood is bad, the last one in as far as
    /// it is worse than usual: who is in high spirits interrupts, too, and who looks for papers says little.
    fn weighted(&self) -> [f32; 5] {
        let over = self.score - self.score_usual;
        let signs = [
            self.rise.clamp(0.0, SURE),
            over,
            self.repeats_per_min * self.share,
            self.interruptions_over_per_min * self.share,
            self.withdrawal() * over.max(0.0),
        ];
        std::array::from_fn(|at| WEIGHTS[at] * signs[at])
    }

    /// How much shorter the turns are than usual, as a logarithm, and how many more silences there are.
    fn withdrawal(&self) -> f32 {
        let shorter = self.turns_s.map_or(0.0, |(usual_s, now_s)| (usual_s / now_s).ln().clamp(0.0, 1.0));
        (shorter + self.silences_over_per_min).min(WITHDRAWN_MOST)
    }

    fn words(&self) -> [String; 5] {
        let percent = |share: f32| format!("{:.0} %", share * 100.0);
        let withdrawal = match self.turns_s.filter(|(usual_s, now_s)| now_s < usual_s) {
            Some((usual_s, now_s)) => format!("withdraws: turns of {usual_s:.0} s to {now_s:.0} s"),
            None => "withdraws: more silences than usual".to_owned(),
        };
        [
            format!("anger rises by {:.2} per minute", self.slope_per_min),
            format!(
                "negative share {} to {}, anger {:.2} to {:.2}",
                percent(self.share_usual),
                percent(self.share),
                self.score_usual,
                self.score
            ),
            format!("{:.1} repeats per minute", self.repeats_per_min),
            format!("{:.1} interruptions per minute more than usual", self.interruptions_over_per_min),
            withdrawal,
        ]
    }
}

/// The slope of the line that fits the bins' scores best (least squares, weighted by speech): per bin, and in standard
/// errors.
pub(super) fn rise(bins: &VecDeque<Bin>) -> (f32, f32) {
    let spoken = bins.iter().enumerate().filter(|(_, bin)| bin.spoken_s > 0.0);
    let points = spoken.map(|(at, bin)| (bin.spoken_s, at as f32, bin.score_sum / bin.spoken_s));
    let sums = points.clone().fold((0.0, 0.0, 0.0), |(s, x, y), (w, at, score)| (s + w, x + w * at, y + w * score));
    let (x_mean, y_mean) = (sums.1 / sums.0, sums.2 / sums.0);
    let squares = points.clone().fold((0.0, 0.0), |(xx, xy), (w, at, score)| {
        (xx + w * (at - x_mean) * (at - x_mean), xy + w * (at - x_mean) * (score - y_mean))
    });
    let (xx, xy): (f32, f32) = squares;
    if xx <= 0.0 {
        return (0.0, 0.0);
    }
    let slope = xy / xx;
    let (scatter, count) = points.fold(SCATTER, |(sum, count), (w, at, score)| {
        let from_line = score - y_mean - slope * (at - x_mean);
        (sum + w * from_line * from_line, count + 1.0)
    });
    (slope, xy / (xx * scatter / count).sqrt())
}
