//! Subjects and messages of the bus: `calmline.NODE.TYPE` are events, which streams keep; `calmline.NODE.site.…` is for nodes alone.

use async_nats::Message as Received;

use crate::peers::{Message, Restored};

/// What nodes listen to, and what a stream keeps.
pub(super) const EVERYTHING: &str = "calmline.>";
pub(super) const EVENTS: &str = "calmline.*.*";
/// The word of any node that it is there.
pub(super) const ANYBODY: &str = "calmline.*.site.here";
/// The word of any node that something has changed.
pub(super) const CHANGES: &str = "calmline.*.site.changed";

/// Headers of events: the program's run, how many events it had told with this one, and whose call it is.
pub(super) const RUN: &str = "Calmline-Run";
pub(super) const NUMBER: &str = "Calmline-Number";
pub(super) const ROUTE: &str = "Calmline-Route";
pub(super) const TENANT: &str = "Calmline-Tenant";

/// How long a message may be, octets: servers take a million unless they are told otherwise.
const BYTES_MAX: usize = 900_000;

/// What a message says.
#[derive(Debug)]
pub(super) enum Told {
    /// A node is asked for its calls.
    Ask,
    /// A node tells something.
    By(Message),
    /// A node has erased these calls of its own.
    Gone(Vec<String>),
}

pub(super) fn subject(node: &str, kind: &str) -> String {
    format!("calmline.{node}.{kind}")
}

pub(super) fn here(node: &str) -> String {
    format!("calmline.{node}.site.here")
}

pub(super) fn ask(node: &str) -> String {
    format!("calmline.{node}.site.ask")
}

pub(super) fn restored(node: &str) -> String {
    format!("calmline.{node}.site.call")
}

pub(super) fn done(node: &str) -> String {
    format!("calmline.{node}.site.done")
}

/// Where a node is asked to do something for another one.
pub(super) fn order(node: &str) -> String {
    format!("calmline.{node}.site.order")
}

/// Where a node says that something of the site has changed.
pub(super) fn changed(node: &str) -> String {
    format!("calmline.{node}.site.changed")
}

/// Where a node says which of its calls are erased.
pub(super) fn gone(node: &str) -> String {
    format!("calmline.{node}.site.gone")
}

/// What a message says, and of which node; nothing of one that is none of ours.
pub(super) fn read(message: &Received) -> Option<(&str, Told)> {
    let header = |name: &str| Some(message.headers.as_ref()?.get(name)?.as_str());
    parse(&message.subject, (header(RUN), header(NUMBER)), &message.payload)
}

fn parse<'a>(subject: &'a str, (run, number): (Option<&str>, Option<&str>), payload: &[u8]) -> Option<(&'a str, Told)> {
    let mut tokens = subject.strip_prefix("calmline.")?.splitn(3, '.');
    let (node, kind, rest) = (tokens.next()?, tokens.next()?, tokens.next());
    let told = match (kind, rest) {
        ("site", Some("ask")) => return Some((node, Told::Ask)),
        ("site", Some("gone")) => return Some((node, Told::Gone(serde_json::from_slice(payload).ok()?))),
        ("site", Some("here")) => Message::Here(serde_json::from_slice(payload).ok()?),
        ("site", Some("call")) => Message::Restored(serde_json::from_slice(payload).ok()?),
        ("site", Some("done")) => Message::Done(serde_json::from_slice(payload).ok()?),
        ("site", _) => return None,
        (_, None) => Message::Event(run?.to_owned(), number?.parse().ok()?, serde_json::from_slice(payload).ok()),
        _ => return None,
    };
    Some((node, Told::By(told)))
}

/// A call that fits into a message: of one that does not, what came after its beginning is left out, the oldest first.
pub(super) fn fitting(mut restored: Restored) -> Restored {
    let lengths: Vec<usize> =
        restored.told.iter().map(|told| serde_json::to_vec(told).map_or(0, |json| json.len() + 1)).collect();
    let mut bytes: usize = lengths.iter().sum();
    let mut left_out = 0;
    for length in lengths.iter().skip(1) {
        if bytes <= BYTES_MAX {
            break;
        }
        bytes -= length;
        left_out += 1;
    }
    restored.told.drain(1.min(restored.told.len())..(1 + left_out).min(restored.told.len()));
    restored
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::Notice;
    use crate::notice_samples::one_of_each;
    use crate::web::{Bus, Delivery, Moment, TimedNotice};

    #[tokio::test]
    async fn every_event_is_read_as_it_is_told() {
        let bus = Bus::of_node("a");
        let mut watch = bus.subscribe(None);
        for notice in one_of_each() {
            bus.publish_at(&notice, Moment(5_000));
            let Some(Delivery::Event(event)) = watch.next().await else { panic!("it is told") };
            let subject = subject("a", event.kind);
            let read = parse(&subject, (Some("run"), Some("7")), event.json.as_bytes());
            let Some(("a", Told::By(Message::Event(run, 7, Some(told))))) = read else { panic!("{subject}: {read:?}") };
            assert_eq!((run.as_str(), told.seq, told.time, &told.notice), ("run", event.seq, Moment(5_000), &notice));
        }
    }

    #[test]
    fn what_is_none_of_ours_is_passed_over() {
        let headers = (Some("run"), Some("7"));
        for (subject, headers, payload) in [
            ("other.a.alert", headers, "{}"),
            ("calmline.a", headers, "{}"),
            ("calmline.a.alert", (Some("run"), None), "{}"),
            ("calmline.a.alert", (Some("run"), Some("many")), "{}"),
            ("calmline.a.alert", (None, Some("7")), "{}"),
            ("calmline.a.site.here", headers, "{}"),
            ("calmline.a.site.gone", headers, "{}"),
            ("calmline.a.site.other", headers, "{}"),
            ("calmline.a.site", headers, "{}"),
        ] {
            assert!(parse(subject, headers, payload.as_bytes()).is_none(), "{subject} {payload}");
        }
        let later = parse("calmline.a.something_new", headers, b"{}");
        assert!(matches!(later, Some(("a", Told::By(Message::Event(_, 7, None))))), "it counts: {later:?}");
        assert!(matches!(parse("calmline.a.site.ask", (None, None), b""), Some(("a", Told::Ask))));
    }

    #[test]
    fn a_call_that_has_told_too_much_fits() {
        let samples = one_of_each();
        let long = Notice { call: "x".repeat(10_000), ..samples[2].clone() };
        let timed = |notice: &Notice| TimedNotice { time: Moment(1), notice: notice.clone() };
        let told: Vec<_> = std::iter::once(timed(&samples[0])).chain((0..200).map(|_| timed(&long))).collect();
        let whole = told.len();
        let fitted = fitting(Restored { run: "1".to_owned(), told });
        let bytes = serde_json::to_vec(&fitted).expect("JSON").len();
        assert!(bytes <= BYTES_MAX + 1_000 && fitted.told.len() > 80 && fitted.told.len() < whole, "{bytes}");
        assert_eq!(fitted.told[0].notice, samples[0]);
        let one = fitting(Restored { run: "1".to_owned(), told: vec![timed(&samples[0])] });
        assert_eq!(one.told.len(), 1);
    }
}
