//! The outbox: events that systems outside are to be told of are written down, posted, and tried again until they are taken or
//! set aside.
//!
//! At least once: a receiver knows by the key what it has had. One task owns all parcels; a call never waits for it. What
//! happens while the queue to it is full is dropped and counted.

mod age;
mod known;
mod mail;
mod post;
mod receivers;
mod takeover;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};
use utoipa::ToSchema;

use crate::crm::{Answer, Fate, Parcel, REPORT_EVENT, State, after};
use crate::metrics::Metrics;
use crate::notice::{AlertEscalated, Notice, What};
use crate::store::Store;
use crate::web::{Bus, Moment, kind};
pub use mail::MailTerms;
use post::Receiver;
pub use receivers::Receivers;

/// Events that may wait for the task.
const EVENTS_MAX: usize = 1_024;
/// Parcels that are kept; beyond that the oldest one that was set aside gives way, and where there is none the new one.
const PARCELS_MAX: usize = 10_000;
/// How often those are looked for, and the longest sleep.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Why a parcel is set aside for as long as nobody of its receiver's name is in the configuration.
const NOBODY: &str = "there is no receiver of that name any more";

/// The running outbox, as the rest of the program sees it.
#[derive(Debug, Clone)]
pub struct Outbox {
    asks: mpsc::Sender<Ask>,
    /// Who takes parcels; the task looks here before everything that it does.
    receivers: watch::Sender<Arc<Receivers>>,
    /// Whether a report was set aside.
    reports_aside: watch::Receiver<bool>,
    metrics: Metrics,
}

/// A parcel as the API lists it: without its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WaitingDelivery)]
pub struct Listed {
    /// What it is known by; grows.
    pub id: u64,
    crm: String,
    call: String,
    event: String,
    key: String,
    time: Moment,
    attempts: u32,
    /// When it is tried next; nothing when it is set aside.
    #[schema(required)]
    next: Option<Moment>,
    #[schema(required)]
    error: Option<String>,
}

/// What can be done about a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It is tried now, and as often as a new one.
    Retry,
    /// It is forgotten.
    Drop,
}

#[derive(Debug)]
enum Ask {
    Told(Box<Notice>, Moment),
    Once { parcel: Box<Parcel>, answer: oneshot::Sender<Result<bool, String>> },
    List { aside: Option<bool>, after: Option<u64>, limit: usize, answer: oneshot::Sender<Vec<Listed>> },
    Do { deed: Deed, id: u64, answer: oneshot::Sender<bool> },
    Forget(Vec<String>),
    TakeOver(Vec<Parcel>),
    LetGo,
    Settle(oneshot::Sender<()>),
}

impl Outbox {
    /// Starts the task on the current tokio runtime, with the parcels that wait from before.
    pub async fn start(receivers: Receivers, store: Store, bus: Arc<Bus>, metrics: Metrics) -> Outbox {
        let (asks, inlet) = mpsc::channel(EVENTS_MAX);
        let (outcomes, inlet_outcomes) = mpsc::channel(EVENTS_MAX);
        let (is_aside, reports_aside) = watch::channel(false);
        let receivers = Arc::new(receivers);
        let (others, in_force) = watch::channel(Arc::clone(&receivers));
        let mut clerk = Clerk {
            receivers,
            in_force,
            store,
            bus,
            metrics: metrics.clone(),
            parcels: BTreeMap::new(),
            unkept: BTreeSet::new(),
            done: BTreeSet::new(),
            // Above all that may wait from before, whether it can be read yet or not.
            next: Moment::now().0,
            is_loaded: false,
            look_at: Instant::now(),
            busy: BTreeSet::new(),
            outcomes,
            reports_aside: is_aside,
        };
        // Where nobody is told, nobody waits for a store that is slow.
        let load_at = match clerk.receivers.are_none() {
            true => Instant::now(),
            false => {
                clerk.load().await;
                Instant::now() + LOOK_EVERY
            }
        };
        tokio::spawn(clerk.run(load_at, inlet, inlet_outcomes));
        Outbox { asks, receivers: others, reports_aside, metrics }
    }

