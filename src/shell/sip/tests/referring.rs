//! REFER of the far end with our NOTIFYs, attended REFER of ours, INFO and MESSAGE of ours, 302, takeovers.

use super::answering::to_tag;
use super::phone::{LEG, SDP, Stand, ended, header, value};
use crate::control::{InfoMethod, SipCommand, SipEvent};

fn told(code: u16) -> SipCommand {
    SipCommand::TellReferrer { leg: LEG, code, reason: String::new() }
}

/// The next NOTIFY: its state and its body. It is answered.
async fn notified(stand: &Stand) -> (String, String) {
    let notify = stand.receive("NOTIFY ").await;
    stand.respond(&notify, 200, "", "").await;
    assert_eq!(value(&notify, "Content-Type"), "message/sipfrag;version=2.0");
    let body = notify.split_once("\r\n\r\n").expect("a body").1.trim_end().to_owned();
    (format!("{} {}", value(&notify, "Event"), value(&notify, "Subscription-State")), body)
}

#[tokio::test]
async fn a_far_end_refers_and_is_told_how_it_goes() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    let extra = "Refer-To: <sip:700@pbx?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\nReferred-By: <sip:bot@pbx>\r\n";
    stand.request_inside(&invite, "REFER", 5, extra, "").await;
    stand.receive("SIP/2.0 202 ").await;
    let active = "refer;id=5 active;expires=60".to_owned();
    assert_eq!(notified(&stand).await, (active.clone(), "SIP/2.0 100 Trying".to_owned()));
    let headers = [
        header("Replaces", "a;to-tag=1;from-tag=2"),
        header("Require", "replaces"),
        header("Referred-By", "<sip:bot@pbx>"),
    ];
    let expected = SipEvent::Referred { leg: LEG, uri: "sip:700@pbx".to_owned(), headers: headers.to_vec() };
    assert_eq!(stand.event().await, expected);

    // Another one has to wait.
    stand.request_inside(&invite, "REFER", 6, "Refer-To: <sip:701@pbx>\r\n", "").await;
    stand.receive("SIP/2.0 491 ").await;

    // In order, and the BYE after the last word.
    stand.sip.handle(told(180));
    stand.sip.handle(told(200));
    stand.sip.handle(SipCommand::Bye { leg: LEG, reason: None });
    assert_eq!(notified(&stand).await, (active, "SIP/2.0 180 Ringing".to_owned()));
    let last = "refer;id=5 terminated;reason=noresource".to_owned();
    assert_eq!(notified(&stand).await, (last, "SIP/2.0 200 OK".to_owned()));
    let bye = stand.receive("BYE ").await;
    stand.respond(&bye, 200, "", "").await;
    stand.ends_with(ended(LEG, "hung up")).await;
}

#[tokio::test]
async fn a_far_end_that_refers_and_hears_nothing() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.request_inside(&invite, "REFER", 5, "Refer-To: <sip:700@pbx>\r\n", "").await;
    stand.receive("SIP/2.0 202 ").await;
    assert!(matches!(stand.event().await, SipEvent::Referred { .. }));
    // It answers no NOTIFY: the hang-up waits for it, but not for ever.
    stand.sip.handle(told(486));
    stand.sip.handle(SipCommand::Bye { leg: LEG, reason: None });
    let bye = stand.receive("BYE ").await;
    stand.respond(&bye, 200, "", "").await;
    stand.ends_with(ended(LEG, "hung up")).await;
}

#[tokio::test]
async fn a_far_end_that_wants_no_news() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.request_inside(&invite, "REFER", 5, "Refer-To: <sip:700@pbx>\r\nRefer-Sub: false\r\n", "").await;
    assert_eq!(value(&stand.receive("SIP/2.0 202 ").await, "Refer-Sub"), "false");
    assert!(matches!(stand.event().await, SipEvent::Referred { .. }));
    stand.sip.handle(told(200));
    stand.sip.handle(SipCommand::Bye { leg: LEG, reason: None });
    let bye = stand.receive("BYE ").await;
    stand.respond(&bye, 200, "", "").await;
    stand.ends_with(ended(LEG, "hung up")).await;
}

