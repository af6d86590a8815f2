//! The recognising thread itself: queue → recogniser → transcripts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use media::LegId;
use nlu::PartyId;
use nlu::recognition::{Recognizer, Transcript};
use tokio::sync::mpsc;
use tracing::warn;

use super::State;
use super::queue::{Piece, Queue};
use crate::shell::listen::Heard;

/// How long the thread waits for audio before it looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(500);
/// How much less of a contended core the thread gets than the media threads: less than the listening thread, too.
const NICENESS: i32 = 12;

pub(super) struct Worker {
    recognizer: Box<dyn Recognizer>,
    queue: Arc<Queue>,
    state: Arc<State>,
    heard: mpsc::Sender<Heard>,
    /// Who is heard, with the position that the next samples should have.
    parties: BTreeMap<LegId, u64>,
    transcripts: Vec<Transcript>,
}

impl Worker {
    pub(super) fn new(
        recognizer: Box<dyn Recognizer>,
        queue: Arc<Queue>,
        state: Arc<State>,
        heard: mpsc::Sender<Heard>,
    ) -> Self {
        Self { recognizer, queue, state, heard, parties: BTreeMap::new(), transcripts: Vec::new() }
    }

    pub(super) fn run(mut self) {
        if let Err(error) = rustix::process::nice(NICENESS) {
            warn!(%error, "the recognising thread runs at the media threads' priority");
        }
        while let Some(pieces) = self.queue.take(PATIENCE) {
            self.recognizer.spare(self.state.spared.load(Ordering::Relaxed));
            let began = Instant::now();
            for piece in pieces {
                self.take(piece);
            }
            self.recognizer.run(&mut self.transcripts);
            self.state.busy_us.fetch_add(began.elapsed().as_micros() as u64, Ordering::Relaxed);
            let figures = self.recognizer.figures();
            self.state.samples.store(figures.samples, Ordering::Relaxed);
            self.state.samples_decoded.store(figures.samples_decoded, Ordering::Relaxed);
            if !self.report() {
                return;
            }
        }
    }

    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Open { leg, language } => {
                self.parties.insert(leg, 0);
                self.recognizer.open(PartyId(leg.0), language);
            }
            Piece::Audio { leg, position, samples } => {
                let Some(expected) = self.parties.get_mut(&leg) else { return };
                let missing = position.saturating_sub(*expected);
                if missing > 0 {
                    self.recognizer.skip(PartyId(leg.0), missing);
                }
                self.recognizer.push(PartyId(leg.0), &samples);
                *expected = position + samples.len() as u64;
            }
            Piece::Close { leg } => {
                self.parties.remove(&leg);
                self.recognizer.close(PartyId(leg.0), &mut self.transcripts);
            }
        }
    }

    /// Hands on what was understood; false once nobody is there to take it. What is final waits for room, and audio
    /// waits behind it.
    fn report(&mut self) -> bool {
        for transcript in self.transcripts.drain(..) {
            let is_final = transcript.is_final;
            let said = Heard::Said(transcript);
            if is_final {
                if self.heard.blocking_send(said).is_err() {
                    return false;
                }
            } else if let Err(mpsc::error::TrySendError::Closed(_)) = self.heard.try_send(said) {
                return false;
            }
        }
        true
    }
}
