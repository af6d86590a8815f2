//! Whoever looks at calls from outside: messages that are followed, and captures.

use std::sync::Arc;

use super::desk::Desk;
use crate::control::{Control, SipCommand};
use crate::settings::Settings;
use crate::shell::capture::Captures;
use crate::shell::clock::Clock;
use crate::shell::media::{CaptureRing, MediaHandle};
use crate::shell::sip::leg_of;
use crate::shell::sip::trace::Trace;

/// Captured packets that may wait: half a second of both directions of both legs of as many calls as are captured at a time.
const CAPTURED_MAX: usize = 2_048;

/// Who looks on.
pub(super) struct Watching {
    trace: Option<Arc<Trace>>,
    captures: Option<Captures>,
    /// Captured packets that had been dropped when that was last read.
    dropped: u64,
}

impl Watching {
    /// What stands in the way of captured packets: a place, where no call is captured.
    pub(super) fn ring(settings: &Settings) -> Arc<CaptureRing> {
        Arc::new(CaptureRing::new(if settings.capture.is_some() { CAPTURED_MAX } else { 1 }))
    }

    /// Begins to follow messages where somebody wants them.
    pub(super) fn start(settings: &Settings, ring: Arc<CaptureRing>, clock: Clock) -> Self {
        let Some(wanted) = settings.capture.clone() else { return Self { trace: None, captures: None, dropped: 0 } };
        let trace = Arc::new(Trace::new(settings.sip.clone(), wanted.history_bytes));
        let captures = Captures::start(wanted, Arc::clone(&trace), ring, clock);
        Self { trace: Some(trace), captures: Some(captures), dropped: 0 }
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
