//! What can be asked of `calmline deliveries`.

use clap::{Args, Subcommand};

use super::ServerArgs;

/// `calmline deliveries`.
#[derive(Debug, Subcommand)]
pub enum DeliveriesCommand {
    /// Lists what systems outside are still to be told of, and why they have not taken it.
    List(DeliveriesListArgs),
    /// Has one tried again now, as often as a new one.
    Retry(DeliveryArgs),
    /// Forgets one.
    Drop(DeliveryArgs),
}

/// `calmline deliveries list`.
#[derive(Debug, Args)]
pub struct DeliveriesListArgs {
    /// Only those that are tried no more.
    #[arg(long)]
    pub set_aside: bool,
    /// The server to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// One delivery.
#[derive(Debug, Args)]
pub struct DeliveryArgs {
    /// Its number, as `calmline deliveries list` shows it.
    #[arg(value_name = "NUMBER")]
    pub id: u64,
    /// The server to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}
