//! The listening thread itself: tap → jitter buffer → decoder → listener → observations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use media::LegId;
use media::jitter::JitterBuffer;
use nlu::{Listener, Observation, PartyId};
use tokio::sync::mpsc::error::TrySendError;
use tracing::{info, warn};

use super::chaos::Fault;
use super::{ListenOptions, State};

/// How long the thread sleeps between two rounds.
const ROUND: Duration = Duration::from_millis(20);
/// How much less of a contended core the thread gets than the media threads.
const NICENESS: i32 = 10;
/// Packets taken from the tap in one round, so that a flood cannot hold the round up.
const PACKETS_PER_ROUND: usize = 8_192;

pub(super) struct Worker {
    options: Arc<ListenOptions>,
    state: Arc<State>,
    generation: u64,
    listener: Listener,
    buffers: BTreeMap<LegId, JitterBuffer>,
    parties_version: Option<u64>,
    samples: Vec<f32>,
    heard: Vec<Observation>,
    /// Observations that found the queue full; one per party, the newest.
    waiting: BTreeMap<PartyId, Observation>,
}

impl Worker {
    pub(super) fn new(options: Arc<ListenOptions>, state: Arc<State>, generation: u64) -> Self {
        let model = options.model.as_ref().and_then(|files| {
            files.load().inspect_err(|why| warn!(%why, "no acoustic model: listening by signal processing only")).ok()
        });
        state.with_model.store(u64::from(model.is_some()), Ordering::Relaxed);
        Self {
            listener: Listener::new(model, nlu::ListenerSettings::default()),
            options,
            state,
            generation,
            buffers: BTreeMap::new(),
            parties_version: None,
            samples: Vec::with_capacity(1_600),
            heard: Vec::with_capacity(64),
            waiting: BTreeMap::new(),
        }
    }

    pub(super) fn run(mut self) {
        // Whatever cores there are, a packet goes before an analysis. On Linux this is the thread's own niceness.
        if let Err(error) = rustix::process::nice(NICENESS) {
            warn!(%error, "the listening thread runs at the media threads' priority");
        }
        while self.is_current() && !self.state.is_stopping() {
            let now = self.options.clock.now();
            self.state.heartbeat_ms.store(now.as_millis() as u64, Ordering::Relaxed);
            if self.breaks_on_purpose(now) {
                return;
            }
            self.follow_parties();
            self.take_packets();
            self.listen(now);
            self.report();
            thread::sleep(ROUND);
        }
    }

    fn is_current(&self) -> bool {
        self.state.generation.load(Ordering::Acquire) == self.generation
    }

    /// Only the first worker breaks, once; true means that it ends here.
    fn breaks_on_purpose(&mut self, now: Duration) -> bool {
        let Some(chaos) = self.options.chaos.filter(|chaos| self.generation == 1 && now >= chaos.at) else {
            return false;
        };
        info!(fault = ?chaos.fault, "breaking the listening thread on purpose");
        match chaos.fault {
            Fault::Stall => thread::sleep(Duration::from_secs(10)),
            Fault::Panic => panic!("broken on purpose"),
            Fault::Kill => {}
        }
        true
    }

    fn follow_parties(&mut self) {
        let version = self.options.parties.version();
        if self.parties_version.replace(version) == Some(version) {
            return;
        }
        let tapped = self.options.parties.tapped();
        let gone: Vec<LegId> = self.buffers.keys().filter(|leg| !tapped.contains_key(leg)).copied().collect();
        for leg in gone {
            self.buffers.remove(&leg);
            self.waiting.remove(&PartyId(leg.0));
            self.listener.remove(PartyId(leg.0));
        }
        for (leg, settings) in tapped {
            let listener = &mut self.listener;
            let buffer = self.buffers.entry(leg).or_insert_with(|| {
                listener.add(PartyId(leg.0));
                JitterBuffer::new(settings.codec, settings.payload_type)
            });
            buffer.configure(settings.codec, settings.payload_type);
        }
    }

    fn take_packets(&mut self) {
        let mut packets = 0;
        while packets < PACKETS_PER_ROUND
            && let Some(frame) = self.options.tap.pop()
        {
            packets += 1;
            if let Some(buffer) = self.buffers.get_mut(&frame.leg) {
                buffer.push(frame.arrival, frame.packet());
            }
        }
        self.state.packets.fetch_add(packets as u64, Ordering::Relaxed);
    }

    fn listen(&mut self, now: Duration) {
        for (leg, buffer) in &mut self.buffers {
            while buffer.pop(now, &mut self.samples).is_some() {
                self.listener.push(PartyId(leg.0), &self.samples);
            }
        }
        self.listener.run(&mut self.heard);
    }

    /// Hands observations on; while the queue is full, a party's newest replaces its older ones.
    fn report(&mut self) {
        for observation in self.heard.drain(..) {
            self.waiting.insert(observation.party, observation);
        }
        while let Some((party, observation)) = self.waiting.pop_first() {
            match self.options.observations.try_send(observation) {
                Ok(()) => {}
                Err(TrySendError::Full(observation)) => {
                    self.waiting.insert(party, observation);
                    return;
                }
                Err(TrySendError::Closed(_)) => return,
            }
        }
    }
}
