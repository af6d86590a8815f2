//! The calls as everybody sees them: a pure fold of notices into one record per call.
//!
//! Holds calls that are up and the last ended ones; refused calls are counted by the metrics and not kept here.
//! Forgets instead of growing: ended calls, events and timeline steps beyond their limits are dropped, oldest first. How old
//! ended calls may become, its owner knows.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use super::moment::Moment;
use super::record::CallRecord;
use crate::notice::{Notice, What};

/// Ended calls that are kept.
pub const ENDED_MAX: usize = 1_000;
/// Calls that are up at the same time; when there are more, the oldest of other nodes is forgotten, or else the oldest one.
pub const ACTIVE_MAX: usize = 10_000;

/// All call records.
#[derive(Debug, Default)]
pub struct Board {
    /// Which node this is, where nodes have names.
    node: Option<Arc<str>>,
    active: BTreeMap<String, CallRecord>,
    ended: VecDeque<CallRecord>,
    forgotten: u64,
}

impl Board {
    /// An empty one of a node that has a name.
    pub fn of_node(name: &Arc<str>) -> Self {
        Self { node: Some(Arc::clone(name)), ..Self::default() }
    }

    /// Takes up one notice made at `unix_ms` (milliseconds since 1970). Notices of unknown calls change nothing.
    pub fn apply(&mut self, notice: &Notice, unix_ms: u64) {
        let node = self.node.clone();
        self.apply_of(node.as_deref(), notice, unix_ms);
    }

    /// The same of a call of that node, where nodes have names.
    pub fn apply_of(&mut self, node: Option<&str>, notice: &Notice, unix_ms: u64) {
        let now = Moment(unix_ms);
        if let What::CallStarted { from, to, route, scenario, .. } = &notice.what {
            let mut record = CallRecord::new(&notice.call, from, to, route, scenario, now);
            record.node = node.map(str::to_owned);
            self.active.insert(notice.call.clone(), record);
            self.forget_oldest_active();
        }
        let Some(record) = self.active.get_mut(&notice.call) else {
            // What has come of a call is known when it is over.
            let mut ended = self.ended.iter_mut().rev().filter(|_| {
                matches!(notice.what, What::OutcomeTold(_) | What::AlertHandled(_) | What::AlertEscalated(_))
            });
            if let Some(record) = ended.find(|record| record.id == notice.call) {
                record.apply(notice, now);
            }
            return;
        };
        record.apply(notice, now);
        if matches!(notice.what, What::CallEnded { .. }) {
            self.end(&notice.call);
        }
    }

    /// Puts another record of a call that is up in the place of the one that there is.
    pub fn replace(&mut self, record: CallRecord) {
        if let Some(before) = self.active.get_mut(&record.id) {
            *before = record;
        }
    }

    /// The call with this id, up or ended.
    pub fn call(&self, id: &str) -> Option<&CallRecord> {
        self.active.get(id).or_else(|| self.ended.iter().rev().find(|record| record.id == id))
    }

    /// True when the call is up.
    pub fn is_active(&self, id: &str) -> bool {
        self.active.contains_key(id)
    }

    /// Calls that are up, in the order of their ids.
    pub fn active(&self) -> impl Iterator<Item = &CallRecord> {
        self.active.values()
    }

    /// Ended calls, the latest first.
    pub fn ended(&self) -> impl Iterator<Item = &CallRecord> {
        self.ended.iter().rev()
    }

    /// Number of calls that are up.
    pub fn active_count(&self) -> usize {
        self.active.len()
    }

    /// Calls dropped from the board because there were too many.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The ids of a tenant's calls: of those that have ended, and of those that are up.
    pub fn calls_of(&self, tenant: &str) -> (Vec<String>, Vec<String>) {
        let is_theirs = |record: &&CallRecord| record.tags.tenant.as_deref() == Some(tenant);
        let ended = self.ended.iter().filter(is_theirs).map(|record| record.id.clone()).collect();
        let up = self.active.values().filter(is_theirs).map(|record| record.id.clone()).collect();
        (ended, up)
    }

    /// The ids of ended calls that started before `before`.
    pub fn ended_before(&self, before: Moment) -> Vec<String> {
        self.ended.iter().filter(|record| record.started < before).map(|record| record.id.clone()).collect()
    }

    /// Forgets ended calls.
    pub fn forget(&mut self, calls: &HashSet<&str>) {
        self.ended.retain(|record| !calls.contains(record.id.as_str()));
    }

