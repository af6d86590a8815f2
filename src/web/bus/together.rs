//! What is told to all walls together: the events of one moment, written once for everybody who sees the same calls.
//!
//! A later step of a party's timeline takes the place of an earlier one, and so does what is being said. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;

use super::Event;
use crate::notice::{Notice, What, WordsRead};
use crate::web::moment::Moment;
use crate::web::scope::Scope;

/// Events that may wait until they are told; beyond that all are let go, and everybody is told that they were.
const PENDING_MAX: usize = 20_000;

/// Whose step takes whose place: call, type, party.
type Place = (String, &'static str, String);

/// An event that waits.
#[derive(Debug)]
struct Waiting {
    event: Arc<Event>,
    /// What walls show of it alone, where that is less than all of it.
    brief: Option<String>,
}

/// What has happened since it was told last.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// In the order in which they happened; empty where a later one took its place.
    events: Vec<Option<Waiting>>,
    latest: HashMap<Place, usize>,
    lost: bool,
}

impl Pending {
    pub(super) fn push(&mut self, event: Arc<Event>, notice: &Notice, time: Moment) {
        if self.events.len() >= PENDING_MAX {
            *self = Self { lost: true, ..Self::default() };
        }
        if let Some(party) = replaced_by(&notice.what) {
            let place = (event.call.clone(), event.kind, party.to_owned());
            if let Some(before) = self.latest.insert(place, self.events.len()) {
                self.events[before] = None;
            }
        }
        let brief = brief_json(event.seq, time, notice);
        self.events.push(Some(Waiting { event, brief }));
    }

    /// Lets go of what was said in a call.
    pub(super) fn forget_words(&mut self, call: &str) {
        self.let_go(|event| event.call == call && event.has_words);
    }

    /// Lets go of calls.
    pub(super) fn forget(&mut self, calls: &HashSet<&str>) {
        self.let_go(|event| calls.contains(event.call.as_str()));
    }

    fn let_go(&mut self, is_gone: impl Fn(&Event) -> bool) {
        for place in &mut self.events {
            place.take_if(|waiting| is_gone(&waiting.event));
        }
    }

    /// All of it, when there is anything.
    pub(super) fn take(&mut self) -> Option<Together> {
        let Self { events, lost, .. } = std::mem::take(self);
        let events: Vec<_> = events.into_iter().flatten().collect();
        (lost || !events.is_empty()).then(|| Together { events, lost, written: Mutex::default() })
    }
}

/// The events of one moment.
#[derive(Debug)]
pub(in crate::web) struct Together {
    events: Vec<Waiting>,
    lost: bool,
    written: Mutex<BTreeMap<Scope, Option<Utf8Bytes>>>,
}

impl Together {
    /// Whether there was more than could wait.
    pub(in crate::web) fn is_lost(&self) -> bool {
        self.lost
    }

    /// What whoever sees these calls is told, as one JSON object; everybody of the same scope shares it. `None` when nothing.
    pub(in crate::web) fn text(&self, scope: &Scope) -> Option<Utf8Bytes> {
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(written) = all.get(scope) {
            return written.clone();
        }
        let written = self.write(scope);
        all.insert(scope.clone(), written.clone());
        written
    }

