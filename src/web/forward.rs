//! Requests about calls of other nodes, carried to the node whose call it is: who asks stands in them, sealed by the site's key.
//!
//! Both nodes look whether they may. None is carried out twice, nor late: a node takes each once, and none that is old.
//! What is heard, sent or taken for long is not carried: whoever wants it asks its node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::elsewhere::Whereabouts;
use super::moment::Moment;
use super::problem::Problem;
use super::routes::{App, BODY_BYTES_MAX};
use super::scope::Scope;
use super::sessions::{Shown, by_chance};
use super::signing::Who;
use crate::shell::nats::{ANSWER_WITHIN, Carried, Carrier, NoAnswer};
use crate::store::Store;
use crate::users::Role;

/// The longest answer that is carried, octets.
const ANSWER_BYTES_MAX: usize = 512 << 10;
/// Requests of other nodes at a time; further ones are refused.
const CARRIED_MAX: usize = 32;
/// How old a request may be, by the clocks of both nodes, and how far ahead.
const AGE_MAX: Duration = Duration::from_secs(5);
/// Requests that are remembered, so that none is taken twice.
const REMEMBERED_MAX: usize = 4_096;
/// When the bus is asked again that does not let this node listen.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// What of a request's headers, and of an answer's, is carried.
const ASKED_BY: [HeaderName; 4] = [ACCEPT, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH];
const ANSWERED_BY: [HeaderName; 4] = [CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER];
/// What goes on for long, or is long: the ends of addresses.
const LONG: [&str; 4] = ["/audio", "/channel", "/capture", "/playback.wav"];
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
}

/// Has the node answer whose call a request is about, or says why it does not.
pub(super) async fn forward(app: &App, who: &Who, there: Whereabouts, request: Request) -> Response {
    let is_carried_already = request.extensions().get::<Vouched>().is_some();
    let (Some(carrier), Some(store)) = (&app.carrier, &app.store) else { return there.ask_there().into_response() };
    let is_long = LONG.iter().any(|end| request.uri().path().ends_with(end)) || request.headers().contains_key(UPGRADE);
    if is_carried_already || is_long || !store.has_site() {
        return there.ask_there().into_response();
    }
    let outcome = carry(app, (carrier, store), who, &there, request).await;
    app.metrics.count_order_carried("out", outcome.as_ref().map_or_else(|refused| refused.1, |_| "answered"));
    outcome.unwrap_or_else(|(why, _)| why.into_response())
}