    fn end(&mut self, id: &str) {
        let Some(record) = self.active.remove(id) else { return };
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
            self.forgotten += 1;
        }
        self.ended.push_back(record);
    }

    /// What other nodes have told gives way first: they have it.
    fn forget_oldest_active(&mut self) {
        if self.active.len() <= ACTIVE_MAX {
            return;
        }
        let is_own = |record: &CallRecord| record.node.as_deref() == self.node.as_deref();
        let oldest = self.active.values().min_by_key(|record| (is_own(record), record.started));
        let oldest = oldest.map(|record| record.id.clone());
        if let Some(id) = oldest {
            self.active.remove(&id);
            self.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice_samples::one_of_each;
    use crate::web::record::{EVENTS_MAX, RerouteOutcome, State, SupervisorState, TIMELINE_MAX};

    #[test]
    fn a_whole_call() {
        let mut board = Board::default();
        for (step, notice) in one_of_each().iter().enumerate() {
            board.apply(notice, 1_000_000_000_000 + step as u64 * 100);
        }
        assert_eq!(board.active_count(), 0);
        let call = board.call("call-1").expect("it ended a moment ago");
        assert_eq!(call.state, State::Ended);
        assert_eq!(call.from.reveal(), "\"Li\" <sip:13800138000@pbx.example>");
        assert_eq!(call.target.as_deref(), Some("human"));
        assert_eq!(call.setup_ms, Some(120));
        assert_eq!(call.peak.as_ref().map(|peak| peak.level.as_str()), Some("high"));
        assert_eq!(call.decisions.len(), 1);
        assert_eq!(call.prompts.len(), 2);
        assert_eq!(call.alerts.len(), 1);
        let supervisor = &call.supervisors[0];
        assert_eq!((supervisor.mode.as_str(), supervisor.state), ("barge", SupervisorState::Left));
        assert_eq!((call.supervisors.len(), supervisor.answer_ms), (1, Some(2_400)));
        assert_eq!((call.audio[0].missed_ms, call.audio[0].lasted_ms), (1_240, Some(30_000)));
        assert_eq!(call.packets_lost, Some(3));
        let outcomes: Vec<_> = call.reroutes.iter().map(|reroute| reroute.outcome).collect();
        assert_eq!(outcomes, [RerouteOutcome::Done, RerouteOutcome::Failed]);
        assert_eq!(call.reroutes[0].gap_ms, Some(18));
        assert!(!format!("{call:?}").contains("13800138000"), "the number is printed");
    }

    #[test]
    fn unknown_calls_change_nothing() {
        let mut board = Board::default();
        for notice in one_of_each().iter().skip(1) {
            board.apply(notice, 0);
        }
        assert_eq!((board.active().count(), board.ended().count()), (0, 0));
    }

    #[test]
    fn old_calls_events_and_steps_are_forgotten() {
        let mut board = Board::default();
        let samples = one_of_each();
        let sample = |number: usize| samples[number].clone();
        let [started, observed, alert, ended] = [0, 3, 10, samples.len() - 1].map(sample);
        for number in 0..ENDED_MAX + 5 {
            board.apply(&named(&started, number), number as u64);
            board.apply(&named(&ended, number), number as u64);
        }
        assert_eq!((board.ended().count(), board.forgotten()), (ENDED_MAX, 5));
        assert!(board.call("call 4").is_none() && board.call("call 5").is_some());

        board.apply(&started, 0);
        for _ in 0..TIMELINE_MAX + 7 {
            board.apply(&observed, 0);
        }
        for _ in 0..EVENTS_MAX + 7 {
            board.apply(&alert, 0);
        }
        let call = board.call("call-1").expect("it is up");
        assert_eq!((call.timeline.len(), call.events.len(), call.alerts.len()), (TIMELINE_MAX, EVENTS_MAX, 100));

        for number in 0..ACTIVE_MAX + 3 {
            board.apply(&named(&started, 1_000_000 + number), 1_000 + number as u64);
        }
        assert_eq!(board.active_count(), ACTIVE_MAX);
        assert!(board.call("call-1").is_none());
    }

    #[test]
    fn calls_of_other_nodes_give_way_to_its_own() {
        let mut board = Board::of_node(&"a".into());
        let started = one_of_each().remove(0);
        for number in 0..ACTIVE_MAX {
            let node = if number % 4 == 0 { "b" } else { "a" };
            board.apply_of(Some(node), &named(&started, number), number as u64);
        }
        let is_up = |board: &Board, number: usize| board.is_active(&format!("call {number}"));
        board.apply(&named(&started, 20_000), 20_000);
        assert_eq!([0, 1, 4].map(|number| is_up(&board, number)), [false, true, true], "the oldest of those");
        for number in 20_001..20_000 + ACTIVE_MAX / 4 {
            board.apply(&named(&started, number), number as u64);
        }
        assert!(board.active().all(|record| record.node.as_deref() == Some("a")), "all of those");
        board.apply_of(Some("b"), &named(&started, 40_000), 40_000);
        assert!(is_up(&board, 1) && !is_up(&board, 40_000), "nor does a new one of those push one out");
        board.apply(&named(&started, 40_001), 40_001);
        assert_eq!((is_up(&board, 1), is_up(&board, 40_001), board.active_count()), (false, true, ACTIVE_MAX));
    }

    #[test]
    fn suggestions_take_no_room_from_other_events() {
        let mut board = Board::default();
        let samples = one_of_each();
        let is_suggestion = |notice: &&Notice| matches!(notice.what, What::AnswersSuggested(_));
        let suggestion = samples.iter().find(is_suggestion).expect("a sample");
        board.apply(&samples[0], 0);
        board.apply(&samples[10], 0);
        for call_ms in 0..EVENTS_MAX as u64 + 7 {
            board.apply(&Notice { call_ms, ..suggestion.clone() }, 0);
        }
        let events = &board.call("call-1").expect("it is up").events;
        assert_eq!((&events[0].notice, &events[1].notice), (&samples[0], &samples[10]));
        let kept: Vec<u64> = events.iter().skip(2).map(|event| event.notice.call_ms).collect();
        let last = EVENTS_MAX as u64 + 7;
        assert_eq!(kept, (last - 10..last).collect::<Vec<_>>(), "the last ones");
    }

    #[test]
    fn words_of_before_a_refusal_are_shown_no_longer() {
        let mut board = Board::default();
        let samples = one_of_each();
        [0, 3].into_iter().for_each(|number| board.apply(&samples[number], 0));
        let words = |board: &Board| {
            let call = board.call("call-1").expect("it is up");
            (call.emotion.clone().expect("a step").words.is_some(), call.timeline[0].words.is_some())
        };
        assert_eq!(words(&board), (true, true));
        let what = What::Consent { state: "refused".to_owned(), by: "key".to_owned() };
        board.apply(&Notice { what, ..samples[3].clone() }, 0);
        assert_eq!(words(&board), (false, false));
    }

    fn named(notice: &Notice, number: usize) -> Notice {
        Notice { call: format!("call {number}"), ..notice.clone() }
    }
}
