//! `/v1/libraries`: policies, knowledge, lexicons, phrase lists, compliance lists and parts of the configuration, listed, read,
//! checked and replaced.
//!
//! A replacement is in its place only once everything has been read again with it; else what was there is back.

use std::sync::Arc;

use axum::extract::rejection::{QueryRejection, StringRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;
use utoipa::{IntoParams, ToSchema};

use super::policies::{InForce, KeptPolicies, Texts};
use super::problem::Problem;
use super::query::asked;
use super::reload::{Reloaded, read_again};
use super::routes::App;
use super::shared::Turn;
use super::signing::Who;
use crate::libraries::{Before, Kind, Libraries, Swap, Text, Volume};
use crate::settings::{Fault, read_text};
use crate::users::Role;

/// One replacement at a time.
pub(super) type Replacing = Arc<Mutex<()>>;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplaceQuery {
    /// Only look at it.
    #[serde(default)]
    check: bool,
}

/// All files of all libraries.
#[derive(Serialize, ToSchema)]
pub(super) struct LibraryList {
    libraries: Vec<Listed>,
}

/// What has become of a text.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct LibraryDone {
    /// True when it was only looked at, and is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    valid: Option<bool>,
    /// What it is known by, now that it is in its place; this and the following are absent when it was only looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<String>,
    /// The policies that new calls begin with, `NAME@VERSION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    policies: Option<Vec<String>>,
    /// Keys of the configuration that wait for a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    needs_restart: Option<Vec<String>>,
    /// What went wrong though it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fault: Option<String>,
}

/// A file of a library.
#[derive(Serialize, ToSchema)]
#[schema(as = LibraryFile)]
pub(super) struct Listed {
    kind: &'static str,
    name: String,
    version: String,
    bytes: usize,
    /// Whether it comes with the program, and cannot be replaced.
    built_in: bool,
    /// The version before it, to which `back` leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    previous: Option<String>,
}

/// `GET /v1/libraries`.
pub(super) async fn list(State(app): State<App>, Extension(who): Extension<Who>) -> Result<Json<LibraryList>, Problem> {
    let libraries = app.live.load().libraries.clone();
    let in_force = Arc::clone(&app.in_force);
    let listed = blocking(move || {
        let kinds = Kind::ALL.into_iter().filter(|kind| is_for(&who, *kind));
        kinds.map(|kind| listed(&libraries, kind, &in_force)).collect::<Result<Vec<_>, _>>()
    });
    let listed: Vec<Listed> = listed.await?.map_err(broken)?.into_iter().flatten().collect();
    Ok(Json(LibraryList { libraries: listed }))
}

/// `GET /v1/libraries/{kind}/{name}`: its text, with its version as `ETag`.
pub(super) async fn read(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    admit(&who, &kind)?;
    let (_, _, text) = find(&app, &kind, &name).await?;
    let text = text.ok_or_else(no_such)?;
    let kind = HeaderValue::from_static("application/toml; charset=utf-8");
    let mut response = text.text.clone().into_response();
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(ETAG, etag(&text));
    Ok(response)
}

/// `PUT /v1/libraries/{kind}/{name}`: another text in the place of what there is; with `?check=true` only looked at.
pub(super) async fn replace(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path((kind, name)): Path<(String, String)>,
    query: Result<Query<ReplaceQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Result<String, StringRejection>,
) -> Result<Response, Problem> {
    admit(&who, &kind)?;
    let ReplaceQuery { check } = asked(query)?;
    let body = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    if check {
        let (libraries, volume, _) = find(&app, &kind, &name).await?;
        let now = app.in_force.now();
        blocking(move || libraries.check(&volume, &body, &now)).await?.map_err(refused)?;
        return Ok(Json(LibraryDone { valid: Some(true), ..LibraryDone::default() }).into_response());
    }
    let precondition = Precondition::of(&headers)?;
    put(app, &who, (kind, name), precondition, New::Text(body)).await
}

