//! What the law lets somebody ask of a site: each node answers for the calls that it keeps, and whoever asks any node hears of all.
//!
//! The node that is asked answers first, and then has the others do the same, who answer by themselves: what one of them did not do is
//! for whoever asks to see.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use futures::future::join_all;
use serde_json::{Value, json};

use super::elsewhere::Whereabouts;
use super::forward::{Vouched, forward};
use super::orders::bad;
use super::problem::Problem;
use super::routes::{App, BODY_BYTES_MAX};
use super::signing::Who;

/// Where all nodes are asked, and what answers of this one they are asked after; of others nothing can come elsewhere. Nothing is
/// erased elsewhere where it is held here.
const ASKED: [(&str, &[StatusCode]); 5] = [
    ("/v1/people/calls", &[StatusCode::OK]),
    ("/v1/people/hold", &[StatusCode::OK, StatusCode::CONFLICT]),
    ("/v1/people/release", &[StatusCode::OK, StatusCode::NOT_FOUND]),
    ("/v1/people/erase", &[StatusCode::OK]),
    ("/v1/tenants/erase", &[StatusCode::OK]),
];
/// The longest answer of one node that is put together with those of others, bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A request that goes on to the other nodes once it is answered here.
pub(super) struct Onward {
    path: &'static str,
    body: Bytes,
    after: &'static [StatusCode],
    others: Vec<Whereabouts>,
}

impl Onward {
    /// What of a request goes on, if anything does.
    ///
    /// # Errors
    /// When its body does not come whole.
    pub(super) async fn of(app: &App, request: Request) -> Result<(Request, Option<Onward>), Problem> {
        let is_own = *request.method() == Method::POST && request.extensions().get::<Vouched>().is_none();
        let asked = ASKED.iter().find(|(path, _)| *path == request.uri().path());
        let Some((path, after)) = asked.filter(|_| is_own) else { return Ok((request, None)) };
        let others = app.bus.others();
        if others.is_empty() {
            return Ok((request, None));
        }
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, BODY_BYTES_MAX as usize).await;
        let body = body.map_err(|error| bad(format!("the body did not come whole: {error}")))?;
        let request = Request::from_parts(parts, Body::from(body.clone()));
        Ok((request, Some(Onward { path, body, after, others })))
    }

    /// The answer of this node with those of the others.
    pub(super) async fn join(self, app: &App, who: &Who, response: Response) -> Response {
        if !self.after.contains(&response.status()) {
            return response;
        }
        let Self { path, body, others, .. } = self;
        let asked = others.into_iter().map(async |there| {
            let node = there.node.clone();
            let request = Request::post(path).header(CONTENT_TYPE, "application/json").body(Body::from(body.clone()));
            // The path is one of ours.
            let response = forward(app, who, there, request.expect("a request")).await;
            let status = response.status().as_u16();
            let answer = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.unwrap_or_default();
            let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
            json!({ "node": node, "status": status, "answer": answer })
        });
        with(response, join_all(asked).await).await
    }
}

/// An answer with what others have said in it.
async fn with(response: Response, others: Vec<Value>) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
    let body = match serde_json::from_slice(&body) {
        Ok(Value::Object(mut own)) => {
            own.insert("others".to_owned(), others.into());
            Value::Object(own).to_string().into()
        }
        _ => body,
    };
    // It is another one now.
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}
