//! Calls that we make.

use std::net::Ipv4Addr;

use super::phone::{LEG, SDP, Stand, ended, failed, header, value};
use crate::control::{SessionTerms, SipCommand, SipEvent};

#[tokio::test]
async fn says_who_calls_and_what_control_adds() {
    let mut stand = Stand::with(16, Some(Ipv4Addr::new(192, 0, 2, 1))).await;
    stand.invite(&[("X-Calmline-Emotion", "angry"), ("Via", "evil"), ("X-Evil", "a\r\nVia: evil")]);
    let invite = stand.receive("INVITE sip:bot@127.0.0.1:").await;
    let port = stand.sip.local_addr().port();
    assert!(value(&invite, "From").starts_with("\"An Caller\" <sip:4711@pbx.example>;tag="), "{invite}");
    assert_eq!(value(&invite, "X-Calmline-Emotion"), "angry");
    assert_eq!(value(&invite, "Contact"), format!("<sip:calmline@192.0.2.1:{port}>"));
    assert!(value(&invite, "Via").starts_with(&format!("SIP/2.0/UDP 192.0.2.1:{port};branch=")), "{invite}");
    assert!(!invite.contains("evil") && invite.ends_with(SDP), "{invite}");
    stand.respond(&invite, 404, "", "").await;
    stand.receive("ACK ").await;
    stand.ends_with(failed(404, "Said")).await;
}

#[tokio::test]
async fn progress_answer_and_bye() {
    let mut stand = Stand::new(16).await;
    stand.invite(&[]);
    let invite = stand.receive("INVITE ").await;
    stand.respond(&invite, 183, "", SDP).await;
    let sdp = Some(SDP.into());
    assert_eq!(
        stand.event().await,
        SipEvent::Progress { leg: LEG, code: 183, reason: "Said".to_owned(), sdp: sdp.clone() }
    );
    stand.respond(&invite, 200, "Record-Route: <sip:127.0.0.1:1;lr>, <sip:127.0.0.1:2;lr>\r\n", SDP).await;
    assert_eq!(stand.event().await, SipEvent::Answered { leg: LEG, sdp, session: SessionTerms::default() });
    // The proxies of the route set do not exist: the BYE goes nowhere, and the leg ends all the same.
    stand.sip.handle(SipCommand::Bye { leg: LEG, reason: Some("SIP;cause=200".to_owned()) });
    stand.ends_with(ended(LEG, "SIP;cause=200, BYE unanswered")).await;
}

#[tokio::test]
async fn reliable_provisional_responses_are_acknowledged_once_and_in_order() {
    let mut stand = Stand::new(16).await;
    stand.invite(&[]);
    let invite = stand.receive("INVITE ").await;
    assert!(value(&invite, "Supported").contains("100rel"));
    let reliably = |number: u32| format!("Require: 100rel\r\nRSeq: {number}\r\n");
    stand.respond(&invite, 183, &reliably(41), SDP).await;
    let prack = stand.receive("PRACK sip:bot@").await;
    assert_eq!((value(&prack, "RAck"), value(&prack, "CSeq")), ("41 1 INVITE", "2 PRACK"));
    assert!(value(&prack, "To").ends_with(";tag=far"));
    stand.respond(&prack, 200, "", "").await;
    // Said again, and one too far ahead: neither is news.
    stand.respond(&invite, 183, &reliably(41), SDP).await;
    stand.respond(&invite, 181, &reliably(43), "").await;
    stand.respond(&invite, 180, &reliably(42), "").await;
    let prack = stand.receive("PRACK ").await;
    assert_eq!((value(&prack, "RAck"), value(&prack, "CSeq")), ("42 1 INVITE", "3 PRACK"));
    stand.respond(&prack, 200, "", "").await;
    for code in [183, 180] {
        let SipEvent::Progress { code: told, .. } = stand.event().await else { panic!("no progress") };
        assert_eq!(told, code);
    }
    stand.respond(&invite, 486, "", "").await;
    stand.receive("ACK ").await;
    stand.ends_with(failed(486, "Said")).await;
}

#[tokio::test]
async fn a_longer_session_interval_is_asked_for_once() {
    let mut stand = Stand::new(16).await;
    stand.invite(&[("Session-Expires", "600"), ("Min-SE", "90"), ("X-Queue", "gold")]);
    let invite = stand.receive("INVITE ").await;
    stand.respond(&invite, 422, "Min-SE: 1200\r\n", "").await;
    stand.receive("ACK ").await;
    let again = stand.receive("INVITE ").await;
    assert_eq!((value(&again, "Session-Expires"), value(&again, "Min-SE")), ("1200", "1200"));
    assert_eq!((value(&again, "CSeq"), value(&again, "X-Queue")), ("2 INVITE", "gold"));
    assert!(again.ends_with(SDP) && value(&again, "Via") != value(&invite, "Via"), "{again}");
    stand.respond(&again, 422, "Min-SE: 2400\r\n", "").await;
    stand.receive("ACK ").await;
    stand.ends_with(failed(422, "Said")).await;
}

