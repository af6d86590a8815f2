//! Supervisors who listen in a browser. Whoever holds the browser's connection says when it stands and when it is gone, and
//! passes plain RTP between it and a media port of its own, over loopback.
//!
//! In the call they are supervisors like those by phone: the same limits, modes and notices.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use media::sdp::{Formats, Wishes};
use media::{Codec, ControlPort, StreamSettings};

use super::call::{Call, Stage};
use super::context::Context;
use super::leg::{Beginning, Dialog, Leg};
use super::order::{Denied, DeniedKind, Done, Hears, Order, SupervisorMode};
use super::supervise::{By, Part, unknown};
use super::{Command, Control};
use crate::settings::AudioTerms;

/// The payload type of Opus between us and ourselves.
pub const BROWSER_PAYLOAD_TYPE: u8 = 111;

/// A supervisor's browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Browser {
    /// Whose it is, in notices.
    pub name: String,
    /// Who is to hear it.
    pub mode: SupervisorMode,
    /// Whom it is to hear.
    pub hears: Hears,
    /// Where what it hears is sent, as plain RTP with Opus.
    pub socket: SocketAddr,
    /// Whether it may ever send anything.
    pub speaks: bool,
}

impl By {
    /// Refuses a mode in which others hear whoever cannot say anything.
    pub(super) fn check_voice(self, mode: SupervisorMode) -> Result<(), Denied> {
        match self {
            By::Browser { speaks: false, .. } if mode != SupervisorMode::Listen => {
                Err(Denied::new(DeniedKind::Conflict, "this browser has offered to listen only"))
            }
            By::Phone | By::Browser { .. } => Ok(()),
        }
    }

    /// Refuses to let others hear the browser of that name, except to its own user and the token: a microphone is opened by
    /// whoever sits before it. Others may silence it.
    pub(super) fn check_owner(self, name: &str, mode: SupervisorMode, by: Option<&str>) -> Result<(), Denied> {
        match (self, by) {
            (By::Browser { .. }, Some(by)) if mode != SupervisorMode::Listen && by != name => {
                Err(Denied::new(DeniedKind::Forbidden, "only whoever sits before this browser lets others hear it"))
            }
            (By::Phone | By::Browser { .. }, _) => Ok(()),
        }
    }
}

impl Control {
    /// Carries out an order about a browser.
    pub(super) fn browser_order(
        &mut self,
        now: Duration,
        order: Order,
        out: &mut Vec<Command>,
    ) -> Result<Done, Denied> {
        match order {
            Order::AdmitBrowser { call, browser } => {
                self.ordered(now, &call, out, |call, context| call.admit_browser(context, &browser))
            }
            Order::BrowserConnected { call, supervisor } => self.ordered(now, &call, out, |call, context| {
                call.browser_connected(context, supervisor).map(|()| Done::Accepted)
            }),
            Order::BrowserGone { call, supervisor, reason } => self.ordered(now, &call, out, |call, context| {
                call.browser_gone(context, supervisor, &reason).map(|()| Done::Accepted)
            }),
            _ => Err(Denied::new(DeniedKind::Wrong, "no order about a browser")),
        }
    }
}

impl Call {
    /// Awaits a browser's connection.
    fn admit_browser(&mut self, context: &mut Context<'_>, browser: &Browser) -> Result<Done, Denied> {
        self.check_room_for_supervisor(context)?;
        let Browser { name, mode, hears, socket, speaks } = browser;
        let by = By::Browser { socket: *socket, speaks: *speaks };
        by.check_voice(*mode)?;
        let beginning = Beginning {
            name,
            audio: AudioTerms::default(),
            formats: Formats { codecs: vec![(Codec::Opus, BROWSER_PAYLOAD_TYPE)], ..Formats::default() },
            wishes: Wishes::default(),
            partner: self.caller.as_partner(),
            destination: Some(LOOPBACK),
            bind: Some(LOOPBACK),
        };
        let mut leg = Leg::open(context, self.key, None, beginning)
            .ok_or_else(|| Denied::new(DeniedKind::Full, "no media port is free"))?;
        (leg.dialog, leg.party) = (Dialog::Absent, "supervisor");
        let (id, receiver) = (leg.id, SocketAddr::new(leg.local.address, leg.local.port));
        let part = Part { mode: *mode, hears: *hears };
        let supervisor = self.seat_supervisor(context, leg, (by, part), CONNECT_WITHIN)?;
        Ok(Done::Browser { supervisor, leg: id, receiver })
    }

    /// The browser's connection stands: it takes part.
    fn browser_connected(&mut self, context: &mut Context<'_>, number: u32) -> Result<(), Denied> {
        let caller = self.caller.id;
        let Stage::Talking(talking) = &mut self.stage else { return Err(Denied::not_connected()) };
        let supervisor = talking.supervisors.by_number(number).filter(|each| !each.has_joined()).ok_or_else(unknown)?;
        let By::Browser { socket, .. } = supervisor.by else { return Err(unknown()) };
        let plain = StreamSettings::plain(Some(socket), Codec::Opus, BROWSER_PAYLOAD_TYPE);
        supervisor.leg.configure(context, StreamSettings { control: ControlPort::Shared, ..plain });
        let joined = supervisor.join(context, caller);
        self.notice(context, joined);
        Ok(())
    }

    /// The browser's connection is over.
    fn browser_gone(&mut self, context: &mut Context<'_>, number: u32, reason: &str) -> Result<(), Denied> {
        let Stage::Talking(talking) = &mut self.stage else { return Err(Denied::not_connected()) };
        let leg = talking.supervisors.by_number(number).ok_or_else(unknown)?.leg.id;
        self.lose_supervisor(context, leg, reason);
        Ok(())
    }
}

/// Longer than whoever holds the connection waits for it: this is for one that is forgotten.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
