//! Calls of other nodes on the board: told as if they were here, by their node's name.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bus, State};
use crate::notice::{Notice, What};
use crate::pii::Pii;
use crate::web::elsewhere::Whereabouts;
use crate::web::moment::Moment;
use crate::web::record::{CallRecord, TimedNotice};

/// Why calls of a node end that is not heard of any more.
const OUT_OF_SIGHT: &str = "its node is not heard of";

/// All that is shown of a call, as it was told.
pub type ToldCall = Vec<TimedNotice>;

impl Bus {
    /// Which node this is, where nodes have names.
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// Takes up what another node tells at `time` of a call of its own; whether it was taken up.
    pub fn publish_from(&self, node: &str, notice: &Notice, time: Moment) -> bool {
        let mut state = self.state();
        if !state.is_theirs(node, notice) {
            return false;
        }
        self.send(&mut state, notice, time, (None, Some(node)));
        true
    }

    /// Takes up all that another node has told of a call that is up. Who knows the call already is told nothing anew.
    pub fn restore_from(&self, node: &str, told: ToldCall) {
        let mut state = self.state();
        let Some(first) = told.first() else { return };
        let call = first.notice.call.clone();
        if told.iter().any(|told| told.notice.call != call || !state.is_theirs(node, &told.notice)) {
            return;
        }
        if !state.board.is_active(&call) {
            for TimedNotice { time, notice } in told {
                self.send(&mut state, &notice, time, (None, Some(node)));
            }
            return;
        }
        let What::CallStarted { from, to, route, scenario, .. } = &first.notice.what else { return };
        let mut record = CallRecord::new(&call, from, to, route, scenario, first.time);
        record.node = Some(node.to_owned());
        told.iter().for_each(|told| record.apply(&told.notice, told.time));
        state.board.replace(record);
    }

    /// Ends the calls of another node on the board but for those that are `up`.
    pub fn end_from(&self, node: &str, up: &BTreeSet<String>, now: Moment) {
        let mut state = self.state();
        let theirs = |record: &&CallRecord| record.node.as_deref() == Some(node) && !up.contains(&record.id);
        let over: Vec<Notice> = state.board.active().filter(theirs).map(|record| out_of_sight(record, now)).collect();
        for notice in &over {
            self.send(&mut state, notice, now, (None, Some(node)));
        }
        // One that is up all the same comes back as if it were new.
        state.forget(&over.into_iter().map(|notice| notice.call).collect::<Vec<_>>());
    }

    /// Forgets ended calls of another node, as that says; none of any other one's.
    pub fn forget_from(&self, node: &str, mut calls: Vec<String>) {
        let mut state = self.state();
        let is_theirs =
            |call: &String| state.board.call(call).is_some_and(|record| record.node.as_deref() == Some(node));
        calls.retain(is_theirs);
        state.forget(&calls);
    }

    /// Notes where people reach other nodes.
    pub fn set_addresses(&self, addresses: BTreeMap<String, Option<String>>) {
        self.state().addresses = addresses;
    }

    /// The other node whose call it is, and where people reach it, where that is known.
    pub fn elsewhere(&self, call: &str) -> Option<(String, Option<String>)> {
        let state = self.state();
        let node = state.board.call(call)?.node.clone()?;
        let address = state.addresses.get(&node).cloned().flatten();
        (Some(&*node) != self.node()).then_some((node, address))
    }

    /// The other nodes that are there, and where people reach them.
    pub(in super::super) fn others(&self) -> Vec<Whereabouts> {
        let state = self.state();
        let other =
            |(node, address): (&String, &Option<String>)| Whereabouts { node: node.clone(), address: address.clone() };
        state.addresses.iter().filter(|(node, _)| Some(node.as_str()) != self.node()).map(other).collect()
    }

    /// The ended calls of other nodes, and the addresses of whoever took part, as the board has them.
    pub(in super::super) fn ended_elsewhere(&self) -> Vec<(String, Vec<Pii<String>>)> {
        let state = self.state();
        let theirs = state.board.ended().filter(|record| record.node.as_deref() != self.node());
        theirs.map(|record| (record.id.clone(), parties(record))).collect()
    }

    /// What this node has told of its calls that are up, and the number of the last event by then.
    pub fn own_calls(&self) -> (u64, Vec<ToldCall>) {
        let state = self.state();
        let own = state.board.active().filter(|record| record.node.as_deref() == self.node());
        (state.last_seq, own.map(told).collect())
    }
}

impl State {
    /// Whether a node may tell that: of its own calls everything, of others' what was done about them there.
    fn is_theirs(&self, node: &str, notice: &Notice) -> bool {
        let told_late = matches!(notice.what, What::OutcomeTold(_) | What::AlertHandled(_) | What::AlertEscalated(_));
        told_late || self.board.call(&notice.call).is_none_or(|record| record.node.as_deref() == Some(node))
    }
}