#[tokio::test]
async fn bye_is_answered() {
    let mut stand = Stand::new(16).await;
    stand.call().await;
    stand.sip.handle(SipCommand::Bye { leg: LEG, reason: Some("SIP;cause=200".to_owned()) });
    let bye = stand.receive("BYE sip:bot@").await;
    assert_eq!(value(&bye, "Reason"), "SIP;cause=200");
    stand.respond(&bye, 200, "", "").await;
    stand.ends_with(ended(LEG, "SIP;cause=200")).await;
}

#[tokio::test]
async fn bye_is_never_answered() {
    let mut stand = Stand::new(16).await;
    stand.call().await;
    stand.sip.handle(SipCommand::Bye { leg: LEG, reason: None });
    stand.ends_with(ended(LEG, "hung up, BYE unanswered")).await;
}

#[tokio::test]
async fn both_hang_up_at_once() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.sip.handle(SipCommand::Bye { leg: LEG, reason: None });
    stand.receive("BYE ").await;
    stand.request_inside(&invite, "BYE", 1, "Reason: Q.850;cause=16\r\n", "").await;
    stand.receive("SIP/2.0 200 ").await;
    stand.ends_with(ended(LEG, "BYE from the far end: Q.850;cause=16")).await;
}

#[tokio::test]
async fn nobody_is_there() {
    let mut stand = Stand::new(16).await;
    stand.invite(&[]);
    stand.receive("INVITE ").await;
    stand.receive("INVITE ").await; // Repeated, and never answered.
    stand.ends_with(failed(408, "Request Timeout")).await;
}

#[tokio::test]
async fn cannot_be_sent() {
    let mut stand = Stand::new(16).await;
    for uri in ["", "sip:", "sip:bot@host;transport=tcp", "sip:bot@\r\nhost", "sip:bot@nowhere.invalid"] {
        stand.sip.handle(SipCommand::Invite {
            leg: LEG,
            uri: uri.to_owned(),
            proxy: None,
            trunk: None,
            hops_left: 69,
            from: "<sip:a@b>".to_owned(),
            headers: Vec::new(),
            sdp: SDP.into(),
        });
        let event = stand.event().await;
        assert!(matches!(event, SipEvent::Failed { leg: LEG, code: 503, .. }), "{uri}: {event:?}");
        assert_eq!(stand.sip.legs(), 0);
    }
}

#[tokio::test]
async fn by_way_of_a_proxy() {
    let stand = Stand::new(16).await;
    stand.sip.handle(SipCommand::Invite {
        leg: LEG,
        uri: "sip:bot@nowhere.invalid".to_owned(),
        proxy: Some(stand.phone.local_addr().expect("the phone is bound")),
        trunk: None,
        hops_left: 69,
        from: "<sip:a@b>".to_owned(),
        headers: Vec::new(),
        sdp: SDP.into(),
    });
    let invite = stand.receive("INVITE ").await;
    assert!(invite.starts_with("INVITE sip:bot@nowhere.invalid SIP/2.0"), "{invite}");
    stand.respond(&invite, 486, "", "").await;
    stand.receive("ACK ").await;
}

#[tokio::test]
async fn cancel_waits_for_a_provisional_response() {
    let mut stand = Stand::new(16).await;
    stand.invite(&[]);
    let invite = stand.receive("INVITE ").await;
    stand.sip.handle(SipCommand::Cancel { leg: LEG });
    stand.hear_no("CANCEL ").await;
    stand.respond(&invite, 100, "", "").await;
    let cancel = stand.receive("CANCEL ").await;
    assert_eq!(value(&cancel, "Via"), value(&invite, "Via"));
    stand.respond(&cancel, 200, "", "").await;
    stand.respond(&invite, 487, "", "").await;
    stand.receive("ACK ").await;
    stand.ends_with(failed(487, "Said")).await;
}

#[tokio::test]
async fn nobody_hears_of_a_call_that_is_given_up_before_it_goes_out() {
    let mut stand = Stand::new(16).await;
    stand.invite(&[]);
    // The leg has not begun to look where the call goes.
    stand.sip.handle(SipCommand::Cancel { leg: LEG });
    stand.ends_with(failed(487, "cancelled before the INVITE was sent")).await;
    stand.hear_no("INVITE ").await;
}

#[tokio::test]
async fn cancel_and_answer_cross() {
    let mut stand = Stand::new(16).await;
    stand.invite(&[]);
    let invite = stand.receive("INVITE ").await;
    stand.respond(&invite, 180, "", "").await;
    assert!(matches!(stand.event().await, SipEvent::Progress { code: 180, sdp: None, .. }));
    stand.sip.handle(SipCommand::Cancel { leg: LEG });
    let cancel = stand.receive("CANCEL ").await;
    stand.respond(&invite, 200, "", SDP).await;
    stand.respond(&cancel, 481, "", "").await;
    stand.receive("ACK ").await;
    let bye = stand.receive("BYE ").await;
    stand.respond(&bye, 200, "", "").await;
    stand.ends_with(failed(487, "cancelled, the answer crossed")).await;
}

