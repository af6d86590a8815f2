//! `calmline export`: asks the running server for calls as rows, and writes them to a file.

use std::io::Write as _;
use std::time::Duration;

use crate::cli::{ExportArgs, Failure};
use crate::demo::server::ask_octets;
use crate::durable::write_whole;
use crate::settings::{Settings, Zone};
use crate::trail::settings_of;

/// The server reads calls one by one.
const ANSWERED_WITHIN: Duration = Duration::from_secs(600);
/// The longest answer, octets: more than the server makes.
const OCTETS_MAX: u64 = 320 << 20;

/// Runs `calmline export`.
///
/// # Errors
/// When the server cannot be asked, has too much, or the file cannot be written.
pub(crate) fn run(args: &ExportArgs) -> Result<(), Failure> {
    let Settings { web, policy, .. } = settings_of(&args.config)?;
    let web = web.ok_or_else(|| Failure::Failed("no [web]: the server cannot be asked".to_owned()))?;
    let token = web.token.fetch().map_err(|error| Failure::of("the API token", error))?;
    let zone = policy.zone.unwrap_or_else(Zone::utc);
    let of_date = |error| Failure::of("the date", error);
    let date = args.date.map_or_else(|| zone.today().yesterday(), Ok).map_err(of_date)?;
    let days = args.period.days(date).map_err(of_date)?;
    // The first day and the last that the zone has: it may have skipped one.
    let mut there = days.iter().filter_map(|day| zone.day(*day));
    let missing = || Failure::Failed(format!("{date}: expected a day that {} has", zone.name()));
    let (from, first_end) = there.next().ok_or_else(missing)?;
    let before = there.next_back().map_or(first_end, |(_, end)| end);
    let path = format!("/v1/exports/{}?from={from}&before={before}&format={}", args.table.name(), args.format.name());
    let (status, octets) = ask_octets(&web, ("GET", &path), "", token.reveal(), ANSWERED_WITHIN, OCTETS_MAX)?;
    if status != 200 {
        let body = String::from_utf8_lossy(&octets).into_owned();
        return Err(Failure::Failed(format!("GET {path}: found {status}: {body}")));
    }
    match &args.out {
        Some(path) => write_whole(path, &octets, Some(0o600)).map_err(|error| Failure::of(path.display(), error)),
        None => std::io::stdout().write_all(&octets).map_err(|error| Failure::of("standard output", error)),
    }
}
