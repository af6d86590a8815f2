//! The recognising thread itself: queue → recogniser → transcripts.
//!
//! A recogniser that breaks is let go of and another one is loaded after a pause; who is heard, and how far, is kept here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use media::LegId;
use nlu::PartyId;
use nlu::recognition::{Language, Recognizer, RecognizerFigures, Transcript};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::Told;
use super::lane::{Load, State};
use super::queue::{Piece, Queue};
use crate::shell::listen::{Heard, Uttered};

/// How long the thread waits for audio before it looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(500);
/// How much less of a contended core the thread gets than the media threads: less than the listening thread, too.
const NICENESS: i32 = 12;
/// Parties that are remembered to be heard elsewhere; the oldest are forgotten.
const DROPPED_MAX: usize = 1_024;
/// The pause before a recogniser that broke is loaded again: doubled each time, up to the longest one.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// One that has worked for so long has not broken again and again.
const STEADY: Duration = Duration::from_secs(300);

pub(super) struct Worker {
    /// What it listens for, for people.
    language: Language,
    load: Load,
    recognizer: Option<Box<dyn Recognizer>>,
    queue: Arc<Queue>,
    state: Arc<State>,
    told: Told,
    parties: BTreeMap<LegId, Party>,
    /// Parties who are heard elsewhere now: what comes of them is not told.
    dropped: BTreeSet<LegId>,
    transcripts: Vec<Transcript>,
    /// What recognisers before this one have done.
    earlier: RecognizerFigures,
    loaded: Instant,
    /// When another recogniser is loaded in the place of one that broke.
    again: Option<Instant>,
    /// The last pause before that.
    pause: Option<Duration>,
}

/// Who is heard.
struct Party {
    language: Language,
    /// The position that the next samples should have.
    position: u64,
}

impl Worker {
    pub(super) fn new(language: Language, load: Load, queue: Arc<Queue>, state: Arc<State>, told: Told) -> Self {
        Self {
            language,
            load,
            recognizer: None,
            queue,
            state,
            told,
            parties: BTreeMap::new(),
            dropped: BTreeSet::new(),
            transcripts: Vec::new(),
            earlier: RecognizerFigures::default(),
            loaded: Instant::now(),
            again: None,
            pause: None,
        }
    }

    pub(super) fn run(mut self) {
        if let Err(error) = rustix::process::nice(NICENESS) {
            warn!(%error, "the recognising thread runs at the media threads' priority");
        }
        self.renew();
        while let Some(mut pieces) = self.queue.take(PATIENCE) {
            let is_due = self.again.is_some_and(|at| Instant::now() >= at);
            if is_due || self.state.renewed.swap(false, Ordering::Relaxed) {
                self.renew();
            }
            if catch_unwind(AssertUnwindSafe(|| self.work(&mut pieces))).is_err() {
                self.break_down();
                // Parties come and go all the same: the next recogniser has to know them.
                pieces.into_iter().for_each(|piece| self.take(piece));
            }
            if !self.report() {
                return;
            }
        }
    }

    /// Loads a recogniser, in the place of one that may be there. That one goes on when there is no other.
    fn renew(&mut self) {
        self.again = None;
        let language = self.language.code();
        let fresh = match catch_unwind(AssertUnwindSafe(|| (self.load)())) {
            Ok(Ok(fresh)) => fresh,
            Ok(Err(why)) => {
                match &self.recognizer {
                    Some(earlier) => warn!(why, language, goes_on = earlier.name(), "no other recogniser"),
                    None => warn!(why, language, "no recogniser: listening without words"),
                }
                // There was one that broke: what keeps it from coming back may pass.
                if self.recognizer.is_none() && self.pause.is_some() {
                    self.again = Some(Instant::now() + PAUSE_MAX);
                }
                return;
            }
            Err(_) => return self.break_down(),
        };
        info!(recogniser = fresh.name(), language, "listening for words");
        if let Some(mut old) = self.recognizer.replace(fresh) {
            // One that breaks at its end has said what it could.
            let (parties, out) = (&self.parties, &mut self.transcripts);
            let close = || parties.keys().for_each(|leg| old.close(PartyId(leg.0), out));
            if catch_unwind(AssertUnwindSafe(close)).is_err() {
                warn!("the recogniser before broke while it was ended: its last words are lost");
            }
        }
        self.keep_figures();
        if let Some(recognizer) = &mut self.recognizer {
            for (leg, party) in &self.parties {
                recognizer.open(PartyId(leg.0), party.language);
                recognizer.skip(PartyId(leg.0), party.position);
            }
        }
        self.loaded = Instant::now();
        self.state.up.store(true, Ordering::Relaxed);
    }

