//! The command line: what can be asked of the program, and what its exit codes mean.
//!
//! The work itself is in the modules that the commands call.

mod deliveries;
mod eval;
mod keys;
mod policy;
mod recordings;
mod user;
mod watch;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use self::deliveries::{DeliveriesCommand, DeliveriesListArgs, DeliveryArgs};
pub use self::eval::{
    EvalAsrArgs, EvalCommand, EvalFeaturesArgs, EvalMaskingArgs, EvalPitchArgs, EvalSpeechArgs, EvalTextArgs,
};
pub use self::keys::{KeysArgs, KeysCommand};
pub use self::policy::{EvalWarningArgs, PolicyCommand, PolicyExplainArgs, PolicyTestArgs, RecordedArgs, ServerArgs};
pub use self::recordings::{RecordingsAddArgs, RecordingsCommand};
pub use self::user::{TotpArgs, UserCommand};
pub use self::watch::{
    AlertArgs, AlertAssignArgs, AlertDeedCommand, AlertSnoozeArgs, AlertsArgs, AlertsListArgs, CallsArgs, CallsState,
    CaptureArgs, TailArgs,
};
use crate::export::{ExportFormat, ExportTable};
use crate::features::Features;
use crate::report::{Language, Period, ReportFormat};
use crate::signed::PublicKey;
use crate::{
    analyze, backtest, backup, deliveries as delivering, demo, doctor, eval as evaluation, exporting, models,
    reporting, rotation, serve, settings, totp, trail, uploading, users, watch as watching,
};

/// Hears when a caller is getting angry and acts while the call is still on.
///
/// Exit codes: 0 done; 1 could not be done; 2 wrong command line; 3 a configuration file is wrong;
/// 4 ran to its end, but the outcome is not the expected one.
#[derive(Debug, Parser)]
#[command(version, about, long_about, verbatim_doc_comment, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server until SIGTERM or Ctrl-C.
    Serve(ServeArgs),
    /// Reads configuration and policy files and names everything that is wrong with them.
    Check(CheckArgs),
    /// Looks at the machine that the server is to run on, or runs on, and says what to mend: sockets, limits, clock, kernel,
    /// disks, keys, models, neighbours. Changes nothing.
    Doctor(DoctorArgs),
    /// Listens to a recording as the server would and prints its emotion timeline.
    Analyze(AnalyzeArgs),
    /// Shows calls through a real server on loopback: a calm one and an angry one, or a recording of yours.
    Demo(DemoArgs),
    /// Measures accuracy on data of yours.
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Policies: whether they do what is expected, what they would have done, and why they did what they did.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Recordings of calls: has a running server listen to them afterwards.
    #[command(subcommand)]
    Recordings(RecordingsCommand),
    /// The calls of a running server.
    Calls(CallsArgs),
    /// The alerts of a running server, and what is done about one.
    Alerts(AlertsArgs),
    /// What happens in a running server, as it happens, until Ctrl-C. Comes back when the server was away.
    Tail(TailArgs),
    /// Writes the packets of a call of a running server to a file for Wireshark, from now on: SIP and RTP of both legs.
    Capture(CaptureArgs),
    /// What systems outside are still to be told of, and what they would not take.
    #[command(subcommand)]
    Deliveries(DeliveriesCommand),
    /// The keys of the running server's store.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Recognisers' models: which there are, whether they are whole, and where to get them.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// The audit trail: whether it is as it was written, and what it says.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// What the calls of a day, a week or a month add up to.
    Report(ReportArgs),
    /// Ended calls of the running server as rows for a warehouse.
    Export(ExportArgs),
    /// Has the running server make a back-up of its store, and waits for it.
    Backup(BackupArgs),
    /// Takes a back-up back into the folder of a store that has nothing yet; the server must not run meanwhile.
    Restore(RestoreArgs),
    /// People who sign in to the console.
    #[command(subcommand)]
    User(UserCommand),
    /// Wraps the store's keys by another master key; the server must not run meanwhile.
    Rekey(RekeyArgs),
}

/// `calmline serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Writes log lines as JSON.
    #[arg(long)]
    pub log_json: bool,
    /// For tests: breaks the listening thread once, N seconds after the start: `stall@N`, `panic@N`, `kill@N`.
    #[arg(long, value_name = "FAULT@N", hide = true)]
    pub chaos: Option<crate::shell::listen::Chaos>,
}

