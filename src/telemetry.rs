//! What calls go through as spans of OpenTelemetry: made of the notices that everybody is told, so that nothing is measured twice.
//!
//! Of a call all spans are kept or none, by a stable hash of its id; on every node the same call has the same trace. Holds no
//! number, name or word of anybody. `shell::otlp` sends.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span::SpanKind, status::StatusCode};

use crate::hexadecimal::sha256;
use crate::notice::{Notice, What};

/// Calls that are followed at a time; of further ones nothing is told.
const CALLS_MAX: usize = 20_000;
/// Spans of one call that are open at a time.
const OPEN_MAX: usize = 64;

/// Follows calls, and makes spans of what is told of them.
#[derive(Debug)]
pub struct Recorder {
    /// A call is told of when its hash is below; 2^64 is all.
    limit: u128,
    calls: BTreeMap<String, Followed>,
}

/// One call that is told of.
#[derive(Debug)]
struct Followed {
    trace: [u8; 16],
    /// The span of the whole call.
    root: [u8; 8],
    began: Duration,
    attributes: Vec<KeyValue>,
    /// Spans that are not over, by what ends them.
    open: BTreeMap<Until, Open>,
    /// How many there were.
    spans: u64,
    /// The last decision and its moment: what follows at once is its doing.
    decided: Option<[u8; 8]>,
}

/// What ends a span.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Until {
    Answer,
    Prompt(u32),
    Reroute(String),
}

#[derive(Debug)]
struct Open {
    id: [u8; 8],
    parent: [u8; 8],
    name: String,
    began: Duration,
    attributes: Vec<KeyValue>,
}

/// The trace of a call: the same wherever the call is told of.
pub fn trace_of(call: &str) -> [u8; 16] {
    let hash = sha256(call.as_bytes());
    let mut trace = [0; 16];
    trace.copy_from_slice(&hash[..16]);
    trace
}

/// Whether a share of calls has this one in it.
fn is_sampled(call: &str, limit: u128) -> bool {
    let mut tail = [0; 8];
    tail.copy_from_slice(&sha256(call.as_bytes())[24..]);
    u128::from(u64::from_be_bytes(tail)) < limit
}

impl Recorder {
    /// Follows a share of all calls, 0-1.
    pub fn new(sample: f64) -> Self {
        let limit = (sample.clamp(0.0, 1.0) * (1_u128 << 64) as f64) as u128;
        Self { limit, calls: BTreeMap::new() }
    }

    /// Whether lines that name this call belong to a trace that is told.
    pub fn is_followed(&self, call: &str) -> bool {
        self.calls.contains_key(call)
    }

    /// Takes in what is told at `now`, since 1970; the spans that are over by it.
    pub fn take(&mut self, now: Duration, notice: &Notice) -> Vec<Span> {
        let Notice { call, what, .. } = notice;
        if let What::CallStarted { route, scenario, .. } = what {
            if is_sampled(call, self.limit) && self.calls.len() < CALLS_MAX {
                self.calls.insert(call.clone(), Followed::begin(now, call, route, scenario));
            }
            return Vec::new();
        }
        let Some(followed) = self.calls.get_mut(call) else { return Vec::new() };
        if let What::CallEnded { reason, talk_ms, peak_level, .. } = what {
            let spans = followed
                .end(now, &[text("reason", reason), whole("talk_ms", *talk_ms), text("peak_level", peak_level)]);
            self.calls.remove(call);
            return spans;
        }
        followed.take(now, what).into_iter().collect()
    }
}

impl Followed {
    fn begin(now: Duration, call: &str, route: &str, scenario: &str) -> Self {
        let mut followed = Followed {
            trace: trace_of(call),
            root: [0; 8],
            began: now,
            attributes: vec![text("call", call), text("route", route), text("scenario", scenario)],
            open: BTreeMap::new(),
            spans: 0,
            decided: None,
        };
        followed.root = followed.next_id();
        followed.open(now, Until::Answer, "INVITE to answer".to_owned(), Vec::new());
        followed
    }

