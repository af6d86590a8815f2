//! `/v1/calls/{id}/audio`: a live copy of a call as a WAV stream without an end, for players that read from a pipe.
//!
//! Begins now and ends with the call. A client that is too slow loses audio, never the call; how much is on record.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use media::copy::{CopyFrame, FRAME_SAMPLES};
use media::jitter::RATE_HZ;
use media::wav;
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{mpsc, oneshot};
use utoipa::{IntoParams, ToSchema};

use super::orders::{Asked, ask};
use super::problem::Problem;
use super::query::asked;
use super::routes::App;
use super::seats::Seat;
use super::signing::Who;
use crate::control::{Done, Order};

/// Clients at the same time, all calls together; further ones get 503, as does whoever has as many as are left.
pub const AUDIO_CLIENTS_MAX: usize = 16;
/// Frames on their way to a client, beside those that the copy keeps for it.
const FRAMES_IN_FLIGHT: usize = 4;
/// Names the client in events.
pub(super) const CLIENT_HEADER: &str = "x-calmline-audio-client";

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct AudioQuery {
    /// How the two sides stand in the stream.
    #[serde(default)]
    #[param(inline)]
    layout: Layout,
}

/// How the two sides stand in the stream.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AudioLayout)]
enum Layout {
    /// What the caller says on the left, what the caller hears on the right.
    #[default]
    Stereo,
    /// Both in one channel.
    Mixed,
}

/// A client and the frames it gets.
type Opened = (u32, mpsc::Receiver<Bytes>);

pub(super) async fn audio(
    State(app): State<App>,
    who: Option<Extension<Who>>,
    Path(call): Path<String>,
    query: Result<Query<AudioQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let AudioQuery { layout } = asked(query)?;
    app.check_up(&call)?;
    let seat = app.listeners.of(who.as_deref())?;
    // Whatever becomes of the request, who was let in is also seen out: so that is a task of its own.
    let (opened, answer) = oneshot::channel();
    tokio::spawn(serve(app, call, layout, seat, opened));
    let gone = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server closes");
    let (client, frames) = answer.await.map_err(gone)??;

    let head = futures::stream::once(async move { Bytes::copy_from_slice(&layout.head()) });
    let frames = futures::stream::unfold(frames, async |mut frames| Some((frames.recv().await?, frames)));
    let stream = futures::StreamExt::chain(head, frames);
    let body = Body::from_stream(futures::StreamExt::map(stream, Ok::<_, Infallible>));
    Ok(([(CONTENT_TYPE.as_str(), "audio/wav".to_owned()), (CLIENT_HEADER, client.to_string())], body).into_response())
}

/// Lets a client in, gives it the call's frames, and sees it out.
async fn serve(app: App, call: String, layout: Layout, _seat: Seat, opened: oneshot::Sender<Result<Opened, Problem>>) {
    let order = Order::OpenAudio { call: call.clone(), layout: layout.as_str() };
    let (client, leg) = match ask(&app, order).await {
        Ok(Done::Audio { client, leg }) => (client, leg),
        Ok(_) => return,
        Err(problem) => {
            // Whoever asked may have gone already.
            let _ = opened.send(Err(problem));
            return;
        }
    };
    let (sender, receiver) = mpsc::channel(FRAMES_IN_FLIGHT);
    let frames = app.copies.subscribe(leg);
    if opened.send(Ok((client, receiver))).is_ok() {
        let to = Client { call: call.clone(), number: client, layout, sender };
        tokio::select! {
            () = app.closing.cancelled() => {}
            () = pass_on(frames, &to, &app.orders) => {}
        }
    }
    // Without room for the order now, there will be: call control never stops taking them.
    let order = Order::CloseAudio { call, client };
    let _ = app.orders.send(Asked { order, answer: None }).await;
}

/// Who gets frames.
struct Client {
    call: String,
    number: u32,
    layout: Layout,
    sender: mpsc::Sender<Bytes>,
}

