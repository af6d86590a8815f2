//! Reports that go to somebody: each of a time that is over once, by mail or to a system outside, whatever becomes of this program
//! meanwhile. The outbox has them taken.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::json;
use tracing::info;

use super::schedule::{is_whole, report};
use crate::crm::{Letter, Parcel};
use crate::pii::Pii;
use crate::report::{Period, Report};
use crate::settings::{ReportRecipient, ReportSettings, ReportWay, Zone};
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
        for period in &recipient.periods {
            for first in period.over(today, back(*period)).map_err(|error| error.to_string())? {
                if !is_whole(zone, store, first) {
                    continue;
                }
                let sent = send(name, recipient, (zone, *period, first), (store, outbox), &mut reports).await;
                outcome = outcome.and(sent);
            }
        }
    }
    outcome
}

async fn send(
    name: &str,
    recipient: &ReportRecipient,
    (zone, period, first): (&Zone, Period, Date),
    (store, outbox): (&Store, &Outbox),
    reports: &mut BTreeMap<String, Report>,
) -> Result<(), String> {
    let title = period.title(first);
    let (mut outcome, mut is_sent) = (Ok(()), false);
    for (receiver, to) in ways(name, recipient) {
        let address = to.as_ref().map_or_else(String::new, |to| format!(" {}", to.reveal()));
        let key = store.key_of(&format!("report {name} {} {title}{address}", period.name()));
        let sent = async {
            if store.was_made(key.clone()).await? {
                return Ok(false);
            }
            if !reports.contains_key(&title) {
                reports.insert(title.clone(), report(store, zone, period, first).await?);
            }
            let letter = Letter::new(period, title.clone(), reports[&title].clone());
            outbox.send_once(Parcel { to, ..letter.parcel(&receiver, key, Moment::now().0) }).await
        };
        match sent.await {
            Ok(is_first) => is_sent |= is_first,
            Err(why) => outcome = outcome.and(Err(why)),
        }
    }
    if is_sent {
        let report = format!("{}-{title}", period.name());
        info!(to = name, report, "a report is on its way");
        store.audit("report_sent", json!({ "to": name, "report": report }));
    }
    outcome
}

/// The receivers of a recipient's parcels: one parcel for each address, so that one that nobody is at costs the others nothing.
fn ways(name: &str, recipient: &ReportRecipient) -> Vec<(String, Option<Pii<String>>)> {
    match &recipient.by {
        ReportWay::Mail(addresses) => {
            let to = addresses.iter().map(|address| Pii::new(address.email.to_string()));
            to.map(|to| (MailTerms::receiver(name), Some(to))).collect()
        }
        ReportWay::Crm(crm) => vec![(crm.clone(), None)],
    }
}
