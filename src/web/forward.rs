//! Requests about calls of other nodes, carried to the node whose call it is: who asks stands in them, sealed by the site's key.
//!
//! Both nodes look whether they may. None is carried out twice, nor late: a node takes each once, and none that is old. What is
//! long, like live audio, comes back in pieces. What goes both ways for long is not carried: whoever wants it asks its node.

mod cut;
mod here;
mod pieces;

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT, ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, IF_RANGE, LOCATION,
    RANGE, RETRY_AFTER, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::audio::CLIENT_HEADER;
use super::elsewhere::Whereabouts;
use super::moment::Moment;
use super::problem::Problem;
use super::routes::{App, BODY_BYTES_MAX};
use super::sessions::by_chance;
use super::signing::Who;
use crate::shell::nats::{ANSWER_WITHIN, Carrier, NoAnswer};
use crate::store::Store;
use crate::users::Role;
pub(super) use here::answer_others;

/// What of a request's headers, and of an answer's, is carried.
const ASKED_BY: [HeaderName; 6] = [ACCEPT, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE];
const ANSWERED_BY: [HeaderName; 7] =
    [ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName::from_static(CLIENT_HEADER), LOCATION, RETRY_AFTER];
/// What comes back in pieces: the ends of addresses.
const LONG: [&str; 4] = ["/audio", "/capture", "/playback.wav", "/people/calls"];
/// What is sealed for what.
const ORDER: &str = "order";
const ANSWER: &str = "answer";

/// Another node has let somebody in, who is somebody here, too.
#[derive(Debug, Clone)]
pub(super) struct Vouched(pub(super) Who);

/// Who asks, as one node tells another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Asker {
    /// A machine with the server's own token.
    Machine,
    /// A person, or a machine with a tenant's token.
    Person {
        user: String,
        role: Role,
        routes: Option<BTreeSet<String>>,
        tenant: Option<String>,
        /// Whether a provider has named them, so that only one node may know of them.
        guest: bool,
    },
}

/// A request, as it is sealed.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    /// By which it is taken once.
    id: String,
    /// The node that has let whoever asks in.
    from: String,
    /// The node that is asked.
    to: String,
    time: Moment,
    asker: Asker,
    method: String,
    /// The path and what is behind it.
    target: String,
    headers: Vec<(String, String)>,
    /// Base64.
    body: String,
}

/// What a node says to it, as it is sealed.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    /// The request's.
    id: String,
    status: u16,
    headers: Vec<(String, String)>,
    /// Base64.
    body: String,
    /// Where it is said how much of what follows has been taken, where anything follows.
    follows: Option<String>,
}