/// `POST /v1/libraries/{kind}/{name}/back`: the version before, in the place of the one that there is.
pub(super) async fn back(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path((kind, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    admit(&who, &kind)?;
    let precondition =
        if headers.contains_key(IF_MATCH) { Precondition::of(&headers)? } else { Precondition::Whatever };
    put(app, &who, (kind, name), precondition, New::Previous).await
}

/// Whether a kind is anything to somebody: parts of the configuration say who may sign in, too.
fn is_for(who: &Who, kind: Kind) -> bool {
    match who {
        Who::Machine => true,
        Who::Person { role, .. } => kind != Kind::Parts || *role == Role::Administrator,
    }
}

fn admit(who: &Who, kind: &str) -> Result<(), Problem> {
    let is_closed = Kind::named(kind).is_some_and(|kind| !is_for(who, kind));
    let detail = || format!("{kind} are for administrators: they say who may sign in, too");
    if is_closed { Err(Problem::new(StatusCode::FORBIDDEN, detail())) } else { Ok(()) }
}

/// What is put in the place of a volume.
enum New {
    Text(String),
    Previous,
}

/// What must be there for a replacement to be made.
enum Precondition {
    /// This version.
    Version(HeaderValue),
    /// None.
    Nothing,
    /// Whatever there is.
    Whatever,
}

impl Precondition {
    fn of(headers: &HeaderMap) -> Result<Precondition, Problem> {
        match (headers.get(IF_MATCH), headers.get(IF_NONE_MATCH)) {
            (Some(version), None) if version == "*" => Ok(Precondition::Whatever),
            (Some(version), None) => Ok(Precondition::Version(version.clone())),
            (None, Some(star)) if star == "*" => Ok(Precondition::Nothing),
            _ => {
                let detail = "send `If-Match` with the ETag that was read, or `If-None-Match: *` for a new file";
                Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, detail))
            }
        }
    }

    fn check(&self, there: Option<&Text>) -> Result<(), Problem> {
        let holds = match self {
            Precondition::Version(version) => there.is_some_and(|there| etag(there) == *version),
            Precondition::Nothing => there.is_none(),
            Precondition::Whatever => true,
        };
        let found = there.map_or("nothing".to_owned(), |there| format!("version \"{}\"", there.version));
        let detail = || format!("found {found}, which is not what the request goes by: read it again");
        holds.then_some(()).ok_or_else(|| Problem::new(StatusCode::PRECONDITION_FAILED, detail()))
    }
}

/// Replaces a volume, in a task of its own: whoever asked may leave, and a replacement is never left half-way.
async fn put(
    app: App,
    who: &Who,
    (kind, name): (String, String),
    precondition: Precondition,
    new: New,
) -> Result<Response, Problem> {
    let (replacing, who) = (Arc::clone(&app.replacing), who.name().to_owned());
    let deed = tokio::spawn(async move {
        let _alone = replacing.lock_owned().await;
        let turn = Turn::take(&app).await?;
        let placed = place(&app, (&who, Some(&turn)), (&kind, &name), &precondition, new).await;
        turn.end().await;
        placed
    });
    deed.await.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
}

/// Puts a text in the place of a volume, by whom it is another node's that goes by it already.
pub(super) async fn put_in_place(app: &App, who: &str, at: (&str, &str), text: String) -> Result<(), Problem> {
    place(app, (who, None), at, &Precondition::Whatever, New::Text(text)).await.map(drop)
}

async fn place(
    app: &App,
    (who, turn): (&str, Option<&Turn>),
    (kind, name): (&str, &str),
    precondition: &Precondition,
    new: New,
) -> Result<Response, Problem> {
    let (libraries, volume, there) = find(app, kind, name).await?;
    let Some(path) = volume.path.clone() else {
        let detail = "it comes with the program: name files of your own in the configuration";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    };
    precondition.check(there.as_ref())?;
    let new = Text::new(match new {
        New::Text(text) => text,
        New::Previous => previous_of(app, &volume, &path).await?,
    });
    let (checked, of, now) = (new.text.clone(), volume.clone(), app.in_force.now());
    blocking(move || libraries.check(&of, &checked, &now)).await?.map_err(refused)?;
    let written = new.text.clone();
    let swap = blocking(move || Swap::make(&path, &written)).await?.map_err(|error| unwritten(&volume, &error))?;
    try_out(app, swap, &Replacement { who: who.to_owned(), turn, volume, there, new }).await
}