    fn write(&self, scope: &Scope) -> Option<Utf8Bytes> {
        let seen = self
            .events
            .iter()
            .filter(|waiting| scope.sees(waiting.event.route.as_deref(), waiting.event.tenant.as_deref()));
        let told = seen.map(|Waiting { event, brief }| brief.as_deref().unwrap_or(event.json.as_str()));
        let told: Vec<&str> = told.collect();
        (!told.is_empty()).then(|| format!(r#"{{"type":"events","events":[{}]}}"#, told.join(",")).into())
    }
}

/// A step of a timeline as walls are told it.
#[derive(Serialize)]
struct BriefStep<'a> {
    seq: u64,
    time: Moment,
    call: &'a str,
    call_ms: u64,
    r#type: &'static str,
    party: &'a str,
    emotion: &'a str,
    level: &'a str,
    anger: f32,
    trend_per_s: f32,
    pitch_hz: f32,
    level_dbov: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<&'a WordsRead>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<BriefDelivery>,
}

#[derive(Serialize)]
struct BriefDelivery {
    lost_share: f32,
}

/// What walls are told of an event, where that is less than all of it.
fn brief_json(seq: u64, time: Moment, notice: &Notice) -> Option<String> {
    let What::Observed { party, emotion, level, anger, trend_per_s, pitch_hz, level_dbov, words, delivery, .. } =
        &notice.what
    else {
        return None;
    };
    let step = BriefStep {
        seq,
        time,
        call: &notice.call,
        call_ms: notice.call_ms,
        r#type: "observed",
        party,
        emotion,
        level,
        anger: *anger,
        trend_per_s: *trend_per_s,
        pitch_hz: *pitch_hz,
        level_dbov: *level_dbov,
        words: words.as_deref(),
        delivery: delivery.as_ref().map(|delivery| BriefDelivery { lost_share: delivery.lost_share }),
    };
    Some(serde_json::to_string(&step).expect("notices hold only strings and numbers"))
}

/// The party of whom a later event of the same type says the same anew.
fn replaced_by(what: &What) -> Option<&str> {
    match what {
        What::Observed { party, .. } | What::Said { party, is_final: false, .. } => Some(party),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::notice_samples::one_of_each;
    use crate::web::bus::Bus;

    fn sample(wanted: impl Fn(&What) -> bool) -> Notice {
        one_of_each().into_iter().find(|notice| wanted(&notice.what)).expect("one of each")
    }

    fn in_call(notice: &Notice, call: &str) -> Notice {
        Notice { call: call.to_owned(), ..notice.clone() }
    }

    fn told(together: &Together, scope: &Scope) -> Vec<Value> {
        let text = together.text(scope).map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
        text.map_or_else(Vec::new, |text| text["events"].as_array().expect("a list").clone())
    }

    #[test]
    fn later_steps_take_the_place_of_earlier_ones_and_nothing_else_is_left_out() {
        let bus = Bus::new();
        let mut walls = bus.subscribe_together();
        let observed = sample(|what| matches!(what, What::Observed { .. }));
        let [started, alert] = [
            sample(|what| matches!(what, What::CallStarted { .. })),
            sample(|what| matches!(what, What::Alert { .. })),
        ];
        for notice in [
            &started,
            &observed,
            &alert,
            &Notice { call_ms: 3_500, ..observed.clone() },
            &in_call(&observed, "call-2"),
            &alert,
        ] {
            bus.publish_at(notice, Moment(0));
        }
        bus.tell_together();
        let together = walls.try_recv().expect("they are told");
        let got = told(&together, &Scope::default());
        let lines: Vec<_> = got.iter().map(|event| (event["seq"].as_u64(), event["type"].as_str())).collect();
        let expected = [(1, "call_started"), (3, "alert"), (4, "observed"), (5, "observed"), (6, "alert")];
        assert_eq!(lines, expected.map(|(seq, kind)| (Some(seq), Some(kind))));
        assert_eq!(got[2]["call_ms"], 3_500);
        let fields: Vec<_> = got[2].as_object().expect("an object").keys().map(String::as_str).collect();
        for unwanted in ["scores", "functionals", "turns", "expression", "pitch_z"] {
            assert!(!fields.contains(&unwanted), "{fields:?}");
        }
        assert_eq!(got[2]["delivery"], serde_json::json!({ "lost_share": 0.03125 }));
        bus.tell_together();
        assert!(walls.try_recv().is_err(), "nothing has happened since");
    }

    #[test]
    fn everybody_sees_their_own_calls_and_shares_what_is_written() {
        let bus = Bus::new();
        let mut walls = bus.subscribe_together();
        let started = sample(|what| matches!(what, What::CallStarted { .. }));
        let mut other = in_call(&started, "call-2");
        let What::CallStarted { route, .. } = &mut other.what else { unreachable!("just matched") };
        "sales".clone_into(route);
        let observed = sample(|what| matches!(what, What::Observed { .. }));
        let notices = [
            started,
            other,
            in_call(&observed, "call-1"),
            in_call(&observed, "call-2"),
            in_call(&observed, "nobody's"),
        ];
        for notice in &notices {
            bus.publish_at(notice, Moment(0));
        }
        bus.tell_together();
        let together = walls.try_recv().expect("they are told");
        let of = |routes: &[&str]| Scope::new(Some(&routes.iter().map(|route| (*route).to_owned()).collect()), None);
        let calls = |scope: &Scope| -> Vec<String> {
            told(&together, scope).iter().map(|event| event["call"].as_str().expect("a call").to_owned()).collect()
        };
        assert_eq!(calls(&Scope::default()).len(), 5);
        assert_eq!(calls(&of(&["sales"])), ["call-2", "call-2"]);
        assert!(calls(&of(&["nowhere"])).is_empty() && calls(&of(&[])).is_empty());
        let shared = [together.text(&of(&["sales"])), together.text(&of(&["sales"]))].map(|text| text.expect("two"));
        assert_eq!(shared[0].as_str().as_ptr(), shared[1].as_str().as_ptr(), "written once");
        let whole = [together.text(&Scope::default()), together.text(&Scope::default())].map(|text| text.expect("all"));
        assert_eq!(whole[0].as_str().as_ptr(), whole[1].as_str().as_ptr(), "written once");
    }

    #[test]
    fn what_may_not_be_told_any_more_is_not_told() {
        let bus = Bus::new();
        let mut walls = bus.subscribe_together();
        let samples = one_of_each();
        bus.publish_at(&samples[0], Moment(0));
        for notice in samples.iter().filter(|notice| notice.what.has_words()) {
            bus.publish_at(notice, Moment(0));
        }
        let refused = What::Consent { state: "refused".to_owned(), by: "key".to_owned() };
        bus.publish_at(&Notice { what: refused, ..samples[0].clone() }, Moment(0));
        bus.tell_together();
        let got = told(&walls.try_recv().expect("they are told"), &Scope::default());
        let kinds: Vec<_> = got.iter().map(|event| event["type"].as_str().expect("a type")).collect();
        assert_eq!(kinds, ["call_started", "consent"]);

        bus.publish_at(&samples[0], Moment(0));
        bus.forget(&[samples[0].call.clone()]);
        bus.tell_together();
        assert!(walls.try_recv().is_err(), "of a call that is erased");
    }

    #[test]
    fn what_waits_has_a_bound_and_nobody_pays_without_a_wall() {
        let bus = Bus::new();
        let alert = sample(|what| matches!(what, What::Alert { .. }));
        bus.publish_at(&alert, Moment(0));
        let mut walls = bus.subscribe_together();
        bus.tell_together();
        assert!(walls.try_recv().is_err(), "nobody was there");
        for _ in 0..PENDING_MAX + 3 {
            bus.publish_at(&alert, Moment(0));
        }
        bus.tell_together();
        let together = walls.try_recv().expect("they are told");
        assert!(together.is_lost());
        assert_eq!(told(&together, &Scope::default()).len(), 3);
    }
}
