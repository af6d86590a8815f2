//! Requests in order, and what becomes of channels and bridges.

use proptest::prelude::*;

use super::*;

fn wanted(endpoint: Option<&str>) -> Deed {
    Deed::Move(Box::new(Move {
        channel: Some("1700000000.4".to_owned()),
        place: Place {
            dialplan: Some(Dialplan { context: "queues".into(), extension: "70 0".into(), priority: 1 }),
            endpoint: endpoint.map(str::to_owned),
            ..Place::default()
        },
        handover: super::super::Handover { rule: "angry&x=1".into(), ..super::super::Handover::default() },
    }))
}

/// Answers every request with 200; what was asked, in order, and what was said besides.
fn run(session: &mut Session, mut out: Vec<Said>, refused: &str) -> (Vec<String>, Vec<Said>) {
    let (mut asked, mut said) = (Vec::new(), Vec::new());
    while let Some(first) = (!out.is_empty()).then(|| out.remove(0)) {
        let Said::Ask(Request { id, method, path, .. }) = first else {
            said.push(first);
            continue;
        };
        let refuses = !refused.is_empty() && path.contains(refused);
        let response = if refuses { (404, r#"{"message":"Channel not found"}"#) } else { (200, "{}") };
        asked.push(format!("{method:?} {path}"));
        session.response(id, Ok(response), &mut out);
    }
    (asked, said)
}

fn event(kind: &str, channel: &str) -> String {
    json!({ "type": kind, "channel": { "id": channel }, "cause_txt": "User busy" }).to_string()
}

#[test]
fn variables_then_continue() {
    let (mut session, mut out) = (Session::new("calmline", "run"), Vec::new());
    session.order(Ticket(1), &wanted(None), &mut out);
    let (asked, said) = run(&mut session, out, "");
    assert_eq!(asked.len(), 6);
    assert_eq!(asked[4], "Post /channels/1700000000.4/variable?variable=CALMLINE_RULE&value=angry%26x%3D1");
    assert_eq!(asked[5], "Post /channels/1700000000.4/continue?context=queues&extension=70%200&priority=1");
    assert_eq!(said, [Said::answer(Ticket(1), Outcome::Done)]);
    assert!(session.lost().is_empty());
}

#[test]
fn a_channel_that_is_not_there() {
    let (mut session, mut out) = (Session::new("calmline", "run"), Vec::new());
    session.order(Ticket(1), &wanted(None), &mut out);
    let (_, said) = run(&mut session, out, "/continue");
    assert_eq!(said, [Said::failed(Ticket(1), "404 Channel not found")]);
}

#[test]
fn a_device_answers_and_is_bridged_until_the_caller_leaves() {
    let (mut session, mut out) = (Session::new("calmline", "run"), Vec::new());
    session.order(Ticket(5), &wanted(Some("PJSIP/agent1")), &mut out);
    let (asked, said) = run(&mut session, out, "");
    let call = "Post /channels?endpoint=PJSIP%2Fagent1&app=calmline&channelId=run-5&originator=1700000000.4";
    assert_eq!((asked[1].as_str(), said.len()), (call, 0));

    let mut out = Vec::new();
    session.event(&event("StasisStart", "run-5"), &mut out);
    session.event(&event("StasisStart", "run-5"), &mut out);
    let (asked, said) = run(&mut session, out, "");
    let bridged = ["Post /bridges/run-5?type=mixing", "Post /bridges/run-5/addChannel?channel=1700000000.4,run-5"];
    assert_eq!((asked, said), (bridged.map(str::to_owned).into(), vec![Said::answer(Ticket(5), Outcome::Done)]));

    let mut out = Vec::new();
    session.event(&event("ChannelDestroyed", "1700000000.4"), &mut out);
    session.event(&event("ChannelDestroyed", "run-5"), &mut out);
    let (asked, said) = run(&mut session, out, "");
    assert_eq!((asked, said), (vec!["Delete /channels/run-5".to_owned(), "Delete /bridges/run-5".to_owned()], vec![]));
}

#[test]
fn a_device_that_is_busy_or_rings_too_long() {
    let (mut session, mut out) = (Session::new("calmline", "run"), Vec::new());
    for ticket in [1, 2, 3] {
        session.order(Ticket(ticket), &wanted(Some("PJSIP/agent1")), &mut out);
    }
    run(&mut session, std::mem::take(&mut out), "channelId=run-3");
    session.event(&event("ChannelDestroyed", "run-1"), &mut out);
    session.give_up(Ticket(2), &mut out);
    let (asked, said) = run(&mut session, out, "");
    assert_eq!(said, [Said::failed(Ticket(1), "the device: User busy")]);
    assert_eq!(asked, ["Delete /channels/run-2", "Delete /bridges/run-2"]);
    assert!(session.lost().is_empty(), "the third was refused");
}

proptest! {
    /// Whatever a rule, a channel or a device is called: one request has one path, and escapes nowhere else.
    #[test]
    fn values_stay_in_their_places(channel in any::<String>(), endpoint in any::<String>()) {
        let (mut session, mut out) = (Session::new("calmline", "run"), Vec::new());
        let Deed::Move(mut wanted) = wanted(Some(&endpoint)) else { unreachable!("it is a move") };
        wanted.channel = Some(channel);
        session.order(Ticket(1), &Deed::Move(wanted), &mut out);
        let (asked, _) = run(&mut session, out, "");
        for path in asked {
            prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{}", path);
            prop_assert_eq!(path.matches('?').count().max(1), 1);
        }
    }

    #[test]
    fn any_event_is_taken(text in any::<String>(), id in any::<u64>(), code in any::<u16>()) {
        let (mut session, mut out) = (Session::new("calmline", "run"), Vec::new());
        session.event(&text, &mut out);
        session.response(id, Ok((code, &text)), &mut out);
        prop_assert!(out.is_empty());
    }
}

#[test]
fn a_lost_connection_ends_what_has_no_answer() {
    let (mut session, mut out) = (Session::new("calmline", "run"), Vec::new());
    session.order(Ticket(1), &wanted(Some("PJSIP/agent1")), &mut out);
    run(&mut session, std::mem::take(&mut out), "");
    session.order(Ticket(2), &wanted(None), &mut out);
    assert_eq!(session.lost(), [Ticket(1), Ticket(2)].into());
    assert!(session.lost().is_empty());
}

#[test]
fn an_order_that_is_given_up_is_not_carried_out() {
    let (mut session, mut out) = (Session::new("calmline", "run"), Vec::new());
    session.order(Ticket(1), &wanted(None), &mut out);
    session.order(Ticket(2), &wanted(Some("PJSIP/agent1")), &mut out);
    session.give_up(Ticket(1), &mut out);
    session.give_up(Ticket(2), &mut out);
    let (asked, said) = run(&mut session, out, "");
    assert_eq!((asked.len(), said), (4, vec![]), "{asked:?}");
    assert!(asked[0].contains("/variable?") && asked[1].contains("/subscription?"), "{asked:?}");
    assert_eq!(asked[2..], ["Delete /channels/run-2", "Delete /bridges/run-2"]);
}

#[test]
fn a_device_that_is_called_for_nobody_is_let_go() {
    let (mut session, mut out) = (Session::new("calmline", "run"), Vec::new());
    session.order(Ticket(1), &wanted(Some("PJSIP/agent1")), &mut out);
    session.response(1, Ok((200, "{}")), &mut out);
    session.give_up(Ticket(1), &mut out);
    out.clear();
    // The call for the device was on its way.
    session.response(2, Ok((200, "{}")), &mut out);
    assert_eq!(run(&mut session, std::mem::take(&mut out), "").0, ["Delete /channels/run-1"]);
    for channel in ["run-1", "run-x", "other-1"] {
        session.event(&event("StasisStart", channel), &mut out);
    }
    assert_eq!(run(&mut session, out, "").0, ["Delete /channels/run-1"]);
}

#[test]
fn bridges_that_ended_unheard_are_taken_down_when_the_connection_is_back() {
    let (mut session, mut out) = (Session::new("calmline", "run"), Vec::new());
    for ticket in [1, 2, 3] {
        session.order(Ticket(ticket), &wanted(Some("PJSIP/agent1")), &mut out);
    }
    run(&mut session, std::mem::take(&mut out), "");
    for device in ["run-1", "run-2"] {
        session.event(&event("StasisStart", device), &mut out);
    }
    run(&mut session, std::mem::take(&mut out), "");
    assert_eq!(session.lost(), [Ticket(3)].into());
    session.back(&mut out);
    assert!(session.lost().is_empty(), "nobody waits for that");

    out.clear();
    session.back(&mut out);
    let mut asked = Vec::new();
    while let Some(Said::Ask(Request { id, method, path, .. })) = out.pop() {
        let code = if path.ends_with("channel:run-1") { 422 } else { 200 };
        asked.push(format!("{method:?} {path}"));
        session.response(id, Ok((code, "{}")), &mut out);
    }
    let expected = [
        "Post /applications/calmline/subscription?eventSource=channel:run-1",
        "Post /applications/calmline/subscription?eventSource=channel:run-2",
        "Post /applications/calmline/subscription?eventSource=channel:1700000000.4",
        "Delete /bridges/run-1",
        "Delete /channels/1700000000.4",
    ];
    assert_eq!(asked, expected);
}