    fn take(&mut self, now: Duration, what: &What) -> Option<Span> {
        match what {
            What::CallAnswered { target, setup_ms, .. } => {
                self.close(now, &Until::Answer, &[text("target", target), whole("setup_ms", *setup_ms)], None)
            }
            What::Decided { rule, policy, emotion, level, actions, .. } => {
                let about =
                    [text("rule", rule), text("policy", policy), text("emotion", emotion), text("level", level)];
                let id = self.next_id();
                self.decided = Some(id);
                let attributes = about.into_iter().chain([text("actions", &actions.join("; "))]).collect();
                let open = Open { id, parent: self.root, name: format!("decide {rule}"), began: now, attributes };
                Some(self.span(now, open, &[], None))
            }
            What::PromptStarted { prompt, file, party, reaction_ms } => {
                let about = vec![text("file", file), text("party", party), whole("reaction_ms", *reaction_ms)];
                self.open(now, Until::Prompt(*prompt), "prompt".to_owned(), about);
                None
            }
            What::PromptEnded { prompt, completed, .. } => {
                let whole_heard = text("completed", if *completed { "true" } else { "false" });
                self.close(now, &Until::Prompt(*prompt), &[whole_heard], None)
            }
            What::PromptFailed { prompt, file, reason, .. } => {
                if !self.open.contains_key(&Until::Prompt(*prompt)) {
                    self.open(now, Until::Prompt(*prompt), "prompt".to_owned(), vec![text("file", file)]);
                }
                self.close(now, &Until::Prompt(*prompt), &[], Some(reason))
            }
            What::RerouteStarted { via, target } => {
                let about = vec![text("via", via), text("target", target)];
                self.open(now, Until::Reroute(via.clone()), format!("re-route by {via}"), about);
                None
            }
            What::Rerouted { via, answer_ms, gap_ms, .. } => {
                let mut about = vec![whole("answer_ms", *answer_ms)];
                about.extend(gap_ms.map(|gap| whole("gap_ms", gap)));
                self.close(now, &Until::Reroute(via.clone()), &about, None)
            }
            What::RerouteFailed { via, reason, .. } => self.close(now, &Until::Reroute(via.clone()), &[], Some(reason)),
            _ => None,
        }
    }

    /// Everything that is open ends with the call, and the call's own span is told at last.
    fn end(&mut self, now: Duration, about: &[KeyValue]) -> Vec<Span> {
        let untils: Vec<Until> = self.open.keys().cloned().collect();
        let mut spans: Vec<Span> =
            untils.iter().filter_map(|until| self.close(now, until, &[], Some("the call has ended"))).collect();
        let attributes = std::mem::take(&mut self.attributes);
        let root = Open { id: self.root, parent: [0; 8], name: "call".to_owned(), began: self.began, attributes };
        spans.push(self.span(now, root, about, None));
        spans
    }

    fn open(&mut self, now: Duration, until: Until, name: String, attributes: Vec<KeyValue>) {
        if self.open.len() >= OPEN_MAX {
            return;
        }
        // What a decision asks for belongs to it; the way to an answer belongs to the call.
        let parent = if until == Until::Answer { self.root } else { self.decided.unwrap_or(self.root) };
        let id = self.next_id();
        self.open.insert(until, Open { id, parent, name, began: now, attributes });
    }

    fn close(&mut self, now: Duration, until: &Until, about: &[KeyValue], failure: Option<&str>) -> Option<Span> {
        let open = self.open.remove(until)?;
        Some(self.span(now, open, about, failure))
    }

    fn span(&self, now: Duration, open: Open, about: &[KeyValue], failure: Option<&str>) -> Span {
        let Open { id, parent, name, began, mut attributes } = open;
        attributes.extend_from_slice(about);
        let kind = if id == self.root { SpanKind::Server } else { SpanKind::Internal };
        let status = failure.map(|message| Status { message: message.to_owned(), code: StatusCode::Error as i32 });
        Span {
            trace_id: self.trace.to_vec(),
            span_id: id.to_vec(),
            parent_span_id: if parent == [0; 8] { Vec::new() } else { parent.to_vec() },
            name,
            kind: kind as i32,
            start_time_unix_nano: nanos(began),
            end_time_unix_nano: nanos(now.max(began)),
            attributes,
            status,
            ..Span::default()
        }
    }

    /// Unlike any other of this trace; never zero, which is no id.
    fn next_id(&mut self) -> [u8; 8] {
        self.spans += 1;
        self.spans.to_be_bytes()
    }
}

/// A text about something.
pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: format!("calmline.{key}"), value: Some(value), ..KeyValue::default() }
}

