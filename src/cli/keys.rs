//! What can be asked of `calmline keys`.

use clap::{Args, Subcommand};

use super::ServerArgs;

/// `calmline keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Has the running server seal by another data key from now on, and wrap all keys by the master key that its configuration names
    /// now: reload it first where that is another one.
    Rotate(KeysArgs),
}

/// `calmline keys rotate`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// The server to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}
