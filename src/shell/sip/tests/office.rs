//! A SIP side with the test as call control.

use std::net::SocketAddr;
use std::time::Duration;

use media::LegId;
use rsipstack::transaction::endpoint::EndpointOption;
use tokio::sync::mpsc;

use super::phone::LEG;
use super::wire::{Phone, SDP};
use crate::control::{Header, SipCommand, SipEvent};
use crate::shell::sip::leg::Waits;
use crate::shell::sip::{SipOptions, SipSide, SipTransport};

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A SIP side with the test as call control.
pub(super) struct Office {
    pub(super) sip: SipSide,
    pub(super) events: mpsc::Receiver<SipEvent>,
}

impl Office {
    /// With short timers.
    pub(super) async fn open(options: SipOptions) -> Self {
        let ms = Duration::from_millis;
        let timers = EndpointOption { t1: ms(50), t2: ms(200), t4: ms(100), t1x64: ms(1_000), ..Default::default() };
        let waits = Waits {
            ringing: ms(3_000),
            reply: ms(300),
            cancel: ms(1_000),
            bye: ms(500),
            reinvite: ms(300),
            probe: ms(300),
            hop: ms(300),
            repeat: ms(50),
            acknowledgement: ms(500),
        };
        let (sender, events) = mpsc::channel(64);
        let sip = SipSide::start_with(options, sender, timers, waits).await.expect("free ports on loopback");
        Self { sip, events }
    }

    /// Where `transport` is listened for.
    pub(super) fn at(&self, transport: SipTransport) -> SocketAddr {
        self.sip.bound().iter().find(|bound| bound.0 == transport).expect("a listener").1
    }

    /// The next event.
    pub(super) async fn event(&mut self) -> SipEvent {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("the side is up")
    }

    /// Calls `uri`.
    pub(super) fn invite(&self, leg: LegId, uri: &str, trunk: Option<&str>) {
        self.invite_with(leg, uri, trunk, Vec::new());
    }

    /// Calls `uri`, with headers of the caller's.
    pub(super) fn invite_with(&self, leg: LegId, uri: &str, trunk: Option<&str>, headers: Vec<Header>) {
        self.sip.handle(SipCommand::Invite {
            leg,
            uri: uri.to_owned(),
            proxy: None,
            trunk: trunk.map(str::to_owned),
            hops_left: 42,
            from: "<sip:4711@pbx.example>".to_owned(),
            headers,
            sdp: SDP.into(),
        });
    }

    /// Answers the call that comes next.
    pub(super) async fn answer(&mut self) -> LegId {
        let event = self.event().await;
        let SipEvent::Incoming { leg, .. } = event else { panic!("{event:?}") };
        self.sip.handle(SipCommand::Answer { leg, sdp: SDP.into(), headers: Vec::new() });
        leg
    }

    /// Ends the call with `phone`, which answers the BYE.
    pub(super) async fn hang_up(&mut self, phone: &mut Phone) {
        self.sip.handle(SipCommand::Bye { leg: LEG, reason: None });
        let bye = phone.receive("BYE ").await;
        phone.respond(&bye, 200, "", "").await;
        assert!(matches!(self.event().await, SipEvent::Ended { leg: LEG, .. }));
    }
}