    /// Puts other receivers in the place of those that there are. What waits for one of the same name goes to the new one;
    /// what waits for one that is gone is set aside for as long as it is.
    pub fn exchange(&self, receivers: Receivers) {
        self.receivers.send_replace(Arc::new(receivers));
    }

    /// Takes note of something that was told, when a system is to know of it; never waits.
    pub fn offer(&self, notice: &Notice, time: Moment) {
        if asked_for(&notice.what).is_empty() && !self.receivers.borrow().are_told(kind(&notice.what)) {
            return;
        }
        if self.asks.try_send(Ask::Told(Box::new(notice.clone()), time)).is_err() {
            self.metrics.count_delivery("any", "dropped");
        }
    }

    /// Writes down a parcel that is made once for good, by its key; whether it was the first of that key.
    ///
    /// # Errors
    /// When it could not be written down, or its receiver has no room: it may be offered again.
    pub async fn send_once(&self, parcel: Parcel) -> Result<bool, String> {
        let (answer, written) = oneshot::channel();
        let gone = || "the outbox is gone".to_owned();
        self.asks.send(Ask::Once { parcel: Box::new(parcel), answer }).await.map_err(|_| gone())?;
        written.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Parcels, oldest first, from behind a number on: those set aside, or the others, or all; at most `limit`.
    pub async fn list(&self, aside: Option<bool>, after: Option<u64>, limit: usize) -> Option<Vec<Listed>> {
        let (answer, listed) = oneshot::channel();
        self.asks.send(Ask::List { aside, after, limit, answer }).await.ok()?;
        listed.await.ok()
    }

    /// Whether a report is set aside, as that changes.
    pub fn has_reports_aside(&self) -> watch::Receiver<bool> {
        self.reports_aside.clone()
    }

    /// Does something about a parcel; whether there is one of that number.
    pub async fn act(&self, deed: Deed, id: u64) -> Option<bool> {
        let (answer, done) = oneshot::channel();
        self.asks.send(Ask::Do { deed, id, answer }).await.ok()?;
        done.await.ok()
    }

    /// Waits until everything that was offered is written down, at most `within`.
    pub async fn settle(&self, within: Duration) {
        let (answer, settled) = oneshot::channel();
        let all = async {
            if self.asks.send(Ask::Settle(answer)).await.is_ok() {
                // The task ends with the program only.
                let _ = settled.await;
            }
        };
        if tokio::time::timeout(within, all).await.is_err() {
            warn!("what was told last of calls may not be delivered");
        }
    }

    /// Goes on with what waited at a node that is gone, and is kept as this one's by now.
    pub async fn take_over(&self, parcels: Vec<Parcel>) {
        let _ = self.asks.send(Ask::TakeOver(parcels)).await;
    }

    /// Lets go of what another node has taken over.
    pub async fn let_go(&self) {
        let _ = self.asks.send(Ask::LetGo).await;
    }

    /// Forgets what was to be told of calls that are erased.
    pub async fn forget(&self, calls: Vec<String>) {
        // The task ends with the program only.
        let _ = self.asks.send(Ask::Forget(calls)).await;
    }
}

/// Who owns the parcels.
struct Clerk {
    /// As they were when the last thing was done.
    receivers: Arc<Receivers>,
    /// As they are now.
    in_force: watch::Receiver<Arc<Receivers>>,
    store: Store,
    bus: Arc<Bus>,
    metrics: Metrics,
    parcels: BTreeMap<u64, Parcel>,
    /// Those that could not be written down as they are.
    unkept: BTreeSet<u64>,
    /// Those that are done with, and could not be removed from where they are kept.
    done: BTreeSet<u64>,
    next: u64,
    /// Whether what waits from before is known.
    is_loaded: bool,
    /// When it is looked again for parcels about calls that are gone.
    look_at: Instant,
    /// Systems that something is being posted to: one parcel at a time each.
    busy: BTreeSet<String>,
    outcomes: mpsc::Sender<Outcome>,
    reports_aside: watch::Sender<bool>,
}

/// What came of one attempt: the system, the parcel, and what was said.
type Outcome = (String, u64, Answer);

impl Clerk {
    /// Works until nobody can ask any more. `load_at` is a deadline of its own: whoever asks much puts it off otherwise.
    async fn run(mut self, mut load_at: Instant, mut asks: mpsc::Receiver<Ask>, mut outcomes: mpsc::Receiver<Outcome>) {
        loop {
            self.look_who_is_there();
            if !self.is_loaded && Instant::now() >= load_at {
                self.load().await;
                load_at = Instant::now() + LOOK_EVERY;
            }
            self.prune().await;
            let due = Instant::now() + self.post_due().min(LOOK_EVERY);
            let wake = if self.is_loaded { due } else { due.min(load_at) };
            self.show();
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(ask) => {
                        self.look_who_is_there();
                        self.handle(ask).await;
                    }
                    None => return,
                },
                Some((crm, id, answer)) = outcomes.recv() => {
                    self.busy.remove(&crm);
                    self.answered(id, answer).await;
                }
                // The other end ends with that of the asks.
                Ok(()) = self.in_force.changed() => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Goes by the receivers that are in force now.
    fn look_who_is_there(&mut self) {
        let in_force = self.in_force.borrow_and_update();
        if Arc::ptr_eq(&in_force, &self.receivers) {
            return;
        }
        self.receivers = Arc::clone(&in_force);
        drop(in_force);
        for parcel in self.parcels.values_mut() {
            sort(parcel, &self.receivers);
        }
    }

    /// Takes up what waits from before; a store that is down may come later.
    async fn load(&mut self) {
        let waiting = match self.store.parcels().await {
            Ok(waiting) => waiting,
            Err(why) => return warn!(why, "deliveries of before cannot be read yet"),
        };
        // One that was cut off between its parcel and its mark.
        let once: Vec<Parcel> = waiting.iter().filter(|parcel| parcel.event == REPORT_EVENT).cloned().collect();
        if let Err(why) = self.store.mark_parcels(once).await {
            return warn!(why, "deliveries of before are not taken up yet");
        }
        self.is_loaded = true;
        if !waiting.is_empty() {
            info!(parcels = waiting.len(), "deliveries wait from before");
        }
        self.take(waiting);
    }

    fn take(&mut self, waiting: Vec<Parcel>) {
        for mut parcel in waiting {
            sort(&mut parcel, &self.receivers);
            self.next = self.next.max(parcel.id + 1);
            self.parcels.entry(parcel.id).or_insert(parcel);
        }
    }

    async fn handle(&mut self, ask: Ask) {
        match ask {
            Ask::Told(notice, time) => self.take_up(&notice, time).await,
            Ask::Once { parcel, answer } => drop(answer.send(self.take_up_once(*parcel).await)),
            Ask::List { aside, after, limit, answer } => {
                let from = after.map_or(0, |after| after.saturating_add(1));
                let wanted = |parcel: &&Parcel| aside.is_none_or(|aside| aside == (parcel.state == State::SetAside));
                // Whoever asked may have gone; so below.
                let _ = answer.send(
                    self.parcels
                        .range(from..)
                        .map(|(_, parcel)| parcel)
                        .filter(wanted)
                        .take(limit)
                        .map(Listed::from)
                        .collect(),
                );
            }
            Ask::Do { deed: Deed::Drop, id, answer } => {
                let is_there = self.parcels.contains_key(&id);
                self.remove(&[id]).await;
                let _ = answer.send(is_there);
            }
            Ask::Do { deed: Deed::Retry, id, answer } => {
                // Sealed anew it would outlive its call.
                self.forget_calls_gone().await;
                let found = self.parcels.get_mut(&id);
                let is_there = found.is_some();
                if let Some(parcel) = found {
                    (parcel.attempts, parcel.state) = (0, State::Waiting(Moment::now().0));
                    sort(parcel, &self.receivers);
                    self.keep(&[id]).await;
                }
                let _ = answer.send(is_there);
            }
            // It comes after all that was offered before.
            Ask::Settle(answer) => drop(answer.send(())),
            Ask::TakeOver(parcels) => self.take(parcels),
            Ask::LetGo => self.let_go().await,
            Ask::Forget(calls) => {
                let about = |parcel: &&Parcel| calls.contains(&parcel.call);
                let gone: Vec<u64> = self.parcels.values().filter(about).map(|parcel| parcel.id).collect();
                self.remove(&gone).await;
            }
        }
    }

    /// Writes down a parcel for every system that is to know.
    async fn take_up(&mut self, notice: &Notice, time: Moment) {
        let event = kind(&notice.what);
        let asked = asked_for(&notice.what);
        let is_told = |(name, receiver): &(&String, &Receiver)| asked.contains(name) || receiver.is_told(event);
        let names: Vec<String> = self.receivers.iter().filter(is_told).map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            return;
        }
        let facts = known::facts_about((notice, time), &self.bus, &self.store).await;
        let mut fresh = Vec::new();
        for name in names {
            let key = self.key_of(notice, &name);
            let is_known = |key: &String| self.parcels.values().any(|one| one.key == *key && one.crm == name);
            if key.as_ref().is_some_and(is_known) {
                continue;
            }
            if !self.has_room(&name).await {
                self.metrics.count_delivery(&name, "dropped");
                continue;
            }
            let id = self.next;
            let Some(body) = self.receivers.get(&name).and_then(|receiver| receiver.body(&facts)) else { continue };
            let parcel = Parcel {
                id,
                crm: name,
                to: None,
                call: notice.call.clone(),
                began_unix_ms: Some(time.0.saturating_sub(notice.call_ms)),
                event: event.to_owned(),
                key: key.unwrap_or_else(post::fresh_key),
                body,
                unix_ms: time.0,
                attempts: 0,
                state: State::Waiting(0),
                error: None,
            };
            self.next += 1;
            self.parcels.insert(id, parcel);
            fresh.push(id);
        }
        self.keep(&fresh).await;
    }

