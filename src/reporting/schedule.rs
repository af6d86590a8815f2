//! Reports that the server writes by itself once their time is over. What is there is not written again; what is missing is
//! written at the next look, for as long as [`back`] says, so that a server that was down catches up.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use serde_json::json;
use tokio::sync::watch;
use tracing::{info, warn};

use super::sending::send_due;
use super::{in_turn, typeface};
use crate::durable::write_whole;
use crate::report::{Language, Period, Report, ReportFormat, Typeface};
use crate::settings::{ReportSettings, Settings, Zone};
use crate::shell::crm::Outbox;
use crate::store::{REPORTS_LEASE, Store};
use crate::web::{Component, Moment, Readiness};

/// How often it is looked for what is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long another node of a site waits for one that has gone while it was its turn.
const LEASE: Duration = Duration::from_secs(180);

/// How many of a kind are caught up with.
fn back(period: Period) -> i64 {
    match period {
        Period::Day => 14,
        Period::Week => 4,
        Period::Month => 2,
    }
}

/// Which reports are written and sent, and where days begin.
#[derive(Debug, Clone)]
pub(crate) struct ReportTerms {
    /// None where none are.
    reports: Option<ReportSettings>,
    zone: Zone,
}

impl ReportTerms {
    /// Those of a configuration.
    pub(crate) fn of(settings: &Settings) -> ReportTerms {
        let zone = settings.policy.zone.clone().unwrap_or_else(Zone::utc);
        ReportTerms { reports: settings.reports.clone(), zone }
    }
}

/// Writes and sends what is due, again and again, and says whether that goes well. By other terms it is looked at once;
/// what was begun is brought to its end before.
pub(crate) async fn run(
    mut terms: watch::Receiver<ReportTerms>,
    (store, outbox): (Store, Outbox),
    readiness: Arc<Readiness>,
) {
    let mut aside = outbox.has_reports_aside();
    let mut every = tokio::time::interval(LOOK_EVERY);
    let mut failed = false;
    loop {
        let ReportTerms { reports, zone } = terms.borrow_and_update().clone();
        readiness.want_reports(reports.is_some());
        let is_look = tokio::select! {
            _ = every.tick() => true,
            Ok(()) = aside.changed() => false,
            changed = terms.changed() => match changed {
                Ok(()) => {
                    every.reset_immediately();
                    false
                }
                // Nobody is left to say what is written.
                Err(_) => return,
            },
        };
        failed &= reports.is_some();
        if let Some(settings) = reports.filter(|_| is_look) {
            let outcome = look(&settings, &zone, (&store, &outbox)).await;
            if let Err(why) = &outcome
                && !failed
            {
                warn!(why, "a report could not be written or sent: it is tried again every minute");
            }
            failed = outcome.is_err();
        }
        readiness.set(Component::Reports, !failed && !*aside.borrow_and_update());
    }
}

/// Writes and sends what is due, where it is this node's turn.
async fn look(settings: &ReportSettings, zone: &Zone, (store, outbox): (&Store, &Outbox)) -> Result<(), String> {
    if !store.has_lease(REPORTS_LEASE.to_owned(), LEASE).await? {
        return Ok(());
    }
    let today = zone.date_after(settings.after_midnight);
    let written = write_due(settings, zone, store, today).await;
    let sent = send_due(settings, (zone, today), store, outbox).await;
    written.and(sent)
}

/// Writes the files that are missing of what was over when `today` began.
///
/// # Errors
/// When the store does not answer, or a file cannot be written. What could be written is.
async fn write_due(settings: &ReportSettings, zone: &Zone, store: &Store, today: Date) -> Result<(), String> {
    let mut outcome = Ok(());
    for period in &settings.periods {
        for first in period.over(today, back(*period)).map_err(|error| error.to_string())? {
            let missing = missing(settings, *period, first);
            if missing.is_empty() || !is_whole(zone, store, first) {
                continue;
            }
            outcome = outcome.and(write_missing(settings, (zone, store), (*period, first), missing).await);
        }
    }
    outcome
}

