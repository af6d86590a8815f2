//! `/v1/calls/{id}/webrtc`: a supervisor's browser is connected in the manner of WHIP (RFC 9725): an offer comes, the whole
//! answer goes back, without trickling. What it has become is a supervisor like those by phone, at their address.

use std::net::SocketAddr;

use axum::extract::rejection::{QueryRejection, StringRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use media::LegId;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use super::orders::{Asked, HearsWord, ModeWord, PartyWord, ask, mode_of};
use super::problem::Problem;
use super::query::asked;
use super::routes::App;
use super::signing::Who;
use crate::control::{Browser, Done, Hears, Order, SupervisorMode};
use crate::metrics::{BrowserEnd, BrowserRefusal};
use crate::shell::browser::{IceServer, Peer, PeerError};

const SDP: &str = "application/sdp";

/// Who hears the supervisor, and whom it hears.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectQuery {
    /// Who hears the supervisor.
    #[serde(default = "listen")]
    #[param(inline)]
    mode: ModeWord,
    /// Who alone hears a whisper.
    #[param(inline, nullable = false)]
    party: Option<PartyWord>,
    /// Whom the supervisor hears.
    #[serde(default)]
    #[param(inline)]
    hears: HearsWord,
}

/// How browsers are connected.
#[derive(Serialize, ToSchema)]
pub(super) struct Ways {
    enabled: bool,
    /// Servers that a browser finds its way by, as RTCPeerConnection takes them.
    ice_servers: Vec<IceServer>,
}

/// What a browser is told that was let in.
struct Connected {
    supervisor: u32,
    sdp: String,
}

/// `GET /v1/webrtc`.
pub(super) async fn servers(State(app): State<App>) -> Json<Ways> {
    Json(Ways { enabled: app.browsers.is_on(), ice_servers: app.browsers.servers() })
}

