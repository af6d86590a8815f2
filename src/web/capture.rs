//! `POST /v1/calls/{id}/capture`: the packets of one call as a stream, for whoever looks for a fault. Who asks, and why, is in
//! the audit trail before the first packet.
//!
//! Audio is in it where the configuration permits that, an administrator or a machine asks, and the caller has agreed; else
//! the headers of its packets alone. Bounded in time and octets; a client that is too slow loses packets, never the call.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use media::{CapturedPacket, Channel, Depth, Way};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep_until, timeout};
use utoipa::ToSchema;

use super::calls::store_down;
use super::orders::{Body as Asked, bad, read};
use super::people::{checked, kept};
use super::problem::Problem;
use super::routes::App;
use super::signing::Who;
use crate::capture::{CONTENT_TYPE as PCAPNG, CaptureFile, Captured};
use crate::settings::CaptureSettings;
use crate::shell::capture::{Capture, Captures};
use crate::shell::sip::trace::Message;
use crate::users::Role;

/// Says how much of audio packets is in the file: `whole` or `headers`.
const DEPTH_HEADER: &str = "x-calmline-capture";
/// Pieces of the file on their way to a client.
const PIECES_IN_FLIGHT: usize = 16;
/// How often what has come is sent on.
const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// A client that takes nothing for so long is let go of.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long goodbyes may take to be said once the call is over.
const GOODBYES: Duration = Duration::from_secs(2);
/// Seconds when nothing is said.
const SECONDS: u32 = 60;

/// What is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CaptureRequest {
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 300)]
    reason: String,
    /// For how long at most.
    #[schema(minimum = 1, default = 60)]
    seconds: Option<u32>,
    /// How large the file may become; as large as the configuration permits when nothing is said.
    #[schema(minimum = 1_024)]
    bytes: Option<u64>,
    /// Headers of audio packets alone, also where there might be more.
    #[serde(default)]
    headers: bool,
}

/// How far a capture goes.
struct Bounds {
    until: Instant,
    bytes: u64,
}

pub(super) async fn capture(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path(call): Path<String>,
    body: Asked<CaptureRequest>,
) -> Result<Response, Problem> {
    let mut request: CaptureRequest = read(body)?;
    request.reason = checked(request.reason)?;
    let none = || Problem::new(StatusCode::CONFLICT, "no call is captured: the configuration has no [capture]");
    app.check_up(&call)?;
    let captures = app.captures.clone().ok_or_else(none)?;
    let bounds = bounds(&request, captures.settings())?;
    let depth = depth_for(&who, &request, captures.settings());
    let began = captures.begin(&call, depth);
    let running = began.map_err(|why| Problem::new(StatusCode::CONFLICT, why.to_string()))?;
    let seconds = bounds.until.saturating_duration_since(Instant::now()).as_secs_f64().ceil();
    let what = json!({ "reason": request.reason, "depth": name(depth), "seconds": seconds, "bytes": bounds.bytes });
    if !kept(&app)?.audited("capture", who.name(), &call, what).await {
        return Err(store_down("the audit trail cannot be written".to_owned()));
    }
    let (sender, mut pieces) = mpsc::channel(PIECES_IN_FLIGHT);
    let comment = format!("call {call}, {} of RTP", if depth == Depth::Whole { "all" } else { "headers" });
    let file = Writer { file: CaptureFile::new(&comment), captures, call, missed: 0, sender };
    tokio::spawn(file.serve(app.clone(), who.name().to_owned(), running, bounds));
    let stream = futures::stream::poll_fn(move |context| pieces.poll_recv(context));
    let body = Body::from_stream(futures::StreamExt::map(stream, Ok::<_, Infallible>));
    Ok(([(CONTENT_TYPE.as_str(), PCAPNG), (DEPTH_HEADER, name(depth))], body).into_response())
}

/// How far the capture that is asked for may go.
fn bounds(request: &CaptureRequest, settings: &CaptureSettings) -> Result<Bounds, Problem> {
    let longest = u32::try_from(settings.longest.as_secs()).unwrap_or(u32::MAX);
    let seconds = request.seconds.unwrap_or(SECONDS.min(longest));
    if !(1..=longest).contains(&seconds) {
        return Err(bad(format!("found {seconds} `seconds`, expected 1-{longest}: capture.longest_s")));
    }
    let bytes = request.bytes.unwrap_or(settings.bytes_max);
    if !(1_024..=settings.bytes_max).contains(&bytes) {
        return Err(bad(format!("found {bytes} `bytes`, expected 1024-{}: capture.largest_mb", settings.bytes_max)));
    }
    Ok(Bounds { until: Instant::now() + Duration::from_secs(seconds.into()), bytes })
}

/// How much of audio packets somebody gets.
fn depth_for(who: &Who, request: &CaptureRequest, settings: &CaptureSettings) -> Depth {
    let may_hear = match who {
        Who::Machine => true,
        Who::Person { role, .. } => *role == Role::Administrator,
    };
    if settings.payloads && may_hear && !request.headers { Depth::Whole } else { Depth::Headers }
}

fn name(depth: Depth) -> &'static str {
    match depth {
        Depth::Headers => "headers",
        Depth::Whole => "whole",
    }
}

/// Writes the file of one call and sends it piece by piece.
struct Writer {
    file: CaptureFile,
    captures: Captures,
    call: String,
    /// SIP messages that came too fast.
    missed: u64,
    sender: mpsc::Sender<Bytes>,
}

