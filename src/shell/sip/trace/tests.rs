//! Which messages are followed, to which call they belong, and when they are forgotten.

use super::*;

const LEG: LegId = LegId(7);

#[test]
fn a_dialog_is_its_calls_from_its_first_message_on() {
    let trace = trace(10_000);
    let mut followed = trace.follow();
    say(&trace, "INVITE", "one");
    assert_eq!(trace.call_of("one"), Err(false), "it may come to nothing");
    trace.took(LEG, "one");
    assert_eq!(trace.call_of("one"), Err(true));
    trace.name(LEG, "boot-1");
    assert_eq!(trace.call_of("one").as_deref(), Ok("boot-1"));
    say(&trace, "BYE", "one");
    trace.left(LEG, "one");
    assert_eq!(methods(&trace.history("boot-1")), ["INVITE", "BYE"], "its last messages are on their way");
    let mut seen = Vec::new();
    while let Ok(message) = followed.try_recv() {
        seen.push(message);
    }
    assert_eq!(methods(&seen), ["INVITE", "BYE"]);
    assert_eq!((seen[0].from, seen[0].to), (peer(), ours()));
}

#[test]
fn a_call_has_the_messages_of_all_its_legs() {
    let trace = trace(10_000);
    for (leg, call_id) in [(LEG, "one"), (LegId(8), "two")] {
        trace.name(leg, "boot-1");
        say(&trace, "INVITE", call_id);
        trace.took(leg, call_id);
    }
    say(&trace, "INVITE", "another");
    assert_eq!(methods(&trace.history("boot-1")), ["INVITE", "INVITE"]);
}

#[test]
fn what_no_invite_begins_is_not_followed() {
    let trace = trace(10_000);
    let mut followed = trace.follow();
    for method in ["OPTIONS", "REGISTER", "BYE", "SIP/2.0"] {
        say(&trace, method, "one");
    }
    assert!(followed.try_recv().is_err());
    assert_eq!(trace.call_of("one"), Err(false));
}

#[test]
fn the_messages_of_the_oldest_dialog_make_room() {
    let trace = trace(200);
    for (number, call_id) in ["one", "two", "three"].into_iter().enumerate() {
        let leg = LegId(number as u32);
        trace.name(leg, call_id);
        trace.took(leg, call_id);
        say(&trace, "INVITE", call_id);
    }
    let kept = ["one", "two", "three"].map(|call| trace.history(call).len());
    assert_eq!(kept, [0, 1, 1]);
    assert_eq!(trace.call_of("one").as_deref(), Ok("one"), "it is followed all the same");
    say(&trace, "BYE", "one");
    assert_eq!(methods(&trace.history("one")), ["BYE"]);
    let nothing_kept = self::trace(0);
    let mut followed = nothing_kept.follow();
    say(&nothing_kept, "INVITE", "one");
    assert!(followed.try_recv().is_ok(), "whoever follows does so all the same");
}

fn trace(history_max: usize) -> Trace {
    Trace::new(SipSettings::default(), history_max)
}

fn say(trace: &Trace, method: &str, call_id: &str) {
    let message = format!("{method} sip:bot@127.0.0.1 SIP/2.0\r\nCall-ID: {call_id}\r\nContent-Length: 0\r\n\r\n");
    trace.came(SipTransport::Udp, peer(), ours(), message.as_bytes());
}

fn methods(messages: &[Arc<Message>]) -> Vec<String> {
    let method = |message: &Arc<Message>| String::from_utf8_lossy(&message.octets).split(' ').next().map(str::to_owned);
    messages.iter().filter_map(method).collect()
}

fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 5_060))
}

fn ours() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5_060))
}