/// `POST /v1/calls/{id}/webrtc`.
pub(super) async fn connect(
    State(app): State<App>,
    Path(call): Path<String>,
    query: Result<Query<ConnectQuery>, QueryRejection>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    offer: Result<String, StringRejection>,
) -> Result<Response, Problem> {
    let ConnectQuery { mode, party, hears } = asked(query)?;
    let mode = mode_of(mode, party)?;
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(SDP) {
        let detail = format!("expected an offer as `{SDP}`, and found `{kind}`");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let offer = offer.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    app.check_up(&call)?;
    let wanted = Wanted { call: call.clone(), name: who.browser(), mode, hears: hears.into(), offer };
    let ended = match &who {
        Who::Person { ended, .. } => ended.clone(),
        Who::Machine => CancellationToken::new(),
    };
    // Whatever becomes of the request, who was let in is also seen out: so that is a task of its own.
    let (answer, answered) = oneshot::channel();
    tokio::spawn(serve(app, wanted, ended, answer));
    let gone = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server closes");
    let Connected { supervisor, sdp } = answered.await.map_err(gone)??;
    let place = format!("/v1/calls/{call}/supervisors/{supervisor}");
    Ok((StatusCode::CREATED, [(CONTENT_TYPE, SDP.to_owned()), (LOCATION, place)], sdp).into_response())
}

/// What a browser asks for.
struct Wanted {
    call: String,
    name: String,
    mode: SupervisorMode,
    hears: Hears,
    offer: String,
}

/// Answers a browser, lets it take part while its connection stands, and sees it out.
async fn serve(
    app: App,
    wanted: Wanted,
    session: CancellationToken,
    answer: oneshot::Sender<Result<Connected, Problem>>,
) {
    let (mut peer, supervisor, leg, receiver) = match admit(&app, &wanted).await {
        Ok(admitted) => admitted,
        Err((refusal, problem)) => {
            app.metrics.count_browser_refused(refusal);
            // Whoever asked may have gone already.
            let _ = answer.send(Err(problem));
            return;
        }
    };
    let call = wanted.call;
    let mut admitted = app.browsers.admitted(leg);
    let _counted = app.metrics.browser();
    let connected = Connected { supervisor, sdp: peer.sdp().to_owned() };
    let end = if answer.send(Ok(connected)).is_err() {
        (BrowserEnd::NotConnected, "whoever asked has gone".to_owned())
    } else {
        tokio::select! {
            biased;
            () = session.cancelled() => (BrowserEnd::SignedOut, "signed out".to_owned()),
            () = app.closing.cancelled() => (BrowserEnd::Closing, "the server stops".to_owned()),
            ended = &mut admitted.ended => (BrowserEnd::Ordered, ended.unwrap_or_default()),
            end = take_part(&app, &mut peer, &call, supervisor, receiver) => end,
        }
    };
    let (kind, reason) = end;
    app.metrics.count_browser_packets_dropped(peer.dropped());
    // Before anything is said of it: nothing more is heard either way.
    drop(peer);
    app.metrics.count_browser_ended(kind);
    gone(&app.orders, call, supervisor, reason).await;
}

/// Answers a browser's offer, and asks call control to let it in.
async fn admit(app: &App, wanted: &Wanted) -> Result<(Peer, u32, LegId, SocketAddr), (BrowserRefusal, Problem)> {
    let Wanted { call, name, mode, hears, offer } = wanted;
    let peer = app.browsers.answer(offer).await.map_err(|error| (refusal(&error), error.into()))?;
    let (name, socket, speaks) = (name.clone(), peer.address(), peer.speaks());
    let browser = Browser { name, mode: *mode, hears: *hears, socket, speaks };
    match ask(app, Order::AdmitBrowser { call: call.clone(), browser }).await {
        Ok(Done::Browser { supervisor, leg, receiver }) => Ok((peer, supervisor, leg, receiver)),
        Ok(_) => Err((BrowserRefusal::Failed, Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no place was given"))),
        Err(problem) => Err((BrowserRefusal::Denied, problem)),
    }
}

/// Waits for the connection, then passes packets as long as it stands; how and why that is over.
async fn take_part(
    app: &App,
    peer: &mut Peer,
    call: &str,
    supervisor: u32,
    receiver: SocketAddr,
) -> (BrowserEnd, String) {
    if let Err(error) = peer.connected().await {
        return (BrowserEnd::NotConnected, error.to_string());
    }
    match ask(app, Order::BrowserConnected { call: call.to_owned(), supervisor }).await {
        Ok(_) => (BrowserEnd::Lost, peer.pass(receiver).await.to_string()),
        // Call control was too busy, or would not have it.
        Err(problem) => (BrowserEnd::NotConnected, problem.detail),
    }
}

/// Tells call control, which never stops taking orders: without room now there will be.
async fn gone(orders: &mpsc::Sender<Asked>, call: String, supervisor: u32, reason: String) {
    let order = Order::BrowserGone { call, supervisor, reason };
    let _ = orders.send(Asked { order, answer: None }).await;
}

fn listen() -> ModeWord {
    ModeWord::Listen
}

fn refusal(error: &PeerError) -> BrowserRefusal {
    match error {
        PeerError::Off => BrowserRefusal::Off,
        PeerError::Full => BrowserRefusal::Full,
        PeerError::Offer(_) => BrowserRefusal::Offer,
        PeerError::Prepare(_) | PeerError::NotConnected | PeerError::Lost => BrowserRefusal::Failed,
    }
}

impl From<PeerError> for Problem {
    fn from(error: PeerError) -> Self {
        let status = match error {
            PeerError::Off => StatusCode::NOT_IMPLEMENTED,
            PeerError::Offer(_) => StatusCode::BAD_REQUEST,
            PeerError::Full | PeerError::Prepare(_) | PeerError::NotConnected | PeerError::Lost => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Problem::new(status, error.to_string())
    }
}
