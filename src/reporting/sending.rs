//! Reports that go to somebody: each of a time that is over once, by mail or to a system outside, whatever becomes of this program
//! meanwhile. The outbox has them taken.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::json;
use tracing::info;

use super::schedule::{is_whole, report};
use crate::crm::{Letter, Parcel};
use crate::report::{Period, Report};
use crate::settings::{ReportSettings, ReportWay, Zone};
use crate::shell::crm::{MailTerms, Outbox};
use crate::store::Store;
use crate::web::Moment;

/// How many of a kind are caught up with: fewer than on disk, so that nobody who is new gets a pile.
fn back(period: Period) -> i64 {
    match period {
        Period::Day => 3,
        Period::Week | Period::Month => 1,
    }
}

/// Hands over what was not yet of what was over when `today` began.
///
/// # Errors
/// When the store does not answer, or the outbox takes something not. What could be handed over is.
pub(super) async fn send_due(
    settings: &ReportSettings,
    (zone, today): (&Zone, Date),
    store: &Store,
    outbox: &Outbox,
) -> Result<(), String> {
    let mut outcome = Ok(());
    // The same report goes to several.
    let mut reports: BTreeMap<String, Report> = BTreeMap::new();
    for (name, recipient) in &settings.to {
        let receiver = match &recipient.by {
            ReportWay::Mail(_) => MailTerms::receiver(name),
            ReportWay::Crm(crm) => crm.clone(),
        };
        for period in &recipient.periods {
            for first in period.over(today, back(*period)).map_err(|error| error.to_string())? {
                let title = period.title(first);
                let key = store.key_of(&format!("report {name} {} {title}", period.name()));
                if !is_whole(zone, store, first) || store.was_made(key.clone()).await? {
                    continue;
                }
                let known = reports.get(&title).cloned();
                let report = match known {
                    Some(report) => report,
                    None => report(store, zone, *period, first).await?,
                };
                reports.insert(title.clone(), report.clone());
                let letter = Letter::new(*period, title, report);
                let parcel = letter.parcel(&receiver, key, Moment::now().0);
                outcome = outcome.and(hand_over(name, &letter, parcel, store, outbox).await);
            }
        }
    }
    outcome
}

async fn hand_over(name: &str, letter: &Letter, parcel: Parcel, store: &Store, outbox: &Outbox) -> Result<(), String> {
    if outbox.send_once(parcel).await? {
        let report = letter.file_name();
        info!(to = name, report, "a report is on its way");
        store.audit("report_sent", json!({ "to": name, "report": report }));
    }
    Ok(())
}
