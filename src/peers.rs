//! Other nodes of the site, as they tell of themselves over the bus: which there are, and which of what they tell is taken.
//!
//! Pure: knows no bus and no clock. A node that is new, or of which something was missed, is asked for all its calls that are up;
//! what it tells until they are there is passed over, as they have it already.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::notice::Notice;
use crate::web::{Moment, ToldCall};

/// Nodes that are listened to; further ones are passed over.
const PEERS_MAX: usize = 1_024;
/// How often a node says that it is there.
pub const HERE_EVERY: Duration = Duration::from_secs(1);
/// For how long a node is not heard of until it is gone.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);
/// When a node that was asked for its calls is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// A node says that it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Here {
    /// Which run of its program it is.
    pub run: String,
    /// How many events it has told so far.
    pub number: u64,
    /// Where people reach its API.
    pub address: Option<String>,
    /// The version of its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it says so, by its clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Moment>,
}

/// What a node has told of one of its calls that are up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Restored {
    /// Which run of its program it is.
    pub run: String,
    /// All of it, in order; what a later version tells is passed over.
    #[serde(deserialize_with = "known")]
    pub told: ToldCall,
}

fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ToldCall, D::Error> {
    let told = Vec::<serde_json::Value>::deserialize(deserializer)?;
    Ok(told.into_iter().filter_map(|told| serde_json::from_value(told).ok()).collect())
}

/// A node has told of all its calls that are up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Which run of its program it is.
    pub run: String,
    /// How many events it has told so far.
    pub number: u64,
    /// The number that its last event has there: calls tell all up to that one.
    pub seq: u64,
    /// How many calls these were.
    pub calls: usize,
}

/// An event, as a node tells it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ToldEvent {
    /// The number that it has there.
    pub seq: u64,
    /// When it was.
    pub time: Moment,
    /// What it tells.
    #[serde(flatten)]
    pub notice: Notice,
}

/// What comes of another node.
#[derive(Debug, Clone)]
pub enum Message {
    /// It is there.
    Here(Here),
    /// Something has happened: the run, how many events it has told with this one, and the event, unless a later version tells it.
    Event(String, u64, Option<Box<ToldEvent>>),
    /// One of its calls.
    Restored(Restored),
    /// These were all.
    Done(Done),
}

/// What is to be done about it.
#[derive(Debug)]
pub enum Step {
    /// Ask a node for its calls.
    Ask(String),
    /// Take up an event of a node.
    Take(String, Box<ToldEvent>),
    /// Take up a call of a node.
    Restore(String, ToldCall),
    /// The calls of a node are over but for these.
    End(String, BTreeSet<String>),
    /// Say that a node is passed over, as there are too many.
    PassOver(String),
}

/// All other nodes.
#[derive(Debug)]
pub struct Peers {
    own: String,
    peers: BTreeMap<String, Peer>,
    /// Whether it was said that there are too many, since there were fewer.
    is_crowded: bool,
}

#[derive(Debug)]
struct Peer {
    run: String,
    heard: Duration,
    address: Option<String>,
    sight: Sight,
}

#[derive(Debug)]
enum Sight {
    /// It was asked for its calls, and these have come.
    Asked { at: Duration, calls: BTreeSet<String> },
    /// All is known up to its event of that number. Up to `seq`, calls have told what comes as events.
    Whole { number: u64, seq: u64 },
}

impl Sight {
    fn asked(at: Duration) -> Self {
        Self::Asked { at, calls: BTreeSet::new() }
    }
}

impl Peers {
    /// Nobody else is known to the node of that name.
    pub fn new(own: &str) -> Self {
        Self { own: own.to_owned(), peers: BTreeMap::new(), is_crowded: false }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.peers.len()
    }

    /// Where people reach each of them.
    pub fn addresses(&self) -> BTreeMap<String, Option<String>> {
        self.peers.iter().map(|(node, peer)| (node.clone(), peer.address.clone())).collect()
    }

