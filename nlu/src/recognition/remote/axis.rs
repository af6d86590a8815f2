//! Where the audio of a stream lies in the party's audio: what was lost on the way moves all that comes behind.

use std::collections::VecDeque;

/// Moves that are remembered; answers reach back some seconds.
const MOVES_MAX: usize = 256;
/// Samples per second.
const RATE_HZ: f64 = 8_000.0;

/// Samples of a stream beside positions of the party's audio, both at 8 kHz.
#[derive(Debug, Default)]
pub(super) struct Axis {
    /// From which sample of the stream on which position holds, oldest first.
    moves: VecDeque<(u64, u64)>,
    /// Samples that were sent.
    sent: u64,
}

impl Axis {
    /// Takes note of `samples` that are sent behind so much silence; the first of them is at `position`.
    pub(super) fn push(&mut self, silence: u64, position: u64, samples: u64) {
        let expected = self.next_position() + silence;
        self.sent += silence;
        if self.moves.is_empty() || position != expected {
            if self.moves.len() == MOVES_MAX {
                self.moves.pop_front();
            }
            self.moves.push_back((self.sent, position));
        }
        self.sent += samples;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    /// The position that the next sample has when nothing is lost.
    pub(super) fn next_position(&self) -> u64 {
        self.at(self.sent)
    }

    /// The position up to which audio was sent.
    pub(super) fn end(&self) -> u64 {
        self.next_position()
    }

    /// The position at so many seconds of the stream, as far as it was sent.
    pub(super) fn position(&self, seconds: f64) -> u64 {
        // A float becomes an integer within its range, whatever it is.
        self.at(((seconds * RATE_HZ) as u64).min(self.sent))
    }

    fn at(&self, sample: u64) -> u64 {
        let behind = self.moves.iter().rev().find(|(from, _)| *from <= sample);
        match behind.or(self.moves.front()) {
            Some(&(from, position)) => position + sample.saturating_sub(from),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_moves_what_comes_behind() {
        let mut axis = Axis::default();
        axis.push(0, 16_000, 8_000);
        axis.push(0, 24_000, 8_000);
        assert_eq!((axis.position(0.0), axis.position(1.5), axis.end()), (16_000, 28_000, 32_000));
        // 10 s are lost, of which 1 s is sent as silence.
        axis.push(8_000, 112_000, 8_000);
        assert_eq!((axis.position(2.5), axis.position(3.5), axis.end()), (36_000, 116_000, 120_000));
        for beyond in [4.0, 1e300, f64::INFINITY] {
            assert_eq!(axis.position(beyond), 120_000, "{beyond}");
        }
        assert_eq!((axis.position(-1.0), axis.position(f64::NAN)), (16_000, 16_000));
    }

    #[test]
    fn old_moves_are_forgotten() {
        let mut axis = Axis::default();
        (0..1_000).for_each(|at| axis.push(0, at * 1_000, 100));
        assert_eq!((axis.moves.len(), axis.end()), (MOVES_MAX, 999_100));
    }
}