/// Has the node answer whose call a request is about, or says why it does not.
pub(super) async fn forward(app: &App, who: &Who, there: Whereabouts, request: Request) -> Response {
    let is_carried_already = request.extensions().get::<Vouched>().is_some();
    let (Some(carrier), Some(store)) = (&app.carrier, &app.store) else { return there.ask_there().into_response() };
    let is_two_way = request.headers().contains_key(UPGRADE);
    if is_carried_already || is_two_way || !store.has_site() {
        return there.ask_there().into_response();
    }
    let session = cut::session_of(who, &request);
    let answered = carry(app, (carrier, store), who, &there, request).await;
    if let (Some(session), Ok(answer)) = (session, &answered) {
        cut::with_session(app, session, &there, answer);
    }
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// Has a node answer a request, and counts what came of it.
async fn carry(
    app: &App,
    by: (&Carrier, &Store),
    who: &Who,
    there: &Whereabouts,
    request: Request,
) -> Result<Response, Problem> {
    let outcome = ask(app, by, who, there, request).await;
    app.metrics.count_order_carried("out", outcome.as_ref().map_or_else(|refused| refused.1, |_| "answered"));
    outcome.map_err(|(why, _)| why)
}

/// What is told of a request that has no answer, and what is counted of it.
type Refused = (Problem, &'static str);

async fn ask(
    app: &App,
    (carrier, store): (&Carrier, &Store),
    who: &Who,
    there: &Whereabouts,
    request: Request,
) -> Result<Response, Refused> {
    let refused = |status, detail: String, outcome| (there.clone().problem(status, detail), outcome);
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX as usize).await;
    let body = body.map_err(|error| refused(StatusCode::BAD_REQUEST, error.to_string(), "unsent"))?;
    let id = by_chance().map_err(|why| refused(StatusCode::SERVICE_UNAVAILABLE, why.to_owned(), "unsent"))?;
    let order = Order {
        id: id.clone(),
        from: carrier.node().to_owned(),
        to: there.node.clone(),
        time: Moment::now(),
        asker: asker(app, who),
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: carried(&parts.headers, &ASKED_BY),
        body: STANDARD.encode(body),
    };
    let plain = serde_json::to_vec(&order).expect("strings and numbers");
    // Before the site was entered there is no key: whoever asks goes there.
    let sealed = store.seal_between(ORDER, &plain).map_err(|_| (there.clone().ask_there(), "unsent"))?;
    let node = &there.node;
    let (answer, following) = carrier.ask(node, sealed).await.map_err(|why| no_answer(there, why))?;
    let opened = store.open_between(ANSWER, &answer).and_then(|plain| {
        let answer: Answer = serde_json::from_slice(&plain).map_err(|error| error.to_string())?;
        if answer.id == id { Ok(answer) } else { Err("it answers another request".to_owned()) }
    });
    let answer = opened.map_err(|why| {
        let detail = format!("node {node} gives no answer of this site: {why}");
        refused(StatusCode::BAD_GATEWAY, detail, "failed")
    })?;
    let follows = answer.follows.clone();
    let response = answer.response();
    let response = response.map_err(|why| refused(StatusCode::BAD_GATEWAY, format!("node {node}: {why}"), "failed"))?;
    Ok(match follows {
        None => response,
        Some(place) => {
            let pieces = pieces::received(carrier.clone(), store.clone(), (id, place), following);
            response.map(|_| Body::from_stream(pieces))
        }
    })
}

fn no_answer(there: &Whereabouts, why: NoAnswer) -> Refused {
    let node = &there.node;
    let (status, detail, outcome) = match why {
        NoAnswer::Down => {
            let detail = format!("the call is at node {node}, and the bus is down: nothing was done");
            (StatusCode::SERVICE_UNAVAILABLE, detail, "unsent")
        }
        NoAnswer::Nobody => {
            let detail = format!("node {node} is not on the bus, or lets nobody order: nothing was done");
            (StatusCode::SERVICE_UNAVAILABLE, detail, "unsent")
        }
        NoAnswer::Unsent => {
            let detail = format!("the bus does not take what is for node {node}: nothing was done");
            (StatusCode::BAD_GATEWAY, detail, "unsent")
        }
        NoAnswer::Late => {
            let seconds = ANSWER_WITHIN.as_secs();
            let detail = format!("node {node} has not answered within {seconds} s; it may have done it: look first");
            (StatusCode::GATEWAY_TIMEOUT, detail, "late")
        }
    };
    (there.clone().problem(status, detail), outcome)
}

fn asker(app: &App, who: &Who) -> Asker {
    let Who::Person { user, role, scope, .. } = who else { return Asker::Machine };
    let (routes, tenant) = scope.limits();
    Asker::Person { user: user.clone(), role: *role, routes, tenant, guest: app.accounts.is_guest(user) }
}

/// The headers of these names that are text.
fn carried(headers: &HeaderMap, names: &[HeaderName]) -> Vec<(String, String)> {
    let text = |name: &HeaderName| Some((name.to_string(), headers.get(name)?.to_str().ok()?.to_owned()));
    names.iter().filter_map(text).collect()
}

impl Answer {
    /// As whoever asks gets it.
    fn response(self) -> Result<Response, String> {
        let body = STANDARD.decode(self.body).map_err(|error| error.to_string())?;
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.status).map_err(|error| error.to_string())?;
        for (name, value) in self.headers {
            let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(value));
            let (Ok(name), Ok(value)) = (name, value) else { return Err("a header is none".to_owned()) };
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }
}
