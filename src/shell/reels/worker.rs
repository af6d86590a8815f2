//! What the thread does, round by round: takes what it is told and the frames that are there, writes, and lets go of what is done.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use media::LegId;
use routing::CallKey;
use tracing::{debug, error, info, warn};

use super::writing::{Outcome, Room, Writing};
use super::{Job, ReelOptions, Shared};
use crate::control::{ReelBeginning, ReelCommand};

/// How long the thread sleeps between two rounds: a copy keeps frames for two and a half seconds.
const ROUND: Duration = Duration::from_millis(40);
/// How often it is looked how much room there is, and how much waits to be recognised.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what the folder takes is counted anew: files go without this thread.
const COUNT_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Worker<'a> {
    options: &'a ReelOptions,
    shared: &'a Shared,
    calls: BTreeMap<CallKey, Kept>,
    /// To which call a leg belongs whose audio has begun.
    legs: BTreeMap<LegId, CallKey>,
    /// Calls whose reels are to be forgotten, and the store had too much to do.
    to_drop: Vec<String>,
    room: Room,
    unread: Duration,
    looked: Option<Duration>,
    counted: Option<Duration>,
}

/// What is known of a call whose audio may be kept.
#[derive(Default)]
struct Kept {
    /// When its parties' audio began.
    origins: Vec<(LegId, Duration)>,
    writing: Option<Box<Writing>>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(options: &'a ReelOptions, shared: &'a Shared) -> Self {
        Self {
            options,
            shared,
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            to_drop: Vec::new(),
            room: Room { taken: 0, most: options.store.audio().space_bytes },
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
            self.to_drop.retain(|call| !self.options.store.drop_reel(call.clone()));
            if is_last {
                return;
            }
            thread::sleep(ROUND);
        }
    }

    fn look(&mut self, now: Duration) {
        if self.looked.is_some_and(|looked| now - looked < LOOK_EVERY) {
            return;
        }
        self.looked = Some(now);
        self.unread = self.options.recognizing.as_ref().map_or(Duration::ZERO, |words| words.figures().backlog);
        if self.counted.is_none_or(|counted| now - counted >= COUNT_EVERY) {
            self.counted = Some(now);
            self.count();
        }
        let (metrics, calls) = (&self.options.metrics, self.calls.values());
        metrics.set_reels(calls.filter(|kept| kept.writing.is_some()).count(), self.room.taken);
        metrics.set_reels_up(!self.shared.fails.load(Ordering::Relaxed));
    }

    /// Counts what the files take, once those are gone that belong to no call and are too old.
    fn count(&mut self) {
        let store = &self.options.store;
        match store.remove_unknown_reels() {
            Ok(0) => {}
            Ok(removed) => info!(removed, "files of kept audio that belong to no call are removed"),
            // It is asked again.
            Err(why) => debug!(why, "files of kept audio cannot be looked through"),
        }
        match bytes_in(&store.audio().folder) {
            Ok(bytes) => self.room.taken = bytes,
            Err(error) => warn!(%error, "what kept audio takes cannot be counted"),
        }
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
            Job::Command(ReelCommand::Begin(beginning)) => self.begin(now, *beginning),
            Job::Command(ReelCommand::Pause { call }) => self.each(call, Writing::pause),
            Job::Command(ReelCommand::Secure { call, on }) => self.each(call, |writing| writing.secure(now, on)),
            Job::Command(ReelCommand::End { call }) => match self.calls.get_mut(&call) {
                Some(Kept { writing: Some(writing), .. }) => writing.end(now),
                _ => self.let_go(call),
            },
            Job::Command(ReelCommand::Drop { call }) => self.forget(call),
        }
    }

    fn each(&mut self, call: CallKey, change: impl FnOnce(&mut Writing)) {
        if let Some(writing) = self.calls.get_mut(&call).and_then(|kept| kept.writing.as_mut()) {
            change(writing);
        }
    }

    fn begin(&mut self, now: Duration, beginning: ReelBeginning) {
        let frames = self.options.copies.subscribe(beginning.leg);
        let kept = self.calls.entry(beginning.call).or_default();
        if let Some(writing) = &mut kept.writing {
            return writing.go_on(now, frames);
        }
        let id = beginning.id.clone();
        match Writing::begin(now, beginning, frames, &self.options.store) {
            Ok(mut writing) => {
                kept.origins.iter().for_each(|(leg, at)| writing.hear(*leg, *at));
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
        if fails != self.shared.fails.swap(fails, Ordering::Relaxed) {
            match fails {
                true => error!("audio cannot be kept: calls go on, and what they say is lost to their reels"),
                false => info!("audio is kept again"),
            }
        }
        for (call, outcome) in done {
            self.options.metrics.count_reel(outcome.name());
            if let Outcome::Failed(why) = outcome {
                let id = self.calls.get(&call).and_then(|kept| Some(kept.writing.as_ref()?.id().to_owned()));
                error!(call = id, why, "the audio of a call cannot be kept");
                self.to_drop.extend(id);
            }
            self.let_go(call);
        }
    }

    fn let_go(&mut self, call: CallKey) {
        let Some(Kept { origins, writing }) = self.calls.remove(&call) else { return };
        for (leg, _) in origins {
            self.legs.remove(&leg);
        }
        if let Some(writing) = writing {
            self.shared.open().remove(writing.id());
        }
    }

    /// Forgets what was kept of a call that goes on.
    fn forget(&mut self, call: CallKey) {
        if let Some(writing) = self.calls.get_mut(&call).and_then(|kept| kept.writing.take()) {
            self.shared.open().remove(writing.id());
            self.to_drop.push(writing.id().to_owned());
            self.options.metrics.count_reel("forgotten");
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

/// What the files of a folder take.
fn bytes_in(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        // One may go meanwhile.
        bytes += entry?.metadata().map_or(0, |file| file.len());
    }
    Ok(bytes)
}
