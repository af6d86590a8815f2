//! Chats: what is dropped, how fast they may write, what policies do without sound, and how they end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use media::LegId;
use nlu::WordEvidence;
use nlu::text::{TextJudgement, TextSource};
use routing::Policy;

use super::script::observation;
use super::sim::{Sim, settings};
use crate::compliance::Phrases;
use crate::control::{
    ChatOpening, Command, ControlSettings, Denied, DeniedKind, Done, Input, Message, Order, Party, Sounds,
};
use crate::notice::{Notice, What};
use crate::pbx::{Answer, Outcome};
use crate::report::{CallFacts, Report};
use crate::settings::{ConsentRule, ConsentSettings, Limits};
use crate::web::Board;

/// Scenarios of the routes that the tests use: the bridge of `after-sales` needs a target, a prompt needs sound.
const ROUTE: &str = "sales";

#[test]
fn a_chat_is_a_call_without_media() {
    let mut chat = Chat::open();
    assert_eq!(chat.sim.control.counts().calls, 1);
    assert!(chat.sim.media.is_empty() && chat.sim.sip.is_empty());
    assert_eq!(chat.write("退货", "m1"), Ok(Done::Accepted));
    assert_eq!(chat.read(), [(chat.customer, "退货".to_owned())]);
    // Nobody reads agents here; that they write is known.
    assert_eq!(chat.say(Party::Callee, "您好", None), Ok(Done::Accepted));
    assert_eq!(chat.read(), []);
    let (denied, _) = chat.sim.order(Order::OpenAudio { call: chat.id.clone(), layout: "mixed" });
    assert_eq!(denied, Err(Denied::new(DeniedKind::Conflict, "a chat has no sound")));
    assert_eq!(chat.order(Order::EndChat { call: chat.id.clone(), reason: "solved".to_owned() }), Ok(Done::Accepted));
    chat.ended("solved");
    assert_eq!(chat.write("喂", "m2").map_err(|denied| denied.kind), Err(DeniedKind::Unknown));
}

#[test]
fn the_same_name_is_the_same_chat_while_it_is_up() {
    let mut chat = Chat::open();
    let again = chat.order(Order::OpenChat(Box::new(opening())));
    assert_eq!(again, Ok(Done::Opened { call: chat.id.clone(), again: true }));
    let end = Order::EndChat { call: chat.id.clone(), reason: "solved".to_owned() };
    assert_eq!(chat.order(end), Ok(Done::Accepted));
    let anew = chat.order(Order::OpenChat(Box::new(opening())));
    assert!(matches!(anew, Ok(Done::Opened { ref call, again: false }) if *call != chat.id), "{anew:?}");
}

#[test]
fn a_name_is_a_channels_own_and_nobody_gets_the_chat_of_another_customer() {
    let customer = |name: &str| format!("person:{}", name.repeat(32));
    let li = ChatOpening { customer: customer("1"), ..opening() };
    let mut chat = Chat::begin(Sim::new(settings()), li.clone());
    let again: Result<Done, Denied> = Ok(Done::Opened { call: chat.id.clone(), again: true });
    let mut open = |opening: &ChatOpening| chat.order(Order::OpenChat(Box::new(opening.clone())));
    assert_eq!(open(&li), again);
    assert_eq!(open(&ChatOpening { customer: String::new(), route: None, ..li.clone() }), again, "as it was");
    for other in [
        ChatOpening { customer: customer("2"), ..li.clone() },
        ChatOpening { route: Some("help".to_owned()), ..li.clone() },
    ] {
        let denied = open(&other).map_err(|denied| (denied.kind, denied.reason.contains("person:")));
        assert_eq!(denied, Err((DeniedKind::Conflict, false)), "{other:?}");
    }
    let web = ChatOpening { channel: "web".to_owned(), customer: customer("2"), ..opening() };
    let Ok(Done::Opened { call: web_call, again: false }) = open(&web) else { panic!("names are each channel's own") };
    assert_ne!(web_call, chat.id);
    assert_eq!(chat.order(Order::OpenChat(Box::new(web))), Ok(Done::Opened { call: web_call.clone(), again: true }));
    // Each is found until it is over, and no longer.
    assert_eq!(chat.order(Order::EndChat { call: web_call, reason: "solved".to_owned() }), Ok(Done::Accepted));
    assert_eq!(chat.order(Order::OpenChat(Box::new(li))), again);
}

