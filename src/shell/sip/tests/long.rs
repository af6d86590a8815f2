//! Messages that are too long for a datagram, or would be if far ends had it their way.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpListener;

use super::office::Office;
use super::phone::{LEG, SDP, header, options, value};
use super::trunks::{answer, request};
use super::wire::{Far, Phone};
use crate::control::{Header, SipCommand, SipEvent};
use crate::shell::sip::{SipOptions, SipTransport};

const BOTH: [SipTransport; 2] = [SipTransport::Udp, SipTransport::Tcp];

#[tokio::test]
async fn a_call_whose_invite_fills_a_datagram_is_taken() {
    let mut office = Office::open(options(&[SipTransport::Udp], None)).await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    // One is short enough for the stack, one is not, and one is almost all that a datagram holds.
    for (number, bytes) in (1..).zip([7_000, 12_000, 60_000]) {
        let long = body(bytes);
        let plain = request(&far, us, "INVITE", number, "");
        let invite = plain.split_once("Content-Type").expect("a body").0.to_owned()
            + &format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{long}", long.len());
        far.send(us, &invite.replace("Call-ID: from-far", &format!("Call-ID: from-far-{number}"))).await;
        let event = office.event().await;
        let SipEvent::Incoming { leg, invite } = event else { panic!("{event:?}") };
        assert_eq!(invite.sdp.as_deref().map(str::len), Some(long.len()));
        office.sip.handle(SipCommand::Answer { leg, sdp: SDP.into(), headers: Vec::new() });
        let answer = answer(&far, 200).await;
        let ack = request(&far, us, "ACK", number, "").replace("From: ", &format!("X-To: {}\r\nFrom: ", 1));
        let ack = ack.replace("To: <sip:4000@us>", &format!("To: {}", value(&answer, "To")));
        far.send(us, &ack.replace("Call-ID: from-far", &format!("Call-ID: from-far-{number}"))).await;
        assert!(matches!(office.event().await, SipEvent::Confirmed { .. }), "the dialog is up");
    }
}

#[tokio::test]
async fn a_stranger_is_a_stranger_however_much_is_said() {
    let mut strange = options(&[SipTransport::Udp], None);
    strange.settings.trusted = vec!["192.0.2.0/24".parse().expect("a network")];
    let office = Office::open(strange).await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    // Also when Via claims to be somebody else.
    for via in ["127.0.0.1", "192.0.2.7"] {
        let long = request(&far, us, "OPTIONS", 1, &format!("X-Long: {}\r\n", "x".repeat(12_000)));
        far.send(us, &long.replace("UDP 127.0.0.1", &format!("UDP {via}"))).await;
    }
    let heard = tokio::time::timeout(Duration::from_millis(500), far.hear()).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused() {
    let mut small = options(&[SipTransport::Udp], None);
    small.settings.datagram_bytes = 2_000;
    let office = Office::open(small).await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    for (bytes, code) in [(1_500, "200"), (1_900, "513")] {
        far.send(us, &request(&far, us, "OPTIONS", bytes, &format!("X: {}\r\n", "x".repeat(bytes as usize)))).await;
        assert_eq!(far.hear().await.1[8..11], *code, "{bytes}");
    }
}

#[tokio::test]
async fn a_long_request_goes_over_tcp_and_its_dialog_stays_there() {
    let mut office = Office::open(options(&BOTH, None)).await;
    let (far, listener) = far_end_with_both().await;
    let uri = format!("sip:bot@127.0.0.1:{}", far.port());
    office.invite_with(LEG, &uri, None, long_headers());
    let mut phone = Phone::accept(&listener, false, None).await;
    let invite = phone.receive("INVITE ").await;
    assert!(value(&invite, "Via").starts_with("SIP/2.0/TCP 127.0.0.1:"), "{invite}");
    assert!(value(&invite, "Contact").ends_with(";transport=tcp>"), "{invite}");
    phone.respond(&invite, 200, &format!("Contact: <{uri}>\r\n"), SDP).await;
    phone.receive("ACK ").await;
    assert!(matches!(office.event().await, SipEvent::Answered { leg: LEG, .. }));
    office.sip.handle(SipCommand::Bye { leg: LEG, reason: None });
    let bye = phone.receive("BYE ").await;
    phone.respond(&bye, 200, "", "").await;
    assert!(matches!(office.event().await, SipEvent::Ended { leg: LEG, .. }));
    // A short one is a datagram as ever.
    office.invite(LEG, &uri, None);
    assert!(value(&far.hear_invite().await.1, "Via").starts_with("SIP/2.0/UDP "));
}

#[tokio::test]
async fn a_far_end_without_tcp_gets_its_long_requests_in_datagrams() {
    let office = Office::open(options(&BOTH, None)).await;
    let far = Far::new().await;
    for _ in 0..2 {
        office.invite_with(LEG, &format!("sip:bot@127.0.0.1:{}", far.port()), None, long_headers());
        let (us, invite) = far.hear_invite().await;
        assert!(value(&invite, "Via").starts_with("SIP/2.0/UDP ") && invite.len() > 2_000, "{invite}");
        far.reply(us, &invite, 486, "", "").await;
        while office.sip.legs() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn without_a_listener_for_tcp_nothing_goes_over_it() {
    let office = Office::open(options(&[SipTransport::Udp], None)).await;
    let (far, _listener) = far_end_with_both().await;
    office.invite_with(LEG, &format!("sip:bot@127.0.0.1:{}", far.port()), None, long_headers());
    assert!(value(&far.hear_invite().await.1, "Via").starts_with("SIP/2.0/UDP "));
}

#[tokio::test]
async fn an_operator_may_have_it_otherwise() {
    let mut patient: SipOptions = options(&BOTH, None);
    patient.settings.long_request_bytes = 65_535;
    let office = Office::open(patient).await;
    let (far, _listener) = far_end_with_both().await;
    office.invite_with(LEG, &format!("sip:bot@127.0.0.1:{}", far.port()), None, long_headers());
    assert!(value(&far.hear_invite().await.1, "Via").starts_with("SIP/2.0/UDP "));
}

/// A far end that takes datagrams and connections at one port.
async fn far_end_with_both() -> (Far, TcpListener) {
    loop {
        let far = Far::new().await;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, far.port())).await {
            return (far, listener);
        }
    }
}

fn long_headers() -> Vec<Header> {
    (0..4).map(|number| header(&format!("X-Long-{number}"), &"x".repeat(500))).collect()
}

/// A description of so many bytes.
fn body(bytes: usize) -> String {
    let line = format!("a=x-{}\r\n", "y".repeat(90));
    let mut body = SDP.to_owned();
    while body.len() + line.len() <= bytes {
        body.push_str(&line);
    }
    body
}
