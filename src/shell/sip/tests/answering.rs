//! Calls that come in, and what else comes to the door.

use super::phone::{SDP, Stand, ended, header, value};
use crate::control::{Presence, SipCommand, SipEvent};
use media::LegId;

#[tokio::test]
async fn an_invite_is_told_whole() {
    let mut stand = Stand::new(16).await;
    let extra = "X-Queue: gold\r\nSession-Expires: 1800\r\nSupported: timer\r\n";
    stand.say("INVITE", "1", "", extra, SDP).await;
    stand.receive("SIP/2.0 100 ").await;
    let SipEvent::Incoming { leg, invite } = stand.event().await else { panic!("no call") };
    assert!(leg.0 >= 1 << 31);
    assert!(invite.request_uri.starts_with("sip:4000@127.0.0.1:"));
    assert!(invite.from.starts_with("Caller <sip:caller@127.0.0.1:"), "{}", invite.from);
    assert_eq!((invite.to.as_str(), invite.sip_call_id.as_str()), ("<sip:4000@us>", "from-the-phone"));
    assert_eq!(invite.headers, [header("X-Queue", "gold")]);
    assert_eq!((invite.sdp.as_deref(), invite.session.interval_s), (Some(SDP), Some(1800)));

    let retry = vec![header("Retry-After", "9")];
    stand.sip.handle(SipCommand::Reject { leg, code: 503, reason: "Full House".to_owned(), headers: retry });
    let refusal = stand.receive("SIP/2.0 503 Full House\r\n").await;
    assert_eq!(value(&refusal, "Retry-After"), "9");
    stand.say("ACK", "1", &to_tag(&refusal), "", "").await;
    stand.ends_with(ended(leg, "rejected with 503")).await;
}

#[tokio::test]
async fn a_call_that_comes_two_ways_is_one_call() {
    let mut stand = Stand::new(16).await;
    stand.say("INVITE", "1", "", "", SDP).await;
    let SipEvent::Incoming { leg, .. } = stand.event().await else { panic!("no call") };
    // A proxy in front has forked it to us once more: another branch, all else the same (RFC 3261 §8.2.2.2).
    let address = stand.phone.local_addr().expect("the phone is bound");
    let again = format!("Via: SIP/2.0/UDP {address};branch=z9hG4bKanother\r\nX-Way: two\r\n");
    stand.say_by(&again, "INVITE", "1", "", SDP).await;
    let merged = stand.receive("SIP/2.0 482 ").await;
    assert!(value(&merged, "Via").contains("z9hG4bKanother"), "{merged}");

    stand.sip.handle(SipCommand::Reject { leg, code: 486, reason: String::new(), headers: Vec::new() });
    let refusal = stand.receive("SIP/2.0 486 ").await;
    stand.say("ACK", "1", &to_tag(&refusal), "", "").await;
    assert_eq!(stand.event().await, ended(leg, "rejected with 486"));
    // What is over does not keep the same caller away.
    stand.say_by(&again.replace("another", "later"), "INVITE", "1", "", SDP).await;
    assert!(matches!(stand.event().await, SipEvent::Incoming { .. }));
}

#[tokio::test]
async fn progress_and_answer_carry_one_tag() {
    let mut stand = Stand::new(16).await;
    let leg = stand.incoming().await;
    stand.sip.handle(SipCommand::Progress { leg, code: 180, sdp: None });
    stand.sip.handle(SipCommand::Progress { leg, code: 183, sdp: Some(SDP.into()) });
    stand.sip.handle(SipCommand::Answer { leg, sdp: SDP.into(), headers: Vec::new() });
    let ringing = stand.receive("SIP/2.0 180 ").await;
    let early = stand.receive("SIP/2.0 183 ").await;
    let answer = stand.receive("SIP/2.0 200 ").await;
    assert!(ringing.ends_with("\r\n\r\n") && early.ends_with(SDP) && answer.ends_with(SDP));
    assert_eq!((to_tag(&ringing), to_tag(&early)), (to_tag(&answer), to_tag(&answer)));
    stand.say("ACK", "1", &to_tag(&answer), "", "").await;
    assert_eq!(stand.event().await, SipEvent::Confirmed { leg, sdp: None });
    stand.say("BYE", "2", &to_tag(&answer), "", "").await;
    stand.receive("SIP/2.0 200 ").await;
    stand.ends_with(ended(leg, "BYE from the far end")).await;
}

#[tokio::test]
async fn a_caller_whose_ack_is_on_its_way_is_there() {
    let mut stand = Stand::new(16).await;
    let leg = stand.incoming_with("").await;
    stand.sip.handle(SipCommand::Answer { leg, sdp: SDP.into(), headers: Vec::new() });
    stand.sip.handle(SipCommand::Probe { leg });
    assert_eq!(stand.event().await, SipEvent::Probed { leg, found: Presence::Here });
    let answer = stand.receive("SIP/2.0 200 ").await;
    stand.say("ACK", "1", &to_tag(&answer), "", "").await;
    assert_eq!(stand.event().await, SipEvent::Confirmed { leg, sdp: None });
    stand.say("BYE", "2", &to_tag(&answer), "", "").await;
    stand.ends_with(ended(leg, "BYE from the far end")).await;
}

