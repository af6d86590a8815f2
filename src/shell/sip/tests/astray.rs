//! Far ends behind address translation, whose Contact leads nowhere.

use super::office::Office;
use super::phone::{LEG, SDP, options, value};
use super::trunks::{answer, request};
use super::wire::Far;
use crate::control::{Presence, SipCommand, SipEvent};
use crate::shell::sip::SipTransport;

#[tokio::test]
async fn a_caller_is_reached_where_it_speaks_from() {
    let mut office = Office::open(options(&[SipTransport::Udp], None)).await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    far.send(us, &hidden(&far, &request(&far, us, "INVITE", 1, ""))).await;
    let leg = office.answer().await;
    let to = format!("To: {}", value(&answer(&far, 200).await, "To"));
    let inside = |far: &Far, method: &str, sequence: u32| {
        hidden(far, &request(far, us, method, sequence, "")).replace("To: <sip:4000@us>", &to)
    };
    far.send(us, &inside(&far, "ACK", 1)).await;
    assert!(matches!(office.event().await, SipEvent::Confirmed { .. }));
    office.sip.handle(SipCommand::Probe { leg });
    let asked = hear(&far, "OPTIONS sip:far@192.168.77.5:5060 ").await;
    far.reply(us, &asked, 200, "", "").await;
    assert_eq!(office.event().await, SipEvent::Probed { leg, found: Presence::Here });

    // The translation changes.
    let moved = Far::new().await;
    moved.send(us, &inside(&moved, "UPDATE", 2)).await;
    let event = office.event().await;
    let SipEvent::Offer { reply, .. } = event else { panic!("{event:?}") };
    office.sip.handle(SipCommand::Reply { leg, reply, code: 200, sdp: None, headers: Vec::new() });
    answer(&moved, 200).await;
    office.sip.handle(SipCommand::Bye { leg, reason: None });
    let bye = hear(&moved, "BYE sip:far@192.168.77.5:5060 ").await;
    moved.reply(us, &bye, 200, "", "").await;
    assert!(matches!(office.event().await, SipEvent::Ended { .. }));
}

#[tokio::test]
async fn who_is_called_is_reached_where_it_answers_from() {
    let mut office = Office::open(options(&[SipTransport::Udp], None)).await;
    let far = Far::new().await;
    office.invite(LEG, &format!("sip:bot@127.0.0.1:{}", far.port()), None);
    let (us, invite) = far.hear().await;
    let contact = "Contact: <sip:bot@10.9.8.7:5060>\r\n";
    far.reply(us, &invite, 183, &format!("Require: 100rel\r\nRSeq: 1\r\n{contact}"), SDP).await;
    let prack = hear(&far, "PRACK sip:bot@10.9.8.7:5060 ").await;
    far.reply(us, &prack, 200, "", "").await;
    assert!(matches!(office.event().await, SipEvent::Progress { code: 183, .. }));
    far.reply(us, &invite, 200, contact, SDP).await;
    hear(&far, "ACK sip:bot@10.9.8.7:5060 ").await;
    assert!(matches!(office.event().await, SipEvent::Answered { leg: LEG, .. }));
    office.sip.handle(SipCommand::Bye { leg: LEG, reason: None });
    let bye = hear(&far, "BYE sip:bot@10.9.8.7:5060 ").await;
    far.reply(us, &bye, 200, "", "").await;
    assert!(matches!(office.event().await, SipEvent::Ended { leg: LEG, .. }));
}

/// The next message that starts so; others are passed over.
async fn hear(far: &Far, start: &str) -> String {
    loop {
        let (_, said) = far.hear().await;
        if said.starts_with(start) {
            return said;
        }
    }
}

/// What `far` says, as somebody whose own address means nothing outside.
fn hidden(far: &Far, text: &str) -> String {
    let contact = format!("Contact: <sip:far@127.0.0.1:{}>", far.port());
    assert!(text.contains(&contact), "{text}");
    text.replace(&contact, "Contact: <sip:far@192.168.77.5:5060>")
}