/// What takes whose place.
struct Replacement<'t> {
    who: String,
    /// By which other nodes of a site get it.
    turn: Option<&'t Turn>,
    volume: Volume,
    there: Option<Text>,
    new: Text,
}

/// What was in force of a policy before what is, when that is known.
fn in_force_before(in_force: &InForce, volume: &Volume) -> Option<String> {
    (volume.kind == Kind::Policies).then(|| in_force.before(&volume.name)).flatten()
}

/// Has the libraries read again with the file that is in its place, and leaves it there or takes it back. Other policies stay as
/// they are in force, also where their files say something else since a step back.
async fn try_out(app: &App, swap: Swap, replacement: &Replacement<'_>) -> Result<Response, Problem> {
    let Replacement { volume, there, new, .. } = replacement;
    let is_policy = volume.kind == Kind::Policies;
    let but = is_policy.then(|| (volume.name.clone(), new.text.clone()));
    let in_force = app.in_force.now().get(&volume.name).cloned();
    let kept = KeptPolicies::new(&app.in_force, but);
    let Reloaded { policies, needs_restart } = match read_again(app, kept).await {
        Ok(reloaded) => reloaded,
        Err(problem) => {
            let Err(error) = blocking(move || swap.undo()).await? else { return Err(problem) };
            let problem = stuck(volume, problem, &error);
            audit(app, replacement, "library_stuck").await;
            return Err(problem);
        }
    };
    // It is in force, whatever becomes of the one before.
    audit(app, replacement, "library_replaced").await;
    let kept = blocking(move || swap.keep(if is_policy { Before::InForce(in_force.as_deref()) } else { Before::File }))
        .await?;
    let version = Some(new.version.to_string());
    let (policies, needs_restart) = (Some(policies), Some(needs_restart));
    let mut answer = LibraryDone { version, policies, needs_restart, ..LibraryDone::default() };
    if let Err(error) = kept {
        tracing::warn!(kind = volume.kind.name(), name = volume.name, %error, "the version before is not kept");
        answer.fault = Some(format!("it is in force; the version before cannot be kept: {error}"));
    }
    if let Some(turn) = replacement.turn {
        let file = (volume.kind, volume.name.clone(), new.text.clone());
        if let Err(why) = turn.give(app, &replacement.who, vec![file]).await {
            tracing::error!(kind = volume.kind.name(), name = volume.name, why, "other nodes do not have a library");
            answer.fault = Some(format!("it is in force at this node alone: {why}"));
        }
    }
    let status = if there.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = (status, Json(answer)).into_response();
    response.headers_mut().insert(ETAG, etag(new));
    Ok(response)
}

async fn audit(app: &App, Replacement { who, volume, there, new, .. }: &Replacement<'_>, kind: &str) {
    let Some(store) = &app.store else { return };
    let before = there.as_ref().map(|there| there.version.to_string());
    let after = new.version.to_string();
    let what = json!({ "kind": volume.kind.name(), "name": volume.name, "before": before, "after": after });
    store.audited(kind, who, "", what).await;
}

/// What the version before the one at `path` says: of a policy the one that was in force before, whatever its file said.
async fn previous_of(app: &App, volume: &Volume, path: &std::path::Path) -> Result<String, Problem> {
    if let Some(before) = in_force_before(&app.in_force, volume) {
        return Ok(before);
    }
    let path = path.to_owned();
    let previous = blocking(move || Swap::previous(&path).map(|previous| read_text(&previous)).transpose());
    let previous = previous.await?.map_err(broken)?;
    previous.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is no version before it"))
}

