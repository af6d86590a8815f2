//! The console for browsers: files that the program carries with it, and the headers under which they run.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::problem::Problem;

/// What `scripts/build-console` has built; a debug build reads it where it lies.
#[derive(RustEmbed)]
#[folder = "console/dist"]
#[allow_missing = true]
struct Files;

/// Nothing from elsewhere, no script in the page, no page around it.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; media-src 'self' blob:; \
    connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(self), payment=(), usb=()";

/// `GET /`.
pub(super) async fn page() -> Response {
    file("index.html")
}

/// `GET /assets/…`.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    file(&format!("assets/{name}"))
}

fn file(name: &str) -> Response {
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
    let headers: [(HeaderName, &str); 6] = [
        (CONTENT_TYPE, kind(name)),
        (CACHE_CONTROL, keep),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ];
    (headers, found.data.into_owned()).into_response()
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