/// Passes frames on until the call ends or the client goes; tells call control of what the client was too slow for.
async fn pass_on(mut frames: Receiver<Arc<CopyFrame>>, to: &Client, orders: &mpsc::Sender<Asked>) {
    let mut expected = None;
    loop {
        let frame = tokio::select! {
            () = to.sender.closed() => return,
            frame = frames.recv() => match frame {
                Ok(frame) => frame,
                // The next frame's position tells how much is missing.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            },
        };
        let missed = expected.map_or(0, |expected| frame.position.saturating_sub(expected));
        if missed > 0 {
            let missed_ms = missed * 1_000 / u64::from(RATE_HZ);
            let order = Order::AudioMissed { call: to.call.clone(), client: to.number, missed_ms };
            // When call control is that busy, this goes unsaid.
            let _ = orders.try_send(Asked { order, answer: None });
        }
        expected = Some(frame.position + FRAME_SAMPLES as u64);
        if to.sender.send(to.layout.octets(&frame)).await.is_err() {
            return;
        }
    }
}

impl Layout {
    fn as_str(self) -> &'static str {
        match self {
            Layout::Stereo => "stereo",
            Layout::Mixed => "mixed",
        }
    }

    /// What stands before the first frame.
    fn head(self) -> [u8; 44] {
        let channels = match self {
            Layout::Stereo => 2,
            Layout::Mixed => 1,
        };
        wav::stream_head(channels, RATE_HZ)
    }

    /// A frame as it stands in the stream.
    fn octets(self, frame: &CopyFrame) -> Bytes {
        match self {
            Layout::Stereo => {
                let pairs = frame.left.iter().zip(&frame.right);
                pairs.flat_map(|(left, right)| [left.to_le_bytes(), right.to_le_bytes()]).flatten().collect()
            }
            Layout::Mixed => frame.mixed().iter().flat_map(|sample| sample.to_le_bytes()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_stand_side_by_side() {
        let mut frame = CopyFrame { position: 0, left: [0; FRAME_SAMPLES], right: [0; FRAME_SAMPLES] };
        (frame.left[0], frame.right[0], frame.left[1]) = (0x0102, 0x0304, -1);
        let stereo = Layout::Stereo.octets(&frame);
        assert_eq!((stereo.len(), &stereo[..6]), (640, &[2, 1, 4, 3, 0xff, 0xff][..]));
        let mixed = Layout::Mixed.octets(&frame);
        assert_eq!((mixed.len(), &mixed[..4]), (320, &[6, 4, 0xff, 0xff][..]));
    }

    #[tokio::test]
    async fn a_slow_client_is_told_what_it_missed_and_ends_with_the_call() {
        let (copy, frames) = tokio::sync::broadcast::channel(8);
        let (orders, mut told) = mpsc::channel(8);
        let (sender, mut stream) = mpsc::channel(1);
        let client = Client { call: "call-1".to_owned(), number: 3, layout: Layout::Mixed, sender };
        let reading = tokio::spawn(async move { pass_on(frames, &client, &orders).await });
        let frame = |n: u64| CopyFrame { position: n * 160, left: [n as i16; 160], right: [0; 160] };
        let mut got = Vec::new();
        copy.send(Arc::new(frame(0))).expect("somebody reads");
        got.push(stream.recv().await.expect("the first")[0]);
        // Forty frames at once for somebody who has room for one, and whom the copy keeps eight.
        (1..=40).for_each(|n| drop(copy.send(Arc::new(frame(n)))));
        for _ in 0..8 {
            got.push(stream.recv().await.expect("the last eight")[0]);
        }
        assert_eq!(got, [0, 33, 34, 35, 36, 37, 38, 39, 40]);
        let missed = Order::AudioMissed { call: "call-1".to_owned(), client: 3, missed_ms: 640 };
        assert_eq!(told.recv().await.map(|asked| asked.order), Some(missed));
        drop(copy);
        assert!(stream.recv().await.is_none(), "the stream ends with the copy");
        reading.await.expect("no panic");
    }
}
