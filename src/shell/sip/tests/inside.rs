//! What happens inside a dialog: offers, REFER, probes, and the small requests.

use super::phone::{LEG, SDP, Stand, ended, header, value};
use crate::control::{OfferMethod, Presence, Refresher, SessionTerms, SipCommand, SipEvent};

#[tokio::test]
async fn an_update_is_answered_by_call_control() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.request_inside(&invite, "UPDATE", 1, "", "").await;
    let SipEvent::Offer { reply, method: OfferMethod::Update, sdp: None, .. } = stand.event().await else {
        panic!("no offer")
    };
    // A second offer has to wait for the first.
    stand.request_inside(&invite, "INVITE", 2, "", SDP).await;
    let refusal = stand.receive("SIP/2.0 500 ").await;
    assert_eq!(value(&refusal, "Retry-After"), "1");
    stand.sip.handle(SipCommand::Reply { leg: LEG, reply, code: 488, sdp: None, headers: Vec::new() });
    stand.receive("SIP/2.0 488 ").await;
    hang_up(stand, &invite, 3).await;
}

#[tokio::test]
async fn a_refresh_of_ours_without_an_offer() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    let headers = vec![header("Session-Expires", "1800;refresher=uac")];
    stand.sip.handle(SipCommand::Update { leg: LEG, headers });
    let update = stand.receive("UPDATE ").await;
    assert_eq!((value(&update, "CSeq"), value(&update, "Content-Length")), ("2 UPDATE", "0"));
    assert_eq!(value(&update, "Session-Expires"), "1800;refresher=uac");
    stand.respond(&update, 200, "Require: timer\r\nSession-Expires: 900;refresher=uac\r\n", "").await;
    let (interval_s, refresher) = (Some(900), Some(Refresher::Uac));
    let session = SessionTerms { supported: true, interval_s, refresher, ..SessionTerms::default() };
    assert_eq!(stand.event().await, SipEvent::Updated { leg: LEG, code: 200, session });
    hang_up(stand, &invite, 3).await;
}

#[tokio::test]
async fn the_ack_brings_the_answer_to_the_offer_that_was_asked_for() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.request_inside(&invite, "INVITE", 1, "", "").await;
    let SipEvent::Offer { reply, sdp: None, .. } = stand.event().await else { panic!("no request to offer") };
    let sdp = Some(SDP.into());
    stand.sip.handle(SipCommand::Reply { leg: LEG, reply, code: 200, sdp, headers: Vec::new() });
    assert!(stand.receive("SIP/2.0 200 ").await.ends_with(SDP));
    stand.request_inside(&invite, "ACK", 1, "", SDP).await;
    stand.request_inside(&invite, "ACK", 1, "", SDP).await;
    assert_eq!(stand.event().await, SipEvent::Acknowledged { leg: LEG, reply, sdp: Some(SDP.into()) });
    hang_up(stand, &invite, 2).await;
}

#[tokio::test]
async fn call_control_forgets_an_offer() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.request_inside(&invite, "INVITE", 1, "", SDP).await;
    stand.receive("SIP/2.0 100 ").await;
    let SipEvent::Offer { reply, .. } = stand.event().await else { panic!("no offer") };
    stand.receive("SIP/2.0 500 ").await;
    stand.request_inside(&invite, "ACK", 1, "", "").await;
    stand.sip.handle(SipCommand::Reply { leg: LEG, reply, code: 200, sdp: None, headers: Vec::new() });
    stand.hear_no("SIP/2.0 200 ").await;
    hang_up(stand, &invite, 2).await;
}

#[tokio::test]
async fn bye_during_an_open_offer() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.request_inside(&invite, "INVITE", 1, "", SDP).await;
    assert!(matches!(stand.event().await, SipEvent::Offer { .. }));
    stand.request_inside(&invite, "BYE", 2, "", "").await;
    stand.receive("SIP/2.0 200 ").await;
    stand.receive("SIP/2.0 487 ").await;
    stand.request_inside(&invite, "ACK", 1, "", "").await;
    stand.ends_with(ended(LEG, "BYE from the far end")).await;
}

#[tokio::test]
async fn no_ack_for_the_answer_to_a_reinvite() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.request_inside(&invite, "INVITE", 1, "", SDP).await;
    let SipEvent::Offer { reply, .. } = stand.event().await else { panic!("no offer") };
    let sdp = Some(SDP.into());
    stand.sip.handle(SipCommand::Reply { leg: LEG, reply, code: 200, sdp, headers: Vec::new() });
    let bye = stand.receive("BYE ").await;
    stand.respond(&bye, 200, "", "").await;
    stand.ends_with(ended(LEG, "no ACK for the answer to a re-INVITE")).await;
}

