//! Calls as rows, from a store that goes on meanwhile.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::Store;
use crate::export::{ExportError, ExportFormat, ExportTable, ExportWriter};
use crate::web::Moment;

/// One at a time, until it is sent: each takes memory, and a processor that calls need, too.
static WRITERS: Semaphore = Semaphore::const_new(1);

/// A table.
#[derive(Debug)]
pub struct Exported {
    /// All of it.
    pub octets: Vec<u8>,
    /// The next one has its turn when this is dropped.
    pub turn: SemaphorePermit<'static>,
}

/// Why none was.
#[derive(Debug)]
pub enum NoExport {
    /// Another one is being written, or sent.
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
    ) -> Result<Exported, NoExport> {
        let turn = WRITERS.try_acquire().map_err(|_| NoExport::Busy)?;
        let written = self.read(move |embedded| {
            // The turn is held until it is written, even when nobody waits any more.
            let begun = ExportWriter::new(table, format).map_err(|error| error.to_string())?;
            let (mut writer, mut refused) = (begun, None);
            let told = embedded.records(from, before, &mut |record, facts| {
                writer.add(record, facts).map_err(|error| {
                    let why = error.to_string();
                    refused = Some(error);
                    why
                })
            });
            match (refused, told) {
                (Some(ExportError::TooMuch), _) => Ok(Err(ExportError::TooMuch.to_string())),
                (_, Err(why)) => Err(why),
                (_, Ok(())) => {
                    writer.end().map(|octets| Ok(Exported { octets, turn })).map_err(|error| error.to_string())
                }
            }
        });
        written.await.map_err(NoExport::Down)?.map_err(NoExport::TooMuch)
    }
}