#[tokio::test]
async fn what_describes_the_session_is_sent_until_it_is_acknowledged() {
    let mut stand = Stand::new(16).await;
    let leg = stand.incoming_with("Supported: 100rel\r\n").await;
    stand.sip.handle(SipCommand::Progress { leg, code: 180, sdp: None });
    assert!(!stand.receive("SIP/2.0 180 ").await.contains("RSeq"));
    stand.sip.handle(SipCommand::Progress { leg, code: 183, sdp: Some(SDP.into()) });
    // The answer must not overtake it (RFC 3262 §3).
    stand.sip.handle(SipCommand::Answer { leg, sdp: SDP.into(), headers: Vec::new() });
    let early = stand.receive("SIP/2.0 183 ").await;
    assert_eq!((value(&early, "Require"), value(&early, "RSeq")), ("100rel", "1"));
    assert_eq!(stand.receive("SIP/2.0 183 ").await, early);
    stand.say("PRACK", "2", &to_tag(&early), "RAck: 9 1 INVITE\r\n", "").await;
    stand.receive("SIP/2.0 481 ").await;
    stand.say("PRACK", "3", &to_tag(&early), "RAck: 1 1 INVITE\r\n", "").await;
    let first = stand.receive("SIP/2.0 200 ").await;
    let second = stand.receive("SIP/2.0 200 ").await;
    let mut sequences = [value(&first, "CSeq"), value(&second, "CSeq")];
    sequences.sort_unstable();
    assert_eq!(sequences, ["1 INVITE", "3 PRACK"]);
    stand.hear_no("SIP/2.0 183 ").await;
    stand.say("ACK", "1", &to_tag(&early), "", "").await;
    assert_eq!(stand.event().await, SipEvent::Confirmed { leg, sdp: None });
    stand.say("BYE", "4", &to_tag(&early), "", "").await;
    stand.ends_with(ended(leg, "BYE from the far end")).await;
}

#[tokio::test]
async fn a_caller_who_requires_acknowledgement_and_never_sends_one() {
    let mut stand = Stand::new(16).await;
    let leg = stand.incoming_with("Require: 100rel\r\n").await;
    stand.sip.handle(SipCommand::Progress { leg, code: 180, sdp: None });
    stand.sip.handle(SipCommand::Progress { leg, code: 181, sdp: None });
    assert_eq!(value(&stand.receive("SIP/2.0 180 ").await, "RSeq"), "1");
    stand.hear_no("SIP/2.0 181 ").await;
    let refusal = stand.receive("SIP/2.0 504 ").await;
    stand.say("ACK", "1", &to_tag(&refusal), "", "").await;
    stand.ends_with(ended(leg, "rejected with 504")).await;
}

#[tokio::test]
async fn an_offer_in_the_acknowledgement() {
    let mut stand = Stand::new(16).await;
    let leg = stand.incoming_with("Require: 100rel\r\n").await;
    stand.sip.handle(SipCommand::Progress { leg, code: 183, sdp: Some(SDP.into()) });
    stand.sip.handle(SipCommand::Progress { leg, code: 180, sdp: None });
    let early = stand.receive("SIP/2.0 183 ").await;
    stand.say("PRACK", "2", &to_tag(&early), "RAck: 1 1 INVITE\r\n", SDP).await;
    // What had to wait has its turn now.
    assert_eq!(value(&stand.receive("SIP/2.0 180 ").await, "RSeq"), "2");
    let SipEvent::Offer { reply, sdp: Some(_), .. } = stand.event().await else { panic!("no offer") };
    let sdp = Some(SDP.into());
    stand.sip.handle(SipCommand::Reply { leg, reply, code: 200, sdp, headers: Vec::new() });
    assert_eq!(value(&stand.receive("SIP/2.0 200 ").await, "CSeq"), "2 PRACK");
    stand.say("CANCEL", "1", "", "", "").await;
    let refusal = stand.receive("SIP/2.0 487 ").await;
    stand.say("ACK", "1", &to_tag(&refusal), "", "").await;
    stand.ends_with(SipEvent::Cancelled { leg }).await;
}

#[tokio::test]
async fn the_caller_gives_up() {
    let mut stand = Stand::new(16).await;
    let leg = stand.incoming().await;
    stand.say("CANCEL", "1", "", "", "").await;
    stand.receive("SIP/2.0 200 ").await;
    let refusal = stand.receive("SIP/2.0 487 ").await;
    stand.say("ACK", "1", &to_tag(&refusal), "", "").await;
    stand.ends_with(SipEvent::Cancelled { leg }).await;
}

#[tokio::test]
async fn the_answer_is_repeated_and_the_ack_never_comes() {
    let mut stand = Stand::new(16).await;
    let leg = stand.incoming().await;
    stand.sip.handle(SipCommand::Answer { leg, sdp: SDP.into(), headers: Vec::new() });
    stand.receive("SIP/2.0 200 ").await;
    stand.receive("SIP/2.0 200 ").await;
    let bye = stand.receive("BYE ").await;
    assert_eq!(value(&bye, "Reason"), "SIP;cause=408;text=\"no ACK\"");
    stand.respond(&bye, 200, "", "").await;
    stand.ends_with(ended(leg, "no ACK")).await;
}

