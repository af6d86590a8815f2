//! `/v1/calls/{id}/playback`: the audio of a call that is over, as far as it is kept and may be heard. What is muted there is so
//! for everybody, and who asks is in the audit trail before anything is played.

use std::ops::Range;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_RANGE, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use media::wav::{self, HEAD_OCTETS};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::calls::store_down;
use super::libraries::blocking;
use super::moment::Moment;
use super::people::kept;
use super::problem::Problem;
use super::routes::{App, no_such_call};
use super::seats::Seat;
use super::signing::Who;
use crate::reel::{RATE_HZ, Reel, ReelError, millis_of};

/// Players at the same time, all calls together; further ones get 503, as does whoever has as many as are left.
pub(super) const PLAYERS_MAX: usize = 32;
/// Pieces of five seconds on their way to a player.
const PIECES_IN_FLIGHT: usize = 2;
/// A player that takes nothing for so long is let go of; it asks again from where it is.
const PATIENCE: Duration = Duration::from_secs(60);
/// Octets of one sample of both channels.
const FRAME_OCTETS: u64 = 4;
/// The longest that is played, samples: what a WAV can hold, more than a day.
const SAMPLES_MAX: u64 = (u32::MAX as u64 - HEAD_OCTETS) / FRAME_OCTETS;

/// The audio of a call as it is kept: 8 kHz, what the caller says on the left, what the caller hears on the right.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Playback {
    /// When it begins.
    began: Moment,
    /// The same since the call began, milliseconds.
    call_ms: u64,
    /// How long it is, milliseconds.
    duration_ms: u64,
    /// What nobody is to hear: it is silence, in both channels.
    muted: Vec<Muted>,
    /// False when it was cut off, by the end of the server or of its disk.
    whole: bool,
}

/// What is muted, milliseconds since the audio begins.
#[derive(Debug, Serialize, ToSchema)]
struct Muted {
    from_ms: u64,
    to_ms: u64,
}

/// `GET /v1/calls/{id}/playback`.
pub(super) async fn show(State(app): State<App>, Path(call): Path<String>) -> Result<Json<Playback>, Problem> {
    let reel = opened(&app, &call).await?;
    let muted = reel.muted.iter().map(|span| Muted { from_ms: millis_of(span.start), to_ms: millis_of(span.end) });
    Ok(Json(Playback {
        began: Moment(reel.unix_ms),
        call_ms: reel.call_ms,
        duration_ms: millis_of(reel.samples),
        muted: muted.collect(),
        whole: reel.is_whole,
    }))
}

/// `GET /v1/calls/{id}/playback.wav`.
pub(super) async fn play(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path(call): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seat = app.players.of(Some(&who))?;
    let reel = opened(&app, &call).await?;
    let samples = reel.samples.min(SAMPLES_MAX);
    let length = HEAD_OCTETS + samples * FRAME_OCTETS;
    // We have told nobody by what it is known, so whoever names a version has another one.
    let asked = headers.get(RANGE).filter(|_| !headers.contains_key(IF_RANGE));
    let Ok(part) = part_of(asked.and_then(|asked| asked.to_str().ok()), length) else {
        let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("there are {length} bytes"));
        return Ok(([(CONTENT_RANGE, format!("bytes */{length}"))], problem).into_response());
    };
    let octets = part.clone().unwrap_or(0..length);
    let from_ms = millis_of(octets.start.saturating_sub(HEAD_OCTETS) / FRAME_OCTETS);
    let told = kept(&app)?.audited("played", who.name(), &call, json!({ "from_ms": from_ms })).await;
    if !told {
        return Err(store_down("the audit trail cannot be written".to_owned()));
    }
    let mut answer = Response::builder()
        .header(CONTENT_TYPE, "audio/wav")
        .header(ACCEPT_RANGES, "bytes")
        .header(CONTENT_LENGTH, octets.end - octets.start);
    if part.is_some() {
        let range = format!("bytes {}-{}/{length}", octets.start, octets.end - 1);
        answer = answer.status(StatusCode::PARTIAL_CONTENT).header(CONTENT_RANGE, range);
    }
    let (sender, mut pieces) = mpsc::channel(PIECES_IN_FLIGHT);
    tokio::spawn(send(reel, samples, octets, (sender, seat)));
    let stream = futures::stream::poll_fn(move |context| pieces.poll_recv(context));
    answer.body(Body::from_stream(stream)).map_err(|error| store_down(error.to_string()))
}

