//! What the thread does, round by round: takes what it is told and the frames that are there, writes, and lets go of what is done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread;
use std::time::Duration;

use media::LegId;
use media::copy::CopyFrame;
use routing::CallKey;
use tokio::sync::broadcast;
use tracing::{error, info, warn};

use super::chores::{Chores, Counted};
use super::writing::{Outcome, Room, Writing};
use super::{Job, ReelOptions, Shared};
use crate::control::{ReelBeginning, ReelCommand};

/// How long the thread sleeps between two rounds: a copy keeps frames for ten seconds.
const ROUND: Duration = Duration::from_millis(40);
/// A round that takes longer is late: after ten seconds frames are lost.
const LATE: Duration = Duration::from_millis(400);
/// Rounds that are easy, and how many of them in a row are a sign of rest: some twenty seconds.
const EASY: Duration = Duration::from_millis(60);
const EASY_ROUNDS: u32 = 300;
/// How often it is looked how much waits to be recognised, and whether something is still to be forgotten.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what the folder takes is counted anew: files go without this thread.
const COUNT_EVERY: Duration = Duration::from_secs(60);
/// How long it is waited at the end for what the store is still to forget.
const DROPS_WAIT: Duration = Duration::from_secs(2);

pub(super) struct Worker<'a> {
    options: &'a ReelOptions,
    shared: &'a Shared,
    chores: &'a Chores,
    calls: BTreeMap<CallKey, Kept>,
    /// To which call a leg belongs whose audio has begun.
    legs: BTreeMap<LegId, CallKey>,
    /// What the store says of reels that it was asked to forget.
    asked: BTreeMap<String, Receiver<Result<(), String>>>,
    room: Room,
    pace: Pace,
    unread: Duration,
    looked: Option<Duration>,
    counted: Option<Duration>,
}

/// Whether the thread keeps pace with calls.
#[derive(Debug, Default)]
struct Pace {
    is_late: bool,
    easy_rounds: u32,
}

impl Pace {
    /// Sees, in the midst of a round, how long it takes.
    fn look(&mut self, takes: Duration) {
        if takes > LATE && !std::mem::replace(&mut self.is_late, true) {
            warn!(
                "more audio is to be kept than there is processor for: it is kept as PCMU, four times as large, until there is"
            );
        }
    }

    /// Sees how long a whole round took: after many easy ones there is time again.
    fn rest(&mut self, took: Duration) {
        self.easy_rounds = if took < EASY { self.easy_rounds.saturating_add(1) } else { 0 };
        if self.is_late && self.easy_rounds >= EASY_ROUNDS {
            *self = Self::default();
            info!("there is processor again for audio as it is configured to be kept");
        }
    }
}

/// What is known of a call whose audio may be kept.
#[derive(Default)]
struct Kept {
    /// When its parties' audio began.
    origins: Vec<(LegId, Duration)>,
    writing: Option<Box<Writing>>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(options: &'a ReelOptions, shared: &'a Shared, chores: &'a Chores) -> Self {
        Self {
            options,
            shared,
            chores,
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            asked: BTreeMap::new(),
            room: Room { taken: 0, most: options.store.audio().space_bytes },
            pace: Pace::default(),
            unread: Duration::ZERO,
            looked: None,
            counted: None,
        }
    }

    pub(super) fn work(mut self, jobs: &Receiver<Job>) {
        loop {
            let is_last = self.shared.is_stopping();
            let now = self.options.clock.now();
            self.look(now);
            while let Ok(job) = jobs.try_recv() {
                self.take(now, job);
            }
            if self.shared.overflown.swap(false, Ordering::AcqRel) {
                self.forget_all();
            }
            self.write(now, is_last);
            self.hear_of_drops();
            if is_last {
                return self.wait_for_drops();
            }
            thread::sleep(ROUND);
        }
    }

