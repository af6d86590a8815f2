//! Series that stand at zero from the start: an alert rule asks by how much they have grown, and what is born with its first value
//! has not grown.

use super::Metrics;
use super::site::{BUS_EVENTS, ORDERS_CARRIED};
use super::table::{AUDIT_ENTRIES, CALLS_REFUSED, LISTENER_RESTARTS, Metric, RELOADS, STORE_NOTICES};

/// Counters, and the values of their labels.
const BEGUN: [(&Metric, &[&[&str]]); 7] = [
    (&CALLS_REFUSED, &[&["503"]]),
    (&LISTENER_RESTARTS, &[&["panic"], &["stall"], &["end"]]),
    (&RELOADS, &[&["taken"], &["refused"]]),
    (&STORE_NOTICES, &[&["kept"], &["dropped"]]),
    (&AUDIT_ENTRIES, &[&["written"], &["lost"], &["late"]]),
    (&BUS_EVENTS, &[&["published"], &["failed"], &["dropped"]]),
    (
        &ORDERS_CARRIED,
        &[
            &["out", "answered"],
            &["out", "late"],
            &["out", "failed"],
            &["out", "unsent"],
            &["in", "answered"],
            &["in", "refused"],
        ],
    ),
];

impl Metrics {
    pub(super) fn begin_series(&self) {
        for (metric, series) in BEGUN {
            series.iter().for_each(|labels| self.count(metric, labels, 0));
        }
    }
}
