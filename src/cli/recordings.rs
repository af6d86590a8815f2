//! What can be asked of `calmline recordings`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ServerArgs;

/// `calmline recordings`.
#[derive(Debug, Subcommand)]
pub enum RecordingsCommand {
    /// Has a running server listen to recordings of calls, and waits for what it hears; exit code 1 when one was not listened to.
    Add(RecordingsAddArgs),
}

/// `calmline recordings add`.
#[derive(Debug, Args)]
pub struct RecordingsAddArgs {
    /// Recordings (WAV), or folders of them.
    #[arg(value_name = "FILE.wav|DIR", required = true)]
    pub recordings: Vec<PathBuf>,
    /// The channel of whoever serves, 0 or 1; left out, the first channel is the customer's, and nobody else is heard.
    #[arg(long, value_name = "CHANNEL", value_parser = clap::value_parser!(u16).range(0..=1))]
    pub agent: Option<u16>,
    /// The route by its name; the first one for forked calls that matches `chat:recording` when not given.
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
    /// What is spoken: `zh` or `en`; as the route says when not given.
    #[arg(long, value_name = "CODE")]
    pub language: Option<String>,
    /// The environment variable that holds the customer's address, of all of them: command lines are seen by everybody.
    #[arg(long, value_name = "NAME")]
    pub customer_env: Option<String>,
    /// How long to wait while nothing is heard of any of them.
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    pub within_s: u64,
    /// Prints one JSON object per recording.
    #[arg(long)]
    pub json: bool,
    /// The server to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}