fn listed(libraries: &Libraries, kind: Kind, in_force: &InForce) -> Result<Vec<Listed>, Fault> {
    let mut all = Vec::new();
    for volume in libraries.volumes(kind)? {
        let Some(text) = libraries.read(&volume)? else { continue };
        let before = in_force_before(in_force, &volume);
        let kept = || volume.path.as_deref().and_then(Swap::previous).map(|kept| read_text(&kept)).transpose();
        let previous = before.map_or_else(kept, |before| Ok(Some(before)))?.map(Text::new);
        all.push(Listed {
            kind: kind.name(),
            name: volume.name,
            version: text.version.to_string(),
            bytes: text.text.len(),
            built_in: volume.path.is_none(),
            previous: previous.map(|previous| previous.version.to_string()),
        });
    }
    Ok(all)
}

/// What lies in files of a node's own; of policies, what is in force.
///
/// # Errors
/// When one of them cannot be read.
pub(super) fn texts(libraries: &Libraries, in_force: &Texts) -> Result<Vec<(Kind, String, String)>, Fault> {
    let mut texts: Vec<_> = in_force.iter().map(|(name, text)| (Kind::Policies, name.clone(), text.clone())).collect();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Policies) {
        for volume in libraries.volumes(kind)?.into_iter().filter(|volume| volume.path.is_some()) {
            let text = libraries.read(&volume)?;
            texts.extend(text.map(|text| (kind, volume.name, text.text)));
        }
    }
    Ok(texts)
}

/// The volume of that name, and what it says.
pub(super) async fn find(app: &App, kind: &str, name: &str) -> Result<(Libraries, Volume, Option<Text>), Problem> {
    let known = || Kind::ALL.map(Kind::name).join(", ");
    let no_kind = || Problem::new(StatusCode::NOT_FOUND, format!("no such kind; there are: {}", known()));
    let kind = Kind::named(kind).ok_or_else(no_kind)?;
    let (libraries, name) = (app.live.load().libraries.clone(), name.to_owned());
    let found = blocking(move || {
        let Some(volume) = libraries.volume(kind, &name)? else { return Ok(None) };
        let text = libraries.read(&volume)?;
        Ok(Some((libraries, volume, text)))
    });
    found.await?.map_err(broken)?.ok_or_else(no_such)
}

/// Does what takes its time beside the server's work.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let broke = |error: tokio::task::JoinError| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    tokio::task::spawn_blocking(work).await.map_err(broke)
}

fn etag(text: &Text) -> HeaderValue {
    HeaderValue::try_from(format!("\"{}\"", text.version)).expect("hexadecimal digits in quotes")
}

fn no_such() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, NO_SUCH)
}

pub(super) fn refused(faults: Vec<Fault>) -> Problem {
    let detail = "it is broken: nothing was written, what there is stays in force";
    Problem { faults, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
}

pub(super) fn broken(fault: Fault) -> Problem {
    Problem { faults: vec![fault], ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a library cannot be read") }
}

fn unwritten(volume: &Volume, error: &std::io::Error) -> Problem {
    let detail = format!("{} {} cannot be written: {error}", volume.kind.name(), volume.name);
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
}

/// It was refused, and is in its place all the same.
fn stuck(volume: &Volume, problem: Problem, error: &std::io::Error) -> Problem {
    let (kind, name) = (volume.kind.name(), &volume.name);
    tracing::error!(kind, name, %error, "a file that was refused cannot be taken back: the next reload finds it");
    let detail = format!("{}; {kind} {name}, as refused, cannot be taken back: {error}", problem.detail);
    Problem { status: StatusCode::INTERNAL_SERVER_ERROR, detail, ..problem }
}

const NO_SUCH: &str =
    "no such file; a new one has a name of 1-64 of a-z, 0-9, \"-\" and \"_\", where there is a folder for it";