    fn look(&mut self, now: Duration) {
        while let Some(Counted { known, found }) = self.chores.counted() {
            // What was written meanwhile may be in both: rather too much than too little.
            self.room.taken = found + self.room.taken.saturating_sub(known);
        }
        if self.looked.is_some_and(|looked| now - looked < LOOK_EVERY) {
            return;
        }
        self.looked = Some(now);
        self.unread = self.options.recognizing.as_ref().map_or(Duration::ZERO, |words| words.figures().backlog);
        if self.counted.is_none_or(|counted| now - counted >= COUNT_EVERY) {
            self.counted = Some(now);
            self.chores.count(self.room.taken);
        }
        self.ask_again();
        let (metrics, calls) = (&self.options.metrics, self.calls.values());
        metrics.set_reels(calls.filter(|kept| kept.writing.is_some()).count(), self.room.taken);
        metrics.set_reels_up(!self.shared.fails.load(Ordering::Relaxed));
    }

    fn take(&mut self, now: Duration, job: Job) {
        match job {
            Job::Began { call, leg, at } => {
                self.legs.insert(leg, call);
                let kept = self.calls.entry(call).or_default();
                kept.origins.push((leg, at));
                if let Some(writing) = &mut kept.writing {
                    writing.hear(leg, at);
                }
            }
            Job::Said(transcript) => {
                let call = self.legs.get(&LegId(transcript.party.0));
                let writing = call.and_then(|call| self.calls.get_mut(call)?.writing.as_mut());
                if let Some(writing) = writing {
                    writing.said(&transcript, now);
                }
            }
            Job::Command(ReelCommand::Begin(beginning), at, Some(frames)) => self.begin(at, *beginning, frames),
            Job::Command(command, at, _) => self.obey(&command, at),
        }
    }

    /// Does what call control has wanted since `at`.
    fn obey(&mut self, command: &ReelCommand, at: Duration) {
        match *command {
            // It comes with its frames.
            ReelCommand::Begin(_) => {}
            ReelCommand::Pause { call } => self.each(call, Writing::pause),
            ReelCommand::Secure { call, on } => self.each(call, |writing| writing.secure(at, on)),
            ReelCommand::End { call } => match self.calls.get_mut(&call) {
                Some(Kept { writing: Some(writing), .. }) => writing.end(at),
                _ => {
                    self.let_go(call);
                }
            },
            ReelCommand::Drop { call } => self.forget(call),
        }
    }

    fn each(&mut self, call: CallKey, change: impl FnOnce(&mut Writing)) {
        if let Some(writing) = self.calls.get_mut(&call).and_then(|kept| kept.writing.as_mut()) {
            change(writing);
        }
    }

    fn begin(&mut self, at: Duration, beginning: ReelBeginning, frames: broadcast::Receiver<Arc<CopyFrame>>) {
        let kept = self.calls.entry(beginning.call).or_default();
        if let Some(writing) = &mut kept.writing {
            return writing.go_on(at, frames);
        }
        let id = beginning.id.clone();
        match Writing::begin(at, beginning, frames, &self.options.store) {
            Ok(mut writing) => {
                kept.origins.iter().for_each(|(leg, origin)| writing.hear(*leg, *origin));
                kept.writing = Some(Box::new(writing));
                self.shared.open().insert(id);
            }
            Err(error) => {
                self.options.metrics.count_reel("failed");
                error!(call = id, %error, "audio cannot be kept");
            }
        }
    }

