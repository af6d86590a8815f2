//! The audio of one party on its way to a recogniser elsewhere: what waits to be sent, and what was sent and has no answer.
//!
//! Both are bounded, and the oldest gives way; what is not answered goes the way again when the connection is lost.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nlu::recognition::remote::MESSAGE_SAMPLES;
use tokio::sync::Notify;

/// Audio that may wait, and audio that may go unanswered: 10 s of either, samples at 8 kHz.
const SAMPLES_MAX: u64 = 80_000;

/// Audio that hangs together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    /// Of the first sample.
    pub(super) position: u64,
    /// At 8 kHz, [-1, 1].
    pub(super) samples: Vec<f32>,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    kept: Mutex<Kept>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    waiting: VecDeque<Piece>,
    unanswered: VecDeque<Piece>,
    /// Samples of speech that were put in since the last answer.
    speech_samples: u64,
    /// Nothing is sent until it is released.
    is_held: bool,
    is_closed: bool,
}

impl Outbox {
    /// One that holds what it is given.
    pub(super) fn held() -> Self {
        let kept = Mutex::new(Kept { is_held: true, ..Kept::default() });
        Self { kept, changed: Notify::new() }
    }

    /// Puts audio in, so many samples of it speech; how many samples, the oldest, had to give way.
    pub(super) fn push(&self, piece: Piece, speech_samples: u64) -> u64 {
        let mut kept = self.lock();
        kept.waiting.push_back(piece);
        kept.speech_samples += speech_samples;
        let dropped = bound(&mut kept.waiting);
        drop(kept);
        self.changed.notify_one();
        dropped
    }

