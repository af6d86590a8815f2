//! The console for browsers: files that the program carries with it, and the headers under which they run.

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::problem::Problem;
use super::routes::App;

/// What `scripts/build-console` has built; a debug build reads it where it lies.
#[derive(RustEmbed)]
#[folder = "console/dist"]
#[allow_missing = true]
struct Files;

/// Nothing from elsewhere, no script in the page; whose pages may stand around it follows.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; media-src 'self' blob:; \
    connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors ";
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(self), payment=(), usb=()";

/// `GET /`.
pub(super) async fn page() -> Response {
    file("index.html", &[])
}

/// `GET /agent`: the agents' page alone, which other systems' pages may show where the configuration names them.
pub(super) async fn agent(State(app): State<App>) -> Response {
    file("index.html", &app.live.load().frame_ancestors)
}

/// `GET /assets/…`.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    file(&format!("assets/{name}"), &[])
}

/// A file, around which pages of `frame_ancestors` may stand.
fn file(name: &str, frame_ancestors: &[String]) -> Response {
    let Some(found) = Files::get(name) else {
        let detail = if Files::get("index.html").is_some() {
            "no such file"
        } else {
            "the console was not built into this program: scripts/build-console"
        };
        return Problem::new(StatusCode::NOT_FOUND, detail).into_response();
    };
    // Names of assets change with what is in them.
    let keep = if name == "index.html" { "no-cache" } else { "public, max-age=31536000, immutable" };
    let ancestors = if frame_ancestors.is_empty() { "'none'".to_owned() } else { frame_ancestors.join(" ") };
    let headers: [(HeaderName, &str); 5] = [
        (CONTENT_TYPE, kind(name)),
        (CACHE_CONTROL, keep),
        (CONTENT_SECURITY_POLICY, &format!("{POLICY}{ancestors}")),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ];
    let mut response = (headers, found.data.into_owned()).into_response();
    if frame_ancestors.is_empty() {
        // It knows no list: what the policy says counts where there is one (CSP Level 2 §7.7.1).
        response.headers_mut().insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    response
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