    /// Lets go of a recogniser that broke; the next one comes later the sooner it did.
    fn break_down(&mut self) {
        let before = self.pause.filter(|_| self.loaded.elapsed() < STEADY);
        let pause = before.map_or(PAUSE, |before| (2 * before).min(PAUSE_MAX));
        let language = self.language.code();
        warn!(?pause, language, "the recogniser broke, another one is loaded after a pause; calls go on without words");
        (self.again, self.pause) = (Some(Instant::now() + pause), Some(pause));
        self.recognizer = None;
        self.transcripts.clear();
        self.state.up.store(false, Ordering::Relaxed);
        self.state.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// What has been done so far counts on under the next recogniser.
    fn keep_figures(&mut self) {
        let State { samples, samples_decoded, undecoded, .. } = &*self.state;
        self.earlier = RecognizerFigures {
            samples: samples.load(Ordering::Relaxed),
            samples_decoded: samples_decoded.load(Ordering::Relaxed),
            utterances_dropped: undecoded.load(Ordering::Relaxed),
        };
    }

    fn work(&mut self, pieces: &mut VecDeque<Piece>) {
        let began = Instant::now();
        while let Some(piece) = pieces.pop_front() {
            self.take(piece);
        }
        let Some(recognizer) = &mut self.recognizer else { return };
        recognizer.spare(self.state.spared.load(Ordering::Relaxed));
        recognizer.run(&mut self.transcripts);
        self.state.busy_us.fetch_add(began.elapsed().as_micros() as u64, Ordering::Relaxed);
        let (earlier, figures) = (self.earlier, recognizer.figures());
        self.state.samples.store(earlier.samples + figures.samples, Ordering::Relaxed);
        self.state.samples_decoded.store(earlier.samples_decoded + figures.samples_decoded, Ordering::Relaxed);
        self.state.undecoded.store(earlier.utterances_dropped + figures.utterances_dropped, Ordering::Relaxed);
    }

    fn take(&mut self, piece: Piece) {
        let recognizer = self.recognizer.as_mut();
        match piece {
            Piece::Open { leg, language } => {
                self.dropped.remove(&leg);
                self.parties.insert(leg, Party { language, position: 0 });
                if let Some(recognizer) = recognizer {
                    recognizer.open(PartyId(leg.0), language);
                }
            }
            Piece::Audio { leg, position, samples } => {
                let Some(party) = self.parties.get_mut(&leg) else { return };
                // Whatever these samples do, another recogniser would begin behind them.
                let expected = std::mem::replace(&mut party.position, position + samples.len() as u64);
                let Some(recognizer) = recognizer else { return };
                if position > expected {
                    recognizer.skip(PartyId(leg.0), position - expected);
                }
                recognizer.push(PartyId(leg.0), &samples);
            }
            Piece::Close { leg } | Piece::Drop { leg } => {
                self.parties.remove(&leg);
                if matches!(piece, Piece::Drop { .. }) {
                    self.dropped.insert(leg);
                    if self.dropped.len() > DROPPED_MAX {
                        self.dropped.pop_first();
                    }
                }
                if let Some(recognizer) = recognizer {
                    recognizer.close(PartyId(leg.0), &mut self.transcripts);
                }
            }
        }
    }

    /// Hands on what was understood: to call control and, once it is final, to whoever reads words, unless the other party
    /// has said it. False once nobody is
    /// there to take it. What is final waits for room, and audio waits behind it.
    fn report(&mut self) -> bool {
        let dropped = &self.dropped;
        self.transcripts.retain(|transcript| !dropped.contains(&LegId(transcript.party.0)));
        for transcript in self.transcripts.drain(..) {
            let is_final = transcript.is_final;
            let is_crosstalk = self.told.crosstalk.is_in(&transcript);
            if let Some(utterance) = transcript.utterance().filter(|_| !is_crosstalk) {
                self.told.utterances.push(LegId(transcript.party.0), Uttered::Spoken(utterance));
            }
            let said = if is_crosstalk { Heard::Crosstalk(transcript) } else { Heard::Said(transcript) };
            if is_final {
                if self.told.heard.blocking_send(said).is_err() {
                    return false;
                }
            } else if let Err(mpsc::error::TrySendError::Closed(_)) = self.told.heard.try_send(said) {
                return false;
            }
        }
        true
    }
}