#[tokio::test]
async fn cancel_is_ignored_by_the_far_end() {
    let mut stand = Stand::new(16).await;
    stand.invite(&[]);
    let invite = stand.receive("INVITE ").await;
    stand.respond(&invite, 180, "", "").await;
    stand.event().await;
    stand.sip.handle(SipCommand::Cancel { leg: LEG });
    stand.receive("CANCEL ").await;
    assert_eq!(stand.event().await, failed(487, "cancelled, INVITE unanswered"));
    // What the far end says later finds nobody; the INVITE's own transaction gives up after three minutes.
    assert_eq!(stand.sip.legs(), 0);
}

#[tokio::test]
async fn a_second_branch_that_answers_is_hung_up() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    let forked = invite.replacen("To: ", "To: \"fork\" ", 1);
    stand.respond(&forked.replacen("\r\nCall-ID", ";tag=other\r\nCall-ID", 1), 200, "", SDP).await;
    let bye = stand.receive("BYE ").await;
    assert!(value(&bye, "To").ends_with(";tag=other"), "{bye}");
    stand.respond(&bye, 200, "", "").await;
    assert_eq!(stand.sip.legs(), 1);
    stand.request_inside(&invite, "BYE", 1, "", "").await;
    stand.ends_with(ended(LEG, "BYE from the far end")).await;
}

#[tokio::test]
async fn a_request_that_overtakes_the_answer_waits_for_it() {
    let mut stand = Stand::new(16).await;
    stand.invite(&[]);
    let invite = stand.receive("INVITE ").await;
    stand.request_inside(&invite, "INVITE", 5, "", SDP).await;
    stand.respond(&invite, 200, "", SDP).await;
    assert!(matches!(stand.event().await, SipEvent::Answered { .. }));
    let SipEvent::Offer { reply, sdp, .. } = stand.event().await else { panic!("no offer") };
    let headers = vec![header("Session-Expires", "1800;refresher=uac")];
    stand.sip.handle(SipCommand::Reply { leg: LEG, reply, code: 200, sdp, headers });
    let answer = stand.receive("SIP/2.0 200 ").await;
    assert_eq!(value(&answer, "Session-Expires"), "1800;refresher=uac");
    stand.request_inside(&invite, "ACK", 5, "", "").await;
    stand.request_inside(&invite, "BYE", 6, "", "").await;
    stand.receive("SIP/2.0 200 ").await;
    stand.ends_with(ended(LEG, "BYE from the far end")).await;
}

/// The same once a response has named the dialog. The ACK leaves before the leg hears of the 2xx, so a fast far end is
/// heard first: told to call control in that order, its offer would be refused for coming before the answer.
#[tokio::test]
async fn an_offer_that_overtakes_the_answer_waits_for_it() {
    let mut stand = Stand::new(16).await;
    stand.invite(&[]);
    let invite = stand.receive("INVITE ").await;
    stand.respond(&invite, 180, "", "").await;
    assert!(matches!(stand.event().await, SipEvent::Progress { code: 180, .. }));
    stand.request_inside(&invite, "INVITE", 5, "", SDP).await;
    stand.request_inside(&invite, "INFO", 6, "", "").await;
    stand.respond(&invite, 200, "", SDP).await;
    assert!(matches!(stand.event().await, SipEvent::Answered { .. }));
    let SipEvent::Offer { reply, sdp, .. } = stand.event().await else { panic!("no offer") };
    stand.sip.handle(SipCommand::Reply { leg: LEG, reply, code: 200, sdp, headers: Vec::new() });
    let (first, second) = (stand.receive("SIP/2.0 200 ").await, stand.receive("SIP/2.0 200 ").await);
    assert_ne!(value(&first, "CSeq"), value(&second, "CSeq"), "the offer and the INFO");
    stand.request_inside(&invite, "ACK", 5, "", "").await;
    stand.request_inside(&invite, "BYE", 7, "", "").await;
    stand.receive("SIP/2.0 200 ").await;
    stand.ends_with(ended(LEG, "BYE from the far end")).await;
}

#[tokio::test]
async fn a_bye_that_overtakes_the_answer_ends_an_answered_call() {
    let mut stand = Stand::new(16).await;
    stand.invite(&[]);
    let invite = stand.receive("INVITE ").await;
    stand.respond(&invite, 180, "", "").await;
    stand.event().await;
    stand.request_inside(&invite, "BYE", 5, "", "").await;
    stand.respond(&invite, 200, "", SDP).await;
    assert!(matches!(stand.event().await, SipEvent::Answered { .. }));
    stand.receive("SIP/2.0 200 ").await;
    stand.ends_with(ended(LEG, "BYE from the far end")).await;
}
