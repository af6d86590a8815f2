//! The metrics of the API.

use super::Metrics;
use super::table::{Metric, counter, gauge};

/// Requests of the API that were too many.
pub(super) const REQUESTS_LIMITED: Metric = counter(
    "calmline_api_requests_limited_total",
    &["by"],
    "Requests of the API that were refused because there were too many lately, by whom they were counted: token, person, address.",
);
/// Connections.
pub(super) const CONNECTIONS: Metric =
    gauge("calmline_api_connections_active", &[], "Connections of the API that are up.");
/// Connections that there was no room for.
pub(super) const CONNECTIONS_REFUSED: Metric = counter(
    "calmline_api_connections_refused_total",
    &[],
    "Connections of the API that were closed at once: their address had as many strangers' connections as were left for others.",
);

impl Metrics {
    /// Counts a request that was one too many.
    pub fn count_requests_limited(&self, by: &str) {
        self.count(&REQUESTS_LIMITED, &[by], 1);
    }

    /// A connection begins.
    pub fn begin_api_connection(&self) {
        self.gauge(&CONNECTIONS, &[]).increment(1.0);
    }

    /// A connection is over.
    pub fn end_api_connection(&self) {
        self.gauge(&CONNECTIONS, &[]).decrement(1.0);
    }

    /// Counts a connection that was closed at once.
    pub fn count_api_connection_refused(&self) {
        self.count(&CONNECTIONS_REFUSED, &[], 1);
    }
}
