//! `calmline report`: asks the running server for days, adds them up, and writes a page, a table or JSON.

use std::fs;
use std::path::Path;

use jiff::ToSpan;
use jiff::civil::Date;

use crate::cli::{Failure, Period, ReportArgs, ReportFormat, print_line};
use crate::demo::server::ask;
use crate::report::{Report, page, table};
use crate::settings::{Settings, Zone};
use crate::trail::settings_of;

/// Runs `calmline report`.
///
/// # Errors
/// When the server cannot be asked, or the file cannot be written.
pub(crate) fn run(args: &ReportArgs) -> Result<(), Failure> {
    let Settings { web, policy, .. } = settings_of(&args.config)?;
    let web = web.ok_or_else(|| Failure::Failed("no [web]: the server cannot be asked".to_owned()))?;
    let token = web.token.fetch().map_err(|error| Failure::of("the API token", error))?;
    let today = policy.zone.unwrap_or_else(Zone::utc).today();
    let date = args.date.map_or_else(|| today.yesterday(), Ok).map_err(|error| Failure::of("the date", error))?;
    let mut report: Option<Report> = None;
    for day in days(args.period, date)? {
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
    let text = match args.format {
        ReportFormat::Html => page(&report, args.language).map_err(|error| Failure::of("the report", error))?,
        ReportFormat::Csv => table(&report),
        ReportFormat::Json => serde_json::to_string_pretty(&report).expect("strings and numbers"),
    };
    match &args.out {
        Some(path) => write_whole(path, &text).map_err(|error| Failure::of(path.display(), error)),
        None => print_line(text),
    }
}

/// The days of a time, in order.
fn days(period: Period, date: Date) -> Result<Vec<Date>, Failure> {
    let first = match period {
        Period::Day => Ok(date),
        Period::Week => date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()),
        Period::Month => Ok(date.first_of_month()),
    };
    let first = first.map_err(|error| Failure::of("the date", error))?;
    let count = match period {
        Period::Day => 1,
        Period::Week => 7,
        Period::Month => usize::try_from(date.days_in_month()).unwrap_or(31),
    };
    Ok(first.series(1.day()).take(count).collect())
}

/// Writes beside it, then puts it in its place: whoever reads finds the old file or the new one.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_days() {
        for (period, date, first, last, count) in [
            (Period::Day, "2026-11-26", "2026-11-26", "2026-11-26", 1),
            (Period::Week, "2026-11-26", "2026-11-23", "2026-11-29", 7),
            (Period::Week, "2027-01-01", "2026-12-28", "2027-01-03", 7),
            (Period::Month, "2028-02-29", "2028-02-01", "2028-02-29", 29),
            (Period::Month, "2026-11-26", "2026-11-01", "2026-11-30", 30),
        ] {
            let days = days(period, date.parse().expect("a day")).expect("days");
            let ends = [days.first(), days.last()].map(|day| day.expect("one at least").to_string());
            assert_eq!((ends, days.len()), ([first.to_owned(), last.to_owned()], count), "{period:?} of {date}");
        }
    }
}
