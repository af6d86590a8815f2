//! Whoever looks at calls from outside: messages that are followed, captures, and collectors.

use std::net::SocketAddr;
use std::sync::Arc;

use super::desk::Desk;
use crate::cli::Failure;
use crate::control::{Control, SipCommand};
use crate::hep::Agent;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::notice::{Notice, What};
use crate::settings::{HepSettings, SecretSource, Settings};
use crate::shell::capture::Captures;
use crate::shell::clock::Clock;
use crate::shell::hep::{Hep, HepOptions};
use crate::shell::media::{CaptureRing, MediaHandle};
use crate::shell::otlp::Otlp;
use crate::shell::sip::leg_of;
use crate::shell::sip::trace::Trace;

/// Captured packets that may wait: two and a half seconds of both directions of both legs of as many calls as are captured at a time.
const CAPTURED_MAX: usize = 2_048;

/// Who looks on.
pub(super) struct Watching {
    trace: Option<Arc<Trace>>,
    captures: Option<Captures>,
    hep: Option<Hep>,
    otlp: Option<Otlp>,
    /// Captured packets that had been dropped when that was last read.
    dropped: u64,
}

impl Watching {
    /// Begins to follow messages where somebody wants them; with the ring that captured packets go to, which has one place
    /// where no call is captured.
    pub(super) fn start(
        settings: &Settings,
        clock: Clock,
        metrics: &Metrics,
        log: &Log,
    ) -> Result<(Self, Arc<CaptureRing>), Failure> {
        let Settings { capture, hep, sip, telemetry, node, .. } = settings;
        let start = |wanted| Otlp::start(wanted, &node.name, log.lines(), metrics);
        let otlp = telemetry.as_ref().map(start).transpose().map_err(|why| Failure::of("telemetry", why))?;
        let ring = Arc::new(CaptureRing::new(if capture.is_some() { CAPTURED_MAX } else { 1 }));
        if capture.is_none() && hep.is_none() {
            return Ok((Self { trace: None, captures: None, hep: None, otlp, dropped: 0 }, ring));
        }
        let history_bytes = capture.as_ref().map_or(0, |capture| capture.history_bytes);
        let trace = Arc::new(Trace::new(sip.clone(), history_bytes));
        let start = |wanted| Captures::start(wanted, Arc::clone(&trace), Arc::clone(&ring), clock);
        let captures = capture.clone().map(start);
        let near = sip.shown(sip.listen());
        let hep = hep.as_ref().map(|wanted| start_hep(wanted, near, Arc::clone(&trace), metrics)).transpose()?;
        Ok((Self { trace: Some(trace), captures, hep, otlp, dropped: 0 }, ring))
    }

    /// Tells collectors of what is told, where it is something for them.
    pub(super) fn tell(&mut self, notice: &Notice) {
        if let Some(otlp) = &mut self.otlp {
            otlp.tell(notice);
        }
        if let (Some(hep), What::LegEnded(leg)) = (&self.hep, &notice.what) {
            hep.leg_ended(&notice.call, leg);
        }
    }

    /// Who follows messages, where anybody does.
    pub(super) fn trace(&self) -> Option<Arc<Trace>> {
        self.trace.clone()
    }

    /// Who captures calls, where that may be.
    pub(super) fn captures(&self) -> Option<Captures> {
        self.captures.clone()
    }

    /// Has the leg of a command known by its call.
    pub(super) fn name(&self, control: &Control, command: &SipCommand) {
        let leg = leg_of(command);
        if let (Some(trace), Some(call)) = (&self.trace, control.id_of(leg)) {
            trace.name(leg, call);
        }
    }

    /// Has the media loop capture what is wanted, after anything has happened.
    pub(super) fn follow(&self, control: &Control, media: &MediaHandle) {
        let Some(captures) = &self.captures else { return };
        for order in captures.orders(|call| control.capturable(call)) {
            if let Err(refused) = media.send(order) {
                tracing::warn!(%refused, "the media loop did not take an order: a capture lacks a leg");
            }
        }
    }
}

impl Desk {
    /// Counts captured packets that were dropped.
    pub(super) fn look_at_captures(&mut self) {
        let Some(captures) = &self.watching.captures else { return };
        let dropped = captures.packets_dropped();
        self.metrics.count_captured_dropped(dropped - self.watching.dropped);
        self.watching.dropped = dropped;
    }
}

fn start_hep(
    HepSettings { collector, agent, key }: &HepSettings,
    near: SocketAddr,
    trace: Arc<Trace>,
    metrics: &Metrics,
) -> Result<Hep, Failure> {
    let key = key.as_ref().map(SecretSource::fetch).transpose().map_err(|why| Failure::of("the secret of hep", why))?;
    let agent = Agent { id: *agent, key: key.map(|key| key.reveal().to_owned()) };
    let options = HepOptions { collector: *collector, agent, trace, near, metrics: metrics.clone() };
    Hep::start(options).map_err(|error| Failure::of("the socket for hep.collector", error))
}