fn whole(key: &str, value: u64) -> KeyValue {
    let value = any_value::Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX));
    KeyValue { key: format!("calmline.{key}"), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// As OpenTelemetry counts time.
pub(crate) fn nanos(since_1970: Duration) -> u64 {
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_becomes_a_tree() {
        let mut recorder = Recorder::new(1.0);
        let decided = What::Decided {
            rule: "angry".to_owned(),
            policy: "shop@1".to_owned(),
            emotion: "anger".to_owned(),
            level: "high".to_owned(),
            score: 0.9,
            lasted_ms: 500,
            failure: None,
            keys: None,
            interruptions: None,
            said: None,
            facts: Vec::new(),
            group: None,
            actions: vec!["prompt".to_owned()],
        };
        let prompt = |reaction_ms| What::PromptStarted {
            file: "sorry.wav".to_owned(),
            party: "caller".to_owned(),
            prompt: 3,
            reaction_ms,
        };
        let via = || ("bridge".to_owned(), "human".to_owned());
        let story = [
            (0, started()),
            (900, What::CallAnswered { target: "bot".to_owned(), setup_ms: 900, uncalled: false, groups: Vec::new() }),
            (5_000, decided),
            (5_020, prompt(20)),
            (5_030, What::RerouteStarted { via: via().0, target: via().1 }),
            (
                6_000,
                What::PromptEnded {
                    file: "sorry.wav".to_owned(),
                    party: "caller".to_owned(),
                    prompt: 3,
                    completed: true,
                },
            ),
            (9_000, ended()),
        ];
        let spans = play(&mut recorder, "call-1", story);
        let told: Vec<(&str, u64, u64)> = spans
            .iter()
            .map(|span| {
                (span.name.as_str(), span.start_time_unix_nano / 1_000_000, span.end_time_unix_nano / 1_000_000)
            })
            .collect();
        let expected = [
            ("INVITE to answer", 0, 900),
            ("decide angry", 5_000, 5_000),
            ("prompt", 5_020, 6_000),
            ("re-route by bridge", 5_030, 9_000),
            ("call", 0, 9_000),
        ];
        assert_eq!(told, expected);
        let [answer, decision, prompt, reroute, call] = &spans[..] else { panic!("{spans:?}") };
        assert!(call.parent_span_id.is_empty() && spans.iter().all(|span| span.trace_id == trace_of("call-1")));
        assert_eq!((&answer.parent_span_id, &decision.parent_span_id), (&call.span_id, &call.span_id));
        assert_eq!((&prompt.parent_span_id, &reroute.parent_span_id), (&decision.span_id, &decision.span_id));
        assert_eq!(reroute.status.as_ref().map(|status| status.message.as_str()), Some("the call has ended"));
        assert!(!recorder.is_followed("call-1"), "nothing is left of it");
    }

    #[test]
    fn all_spans_of_a_call_or_none_by_its_id() {
        let mut tenth = Recorder::new(0.1);
        let calls: Vec<String> = (0..2_000).map(|n| format!("call-{n}")).collect();
        let kept = |recorder: &mut Recorder| {
            let spans = |call: &String| play(recorder, call, [(0, started()), (5, ended())]).len();
            calls.iter().map(spans).collect::<Vec<_>>()
        };
        let (once, again) = (kept(&mut tenth), kept(&mut Recorder::new(0.1)));
        assert_eq!(once, again, "by the id alone");
        assert!(once.iter().all(|spans| [0, 2].contains(spans)), "whole or not at all");
        let share = once.iter().filter(|spans| **spans > 0).count();
        assert!((150..250).contains(&share), "{share} of 2000");
        assert!(kept(&mut Recorder::new(0.0)).iter().all(|spans| *spans == 0));
        assert!(kept(&mut Recorder::new(1.0)).iter().all(|spans| *spans == 2));
    }

    fn play(recorder: &mut Recorder, call: &str, story: impl IntoIterator<Item = (u64, What)>) -> Vec<Span> {
        let mut spans = Vec::new();
        for (call_ms, what) in story {
            let notice = Notice { call: call.to_owned(), call_ms, what };
            spans.extend(recorder.take(Duration::from_millis(call_ms), &notice));
        }
        spans
    }

    fn started() -> What {
        What::CallStarted {
            from: crate::pii::Pii::new("sip:a@example.com".to_owned()),
            to: crate::pii::Pii::new("sip:b@example.com".to_owned()),
            route: "shop".to_owned(),
            scenario: "shop".to_owned(),
            tags: crate::notice::Tags::default(),
        }
    }

    fn ended() -> What {
        What::CallEnded {
            reason: "caller hung up".to_owned(),
            talk_ms: 1,
            peak_anger: 0.0,
            peak_level: "low".to_owned(),
            packets_lost: 0,
        }
    }
}
