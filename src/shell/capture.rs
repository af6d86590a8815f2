//! Captures that are under way: gives the packets that the media loop captured to whoever asked for them.
//!
//! Call control knows nothing of it: which legs a call has is looked up after everything that happens, and what is missing
//! is ordered of the media loop. A reader that is slow loses packets, and is told how many.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use media::{CapturedPacket, Capturing, Command, Depth, LegId};
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::clock::Clock;
use super::media::CaptureRing;
use super::sip::trace::Trace;
use crate::control::Capturable;
use crate::settings::CaptureSettings;

/// Captures at a time, all calls together.
pub const CAPTURES_MAX: usize = 4;
/// Packets that may wait for one reader: five seconds of both directions of both legs.
const PACKETS_MAX: usize = 1_024;
/// How often the ring is emptied. It holds a hundred times as much as four captures fill in that time.
const ROUND: Duration = Duration::from_millis(20);

/// Why no capture begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// One of that call is under way.
    #[error("the call is being captured already")]
    Taken,
    /// There are too many.
    #[error("as many calls are captured as may be at a time: {CAPTURES_MAX}")]
    Full,
}

/// Captures of calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Captures {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: CaptureSettings,
    trace: Arc<Trace>,
    ring: Arc<CaptureRing>,
    clock: Clock,
    running: Mutex<Running>,
    /// How many are under way, or have legs that are captured yet.
    busy: AtomicUsize,
    begun: Notify,
}

#[derive(Debug, Default)]
struct Running {
    last: u32,
    by_number: BTreeMap<u32, One>,
    /// Legs of captures that have ended, to be let go of.
    left: Vec<LegId>,
}

#[derive(Debug)]
struct One {
    call: String,
    depth: Depth,
    /// How much is captured of each leg.
    legs: BTreeMap<LegId, Depth>,
    packets: mpsc::Sender<CapturedPacket>,
    dropped: Arc<AtomicU64>,
}

/// A capture that is under way; it ends when this is dropped.
#[derive(Debug)]
pub struct Capture {
    /// RTP and RTCP of the call from now on.
    pub packets: mpsc::Receiver<CapturedPacket>,
    shared: Arc<Shared>,
    number: u32,
    dropped: Arc<AtomicU64>,
    dropped_before: u64,
}

impl Captures {
    /// Begins to wait for captures. Runs on the current tokio runtime.
    pub fn start(settings: CaptureSettings, trace: Arc<Trace>, ring: Arc<CaptureRing>, clock: Clock) -> Self {
        let (running, busy, begun) = (Mutex::default(), AtomicUsize::new(0), Notify::new());
        let shared = Arc::new(Shared { settings, trace, ring, clock, running, busy, begun });
        tokio::spawn(hand_out(Arc::clone(&shared)));
        Self { shared }
    }

    /// How calls may be captured.
    pub fn settings(&self) -> &CaptureSettings {
        &self.shared.settings
    }

    /// What was said by SIP.
    pub fn trace(&self) -> &Trace {
        &self.shared.trace
    }

    /// A moment of the program's clock, since 1970.
    pub fn since_1970(&self, at: Duration) -> Duration {
        self.shared.clock.began() + at
    }

    /// Packets that were lost to all captures so far, because the media loop found no room for them.
    pub fn packets_dropped(&self) -> u64 {
        self.shared.ring.dropped()
    }

    /// Begins to capture a call.
    ///
    /// # Errors
    /// When it is captured already, or too many are.
    pub fn begin(&self, call: &str, depth: Depth) -> Result<Capture, Refused> {
        let mut running = self.shared.running();
        if running.by_number.values().any(|one| one.call == call) {
            return Err(Refused::Taken);
        }
        if running.by_number.len() >= CAPTURES_MAX {
            return Err(Refused::Full);
        }
        running.last = running.last.wrapping_add(1);
        let (number, dropped) = (running.last, Arc::new(AtomicU64::new(0)));
        let (sender, packets) = mpsc::channel(PACKETS_MAX);
        let legs = BTreeMap::new();
        let one = One { call: call.to_owned(), depth, legs, packets: sender, dropped: Arc::clone(&dropped) };
        running.by_number.insert(number, one);
        self.shared.count(&running);
        self.shared.begun.notify_one();
        let dropped_before = self.shared.ring.dropped();
        Ok(Capture { packets, shared: Arc::clone(&self.shared), number, dropped, dropped_before })
    }

    /// What the media loop is to be told, after anything has happened, by what may be captured of each call now.
    pub fn orders(&self, of_call: impl Fn(&str) -> Capturable) -> Vec<Command> {
        if self.shared.busy.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut running = self.shared.running();
        let left = std::mem::take(&mut running.left);
        let mut orders: Vec<Command> = left.into_iter().map(|leg| Command::Capture { leg, capture: None }).collect();
        for (&number, one) in &mut running.by_number {
            let Capturable { legs, keeps_words } = of_call(&one.call);
            let depth = if keeps_words { one.depth } else { Depth::Headers };
            one.legs.retain(|leg, _| legs.iter().any(|(there, _)| there == leg));
            for (leg, near) in legs {
                if one.legs.insert(leg, depth) != Some(depth) {
                    let capture = Some(Capturing { number, near, depth });
                    orders.push(Command::Capture { leg, capture });
                }
            }
        }
        self.shared.count(&running);
        orders
    }
}

impl Capture {
    /// Packets that are missing: the reader, or whoever empties the ring, was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed) + (self.shared.ring.dropped() - self.dropped_before)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let mut running = self.shared.running();
        if let Some(one) = running.by_number.remove(&self.number) {
            running.left.extend(one.legs.into_keys());
        }
        self.shared.count(&running);
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, Running> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, running: &Running) {
        let busy = running.by_number.len() + usize::from(!running.left.is_empty());
        self.busy.store(busy, Ordering::Release);
    }
}

/// Gives every packet to the capture that it is for, while there are any.
async fn hand_out(shared: Arc<Shared>) {
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if shared.busy.load(Ordering::Acquire) == 0 {
            shared.begun.notified().await;
        }
        rounds.tick().await;
        let running = shared.running();
        while let Some(packet) = shared.ring.pop() {
            // What is on its way when a capture ends is nobody's.
            if let Some(one) = running.by_number.get(&packet.number)
                && one.packets.try_send(packet).is_err()
            {
                one.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests;
