//! Recordings that were uploaded: a bounded queue, and one thread that listens to them, one after the other, as fast as it can
//! and after everything else. What it hears is told and kept as of any call.
//!
//! Call threads know nothing of it. How a recording is listened to is `play`.

mod play;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, BufReader};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arc_swap::ArcSwapOption;
use media::wav;
use routing::Policy;
use serde::Serialize;
use tracing::{info, warn};
use utoipa::ToSchema;

use super::told::Told;
use crate::control::{ChatOpening, ControlSettings};
use crate::notice::Notice;
use crate::settings::Settings;
use crate::web::Moment;

/// Recordings that may wait.
pub const WAITING_MAX: usize = 16;
/// Recordings of which it is remembered what has become of them; the oldest give way.
const REMEMBERED_MAX: usize = 1_000;
/// How much less of a processor the thread gets than everything else.
const NICENESS: i32 = 19;

/// By what recordings are listened to.
#[derive(Debug)]
pub struct InForce {
    /// The configuration.
    pub settings: Settings,
    /// What call control goes by.
    pub control: ControlSettings,
    /// The policies.
    pub policies: Arc<[Policy]>,
}

/// A recording, as it was uploaded.
#[derive(Debug)]
pub struct Upload {
    /// The WAV; nobody else finds it, and it is gone with this.
    pub file: File,
    /// What it is to call control.
    pub opening: ChatOpening,
    /// Which channel is the customer's, counted from 0.
    pub customer: u16,
    /// Which is that of whoever serves, where there is one.
    pub agent: Option<u16>,
}

/// The channels of the customer and of whoever serves, counted from 0.
pub type Channels = (u16, Option<u16>);

/// Which channel is whose, where whoever serves has the channel `agent`, 0 or 1; without one the first is the customer's. `None`
/// for any other channel.
pub fn channels_of(agent: Option<u16>) -> Option<Channels> {
    match agent {
        None => Some((0, None)),
        Some(agent @ (0 | 1)) => Some((1 - agent, Some(agent))),
        Some(_) => None,
    }
}

/// Looks at the head of a recording alone: what a channel says is read when its turn comes.
///
/// # Errors
/// When it is no recording, or has not these channels.
pub fn look(file: &File, (customer, agent): Channels) -> Result<wav::Shape, String> {
    let last = agent.map_or(customer, |agent| agent.max(customer));
    let shape = wav::look(BufReader::new(file)).map_err(|error| error.to_string())?;
    if last >= shape.channels {
        return Err(format!("found {} channels, expected channel {last}, counted from 0", shape.channels));
    }
    Ok(shape)
}

/// What has become of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
#[schema(as = RecordingState)]
pub enum RecordingState {
    /// Others are listened to first.
    Waiting,
    /// It is listened to.
    Running,
    /// It has been: its record is that of the call of the same id.
    Done {
        /// How long it lasts, milliseconds.
        duration_ms: u64,
        /// How long listening took, milliseconds.
        took_ms: u64,
        /// Whether there was a recogniser for words.
        words: bool,
    },
    /// It has not, or not to its end.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Why a recording is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// Too many wait.
    #[error("{WAITING_MAX} recordings wait already: send it again later")]
    Full,
    /// The server begins or ends.
    #[error("nobody listens to recordings now")]
    Nobody,
}

/// The way to whoever listens to recordings.
#[derive(Clone)]
pub struct Recordings {
    queue: SyncSender<(String, Upload)>,
    shared: Arc<Shared>,
}

struct Shared {
    in_force: ArcSwapOption<InForce>,
    states: Mutex<States>,
    stopping: AtomicBool,
    ended: AtomicBool,
    boot_id: String,
    taken: AtomicU64,
}

/// By id, and the ids in order.
#[derive(Debug, Default)]
struct States {
    by_id: BTreeMap<String, RecordingState>,
    order: VecDeque<String>,
    /// The customers of those that wait or run.
    customers: BTreeMap<String, String>,
}

