//! Stretches of a reel that nobody is to hear.

use std::ops::Range;

/// Stretches of samples, in order, apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Range<u64>>);

impl Spans {
    /// One more; what it touches becomes one with it.
    pub fn add(&mut self, span: Range<u64>) {
        if span.is_empty() {
            return;
        }
        let first = self.0.partition_point(|known| known.end < span.start);
        let last = self.0.partition_point(|known| known.start <= span.end);
        let touched = self.0.get(first..last).unwrap_or_default();
        let start = touched.first().map_or(span.start, |known| known.start.min(span.start));
        let end = touched.last().map_or(span.end, |known| known.end.max(span.end));
        self.0.splice(first..last.max(first), std::iter::once(start..end));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }

    /// Those before `end`, as far as they are.
    pub fn before(&self, end: u64) -> Spans {
        let within = self.0.iter().filter(|span| span.start < end);
        Spans(within.map(|span| span.start..span.end.min(end)).collect())
    }

    /// How many samples they have.
    pub fn samples(&self) -> u64 {
        self.0.iter().map(|span| span.end - span.start).sum()
    }

    /// Silences what of `frames`, the first of them at `position`, is in one of them: in both channels, for what one party says
    /// comes back softly on the other's line.
    pub fn silence(&self, position: u64, frames: &mut [[i16; 2]]) {
        let end = position + frames.len() as u64;
        let first = self.0.partition_point(|span| span.end <= position);
        for span in self.0[first..].iter().take_while(|span| span.start < end) {
            let from = span.start.saturating_sub(position) as usize;
            let to = (span.end.min(end) - position) as usize;
            frames[from..to].fill([0; 2]);
        }
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "stretches are compared, of which there may be one")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_that_touch_become_one() {
        for (added, expected) in [
            (vec![], vec![]),
            (vec![5..5], vec![]),
            (vec![1..3, 5..7], vec![1..3, 5..7]),
            (vec![5..7, 1..3], vec![1..3, 5..7]),
            (vec![1..3, 3..5], vec![1..5]),
            (vec![1..2, 4..5, 7..8, 2..7], vec![1..8]),
            (vec![1..9, 3..4], vec![1..9]),
        ] {
            let mut spans = Spans::default();
            added.iter().cloned().for_each(|span| spans.add(span));
            assert_eq!(spans.iter().cloned().collect::<Vec<Range<u64>>>(), expected, "{added:?}");
        }
    }

    proptest! {
        #[test]
        fn a_sample_is_silent_when_it_is_in_a_span_and_only_then(
            added in proptest::collection::vec((0_u64..60, 0_u64..20), 0..12),
            position in 0_u64..50,
        ) {
            let mut spans = Spans::default();
            added.iter().for_each(|(start, length)| spans.add(*start..start + length));
            let mut frames = [[1, 2]; 40];
            spans.silence(position, &mut frames);
            for (at, frame) in (position..).zip(frames) {
                let inside = added.iter().any(|(start, length)| (*start..start + length).contains(&at));
                prop_assert_eq!(frame, if inside { [0, 0] } else { [1, 2] });
            }
            let all: std::collections::BTreeSet<u64> = added.iter().flat_map(|(start, length)| *start..start + length).collect();
            prop_assert_eq!(spans.samples(), all.len() as u64);
            prop_assert_eq!(spans.before(30).samples(), all.iter().filter(|at| **at < 30).count() as u64);
        }
    }
}