/// `calmline audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Reads the whole trail and names every entry that was altered, removed or moved.
    Verify(AuditArgs),
    /// Prints the trail, one JSON object per entry.
    List(AuditArgs),
}

/// Where the audit trail is.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// The configuration file, for its `[store]`.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Only entries about this call.
    #[arg(long, value_name = "ID")]
    pub call: Option<String>,
}

/// `calmline report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The configuration file of the running server, for its `[web]`.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// How long a time.
    #[arg(long, value_enum, default_value_t = Period::Day)]
    pub period: Period,
    /// A day in it, e.g. `2026-11-26`; weeks begin on Monday. Yesterday when not given.
    #[arg(long, value_name = "DATE")]
    pub date: Option<jiff::civil::Date>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = ReportFormat::Html)]
    pub format: ReportFormat,
    /// The language of pages, paper and workbooks.
    #[arg(long, value_enum, default_value_t = Language::Zh)]
    pub language: Language,
    /// Where to; a whole file takes the place of one that is there. Standard output when not given.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `calmline export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The configuration file of the running server, for its `[web]` and its time zone.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Which table.
    #[arg(value_enum, value_name = "TABLE", default_value_t = ExportTable::Calls)]
    pub table: ExportTable,
    /// Of which day, or of the week or month of which day, calls started; yesterday when not given.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<jiff::civil::Date>,
    /// How long.
    #[arg(long, value_enum, default_value_t = Period::Day)]
    pub period: Period,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = ExportFormat::Parquet)]
    pub format: ExportFormat,
    /// Where to; a whole file takes the place of one that is there. Standard output when not given.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `calmline backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The configuration file of the running server, for its `[web]`.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// `calmline restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The configuration file, for its `[store]`.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The back-up's folder.
    #[arg(value_name = "FOLDER")]
    pub from: PathBuf,
}

/// `calmline rekey`.
#[derive(Debug, Args)]
pub struct RekeyArgs {
    /// The configuration file, for its `[store]` with the key that is in force.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// A file with the new master key: 32 bytes in hexadecimal or base64.
    #[arg(long, value_name = "FILE")]
    pub new_key_file: PathBuf,
}

/// `calmline check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A configuration file (with every file it names), or a single policy file.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// `calmline doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Prints one JSON object per finding.
    #[arg(long)]
    pub json: bool,
}

/// `calmline analyze`.
#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    /// A recording: PCM, µ-law or A-law WAV, 8-48 kHz; the first channel of a stereo file.
    #[arg(value_name = "FILE.wav")]
    pub file: PathBuf,
    /// Prints one JSON object per observation and a summary object last.
    #[arg(long)]
    pub json: bool,
    /// Also draws the recording's timeline.
    #[arg(long, value_name = "FILE.svg")]
    pub svg: Option<PathBuf>,
    /// The prosody alone, as a table.
    #[command(flatten)]
    pub features: FeatureArgs,
    /// What judges the voice.
    #[command(flatten)]
    pub model: ModelArgs,
}

/// Which table of the prosody, and in what form.
#[derive(Debug, Clone, Default, Args)]
pub struct FeatureArgs {
    /// Prints the prosody instead of the emotion: descriptors of every 10 ms, or functionals; openSMILE's column names.
    #[arg(long, value_name = "TABLE", requires = "csv", conflicts_with_all = ["json", "svg"])]
    pub features: Option<Features>,
    /// The form of the table: comma-separated values.
    #[arg(long, requires = "features")]
    pub csv: bool,
    /// Functionals of the last so many seconds, every half second; of the whole recording when not given.
    #[arg(long, value_name = "SECONDS", requires = "features")]
    pub window_s: Option<f32>,
}

/// Where the acoustic model and its runtime are.
#[derive(Debug, Clone, Default, Args)]
pub struct ModelArgs {
    /// The acoustic model; the shipped one when not given.
    #[arg(long, value_name = "FILE.onnx")]
    pub model: Option<PathBuf>,
    /// The ONNX Runtime library; searched for when not given.
    #[arg(long, value_name = "FILE.so")]
    pub runtime: Option<PathBuf>,
    /// Judges by the numbers about a voice alone, and not by its sound.
    #[arg(long)]
    pub without_sound: bool,
}