/// The addresses of all who took part in a call.
fn parties(record: &CallRecord) -> Vec<Pii<String>> {
    let forked = record.fork.iter().flat_map(|fork| &fork.parties).flat_map(|party| &party.addresses);
    let forked = forked.map(|address| Pii::from(address.clone()));
    [record.from.clone(), record.to.clone()].into_iter().chain(forked).collect()
}

/// What was told of a call. Its beginning is there however much came after it.
fn told(record: &CallRecord) -> ToldCall {
    let mut told: ToldCall = record.events.iter().cloned().collect();
    if !told.first().is_some_and(|first| matches!(first.notice.what, What::CallStarted { .. })) {
        let tags = record.tags.clone();
        let (from, to) = (record.from.clone(), record.to.clone());
        let (route, scenario) = (record.route.clone(), record.scenario.clone());
        let mut begun = vec![(record.started, What::CallStarted { from, to, route, scenario, tags })];
        let answered = record.answered.zip(record.target.clone()).zip(record.setup_ms);
        let (uncalled, groups) = (!record.was_called(), record.groups.clone());
        begun.extend(answered.map(|((answered, target), setup_ms)| {
            (answered, What::CallAnswered { target, setup_ms, uncalled, groups })
        }));
        let timed = |(time, what): (Moment, What)| TimedNotice {
            time,
            notice: Notice { call: record.id.clone(), call_ms: time.0.saturating_sub(record.started.0), what },
        };
        told.splice(0..0, begun.into_iter().map(timed));
    }
    told
}

fn out_of_sight(record: &CallRecord, now: Moment) -> Notice {
    let peak = record.peak.as_ref();
    let what = What::CallEnded {
        reason: OUT_OF_SIGHT.to_owned(),
        talk_ms: record.answered.map_or(0, |answered| now.0.saturating_sub(answered.0)),
        peak_anger: peak.map_or(0.0, |peak| peak.anger),
        peak_level: peak.map_or_else(|| "low".to_owned(), |peak| peak.level.clone()),
        packets_lost: 0,
    };
    Notice { call: record.id.clone(), call_ms: now.0.saturating_sub(record.started.0), what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice_samples::one_of_each;
    use crate::web::{Delivery, State as CallState};

    #[tokio::test]
    async fn calls_of_another_node_come_and_go_and_nobody_tells_of_whats_not_its_own() {
        let (here, there) = (Bus::of_node("a"), Bus::of_node("b"));
        let samples = one_of_each();
        let own = Notice { call: "own".to_owned(), ..samples[0].clone() };
        here.publish_at(&own, Moment(1));
        let before = samples.len() - 1;
        for notice in &samples[..before] {
            there.publish_at(notice, Moment(1_000));
        }
        let (last, calls) = there.own_calls();
        assert_eq!((last, calls.len()), (before as u64, 1));

        let mut watch = here.subscribe(None);
        calls.into_iter().for_each(|call| here.restore_from("b", call));
        let Some(Delivery::Event(event)) = watch.next().await else { panic!("it is told") };
        assert_eq!((event.kind, event.node.as_deref()), ("call_started", Some("b")));
        let node = |bus: &Bus, call: &str| bus.with_board(|board| board.call(call).and_then(|call| call.node.clone()));
        assert_eq!([node(&here, "own"), node(&here, "call-1")], [Some("a".to_owned()), Some("b".to_owned())]);
        assert_eq!(here.own_calls().1.len(), 1, "the other one is not its own");
        let told = |bus: &Bus| bus.with_board(|board| board.call("call-1").map(|call| call.decisions.len()));
        assert_eq!(told(&here), told(&there));

        here.set_addresses([("b".to_owned(), Some("https://b.example".to_owned()))].into());
        assert_eq!(here.elsewhere("call-1"), Some(("b".to_owned(), Some("https://b.example".to_owned()))));
        assert_eq!((here.elsewhere("own"), here.elsewhere("nobody's")), (None, None));
        let ended = samples.last().expect("there are some");
        let of_own = Notice { call: "own".to_owned(), ..ended.clone() };
        assert!(!here.publish_from("b", &of_own, Moment(2)), "it is not b's to end");
        assert!(!here.publish_from("c", ended, Moment(2)), "nor c's");

        here.end_from("b", &["call-1".to_owned()].into(), Moment(3_000));
        assert!(here.with_board(|board| board.is_active("call-1")));
        here.end_from("b", &BTreeSet::new(), Moment(3_000));
        let state = here.with_board(|board| board.call("call-1").map(|call| call.state));
        assert_eq!(state, None, "it may come back");
        here.restore_from("b", there.own_calls().1.remove(0));
        assert!(here.publish_from("b", ended, Moment(4_000)));
        let state = || here.with_board(|board| board.call("call-1").map(|call| call.state));
        assert_eq!(state(), Some(CallState::Ended));
        here.forget_from("c", vec!["call-1".to_owned()]);
        assert_eq!(state(), Some(CallState::Ended), "nor is it c's to erase");
        here.forget_from("b", vec!["call-1".to_owned()]);
        assert_eq!(state(), None);
    }
}
