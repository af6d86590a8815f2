//! The listening thread itself: tap → jitter buffer → decoder → listener → observations.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use media::LegId;
use media::dtmf::{Detector, Press};
use media::jitter::{JitterBuffer, PieceKind};
use nix::time::{ClockId, clock_gettime};
use nlu::{Expression, Listener, Observation, PartyId, SAMPLE_RATE_HZ, Utterance};
use prosody::Row as Hop;
use routing::CallKey;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{info, warn};

use super::baselines::SpeakerKey;
use super::beside::Beside;
use super::chaos::Fault;
use super::conversations::Conversations;
use super::failures::Failures;
use super::loss::Loss;
use super::onset::Onset;
use super::parties::Tapped;
use super::utterances::Uttered;
use super::{Heard, ListenOptions, State};

/// How long the thread sleeps between two rounds.
const ROUND: Duration = Duration::from_millis(20);
/// How much less of a contended core the thread gets than the media threads.
pub(super) const NICENESS: i32 = 10;
/// Packets taken from the tap in one round, so that a flood cannot hold the round up.
const PACKETS_PER_ROUND: usize = 8_192;

/// Beginnings of speech and keys that wait while the queue is full; of no use when they are old.
const MOMENTS_MAX: usize = 64;
/// Observations of one party that wait while the queue is full, each of other words; the oldest give way.
const OBSERVATIONS_MAX: usize = 8;

pub(super) struct Worker {
    options: Arc<ListenOptions>,
    state: Arc<State>,
    generation: u64,
    listener: Listener,
    /// A candidate that is compared with what judges here.
    beside: Option<Beside>,
    ears: BTreeMap<LegId, Ear>,
    /// Who writes, and up to when the listener has followed each.
    writers: BTreeMap<LegId, Duration>,
    conversations: Conversations,
    /// Of the model that judges voices, and of the one that reads words.
    failures: [Failures; 2],
    parties_version: Option<u64>,
    samples: Vec<f32>,
    linear: Vec<i16>,
    presses: Vec<Press>,
    heard: Vec<Observation>,
    /// Observations that are yet to be told, by party, oldest first; of the same words only the newest.
    waiting: BTreeMap<PartyId, VecDeque<Observation>>,
    /// Conversations that found the queue full; the newest of each call.
    waiting_turns: BTreeMap<CallKey, Heard>,
    /// When the audio of parties began, as far as that is yet to be told: words are placed by it, however long ago it was.
    begun: BTreeMap<LegId, Duration>,
    /// Beginnings of speech and keys that found the queue full, oldest first.
    moments: VecDeque<Heard>,
}

/// What is kept of one party here; its emotions are the listener's.
struct Ear {
    buffer: JitterBuffer,
    /// When its audio began: position 0 of the buffer, which packets without audio do not move.
    origin: Option<Duration>,
    call: Option<CallKey>,
    /// Who speaks, when that is to be remembered.
    speaker: Option<SpeakerKey>,
    onset: Onset,
    /// How many of its packets are lost.
    loss: Loss,
    /// How often its far end was told to send to us again.
    renewals: u32,
    /// Listens for keys, when they come as nothing but tones.
    keys: Option<Detector>,
}

impl Ear {
    fn new(Tapped { settings, call, speaker, renewals, .. }: &Tapped, barge_in: Duration) -> Self {
        let buffer = JitterBuffer::new(settings.codec, settings.payload_type_received);
        let (onset, loss) = (Onset::new(barge_in), Loss::default());
        Self { buffer, origin: None, call: *call, speaker: *speaker, onset, loss, renewals: *renewals, keys: None }
    }

    fn configure(&mut self, Tapped { settings, renewals, .. }: &Tapped) {
        if std::mem::replace(&mut self.renewals, *renewals) != *renewals {
            // What went past us meanwhile is not lost.
            self.buffer.renew();
        }
        match settings.event_payload_type_received {
            Some(_) => self.keys = None,
            None => drop(self.keys.get_or_insert_default()),
        }
    }
}