#[test]
fn what_says_nothing_is_dropped() {
    let mut chat = Chat::open();
    let lost = "\u{FFFD}".repeat(3);
    for (text, name, expected) in [
        ("我要退货", Some("m1"), Ok(Done::Accepted)),
        ("我要退货", Some("m1"), Ok(Done::Dropped("duplicate"))),
        ("我要退货", Some("m2"), Ok(Done::Accepted)),
        ("  ", Some("m3"), Ok(Done::Dropped("empty"))),
        (lost.as_str(), Some("m4"), Ok(Done::Dropped("garbled"))),
        ("a\u{0}b", None, Ok(Done::Dropped("garbled"))),
        ("one letter of these many is lost \u{FFFD}", None, Ok(Done::Accepted)),
        ("快点", None, Ok(Done::Accepted)),
        ("快点", None, Ok(Done::Dropped("duplicate"))),
        ("😡😡", None, Ok(Done::Accepted)),
        ("???", None, Ok(Done::Accepted)),
    ] {
        assert_eq!(chat.say(Party::Caller, text, name), expected, "{text:?} {name:?}");
    }
    chat.sim.pass(Duration::from_secs(3), |_, _| ());
    assert_eq!(chat.say(Party::Caller, "快点", None), Ok(Done::Accepted), "said again, not sent again");
}

#[test]
fn who_writes_too_fast_is_told_so() {
    let mut chat = Chat::open();
    let taken = (0..100).filter(|number| chat.write("快点", &number.to_string()).is_ok()).count();
    assert_eq!(taken, 20);
    assert_eq!(chat.write("快点", "more").map_err(|denied| denied.kind), Err(DeniedKind::TooFast));
    chat.sim.pass(Duration::from_secs(1), |_, _| ());
    let taken = (100..200).filter(|number| chat.write("快点", &number.to_string()).is_ok()).count();
    assert_eq!(taken, 5, "per second");
}

#[test]
fn anger_asks_the_channel_to_move_the_customer() {
    let mut chat = Chat::open();
    chat.feel("angry");
    let told = chat.told();
    let [alert, prompt, moved] = told.as_slice() else { panic!("{told:#?}") };
    assert!(matches!(alert, What::Alert { pbx_call: Some(name), .. } if name == "chat-1"), "{alert:?}");
    assert!(matches!(prompt, What::NotPossible { action, .. } if action == "prompt sorry.wav"), "{prompt:?}");
    assert_eq!(*moved, What::RerouteStarted { via: "app".to_owned(), target: "human".to_owned() });
    let failed = Order::ChatMoved { call: chat.id.clone(), outcome: Err("nobody is free".to_owned()) };
    assert_eq!(chat.order(failed), Ok(Done::Accepted));
    let told = chat.told();
    assert!(
        matches!(told.as_slice(), [What::RerouteFailed { via, reason, .. }, What::NotPossible { .. }]
            if via == "app" && reason == "nobody is free"),
        "the fallback has a prompt, too: {told:#?}"
    );
    let late = Order::ChatMoved { call: chat.id.clone(), outcome: Ok(()) };
    assert_eq!(chat.order(late).map_err(|denied| denied.kind), Err(DeniedKind::Conflict));
}

