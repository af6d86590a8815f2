//! A phone that says exactly what a test tells it to, and a SIP side with short waits to say it to.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use media::LegId;
use rsipstack::transaction::endpoint::EndpointOption;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

pub(super) use super::wire::{SDP, value};
use crate::control::{Header, SipCommand, SipEvent};
use crate::metrics::Metrics;
use crate::settings::{Listener, SipSettings};
use crate::shell::sip::leg::Waits;
use crate::shell::sip::{SipOptions, SipSide, SipTransport};

/// The number of outgoing legs in these tests.
pub(super) const LEG: LegId = LegId(7);

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a test waits for what must not come.
const SILENCE: Duration = Duration::from_millis(150);

/// A SIP side and one phone, with the test as call control.
pub(super) struct Stand {
    pub(super) sip: SipSide,
    pub(super) phone: UdpSocket,
    events: mpsc::Receiver<SipEvent>,
}

impl Stand {
    /// With room for `events` events that nobody has taken.
    pub(super) async fn new(events: usize) -> Self {
        Self::with(events, None).await
    }

    /// With an external address.
    pub(super) async fn with(events: usize, external: Option<Ipv4Addr>) -> Self {
        let (sender, events) = mpsc::channel(events);
        let options = options(&[SipTransport::Udp], external.map(IpAddr::from));
        // Everything a tenth or less of what RFC 3261 wants, so that nobody waits half a minute.
        let ms = Duration::from_millis;
        let timers = EndpointOption { t1: ms(50), t2: ms(200), t4: ms(100), t1x64: ms(1_000), ..Default::default() };
        let waits = Waits {
            ringing: ms(1_000),
            reply: ms(300),
            cancel: ms(1_000),
            bye: ms(300),
            reinvite: ms(300),
            probe: ms(300),
            repeat: ms(50),
            acknowledgement: ms(500),
            hop: ms(300),
        };
        let sip = SipSide::start_with(options, sender, timers, waits).await.expect("a free port on loopback");
        let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on loopback");
        phone.connect(sip.local_addr()).await.expect("loopback is there");
        Self { sip, phone, events }
    }

    /// Calls the phone.
    pub(super) fn invite(&self, headers: &[(&str, &str)]) {
        let uri = format!("sip:bot@{}", self.phone.local_addr().expect("the phone is bound"));
        let from = "\"An Caller\" <sip:4711@pbx.example>".to_owned();
        self.sip.handle(SipCommand::Invite {
            leg: LEG,
            uri,
            proxy: None,
            trunk: None,
            hops_left: 69,
            from,
            headers: headers.iter().map(|(name, value)| header(name, value)).collect(),
            sdp: SDP.into(),
        });
    }

    /// Calls the phone, which answers; returns the INVITE. The answer's tag is `far`.
    pub(super) async fn call(&mut self) -> String {
        self.invite(&[]);
        let invite = self.receive("INVITE ").await;
        self.respond(&invite, 200, "", SDP).await;
        self.receive("ACK ").await;
        assert!(matches!(self.event().await, SipEvent::Answered { leg: LEG, .. }));
        invite
    }

    /// Says something from the phone.
    pub(super) async fn send(&self, text: &str) {
        self.phone.send(text.as_bytes()).await.expect("loopback takes it");
    }

    /// Sends a request from the phone in a dialog that our INVITE made.
    pub(super) async fn request_inside(&self, invite: &str, method: &str, sequence: u32, extra: &str, body: &str) {
        let address = self.phone.local_addr().expect("the phone is bound");
        let content = if body.starts_with("v=0") { "Content-Type: application/sdp\r\n" } else { "" };
        self.send(&format!(
            "{method} sip:us@{} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{method}{sequence}\r\n\
             Max-Forwards: 70\r\nFrom: {};tag=far\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {sequence} {method}\r\n\
             Contact: <sip:bot@{address}>\r\n{extra}{content}Content-Length: {}\r\n\r\n{body}",
            self.sip.local_addr(),
            value(invite, "To"),
            value(invite, "From"),
            value(invite, "Call-ID"),
            body.len(),
        ))
        .await;
    }

