//! Watches the listening thread and puts a fresh one in its place when it stalls, panics or ends. One that only waits for a
//! processor stays: another one would wait as long, and have forgotten how everybody usually sounds.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::unistd::gettid;
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
    let (mut worker, mut pulse) = (Some(worker), Pulse::default());
    let mut restarts: VecDeque<Duration> = VecDeque::with_capacity(RESTARTS_MAX);
    while !state.is_stopping() {
        thread::sleep(LOOK_EVERY);
        let now = options.clock.now();
        let Some(cause) = what_broke(&mut worker, &mut pulse, state, now).filter(|_| !state.is_stopping()) else {
            continue;
        };

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
fn what_broke(
    worker: &mut Option<JoinHandle<()>>,
    pulse: &mut Pulse,
    state: &State,
    now: Duration,
) -> Option<&'static str> {
    let Some(running) = worker.take_if(|running| running.is_finished()) else {
        let heartbeat = Duration::from_millis(state.heartbeat_ms.load(Ordering::Relaxed));
        let stands = pulse.stands(heartbeat, now, || waited(state.thread.load(Ordering::Relaxed)));
        return (worker.is_none() || stands).then_some("stall");
    };
    Some(if running.join().is_err() { "panic" } else { "end" })
}

/// When the thread last came round, and how long it had waited for a processor by then.
#[derive(Debug, Default)]
struct Pulse {
    heartbeat: Duration,
    waited: Option<Duration>,
}

impl Pulse {
    /// Whether it has stood still for too long, and not for want of a processor.
    fn stands(&mut self, heartbeat: Duration, now: Duration, waited: impl Fn() -> Option<Duration>) -> bool {
        if heartbeat != self.heartbeat {
            *self = Self { heartbeat, waited: waited() };
        }
        let still = now.saturating_sub(heartbeat);
        if still <= STALLED_AFTER {
            return false;
        }
        let since = waited().zip(self.waited).map(|(now, then)| now.saturating_sub(then));
        since.is_none_or(|waited| waited < still / 2)
    }
}

/// How long a thread of ours has waited for a processor in all; nothing where the system does not say.
fn waited(thread: i32) -> Option<Duration> {
    let told = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    told.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// Starts a worker of the next generation; an older one that wakes up sees that and ends.
fn spawn_worker(options: &Arc<ListenOptions>, state: &Arc<State>) -> io::Result<JoinHandle<()>> {
    let generation = state.generation.fetch_add(1, Ordering::AcqRel) + 1;
    state.heartbeat_ms.store(options.clock.now().as_millis() as u64, Ordering::Relaxed);
    let (options, state) = (Arc::clone(options), Arc::clone(state));
    thread::Builder::new().name("listen".into()).spawn(move || {
        state.thread.store(gettid().as_raw(), Ordering::Relaxed);
        Worker::new(options, state, generation).run();
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_waits_for_a_processor_stays() {
        let ms = Duration::from_millis;
        let mut pulse = Pulse::default();
        for (heartbeat_ms, now_ms, waited_ms, stands) in [
            (1_000, 1_100, Some(50), false),
            (1_000, 3_000, Some(60), false),
            // It had the processor, or wanted none.
            (1_000, 3_100, Some(60), true),
            // It comes round again, and then gets next to no time.
            (3_150, 3_200, Some(60), false),
            (3_150, 5_400, Some(1_900), false),
            (3_150, 9_200, Some(5_000), false),
            // It has got a processor, and stands all the same.
            (3_150, 20_000, Some(5_000), true),
            // Nobody knows.
            (21_000, 21_000, None, false),
            (21_000, 23_100, None, true),
        ] {
            let told = pulse.stands(ms(heartbeat_ms), ms(now_ms), || waited_ms.map(ms));
            assert_eq!(told, stands, "at {now_ms}");
        }
    }

    #[test]
    fn the_system_says_how_long_a_thread_has_waited() {
        // Where it does not, a thread that stands is replaced.
        if std::path::Path::new("/proc/self/schedstat").exists() {
            assert!(waited(gettid().as_raw()).is_some());
        }
        assert_eq!(waited(-1), None);
    }
}
