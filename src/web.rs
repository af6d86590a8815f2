//! The HTTP API: calls, events, health, metrics.
