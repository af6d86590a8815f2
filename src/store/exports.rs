//! Calls as rows, from a store that goes on meanwhile.

use tokio::sync::Semaphore;

use super::Store;
use crate::export::{ExportError, ExportFormat, ExportTable, ExportWriter};
use crate::web::Moment;

/// One at a time: each takes memory, and a processor that calls need, too.
static WRITERS: Semaphore = Semaphore::const_new(1);

/// Why none was.
#[derive(Debug)]
pub enum NoExport {
    /// Another one is being written.
    Busy,
    /// There would be too much of it.
    TooMuch(String),
    /// The store is down, or what it holds cannot be opened.
    Down(String),
}

impl Store {
    /// The ended calls that started from `from` on and before `before`, oldest first, as a table.
    ///
    /// # Errors
    /// When it cannot be had, and why.
    pub async fn export(
        &self,
        (table, format): (ExportTable, ExportFormat),
        from: Moment,
        before: Moment,
    ) -> Result<Vec<u8>, NoExport> {
        let turn = WRITERS.try_acquire().map_err(|_| NoExport::Busy)?;
        let written = self.read(move |embedded| {
            // Held until it is written, even when nobody waits any more.
            let _turn = turn;
            let begun = ExportWriter::new(table, format).map_err(|error| error.to_string())?;
            let (mut writer, mut refused) = (begun, None);
            let told = embedded.records(from, before, &mut |record| {
                writer.add(record).map_err(|error| {
                    let why = error.to_string();
                    refused = Some(error);
                    why
                })
            });
            match (refused, told) {
                (Some(ExportError::TooMuch), _) => Ok(Err(ExportError::TooMuch.to_string())),
                (_, Err(why)) => Err(why),
                (_, Ok(())) => writer.end().map(Ok).map_err(|error| error.to_string()),
            }
        });
        written.await.map_err(NoExport::Down)?.map_err(NoExport::TooMuch)
    }
}