#[tokio::test]
async fn the_far_end_is_told_in_info_and_message() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    for (method, name, code) in [(InfoMethod::Info, "INFO ", 200), (InfoMethod::Message, "MESSAGE ", 415)] {
        let headers = vec![header("X-Calmline-Target", "human")];
        let json = "{\"action\":\"move\"}".to_owned();
        stand.sip.handle(SipCommand::Inform { leg: LEG, method, headers, json: json.clone() });
        let request = stand.receive(name).await;
        assert!(request.ends_with(&format!("\r\n\r\n{json}")), "{request}");
        let said = (value(&request, "Content-Type"), value(&request, "Content-Length"));
        assert_eq!((said, value(&request, "X-Calmline-Target")), (("application/json", "17"), "human"));
        stand.respond(&request, code, "", "").await;
        assert_eq!(stand.event().await, SipEvent::Informed { leg: LEG, code, reason: "Said".to_owned() });
    }
    stand.request_inside(&invite, "BYE", 9, "", "").await;
    stand.receive("SIP/2.0 200 ").await;
    stand.ends_with(ended(LEG, "BYE from the far end")).await;
}

#[tokio::test]
async fn a_caller_is_sent_elsewhere() {
    let mut stand = Stand::new(16).await;
    let leg = stand.incoming().await;
    let headers = vec![header("X-Calmline-Call", "boot-1")];
    stand.sip.handle(SipCommand::Redirect { leg, uri: "sip:700@pbx".to_owned(), headers });
    let redirection = stand.receive("SIP/2.0 302 ").await;
    assert_eq!(value(&redirection, "Contact"), "<sip:700@pbx>");
    stand.say("ACK", "1", &to_tag(&redirection), "", "").await;
    stand.ends_with(ended(leg, "sent elsewhere with 302")).await;
}

#[tokio::test]
async fn dialogs_are_named_for_those_who_take_them_over() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    let ours = value(&invite, "From").split_once(";tag=").expect("a tag").1.to_owned();
    let call_id = value(&invite, "Call-ID").to_owned();

    // To the far end of another leg we name the dialog as its own far end sees it.
    let caller = stand.incoming().await;
    stand.sip.handle(SipCommand::Answer { leg: caller, sdp: SDP.into(), headers: Vec::new() });
    let answer = stand.receive("SIP/2.0 200 ").await;
    stand.say("ACK", "1", &to_tag(&answer), "", "").await;
    assert_eq!(stand.event().await, SipEvent::Confirmed { leg: caller, sdp: None });
    let refer = SipCommand::Refer { leg: caller, uri: String::new(), replaces: Some(LEG), headers: Vec::new() };
    stand.sip.handle(refer);
    let refer = stand.receive("REFER ").await;
    let replaces = format!("?Replaces={call_id}%3Bto-tag%3Dfar%3Bfrom-tag%3D{ours}>");
    assert!(value(&refer, "Refer-To").ends_with(&replaces), "{refer}");
    assert!(value(&refer, "Referred-By").starts_with("<sip:4000@us>"), "{refer}");
    stand.respond(&refer, 603, "", "").await;
    assert!(matches!(stand.event().await, SipEvent::ReferProgress { code: 603, last: true, .. }));

    // Who takes our own place names it as we see it.
    let named = format!("Replaces: {call_id};to-tag={ours};from-tag=far\r\nRequire: replaces\r\n");
    let other = named.replace("from-tag=far", "from-tag=stranger");
    let early = named.replace("from-tag=far", "from-tag=far;early-only");
    let refused = [(other.as_str(), 481), ("Replaces: x\r\n", 400), (early.as_str(), 486)];
    for (number, (replaces, code)) in refused.into_iter().enumerate() {
        stand.say("INVITE", &(20 + number).to_string(), "", replaces, SDP).await;
        stand.receive(&format!("SIP/2.0 {code} ")).await;
    }
    stand.say("INVITE", "30", "", &named, SDP).await;
    let SipEvent::Incoming { leg, invite } = stand.event().await else { panic!("no call") };
    assert_eq!(invite.replaces, Some(LEG));
    stand.sip.handle(SipCommand::Redirect { leg, uri: "sip:x@y".to_owned(), headers: Vec::new() });
    stand.receive("SIP/2.0 302 ").await;
}