#[tokio::test]
async fn an_offer_of_ours_is_answered_or_refused() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    let headers = vec![header("Session-Expires", "1800;refresher=uas")];
    stand.sip.handle(SipCommand::Reinvite { leg: LEG, sdp: SDP.into(), headers });
    let offer = stand.receive("INVITE ").await;
    assert_eq!((value(&offer, "CSeq"), value(&offer, "Session-Expires")), ("2 INVITE", "1800;refresher=uas"));
    assert!(value(&offer, "To").ends_with(";tag=far") && offer.ends_with(SDP), "{offer}");
    // Another one has to wait for it.
    stand.sip.handle(SipCommand::Reinvite { leg: LEG, sdp: SDP.into(), headers: Vec::new() });
    assert_eq!(stand.event().await, reinvited(491, None, None));
    stand.respond(&offer, 200, "Session-Expires: 900;refresher=uas\r\n", SDP).await;
    assert_eq!(value(&stand.receive("ACK ").await, "CSeq"), "2 ACK");
    assert_eq!(stand.event().await, reinvited(200, Some(SDP), Some(900)));

    stand.sip.handle(SipCommand::Reinvite { leg: LEG, sdp: SDP.into(), headers: Vec::new() });
    let offer = stand.receive("INVITE ").await;
    stand.respond(&offer, 488, "", "").await;
    stand.receive("ACK ").await;
    assert_eq!(stand.event().await, reinvited(488, None, None));
    hang_up(stand, &invite, 1).await;
}

#[tokio::test]
async fn an_offer_of_ours_gives_way_to_one_that_is_open() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.request_inside(&invite, "INVITE", 1, "", SDP).await;
    let SipEvent::Offer { reply, .. } = stand.event().await else { panic!("no offer") };
    stand.sip.handle(SipCommand::Reinvite { leg: LEG, sdp: SDP.into(), headers: Vec::new() });
    assert_eq!(stand.event().await, reinvited(491, None, None));
    let sdp = Some(SDP.into());
    stand.sip.handle(SipCommand::Reply { leg: LEG, reply, code: 200, sdp, headers: Vec::new() });
    stand.receive("SIP/2.0 200 ").await;
    // Until its ACK, it is not over.
    stand.sip.handle(SipCommand::Reinvite { leg: LEG, sdp: SDP.into(), headers: Vec::new() });
    assert_eq!(stand.event().await, reinvited(491, None, None));
    stand.request_inside(&invite, "ACK", 1, "", "").await;
    hang_up(stand, &invite, 2).await;
}

#[tokio::test]
async fn an_offer_of_ours_that_rings_is_cancelled() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.sip.handle(SipCommand::Reinvite { leg: LEG, sdp: SDP.into(), headers: Vec::new() });
    let offer = stand.receive("INVITE ").await;
    stand.respond(&offer, 180, "", "").await;
    let cancel = stand.receive("CANCEL ").await;
    assert_eq!((value(&cancel, "CSeq"), value(&cancel, "Via")), ("2 CANCEL", value(&offer, "Via")));
    stand.respond(&cancel, 200, "", "").await;
    stand.respond(&offer, 487, "", "").await;
    assert_eq!(stand.event().await, reinvited(487, None, None));
    hang_up(stand, &invite, 1).await;
}

#[tokio::test]
async fn an_offer_of_ours_that_nobody_answers_is_lost() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.sip.handle(SipCommand::Reinvite { leg: LEG, sdp: SDP.into(), headers: Vec::new() });
    stand.receive("INVITE ").await;
    assert_eq!(stand.event().await, reinvited(408, None, None));
    hang_up(stand, &invite, 1).await;
}

#[tokio::test]
async fn referred_away() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    let headers = vec![header("X-Calmline-Emotion", "angry;level=high")];
    stand.sip.handle(SipCommand::Refer { leg: LEG, replaces: None, uri: "sip:queue@pbx".to_owned(), headers });
    let refer = stand.receive("REFER ").await;
    assert_eq!(value(&refer, "Refer-To"), "<sip:queue@pbx?X-Calmline-Emotion=angry%3Blevel%3Dhigh>");
    assert_eq!(value(&refer, "X-Calmline-Emotion"), "angry;level=high");
    stand.respond(&refer, 202, "", "").await;
    assert_eq!(stand.event().await, progress(202, "Said", false));
    notify(&stand, &invite, 1, "active;expires=60", "SIP/2.0 180 Ringing\r\n").await;
    assert_eq!(stand.event().await, progress(180, "Ringing", false));
    notify(&stand, &invite, 2, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n").await;
    assert_eq!(stand.event().await, progress(200, "OK", true));
    // The subscription is over.
    notify(&stand, &invite, 3, "terminated", "SIP/2.0 200 OK\r\n").await;
    stand.receive("SIP/2.0 481 ").await;
    hang_up(stand, &invite, 4).await;
}

#[tokio::test]
async fn a_notify_that_overtakes_the_response_stands_for_it() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.sip.handle(SipCommand::Refer {
        leg: LEG,
        replaces: None,
        uri: "sip:queue@pbx".to_owned(),
        headers: Vec::new(),
    });
    let refer = stand.receive("REFER ").await;
    notify(&stand, &invite, 1, "active", "SIP/2.0 100 Trying\r\n").await;
    assert_eq!(stand.event().await, progress(202, "Accepted", false));
    assert_eq!(stand.event().await, progress(100, "Trying", false));
    stand.respond(&refer, 202, "", "").await;
    notify(&stand, &invite, 2, "terminated", "SIP/2.0 486 Busy Here\r\n").await;
    assert_eq!(stand.event().await, progress(486, "Busy Here", true));
    hang_up(stand, &invite, 3).await;
}