/// What is told of a request that has no answer, and what is counted of it.
type Refused = (Problem, &'static str);

async fn carry(
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
    let answer = carrier.ask(node, sealed).await.map_err(|why| no_answer(there, why))?;
    let opened = store.open_between(ANSWER, &answer).and_then(|plain| {
        let answer: Answer = serde_json::from_slice(&plain).map_err(|error| error.to_string())?;
        if answer.id == id { Ok(answer) } else { Err("it answers another request".to_owned()) }
    });
    let answer = opened.map_err(|why| {
        let detail = format!("node {node} gives no answer of this site: {why}");
        refused(StatusCode::BAD_GATEWAY, detail, "failed")
    })?;
    answer.response().map_err(|why| refused(StatusCode::BAD_GATEWAY, format!("node {node}: {why}"), "failed"))
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

/// Requests that were taken lately, by their ids and when.
#[derive(Debug, Default)]
struct Taken(Mutex<BTreeMap<String, Moment>>);

impl Taken {
    /// Takes a request once, unless it is old, or too many are remembered.
    fn take(&self, order: &Order, now: Moment) -> Result<(), (StatusCode, String)> {
        let apart = Duration::from_millis(order.time.0.abs_diff(now.0));
        if apart > AGE_MAX {
            let (seconds, from) = (apart.as_secs(), &order.from);
            let detail =
                format!("asked {seconds} s apart by the clocks of node {from} and of this one: are they right?");
            return Err((StatusCode::SERVICE_UNAVAILABLE, detail));
        }
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is older would not be taken for that.
        taken.retain(|_, time| time.0.abs_diff(now.0) <= 2 * AGE_MAX.as_millis() as u64);
        if taken.len() >= REMEMBERED_MAX {
            return Err((StatusCode::SERVICE_UNAVAILABLE, "too many requests of other nodes".to_owned()));
        }
        match taken.insert(order.id.clone(), order.time) {
            None => Ok(()),
            Some(_) => Err((StatusCode::CONFLICT, "it was asked already".to_owned())),
        }
    }
}

/// Answers other nodes until the API closes.
pub(super) async fn answer_others(carrier: Carrier, app: App, router: Router, closing: CancellationToken) {
    let mut inbox = loop {
        match carrier.inbox().await {
            Ok(inbox) => break inbox,
            Err(why) => tracing::warn!(why, "the bus does not let this node listen for orders"),
        }
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(AGAIN_AFTER) => {}
        }
    };
    let (places, taken) = (Arc::new(Semaphore::new(CARRIED_MAX)), Arc::new(Taken::default()));
    loop {
        let next = tokio::select! {
            () = closing.cancelled() => return,
            next = inbox.next() => next,
        };
        let Some(carried) = next else { return };
        let place = Arc::clone(&places).try_acquire_owned();
        let (carrier, app, router, taken) = (carrier.clone(), app.clone(), router.clone(), Arc::clone(&taken));
        tokio::spawn(async move {
            let answer = match place {
                Ok(_place) => answered(&app, router, &taken, &carried).await,
                Err(_) => refusal(&app, &carried, "too many requests of other nodes at a time"),
            };
            answer_by(&carrier, carried, answer).await;
        });
    }
}

async fn answer_by(carrier: &Carrier, carried: Carried, answer: Result<Vec<u8>, String>) {
    let sealed = answer.unwrap_or_else(|why| {
        tracing::warn!(why, "a request that came over the bus is passed over");
        // What opens for nobody: whoever asks is told at once that there is no answer.
        Vec::new()
    });
    carrier.answer(carried, sealed).await;
}

/// What is sealed for whoever asks; or why there is nothing to say.
async fn answered(app: &App, router: Router, taken: &Taken, carried: &Carried) -> Result<Vec<u8>, String> {
    let order = opened(app, carried)?;
    let outcome = match taken.take(&order, Moment::now()) {
        Ok(()) => asked_here(app, &order).map_err(|why| (StatusCode::FORBIDDEN, why)),
        Err(refused) => Err(refused),
    };
    let response = match outcome {
        Ok(request) => match TowerToHyperService::new(router).call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        Err((status, detail)) => Problem::new(status, detail).into_response(),
    };
    let outcome = if response.status().is_success() { "answered" } else { "refused" };
    app.metrics.count_order_carried("in", outcome);
    sealed(app, order.id, response).await
}

fn refusal(app: &App, carried: &Carried, why: &str) -> Result<Vec<u8>, String> {
    app.metrics.count_order_carried("in", "refused");
    let order = opened(app, carried)?;
    let problem =
        serde_json::json!({ "type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": why });
    let headers = vec![(CONTENT_TYPE.to_string(), "application/problem+json".to_owned())];
    seal(app, &Answer { id: order.id, status: 503, headers, body: STANDARD.encode(problem.to_string()) })
}

fn opened(app: &App, carried: &Carried) -> Result<Order, String> {
    let store = app.store.as_ref().ok_or("nothing is kept here")?;
    let plain = store.open_between(ORDER, &carried.payload)?;
    let order: Order = serde_json::from_slice(&plain).map_err(|error| error.to_string())?;
    let own = app.bus.node().unwrap_or_default();
    if order.to == own { Ok(order) } else { Err(format!("expected a request for {own}, found one for {}", order.to)) }
}

/// The request as it would have come here by itself, of whoever asks, by what this node knows of them.
fn asked_here(app: &App, order: &Order) -> Result<Request, String> {
    let who = known_here(app, &order.from, &order.asker)?;
    let body = STANDARD.decode(&order.body).map_err(|error| error.to_string())?;
    let method = Method::from_bytes(order.method.as_bytes()).map_err(|error| error.to_string())?;
    let mut request = Request::builder().method(method).uri(&order.target);
    for (name, value) in &order.headers {
        request = request.header(name, value);
    }
    let mut request = request.body(Body::from(Bytes::from(body))).map_err(|error| error.to_string())?;
    request.extensions_mut().insert(Vouched(who));
    Ok(request)
}

/// Whoever asks, by what this node knows of them; what the other one says counts of whom a provider has named there.
fn known_here(app: &App, from: &str, asker: &Asker) -> Result<Who, String> {
    let Asker::Person { user, role, routes, tenant, guest } = asker else { return Ok(Who::Machine) };
    let live = app.live.load();
    let person = |role, scope| {
        let (ended, shown) = (CancellationToken::new(), Shown::default());
        Who::Person { user: user.clone(), role, ended, shown, scope }
    };
    if let Some(settings) = live.users.get(user) {
        return Ok(person(settings.role, Scope::of_user(settings)));
    }
    if let Some(machine) = live.machine_named(user) {
        return Ok(machine);
    }
    if *guest && live.oidc.is_some() {
        return Ok(person(*role, Scope::new(routes.as_ref(), tenant.as_deref())));
    }
    Err(format!("{user}, whom node {from} has let in, is nobody here"))
}

async fn sealed(app: &App, id: String, response: Response) -> Result<Vec<u8>, String> {
    let (parts, body) = response.into_parts();
    let headers = carried(&parts.headers, &ANSWERED_BY);
    let body = to_bytes(body, ANSWER_BYTES_MAX).await.map_err(|error| format!("an answer: {error}"))?;
    seal(app, &Answer { id, status: parts.status.as_u16(), headers, body: STANDARD.encode(body) })
}

fn seal(app: &App, answer: &Answer) -> Result<Vec<u8>, String> {
    let store = app.store.as_ref().ok_or("nothing is kept here")?;
    store.seal_between(ANSWER, &serde_json::to_vec(answer).expect("strings and numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: &str, time: u64) -> Order {
        let text = str::to_owned;
        Order {
            id: text(id),
            from: text("a"),
            to: text("b"),
            time: Moment(time),
            asker: Asker::Machine,
            method: text("POST"),
            target: text("/v1/calls/1/hangup"),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    #[test]
    fn a_request_is_taken_once_and_none_that_is_old() {
        let (taken, now) = (Taken::default(), 1_000_000);
        for (id, time, expected) in [
            ("1", now, Ok(())),
            ("1", now, Err(409)),
            ("2", now - 5_000, Ok(())),
            ("3", now - 5_001, Err(503)),
            ("4", now + 5_000, Ok(())),
            ("5", now + 5_001, Err(503)),
        ] {
            let got = taken.take(&order(id, time), Moment(now)).map_err(|(status, _)| status.as_u16());
            assert_eq!(got, expected, "{id}");
        }
        // As long as one would be young enough, it is remembered.
        let later = Moment(now + 10_000);
        assert_eq!(taken.take(&order("4", now + 5_000), later).map_err(|(status, _)| status.as_u16()), Err(409));
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let taken = Taken::default();
        for number in 0..REMEMBERED_MAX {
            assert!(taken.take(&order(&number.to_string(), 0), Moment(0)).is_ok());
        }
        assert!(taken.take(&order("one more", 0), Moment(0)).is_err());
        assert!(taken.take(&order("later", 20_000), Moment(20_000)).is_ok(), "others are forgotten by then");
    }
}
