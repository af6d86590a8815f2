//! `/v1/exports/{table}`: ended calls of a time as rows for a warehouse, in a form of choice.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::calls::store_down;
use super::moment::Moment;
use super::orders::bad;
use super::people::{audit, kept};
use super::problem::Problem;
use super::query::asked;
use super::reports::one_of;
use super::routes::App;
use super::signing::Who;
use crate::export::{ExportFormat, ExportTable};
use crate::store::{Exported, NoExport};

/// Octets of a table that are sent at a time, and pieces of so many on their way.
const PIECE_OCTETS: usize = 1 << 20;
const PIECES_IN_FLIGHT: usize = 2;
/// Whoever does not take a piece in so long is let go of: the next table waits for this one.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of when, and in which form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    /// Calls that started then or later, RFC 3339.
    from: Moment,
    /// Calls that started before it, RFC 3339.
    before: Moment,
    /// `parquet`, `csv`, or `json`: one object a line.
    #[param(nullable = false, default = "parquet")]
    format: Option<String>,
}

/// `GET /v1/exports/{table}`.
pub(super) async fn of_table(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path(table): Path<String>,
    wanted: Result<Query<ExportQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let ExportQuery { from, before, format } = asked(wanted)?;
    let names = ExportTable::ALL.map(ExportTable::name).join(", ");
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("expected a table of {names}, found {table:?}"));
    let table = ExportTable::ALL.into_iter().find(|known| known.name() == table).ok_or_else(unknown)?;
    let format = one_of("format", format.as_deref(), ExportFormat::Parquet).map_err(bad)?;
    let store = kept(&app)?;
    // First: what leaves is on record, whatever becomes of it.
    audit(store, &who, "exported", json!({ "table": table.name(), "from": from, "before": before })).await?;
    let refused = |no| match no {
        NoExport::Busy => Problem::new(StatusCode::CONFLICT, "another export is being written, or fetched".to_owned()),
        NoExport::TooMuch(why) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why),
        NoExport::Down(why) => store_down(why),
    };
    let exported = store.export((table, format), from, before).await.map_err(refused)?;
    let name = format!("attachment; filename=\"{}.{}\"", table.name(), format.name());
    let length = (CONTENT_LENGTH, exported.octets.len().to_string());
    let headers = [(CONTENT_TYPE, format.media_type().to_owned()), (CONTENT_DISPOSITION, name), length];
    Ok((headers, sent(exported, PATIENCE)).into_response())
}

/// A table piece by piece. It is in memory, and has its turn, until the last piece is on its way or whoever asked takes no more.
fn sent(Exported { octets, turn }: Exported, patience: Duration) -> Body {
    let (sender, mut pieces) = mpsc::channel(PIECES_IN_FLIGHT);
    tokio::spawn(async move {
        let (first, last) = octets.split_at(octets.len().saturating_sub(PIECE_OCTETS));
        let last = Bytes::copy_from_slice(last);
        for piece in first.chunks(PIECE_OCTETS) {
            if !is_taken(&sender, Bytes::copy_from_slice(piece), patience).await {
                return;
            }
        }
        drop((octets, turn));
        is_taken(&sender, last, patience).await;
    });
    Body::from_stream(futures::stream::poll_fn(move |context| pieces.poll_recv(context)))
}

/// Whether a piece is on its way.
async fn is_taken(sender: &mpsc::Sender<Result<Bytes, Infallible>>, piece: Bytes, patience: Duration) -> bool {
    matches!(timeout(patience, sender.send(Ok(piece))).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use tokio::sync::Semaphore;

    use super::*;

    static TURNS: Semaphore = Semaphore::const_new(1);

    #[tokio::test]
    async fn a_table_has_its_turn_until_it_is_fetched_or_nobody_takes_it() {
        let octets: Vec<u8> = (0..5 * PIECE_OCTETS + 7).map(|at| (at % 251) as u8).collect();
        let exported = || Exported { octets: octets.clone(), turn: TURNS.try_acquire().expect("it is over") };
        let body = sent(exported(), PATIENCE);
        tokio::task::yield_now().await;
        assert!(TURNS.try_acquire().is_err(), "it is in memory");
        assert_eq!(to_bytes(body, usize::MAX).await.expect("whole"), octets);

        let slow = sent(exported(), Duration::ZERO);
        drop(TURNS.acquire().await.expect("nobody takes it"));
        assert!(to_bytes(slow, usize::MAX).await.expect("what was on its way").len() < octets.len());
        for few in [0, 1, PIECE_OCTETS] {
            let exported = Exported { octets: vec![1; few], ..exported() };
            assert_eq!(to_bytes(sent(exported, PATIENCE), usize::MAX).await.expect("whole").len(), few);
        }
    }
}