#[test]
fn the_channel_says_what_has_become_of_a_customer_whom_a_webhook_moves() {
    for done in [true, false] {
        let mut sim = Sim::new(settings());
        sim.control.reload(settings(), vec![policy(HOOK)], Sounds::default());
        let mut chat = Chat::begin(sim, opening());
        let moved = |outcome| Order::ChatMoved { call: chat.id.clone(), outcome };
        let (early, good, bad) = (moved(Ok(())), moved(Ok(())), moved(Err("nobody is free".to_owned())));
        assert_eq!(chat.order(early).map_err(|denied| denied.kind), Err(DeniedKind::Conflict), "nobody is asked");
        chat.feel("angry");
        let ticket = chat.sim.orders.first().expect("the webhook is asked").ticket;
        let out = chat.sim.tell(Input::Pbx(Answer { ticket, outcome: Outcome::Accepted }));
        chat.out.extend(out);
        assert_eq!(chat.order(if done { good } else { bad }), Ok(Done::Accepted));
        let told = chat.told();
        let moved =
            |what: &What| matches!(what, What::Rerouted { via, target, .. } if via == "crm" && target == "human");
        let failed = |what: &What| matches!(what, What::RerouteFailed { reason, .. } if reason == "nobody is free");
        assert_eq!((told.iter().any(moved), told.iter().any(failed)), (done, !done), "{told:#?}");
        // What comes of the order later changes nothing, nor does its time.
        let mut later = chat.sim.tell(Input::Pbx(Answer { ticket, outcome: Outcome::Failed("late".to_owned()) }));
        chat.sim.pass(Duration::from_secs(31), |_, more| later.extend(more));
        assert_eq!(whats(&later), [], "{done}");
    }
}

#[test]
fn a_channel_that_says_nothing_has_not_moved_anybody() {
    let mut chat = Chat::open();
    chat.feel("angry");
    chat.told();
    let mut told = Vec::new();
    chat.sim.pass(Duration::from_secs(31), |_, out| told.extend(whats(&out)));
    assert!(
        told.iter().any(|what| matches!(what, What::RerouteFailed { reason, .. } if reason == "no answer in time")),
        "{told:#?}"
    );
}

#[test]
fn the_mood_of_who_writes_lasts_until_the_next_message() {
    let mut chat = Chat::open();
    chat.feel("cross");
    let mut out = Vec::new();
    chat.sim.pass(Duration::from_secs(60), |_, more| out.extend(more));
    chat.feel("angry");
    assert!(chat.told().iter().any(|what| matches!(what, What::Alert { .. })));
}

#[test]
fn who_writes_nothing_has_gone_and_there_is_a_limit() {
    let limits = Limits { chats: 2, chat_idle: Duration::from_secs(60), ..settings().limits };
    let mut chat = Chat::open_with(ControlSettings { limits, ..settings() });
    let second = ChatOpening { name: Some("chat-2".to_owned()), ..opening() };
    assert!(matches!(chat.order(Order::OpenChat(Box::new(second))), Ok(Done::Opened { .. })));
    let third = ChatOpening { name: None, ..opening() };
    let denied = chat.order(Order::OpenChat(Box::new(third.clone())));
    assert_eq!(denied.map_err(|denied| denied.kind), Err(DeniedKind::Full));
    chat.sim.pass(Duration::from_secs(50), |_, _| ());
    assert_eq!(chat.write("在吗", "m1"), Ok(Done::Accepted));
    chat.sim.pass(Duration::from_secs(50), |_, _| ());
    assert_eq!(chat.sim.control.counts().calls, 1, "the second one is over");
    chat.sim.pass(Duration::from_secs(50), |_, _| ());
    assert_eq!(chat.sim.control.counts().calls, 0);
    assert!(matches!(chat.order(Order::OpenChat(Box::new(third))), Ok(Done::Opened { again: false, .. })));
}