async fn write_missing(
    settings: &ReportSettings,
    (zone, store): (&Zone, &Store),
    (period, first): (Period, Date),
    missing: Vec<Wanted>,
) -> Result<(), String> {
    let report = report(store, zone, period, first).await?;
    let (files, font) = (missing.len(), settings.font.clone());
    in_turn(move || write(&missing, &report, font.as_deref())).await?;
    let title = period.title(first);
    info!(period = period.name(), title, files, folder = %settings.folder.display(), "a report is written");
    store.audit("report_written", json!({ "period": period.name(), "title": title, "files": files }));
    Ok(())
}

/// Whether all of a time is kept that begins on `first`: else there would be a part, that looks like all of it.
pub(super) fn is_whole(zone: &Zone, store: &Store, first: Date) -> bool {
    let kept = u64::try_from(store.keeps().as_millis()).unwrap_or(u64::MAX);
    let kept_from = Moment(Moment::now().0.saturating_sub(kept));
    zone.day(first).is_some_and(|(begins, _)| begins >= kept_from)
}

/// A file of a report, and what it holds.
type Wanted = (PathBuf, ReportFormat, Language);

fn missing(settings: &ReportSettings, period: Period, first: Date) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for format in &settings.formats {
        let by_language = format.has_language();
        for language in settings.languages.iter().take(if by_language { usize::MAX } else { 1 }) {
            let language_part = if by_language { format!(".{}", language.name()) } else { String::new() };
            let name = format!("{}-{}{language_part}.{}", period.name(), period.title(first), format.name());
            wanted.push((settings.folder.join(name), *format, *language));
        }
    }
    wanted.retain(|(path, ..)| !path.exists());
    wanted
}

/// What the calls of a time add up to that begins on `first`.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn report(store: &Store, zone: &Zone, period: Period, first: Date) -> Result<Report, String> {
    let mut days = period.days(first).map_err(|error| error.to_string())?.into_iter();
    let mut report = of_day(store, zone, days.next().unwrap_or(first)).await?;
    for day in days {
        report.merge(&of_day(store, zone, day).await?);
    }
    Ok(report)
}

/// A day's; it says so when some of its calls are as old as they may become.
async fn of_day(store: &Store, zone: &Zone, day: Date) -> Result<Report, String> {
    let report = store.report(day, zone.clone()).await?;
    let after = || day.tomorrow().map_or_else(|_| day.to_string(), |next| next.to_string());
    let is_missed = zone.day(day).is_some() && !is_whole(zone, store, day);
    Ok(Report { complete_from: is_missed.then(after), ..report })
}

/// Writes files; what cannot be written keeps no other from being written.
fn write(wanted: &[Wanted], report: &Report, font: Option<&Path>) -> Result<(), String> {
    let is_printed = wanted.iter().any(|(_, format, _)| *format == ReportFormat::Pdf);
    let typeface = if is_printed { typeface(font) } else { Ok(None) };
    let mut outcome = Ok(());
    for (path, format, language) in wanted {
        let written = write_one(path, (*format, *language), report, &typeface);
        outcome = outcome.and(written.map_err(|why| format!("{}: {why}", path.display())));
    }
    outcome
}