/// The reel of a call, or why there is none.
async fn opened(app: &App, call: &str) -> Result<Reel, Problem> {
    let (Some(store), Some(reels)) = (&app.store, &app.reels) else { return Err(none_of(app, call).await) };
    let gone = || Problem::new(StatusCode::GONE, "the audio of this call is kept no longer");
    let key = match store.reel(call.to_owned()).await.map_err(store_down)? {
        // Whoever writes it may not know yet.
        Some(None) => return Err(gone()),
        _ if reels.is_open(call) => {
            return Err(Problem::new(StatusCode::CONFLICT, "the audio is still being kept: ask again after the call"));
        }
        Some(Some(key)) => key,
        None => return Err(none_of(app, call).await),
    };
    let folder = store.audio().folder.clone();
    let reel = blocking(move || Reel::open(&folder, key)).await?;
    reel.map_err(|error| match error {
        ReelError::Gone => gone(),
        error => store_down(error.to_string()),
    })
}

/// Why there is no audio: of a call that is known, or of none.
async fn none_of(app: &App, call: &str) -> Problem {
    let is_on_board = app.bus.with_board(|board| board.call(call).is_some());
    let is_known = match &app.store {
        Some(store) if !is_on_board => store.call(call.to_owned()).await.map(|record| record.is_some()),
        _ => Ok(is_on_board),
    };
    match is_known {
        Ok(true) => Problem::new(StatusCode::NOT_FOUND, "no audio of this call is kept"),
        Ok(false) => no_such_call(),
        Err(why) => store_down(why),
    }
}

/// Sends octets of a WAV piece by piece, until all are sent or the player has gone.
async fn send(
    mut reel: Reel,
    samples: u64,
    octets: Range<u64>,
    (sender, _seat): (mpsc::Sender<Result<Bytes, ReelError>>, Seat),
) {
    let mut at = octets.start;
    while at < octets.end {
        let Ok((read, back)) = blocking(move || (piece(&mut reel, samples, at), reel)).await else { return };
        reel = back;
        let read = read.map(|mut piece| {
            piece.truncate(usize::try_from(octets.end - at).unwrap_or(usize::MAX));
            piece
        });
        let failed = read.is_err();
        at += read.as_ref().map_or(0, |piece| piece.len() as u64);
        let sent = timeout(PATIENCE, sender.send(read)).await;
        if failed || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

/// Octets from `at` on, at least one.
fn piece(reel: &mut Reel, samples: u64, at: u64) -> Result<Bytes, ReelError> {
    if at < HEAD_OCTETS {
        let head = wav::head(2, RATE_HZ, (samples * FRAME_OCTETS) as u32);
        return Ok(Bytes::copy_from_slice(&head[at as usize..]));
    }
    let (from, within) = ((at - HEAD_OCTETS) / FRAME_OCTETS, (at - HEAD_OCTETS) % FRAME_OCTETS);
    let mut frames = reel.piece(from)?;
    if frames.is_empty() {
        let found = format!("{from}");
        return Err(ReelError::Damaged { expected: "as many samples as before", found });
    }
    frames.truncate(usize::try_from(samples - from).unwrap_or(usize::MAX));
    let octets: Bytes = frames.iter().flatten().flat_map(|sample| sample.to_le_bytes()).collect();
    Ok(octets.slice(within as usize..))
}

/// The octets out of `length` that a `Range` header asks for; nothing when all are asked for, or what is asked for in another way
/// than by one range, which whoever serves may pass over (RFC 9110 §14.2).
///
/// # Errors
/// When there are no such octets.
fn part_of(header: Option<&str>, length: u64) -> Result<Option<Range<u64>>, NoSuchPart> {
    let Some((first, last)) = header.and_then(|header| header.strip_prefix("bytes=")?.split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let part = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.trim().is_empty() => first..length,
        (None, Some(count)) if first.trim().is_empty() => length.saturating_sub(count)..length,
        _ => return Ok(None),
    };
    if part.is_empty() { Err(NoSuchPart) } else { Ok(Some(part)) }
}

#[derive(Debug, PartialEq, Eq)]
struct NoSuchPart;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_are_read_as_they_are_asked_for() {
        for (header, expected) in [
            ("bytes=0-", Ok(Some(0..100))),
            ("bytes=0-9", Ok(Some(0..10))),
            ("bytes=90-1000", Ok(Some(90..100))),
            ("bytes=-1", Ok(Some(99..100))),
            ("bytes=-1000", Ok(Some(0..100))),
            ("bytes=99-99", Ok(Some(99..100))),
            ("bytes=100-", Err(NoSuchPart)),
            ("bytes=-0", Err(NoSuchPart)),
            ("bytes=5-4", Ok(None)),
            ("bytes=0-1,5-6", Ok(None)),
            ("bytes=-", Ok(None)),
            ("bytes=", Ok(None)),
            ("seconds=1-2", Ok(None)),
        ] {
            assert_eq!(part_of(Some(header), 100), expected, "{header}");
        }
        assert_eq!(part_of(None, 100), Ok(None));
    }

    proptest! {
        #[test]
        fn a_part_lies_within_what_there_is(header in "(bytes=)?[0-9]{0,21}-?[0-9]{0,21}[-, a]?", length in 44_u64..1_000) {
            if let Ok(Some(part)) = part_of(Some(&header), length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }
    }
}