#[tokio::test]
async fn refused_and_impossible_referrals() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    stand.sip.handle(SipCommand::Refer { leg: LEG, replaces: None, uri: "nothing".to_owned(), headers: Vec::new() });
    assert!(matches!(stand.event().await, SipEvent::ReferProgress { code: 400, last: true, .. }));
    stand.sip.handle(SipCommand::Refer {
        leg: LEG,
        replaces: None,
        uri: "sip:queue@pbx".to_owned(),
        headers: Vec::new(),
    });
    let refer = stand.receive("REFER ").await;
    stand.respond(&refer, 603, "", "").await;
    assert_eq!(stand.event().await, progress(603, "Said", true));
    hang_up(stand, &invite, 1).await;
}

#[tokio::test]
async fn probes() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    for (code, found) in [(200, Presence::Here), (503, Presence::Here), (481, Presence::Gone)] {
        stand.sip.handle(SipCommand::Probe { leg: LEG });
        let options = stand.receive("OPTIONS ").await;
        stand.respond(&options, code, "", "").await;
        assert_eq!(stand.event().await, SipEvent::Probed { leg: LEG, found });
    }
    stand.sip.handle(SipCommand::Probe { leg: LEG });
    assert_eq!(stand.event().await, SipEvent::Probed { leg: LEG, found: Presence::Silent });
    hang_up(stand, &invite, 1).await;
}

#[tokio::test]
async fn small_requests() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    let answers =
        [("INFO", 200), ("MESSAGE", 200), ("OPTIONS", 200), ("REFER", 400), ("NOTIFY", 481), ("SUBSCRIBE", 405)];
    for (sequence, (method, code)) in (10..).zip(answers) {
        stand.request_inside(&invite, method, sequence, "", "").await;
        stand.receive(&format!("SIP/2.0 {code} ")).await;
    }
    // Older than what has been seen.
    stand.request_inside(&invite, "INFO", 1, "", "").await;
    stand.receive("SIP/2.0 500 ").await;
    // From somebody else.
    let to = format!("To: {}", value(&invite, "To"));
    let stranger = invite.replacen(&to, &format!("{to};tag=stranger"), 1);
    stand.request_inside(&stranger, "INFO", 20, "", "").await;
    stand.receive("SIP/2.0 481 ").await;
    // With extensions: one that we know, one that we lack.
    stand.request_inside(&invite, "OPTIONS", 21, "Require: norefersub\r\n", "").await;
    stand.receive("SIP/2.0 200 ").await;
    stand.request_inside(&invite, "OPTIONS", 22, "Require: timer, unheard-of\r\n", "").await;
    assert_eq!(value(&stand.receive("SIP/2.0 420 ").await, "Unsupported"), "unheard-of");
    hang_up(stand, &invite, 30).await;
}

#[tokio::test]
async fn keys_in_info() {
    let mut stand = Stand::new(16).await;
    let invite = stand.call().await;
    let bodies = [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", 200),
        ("application/dtmf; charset=utf-8", "#", 200),
        ("application/dtmf-relay", "Duration=160\r\n", 400),
        ("application/media_control+xml", "<media_control/>", 415),
    ];
    for (sequence, (content_type, body, code)) in (1..).zip(bodies) {
        stand.request_inside(&invite, "INFO", sequence, &format!("Content-Type: {content_type}\r\n"), body).await;
        let response = stand.receive(&format!("SIP/2.0 {code} ")).await;
        if code == 415 {
            assert_eq!(value(&response, "Accept"), "application/dtmf-relay, application/dtmf");
        }
    }
    for letter in ['5', '#'] {
        let key = letter.try_into().expect("a key");
        assert_eq!(stand.event().await, SipEvent::Key { leg: LEG, key });
    }
    hang_up(stand, &invite, 9).await;
}

async fn notify(stand: &Stand, invite: &str, sequence: u32, state: &str, sipfrag: &str) {
    let extra = format!("Event: refer\r\nSubscription-State: {state}\r\nContent-Type: message/sipfrag\r\n");
    stand.request_inside(invite, "NOTIFY", sequence, &extra, sipfrag).await;
}

fn progress(code: u16, reason: &str, last: bool) -> SipEvent {
    SipEvent::ReferProgress { leg: LEG, code, reason: reason.to_owned(), last }
}

async fn hang_up(mut stand: Stand, invite: &str, sequence: u32) {
    stand.request_inside(invite, "BYE", sequence, "", "").await;
    stand.receive("SIP/2.0 200 ").await;
    stand.ends_with(ended(LEG, "BYE from the far end")).await;
}

fn reinvited(code: u16, sdp: Option<&str>, interval_s: Option<u32>) -> SipEvent {
    let refresher = interval_s.map(|_| Refresher::Uas);
    let session = SessionTerms { interval_s, refresher, ..SessionTerms::default() };
    SipEvent::Reinvited { leg: LEG, code, sdp: sdp.map(Into::into), session }
}
