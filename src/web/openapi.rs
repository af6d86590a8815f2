//! The API described by itself (OpenAPI 3.1): a document put together from what each address says of itself.
//!
//! Adds what all addresses have in common: who may ask, errors as `application/problem+json`, limits.

mod description;

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem, PathsBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, SecurityRequirement};
use utoipa::{PartialSchema, ToSchema};

pub(super) use self::description::{Description, describe};
use super::addresses::{closed, open};
use super::elsewhere::is_its_nodes;
use super::permit::Area;
use super::problem::ProblemBody;
use super::routes::App;
use super::signing::{CONSOLE_HEADER, COOKIE_NAME};
use crate::libraries::Version;
use crate::users::Role;

/// How those who are known prove it; as the document names them.
const TOKEN: &str = "token";
const SESSION: &str = "session";
const CONSOLE: &str = "console";

/// The document as it is served, and what it is known by.
static SERVED: LazyLock<(Bytes, String)> = LazyLock::new(|| {
    let text = text();
    let name = format!("\"{}\"", Version::of(&text));
    (Bytes::from(text), name)
});

/// `GET /v1/openapi.json`.
pub(super) async fn openapi(State(_): State<App>, headers: HeaderMap) -> Response {
    let (text, name) = &*SERVED;
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == name.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, name.as_str())]).into_response();
    }
    ([(CONTENT_TYPE, "application/json"), (ETAG, name.as_str())], text.clone()).into_response()
}

/// The document, as the repository keeps it and the server sends it.
pub(super) fn text() -> String {
    let document = serde_json::to_value(document()).expect("strings and numbers");
    // By way of a value: its keys stand in order.
    let mut text = serde_json::to_string_pretty(&document).expect("strings and numbers");
    text.push('\n');
    text
}

fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut schemas = vec![(ProblemBody::name().into_owned(), ProblemBody::schema())];
    ProblemBody::schemas(&mut schemas);
    for (method, path, area, description) in open().into_descriptions().chain(closed().into_descriptions()) {
        let is_named = area.is_some() && method == Method::GET;
        let description = if is_named { description.conditional() } else { description };
        let is_its_nodes = is_its_nodes(&method, path);
        let description =
            if is_its_nodes { description.refuses(&[StatusCode::MISDIRECTED_REQUEST]) } else { description };
        let operation = description.operation(&method, path, &mut schemas);
        let operation = match area {
            Some(area) => guarded(operation, &method, area),
            None => operation.tag("open").securities(Some([SecurityRequirement::default()])),
        };
        paths = paths.path(path, PathItem::new(method_of(&method), operation));
    }
    let license = LicenseBuilder::new().name("Apache-2.0 OR MIT").build();
    let info = InfoBuilder::new()
        .title("Calmline")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license))
        .build();
    let components = ComponentsBuilder::new().schemas_from_iter(schemas);
    OpenApiBuilder::new().info(info).paths(paths).components(Some(proofs(components).build())).build()
}

const ABOUT: &str = "Calls, chats, orders, live audio, events, reports and the running of a Calmline server. \
    Times are RFC 3339 in UTC with milliseconds; spans are milliseconds. Errors are `application/problem+json` (RFC 9457). \
    Fields are only added: clients pass over those they do not know. Other sites' pages are answered nothing (no CORS).";

/// Who may ask for an address, and what all of those answer that ask for somebody who is known.
fn guarded(operation: OperationBuilder, method: &Method, area: Area) -> OperationBuilder {
    let roles: Vec<&str> = Role::ALL.into_iter().filter(|role| area.is_for(*role)).map(Role::name).collect();
    let person = SecurityRequirement::new(SESSION, [""; 0]);
    // A page of ours says so when it changes anything.
    let person = if *method == Method::GET { person } else { person.add(CONSOLE, [""; 0]) };
    let refusals = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let operation = operation
        .tag(area.name())
        .description(Some(format!("For the token, and for people who are: {}.", roles.join(", "))))
        .extensions(Some(ExtensionsBuilder::new().add("x-calmline-roles", roles).build()))
        .securities(Some([SecurityRequirement::new(TOKEN, [""; 0]), person]));
    refusals
        .into_iter()
        .fold(operation, |operation, status| operation.response(status.as_str(), description::refusal(status)))
}

/// How those who are known prove it.
fn proofs(components: ComponentsBuilder) -> ComponentsBuilder {
    let key = |name: &'static str, what: &'static str| ApiKeyValue::with_description(name, what);
    components
        .security_scheme(TOKEN, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(key(COOKIE_NAME, "Of `POST /v1/session`."))))
        .security_scheme(
            CONSOLE,
            SecurityScheme::ApiKey(ApiKey::Header(key(CONSOLE_HEADER, "`1`: pages of other sites cannot send it."))),
        )
}

fn method_of(method: &Method) -> HttpMethod {
    match *method {
        Method::PUT => HttpMethod::Put,
        Method::POST => HttpMethod::Post,
        Method::DELETE => HttpMethod::Delete,
        Method::PATCH => HttpMethod::Patch,
        _ => HttpMethod::Get,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the document anew where this is set.
    const WRITE: &str = "CALMLINE_WRITE_OPENAPI";

    #[test]
    fn the_document_that_is_kept_is_the_one_that_is_served() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(&path, text()).expect("the file can be written");
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text(), "{}: not as the addresses are now; write it anew with {WRITE}=1", path.display());
    }

    #[test]
    fn every_address_is_described_with_who_may_ask_and_how_it_is_refused() {
        let document = serde_json::to_value(document()).expect("strings and numbers");
        let (_, permissions) = closed().parts();
        for (method, path, area) in permissions.table() {
            let operation = &document["paths"][path][method.as_str().to_ascii_lowercase()];
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{method} {path}");
            let roles = operation["x-calmline-roles"].as_array().expect("roles").iter();
            let roles: Vec<&str> = roles.filter_map(serde_json::Value::as_str).collect();
            for role in Role::ALL {
                assert_eq!(roles.contains(&role.name()), area.is_for(role), "{method} {path} {role:?}");
            }
            let responses = operation["responses"].as_object().expect("responses");
            assert!(responses.keys().any(|status| status.starts_with('2') || status == "101"), "{method} {path}");
            for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
                let is_problem = response["content"].get("application/problem+json").is_some();
                assert!(is_problem, "{method} {path} {status}");
            }
            assert!(["401", "403", "429", "503"].iter().all(|status| responses.contains_key(*status)));
        }
    }

    #[test]
    fn every_shape_that_is_referred_to_is_there_and_names_are_used_once() {
        let document = serde_json::to_value(document()).expect("strings and numbers");
        let text = document.to_string();
        let references = text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
        let shapes = document["components"]["schemas"].as_object().expect("shapes");
        let missing: Vec<&str> = references.filter(|name| !shapes.contains_key(*name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let mut schemas = Vec::new();
        let all = open().into_descriptions().chain(closed().into_descriptions());
        for (method, path, _, description) in all {
            description.operation(&method, path, &mut schemas);
        }
        for (name, schema) in schemas {
            let schema = serde_json::to_value(schema).expect("strings and numbers");
            assert_eq!(schema, shapes[&name], "two shapes are called {name}");
        }
    }
}
