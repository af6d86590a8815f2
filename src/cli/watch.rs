//! What can be asked of `calmline calls`, `calmline alerts`, `calmline tail` and `calmline capture`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ServerArgs;

/// Which calls are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CallsState {
    /// Those that are up.
    Active,
    /// Those that have ended.
    Ended,
    /// All.
    All,
}

/// `calmline calls`.
#[derive(Debug, Args)]
pub struct CallsArgs {
    /// Which of them.
    #[arg(long, value_enum, default_value_t = CallsState::Active)]
    pub state: CallsState,
    /// How many at most, newest first (1-1000).
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// Only those that started before it, RFC 3339, e.g. `2026-11-26T08:00:00Z`.
    #[arg(long, value_name = "TIME")]
    pub before: Option<String>,
    /// Prints one JSON object a call, as the API has it.
    #[arg(long)]
    pub json: bool,
    /// The server to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `calmline alerts`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AlertsArgs {
    /// What is done about one; they are listed when nothing is.
    #[command(subcommand)]
    pub deed: Option<AlertDeedCommand>,
    /// Which are listed.
    #[command(flatten)]
    pub list: AlertsListArgs,
}

/// Which alerts are listed.
#[derive(Debug, Args)]
pub struct AlertsListArgs {
    /// Those too that somebody has taken or ended.
    #[arg(long)]
    pub all: bool,
    /// How many at most, newest first (1-1000).
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// Prints one JSON object an alert, as the API has it.
    #[arg(long)]
    pub json: bool,
    /// The server to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What is done about an alert.
#[derive(Debug, Subcommand)]
pub enum AlertDeedCommand {
    /// Somebody has seen it.
    Acknowledge(AlertArgs),
    /// It is somebody's.
    Assign(AlertAssignArgs),
    /// Nobody is to be reminded of it for a while.
    Snooze(AlertSnoozeArgs),
    /// There is nothing left to do.
    End(AlertArgs),
}

/// One alert.
#[derive(Debug, Args)]
pub struct AlertArgs {
    /// What `calmline alerts` lists it by: CALL/MILLISECONDS/RULE.
    #[arg(value_name = "ALERT")]
    pub alert: String,
    /// The server to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `calmline alerts assign`.
#[derive(Debug, Args)]
pub struct AlertAssignArgs {
    /// Whose it is from now on.
    #[arg(long, value_name = "USER")]
    pub to: String,
    /// The alert.
    #[command(flatten)]
    pub alert: AlertArgs,
}

/// `calmline alerts snooze`.
#[derive(Debug, Args)]
pub struct AlertSnoozeArgs {
    /// For how long (1-14400).
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub seconds: u32,
    /// The alert.
    #[command(flatten)]
    pub alert: AlertArgs,
}

/// `calmline tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Only events of this call.
    #[arg(long, value_name = "ID")]
    pub call: Option<String>,
    /// Only events of these types, with commas between, e.g. `alert,alert_escalated,call_ended`.
    #[arg(long = "type", value_name = "TYPES")]
    pub types: Option<String>,
    /// First those that the server still has after the event of this number.
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    /// Ends after so many events.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Prints one JSON object an event, as the API has it.
    #[arg(long)]
    pub json: bool,
    /// The server to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `calmline capture`.
#[derive(Debug, Args)]
pub struct CaptureArgs {
    /// The call, as `calmline calls` lists it.
    #[arg(value_name = "CALL")]
    pub call: String,
    /// Why, for the audit trail (1-200 characters).
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The file, in pcapng; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// For how long at most; it ends with the call.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub seconds: u32,
    /// How large it may become; as large as the server permits when not given.
    #[arg(long, value_name = "BYTES")]
    pub bytes: Option<u64>,
    /// Headers of audio packets alone, also where there might be more.
    #[arg(long)]
    pub headers: bool,
    /// The server to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}