impl Writer {
    async fn serve(mut self, app: App, who: String, mut running: Capture, bounds: Bounds) {
        let ended = self.write(&app, &mut running, &bounds).await;
        let dropped = running.dropped() + self.missed;
        self.file.finish(crate::shell::clock::since_1970(), dropped);
        // Whoever has gone does not miss it.
        let _ = self.send().await;
        let what = json!({ "because": ended, "packets": self.file.packets(), "bytes": self.file.octets(),
            "dropped": dropped });
        app.audit("capture_ended", &who, &self.call, what).await;
    }

    /// Writes until one of the bounds is reached, and says which.
    async fn write(&mut self, app: &App, running: &mut Capture, bounds: &Bounds) -> &'static str {
        let mut messages = self.captures.trace().follow();
        let history = self.captures.trace().history(&self.call);
        let newest = history.last().map(|message| message.at);
        history.iter().for_each(|message| self.add_message(message));
        let mut flush = interval(FLUSH_EVERY);
        let mut over_at = None;
        loop {
            tokio::select! {
                () = app.closing.cancelled() => return "the server closes",
                () = self.sender.closed() => return "the client has gone",
                () = sleep_until(bounds.until) => return "time",
                Some(packet) = running.packets.recv() => self.add_packet(&packet),
                said = next_of(&mut messages, &mut self.missed) => {
                    // What was said between following and looking back is there already.
                    let is_new = newest.is_none_or(|newest| said.at > newest);
                    if is_new && self.captures.trace().call_of(&said.call_id).as_ref() == Ok(&self.call) {
                        self.add_message(&said);
                    }
                }
                _ = flush.tick() => {
                    if self.send().await.is_err() {
                        return "the client has gone";
                    }
                    let is_up = app.bus.with_board(|board| board.is_active(&self.call));
                    over_at = (!is_up).then(|| over_at.unwrap_or_else(|| Instant::now() + GOODBYES));
                    if over_at.is_some_and(|over_at| Instant::now() >= over_at) {
                        return "the call has ended";
                    }
                }
            }
            if self.file.octets() >= bounds.bytes {
                return "bytes";
            }
        }
    }

    fn add_packet(&mut self, packet: &CapturedPacket) {
        let is_inbound = packet.way == Way::Said;
        let mut near = packet.near;
        if packet.channel == Channel::Control {
            near.set_port(near.port().saturating_add(1));
        }
        let (from, to) = if is_inbound { (packet.far, near) } else { (near, packet.far) };
        let at = self.captures.since_1970(packet.at);
        let length = usize::from(packet.length);
        self.file.add(&Captured { at, is_inbound, from, to, octets: packet.octets(), length });
    }

    fn add_message(&mut self, message: &Message) {
        let Message { at, is_inbound, from, to, ref octets, .. } = *message;
        self.file.add(&Captured { at, is_inbound, from, to, octets, length: octets.len() });
    }

    /// Sends what has been written; the error says that nobody takes it.
    async fn send(&mut self) -> Result<(), ()> {
        let piece = self.file.take();
        if piece.is_empty() {
            return Ok(());
        }
        match timeout(PATIENCE, self.sender.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(()),
        }
    }
}

/// The next message of anybody; never comes back once nobody says any more.
async fn next_of(messages: &mut Receiver<std::sync::Arc<Message>>, missed: &mut u64) -> std::sync::Arc<Message> {
    loop {
        match messages.recv().await {
            Ok(message) => return message,
            Err(RecvError::Lagged(behind)) => *missed += behind,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scope;
    use super::*;

    #[test]
    fn audio_is_for_those_who_may_hear_it() {
        let machine = Who::Machine;
        for (payloads, who, headers, expected) in [
            (true, machine.clone(), false, Depth::Whole),
            (true, machine.clone(), true, Depth::Headers),
            (false, machine, false, Depth::Headers),
            (true, person(Role::Administrator), false, Depth::Whole),
            (true, person(Role::Operator), false, Depth::Headers),
        ] {
            let request = CaptureRequest { headers, ..asked(None, None) };
            assert_eq!(depth_for(&who, &request, &settings(payloads)), expected, "{who:?} {payloads} {headers}");
        }
    }

    #[test]
    fn bounds_are_those_of_the_configuration() {
        for (request, expected) in [
            (asked(None, None), Ok((60, 1 << 20))),
            (asked(Some(300), Some(2_048)), Ok((300, 2_048))),
            (asked(Some(301), None), Err("found 301 `seconds`, expected 1-300: capture.longest_s")),
            (asked(Some(0), None), Err("found 0 `seconds`, expected 1-300: capture.longest_s")),
            (asked(None, Some(9)), Err("found 9 `bytes`, expected 1024-1048576: capture.largest_mb")),
        ] {
            let got = bounds(&request, &settings(true)).map_err(|problem| problem.detail);
            let got = got.map(|Bounds { until, bytes }| ((until - Instant::now()).as_secs_f64().round() as u64, bytes));
            assert_eq!(got, expected.map_err(str::to_owned), "{request:?}");
        }
    }

    fn asked(seconds: Option<u32>, bytes: Option<u64>) -> CaptureRequest {
        CaptureRequest { reason: "ticket 7".to_owned(), seconds, bytes, headers: false }
    }

    fn person(role: Role) -> Who {
        let (ended, shown) = Default::default();
        Who::Person { user: "li".to_owned(), role, ended, shown, scope: Scope::of(None) }
    }

    fn settings(payloads: bool) -> CaptureSettings {
        let longest = Duration::from_secs(300);
        CaptureSettings { payloads, longest, bytes_max: 1 << 20, history_bytes: 0 }
    }
}