    /// Answers `request` from the phone.
    pub(super) async fn respond(&self, request: &str, code: u16, extra: &str, body: &str) {
        let address = self.phone.local_addr().expect("the phone is bound");
        let to = value(request, "To");
        let tag = if to.contains("tag=") { "" } else { ";tag=far" };
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.send(&format!(
            "SIP/2.0 {code} Said\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:bot@{address}>\r\n{extra}{content}Content-Length: {}\r\n\r\n{body}",
            value(request, "Via"),
            value(request, "From"),
            value(request, "Call-ID"),
            value(request, "CSeq"),
            body.len(),
        ))
        .await;
    }

    /// An INVITE, or something that belongs to it, from the phone as a caller.
    pub(super) async fn say(&self, method: &str, sequence: &str, to_tag: &str, extra: &str, body: &str) {
        let address = self.phone.local_addr().expect("the phone is bound");
        let branch = if method == "CANCEL" { "INVITE" } else { method };
        let via = format!("Via: SIP/2.0/UDP {address};branch=z9hG4bK{branch}{sequence}\r\n{extra}");
        self.say_by(&via, method, sequence, to_tag, body).await;
    }

    /// Likewise, with a Via and other headers of its own.
    pub(super) async fn say_by(&self, headers: &str, method: &str, sequence: &str, to_tag: &str, body: &str) {
        let address = self.phone.local_addr().expect("the phone is bound");
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.send(&format!(
            "{method} sip:4000@{} SIP/2.0\r\n{headers}\
             Max-Forwards: 70\r\nFrom: Caller <sip:caller@{address}>;tag=far\r\nTo: <sip:4000@us>{to_tag}\r\n\
             Call-ID: from-the-phone\r\nCSeq: {sequence} {method}\r\nContact: <sip:caller@{address}>\r\n\
             {content}Content-Length: {}\r\n\r\n{body}",
            self.sip.local_addr(),
            body.len(),
        ))
        .await;
    }

    /// The next message to the phone that starts with `start`; others are skipped.
    pub(super) async fn receive(&self, start: &str) -> String {
        let mut skipped = Vec::new();
        loop {
            match tokio::time::timeout(PATIENCE, self.any()).await {
                Ok(text) if text.starts_with(start) => return text,
                Ok(text) => skipped.push(text),
                Err(_) => panic!("{start} never came, but {skipped:#?}"),
            }
        }
    }

    /// Fails when a message that starts with `start` comes soon.
    pub(super) async fn hear_no(&self, start: &str) {
        let until = tokio::time::Instant::now() + SILENCE;
        while let Ok(text) = tokio::time::timeout_at(until, self.any()).await {
            assert!(!text.starts_with(start), "{text}");
        }
    }

    async fn any(&self) -> String {
        let mut buffer = vec![0; 8192];
        let length = self.phone.recv(&mut buffer).await.expect("loopback is there");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// The next event.
    pub(super) async fn event(&mut self) -> SipEvent {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("the side is up")
    }

    /// Expects the end of the last leg, checks that nothing is left of it, and that nothing more is told.
    pub(super) async fn ends_with(&mut self, expected: SipEvent) {
        assert_eq!(self.event().await, expected);
        assert_eq!(self.sip.legs(), 0);
        // Transactions may go on repeating themselves for 64*T1, not longer.
        for _ in 0..200 {
            let stats = self.sip.shared.endpoint.get_stats();
            if stats.running_transactions + stats.finished_transactions + stats.waiting_ack == 0 {
                assert!(self.events.try_recv().is_err(), "an event after the end");
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let stats = self.sip.shared.endpoint.get_stats();
        panic!("left: {} {} {}", stats.running_transactions, stats.finished_transactions, stats.waiting_ack);
    }
}

/// Listeners on free ports of loopback, which is trusted.
pub(super) fn options(listeners: &[SipTransport], external: Option<IpAddr>) -> SipOptions {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listeners = listeners.iter().map(|transport| Listener { transport: *transport, address }).collect();
    let external = external.into_iter().collect();
    let settings =
        SipSettings { listeners, external, user_agent: "calmline-test".to_owned(), ..SipSettings::default() };
    SipOptions { settings, trunks: BTreeMap::new(), metrics: Metrics::new(), trace: None }
}

/// A header.
pub(super) fn header(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: value.to_owned() }
}

/// The end of an answered leg.
pub(super) fn ended(leg: LegId, reason: &str) -> SipEvent {
    SipEvent::Ended { leg, reason: reason.to_owned() }
}

/// The end of a call that did not come about.
pub(super) fn failed(code: u16, reason: &str) -> SipEvent {
    SipEvent::Failed { leg: LEG, code, reason: reason.to_owned(), retry_after: None }
}