#[test]
fn chats_take_no_place_of_calls() {
    let limits = Limits { calls: 1, chats: 10, ..settings().limits };
    let mut chat = Chat::open_with(ControlSettings { limits, ..settings() });
    let second = ChatOpening { name: None, ..opening() };
    assert!(matches!(chat.order(Order::OpenChat(Box::new(second))), Ok(Done::Opened { .. })));
    assert!(chat.sim.control.room_for_one_more(chat.sim.now).is_ok());
    let unknown = ChatOpening { name: None, route: Some("none".to_owned()), ..opening() };
    assert_eq!(chat.order(Order::OpenChat(Box::new(unknown))).map_err(|denied| denied.kind), Err(DeniedKind::Wrong));
}

#[test]
fn nobody_is_read_before_the_customer_agrees_where_the_route_says_so() {
    let mut settings = settings();
    let consent = ConsentSettings { rule: ConsentRule::Asked, deafens: true, ..ConsentSettings::default() };
    settings.routes.0.iter_mut().for_each(|route| route.consent.clone_from(&consent));
    let recorded = settings.check_route(&opening()).map_err(|denied| denied.kind);
    assert_eq!(recorded, Err(DeniedKind::Conflict), "of a recording nobody is asked any more");
    let mut sim = Sim::new(settings);
    let (opened, out) = sim.order(Order::OpenChat(Box::new(opening())));
    let Ok(Done::Opened { call, .. }) = opened else { panic!("{opened:?}") };
    assert_eq!(attended(&out), [] as [bool; 0]);
    let write = |text: &str| {
        let message = Message { party: Party::Caller, text: text.to_owned(), name: None, age: Duration::ZERO };
        Order::Write { call: call.clone(), message }
    };
    let (written, out) = sim.order(write("退货"));
    assert_eq!(written, Ok(Done::Accepted));
    assert!(!out.iter().any(|command| matches!(command, Command::Read { .. })), "{out:?}");
    let (agreed, out) = sim.order(Order::Consent { call: call.clone(), given: true });
    assert_eq!(agreed, Ok(Done::Accepted));
    assert_eq!(attended(&out), [true]);
    assert!(!out.iter().any(|command| matches!(command, Command::Media(_))), "a chat has no sound: {out:?}");
    let (_, out) = sim.order(write("快点"));
    assert!(out.iter().any(|command| matches!(command, Command::Read { .. })), "{out:?}");
    let (_, out) = sim.order(Order::Consent { call: call.clone(), given: false });
    assert_eq!(attended(&out), [false]);
}

#[test]
fn what_agents_write_is_held_to_the_compliance_phrases() {
    let mut chat = Chat::open_with(ControlSettings { compliance: Arc::new(duties()), ..settings() });
    chat.sim.pass(Duration::from_secs(10), |_, _| ());
    assert_eq!(chat.say(Party::Callee, "这不归我管", None), Ok(Done::Accepted));
    assert_eq!(chat.broken(), ["never_say away"], "at once");
    assert_eq!(chat.say(Party::Caller, "那只基金呢，不归我管", None), Ok(Done::Accepted));
    assert_eq!(chat.broken(), [""; 0], "customers may say what they like");
    let mut out = Vec::new();
    chat.sim.pass(Duration::from_secs(24), |_, more| out.extend(more));
    chat.out.extend(out);
    assert_eq!(chat.broken(), ["must_say greeting"], "nobody was greeted in time");
    assert_eq!(chat.say(Party::Callee, "投资有风险", None), Ok(Done::Accepted));
    chat.sim.pass(Duration::from_secs(60), |_, _| ());
    let end = Order::EndChat { call: chat.id.clone(), reason: "solved".to_owned() };
    assert_eq!(chat.order(end), Ok(Done::Accepted));
    let told = whats(&chat.out);
    let broken = told.iter().position(|what| matches!(what, What::ComplianceBreached(_))).expect("the end");
    let ended = told.iter().position(|what| matches!(what, What::CallEnded { .. })).expect("it ended");
    assert!(broken < ended, "{told:#?}");
    assert_eq!(chat.broken(), ["must_say else"]);
}

