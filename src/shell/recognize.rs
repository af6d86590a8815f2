//! The recognising loop: a thread for each language that turns what the listening thread hands on into words.
//!
//! Behind bounded queues of their own, so that decoding a long sentence delays no observation, and one language that has
//! more speech than it can decode holds up no other; when a thread stalls or dies, listening and calls go on without words.

mod crosstalk;
mod lane;
mod queue;
mod remote;
mod sought;
#[cfg(test)]
mod tests;
mod worker;

#[cfg(test)]
pub(super) use tests::start_one;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use media::LegId;
use nlu::LanguageFound;
use nlu::recognition::{Language, LanguageChoice, Recognizer};
use routing::CallKey;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::warn;

use super::listen::{Heard, Utterances};
use crate::recognizer::RecognizerFiles;
use crosstalk::Crosstalk;
use lane::{Lane, Load};
use queue::Piece;
pub use remote::RemoteFigures;
use remote::{RemoteRecognizer, Standing};
use sought::Sought;

/// The running loop, as the rest of the program sees it.
#[derive(Debug, Clone)]
pub struct Recognizing(Arc<Inner>);

struct Inner {
    /// Makes what makes the recogniser of a language.
    loads: Box<dyn Fn(Language) -> Load + Send + Sync>,
    files: Arc<Mutex<Result<RecognizerFiles, String>>>,
    standing: Arc<Standing>,
    places: Mutex<Places>,
    /// Weak, so that it closes when the last thread ends.
    heard: mpsc::WeakSender<Heard>,
    utterances: Arc<Utterances>,
    crosstalk: Arc<Crosstalk>,
}

/// Where a thread tells what it has understood.
#[derive(Debug, Clone)]
struct Told {
    heard: mpsc::Sender<Heard>,
    utterances: Arc<Utterances>,
    crosstalk: Arc<Crosstalk>,
}

/// The languages that are listened for, and who speaks which.
#[derive(Debug, Default)]
struct Places {
    lanes: BTreeMap<Language, Lane>,
    legs: BTreeMap<LegId, Language>,
    /// Whose language is yet to be found out.
    sought: BTreeMap<LegId, Sought>,
    /// What was found out and is yet to be told.
    found: VecDeque<Heard>,
    is_stopped: bool,
}

