//! Figures of supervisors' browsers.

use metrics::Gauge;

use super::Metrics;
use super::table::{BROWSERS_ACTIVE, BROWSERS_DROPPED, BROWSERS_ENDED, BROWSERS_REFUSED};

/// Why a browser was not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserRefusal {
    /// There is no `[webrtc]`.
    Off,
    /// As many as there may be.
    Full,
    /// Its offer was no good.
    Offer,
    /// Call control has refused it.
    Denied,
    /// It was our side that failed.
    Failed,
}

/// Why a browser's part is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserEnd {
    /// By order, or with the call.
    Ordered,
    /// With the session of whoever listened.
    SignedOut,
    /// It never connected.
    NotConnected,
    /// It vanished.
    Lost,
    /// The server stops.
    Closing,
}

/// One browser that is there until this is dropped.
pub struct CountedBrowser(Gauge);

impl Drop for CountedBrowser {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Metrics {
    /// A browser was let in.
    pub fn browser(&self) -> CountedBrowser {
        let gauge = self.gauge(&BROWSERS_ACTIVE, &[]);
        gauge.increment(1.0);
        CountedBrowser(gauge)
    }

    /// A browser was not.
    pub fn count_browser_refused(&self, refusal: BrowserRefusal) {
        let reason = match refusal {
            BrowserRefusal::Off => "off",
            BrowserRefusal::Full => "full",
            BrowserRefusal::Offer => "offer",
            BrowserRefusal::Denied => "denied",
            BrowserRefusal::Failed => "failed",
        };
        self.count(&BROWSERS_REFUSED, &[reason], 1);
    }

    /// A browser's part is over.
    pub fn count_browser_ended(&self, end: BrowserEnd) {
        let reason = match end {
            BrowserEnd::Ordered => "ordered",
            BrowserEnd::SignedOut => "signed_out",
            BrowserEnd::NotConnected => "not_connected",
            BrowserEnd::Lost => "lost",
            BrowserEnd::Closing => "closing",
        };
        self.count(&BROWSERS_ENDED, &[reason], 1);
    }

    /// Packets of a browser that is gone were not passed on, because they came too fast.
    pub fn count_browser_packets_dropped(&self, packets: u64) {
        self.count(&BROWSERS_DROPPED, &[], packets);
    }
}
