//! The metrics of the API.

use super::table::{Metric, counter};

/// Requests of the API that were too many.
pub(super) const REQUESTS_LIMITED: Metric = counter(
    "calmline_api_requests_limited_total",
    &["by"],
    "Requests of the API that were refused because there were too many lately, by whom they were counted: token, person, address.",
);