impl Worker {
    pub(super) fn new(options: Arc<ListenOptions>, state: Arc<State>, generation: u64) -> Self {
        options.bench.load();
        // The first voice is judged by a model, too.
        let model = options.bench.load_acoustic();
        state.with_model.store(u64::from(model.is_some()), Ordering::Relaxed);
        Self {
            listener: Listener::new(model, nlu::ListenerSettings::default()),
            beside: None,
            options,
            state,
            generation,
            ears: BTreeMap::new(),
            writers: BTreeMap::new(),
            conversations: Conversations::default(),
            failures: Default::default(),
            parties_version: None,
            samples: Vec::with_capacity(1_600),
            linear: Vec::with_capacity(1_600),
            presses: Vec::with_capacity(8),
            heard: Vec::with_capacity(64),
            waiting: BTreeMap::new(),
            waiting_turns: BTreeMap::new(),
            begun: BTreeMap::new(),
            moments: VecDeque::with_capacity(MOMENTS_MAX),
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
            self.listener.spare(self.state.spared.load(Ordering::Relaxed) == 1);
            self.follow_parties(now);
            self.take_packets();
            self.take_models();
            self.take_words(now);
            self.listen(now);
            self.look_at_models(now);
            self.report();
            self.compare();
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

    fn follow_parties(&mut self, now: Duration) {
        let version = self.options.parties.version();
        let followed = self.parties_version.replace(version);
        if followed == Some(version) {
            return;
        }
        self.follow_writers(now);
        let tapped = self.options.parties.tapped();
        if let (None, Some(words)) = (followed, &self.options.words.recognizing) {
            // Whoever went while nobody listened is nobody's to let go of.
            words.keep_only(&tapped.keys().copied().collect());
        }
        let gone: Vec<LegId> = self.ears.keys().filter(|leg| !tapped.contains_key(leg)).copied().collect();
        for leg in gone {
            self.waiting.remove(&PartyId(leg.0));
            self.begun.remove(&leg);
            let speaker = self.ears.remove(&leg).and_then(|ear| ear.speaker);
            if let Some((speaker, usual)) = speaker.zip(self.listener.usual(PartyId(leg.0))) {
                self.options.baselines.keep(speaker, *usual);
            }
            self.listener.remove(PartyId(leg.0));
            if let Some(words) = &self.options.words.recognizing {
                words.close(leg);
            }
        }
        self.conversations.follow(tapped.iter().filter_map(|(leg, tapped)| Some((*leg, tapped.call?))));
        for (leg, tapped) in tapped {
            let (listener, options) = (&mut self.listener, &self.options);
            let ear = self.ears.entry(leg).or_insert_with(|| {
                match tapped.speaker.and_then(|speaker| options.baselines.usual(speaker)) {
                    Some(usual) => listener.add_known(PartyId(leg.0), usual),
                    None => listener.add(PartyId(leg.0)),
                }
                if tapped.functionals {
                    listener.tell_functionals(PartyId(leg.0));
                }
                if let Some((words, language)) = options.words.recognizing.as_ref().zip(tapped.language) {
                    words.open(leg, language);
                }
                Ear::new(&tapped, options.barge_in)
            });
            // Of a forked call it may be told late who speaks: then the baseline is kept, though none was taken up.
            ear.speaker = tapped.speaker;
            ear.configure(&tapped);
        }
    }

    fn follow_writers(&mut self, now: Duration) {
        let writers = self.options.parties.writers();
        let listener = &mut self.listener;
        self.writers.retain(|leg, _| {
            let goes_on = writers.contains(leg);
            if !goes_on {
                listener.remove(PartyId(leg.0));
            }
            goes_on
        });
        for leg in writers {
            self.writers.entry(leg).or_insert_with(|| {
                listener.add_writer(PartyId(leg.0));
                now
            });
        }
    }

    fn take_packets(&mut self) {
        let mut packets = 0;
        while packets < PACKETS_PER_ROUND
            && let Some(frame) = self.options.tap.pop()
        {
            packets += 1;
            if let Some(ear) = self.ears.get_mut(&frame.leg) {
                if let Some(codec) = frame.codec {
                    ear.buffer.configure(codec, frame.payload_type());
                }
                ear.buffer.push(frame.arrival, frame.packet());
                if ear.origin.is_none()
                    && let Some(origin) = ear.buffer.time_of(0)
                {
                    ear.origin = Some(origin);
                    if let Some((words, call)) = self.options.words.recognizing.as_ref().zip(ear.call) {
                        words.begin(frame.leg, call, origin);
                    }
                    self.begun.insert(frame.leg, origin);
                }
            }
        }
        self.state.packets.fetch_add(packets as u64, Ordering::Relaxed);
    }

    /// Goes on with other models when there are any: between two runs, with the baselines and timelines there are.
    fn take_models(&mut self) {
        if self.options.bench.take_into(&mut self.listener, &mut self.beside) {
            let with_model = self.listener.model().is_some();
            self.state.with_model.store(u64::from(with_model), Ordering::Relaxed);
        }
    }

    /// Tells how the runs of the models go.
    fn look_at_models(&mut self, now: Duration) {
        let (listener, [acoustic, text]) = (&self.listener, &mut self.failures);
        let reader = listener.reader();
        acoustic.look(now, "acoustic", (listener.model_failures(), listener.model_failure()), &self.state.acoustic);
        text.look(now, "text", (reader.model_failures(), reader.model_failure()), &self.state.text);
    }

    /// Has a candidate go over what was judged in this round; while work is spared, that is shed.
    fn compare(&mut self) {
        let Some(beside) = &mut self.beside else { return };
        let steps = self.listener.take_steps();
        let runs = match self.state.spared.load(Ordering::Relaxed) {
            1 => beside.skip(steps),
            _ => beside.compare(steps),
        };
        if !runs {
            warn!("the candidate broke: nothing is compared any more");
            self.beside = None;
            self.listener.record(false);
        }
    }

    /// Has the listener hear what was said and typed.
    fn take_words(&mut self, now: Duration) {
        let (mut read, mut dropped) = (0, 0);
        for (leg, uttered) in self.options.words.utterances.take() {
            let party = PartyId(leg.0);
            let unread = self.listener.utterances_unread(party);
            let writer = self.writers.get_mut(&leg).map(|followed| std::mem::replace(followed, now));
            if let Some(followed) = writer {
                self.listener.skip(party, samples_of(now.saturating_sub(followed)));
            }
            let taken = match (self.listener.position(party), uttered) {
                (Some(position), Uttered::Shown(seen)) => {
                    self.listener.see(party, Expression { position, ..seen });
                    true
                }
                (Some(position), uttered) => {
                    let utterance = placed(uttered, position, writer.is_some());
                    let taken = utterance.is_some();
                    utterance.into_iter().for_each(|utterance| self.listener.hear(party, utterance));
                    taken
                }
                (None, _) => false,
            };
            // What it made too much in the listener's queue was counted as read, and is not.
            let unread = self.listener.utterances_unread(party) - unread;
            let (taken, lost) = if taken { (1, unread) } else { (0, 1) };
            (read, dropped) = (read + taken - unread, dropped + lost);
        }
        if read + dropped > 0 {
            self.options.words.utterances.count(read, dropped);
        }
    }

    fn listen(&mut self, now: Duration) {
        for (&leg, ear) in &mut self.ears {
            let party = PartyId(leg.0);
            while let Some(piece) = ear.buffer.pop(now, &mut self.samples) {
                // Words come back at positions of this audio: they are the listener's own.
                if let Some((words, position)) =
                    self.options.words.recognizing.as_ref().zip(self.listener.position(party))
                {
                    words.push(leg, position, &self.samples);
                }
                match piece.kind {
                    PieceKind::Concealed => self.listener.push_concealed(party, &self.samples),
                    PieceKind::Heard | PieceKind::Silence => self.listener.push(party, &self.samples),
                }
                let Some(keys) = &mut ear.keys else { continue };
                self.linear.clear();
                self.linear.extend(self.samples.iter().map(|sample| (sample * 32_768.0) as i16));
                keys.handle(&self.linear, &mut self.presses);
                for press in self.presses.drain(..) {
                    if let Press::Down(key) = press {
                        keep(&mut self.moments, Heard::Key { leg, key });
                    }
                }
            }
            self.listener.tell_lost(party, ear.loss.share(now, ear.buffer.stats()));
        }
        let (ears, moments) = (&mut self.ears, &mut self.moments);
        let (conversations, recognizing) = (&mut self.conversations, &self.options.words.recognizing);
        let mut speaks = |party: PartyId, hop: &Hop, speech: bool| {
            let leg = LegId(party.0);
            let Some(ear) = ears.get_mut(&leg) else { return };
            if let Some(lasted) = ear.onset.step(speech) {
                keep(moments, Heard::Speech { leg, lasted });
            }
            if let Some(origin) = ear.origin {
                conversations.hear(leg, origin, hop.position, speech);
                if let Some(words) = recognizing {
                    conversations.compare((leg, origin), hop, speech, &mut |leg, hops| words.echo(leg, hops));
                }
            }
        };
        self.listener.run_with(&mut speaks, &mut self.heard);
        let waiting = &mut self.waiting_turns;
        self.conversations.tell(|call, legs, turns| {
            waiting.insert(call, Heard::Turns { legs, turns });
        });
    }

    /// Hands on what was heard: when audio began first, for all else is placed by it, then moments, for somebody waits for
    /// them, then turns. While the queue is full, a party's newest observation of the same words replaces its older ones.
    fn report(&mut self) {
        while let Some((leg, at)) = self.begun.pop_first() {
            if let Err(TrySendError::Full(_)) = self.options.heard.try_send(Heard::Began { leg, at }) {
                self.begun.insert(leg, at);
                break;
            }
        }
        while let Some(moment) = self.moments.pop_front() {
            if let Err(TrySendError::Full(moment)) = self.options.heard.try_send(moment) {
                self.moments.push_front(moment);
                break;
            }
        }
        while let Some((call, turns)) = self.waiting_turns.pop_first() {
            if let Err(TrySendError::Full(turns)) = self.options.heard.try_send(turns) {
                self.waiting_turns.insert(call, turns);
                break;
            }
        }
        for observation in self.heard.drain(..) {
            wait(self.waiting.entry(observation.party).or_default(), observation);
        }
        while let Some(mut party) = self.waiting.first_entry() {
            let Some(observation) = party.get_mut().pop_front() else {
                party.remove();
                continue;
            };
            match self.options.heard.try_send(Heard::Observation(Box::new(observation))) {
                Ok(()) => {}
                Err(TrySendError::Full(Heard::Observation(observation))) => {
                    party.get_mut().push_front(*observation);
                    return;
                }
                Err(_) => return,
            }
        }
    }
}

/// Processor time of this thread.
pub(super) fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Words of a party whose audio has come to `position`. `None` when they are said to lie beyond it: then they belong to
/// audio from before this thread was started anew.
fn placed(uttered: Uttered, position: u64, is_writer: bool) -> Option<Utterance> {
    match uttered {
        Uttered::Spoken(utterance) => Some(utterance).filter(|utterance| utterance.end <= position),
        Uttered::Shown(_) => None,
        Uttered::Typed(text) if is_writer => Some(Utterance::written(text, position)),
        Uttered::Typed(text) => Some(Utterance { text, start: position, end: position, confidence: 1.0 }),
    }
}

/// Whole samples of a span.
fn samples_of(span: Duration) -> u64 {
    (span.as_micros() * SAMPLE_RATE_HZ as u128 / 1_000_000) as u64
}

/// Keeps an observation until it is told, in the place of one of the same words; beyond [`OBSERVATIONS_MAX`] the oldest gives
/// way.
fn wait(waiting: &mut VecDeque<Observation>, observation: Observation) {
    let which = |observation: &Observation| observation.words.as_deref().map(|words| (words.number, words.end));
    if waiting.back().is_some_and(|last| which(last) == which(&observation)) {
        waiting.pop_back();
    } else if waiting.len() == OBSERVATIONS_MAX {
        waiting.pop_front();
    }
    waiting.push_back(observation);
}

/// Keeps a moment until it is told; the oldest gives way.
fn keep(moments: &mut VecDeque<Heard>, moment: Heard) {
    if moments.len() == MOMENTS_MAX {
        moments.pop_front();
    }
    moments.push_back(moment);
}
