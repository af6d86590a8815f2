//! The listening loop: one thread that hears what the tap gives it, and a guard that restarts it when it breaks.
//!
//! Nothing here stands between two sockets: when this stalls, panics or dies, the calls do not notice.

mod baselines;
mod bench;
mod beside;
mod chaos;
mod conversations;
mod failures;
mod guard;
mod loss;
mod onset;
mod parties;
#[cfg(test)]
mod tests;
mod utterances;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use media::LegId;
use media::dtmf::Key;
use prosody::turns::Turns;
use tokio::sync::mpsc;

pub use baselines::{Baselines, SpeakerKey};
pub use bench::{Bench, ModelName, ModelsNow, ShadowReport};
pub use chaos::Chaos;
pub(super) use conversations::{Conversations, hop_of};
pub use failures::ModelRuns;
pub use parties::Parties;
pub use utterances::{UtteranceFigures, Utterances, Uttered};

use super::clock::Clock;
use super::media::TapRing;
use super::recognize::Recognizing;
use failures::Runs;

/// What the listening loop needs.
pub struct ListenOptions {
    /// Where the media loop puts the packets of the parties that are listened to.
    pub tap: Arc<TapRing>,
    /// Who is listened to, kept by call control.
    pub parties: Arc<Parties>,
    /// The clock that the packets' arrival times were read from.
    pub clock: Clock,
    /// The models that judge; without an acoustic one the loop runs on signal processing.
    pub bench: Arc<Bench>,
    /// Breaks the thread on purpose, for tests.
    pub chaos: Option<Chaos>,
    /// Told after every restart: `panic`, `stall` or `end`.
    pub on_restart: Box<dyn Fn(&'static str) + Send + Sync>,
    /// What is usual for callers who are known.
    pub baselines: Arc<Baselines>,
    /// How long a party has to speak until that is told.
    pub barge_in: Duration,
    /// The words of parties.
    pub words: Words,
    /// Where it is told what is heard. Bounded; while it is full, older observations of a party are replaced by newer
    /// ones, and of what cannot be replaced the oldest is dropped.
    pub heard: mpsc::Sender<Heard>,
}

/// How words come to be read beside the voice.
#[derive(Debug, Clone)]
pub struct Words {
    /// Who turns speech into words, where somebody does.
    pub recognizing: Option<Recognizing>,
    /// The words that are to be read.
    pub utterances: Arc<Utterances>,
}

/// What is heard in a party's audio.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A step of the party's emotion timeline.
    Observation(Box<nlu::Observation>),
    /// What a party has said. What is not final may get lost, what is final never does.
    Said(nlu::recognition::Transcript),
    /// As `Said`, of what the other party has said: its voice came back on this one's line.
    Crosstalk(nlu::recognition::Transcript),
    /// What a party speaks was found out by its first speech, or not surely enough.
    Language {
        /// Who.
        leg: LegId,
        /// What was found out.
        found: nlu::LanguageFound,
        /// What it is heard in from now on.
        heard_in: nlu::recognition::Language,
    },
    /// How the two parties of a call have taken turns so far. While the queue is full, a call's newest replaces older
    /// ones.
    Turns {
        /// The parties, in the order of `turns`.
        legs: [LegId; 2],
        /// What has happened since both are listened to.
        turns: Turns,
    },
    /// The party has begun to speak.
    Speech {
        /// Who.
        leg: LegId,
        /// How long ago, in the party's audio.
        lasted: Duration,
    },
    /// The party's audio begins: its position 0.
    Began {
        /// Whose.
        leg: LegId,
        /// When its first packet came.
        at: Duration,
    },
    /// The tones of a key, on a leg without telephone-events.
    Key {
        /// Who presses it.
        leg: LegId,
        /// Which.
        key: Key,
    },
}

/// The running loop, as the rest of the program sees it.
#[derive(Debug, Clone)]
pub struct Listening {
    state: Arc<State>,
}

/// What the guard, the worker and the metrics share.
#[derive(Debug, Default)]
struct State {
    /// Grows by one with every restart; a worker whose number is not the current one ends itself.
    generation: AtomicU64,
    /// Milliseconds on the clock when the worker last came round.
    heartbeat_ms: AtomicU64,
    /// The system's number of the worker's thread.
    thread: AtomicI32,
    restarts: AtomicU64,
    /// Packets handled, all generations.
    packets: AtomicU64,
    /// 1 when the model runs, 0 on signal processing only.
    with_model: AtomicU64,
    /// The models in use: the one that judges voices, and the one that reads words.
    acoustic: Runs,
    text: Runs,
    /// 1 while only what calls need is heard.
    spared: AtomicU64,
    /// 1 once the program wants to end.
    stopping: AtomicU64,
    /// 1 once the worker and its guard have ended.
    ended: AtomicU64,
}

impl Listening {
    /// Starts the worker and its guard.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(options: ListenOptions) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        guard::start(options, Arc::clone(&state))?;
        Ok(Self { state })
    }

    /// How often the worker was restarted.
    pub fn restarts(&self) -> u64 {
        self.state.restarts.load(Ordering::Relaxed)
    }

    /// Packets handled so far.
    pub fn packets(&self) -> u64 {
        self.state.packets.load(Ordering::Relaxed)
    }

    /// True while the acoustic model runs; false on signal processing only.
    pub fn with_model(&self) -> bool {
        self.state.with_model.load(Ordering::Relaxed) == 1
    }

    /// How the runs of the model that judges voices go, all that there were.
    pub fn acoustic_runs(&self) -> ModelRuns {
        self.state.acoustic.now()
    }

    /// How those of the model that reads words do.
    pub fn text_runs(&self) -> ModelRuns {
        self.state.text.now()
    }

    /// True when the worker came round within the last second.
    pub fn is_up(&self, now: Duration) -> bool {
        let age_ms = (now.as_millis() as u64).saturating_sub(self.state.heartbeat_ms.load(Ordering::Relaxed));
        age_ms < 1_000
    }

    /// From now on, whether only what calls need is heard: emotion less often, and no delivery.
    pub fn spare(&self, spared: bool) {
        self.state.spared.store(u64::from(spared), Ordering::Relaxed);
    }

    /// Asks the worker and its guard to end.
    pub fn stop(&self) {
        self.state.stopping.store(1, Ordering::Release);
    }

    /// True once both, which were asked to, have ended.
    pub fn has_ended(&self) -> bool {
        self.state.ended.load(Ordering::Acquire) == 1
    }
}

impl State {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire) == 1
    }
}
