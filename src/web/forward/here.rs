//! What other nodes ask of this one: taken once, and answered as if whoever asks had come here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{ANSWER, ANSWERED_BY, Answer, Asker, LONG, ORDER, Order, Vouched, carried, pieces};
use crate::shell::nats::{Carried, Carrier};
use crate::web::elsewhere::CALLS;
use crate::web::moment::Moment;
use crate::web::problem::Problem;
use crate::web::routes::App;
use crate::web::scope::Scope;
use crate::web::sessions::Shown;
use crate::web::signing::Who;

/// The longest answer that is carried as one, octets.
const ANSWER_BYTES_MAX: usize = 512 << 10;
/// Requests of other nodes at a time, with those whose answers go on in pieces; further ones are refused.
const CARRIED_MAX: usize = 64;
/// How old a request may be, by the clocks of both nodes, and how far ahead.
const AGE_MAX: Duration = Duration::from_secs(5);
/// Requests that are remembered, so that none is taken twice.
const REMEMBERED_MAX: usize = 4_096;
/// When the bus is asked again that does not let this node listen.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

const NOTHING_KEPT: &str = "nothing is kept here";

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
pub(in crate::web) async fn answer_others(carrier: Carrier, app: App, router: Router, closing: CancellationToken) {
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
            let answered = match place {
                Ok(_place) => answered(&app, (&carrier, router), &taken, &carried).await,
                Err(_) => refuse(&app, &carrier, &carried).await,
            };
            if let Err(why) = answered {
                tracing::warn!(why, "a request that came over the bus is passed over");
                // What opens for nobody: whoever asks is told at once that there is no answer.
                carrier.answer(&carried, Vec::new()).await;
            }
        });
    }
}

/// Has a request answered; or says why there is nothing to say.
async fn answered(
    app: &App,
    (carrier, router): (&Carrier, Router),
    taken: &Taken,
    carried: &Carried,
) -> Result<(), String> {
    let order = opened(app, carried)?;
    let outcome = match taken.take(&order, Moment::now()) {
        Ok(()) => asked_here(app, &order).map_err(|why| (StatusCode::FORBIDDEN, why)),
        Err(refused) => Err(refused),
    };
    let path = order.target.split('?').next().unwrap_or_default();
    let is_long = LONG.iter().any(|end| path.ends_with(end)) || is_whole_call(path);
    let response = match outcome {
        Ok(request) => match TowerToHyperService::new(router).call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        Err((status, detail)) => Problem::new(status, detail).into_response(),
    };
    let is_good = response.status().is_success();
    app.metrics.count_order_carried("in", if is_good { "answered" } else { "refused" });
    if is_long && is_good {
        return in_pieces(app, carrier, carried, (order.id, response)).await;
    }
    let sealed = sealed(app, order.id, response).await?;
    carrier.answer(carried, sealed).await;
    Ok(())
}

/// Whether it is all that is shown of a call, which may be long.
fn is_whole_call(path: &str) -> bool {
    let mut ids = CALLS.iter().filter_map(|place| path.strip_prefix(place.trim_end_matches("{id}")));
    ids.any(|id| !id.is_empty() && !id.contains('/'))
}

/// Answers with what comes before the body, which follows in pieces.
async fn in_pieces(
    app: &App,
    carrier: &Carrier,
    carried_by: &Carried,
    (id, response): (String, Response),
) -> Result<(), String> {
    let store = app.store.as_ref().ok_or(NOTHING_KEPT)?;
    let (parts, body) = response.into_parts();
    let mut headers = carried(&parts.headers, &ANSWERED_BY);
    headers.extend(carried(&parts.headers, &[CONTENT_LENGTH]));
    let (place, taken) = carrier.place().await?;
    let follows = Some(place);
    let answer = Answer { id: id.clone(), status: parts.status.as_u16(), headers, body: String::new(), follows };
    carrier.answer(carried_by, seal(app, &answer)?).await;
    pieces::send((carrier, store), (id, carried_by.place()), body, taken).await;
    Ok(())
}

async fn refuse(app: &App, carrier: &Carrier, carried: &Carried) -> Result<(), String> {
    app.metrics.count_order_carried("in", "refused");
    let detail = "too many requests of other nodes at a time";
    let refusal = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    let sealed = sealed(app, opened(app, carried)?.id, refusal).await?;
    carrier.answer(carried, sealed).await;
    Ok(())
}

fn opened(app: &App, carried: &Carried) -> Result<Order, String> {
    let store = app.store.as_ref().ok_or(NOTHING_KEPT)?;
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
    let body = STANDARD.encode(body);
    seal(app, &Answer { id, status: parts.status.as_u16(), headers, body, follows: None })
}

fn seal(app: &App, answer: &Answer) -> Result<Vec<u8>, String> {
    let store = app.store.as_ref().ok_or(NOTHING_KEPT)?;
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