    /// What a receiver knows a step of an alert by, which may be told again after a restart; nothing of what is told once.
    fn key_of(&self, notice: &Notice, crm: &str) -> Option<String> {
        let What::AlertEscalated(told) = &notice.what else { return None };
        let AlertEscalated { alert_ms, rule, step, since, .. } = told;
        Some(self.store.key_of(&format!("escalated {} {alert_ms} {rule} {} {step} {crm}", notice.call, since.0)))
    }

    /// Writes down a parcel that is made once for good. It goes out only once that is on the disk.
    async fn take_up_once(&mut self, parcel: Parcel) -> Result<bool, String> {
        if !self.is_loaded {
            return Err("deliveries of before are not taken up yet".to_owned());
        }
        if !self.receivers.has(&parcel.crm) {
            return Err(format!("there is no receiver {}", parcel.crm));
        }
        if !self.has_room(&parcel.crm).await {
            self.metrics.count_delivery(&parcel.crm, "dropped");
            return Err(format!("{} has too many deliveries", parcel.crm));
        }
        let parcel = Parcel { id: self.next, ..parcel };
        let is_first = self.store.keep_parcel_once(parcel.clone()).await?;
        if is_first {
            self.next += 1;
            self.parcels.insert(parcel.id, parcel);
        }
        Ok(is_first)
    }

