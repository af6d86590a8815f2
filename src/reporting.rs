//! Reports on demand and by the clock: `calmline report` asks the running server for days, adds them up, and writes a page, a
//! table or JSON; `[reports]` has the server write them by itself.

mod schedule;

use std::fs;
use std::path::Path;

use crate::cli::{Failure, ReportArgs, print_line};
use crate::demo::server::ask;
use crate::report::Report;
use crate::settings::{Settings, Zone};
use crate::trail::settings_of;
pub(crate) use schedule::run as write_by_the_clock;

/// Runs `calmline report`.
///
/// # Errors
/// When the server cannot be asked, or the file cannot be written.
pub(crate) fn run(args: &ReportArgs) -> Result<(), Failure> {
    let Settings { web, policy, .. } = settings_of(&args.config)?;
    let web = web.ok_or_else(|| Failure::Failed("no [web]: the server cannot be asked".to_owned()))?;
    let token = web.token.fetch().map_err(|error| Failure::of("the API token", error))?;
    let today = policy.zone.unwrap_or_else(Zone::utc).today();
    let of_date = |error| Failure::of("the date", error);
    let date = args.date.map_or_else(|| today.yesterday(), Ok).map_err(of_date)?;
    let mut report: Option<Report> = None;
    for day in args.period.days(date).map_err(of_date)? {
        let path = format!("/v1/reports/{day}");
        let (status, body) = ask(web.listen, ("GET", &path), "", token.reveal())?;
        let unexpected = || Failure::Failed(format!("GET {path}: found {status}: {body}"));
        let later: Report = serde_json::from_str(&body).map_err(|_| unexpected())?;
        match &mut report {
            Some(report) => report.merge(&later),
            None => report = Some(later),
        }
    }
    let report = report.expect("a time has days");
    let text = args.format.write(&report, args.language).map_err(|error| Failure::of("the report", error))?;
    match &args.out {
        Some(path) => write_whole(path, &text).map_err(|error| Failure::of(path.display(), error)),
        None => print_line(text),
    }
}

/// Writes beside it, then puts it in its place: whoever reads finds the old file or the new one.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}