impl Recordings {
    /// Starts the thread; `boot_id` makes ids of different runs differ.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(boot_id: String, told: Told) -> io::Result<Recordings> {
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let shared = Arc::new(Shared {
            in_force: ArcSwapOption::empty(),
            states: Mutex::default(),
            stopping: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            boot_id,
            taken: AtomicU64::new(0),
        });
        let own = Arc::clone(&shared);
        thread::Builder::new().name("recordings".into()).spawn(move || {
            listen(&waiting, &own, &told);
            own.ended.store(true, Ordering::Release);
        })?;
        Ok(Recordings { queue, shared })
    }

    /// Has recordings that are begun from now on listened to by something else.
    pub fn exchange(&self, in_force: InForce) {
        self.shared.in_force.store(Some(Arc::new(in_force)));
    }

    /// By what they are listened to; `None` while the server begins.
    pub fn in_force(&self) -> Option<Arc<InForce>> {
        self.shared.in_force.load_full()
    }

    /// Takes a recording.
    ///
    /// # Returns
    /// Its id, which is its call's.
    ///
    /// # Errors
    /// When too many wait.
    pub fn take(&self, upload: Upload) -> Result<String, NotTaken> {
        let number = self.shared.taken.fetch_add(1, Ordering::Relaxed) + 1;
        // As call control makes it of the first part: each recording has one of its own, with one call.
        let own = format!("{}-r{number}", self.shared.boot_id);
        let id = format!("{own}-1");
        self.shared.set(&id, RecordingState::Waiting);
        self.shared.states().customers.insert(id.clone(), upload.opening.customer.clone());
        match self.queue.try_send((own, upload)) {
            Ok(()) => Ok(id),
            Err(refused) => {
                self.shared.forget(&id);
                self.shared.states().customers.remove(&id);
                Err(if matches!(refused, TrySendError::Full(_)) { NotTaken::Full } else { NotTaken::Nobody })
            }
        }
    }

    /// Somebody is erased: what waits of them is not listened to, and what runs ends. `person` is their pseudonym.
    pub fn erase(&self, person: &str) {
        // Whose recording it is was not said: that is nobody's.
        if !person.is_empty() {
            self.shared.states().customers.retain(|_, customer| customer != person);
        }
    }

    /// What has become of a recording, while that is remembered.
    pub fn state(&self, id: &str) -> Option<RecordingState> {
        self.shared.states().by_id.get(id).cloned()
    }

    /// Ends what runs; what waits is not begun.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
    }

    /// Whether the thread uses no model any more.
    pub fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }
}

impl Shared {
    fn states(&self) -> std::sync::MutexGuard<'_, States> {
        // Every change leaves it whole.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, id: &str, state: RecordingState) {
        let mut states = self.states();
        if states.by_id.insert(id.to_owned(), state).is_none() {
            states.order.push_back(id.to_owned());
            if states.order.len() > REMEMBERED_MAX
                && let Some(oldest) = states.order.pop_front()
            {
                states.by_id.remove(&oldest);
            }
        }
    }

    fn forget(&self, id: &str) {
        let mut states = self.states();
        states.by_id.remove(id);
        states.order.retain(|own| own != id);
    }

    /// Whether whoever is heard in a recording was erased meanwhile.
    fn is_erased(&self, id: &str) -> bool {
        !self.states().customers.contains_key(id)
    }

    /// Why a recording that runs is to end, when that is so.
    fn why_to_end(&self, id: &str) -> Option<&'static str> {
        if self.is_stopping() {
            return Some("the server ended");
        }
        self.is_erased(id).then_some(ERASED)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Listens to a recording here and now; what is heard is told to `tell` alone.
///
/// # Errors
/// Why it is not listened to, or not to its end.
pub(crate) fn listen_to(upload: Upload, in_force: &InForce, tell: impl FnMut(&Notice)) -> Result<(), String> {
    play::play("recording".to_owned(), upload, in_force, tell, || None).map(|_| ())
}

/// The thread: one recording after the other.
fn listen(waiting: &Receiver<(String, Upload)>, shared: &Shared, told: &Told) {
    if let Err(error) = rustix::process::nice(NICENESS) {
        warn!(%error, "recordings are listened to at the priority of everything else");
    }
    // Looks up now and then, for the server may end while nothing waits.
    while !shared.is_stopping() {
        let (own, upload) = match waiting.recv_timeout(LOOK_EVERY) {
            Ok(next) => next,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => continue,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
        };
        let id = format!("{own}-1");
        if shared.is_erased(&id) {
            shared.set(&id, RecordingState::Failed { reason: ERASED.to_owned() });
            continue;
        }
        shared.set(&id, RecordingState::Running);
        let began = std::time::Instant::now();
        let Some(in_force) = shared.in_force.load_full() else { continue };
        let tell = |notice: &Notice| told.tell_all(notice, Moment::now());
        // What one recording breaks is that recording's alone.
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            play::play(own, upload, &in_force, tell, || shared.why_to_end(&id))
        }));
        let took_ms = began.elapsed().as_millis() as u64;
        let state = match played {
            Ok(Ok(play::Heard { duration_ms, words })) => RecordingState::Done { duration_ms, took_ms, words },
            Ok(Err(reason)) => RecordingState::Failed { reason },
            Err(_) => RecordingState::Failed { reason: "the recording broke its listener".to_owned() },
        };
        info!(call = id, ?state, "a recording was listened to");
        shared.set(&id, state);
        shared.states().customers.remove(&id);
    }
}

/// Why a recording is not listened to any more whose customer was erased.
const ERASED: &str = "the customer was erased";
/// How often the thread looks whether the server ends.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

#[cfg(test)]
mod tests;
