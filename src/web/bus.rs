//! The way from whoever makes notices to everybody who watches.
//!
//! `publish` never waits: each notice gets a number, goes to the board, into a ring and to the subscribers.
//! A subscriber that cannot follow loses the oldest events and is told how many. Keeps nothing on disk.

mod kinds;
mod others;
mod together;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use tokio::sync::broadcast;
use utoipa::ToSchema;

use super::board::Board;
use super::moment::Moment;
use super::record::{CallRecord, Late};
use super::scope::Place;
use crate::notice::{Notice, Outcome, What};
pub use kinds::{KINDS, kind};
pub use others::ToldCall;
use together::Pending;
pub(super) use together::Together;

/// Events kept for those who come back (`Last-Event-ID`, `?after=`), and events a subscriber may be behind.
pub const RING_MAX: usize = 1_024;
/// How often walls may be told before one that is behind loses the oldest.
const TOGETHER_MAX: usize = 16;

/// One notice as it goes out.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number; grows by one, starts at 1 with the process.
    pub seq: u64,
    /// When it happened.
    pub time: Moment,
    /// The call it is about.
    pub call: String,
    /// Its type, e.g. `alert`.
    pub kind: &'static str,
    /// The route of its call, where that is known.
    pub route: Option<String>,
    /// Whose call it is, where several work with one server.
    pub tenant: Option<String>,
    /// The node whose call it is, where nodes have names.
    pub node: Option<Arc<str>>,
    /// Whether it tells words of a party.
    pub has_words: bool,
    /// All of it as one JSON object on one line; clones share it.
    pub json: Utf8Bytes,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.seq, self.kind)
    }
}

/// What a subscriber gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The next event.
    Event(Arc<Event>),
    /// Events were lost for this subscriber.
    Lagged {
        /// How many, whatever their type; `None` when that cannot be known (the process was restarted).
        missed: Option<u64>,
    },
}

/// Where a call belongs, and whose node it is of, by whoever tells of it.
type Told<'a> = (Option<Place>, Option<&'a str>);