/// What the loop has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecognizingFigures {
    /// Audio that was taken, of all parties together.
    pub heard: Duration,
    /// Speech in it that was decoded.
    pub decoded: Duration,
    /// Time spent computing.
    pub busy: Duration,
    /// Audio that waits or is being looked at.
    pub backlog: Duration,
    /// Audio that was dropped because too much waited.
    pub dropped: Duration,
    /// Stretches of speech that a recogniser took and did not decode: too much waited, or it failed on them.
    pub undecoded: u64,
    /// How often a recogniser broke.
    pub restarts: u64,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Recognizing {
    /// Starts a thread for each of the languages, which loads its recogniser first; what it hears goes to `heard`, and what
    /// it finally understands to `utterances`, too. Where there is no recogniser the thread waits for other files, and
    /// `files` tells why. Other languages get theirs when they are spoken. Connections to a recogniser elsewhere run on the
    /// current tokio runtime.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        files: Result<RecognizerFiles, String>,
        languages: &BTreeSet<Language>,
        heard: &mpsc::Sender<Heard>,
        utterances: Arc<Utterances>,
    ) -> std::io::Result<Self> {
        let (files, standing) = (Arc::new(Mutex::new(files)), Arc::new(Standing::default()));
        let (read, runtime, shared) = (Arc::clone(&files), Handle::current(), Arc::clone(&standing));
        let loads = move |language| {
            let (read, runtime, shared) = (Arc::clone(&read), runtime.clone(), Arc::clone(&shared));
            let load = move || {
                let files = read.lock().unwrap_or_else(PoisonError::into_inner).clone();
                load(&files?, language, &runtime, &shared)
            };
            Box::new(load) as Load
        };
        let (places, loads) = (Mutex::default(), Box::new(loads));
        let (heard, crosstalk) = (heard.downgrade(), Arc::default());
        let inner = Inner { loads, files, standing, places, heard, utterances, crosstalk };
        let recognizing = Self(Arc::new(inner));
        languages.iter().try_for_each(|&language| recognizing.places().lane(language, &recognizing.0).map(|_| ()))?;
        Ok(recognizing)
    }

    /// Listens by other models and phrases from now on. Running calls go on; where these cannot be loaded, the recogniser
    /// that is there does, too.
    pub fn renew(&self, files: RecognizerFiles) {
        *self.0.files.lock().unwrap_or_else(PoisonError::into_inner) = Ok(files);
        self.places().lanes.values().for_each(Lane::renew);
    }

    /// Takes a party up, at position 0 of its audio.
    pub(super) fn open(&self, leg: LegId, choice: LanguageChoice) {
        let LanguageChoice { language, by_ear } = choice;
        let mut places = self.places();
        places.close(leg);
        if by_ear {
            places.sought.insert(leg, Sought::new(language));
            // Whatever is found, somebody has to hear it by then.
            for each in Language::ALL.into_iter().filter(|each| *each != language) {
                if let Err(error) = places.lane(each, &self.0) {
                    warn!(%error, language = each.code(), "no thread to listen for words with");
                }
            }
        }
        match places.lane(language, &self.0) {
            Ok(lane) => {
                lane.push(Piece::Open { leg, language });
                places.legs.insert(leg, language);
            }
            Err(error) => warn!(%error, language = language.code(), "no thread to listen for words with"),
        }
    }

    /// Hands on audio of a party (8 kHz, [-1, 1]), the first sample at `position`.
    pub(super) fn push(&self, leg: LegId, position: u64, samples: &[f32]) {
        let mut places = self.places();
        if let Some(lane) = places.lane_of(leg) {
            lane.push(Piece::Audio { leg, position, samples: samples.into() });
        }
        if let Some(found) = places.sought.get_mut(&leg).and_then(|sought| sought.push(position, samples)) {
            places.settle(leg, found);
        }
        if places.sought.get(&leg).is_some_and(Sought::is_over) {
            places.sought.remove(&leg);
        }
        places.tell(&self.0.heard);
    }

    /// Lets go of a party.
    pub(super) fn close(&self, leg: LegId) {
        self.places().close(leg);
        self.0.crosstalk.end(leg);
    }

    /// Lets go of everybody else: of whoever went while nobody listened.
    pub(super) fn keep_only(&self, legs: &BTreeSet<LegId>) {
        let gone: Vec<LegId> = self.places().legs.keys().filter(|leg| !legs.contains(leg)).copied().collect();
        gone.into_iter().for_each(|leg| self.close(leg));
        self.0.crosstalk.keep_only(legs);
    }

    /// Takes note that the audio of a party, which is in this call, began at `origin`.
    pub(super) fn begin(&self, leg: LegId, call: CallKey, origin: Duration) {
        self.0.crosstalk.begin(leg, call, origin);
    }

    /// Takes note that a party's line brought the other party's voice in these hops, counted for all parties alike.
    pub(super) fn echo(&self, leg: LegId, hops: Range<u64>) {
        self.0.crosstalk.echo(leg, hops);
    }

    /// True while words are heard, of one language at least.
    pub fn is_up(&self) -> bool {
        self.places().lanes.values().any(Lane::is_up) && self.0.standing.hears()
    }

    /// What has been done with a recogniser elsewhere; `None` where none is asked for.
    pub fn remote(&self) -> Option<RemoteFigures> {
        self.0.standing.figures()
    }

    /// From now on, whether only what is final is told.
    pub fn spare(&self, spared: bool) {
        self.places().lanes.values().for_each(|lane| lane.spare(spared));
    }

    /// What it has done so far.
    pub fn figures(&self) -> RecognizingFigures {
        let places = self.places();
        places.lanes.values().map(Lane::figures).fold(RecognizingFigures::default(), |sum, each| RecognizingFigures {
            heard: sum.heard + each.heard,
            decoded: sum.decoded + each.decoded,
            busy: sum.busy + each.busy,
            backlog: sum.backlog + each.backlog,
            dropped: sum.dropped + each.dropped,
            undecoded: sum.undecoded + each.undecoded,
            restarts: sum.restarts + each.restarts,
        })
    }

    /// Asks the threads to end.
    pub fn stop(&self) {
        let mut places = self.places();
        places.is_stopped = true;
        places.lanes.values().for_each(Lane::stop);
    }

    /// True once the threads, which were asked to, have ended.
    pub fn has_ended(&self) -> bool {
        self.places().lanes.values().all(Lane::has_ended)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Every change is whole before anything in it can panic.
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// The lane of a language, started now when there is none yet.
    fn lane(&mut self, language: Language, inner: &Inner) -> std::io::Result<&Lane> {
        if !self.lanes.contains_key(&language) {
            let heard = inner.heard.upgrade().filter(|_| !self.is_stopped);
            let heard = heard.ok_or_else(|| std::io::Error::other("the server ends"))?;
            let (utterances, crosstalk) = (Arc::clone(&inner.utterances), Arc::clone(&inner.crosstalk));
            let lane = Lane::start(language, (inner.loads)(language), Told { heard, utterances, crosstalk })?;
            self.lanes.insert(language, lane);
        }
        Ok(&self.lanes[&language])
    }

    fn lane_of(&self, leg: LegId) -> Option<&Lane> {
        self.lanes.get(self.legs.get(&leg)?)
    }

    /// Hears a party in the language that was found, and once more what was kept of its audio, if that is surely another
    /// one than before and somebody hears it.
    fn settle(&mut self, leg: LegId, found: LanguageFound) {
        let Some(sought) = self.sought.remove(&leg) else { return };
        let usual = sought.usual;
        let hears = |language| self.lanes.get(&language).filter(|lane| lane.is_up());
        let other = hears(found.language).filter(|_| found.is_sure && found.language != usual);
        if let Some(lane) = other {
            self.lane_of(leg).into_iter().for_each(|before| before.push(Piece::Drop { leg }));
            lane.push(Piece::Open { leg, language: found.language });
            for (position, samples) in sought.into_kept() {
                lane.push(Piece::Audio { leg, position, samples });
            }
        }
        let heard_in = if other.is_some() { found.language } else { usual };
        self.legs.insert(leg, heard_in);
        self.found.push_back(Heard::Language { leg, found, heard_in });
        if self.found.len() > FOUND_MAX {
            self.found.pop_front();
        }
    }

    /// Tells what was found out; what finds the queue full waits.
    fn tell(&mut self, heard: &mpsc::WeakSender<Heard>) {
        let Some(heard) = heard.upgrade().filter(|_| !self.found.is_empty()) else { return };
        while let Some(found) = self.found.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(found)) = heard.try_send(found) {
                self.found.push_front(found);
                return;
            }
        }
    }

    fn close(&mut self, leg: LegId) {
        self.sought.remove(&leg);
        if let Some(lane) = self.lane_of(leg) {
            lane.push(Piece::Close { leg });
        }
        self.legs.remove(&leg);
    }
}

/// Makes the recogniser of these files for a language. One elsewhere does without another in its absence where there is
/// none.
fn load(
    files: &RecognizerFiles,
    language: Language,
    runtime: &Handle,
    standing: &Arc<Standing>,
) -> Result<Box<dyn Recognizer>, String> {
    let Some(remote) = files.remote() else {
        standing.forget();
        return files.load_for(language);
    };
    let local = files.load_for(language).inspect_err(|why| {
        let language = language.code();
        warn!(why, language, "nothing hears words while the recogniser elsewhere is away");
    });
    Ok(Box::new(RemoteRecognizer::new(remote, local.ok(), Arc::clone(standing), runtime.clone())))
}

/// How long so many samples at 8 kHz last.
fn of_samples(samples: u64) -> Duration {
    Duration::from_micros(samples * MICROS_PER_SAMPLE)
}

/// Languages that were found and wait to be told; the oldest give way.
const FOUND_MAX: usize = 1_024;
/// At 8 kHz.
const MICROS_PER_SAMPLE: u64 = 125;