    /// Hears what a node tells.
    pub fn hear(&mut self, now: Duration, node: &str, message: Message) -> Vec<Step> {
        if node == self.own {
            return Vec::new();
        }
        if let Message::Here(here) = message {
            return self.here(now, node, here);
        }
        // One that is not known yet says that it is there within a second.
        let Some(peer) = self.peers.get_mut(node) else { return Vec::new() };
        if *message.run() != peer.run {
            return Vec::new();
        }
        peer.heard = now;
        let step = match (message, &mut peer.sight) {
            (Message::Event(_, number, event), Sight::Whole { number: last, seq }) => {
                if number != *last + 1 {
                    return vec![peer.ask(now, node)];
                }
                *last = number;
                let event = event.filter(|event| event.seq > *seq);
                event.map(|event| Step::Take(node.to_owned(), event))
            }
            (Message::Restored(Restored { told, .. }), Sight::Asked { calls, .. }) => {
                calls.extend(told.first().map(|first| first.notice.call.clone()));
                Some(Step::Restore(node.to_owned(), told))
            }
            (Message::Done(done), Sight::Asked { calls, .. }) => {
                if calls.len() != done.calls {
                    // Somebody else had asked, and the first ones had come before that.
                    calls.clear();
                    return Vec::new();
                }
                let calls = std::mem::take(calls);
                peer.sight = Sight::Whole { number: done.number, seq: done.seq };
                Some(Step::End(node.to_owned(), calls))
            }
            (Message::Event(..), Sight::Asked { .. }) | (_, Sight::Whole { .. }) | (Message::Here(_), _) => None,
        };
        step.into_iter().collect()
    }

    fn here(&mut self, now: Duration, node: &str, Here { run, number, address, .. }: Here) -> Vec<Step> {
        let is_known = self.peers.contains_key(node);
        if !is_known && self.peers.len() >= PEERS_MAX {
            let is_said = std::mem::replace(&mut self.is_crowded, true);
            return if is_said { Vec::new() } else { vec![Step::PassOver(node.to_owned())] };
        }
        let fresh = || Peer { run: run.clone(), heard: now, address: None, sight: Sight::asked(now) };
        let peer = self.peers.entry(node.to_owned()).or_insert_with(fresh);
        (peer.heard, peer.address) = (now, address);
        let is_missed = matches!(peer.sight, Sight::Whole { number: known, .. } if known != number);
        if is_known && peer.run == run && !is_missed {
            return Vec::new();
        }
        peer.run = run;
        vec![peer.ask(now, node)]
    }

    /// What is to be done as time passes.
    pub fn tick(&mut self, now: Duration) -> Vec<Step> {
        let (mut steps, before) = (Vec::new(), self.peers.len());
        self.peers.retain(|node, peer| {
            let is_there = now.saturating_sub(peer.heard) <= SILENCE_MAX;
            if !is_there {
                steps.push(Step::End(node.clone(), BTreeSet::new()));
            } else if matches!(peer.sight, Sight::Asked { at, .. } if now.saturating_sub(at) >= ASK_AGAIN) {
                steps.push(peer.ask(now, node));
            }
            is_there
        });
        self.is_crowded &= self.peers.len() == before;
        steps
    }
}

impl Peer {
    fn ask(&mut self, now: Duration, node: &str) -> Step {
        self.sight = Sight::asked(now);
        Step::Ask(node.to_owned())
    }
}

