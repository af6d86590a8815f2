//! Conditional requests (RFC 9110 §13): every JSON answer has a name, and is not sent again to whoever has it.
//!
//! Answers that go on for long, and those that are no JSON, are let be; so is the name that an answer has already.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::Body as _;

use super::problem::Problem;
use crate::libraries::Version;

/// Names the answer to a `GET`; 304 where whoever asks has it.
pub(super) async fn named(request: Request, next: Next) -> Response {
    if *request.method() != Method::GET {
        return next.run(request).await;
    }
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let Ok(mut response) = with_name(response).await else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer broke off").into_response();
    };
    let name = response.headers().get(ETAG);
    if known.as_ref().zip(name).is_some_and(|(known, name)| is_among(known, name)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(CONTENT_TYPE);
    }
    response
}

/// The answer with its name, where it is whole and JSON.
async fn with_name(response: Response) -> Result<Response, axum::Error> {
    let has_name = response.headers().contains_key(ETAG);
    if has_name || !is_json(response.headers()) || response.body().size_hint().exact().is_none() {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, usize::MAX).await?;
    let name = format!("\"{}\"", Version::of_bytes(&text));
    parts.headers.insert(ETAG, HeaderValue::try_from(name).expect("hexadecimal digits"));
    Ok(Response::from_parts(parts, Body::from(text)))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

/// Whether a name is among those that an `If-None-Match` lists; compared weakly, as RFC 9110 §13.1.2 has it.
fn is_among(known: &HeaderValue, name: &HeaderValue) -> bool {
    let bare = |name: &str| name.trim().trim_start_matches("W/").to_owned();
    let (Ok(known), Ok(name)) = (known.to_str(), name.to_str()) else { return false };
    known.trim() == "*" || known.split(',').any(|each| bare(each) == bare(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_lists_weak_or_not() {
        for (known, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            let (known, name) = (HeaderValue::from_static(known), HeaderValue::from_static("\"a\""));
            assert_eq!(is_among(&known, &name), expected, "{known:?}");
        }
    }
}
