//! What can be asked of `calmline policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `calmline policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Plays the expectations of policies, and recorded interactions through them; exit code 4 when one is not met.
    Test(PolicyTestArgs),
    /// Shows what was decided about a call, when, and why.
    Explain(PolicyExplainArgs),
    /// Has a running server go back to the policies before its last reload.
    Back(ServerArgs),
}

/// `calmline policy test`.
#[derive(Debug, Args)]
pub struct PolicyTestArgs {
    /// Interactions: sets (.toml), logs of events as the API tells them (.jsonl), calls as the API shows them (.json),
    /// recordings (.wav), or folders of these.
    #[arg(value_name = "DIR|FILE")]
    pub interactions: Vec<PathBuf>,
    /// The policy version to try: a folder of policy files, or a file; may be given more than once.
    #[arg(long, value_name = "DIR|FILE.toml", default_value = "config/policies")]
    pub policies: Vec<PathBuf>,
    /// The version in force, to compare with; what was decided at the time when not given.
    #[arg(long, value_name = "DIR|FILE.toml")]
    pub against: Vec<PathBuf>,
    /// How long a person takes to answer, in the simulation.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub answer_s: f64,
    /// Where it is the hour that rules name, e.g. `Asia/Shanghai`; for interactions that say when they were.
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// How recordings are listened to.
    #[command(flatten)]
    pub recorded: RecordedArgs,
    /// Also prints what is decided in every interaction.
    #[arg(long)]
    pub each: bool,
    /// Prints the figures as one JSON object on the last line.
    #[arg(long)]
    pub json: bool,
}

/// How recordings among the interactions are listened to.
#[derive(Debug, Clone, Default, Args)]
pub struct RecordedArgs {
    /// The scenario that recordings are of.
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,
    /// The configuration by whose models, lexicons and recogniser they are listened to; as shipped, and without words, when
    /// not given.
    #[arg(long, value_name = "FILE", requires = "scenario")]
    pub config: Option<PathBuf>,
    /// The channel of whoever serves, 0 or 1; left out, the first channel is the caller's, and nobody else is heard.
    #[arg(long, value_name = "CHANNEL", requires = "scenario", value_parser = clap::value_parser!(u16).range(0..=1))]
    pub agent: Option<u16>,
    /// What is spoken in them: `zh` or `en`.
    #[arg(long, value_name = "CODE", requires = "scenario")]
    pub language: Option<String>,
}

/// `calmline policy explain`.
#[derive(Debug, Args)]
pub struct PolicyExplainArgs {
    /// The call's id.
    #[arg(value_name = "CALL")]
    pub call: String,
    /// A log of events (.jsonl) or the call as the API shows it (.json), instead of a running server.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// The server to ask.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// A running server.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// Where its API is. When not given: what the environment variable `CALMLINE_URL` says, or else http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The environment variable that holds the API's token.
    #[arg(long, value_name = "NAME", default_value = "CALMLINE_TOKEN")]
    pub token_env: String,
    /// A file whose first line is the token, in place of that.
    #[arg(long, value_name = "FILE", conflicts_with = "token_env")]
    pub token_file: Option<PathBuf>,
    /// Certificates (PEM) by which the server's is believed, too, beside the system's.
    #[arg(long, value_name = "FILE")]
    pub authorities: Option<PathBuf>,
}

/// `calmline eval warning`.
#[derive(Debug, Args)]
pub struct EvalWarningArgs {
    /// Interactions that say when they escalate, as for `calmline policy test`.
    #[arg(value_name = "DIR|FILE", required = true)]
    pub interactions: Vec<PathBuf>,
    /// The policies, for their `warn_at`.
    #[arg(long, value_name = "DIR|FILE.toml", default_value = "config/policies")]
    pub policies: Vec<PathBuf>,
    /// Prints the figures as one JSON object on the last line.
    #[arg(long)]
    pub json: bool,
}