    /// Whether a system may have one more: each has its share, so that one that takes nothing costs no other anything.
    async fn has_room(&mut self, crm: &str) -> bool {
        let share = PARCELS_MAX / self.receivers.len().max(1);
        let own = || self.parcels.values().filter(|parcel| parcel.crm == crm);
        if own().count() < share {
            return true;
        }
        let oldest = own().find(|parcel| parcel.state == State::SetAside).map(|parcel| parcel.id);
        self.remove(oldest.as_slice()).await;
        oldest.is_some()
    }

    /// Posts what is due, one parcel per system; how long until something is due.
    fn post_due(&mut self) -> Duration {
        let now = Moment::now().0;
        let mut pause = LOOK_EVERY;
        for parcel in self.parcels.values() {
            let State::Waiting(from) = parcel.state else { continue };
            let Some(receiver) = self.receivers.get(&parcel.crm) else { continue };
            if self.busy.contains(&parcel.crm) {
                continue;
            }
            if from > now {
                pause = pause.min(Duration::from_millis(from - now));
                continue;
            }
            self.busy.insert(parcel.crm.clone());
            let (post, outcomes, crm, id) =
                (receiver.post(parcel), self.outcomes.clone(), parcel.crm.clone(), parcel.id);
            // The clerk outlives the request, unless the program ends.
            tokio::spawn(async move { drop(outcomes.send((crm, id, post.await)).await) });
        }
        pause
    }