fn write_one(
    path: &Path,
    (format, language): (ReportFormat, Language),
    report: &Report,
    typeface: &Result<Option<Typeface>, String>,
) -> Result<(), String> {
    let typeface = match typeface {
        Ok(typeface) => typeface.as_ref(),
        Err(why) if format == ReportFormat::Pdf => return Err(why.clone()),
        Err(_) => None,
    };
    let bytes = format.write(report, language, typeface).map_err(|error| error.to_string())?;
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(|error| error.to_string())?;
    write_whole(path, &bytes, None).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::metrics::Metrics;
    use crate::settings::StoreSettings;

    #[tokio::test]
    async fn what_is_over_is_written_once_and_what_was_missed_is_caught_up_with() {
        let root = tempfile::tempdir().expect("a folder");
        let kept = StoreSettings::within(root.path(), Duration::MAX);
        let store = Store::start(&kept, &Metrics::new()).expect("a store");
        let settings = ReportSettings {
            folder: root.path().join("reports"),
            after_midnight: Duration::from_secs(7_200),
            periods: Period::ALL.to_vec(),
            formats: vec![ReportFormat::Html, ReportFormat::Csv, ReportFormat::Json, ReportFormat::Xlsx],
            font: None,
            to: BTreeMap::new(),
            languages: vec![Language::Zh, Language::En],
        };
        let zone = Zone::named("Asia/Shanghai").expect("a zone");
        let names = || {
            let entries = fs::read_dir(&settings.folder).expect("a folder").map(|entry| entry.expect("an entry"));
            let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().expect("plain")).collect();
            names.sort();
            names
        };
        let today: Date = "2026-11-26".parse().expect("a day");
        // What is in the way of one is in the way of no other, before it or after it.
        let in_the_way = settings.folder.join(".day-2026-11-20.csv.new");
        fs::create_dir_all(&in_the_way).expect("a folder");
        let why = write_due(&settings, &zone, &store, today).await.expect_err("one cannot be written");
        assert!(why.contains("day-2026-11-20.csv"), "{why}");
        fs::remove_dir(&in_the_way).expect("it is there");
        assert_eq!(names().len(), 6 * (14 + 4 + 2) - 1, "all but its table");
        write_due(&settings, &zone, &store, today).await.expect("written");
        // Two pages and two workbooks, a table and the figures of each.
        assert_eq!(names().len(), 6 * (14 + 4 + 2));
        for name in ["day-2026-11-25.zh.html", "day-2026-11-12.json", "week-2026-W47.en.html", "month-2026-10.csv"] {
            assert!(names().contains(&name.to_owned()), "{name}");
        }
        assert!(!names().iter().any(|name| name.contains("2026-11-26") || name.contains("W48")), "not over yet");

        let [gone, changed] = ["day-2026-11-20.csv", "day-2026-11-21.csv"].map(|name| settings.folder.join(name));
        fs::remove_file(&gone).expect("it is there");
        fs::write(&changed, "mine").expect("written");
        write_due(&settings, &zone, &store, today).await.expect("written");
        assert!(gone.exists());
        assert_eq!(fs::read_to_string(&changed).expect("a file"), "mine", "what is there stays");
        write_due(&settings, &zone, &store, today.tomorrow().expect("a day")).await.expect("written");
        assert_eq!(names().len(), 6 * (15 + 4 + 2));
        let page = fs::read_to_string(settings.folder.join("day-2026-11-26.zh.html")).expect("a page");
        assert!(page.contains("2026-11-26") && page.contains("Asia/Shanghai"), "{page}");
        assert_eq!(written_at(&store, &zone).await, [None, None]);
        store.stop();
        let error = write_due(&settings, &zone, &store, "2026-11-28".parse().expect("a day")).await;
        assert_eq!(error.expect_err("nobody answers"), "the store is down");
    }

    #[tokio::test]
    async fn what_is_kept_no_longer_is_said_to_be_missing() {
        let root = tempfile::tempdir().expect("a folder");
        let kept = StoreSettings::within(root.path(), Duration::from_secs(10 * 86_400));
        let store = Store::start(&kept, &Metrics::new()).expect("a store");
        let zone = Zone::named("Asia/Shanghai").expect("a zone");
        let [month, day] = written_at(&store, &zone).await;
        let first = month.expect("it is longer ago than calls are kept");
        assert!(
            first.parse::<Date>().expect("a day") > Period::Month.over(zone.today(), 1).expect("months")[0],
            "{first}"
        );
        assert_eq!(day, None, "today's are all there");
        let report = Report { complete_from: Some(first.clone()), ..Report::of_day("2026-11-26", "Asia/Shanghai") };
        for (language, words) in [(Language::En, "not whole"), (Language::Zh, "不完整")] {
            let page = ReportFormat::Html.write(&report, language, None).expect("a page");
            let page = String::from_utf8(page).expect("text");
            assert!(page.contains(words) && page.contains(&first), "{page}");
        }
        store.stop();
    }

    /// From when on the report of last month is whole, and that of today, where they are not.
    async fn written_at(store: &Store, zone: &Zone) -> [Option<String>; 2] {
        let today = zone.today();
        let month = Period::Month.over(today, 1).expect("months")[0];
        let month = report(store, zone, Period::Month, month).await.expect("a report");
        let day = report(store, zone, Period::Day, today).await.expect("a report");
        [month.complete_from, day.complete_from]
    }
}
