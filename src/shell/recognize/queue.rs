//! What waits to be recognised: bounded in audio; the oldest audio gives way, openings and closings never do.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use media::LegId;
use nlu::recognition::Language;

/// Audio that may wait, of all parties together: 10 minutes, 20 MB. Samples at 8 kHz.
const SAMPLES_MAX: u64 = 10 * 60 * 8_000;
/// Of this much at once the oldest gives way, so that what stays hangs together: a minute.
const SAMPLES_DROPPED: u64 = 60 * 8_000;

/// Something for the recogniser.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Open {
        leg: LegId,
        language: Language,
    },
    Audio {
        leg: LegId,
        position: u64,
        samples: Box<[f32]>,
    },
    Close {
        leg: LegId,
    },
    /// As `Close`, and what is left of the party's words is not told: they are heard elsewhere.
    Drop {
        leg: LegId,
    },
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: VecDeque<Piece>,
    samples: u64,
    /// Samples that were taken last, and are looked at until more is taken.
    in_hand: u64,
    dropped: u64,
    closed: bool,
}

impl Queue {
    /// Adds a piece; does nothing once the queue is closed.
    pub(super) fn push(&self, piece: Piece) {
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        waiting.samples += piece.samples();
        waiting.pieces.push_back(piece);
        if waiting.samples > SAMPLES_MAX {
            waiting.drop_oldest();
        }
        drop(waiting);
        self.came.notify_one();
    }

    /// Everything that waits, after `patience` at the latest; `None` once the queue is closed. What was taken before is done with.
    pub(super) fn take(&self, patience: Duration) -> Option<VecDeque<Piece>> {
        let mut waiting = self.lock();
        waiting.in_hand = 0;
        let is_idle = |waiting: &mut Waiting| waiting.pieces.is_empty() && !waiting.closed;
        let (mut waiting, _) =
            self.came.wait_timeout_while(waiting, patience, is_idle).unwrap_or_else(PoisonError::into_inner);
        waiting.in_hand = std::mem::take(&mut waiting.samples);
        (!waiting.closed).then(|| std::mem::take(&mut waiting.pieces))
    }

    /// Lets go of everything, and takes nothing more.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        (waiting.samples, waiting.in_hand) = (0, 0);
        waiting.pieces.clear();
        drop(waiting);
        self.came.notify_all();
    }

    /// Samples that wait or are being looked at, and those that were dropped so far.
    pub(super) fn samples(&self) -> (u64, u64) {
        let waiting = self.lock();
        (waiting.samples + waiting.in_hand, waiting.dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change is whole before anything in it can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn drop_oldest(&mut self) {
        let mut to_drop = SAMPLES_DROPPED;
        self.pieces.retain(|piece| {
            let samples = piece.samples();
            let goes = samples > 0 && to_drop > 0;
            to_drop = if goes { to_drop.saturating_sub(samples) } else { to_drop };
            self.samples -= if goes { samples } else { 0 };
            self.dropped += if goes { samples } else { 0 };
            !goes
        });
    }
}

impl Piece {
    fn samples(&self) -> u64 {
        match self {
            Piece::Audio { samples, .. } => samples.len() as u64,
            Piece::Open { .. } | Piece::Close { .. } | Piece::Drop { .. } => 0,
        }
    }
}