    /// The next message's audio, which counts as sent; `None` once the outbox is closed and empty.
    pub(super) async fn next(&self) -> Option<Piece> {
        loop {
            let changed = self.changed.notified();
            {
                let mut kept = self.lock();
                if let Some(piece) = kept.message() {
                    kept.unanswered.push_back(piece.clone());
                    bound(&mut kept.unanswered);
                    return Some(piece);
                }
                if kept.is_closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Takes note of an answer; what it said, if it was final, ends at a position.
    pub(super) fn answered(&self, until: Option<u64>) {
        let mut kept = self.lock();
        kept.speech_samples = 0;
        let Some(until) = until else { return };
        let is_answered = |piece: &mut Piece| piece.position + piece.samples.len() as u64 <= until;
        while kept.unanswered.pop_front_if(is_answered).is_some() {}
    }

    /// Samples of speech that have no answer yet.
    pub(super) fn speech_unanswered(&self) -> u64 {
        self.lock().speech_samples
    }

    /// Sends nothing from now on, and has what is not answered wait again.
    pub(super) fn hold(&self) {
        let mut kept = self.lock();
        let Kept { waiting, unanswered, .. } = &mut *kept;
        unanswered.append(waiting);
        std::mem::swap(waiting, unanswered);
        (kept.is_held, kept.speech_samples) = (true, 0);
    }

    /// Sends again.
    pub(super) fn release(&self) {
        self.lock().is_held = false;
        self.changed.notify_one();
    }

    /// All that waits, for somebody else to hear.
    pub(super) fn take(&self) -> Vec<Piece> {
        self.lock().waiting.drain(..).collect()
    }

    /// Takes nothing more; what waits is still sent, held or not: nobody may be there to release it.
    pub(super) fn close(&self) {
        let mut kept = self.lock();
        (kept.is_closed, kept.is_held) = (true, false);
        drop(kept);
        self.changed.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Returns once it is closed.
    pub(super) async fn closed(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_closed() {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Every change is whole before anything in it can panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Audio that hangs together, a whole message of it unless a gap or the end follows.
    fn message(&mut self) -> Option<Piece> {
        let first = self.waiting.front().filter(|_| !self.is_held)?;
        let (mut end, mut pieces, mut samples) = (first.position, 0, 0);
        let mut is_cut = false;
        for piece in &self.waiting {
            is_cut = piece.position != end;
            if is_cut || samples >= MESSAGE_SAMPLES {
                break;
            }
            pieces += 1;
            samples += piece.samples.len();
            end += piece.samples.len() as u64;
        }
        if samples < MESSAGE_SAMPLES && !is_cut && !self.is_closed {
            return None;
        }
        let mut message = self.waiting.pop_front()?;
        self.waiting.drain(..pieces - 1).for_each(|piece| message.samples.extend(piece.samples));
        Some(message)
    }
}

/// Lets the oldest go until no more than the bound is left; how many samples went.
fn bound(pieces: &mut VecDeque<Piece>) -> u64 {
    let mut samples: u64 = pieces.iter().map(|piece| piece.samples.len() as u64).sum();
    let before = samples;
    while samples > SAMPLES_MAX
        && let Some(piece) = pieces.pop_front()
    {
        samples -= piece.samples.len() as u64;
    }
    before - samples
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn messages_are_whole_unless_a_gap_or_the_end_follows() {
        let outbox = Outbox::default();
        push(&outbox, &[(0, 160), (160, 160)]);
        assert_eq!(next(&outbox), None, "not yet");
        push(&outbox, &[(320, 160), (480, 160), (8_000, 100)]);
        assert_eq!(next(&outbox), Some((0, 480)));
        assert_eq!(next(&outbox), Some((480, 160)), "a gap follows");
        assert_eq!(next(&outbox), None);
        outbox.close();
        assert_eq!(next(&outbox), Some((8_000, 100)));
        assert_eq!(outbox.next().now_or_never(), Some(None), "closed and empty");
    }

    #[test]
    fn too_much_audio_loses_its_oldest() {
        let outbox = Outbox::default();
        let dropped: u64 = (0..11).map(|at| outbox.push(piece(at * 8_000, 8_000), 0)).sum();
        assert_eq!((dropped, outbox.take().first().map(|piece| piece.position)), (8_000, Some(8_000)));
    }

    #[test]
    fn what_has_no_answer_goes_the_way_again() {
        let outbox = Outbox::default();
        push(&outbox, &[(0, 480), (480, 480), (960, 480), (1_440, 100)]);
        (0..3).for_each(|_| assert!(next(&outbox).is_some()));
        outbox.answered(Some(500));
        outbox.hold();
        assert_eq!(next(&outbox), None, "nothing is sent while it is held");
        push(&outbox, &[(1_540, 480)]);
        let waiting: Vec<u64> = outbox.take().iter().map(|piece| piece.position).collect();
        assert_eq!(waiting, [480, 960, 1_440, 1_540]);
        outbox.release();
        push(&outbox, &[(2_020, 480)]);
        assert_eq!(next(&outbox), Some((2_020, 480)));
        outbox.hold();
        outbox.close();
        assert_eq!(next(&outbox), Some((2_020, 480)), "whoever would release it may be gone");
        assert_eq!(outbox.next().now_or_never(), Some(None));
    }

    #[test]
    fn speech_waits_for_an_answer() {
        let outbox = Outbox::default();
        outbox.push(piece(0, 480), 384);
        outbox.push(piece(480, 480), 128);
        assert_eq!(outbox.speech_unanswered(), 512);
        outbox.answered(None);
        assert_eq!(outbox.speech_unanswered(), 0);
    }

    fn piece(position: u64, samples: usize) -> Piece {
        Piece { position, samples: vec![0.0; samples] }
    }

    fn push(outbox: &Outbox, pieces: &[(u64, usize)]) {
        pieces.iter().for_each(|&(position, samples)| assert_eq!(outbox.push(piece(position, samples), 0), 0));
    }

    /// Position and length of what is sent next, if anything is.
    fn next(outbox: &Outbox) -> Option<(u64, usize)> {
        outbox.next().now_or_never().flatten().map(|piece| (piece.position, piece.samples.len()))
    }
}
