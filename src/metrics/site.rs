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

/// Leases.
pub const LEASES: Metric = counter(
    "calmline_leases_total",
    &["lease", "outcome"],
    "Times that a node of a site asked whether it is its turn (alerts, reports, source, users, configuration): held, elsewhere, failed (the database does not say).",
);
/// The site's libraries.
pub const SITE_LIBRARIES: Metric = gauge(
    "calmline_site_libraries_version",
    &[],
    "The last change of the site's libraries that this node has in force: the same at all nodes.",
);
/// What of them is missing here.
pub const SITE_LIBRARIES_BEHIND: Metric = gauge(
    "calmline_site_libraries_behind_steps",
    &[],
    "Changes of the site's libraries that this node has not taken: more than 0 for long when it cannot.",
);

impl Metrics {
    /// Which node this is.
    pub fn set_node(&self, node: &str) {
        self.gauge(&NODE_INFO, &[node]).set(1.0);
    }

    /// What came of asking for a lease: `held`, `elsewhere` or `failed`.
    pub fn count_lease(&self, lease: &str, outcome: &str) {
        self.count(&LEASES, &[lease, outcome], 1);
    }

    /// Which change of the site's libraries is in force, and how many are not.
    pub fn set_site_libraries(&self, number: u64, behind: u64) {
        self.gauge(&SITE_LIBRARIES, &[]).set(number as f64);
        self.gauge(&SITE_LIBRARIES_BEHIND, &[]).set(behind as f64);
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
