//! Far ends in whose URIs the user holds what numbers are given along with: parameters and escapes.

use super::office::Office;
use super::phone::{LEG, SDP, options, value};
use super::trunks::{answer, request};
use super::wire::Far;
use crate::control::{SipCommand, SipEvent};
use crate::shell::sip::SipTransport;

#[tokio::test]
async fn who_is_called_is_reached_by_the_contact_as_it_was_written() {
    let mut office = Office::open(options(&[SipTransport::Udp], None)).await;
    let far = Far::new().await;
    let host = format!("127.0.0.1:{}", far.port());
    office.invite(LEG, &format!("sip:+1415;npdi;rn=%2B1400@{host}"), None);
    let (us, invite) = far.hear().await;
    assert!(invite.starts_with(&format!("INVITE sip:+1415;npdi;rn=%2B1400@{host} SIP/2.0\r\n")), "{invite}");
    assert_eq!(value(&invite, "To"), format!("<sip:+1415;npdi;rn=%2B1400@{host}>"));
    let contact = format!("sip:+1415;tgrp=TG1;trunk-context=a%40b@{host}");
    far.reply(us, &invite, 200, &format!("Contact: <{contact}>\r\n"), SDP).await;
    heard(&far, &format!("ACK {contact} SIP/2.0\r\n")).await;
    assert!(matches!(office.event().await, SipEvent::Answered { leg: LEG, .. }));
    office.sip.handle(SipCommand::Bye { leg: LEG, reason: None });
    let bye = heard(&far, &format!("BYE {contact} SIP/2.0\r\n")).await;
    far.reply(us, &bye, 200, "", "").await;
    assert!(matches!(office.event().await, SipEvent::Ended { leg: LEG, .. }));
}

#[tokio::test]
async fn who_calls_is_taken_and_reached() {
    let mut office = Office::open(options(&[SipTransport::Udp], None)).await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    let host = format!("127.0.0.1:{}", far.port());
    let say = |method: &str, to: &str| {
        request(&far, us, method, 1, "")
            .replace("sip:4000@", "sip:%23100;npdi@")
            .replace("sip:far@", "sip:+1415;verstat=Passed@")
            .replace("<sip:%23100;npdi@us>", to)
            .replace("z9hG4bKINVITE", &format!("z9hG4bK{method}"))
    };
    far.send(us, &say("INVITE", "<sip:%23100;npdi@us>")).await;
    let event = office.event().await;
    let SipEvent::Incoming { leg, invite } = event else { panic!("{event:?}") };
    assert_eq!(invite.request_uri, format!("sip:%23100;npdi@{us}"));
    office.sip.handle(SipCommand::Answer { leg, sdp: SDP.into(), headers: Vec::new() });
    let answered = answer(&far, 200).await;
    far.send(us, &say("ACK", value(&answered, "To"))).await;
    assert!(matches!(office.event().await, SipEvent::Confirmed { .. }));
    office.sip.handle(SipCommand::Bye { leg, reason: None });
    let bye = heard(&far, &format!("BYE sip:+1415;verstat=Passed@{host} SIP/2.0\r\n")).await;
    far.reply(us, &bye, 200, "", "").await;
    assert!(matches!(office.event().await, SipEvent::Ended { .. }));
}

/// The next message that starts so; others are passed over.
async fn heard(far: &Far, start: &str) -> String {
    let mut others = Vec::new();
    for _ in 0..50 {
        let said = far.hear().await.1;
        if said.starts_with(start) {
            return said;
        }
        others.push(said);
    }
    panic!("{start} never came, but {others:#?}");
}