    /// Takes the frames that are there, writes what is ready, and lets go of what has come to its end.
    fn write(&mut self, now: Duration, is_last: bool) {
        let (mut done, mut fails) = (Vec::new(), false);
        for (call, kept) in &mut self.calls {
            let Some(writing) = &mut kept.writing else { continue };
            self.pace.look(self.options.clock.now().saturating_sub(now));
            writing.hurry(self.pace.is_late, self.unread);
            writing.take_frames(now, self.unread);
            if is_last {
                writing.close_chunk(self.unread);
            }
            let outcome = writing.write(now, self.unread, (&self.options.store.audio().folder, &mut self.room));
            fails |= writing.fails();
            self.options.metrics.count_reel_samples(writing.take_figures());
            if let Some(outcome) = outcome {
                done.push((*call, outcome));
            }
        }
        self.pace.rest(self.options.clock.now().saturating_sub(now));
        if fails != self.shared.fails.swap(fails, Ordering::Relaxed) {
            match fails {
                true => error!("audio cannot be kept: calls go on, and what they say is lost to their reels"),
                false => info!("audio is kept again"),
            }
        }
        for (call, outcome) in done {
            self.options.metrics.count_reel(outcome.name());
            let Some(writing) = self.let_go(call) else { continue };
            let id = writing.id().to_owned();
            match outcome {
                Outcome::Kept => {
                    self.shared.open().remove(&id);
                    if let Some(reel) = writing.into_reel() {
                        self.chores.sync(id, reel);
                    }
                }
                Outcome::Failed(why) => {
                    error!(call = id, why, "the audio of a call cannot be kept");
                    self.drop_reel(id);
                }
            }
        }
    }

    /// Knows nothing more of a call; what was being written of it.
    fn let_go(&mut self, call: CallKey) -> Option<Box<Writing>> {
        let Kept { origins, writing } = self.calls.remove(&call)?;
        for (leg, _) in origins {
            self.legs.remove(&leg);
        }
        writing
    }

    /// Forgets what was kept of a call that goes on.
    fn forget(&mut self, call: CallKey) {
        if let Some(writing) = self.calls.get_mut(&call).and_then(|kept| kept.writing.take()) {
            self.drop_reel(writing.id().to_owned());
            self.options.metrics.count_reel("forgotten");
        }
    }

    /// Has the store forget a reel, which nobody may play until it has.
    fn drop_reel(&mut self, id: String) {
        self.shared.to_drop().insert(id.clone());
        self.shared.open().remove(&id);
        self.asked.insert(id.clone(), self.options.store.drop_reel(id));
    }

    /// Takes the answers of the store; what it did not do is asked for again later.
    fn hear_of_drops(&mut self) {
        let shared = self.shared;
        self.asked.retain(|id, answer| match answer.try_recv() {
            Ok(Ok(())) => {
                shared.to_drop().remove(id);
                false
            }
            Ok(Err(why)) => {
                error!(call = id, why, "kept audio that nobody may hear cannot be forgotten: tried again");
                false
            }
            Err(answer) => answer == TryRecvError::Empty,
        });
    }

    /// Asks for what is to be forgotten and nobody is about to: the store was down, or this thread broke.
    fn ask_again(&mut self) {
        let mut missing = self.shared.to_drop().clone();
        missing.retain(|id| !self.asked.contains_key(id));
        missing.into_iter().for_each(|id| self.drop_reel(id));
    }

    /// Waits a little for the last answers.
    fn wait_for_drops(&mut self) {
        self.ask_again();
        let clock = self.options.clock;
        let until = clock.now() + DROPS_WAIT;
        for (id, answer) in std::mem::take(&mut self.asked) {
            if matches!(answer.recv_timeout(until.saturating_sub(clock.now())), Ok(Ok(()))) {
                self.shared.to_drop().remove(&id);
            } else {
                error!(call = id, "kept audio that nobody may hear was not forgotten before the end");
            }
        }
    }

    fn forget_all(&mut self) {
        error!("the thread that keeps audio was not told of everything: what was being kept is forgotten");
        let calls: Vec<CallKey> = self.calls.keys().copied().collect();
        for call in calls {
            self.forget(call);
            self.let_go(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_round_is_seen_at_once_and_rest_after_many_easy_ones() {
        let mut pace = Pace::default();
        pace.look(LATE);
        assert!(!pace.is_late);
        pace.look(LATE + Duration::from_millis(1));
        assert!(pace.is_late);
        (1..EASY_ROUNDS).for_each(|_| pace.rest(Duration::ZERO));
        pace.rest(EASY);
        (1..EASY_ROUNDS).for_each(|_| pace.rest(Duration::ZERO));
        assert!(pace.is_late, "one that was not easy begins the count anew");
        pace.rest(Duration::ZERO);
        assert!(!pace.is_late);
    }
}
