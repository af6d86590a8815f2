//! Errors as the API tells them: `application/problem+json` (RFC 9457).

use axum::body::to_bytes;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::settings::Fault;

/// What went wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) detail: String,
    /// What is wrong with files of the server, one by one.
    pub(super) faults: Vec<Fault>,
    /// What is missing that only whoever asks has.
    pub(super) needs: Option<&'static str>,
    /// The node that has what was asked for.
    pub(super) node: Option<String>,
    /// Where people reach it.
    pub(super) address: Option<String>,
}

impl Problem {
    /// A problem with a sentence that says what to do about it.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), faults: Vec::new(), needs: None, node: None, address: None }
    }
}

/// An error (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// Always `about:blank`: the status says what kind it is.
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What was found and what was expected.
    detail: String,
    /// What is wrong with files of the server, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<FaultBody>,
    /// At a sign-in: `code`, when the password is right and a code is needed besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    needs: Option<&'static str>,
    /// The node that has what was asked for, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    node: Option<String>,
    /// Where that node is reached, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    address: Option<String>,
}

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Fault)]
pub(super) struct FaultBody {
    /// The file.
    file: String,
    /// The key in it, e.g. `media.ports`, or where it is, e.g. `line 3`.
    key: String,
    /// What stands there.
    found: String,
    /// What could.
    expected: String,
}

impl From<Fault> for FaultBody {
    fn from(Fault { file, key, found, expected }: Fault) -> Self {
        Self { file: file.display().to_string(), key, found, expected }
    }
}

/// A refusal as the framework words it, as all others are told; every other answer as it is.
pub(super) async fn as_problem(response: Response) -> Response {
    /// What is read of such a refusal, bytes.
    const WORDS_BYTES_MAX: usize = 4 << 10;
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE);
    let is_plain = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !is_plain || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let words = to_bytes(response.into_body(), WORDS_BYTES_MAX).await.unwrap_or_default();
    Problem::new(status, String::from_utf8_lossy(&words)).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail,
            faults: self.faults.into_iter().map(FaultBody::from).collect(),
            needs: self.needs,
            node: self.node,
            address: self.address,
        };
        let text = serde_json::to_string(&body).expect("strings and numbers");
        let mut response = (self.status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"calmline\""));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