    async fn answered(&mut self, id: u64, answer: Answer) {
        // It may have been dropped meanwhile.
        let Some(parcel) = self.parcels.get_mut(&id) else { return };
        let (retry, attempts) = match self.receivers.get(&parcel.crm).map(Receiver::patience) {
            Some(patience) => patience,
            // Whoever has taken it has it, gone or not; else it is set aside already.
            None if answer == Answer::Taken => (Duration::ZERO, 0),
            None => return,
        };
        parcel.attempts += 1;
        let fate = after(&answer, parcel.attempts, retry, attempts, post::chance());
        let outcome = match &fate {
            Fate::Done => "taken",
            Fate::Again(_) => "again",
            Fate::Aside => "set_aside",
        };
        self.metrics.count_delivery(&parcel.crm, outcome);
        if let Answer::Later(why, _) | Answer::Refused(why) = answer {
            warn!(crm = parcel.crm, id, attempts = parcel.attempts, why, "a delivery was not taken: {outcome}");
            parcel.error = Some(why);
        }
        match fate {
            Fate::Done => return self.remove(&[id]).await,
            Fate::Again(pause) => parcel.state = State::Waiting(Moment::now().0 + pause.as_millis() as u64),
            Fate::Aside => parcel.state = State::SetAside,
        }
        self.keep(&[id]).await;
    }

    async fn keep(&mut self, ids: &[u64]) {
        let parcels: Vec<Parcel> = ids.iter().filter_map(|id| self.parcels.get(id).cloned()).collect();
        if parcels.is_empty() {
            return;
        }
        match self.store.keep_parcels(parcels).await {
            Ok(()) => self.unkept.retain(|id| !ids.contains(id)),
            Err(why) => {
                self.unkept.extend(ids);
                warn!(why, "a delivery is in memory only: it is lost when the program ends");
            }
        }
    }

    async fn remove(&mut self, ids: &[u64]) {
        if ids.is_empty() {
            return;
        }
        ids.iter().for_each(|id| {
            self.parcels.remove(id);
            self.unkept.remove(id);
        });
        if let Err(why) = self.store.drop_parcels(ids.to_vec()).await {
            self.done.extend(ids.iter().take(PARCELS_MAX.saturating_sub(self.done.len())));
            warn!(why, "a delivery that is done with is kept: it is made again when the program has ended");
        }
    }

    fn show(&self) {
        let aside = || self.parcels.values().filter(|parcel| parcel.state == State::SetAside);
        self.metrics.set_deliveries(self.parcels.len() - aside().count(), aside().count());
        let is_aside = aside().any(|parcel| parcel.event == REPORT_EVENT);
        self.reports_aside.send_if_modified(|before| std::mem::replace(before, is_aside) != is_aside);
    }
}

/// Sets a parcel aside that nobody takes any more, and takes it up again once somebody does: in memory alone, so that the
/// next start sees for itself.
fn sort(parcel: &mut Parcel, receivers: &Receivers) {
    match receivers.has(&parcel.crm) {
        true if parcel.error.as_deref() == Some(NOBODY) => {
            (parcel.state, parcel.error) = (State::Waiting(0), None);
        }
        false if parcel.state != State::SetAside => {
            (parcel.state, parcel.error) = (State::SetAside, Some(NOBODY.to_owned()));
        }
        _ => {}
    }
}

/// The systems that are to know of something whatever events they are told of.
fn asked_for(what: &What) -> &[String] {
    match what {
        What::TicketAsked(asked) => std::slice::from_ref(&asked.crm),
        What::AlertEscalated(told) => &told.crms,
        _ => &[],
    }
}

impl From<&Parcel> for Listed {
    fn from(parcel: &Parcel) -> Self {
        Self {
            id: parcel.id,
            crm: parcel.crm.clone(),
            call: parcel.call.clone(),
            event: parcel.event.clone(),
            key: parcel.key.clone(),
            time: Moment(parcel.unix_ms),
            attempts: parcel.attempts,
            next: match parcel.state {
                State::Waiting(from) => Some(Moment(from)),
                State::SetAside => None,
            },
            error: parcel.error.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
