//! A report on its way to somebody: what is posted to systems outside, and what mails are written from.

use serde::{Deserialize, Serialize};

use super::{Parcel, State};
use crate::report::{Period, Report};

/// The type of event that a report is told as.
pub const REPORT_EVENT: &str = "report";

/// A report of one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// [`REPORT_EVENT`].
    event: String,
    /// `day`, `week` or `month`.
    period: String,
    /// What that time is called: `2026-11-26`, `2026-W48`, `2026-11`.
    pub title: String,
    /// All figures.
    pub report: Report,
}

impl Letter {
    /// The report of the time called `title`.
    pub fn new(period: Period, title: String, report: Report) -> Self {
        Self { event: REPORT_EVENT.to_owned(), period: period.name().to_owned(), title, report }
    }

    /// Reads what a parcel holds.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(parcel: &Parcel) -> Result<Letter, String> {
        serde_json::from_str(&parcel.body).map_err(|error| error.to_string())
    }

    /// The name of a file with it, without its ending: `month-2026-11`.
    pub fn file_name(&self) -> String {
        format!("{}-{}", self.period, self.title)
    }

    /// A parcel for a receiver, known by `key` for good; its number is still to be given.
    pub fn parcel(&self, receiver: &str, key: String, unix_ms: u64) -> Parcel {
        Parcel {
            id: 0,
            crm: receiver.to_owned(),
            to: None,
            call: String::new(),
            began_unix_ms: None,
            event: REPORT_EVENT.to_owned(),
            key,
            body: serde_json::to_string(self).expect("strings and numbers"),
            unix_ms,
            attempts: 0,
            state: State::Waiting(0),
            error: None,
        }
    }
}
