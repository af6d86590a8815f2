//! Nodes and the bus between them, as figures.

use super::Metrics;
use super::table::{Metric, counter, gauge};

/// Which node this is.
pub const NODE_INFO: Metric = gauge("calmline_node_info", &["node"], "Always 1; the label says which node this is.");
/// Other nodes.
pub const NODES_HEARD: Metric =
    gauge("calmline_nodes_active", &[], "Other nodes of the site that are heard of over the bus.");
/// The bus.
pub const BUS_UP: Metric = gauge("calmline_bus_up", &[], "1 while there is a connection to the NATS server.");
/// Events that go out.
pub const BUS_EVENTS: Metric = counter(
    "calmline_bus_events_total",
    &["outcome"],
    "Events for the bus: published (the stream has them), failed (it does not say so), dropped (it is down, or too many wait).",
);
/// Events of others.
pub const BUS_RESTORES: Metric = counter(
    "calmline_bus_restores_total",
    &[],
    "Times that another node was asked for all its calls: it is new, or something of it was missed.",
);

/// Requests from node to node.
pub const ORDERS_CARRIED: Metric = counter(
    "calmline_orders_carried_total",
    &["direction", "outcome"],
    "Requests about calls of other nodes, out to them and in from them: answered, refused, late, failed, unsent.",
);

impl Metrics {
    /// Which node this is.
    pub fn set_node(&self, node: &str) {
        self.gauge(&NODE_INFO, &[node]).set(1.0);
    }

    /// How many other nodes are heard of.
    pub fn set_nodes_heard(&self, nodes: usize) {
        self.gauge(&NODES_HEARD, &[]).set(nodes as f64);
    }

    /// Whether the bus is up.
    pub fn set_bus_up(&self, up: bool) {
        self.gauge(&BUS_UP, &[]).set(f64::from(u8::from(up)));
    }

    /// What became of events for the bus: `published`, `failed` or `dropped`.
    pub fn count_bus_events(&self, outcome: &str, events: u64) {
        self.count(&BUS_EVENTS, &[outcome], events);
    }

    /// A request was carried `out` to another node, or `in` from one.
    pub fn count_order_carried(&self, direction: &str, outcome: &str) {
        self.count(&ORDERS_CARRIED, &[direction, outcome], 1);
    }

    /// Another node was asked for all its calls.
    pub fn count_bus_restore(&self) {
        self.count(&BUS_RESTORES, &[], 1);
    }
}
