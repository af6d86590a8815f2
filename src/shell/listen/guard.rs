//! Watches the listening thread and puts a fresh one in its place when it stalls, panics or ends.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{error, warn};

use super::worker::Worker;
use super::{ListenOptions, State};

/// How often the guard looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A worker that has not come round for this long is given up.
const STALLED_AFTER: Duration = Duration::from_secs(2);
/// At most this many restarts in any `RESTARTS_WITHIN`.
const RESTARTS_MAX: usize = 5;
const RESTARTS_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn start(options: ListenOptions, state: Arc<State>) -> io::Result<()> {
    let options = Arc::new(options);
    let worker = spawn_worker(&options, &state)?;
    thread::Builder::new().name("listen-guard".into()).spawn(move || watch(&options, &state, worker)).map(drop)
}

fn watch(options: &Arc<ListenOptions>, state: &Arc<State>, worker: JoinHandle<()>) {
    let mut worker = Some(worker);
    let mut restarts: VecDeque<Duration> = VecDeque::with_capacity(RESTARTS_MAX);
    while !state.is_stopping() {
        thread::sleep(LOOK_EVERY);
        let now = options.clock.now();
        let Some(cause) = what_broke(&mut worker, state, now).filter(|_| !state.is_stopping()) else { continue };

        restarts.retain(|&at| now.saturating_sub(at) < RESTARTS_WITHIN);
        if restarts.len() == RESTARTS_MAX {
            // A thread that breaks again and again would only burn the cores that the media loop needs.
            continue;
        }
        warn!(cause, "the listening thread broke, starting a fresh one; calls go on");
        match spawn_worker(options, state) {
            Ok(fresh) => {
                worker = Some(fresh);
                restarts.push_back(now);
                state.restarts.fetch_add(1, Ordering::Relaxed);
                (options.on_restart)(cause);
            }
            Err(error) => error!(%error, "no thread to listen with"),
        }
    }
    // One that panicked has ended, too.
    let _ = worker.map(JoinHandle::join);
    state.ended.store(1, Ordering::Release);
}

/// Why there is no working listening thread; `None` while there is one. A broken one is let go of.
fn what_broke(worker: &mut Option<JoinHandle<()>>, state: &State, now: Duration) -> Option<&'static str> {
    let Some(running) = worker.take_if(|running| running.is_finished()) else {
        let heartbeat = Duration::from_millis(state.heartbeat_ms.load(Ordering::Relaxed));
        let stalled = worker.is_none() || now.saturating_sub(heartbeat) > STALLED_AFTER;
        return stalled.then_some("stall");
    };
    Some(if running.join().is_err() { "panic" } else { "end" })
}

/// Starts a worker of the next generation; an older one that wakes up sees that and ends.
fn spawn_worker(options: &Arc<ListenOptions>, state: &Arc<State>) -> io::Result<JoinHandle<()>> {
    let generation = state.generation.fetch_add(1, Ordering::AcqRel) + 1;
    state.heartbeat_ms.store(options.clock.now().as_millis() as u64, Ordering::Relaxed);
    let (options, state) = (Arc::clone(options), Arc::clone(state));
    thread::Builder::new().name("listen".into()).spawn(move || Worker::new(options, state, generation).run())
}