impl Message {
    fn run(&self) -> &str {
        match self {
            Message::Here(here) => &here.run,
            Message::Event(run, ..) => run,
            Message::Restored(restored) => &restored.run,
            Message::Done(done) => &done.run,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice_samples::one_of_each;
    use crate::web::TimedNotice;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn here(run: &str, number: u64) -> Message {
        let (run, address) = (run.to_owned(), Some("https://b.example".to_owned()));
        Message::Here(Here { run, number, address, version: None, time: None })
    }

    fn event(run: &str, number: u64, seq: u64) -> Message {
        let event = ToldEvent { seq, time: Moment(1), notice: one_of_each().remove(1) };
        Message::Event(run.to_owned(), number, Some(Box::new(event)))
    }

    fn restored(run: &str, call: &str) -> Message {
        let notice = Notice { call: call.to_owned(), ..one_of_each().remove(0) };
        Message::Restored(Restored { run: run.to_owned(), told: vec![TimedNotice { time: Moment(1), notice }] })
    }

    fn done(run: &str, number: u64, seq: u64, calls: usize) -> Message {
        Message::Done(Done { run: run.to_owned(), number, seq, calls })
    }

    /// Steps in words.
    fn words(steps: &[Step]) -> Vec<String> {
        let word = |step: &Step| match step {
            Step::Ask(node) => format!("ask {node}"),
            Step::Take(node, event) => format!("take {node} {}", event.seq),
            Step::Restore(node, told) => format!("restore {node} {}", told[0].notice.call),
            Step::End(node, up) => format!("end {node} but {up:?}"),
            Step::PassOver(node) => format!("pass over {node}"),
        };
        steps.iter().map(word).collect()
    }

    #[track_caller]
    fn check(peers: &mut Peers, heard: &[(u64, Message, &[&str])]) {
        for (number, (now, message, expected)) in heard.iter().enumerate() {
            assert_eq!(words(&peers.hear(at(*now), "b", message.clone())), *expected, "message {number}");
        }
    }

    #[test]
    fn a_node_is_asked_for_its_calls_and_then_followed() {
        let mut peers = Peers::new("a");
        assert!(peers.hear(at(0), "a", here("1", 0)).is_empty(), "that is us");
        check(
            &mut peers,
            &[
                (0, event("1", 7, 70), &[]),
                (0, here("1", 7), &["ask b"]),
                (0, event("1", 8, 80), &[]),
                (0, restored("1", "call 1"), &["restore b call 1"]),
                (0, restored("1", "call 2"), &["restore b call 2"]),
                (0, done("1", 8, 85, 2), &[r#"end b but {"call 1", "call 2"}"#]),
                // What the calls had told already.
                (1, event("1", 9, 85), &[]),
                (1, event("1", 10, 86), &["take b 86"]),
                (1, here("1", 10), &[]),
                // Somebody else has asked.
                (1, restored("1", "call 1"), &[]),
                (1, done("1", 10, 90, 1), &[]),
                (1, event("1", 11, 87), &["take b 87"]),
                // Of a later version.
                (1, Message::Event("1".to_owned(), 12, None), &[]),
                (1, event("1", 13, 89), &["take b 89"]),
            ],
        );
        assert_eq!(peers.addresses()["b"].as_deref(), Some("https://b.example"));
    }

    #[test]
    fn what_was_missed_is_asked_for_again() {
        let mut peers = Peers::new("a");
        let known: &[(u64, Message, &[&str])] = &[
            (0, here("1", 0), &["ask b"]),
            (0, done("1", 0, 0, 0), &["end b but {}"]),
            (0, event("1", 1, 1), &["take b 1"]),
        ];
        check(&mut peers, known);
        check(&mut peers, &[(1, event("1", 3, 3), &["ask b"]), (1, event("1", 4, 4), &[])]);
        // A list whose beginning was missed is none.
        check(&mut peers, &[(1, restored("1", "call 2"), &["restore b call 2"]), (1, done("1", 4, 4, 2), &[])]);
        assert_eq!(words(&peers.tick(at(2))), Vec::<String>::new());
        assert_eq!(words(&peers.tick(at(3))), ["ask b"]);
        check(&mut peers, &[(3, done("1", 4, 4, 0), &["end b but {}"]), (3, here("1", 5), &["ask b"])]);
        // It was started anew: its calls are over.
        check(&mut peers, &[(4, here("2", 0), &["ask b"]), (4, done("1", 9, 9, 0), &[])]);
        check(&mut peers, &[(4, done("2", 0, 0, 0), &["end b but {}"])]);
    }

    #[test]
    fn a_node_that_is_silent_is_gone_and_may_come_back() {
        let mut peers = Peers::new("a");
        check(&mut peers, &[(0, here("1", 0), &["ask b"]), (0, done("1", 0, 0, 0), &["end b but {}"])]);
        assert!(peers.tick(at(5)).is_empty());
        assert_eq!(words(&peers.tick(at(6))), ["end b but {}"]);
        assert_eq!(peers.count(), 0);
        check(&mut peers, &[(7, event("1", 1, 1), &[]), (7, here("1", 1), &["ask b"])]);
    }

    #[test]
    fn what_a_later_version_tells_of_a_call_is_passed_over() {
        let Message::Restored(restored) = restored("1", "call 1") else { unreachable!() };
        let mut json = serde_json::to_value(&restored).expect("JSON");
        let mut later = json["told"][0].clone();
        later["type"] = "something_new".into();
        json["told"].as_array_mut().expect("a list").push(later);
        let read: Restored = serde_json::from_value(json).expect("it is read");
        assert_eq!((read.told.len(), &read.told[0].notice), (1, &restored.told[0].notice));
    }

    #[test]
    fn nodes_are_bounded() {
        let mut peers = Peers::new("a");
        let hear = |peers: &mut Peers, now, number| words(&peers.hear(at(now), &format!("n{number}"), here("1", 0)));
        for number in 0..PEERS_MAX {
            assert_eq!(hear(&mut peers, 0, number), [format!("ask n{number}")]);
        }
        assert_eq!(hear(&mut peers, 0, 5_000), ["pass over n5000"], "it is said");
        assert_eq!((hear(&mut peers, 0, 5_001), peers.count()), (vec![], PEERS_MAX), "once");
        peers.tick(at(0) + SILENCE_MAX + HERE_EVERY);
        assert_eq!(hear(&mut peers, 6, 5_000), ["ask n5000"], "there is room again");
        assert_eq!(peers.count(), 1);
    }
}
