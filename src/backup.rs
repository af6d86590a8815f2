//! `calmline backup` and `calmline restore`: the store, copied while the server runs, and taken back.

use std::thread;
use std::time::Duration;

use crate::cli::{BackupArgs, Failure, RestoreArgs, print_line};
use crate::demo::server::ask;
use crate::settings::Settings;
use crate::store::Backup;
use crate::store::backup::restore as take_back;
use crate::trail::{settings_of, store_of};

/// How often it is asked whether the back-up is whole.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Runs `calmline backup`.
///
/// # Errors
/// When the server cannot be asked, or makes none.
pub(crate) fn run(args: &BackupArgs) -> Result<(), Failure> {
    let Settings { web, .. } = settings_of(&args.config)?;
    let web = web.ok_or_else(|| Failure::Failed("no [web]: the server cannot be asked".to_owned()))?;
    let token = web.token.fetch().map_err(|error| Failure::of("the API token", error))?;
    let told = |method: &str| -> Result<Backup, Failure> {
        let (status, body) = ask(&web, (method, "/v1/backup"), "", token.reveal())?;
        let unexpected = || Failure::Failed(format!("{method} /v1/backup: found {status}: {body}"));
        serde_json::from_str(&body).map_err(|_| unexpected())
    };
    let mut backup = told("POST")?;
    while matches!(backup, Backup::Running { .. }) {
        thread::sleep(ASK_EVERY);
        backup = told("GET")?;
    }
    match backup {
        Backup::Done { folder, files, bytes } => {
            print_line(format_args!("{}: {files} files, {bytes} bytes", folder.display()))
        }
        Backup::Failed { why } => Err(Failure::Failed(why)),
        Backup::None | Backup::Running { .. } => {
            Err(Failure::Failed("the server was started again meanwhile".to_owned()))
        }
    }
}

/// Runs `calmline restore`.
///
/// # Errors
/// When the back-up is none, or not as it was made, or there is a store already.
pub(crate) fn restore(args: &RestoreArgs) -> Result<(), Failure> {
    let settings = store_of(&args.config)?;
    let manifest = take_back(&settings, &args.from).map_err(|error| Failure::of("restoring", error))?;
    let (folder, begun) = (settings.folder.display(), serde_json::to_value(manifest.begun).unwrap_or_default());
    print_line(format_args!(
        "{folder}: as it was at {}; who was erased since then must be erased again",
        begun.as_str().unwrap_or_default()
    ))
}