#[tokio::test]
async fn bye_waits_for_the_ack() {
    let mut stand = Stand::new(16).await;
    let leg = stand.incoming().await;
    stand.sip.handle(SipCommand::Answer { leg, sdp: SDP.into(), headers: Vec::new() });
    stand.sip.handle(SipCommand::Bye { leg, reason: None });
    let answer = stand.receive("SIP/2.0 200 ").await;
    stand.hear_no("BYE ").await;
    stand.say("ACK", "1", &to_tag(&answer), "", "").await;
    assert_eq!(stand.event().await, SipEvent::Confirmed { leg, sdp: None });
    let bye = stand.receive("BYE ").await;
    stand.respond(&bye, 481, "", "").await;
    stand.ends_with(ended(leg, "hung up")).await;
}

#[tokio::test]
async fn call_control_never_answers() {
    let mut stand = Stand::new(16).await;
    let leg = stand.incoming().await;
    let refusal = stand.receive("SIP/2.0 480 ").await;
    stand.say("ACK", "1", &to_tag(&refusal), "", "").await;
    stand.ends_with(ended(leg, "rejected with 480")).await;
}

#[tokio::test]
async fn call_control_takes_nothing_any_more() {
    let mut stand = Stand::new(1).await;
    let leg = stand.incoming_untaken().await;
    stand.say("INVITE", "9", "", "", SDP).await;
    let refusal = stand.receive("SIP/2.0 503 ").await;
    assert_eq!(value(&refusal, "Retry-After"), "5");
    assert_eq!(stand.sip.legs(), 1);
    assert!(matches!(stand.event().await, SipEvent::Incoming { .. }));
    stand.sip.handle(SipCommand::Reject { leg, code: 486, reason: String::new(), headers: Vec::new() });
    stand.receive("SIP/2.0 486 Busy Here\r\n").await;
    stand.ends_with(ended(leg, "rejected with 486")).await;
}

#[tokio::test]
async fn rubbish_does_no_harm() {
    let stand = Stand::new(16).await;
    let rubbish: [&[u8]; 7] = [
        b"",
        b"\r\n\r\n",
        b"\xff\xfe\x00",
        b"INVITE sip:x SIP/2.0\r\n\r\n",
        b"INVITE sip:x@y SIP/2.0\r\nVia: ;;;\r\nCSeq: x\r\nTo: \"\r\n\r\n",
        b"SIP/2.0 99999 x\r\n\r\n",
        b"ACK sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP z;branch=1\r\nFrom: a;tag=1\r\nTo: b\r\nCall-ID: 1\r\nCSeq: 1 ACK\r\n\r\n",
    ];
    for datagram in rubbish {
        stand.phone.send(datagram).await.expect("loopback takes it");
    }
    stand.say("OPTIONS", "1", "", "", "").await;
    let answer = stand.receive("SIP/2.0 200 ").await;
    assert_eq!(value(&answer, "Accept"), "application/sdp, multipart/mixed, application/rs-metadata+xml");
    assert!(value(&answer, "Allow").contains("UPDATE") && value(&answer, "Supported").contains("timer"));
    stand.say("FLY", "2", "", "", "").await;
    stand.receive("SIP/2.0 405 ").await;
    stand.say("BYE", "3", ";tag=nobody", "", "").await;
    stand.receive("SIP/2.0 481 ").await;
    stand.say("INVITE", "4", "", "Content-Type: text/plain\r\n", "hello").await;
    stand.receive("SIP/2.0 415 ").await;
    assert_eq!(stand.sip.legs(), 0);
}

#[tokio::test]
async fn shutdown_leaves_nobody_behind() {
    let mut stand = Stand::new(16).await;
    let leg = stand.incoming().await;
    stand.sip.shutdown().await;
    stand.receive("SIP/2.0 480 ").await;
    assert_eq!(stand.event().await, ended(leg, "rejected with 480"));
}

impl Stand {
    /// A call from the phone, told to call control.
    pub(super) async fn incoming(&mut self) -> LegId {
        self.incoming_with("").await
    }

    async fn incoming_with(&mut self, extra: &str) -> LegId {
        self.say("INVITE", "1", "", extra, SDP).await;
        match self.event().await {
            SipEvent::Incoming { leg, .. } => leg,
            other => panic!("{other:?}"),
        }
    }

    /// A call from the phone whose event stays in the queue.
    async fn incoming_untaken(&mut self) -> LegId {
        self.say("INVITE", "1", "", "", SDP).await;
        self.receive("SIP/2.0 100 ").await;
        LegId(1 | 1 << 31)
    }
}

pub(super) fn to_tag(message: &str) -> String {
    let to = value(message, "To");
    to[to.find(";tag=").expect("a tag in To")..].to_owned()
}
