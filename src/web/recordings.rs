//! `/v1/recordings`: voice recordings that are listened to afterwards. Reads requests, writes what is uploaded where nobody finds
//! it, and says what has become of it.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use nlu::recognition::Language;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use utoipa::{IntoParams, ToSchema};

use super::interactions::check_name;
use super::libraries::blocking;
use super::orders::bad;
use super::people::customer_of;
use super::problem::Problem;
use super::query::asked;
use super::routes::App;
use crate::control::{ChatOpening, RECORDING};
use crate::pii::Pii;
use crate::shell::recordings::{Channels, RecordingState, Upload, channels_of, look};

/// The largest recording, bytes: more than half an hour of two channels of 16 bits at 8 kHz.
pub const RECORDING_BYTES_MAX: u64 = 64 << 20;
/// How long until an upload is answered.
pub(super) const UPLOAD_LIMIT: Duration = Duration::from_secs(600);
/// How long it may take to come, so that there is time to look at it, and how long nothing of it may come.
const WHOLE_WITHIN: Duration = Duration::from_secs(590);
const PIECE_WITHIN: Duration = Duration::from_secs(10);
/// Recordings that are uploaded at a time.
pub(super) const UPLOADS_MAX: usize = 2;
/// Pieces of an upload that wait for the disk.
const PIECES_MAX: usize = 4;
/// The header in which the customer's address comes: addresses stand in logs of proxies, headers do not.
const CUSTOMER: &str = "x-calmline-customer";

/// What is said of a recording.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordingQuery {
    /// The route by its name; the first one for forked calls that matches `chat:recording` when it is not said.
    route: Option<String>,
    /// What is spoken in it, `zh` or `en`; as the route says when it is not said.
    language: Option<String>,
    /// The channel of whoever serves, 0 or 1: the customer's is the other one. Left out, the first channel is the customer's, and
    /// nobody else is heard.
    agent: Option<u16>,
    /// How the sender names it.
    name: Option<String>,
}

/// A recording, and what has become of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecordingBody {
    /// The id of its call: `/v1/calls/{id}` has its record as soon as it is listened to.
    call: String,
    #[serde(flatten)]
    state: RecordingState,
}

/// `POST /v1/recordings`.
pub(super) async fn upload(
    State(app): State<App>,
    query: Result<Query<RecordingQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let query = asked(query)?;
    let (channels, opening) = read(&app, query, request.headers())?;
    let unavailable = |detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
    let busy = |_| unavailable(format!("{UPLOADS_MAX} recordings are uploaded at present: send it again later"));
    let _place = app.uploads.try_acquire().map_err(busy)?;
    let in_force = app.recordings.in_force().ok_or_else(|| unavailable("the server begins".to_owned()))?;
    in_force.control.check_route(&opening)?;
    if in_force.control.parties.is_none() {
        return Err(Problem::new(StatusCode::CONFLICT, "nobody listens: [listening] enabled = false"));
    }
    let folder = in_force.settings.store.as_ref().map(|store| store.folder.clone());
    let file = written(request.into_body(), folder, (WHOLE_WITHIN, PIECE_WITHIN)).await?;
    let file = blocking(move || checked(file, channels)).await??;
    let (customer, agent) = channels;
    let upload = Upload { file, opening, customer, agent };
    let call = app.recordings.take(upload).map_err(|why| unavailable(why.to_string()))?;
    Ok((StatusCode::ACCEPTED, Json(RecordingBody { call, state: RecordingState::Waiting })).into_response())
}

/// `GET /v1/recordings/{id}`.
pub(super) async fn state(State(app): State<App>, Path(call): Path<String>) -> Result<Json<RecordingBody>, Problem> {
    let state = app.recordings.state(&call);
    let state = state.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "no such recording, or no more"))?;
    Ok(Json(RecordingBody { call, state }))
}