#[test]
fn what_nobody_may_read_any_more_is_not_missed() {
    let mut settings = ControlSettings { compliance: Arc::new(duties()), ..settings() };
    let consent = ConsentSettings { deafens: true, ..ConsentSettings::default() };
    settings.routes.0.iter_mut().for_each(|route| route.consent.clone_from(&consent));
    let mut chat = Chat::open_with(settings);
    assert_eq!(chat.say(Party::Callee, "好的", None), Ok(Done::Accepted));
    let refused = Order::Consent { call: chat.id.clone(), given: false };
    assert_eq!(chat.order(refused), Ok(Done::Accepted));
    let mut out = Vec::new();
    chat.sim.pass(Duration::from_secs(60), |_, more| out.extend(more));
    chat.out.extend(out);
    let end = Order::EndChat { call: chat.id.clone(), reason: "solved".to_owned() };
    assert_eq!(chat.order(end), Ok(Done::Accepted));
    assert_eq!(chat.broken(), [""; 0]);
}

#[test]
fn all_that_is_read_at_once_is_judged() {
    let mut chat = Chat::open_with(settings());
    let help = ChatOpening { route: Some("help".to_owned()), name: None, ..opening() };
    let (opened, out) = chat.sim.order(Order::OpenChat(Box::new(help)));
    assert!(matches!(opened, Ok(Done::Opened { again: false, .. })), "{opened:?}");
    let customer = out.iter().find_map(|command| match command {
        Command::Attend { leg, on: true } => Some(*leg),
        _ => None,
    });
    // Both were sent in the same moment, so both end in the same place.
    for (number, intent) in [(1, "refund"), (2, "complaint")] {
        let mut heard = observation(customer.expect("the customer is read"), "calm");
        heard.words = Some(Arc::new(wanting(number, intent)));
        let out = chat.sim.tell(Input::Heard(Box::new(heard)));
        let alerted = whats(&out).iter().any(|what| matches!(what, What::Alert { rule, .. } if rule == "complains"));
        assert_eq!(alerted, intent == "complaint", "{intent}: {out:?}");
    }
}

/// Words of somebody who wants something.
fn wanting(number: u64, intent: &'static str) -> WordEvidence {
    WordEvidence {
        number,
        start: 0,
        end: 8_000,
        confidence: 1.0,
        reliability: 0.5,
        emotion: "neutral",
        judgement: TextJudgement::NOTHING,
        words: Vec::new(),
        intents: vec![intent],
        source: TextSource::Model,
    }
}

#[test]
fn duties_of_a_chat_begin_with_the_first_message_of_whoever_serves() {
    // After how many seconds whoever serves writes what; then what is broken 30 s later.
    for (wait_s, said, expected) in
        [(1, None, None), (60, Some("您好"), None), (60, Some("好的"), Some("must_say greeting"))]
    {
        let mut chat = Chat::open_with(ControlSettings { compliance: Arc::new(duties()), ..settings() });
        let mut out = Vec::new();
        chat.sim.pass(Duration::from_secs(wait_s), |_, more| out.extend(more));
        if let Some(said) = said {
            assert_eq!(chat.say(Party::Callee, said, None), Ok(Done::Accepted));
        }
        chat.sim.pass(Duration::from_secs(30), |_, more| out.extend(more));
        chat.out.extend(out);
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(chat.broken(), expected, "{wait_s} s, {said:?}");
    }
}

