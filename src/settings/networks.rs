//! Which address of ours a far end is shown, by the network that it is in.

use std::net::IpAddr;

use ipnet::IpNet;
use toml::Value;

use super::read::{ENTRIES_MAX, address, network};

/// What such a table is, to whoever wrote another one.
pub(super) const EXPECTED: &str =
    "a table of networks and what far ends there are shown, e.g. { \"10.0.0.0/8\" = \"10.0.0.5\" }";

/// Networks, each with the address of ours that far ends in it are shown; of several the smallest counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(pub Vec<(IpNet, IpAddr)>);

impl Networks {
    /// What a far end at `destination` is shown, when it is in one of the networks.
    pub fn shown_to(&self, destination: IpAddr) -> Option<IpAddr> {
        let destination = destination.to_canonical();
        let around = self.0.iter().filter(|(network, _)| network.contains(&destination));
        around.max_by_key(|(network, _)| network.prefix_len()).map(|(_, shown)| *shown)
    }

    /// `{ "10.0.0.0/8" = "10.0.0.5" }`.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let table = value.as_table().filter(|table| table.len() <= ENTRIES_MAX)?;
        let pairs = table.iter().map(|(key, shown)| {
            let shown = address(shown).filter(|address| !address.is_unspecified())?;
            Some((network(&Value::from(key.as_str()))?, shown))
        });
        pairs.collect::<Option<_>>().map(Self)
    }
}
