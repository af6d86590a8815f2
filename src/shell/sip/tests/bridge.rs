//! The smallest call control: joins each incoming leg to a new leg towards one target, and writes down every event.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use media::LegId;
use tokio::sync::mpsc;

use crate::control::{Description, SipCommand, SipEvent};
use crate::shell::sip::{SipOptions, SipSide};

/// A running SIP side with the smallest call control behind it.
pub(super) struct Bridge {
    pub(super) sip: Arc<SipSide>,
    log: Arc<Mutex<Vec<SipEvent>>>,
}

impl Bridge {
    /// Joins calls from trusted sources to `target` (host and port).
    pub(super) async fn start(target: SocketAddr, options: SipOptions) -> Self {
        let (events, mut queue) = mpsc::channel(256);
        let sip = Arc::new(SipSide::start(options, events).await.expect("a free port on loopback"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let (control_sip, control_log) = (sip.clone(), log.clone());
        tokio::spawn(async move {
            let mut control = Control { target, next: 1, peers: BTreeMap::new(), sdp: BTreeMap::new() };
            while let Some(event) = queue.recv().await {
                control_log.lock().expect("no panic while logging").push(event.clone());
                for command in control.decide(event) {
                    control_sip.handle(command);
                }
            }
        });
        Self { sip, log }
    }

    /// Everything that happened so far.
    pub(super) fn events(&self) -> Vec<SipEvent> {
        self.log.lock().expect("no panic while logging").clone()
    }

    /// Waits until no leg is left, then checks that every leg has ended exactly once.
    pub(super) async fn settle(&self) {
        for _ in 0..400 {
            if self.sip.legs() == 0 && self.all_ended() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} legs left, {:#?}", self.sip.legs(), self.events());
    }

    fn all_ended(&self) -> bool {
        let mut ends: BTreeMap<LegId, usize> = BTreeMap::new();
        for event in self.events() {
            let (leg, is_end) = leg_of(&event);
            *ends.entry(leg).or_default() += usize::from(is_end);
        }
        assert!(ends.values().all(|count| *count <= 1), "a leg ended twice: {:#?}", self.events());
        ends.values().all(|count| *count == 1)
    }
}

struct Control {
    target: SocketAddr,
    next: u32,
    peers: BTreeMap<LegId, LegId>,
    /// What each leg said last about itself.
    sdp: BTreeMap<LegId, Description>,
}

impl Control {
    fn decide(&mut self, event: SipEvent) -> Vec<SipCommand> {
        let peer = self.peers.get(&leg_of(&event).0).copied();
        match (event, peer) {
            (SipEvent::Incoming { leg, invite }, _) => {
                let far = LegId(self.next);
                self.next += 1;
                self.peers.insert(leg, far);
                self.peers.insert(far, leg);
                let sdp = invite.sdp.unwrap_or_default();
                self.sdp.insert(leg, sdp.clone());
                let uri = format!("sip:bot@{}", self.target);
                let (from, hops_left, headers) = (invite.from, invite.hops_left, invite.headers);
                vec![SipCommand::Invite { leg: far, uri, proxy: None, trunk: None, from, hops_left, headers, sdp }]
            }
            (SipEvent::Progress { code, sdp, .. }, Some(leg)) => vec![SipCommand::Progress { leg, code, sdp }],
            (SipEvent::Answered { leg: from, sdp, .. }, Some(leg)) => {
                let sdp = sdp.unwrap_or_default();
                self.sdp.insert(from, sdp.clone());
                vec![SipCommand::Answer { leg, sdp, headers: Vec::new() }]
            }
            (SipEvent::Failed { code, reason, .. }, Some(leg)) => {
                vec![SipCommand::Reject { leg, code, reason, headers: Vec::new() }]
            }
            (SipEvent::Cancelled { .. }, Some(leg)) => vec![SipCommand::Cancel { leg }],
            (SipEvent::Ended { .. }, Some(leg)) => vec![SipCommand::Bye { leg, reason: None }],
            (SipEvent::Offer { leg, reply, .. }, Some(peer)) => {
                let sdp = self.sdp.get(&peer).cloned();
                vec![SipCommand::Reply { leg, reply, code: 200, sdp, headers: Vec::new() }]
            }
            _ => Vec::new(),
        }
    }
}

/// The leg of an event, and whether it is the leg's end.
pub(super) fn leg_of(event: &SipEvent) -> (LegId, bool) {
    match event {
        SipEvent::Incoming { leg, .. }
        | SipEvent::Confirmed { leg, .. }
        | SipEvent::Acknowledged { leg, .. }
        | SipEvent::Updated { leg, .. }
        | SipEvent::Progress { leg, .. }
        | SipEvent::Answered { leg, .. }
        | SipEvent::Offer { leg, .. }
        | SipEvent::Reinvited { leg, .. }
        | SipEvent::Key { leg, .. }
        | SipEvent::ReferProgress { leg, .. }
        | SipEvent::Referred { leg, .. }
        | SipEvent::Informed { leg, .. }
        | SipEvent::Probed { leg, .. } => (*leg, false),
        SipEvent::Cancelled { leg } | SipEvent::Failed { leg, .. } | SipEvent::Ended { leg, .. } => (*leg, true),
    }
}