/// `calmline demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Plays this recording as the caller, instead of the two built-in callers.
    #[arg(long, value_name = "FILE.wav")]
    pub call: Option<PathBuf>,
    /// Prints the summary as one JSON object and nothing else.
    #[arg(long)]
    pub json: bool,
    /// Where pictures, recordings and the server's log go.
    #[arg(long, value_name = "DIR", default_value = "out/demo")]
    pub out: PathBuf,
    /// What hears words, when models are there.
    #[command(flatten)]
    pub models: ModelsArgs,
}

/// `calmline models`.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Lists the models that are there.
    List(ModelsArgs),
    /// Compares every file of every model with its manifest (length and SHA-256), and who has signed that.
    Verify(ModelsVerifyArgs),
    /// Makes a key to sign models with, and prints its public half, for `trusted_keys`.
    Key(ModelsKeyArgs),
    /// Signs the manifests and cards of models.
    Sign(ModelsSignArgs),
    /// Takes over a model from this machine: a package, or an acoustic model's folder with --language and --dictionary.
    Add(ModelsAddArgs),
    /// Fetches a package by the URL of its manifest; goes on where an earlier try was cut off.
    Pull(ModelsPullArgs),
    /// Has a model of emotion judge: writes it into the configuration, once it has been loaded. `shipped`: those of the
    /// program.
    Use(ModelsChooseArgs),
    /// Has a model of emotion judge beside the one in use and move nothing: how far it differs is told. `off`: none.
    Shadow(ModelsChooseArgs),
}

/// `calmline models verify`.
#[derive(Debug, Args)]
pub struct ModelsVerifyArgs {
    /// Where they are.
    #[command(flatten)]
    pub models: ModelsArgs,
    /// A public key; may be given more than once. Manifests have to be signed by one of them.
    #[arg(long = "trusted", value_name = "KEY")]
    pub trusted: Vec<PublicKey>,
}

/// `calmline models key`.
#[derive(Debug, Args)]
pub struct ModelsKeyArgs {
    /// The file of the secret half, which is new; nobody else may read it.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `calmline models sign`.
#[derive(Debug, Args)]
pub struct ModelsSignArgs {
    /// Folders with a manifest.toml, an acoustic.json or a text.json.
    #[arg(value_name = "FOLDER", required = true)]
    pub folders: Vec<PathBuf>,
    /// The file of the key.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
}

/// `calmline models use` and `calmline models shadow`.
#[derive(Debug, Args)]
pub struct ModelsChooseArgs {
    /// A folder with acoustic.onnx or text.onnx or both, each with its card (.json) beside it; or its name among the models.
    #[arg(value_name = "NAME|FOLDER")]
    pub model: String,
    /// The configuration that names the models.
    #[arg(long, short, value_name = "FILE", default_value = "calmline.toml")]
    pub config: PathBuf,
    /// Where models are kept.
    #[command(flatten)]
    pub models: ModelsArgs,
}

/// Where models are kept.
#[derive(Debug, Clone, Args)]
pub struct ModelsArgs {
    /// The folder of models.
    #[arg(long, value_name = "DIR", default_value = "models")]
    pub models: PathBuf,
}

/// `calmline models add`.
#[derive(Debug, Args)]
pub struct ModelsAddArgs {
    /// A package, the folder of an acoustic model, or that of a streaming model as sherpa-onnx publishes it.
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Where to.
    #[command(flatten)]
    pub to: ModelsArgs,
    /// What the package is to be called; its language when not given.
    #[arg(long)]
    pub name: Option<String>,
    /// The language of a model without a manifest: `zh` or `en`.
    #[arg(long, value_name = "CODE")]
    pub language: Option<String>,
    /// The pronunciation dictionary that goes with an acoustic model.
    #[arg(long, value_name = "FILE")]
    pub dictionary: Option<PathBuf>,
    /// Under what terms it may be used.
    #[arg(long, value_name = "TEXT")]
    pub licence: Option<String>,
}

/// `calmline models pull`.
#[derive(Debug, Args)]
pub struct ModelsPullArgs {
    /// The URL of the package's manifest; its files lie beside it, or where it says.
    #[arg(value_name = "URL")]
    pub manifest: String,
    /// Where to.
    #[command(flatten)]
    pub to: ModelsArgs,
    /// A public key; may be given more than once. The manifest has to be signed by one of them (`manifest.toml.sig` beside it).
    #[arg(long = "trusted", value_name = "KEY")]
    pub trusted: Vec<PublicKey>,
}

impl Cli {
    /// Runs the command and says how it went on standard error.
    pub fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::Serve(args) => serve::run(&args),
            Command::Check(args) => check(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Analyze(args) => analyze::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Eval(EvalCommand::Speech(args)) => evaluation::speech(&args),
            Command::Eval(EvalCommand::Asr(args)) => evaluation::asr(&args),
            Command::Eval(EvalCommand::Warning(args)) => evaluation::warning(&args),
            Command::Policy(command) => backtest::run(&command),
            Command::Recordings(RecordingsCommand::Add(args)) => uploading::add(&args),
            Command::Calls(args) => watching::calls(&args),
            Command::Alerts(args) => watching::alerts(&args),
            Command::Tail(args) => watching::tail(&args),
            Command::Capture(args) => watching::capture(&args),
            Command::Deliveries(command) => delivering::run(&command),
            Command::Keys(command) => rotation::run(&command),
            Command::Models(command) => models::run(&command),
            Command::Audit(command) => trail::run(&command),
            Command::Report(args) => reporting::run(&args),
            Command::Export(args) => exporting::run(&args),
            Command::Backup(args) => backup::run(&args),
            Command::Restore(args) => backup::restore(&args),
            Command::User(UserCommand::Hash) => users::hash(),
            Command::User(UserCommand::Totp(args)) => totp::make(&args),
            Command::Rekey(args) => trail::rekey(&args),
            Command::Eval(EvalCommand::Text(args)) => evaluation::text(&args),
            Command::Eval(EvalCommand::Masking(args)) => evaluation::masking(&args),
            Command::Eval(EvalCommand::Pitch(args)) => evaluation::pitch(&args),
            Command::Eval(EvalCommand::Features(args)) => evaluation::features(&args),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                // A closed pipe leaves nobody to tell.
                let _ = writeln!(io::stderr(), "calmline: {failure}");
                failure.exit_code()
            }
        }
    }
}