/// What is said of a recording, beside itself.
fn read(app: &App, query: RecordingQuery, headers: &HeaderMap) -> Result<(Channels, ChatOpening), Problem> {
    let RecordingQuery { route, language, agent, name } = query;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !["audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"].contains(&kind) {
        let detail = format!("found Content-Type {kind:?}, expected \"audio/wav\"");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let other = || bad(format!("`agent`: found channel {}, expected 0 or 1", agent.unwrap_or_default()));
    let channels = channels_of(agent).ok_or_else(other)?;
    let unknown = |found: &String| bad(format!("`language`: found {found:?}, expected \"zh\" or \"en\""));
    let language = language.map(|code| Language::of_code(&code).ok_or_else(|| unknown(&code))).transpose()?;
    check_name("name", name.as_ref())?;
    let address = headers.get(CUSTOMER).map(|value| value.to_str().map(|text| Pii::from(text.to_owned())));
    let address = address.transpose().map_err(|_| bad(format!("`{CUSTOMER}`: expected an address in ASCII")))?;
    let customer = customer_of(app, address.as_ref())?;
    let (channel, details) = (RECORDING.to_owned(), Vec::new());
    Ok((channels, ChatOpening { channel, name, customer, language, route, details }))
}

/// Writes what is uploaded into a file without a name, which is gone with whoever holds it: in the store's folder, where there is
/// one, for what is temporary may lie in memory.
async fn written(
    body: Body,
    folder: Option<PathBuf>,
    (whole_within, piece_within): (Duration, Duration),
) -> Result<File, Problem> {
    let (pieces, mut inlet) = mpsc::channel::<axum::body::Bytes>(PIECES_MAX);
    let writing = tokio::task::spawn_blocking(move || {
        let kept = folder.and_then(|folder| tempfile::tempfile_in(folder).ok());
        let mut file = kept.map_or_else(tempfile::tempfile, Ok)?;
        while let Some(piece) = inlet.blocking_recv() {
            file.write_all(&piece)?;
        }
        Ok(file)
    });
    let (mut stream, mut bytes) = (body.into_data_stream(), 0);
    let whole_until = Instant::now() + whole_within;
    loop {
        let until = whole_until.min(Instant::now() + piece_within);
        let Some(piece) = timeout_at(until, stream.next()).await.map_err(|_| too_slow())? else { break };
        let piece = piece.map_err(|error| bad(format!("the recording did not come whole: {error}")))?;
        bytes += piece.len() as u64;
        if bytes > RECORDING_BYTES_MAX {
            let detail = format!("recordings have at most {RECORDING_BYTES_MAX} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    drop(pieces);
    let unwritten =
        |why: String| Problem::new(StatusCode::INSUFFICIENT_STORAGE, format!("it cannot be written: {why}"));
    let written: std::io::Result<File> = writing.await.map_err(|error| unwritten(error.to_string()))?;
    written.map_err(|error| unwritten(error.to_string()))
}

fn too_slow() -> Problem {
    let (whole_s, piece_s) = (WHOLE_WITHIN.as_secs(), PIECE_WITHIN.as_secs());
    let detail =
        format!("the recording came too slowly: it has {whole_s} s, and something has to come every {piece_s} s");
    Problem::new(StatusCode::REQUEST_TIMEOUT, detail)
}

/// Looks whether a recording has the channels that are asked for, and anything in them.
fn checked(mut file: File, channels: Channels) -> Result<File, Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    file.seek(SeekFrom::Start(0)).map_err(|error| wrong(error.to_string()))?;
    if look(&file, channels).map_err(wrong)?.frames == 0 {
        return Err(wrong("found no audio, expected some".to_owned()));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Read;

    use axum::body::Bytes;
    use futures::stream;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn an_upload_has_the_time_that_it_takes_as_long_as_something_comes() {
        let twenty = || stream::iter((0..20).map(|_| Ok::<_, Infallible>(Bytes::from_static(b"a"))));
        let mut text = String::new();
        let in_no_time = Body::from_stream(twenty());
        let mut file = written(in_no_time, None, (LONG, Duration::ZERO)).await.expect("nothing is waited for");
        file.seek(SeekFrom::Start(0)).expect("a file");
        file.read_to_string(&mut text).expect("text");
        assert_eq!(text, "a".repeat(20));
        for within in [(LONG, Duration::ZERO), (Duration::ZERO, LONG)] {
            let without_an_end = Body::from_stream(twenty().chain(stream::pending()));
            let refused = written(without_an_end, None, within).await.expect_err("nothing comes");
            assert_eq!(refused.status, StatusCode::REQUEST_TIMEOUT, "{within:?}");
        }
    }
}