#[test]
fn of_what_is_missing_at_the_end_supervisors_are_told_and_nobody_is_moved() {
    let mut sim = Sim::new(ControlSettings { compliance: Arc::new(duties()), ..settings() });
    let help = ChatOpening { route: Some("help".to_owned()), ..opening() };
    let (opened, _) = sim.order(Order::OpenChat(Box::new(help)));
    let Ok(Done::Opened { call, .. }) = opened else { panic!("{opened:?}") };
    let message = Message { party: Party::Callee, text: "好的".to_owned(), name: None, age: Duration::ZERO };
    let (written, _) = sim.order(Order::Write { call: call.clone(), message });
    assert_eq!(written, Ok(Done::Accepted));
    sim.pass(Duration::from_secs(60), |_, _| ());
    let (_, out) = sim.order(Order::EndChat { call, reason: "solved".to_owned() });
    let told = whats(&out);
    let [What::ComplianceBreached(breach), What::Alert { rule, .. }, What::CallEnded { .. }] = &told[..] else {
        panic!("{told:#?}")
    };
    assert_eq!((breach.rule.as_str(), rule.as_str()), ("else", "not-asked"));
    sim.assert_clean();
}

#[test]
fn a_customer_who_writes_stays_in_one_group_from_chat_to_chat() {
    assert_eq!(groups_of("person:00112233445566778899aabbccddeeff").len(), 1);
    assert_eq!(groups_of("").len(), 2, "whoever says nothing of the customer has chats dealt out one by one");
}

#[test]
fn reports_compare_groups_in_which_no_rule_fires_and_those_of_every_policy() {
    let treatment = SPLIT.split("[[rule]]\nid = \"old\"").next().expect("a text");
    let second = treatment.replace("name = \"after-sales\"", "name = \"pace\"").replace("wording", "pace");
    let sim = twenty_chats("", vec![policy(treatment), policy(&second)]);
    let (mut board, mut report) = (Board::default(), Report::of_day("2026-11-26", "UTC"));
    sim.notices.iter().for_each(|notice| board.apply(notice, 1_000_000));
    board.ended().for_each(|record| report.add(9, &CallFacts::from(record)));
    for split in ["wording", "pace"] {
        let [control, treatment] = ["control", "treatment"].map(|group| &report.by_group[&format!("{split}: {group}")]);
        assert!(control.calls > 0 && treatment.calls > 0, "{split}: {:?}", report.by_group);
        assert_eq!((control.calls + treatment.calls, control.high + treatment.high), (20, 20), "{split}");
    }
}

/// The groups that twenty chats of a customer are in.
fn groups_of(customer: &str) -> BTreeSet<String> {
    let sim = twenty_chats(customer, vec![policy(SPLIT)]);
    let group = |notice: &Notice| match &notice.what {
        What::Decided { group, .. } => group.clone(),
        _ => None,
    };
    sim.notices.iter().filter_map(group).collect()
}

/// As many, in which the customer is angry.
fn twenty_chats(customer: &str, policies: Vec<Policy>) -> Sim {
    let mut sim = Sim::new(settings());
    sim.control.reload(settings(), policies, Sounds::default());
    for _ in 0..20 {
        let next = ChatOpening { name: None, customer: customer.to_owned(), ..opening() };
        let mut chat = Chat::begin(sim, next);
        chat.feel("angry");
        assert_eq!(
            chat.order(Order::EndChat { call: chat.id.clone(), reason: "solved".to_owned() }),
            Ok(Done::Accepted)
        );
        sim = chat.sim;
    }
    sim
}

fn policy(text: &str) -> Policy {
    Policy::parse(text).expect("the test's policy is valid")
}

/// Who is angry is moved by a webhook.
const HOOK: &str = r#"
name = "after-sales"
version = 2
scenarios = ["after-sales"]
[[rule]]
id = "angry"
when = { emotion = "anger", level = "high" }
then = [{ reroute = "crm", target = "human" }]
"#;

/// Half of the callers are told of by one rule, half by the other.
const SPLIT: &str = r#"
name = "after-sales"
version = 2
scenarios = ["after-sales"]
split = { id = "wording", share = 0.5 }
[[rule]]
id = "new"
group = "treatment"
when = { emotion = "anger", level = "high" }
then = [{ alert = "info", text = "angry" }]
[[rule]]
id = "old"
group = "control"
when = { emotion = "anger", level = "high" }
then = [{ alert = "info", text = "angry" }]
"#;