/// Why a command did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// It could not be done.
    Failed(String),
    /// A configuration file is wrong; one line per fault.
    Configuration(Vec<String>),
    /// It ran to its end, but the outcome is not the expected one.
    Unexpected(String),
}

impl Failure {
    /// A failure with what was being done and what went wrong.
    pub fn of(doing: impl fmt::Display, error: impl fmt::Display) -> Self {
        Failure::Failed(format!("{doing}: {error}"))
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Failed(_) => 1,
            Failure::Configuration(_) => 3,
            Failure::Unexpected(_) => 4,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Failed(what) | Failure::Unexpected(what) => f.write_str(what),
            Failure::Configuration(faults) => {
                let count = faults.len();
                write!(f, "{count} fault{} in the configuration", if count == 1 { "" } else { "s" })?;
                faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
        }
    }
}

/// Prints a line to standard output; a closed pipe is a failure, not a panic.
pub fn print_line(line: impl fmt::Display) -> Result<(), Failure> {
    writeln!(io::stdout(), "{line}").map_err(|error| Failure::of("standard output", error))
}

/// What is spoken, by `--language`.
pub(crate) fn spoken(code: &str) -> Result<nlu::recognition::Language, Failure> {
    let unknown = || Failure::Failed(format!("--language: expected zh or en, found {code:?}"));
    nlu::recognition::Language::of_code(code).ok_or_else(unknown)
}

/// True when progress may be shown on standard error.
pub fn shows_progress() -> bool {
    io::stderr().is_terminal()
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let mut faults = Vec::new();
    for file in &args.files {
        match settings::check(file) {
            Ok(checked) => checked.iter().try_for_each(|line| print_line(format_args!("ok: {line}")))?,
            Err(found) => faults.extend(found.iter().map(ToString::to_string)),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Failure::Configuration(faults)) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let code = |failure: Failure| format!("{:?}", failure.exit_code());
        assert_eq!(code(Failure::Failed(String::new())), format!("{:?}", ExitCode::from(1)));
        assert_eq!(code(Failure::Configuration(vec![])), format!("{:?}", ExitCode::from(3)));
        assert_eq!(code(Failure::Unexpected(String::new())), format!("{:?}", ExitCode::from(4)));
    }
}