/// The board, the ring and the subscribers.
#[derive(Debug)]
pub struct Bus {
    state: Mutex<State>,
    sender: broadcast::Sender<Arc<Event>>,
    together: broadcast::Sender<Arc<Together>>,
    /// Which node this is.
    node: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct State {
    last_seq: u64,
    ring: VecDeque<Arc<Event>>,
    board: Board,
    /// What is told to all walls next.
    pending: Pending,
    /// Calls that are up and forgotten at their end.
    leaving: HashSet<String>,
    /// Where people reach other nodes.
    addresses: BTreeMap<String, Option<String>>,
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus {
    /// An empty board and nobody who listens.
    pub fn new() -> Self {
        let together = broadcast::Sender::new(TOGETHER_MAX);
        Self { state: Mutex::default(), sender: broadcast::Sender::new(RING_MAX), together, node: None }
    }

    /// The same of a node that has a name.
    pub fn of_node(name: &str) -> Self {
        let node = name.into();
        let state = State { board: Board::of_node(&node), ..State::default() };
        Self { state: Mutex::new(state), node: Some(node), ..Self::new() }
    }

    /// Takes up a notice made now; returns its number.
    pub fn publish(&self, notice: &Notice) -> u64 {
        self.publish_at(notice, Moment::now())
    }

    /// Takes up a notice made at `time`; returns its number.
    pub fn publish_at(&self, notice: &Notice, time: Moment) -> u64 {
        self.publish_of(notice, time, None)
    }

    /// The same of a call that the board may not know any more, by whoever knows where it belongs.
    pub fn publish_of(&self, notice: &Notice, time: Moment, place: Option<Place>) -> u64 {
        let mut state = self.state();
        self.send(&mut state, notice, time, (place, None))
    }

    /// Takes up a notice made at `time` of words that somebody else has told, unless the call is over or its words are kept
    /// no longer by now. `tell_others` runs before anything else is published, a refusal among it: it must not wait.
    ///
    /// # Returns
    /// Whether it was taken up.
    pub fn publish_words_at(&self, notice: &Notice, time: Moment, tell_others: impl FnOnce()) -> bool {
        let mut state = self.state();
        let is_up = state.board.is_active(&notice.call);
        if !state.board.call(&notice.call).is_some_and(|record| is_up && record.keeps_words()) {
            return false;
        }
        self.send(&mut state, notice, time, (None, None));
        tell_others();
        true
    }

    /// Takes up what has come of a call, as somebody else says, unless that was said before, or nothing more can be said: of a
    /// call that is up, and, `also_over`, of one that has ended, as long as the board has it. `tell_others` runs before anything
    /// else is published: it must not wait.
    ///
    /// # Returns
    /// What has become of it; nothing where the call is none of these.
    pub fn publish_outcome_at(
        &self,
        (call, outcome): (&str, &Outcome),
        time: Moment,
        also_over: bool,
        tell_others: impl FnOnce(&Notice),
    ) -> Option<Late> {
        let mut state = self.state();
        if !also_over && !state.board.is_active(call) {
            return None;
        }
        let record = state.board.call(call)?;
        if let Some(refused) = record.refuses(outcome) {
            return Some(refused);
        }
        let call_ms = time.0.saturating_sub(record.started.0);
        let notice = Notice { call: call.to_owned(), call_ms, what: What::OutcomeTold(outcome.clone()) };
        self.send(&mut state, &notice, time, (None, None));
        tell_others(&notice);
        Some(Late::Taken)
    }

    /// Everything from now on; with `after`, first the kept events with greater numbers.
    pub fn subscribe(&self, after: Option<u64>) -> Subscription {
        let state = self.state();
        let receiver = self.sender.subscribe();
        let Some(after) = after else {
            return Subscription { waiting: VecDeque::new(), receiver };
        };
        let mut waiting = VecDeque::new();
        let oldest = state.ring.front().map_or(state.last_seq + 1, |event| event.seq);
        let known = after <= state.last_seq;
        if !known {
            waiting.push_back(Delivery::Lagged { missed: None });
        } else if after + 1 < oldest {
            waiting.push_back(Delivery::Lagged { missed: Some(oldest - after - 1) });
        }
        let kept = state.ring.iter().filter(|event| !known || event.seq > after);
        waiting.extend(kept.map(|event| Delivery::Event(Arc::clone(event))));
        Subscription { waiting, receiver }
    }

    /// What all walls are told from now on.
    pub(super) fn subscribe_together(&self) -> broadcast::Receiver<Arc<Together>> {
        self.together.subscribe()
    }

    /// Tells all walls what has happened since the last time.
    pub(super) fn tell_together(&self) {
        let told = self.state().pending.take();
        // An error only means that nobody listens any more.
        let _ = told.map(|told| self.together.send(Arc::new(told)));
    }

    /// Reads the board; publishers wait meanwhile, so `read` must be short.
    pub fn with_board<T>(&self, read: impl FnOnce(&Board) -> T) -> T {
        read(&self.state().board)
    }

    /// Forgets ended calls: their records, and events that others could still ask for.
    pub fn forget(&self, calls: &[String]) {
        self.state().forget(calls);
    }

    /// Forgets ended calls that started before `before`, as [`Bus::forget`], and events of before of whatever is not up: what
    /// is kept of them answers whoever asks.
    pub fn forget_before(&self, before: Moment) {
        let mut state = self.state();
        let old = state.board.ended_before(before);
        state.forget(&old);
        let State { ring, board, .. } = &mut *state;
        ring.retain(|event| event.time >= before || board.is_active(&event.call));
    }

    /// Forgets a tenant's calls: those that have ended now, whose ids are returned, and those that are up at their end.
    pub fn forget_tenant(&self, tenant: &str) -> Vec<String> {
        let mut state = self.state();
        let (ended, up) = state.board.calls_of(tenant);
        state.forget(&ended);
        // None but those that are up are noted, so there are never more than the board holds.
        let mut leaving = std::mem::take(&mut state.leaving);
        leaving.retain(|call| state.board.is_active(call));
        leaving.extend(up);
        state.leaving = leaving;
        ended
    }

    fn send(&self, state: &mut State, notice: &Notice, time: Moment, (place, node): Told<'_>) -> u64 {
        let node = node.map(Arc::from).or_else(|| self.node.clone());
        let event = state.take(notice, time, (place, node));
        let seq = event.seq;
        if self.together.receiver_count() > 0 {
            state.pending.push(Arc::clone(&event), notice, time);
        }
        // Sent under the lock so that subscribers see numbers in order; an error only means nobody listens.
        let _ = self.sender.send(event);
        seq
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves the state usable: every step of it stands alone.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, calls: &[String]) {
        let calls: HashSet<&str> = calls.iter().map(String::as_str).collect();
        self.board.forget(&calls);
        self.ring.retain(|event| !calls.contains(event.call.as_str()));
        self.pending.forget(&calls);
    }

    /// Where a notice's call belongs, where that is known: of an alert it is, also once its call is forgotten.
    fn place_of(&self, notice: &Notice) -> Option<Place> {
        if let What::AlertEscalated(told) = &notice.what {
            return Some((told.route.clone(), told.tenant.clone()));
        }
        self.board.call(&notice.call).map(CallRecord::place)
    }

    /// Numbers a notice, and puts it on the board and into the ring.
    fn take(&mut self, notice: &Notice, time: Moment, (place, node): (Option<Place>, Option<Arc<str>>)) -> Arc<Event> {
        self.last_seq += 1;
        let seq = self.last_seq;
        self.board.apply_of(node.as_deref(), notice, time.0);
        let (route, tenant) = self.place_of(notice).or(place).unzip();
        let event = Arc::new(Event {
            seq,
            time,
            call: notice.call.clone(),
            kind: kind(&notice.what),
            route,
            tenant: tenant.flatten(),
            has_words: notice.what.has_words(),
            json: event_json(seq, time, notice, node.as_deref()).into(),
            node,
        });
        if self.ring.len() == RING_MAX {
            self.ring.pop_front();
        }
        if notice.what.refuses_words() {
            // What was said before, or read of it, is for nobody who asks later.
            self.ring.retain(|event| event.call != notice.call || !event.has_words);
            self.pending.forget_words(&notice.call);
        }
        if matches!(notice.what, What::CallEnded { .. }) && self.leaving.remove(&notice.call) {
            // That it is over is told all the same: else it stays up for whoever comes back.
            self.forget(std::slice::from_ref(&notice.call));
        }
        self.ring.push_back(Arc::clone(&event));
        event
    }
}

/// One who watches.
#[derive(Debug)]
pub struct Subscription {
    waiting: VecDeque<Delivery>,
    receiver: broadcast::Receiver<Arc<Event>>,
}

impl Subscription {
    /// The next delivery; `None` when the bus is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        if let Some(delivery) = self.waiting.pop_front() {
            return Some(delivery);
        }
        match self.receiver.recv().await {
            Ok(event) => Some(Delivery::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Delivery::Lagged { missed: Some(missed) }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// An event, as clients get it.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventBody<'a> {
    seq: u64,
    time: Moment,
    /// The node whose call it is, or that tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    node: Option<&'a str>,
    #[serde(flatten)]
    notice: &'a Notice,
}

fn event_json(seq: u64, time: Moment, notice: &Notice, node: Option<&str>) -> String {
    serde_json::to_string(&EventBody { seq, time, node, notice }).expect("notices hold only strings and numbers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice_samples::one_of_each;
    use crate::web::record::OUTCOMES_MAX;

    /// Every kind of notice as the API writes it; a contract.
    const GOLDEN: &str = include_str!("golden/events.jsonl");

    #[test]
    fn every_kind_reads_as_agreed() {
        let bus = Bus::new();
        let mut watch = bus.subscribe(None);
        for notice in one_of_each() {
            bus.publish_at(&notice, Moment(1_700_000_000_000 + notice.call_ms));
        }
        let got: Vec<_> = events(&mut watch).iter().map(|event| event.json.clone()).collect();
        let expected: Vec<_> = GOLDEN.lines().collect();
        assert_eq!(got, expected);

        for (line, sample) in expected.iter().zip(one_of_each()) {
            let read: Notice = serde_json::from_str(line).expect("an event reads as a notice");
            assert_eq!(read, sample);
            assert!(line.contains(&format!("\"type\":\"{}\"", kind(&sample.what))), "{line}");
        }
        let kinds: Vec<_> = one_of_each().iter().map(|notice| kind(&notice.what)).collect();
        let mut sorted = (kinds, KINDS.to_vec());
        sorted.0.sort_unstable();
        sorted.1.sort_unstable();
        assert_eq!(sorted.0, sorted.1);
    }

    #[test]
    fn comes_back_where_it_left() {
        let bus = filled(10);
        check(&bus, Some(7), None, &[8, 9, 10]);
        check(&bus, Some(10), None, &[]);
        check(&bus, Some(0), None, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        check(&bus, None, None, &[]);
    }

    #[test]
    fn comes_back_too_late() {
        let bus = filled(RING_MAX as u64 + 100);
        let kept: Vec<u64> = (101..=RING_MAX as u64 + 100).collect();
        check(&bus, Some(40), Some(&Delivery::Lagged { missed: Some(60) }), &kept);
        check(&bus, Some(100), None, &kept);
    }

    #[test]
    fn comes_back_to_another_process() {
        check(&filled(3), Some(5_000), Some(&Delivery::Lagged { missed: None }), &[1, 2, 3]);
        check(&Bus::new(), Some(u64::MAX), Some(&Delivery::Lagged { missed: None }), &[]);
    }

    #[test]
    fn the_slow_are_told_what_they_missed() {
        let bus = Bus::new();
        let mut slow = bus.subscribe(None);
        for _ in 0..RING_MAX + 9 {
            bus.publish_at(&one_of_each()[0], Moment(0));
        }
        assert_eq!(ready(&mut slow), Some(Delivery::Lagged { missed: Some(9) }));
        let numbers: Vec<u64> = events(&mut slow).iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (10..=RING_MAX as u64 + 9).collect::<Vec<_>>());
    }

    #[test]
    fn no_words_are_left_or_come_after_consent_is_refused() {
        let bus = Bus::new();
        let samples = one_of_each();
        let consent = |state: &str| {
            let what = What::Consent { state: state.to_owned(), by: "key".to_owned() };
            Notice { call: samples[0].call.clone(), call_ms: 1, what }
        };
        let advice = samples.iter().find(|notice| matches!(notice.what, What::AnswersSuggested(_))).expect("a sample");
        let told = std::cell::Cell::new(0);
        let suggest = || bus.publish_words_at(advice, Moment(0), || told.set(told.get() + 1));
        assert!(!suggest(), "nobody knows the call");
        bus.publish_at(&samples[0], Moment(0));
        assert!(suggest());
        bus.publish_at(&consent("given"), Moment(0));
        assert!(suggest());
        for notice in samples.iter().filter(|notice| notice.what.has_words()) {
            bus.publish_at(notice, Moment(0));
        }
        bus.publish_at(&consent("refused"), Moment(0));
        assert!(!suggest());
        assert_eq!(told.get(), 2, "others are told what was taken up, and nothing else");
        let kept = events(&mut bus.subscribe(Some(0)));
        assert!(kept.iter().all(|event| !["said", "answers_suggested"].contains(&event.kind)), "{kept:?}");
        let query = advice.what.clone();
        let What::AnswersSuggested(query) = query else { unreachable!("just matched") };
        assert!(kept.iter().all(|event| !event.json.contains(query.query.reveal().as_str())), "{kept:?}");
        bus.with_board(|board| {
            let record = board.call(&advice.call).expect("it is up");
            assert!(record.events.iter().all(|event| !event.notice.what.has_words()));
        });
    }

    #[test]
    fn what_has_come_of_a_call_is_taken_up_once_and_as_often_as_there_is_room() {
        let bus = Bus::new();
        let samples = one_of_each();
        let (call, ended) = (samples[0].call.as_str(), samples.last().expect("samples"));
        let outcome = |id: usize| Outcome {
            by: "crm".to_owned(),
            name: Some(format!("ticket-{id}")),
            complaint: Some(true),
            satisfied: None,
            repurchased: None,
            resolved: None,
        };
        let told = std::cell::Cell::new(0);
        let tell = |id: usize, also_over: bool| {
            bus.publish_outcome_at((call, &outcome(id)), Moment(0), also_over, |_| told.set(told.get() + 1))
        };
        assert_eq!(tell(0, true), None, "nobody knows the call");
        bus.publish_at(&samples[0], Moment(0));
        assert_eq!([tell(0, false), tell(0, false)], [Some(Late::Taken), Some(Late::Known)]);
        for id in 1..OUTCOMES_MAX {
            assert_eq!(tell(id, false), Some(Late::Taken));
        }
        assert_eq!([tell(OUTCOMES_MAX, false), tell(1, false)], [Some(Late::Full), Some(Late::Known)]);
        bus.publish_at(ended, Moment(0));
        assert_eq!([tell(1, false), tell(1, true)], [None, Some(Late::Known)]);
        assert_eq!(told.get(), OUTCOMES_MAX, "others are told what was taken up, and nothing else");
    }

    #[test]
    fn a_tenants_calls_that_are_up_are_forgotten_at_their_end() {
        let bus = Bus::new();
        let samples = one_of_each();
        let ended = samples.last().expect("samples");
        assert!(matches!(ended.what, What::CallEnded { .. }));
        let of = |call: &str, notice: &Notice| Notice { call: call.to_owned(), ..notice.clone() };
        for call in ["before", "up"] {
            bus.publish_at(&of(call, &samples[0]), Moment(0));
        }
        bus.publish_at(&of("before", ended), Moment(0));
        assert!(bus.forget_tenant("another").is_empty());
        assert_eq!(bus.forget_tenant("shop"), ["before"]);
        bus.publish_at(&of("later", &samples[0]), Moment(0));
        let is_there = |call: &str| bus.with_board(|board| board.call(call).is_some());
        assert_eq!(["before", "up", "later"].map(is_there), [false, true, true]);

        for call in ["up", "later"] {
            bus.publish_at(&of(call, ended), Moment(0));
        }
        assert_eq!(["before", "up", "later"].map(is_there), [false, false, true]);
        let kept = events(&mut bus.subscribe(Some(3)));
        let of_up: Vec<&str> = kept.iter().filter(|event| event.call == "up").map(|event| event.kind).collect();
        assert_eq!(of_up, ["call_ended"], "that it is over, and nothing else");
    }

    fn filled(count: u64) -> Bus {
        let bus = Bus::new();
        for _ in 0..count {
            bus.publish_at(&one_of_each()[0], Moment(0));
        }
        bus
    }

    #[track_caller]
    fn check(bus: &Bus, after: Option<u64>, first: Option<&Delivery>, numbers: &[u64]) {
        let mut watch = bus.subscribe(after);
        if first.is_some() {
            assert_eq!(ready(&mut watch).as_ref(), first);
        }
        let got: Vec<u64> = events(&mut watch).iter().map(|event| event.seq).collect();
        assert_eq!(got, numbers);
    }

    fn events(watch: &mut Subscription) -> Vec<Arc<Event>> {
        let mut all = Vec::new();
        while let Some(Delivery::Event(event)) = ready(watch) {
            all.push(event);
        }
        all
    }

    /// What can be had without waiting.
    fn ready(watch: &mut Subscription) -> Option<Delivery> {
        futures::FutureExt::now_or_never(watch.next()).flatten()
    }
}
