//! Reports on demand and by the clock: `calmline report` asks the running server for days, adds them up, and writes them in a
//! form of choice; `[reports]` has the server write them by itself.

mod fonts;
mod schedule;
mod sending;

use std::io::Write as _;

use tokio::sync::Semaphore;

use crate::cli::{Failure, ReportArgs};
use crate::demo::server::ask;
use crate::durable::write_whole;
use crate::report::{Report, ReportFormat};
use crate::settings::{Settings, Zone};
use crate::trail::settings_of;
pub(crate) use fonts::typeface;
pub(crate) use schedule::{ReportTerms, report as report_of, run as write_by_the_clock};

/// Reports that are written at a time: each takes memory, and a processor that calls need, too.
static WRITERS: Semaphore = Semaphore::const_new(2);

/// Runs `calmline report`.
///
/// # Errors
/// When the server cannot be asked, or the file cannot be written.
pub(crate) fn run(args: &ReportArgs) -> Result<(), Failure> {
    let Settings { web, policy, report_font, .. } = settings_of(&args.config)?;
    let web = web.ok_or_else(|| Failure::Failed("no [web]: the server cannot be asked".to_owned()))?;
    let token = web.token.fetch().map_err(|error| Failure::of("the API token", error))?;
    let today = policy.zone.unwrap_or_else(Zone::utc).today();
    let of_date = |error| Failure::of("the date", error);
    let date = args.date.map_or_else(|| today.yesterday(), Ok).map_err(of_date)?;
    let mut report: Option<Report> = None;
    for day in args.period.days(date).map_err(of_date)? {
        let path = format!("/v1/reports/{day}");
        let (status, body) = ask(&web, ("GET", &path), "", token.reveal())?;
        let unexpected = || Failure::Failed(format!("GET {path}: found {status}: {body}"));
        let later: Report = serde_json::from_str(&body).map_err(|_| unexpected())?;
        match &mut report {
            Some(report) => report.merge(&later),
            None => report = Some(later),
        }
    }
    let report = report.expect("a time has days");
    let typeface = match args.format {
        ReportFormat::Pdf => typeface(report_font.as_deref()).map_err(Failure::Failed)?,
        _ => None,
    };
    let written = args.format.write(&report, args.language, typeface.as_ref());
    let bytes = written.map_err(|error| Failure::of("the report", error))?;
    match &args.out {
        Some(path) => write_whole(path, &bytes, None).map_err(|error| Failure::of(path.display(), error)),
        None => std::io::stdout().write_all(&bytes).map_err(|error| Failure::of("standard output", error)),
    }
}

/// Has a report written once it is its turn: pictures take a while, and calls are handled by the threads that ask.
///
/// # Errors
/// As `write`.
pub(crate) async fn in_turn<T: Send + 'static>(
    write: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let turn = WRITERS.acquire().await.map_err(|error| error.to_string())?;
    let written = tokio::task::spawn_blocking(move || {
        let written = write();
        drop(turn);
        written
    });
    written.await.unwrap_or_else(|error| Err(error.to_string()))
}