fn duties() -> Phrases {
    let text = include_str!("duties.toml");
    Phrases::of(&[("duties.toml".into(), text.to_owned())]).expect("they are right")
}

/// One chat, and everything around it.
struct Chat {
    sim: Sim,
    id: String,
    customer: LegId,
    out: Vec<Command>,
}

impl Chat {
    fn open() -> Chat {
        Chat::open_with(settings())
    }

    fn open_with(settings: ControlSettings) -> Chat {
        Chat::begin(Sim::new(settings), opening())
    }

    fn begin(mut sim: Sim, opening: ChatOpening) -> Chat {
        let (opened, out) = sim.order(Order::OpenChat(Box::new(opening)));
        let Ok(Done::Opened { call: id, again: false }) = opened else { panic!("{opened:?}") };
        let customer = out.iter().find_map(|command| match command {
            Command::Attend { leg, on: true } => Some(*leg),
            _ => None,
        });
        Chat { sim, id, customer: customer.expect("the customer is read"), out: Vec::new() }
    }

    fn order(&mut self, order: Order) -> Result<Done, Denied> {
        let (outcome, out) = self.sim.order(order);
        self.out.extend(out);
        outcome
    }

    fn write(&mut self, text: &str, name: &str) -> Result<Done, Denied> {
        self.say(Party::Caller, text, Some(name))
    }

    fn say(&mut self, party: Party, text: &str, name: Option<&str>) -> Result<Done, Denied> {
        let message = Message { party, text: text.to_owned(), name: name.map(str::to_owned), age: Duration::ZERO };
        self.order(Order::Write { call: self.id.clone(), message })
    }

    fn feel(&mut self, mood: &str) {
        let heard = observation(self.customer, mood);
        let out = self.sim.tell(Input::Heard(Box::new(heard)));
        self.out.extend(out);
    }

    /// What was given to be read since this was asked last.
    fn read(&mut self) -> Vec<(LegId, String)> {
        let read = |command| match command {
            Command::Read { leg, text } => Some((leg, text)),
            _ => None,
        };
        std::mem::take(&mut self.out).into_iter().filter_map(read).collect()
    }

    /// What was told since this was asked last, but for decisions and what leads to them.
    fn told(&mut self) -> Vec<What> {
        whats(&std::mem::take(&mut self.out))
    }

    /// The compliance rules that were broken since this was asked last.
    fn broken(&mut self) -> Vec<String> {
        let told = self.told().into_iter();
        told.filter_map(|what| match what {
            What::ComplianceBreached(breach) => Some(format!("{} {}", breach.duty, breach.rule)),
            _ => None,
        })
        .collect()
    }

    fn ended(&mut self, reason: &str) {
        let ended = |what: &What| matches!(what, What::CallEnded { reason: found, .. } if found == reason);
        assert!(self.told().iter().any(ended));
        assert_eq!(self.sim.control.counts().calls, 0);
        self.sim.assert_clean();
    }
}

/// Who is read from now on (true), or no longer.
fn attended(out: &[Command]) -> Vec<bool> {
    let attended = |command: &Command| match command {
        Command::Attend { on, .. } => Some(*on),
        _ => None,
    };
    out.iter().filter_map(attended).collect()
}

fn whats(out: &[Command]) -> Vec<What> {
    let told = |command: &Command| match command {
        Command::Notice(Notice { what, .. }) => Some(what.clone()),
        _ => None,
    };
    let leads =
        |what: &What| matches!(what, What::Decided { .. } | What::Observed { .. } | What::EscalationLikely { .. });
    out.iter().filter_map(told).filter(|what| !leads(what)).collect()
}

fn opening() -> ChatOpening {
    ChatOpening {
        channel: "app".to_owned(),
        name: Some("chat-1".to_owned()),
        customer: String::new(),
        language: None,
        route: Some(ROUTE.to_owned()),
        details: Vec::new(),
    }
}
