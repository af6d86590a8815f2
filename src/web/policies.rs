//! `/v1/policies`: the policies' files, as they are kept and as they are in force; a draft of one is checked, tried on the
//! calls of a day, and put in its file's place.
//!
//! Decides nothing: what is written is read like any reload, and is taken back when that refuses it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::orders::{answered, ask, read};
use super::problem::Problem;
use super::reload::reloaded;
use super::routes::App;
use crate::control::{Done, Order};
use crate::hexadecimal::hexadecimal;
use crate::settings::{Fault, Policies, Settings, parse_policy, policy_files};

/// The longest name of a file, bytes.
const NAME_BYTES_MAX: usize = 64;

/// The policies' files by name, as they were read when they were taken up.
pub(super) type Texts = BTreeMap<String, String>;

/// What is in force, and what a step back leads to.
#[derive(Debug, Default)]
pub(super) struct InForce {
    texts: Mutex<(Arc<Texts>, Option<Arc<Texts>>)>,
    /// One draft at a time is tried on calls.
    pub(super) trial: tokio::sync::Mutex<()>,
    /// One file at a time is written.
    writing: tokio::sync::Mutex<()>,
}

impl InForce {
    /// These are, and there is nothing to go back to.
    pub(super) fn new(texts: Texts) -> Self {
        Self { texts: Mutex::new((Arc::new(texts), None)), ..Self::default() }
    }

    /// A configuration was taken up: these are in force from now on.
    pub(super) fn took(&self, texts: Texts) {
        let mut state = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut state.0, Arc::new(texts));
        state.1 = Some(before);
    }

    fn went_back(&self) {
        let mut state = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = state.1.take() {
            state.1 = Some(std::mem::replace(&mut state.0, before));
        }
    }

    /// Those in force.
    pub(super) fn now(&self) -> Arc<Texts> {
        Arc::clone(&self.texts.lock().unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// The policies of the server.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyList {
    policies: Vec<PolicyFile>,
}

/// One policy's file.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyFile {
    /// Its name in the folder of policies.
    file: String,
    /// `NAME@VERSION` of what is in force of it; absent when nothing is.
    #[schema(required)]
    label: Option<String>,
    /// Whether the file is as it is in force.
    saved: bool,
}

/// One policy's file, whole.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyText {
    /// Its name in the folder of policies.
    file: String,
    /// What stands in it; absent when there is no such file any more.
    #[schema(required)]
    text: Option<String>,
    /// What is in force of it; absent when nothing is.
    #[schema(required)]
    in_force: Option<String>,
}

/// What a policy is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyDraft {
    /// TOML, as in docs/POLICIES.md.
    pub(super) text: String,
}

/// A draft that could be in force.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyGood {
    /// `NAME@VERSION`.
    label: String,
    rules: usize,
    /// What it expects of itself.
    expects: usize,
    /// Those that are not met.
    broken: Vec<PolicyBroken>,
}

/// An expectation that is not met.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyBroken {
    expect: String,
    why: String,
}

/// `GET /v1/policies`.
pub(super) async fn list(State(app): State<App>) -> Result<Json<PolicyList>, Problem> {
    let now = app.in_force.now();
    let folder = folder(&app);
    let kept = blocking(move || policy_files(&folder).map(texts_of)).await?.map_err(|fault| faulty(vec![fault]))?;
    let names: BTreeSet<&String> = kept.keys().chain(now.keys()).collect();
    let policies = names.into_iter().map(|file| {
        let label = now.get(file).and_then(|text| routing::Policy::parse(text).ok()).map(|policy| policy.label());
        PolicyFile { file: file.clone(), label, saved: kept.get(file) == now.get(file) }
    });
    Ok(Json(PolicyList { policies: policies.collect() }))
}

/// `GET /v1/policies/{file}`.
pub(super) async fn show(State(app): State<App>, Path(file): Path<String>) -> Result<Response, Problem> {
    let path = path_of(&app, &file)?;
    let text = blocking(move || std::fs::read_to_string(path).ok()).await?;
    let in_force = app.in_force.now().get(&file).cloned();
    if text.is_none() && in_force.is_none() {
        return Err(no_such_file());
    }
    let name = text.as_deref().map(name_of);
    let body = Json(PolicyText { file, text, in_force });
    Ok(match name {
        Some(name) => ([(ETAG, name)], body).into_response(),
        None => body.into_response(),
    })
}

/// `POST /v1/policies/{file}/check`.
pub(super) async fn check(
    State(app): State<App>,
    Path(file): Path<String>,
    body: Result<Json<PolicyDraft>, JsonRejection>,
) -> Result<Json<PolicyGood>, Problem> {
    let PolicyDraft { text } = read(body)?;
    path_of(&app, &file)?;
    let policy = draft(&app, file, text).await?;
    let broken = routing::check_expects(&policy);
    let broken = broken.into_iter().map(|own| PolicyBroken { expect: own.expect, why: own.why });
    let (label, rules, expects) = (policy.label(), policy.rules.len(), policy.expects.len());
    Ok(Json(PolicyGood { label, rules, expects, broken: broken.collect() }))
}

/// `PUT /v1/policies/{file}`: with `If-Match`, or `If-None-Match: *` for a new one.
pub(super) async fn write(
    State(app): State<App>,
    Path(file): Path<String>,
    headers: HeaderMap,
    body: Result<Json<PolicyDraft>, JsonRejection>,
) -> Result<Response, Problem> {
    let PolicyDraft { text } = read(body)?;
    let path = path_of(&app, &file)?;
    let _turn = app.in_force.writing.lock().await;
    let at = path.clone();
    let before = blocking(move || std::fs::read_to_string(at).ok()).await?;
    fits(&headers, before.as_deref())?;
    draft(&app, file, text.clone()).await?;
    put(&path, Some(text.clone())).await?;
    match reloaded(&app).await {
        Ok(reloaded) => Ok(([(ETAG, name_of(&text))], Json(reloaded)).into_response()),
        Err(problem) => {
            put(&path, before).await?;
            Err(problem)
        }
    }
}

/// `POST /v1/policies/back`.
pub(super) async fn back(State(app): State<App>) -> Result<Response, Problem> {
    let done = ask(&app, Order::PoliciesBack).await?;
    if matches!(done, Done::Accepted) {
        app.in_force.went_back();
    }
    answered(done)
}

/// A draft as a policy, when all that it names is there.
pub(super) async fn draft(app: &App, file: String, text: String) -> Result<routing::Policy, Problem> {
    let settings = Arc::clone(&app.live.load().settings);
    let found = blocking(move || found_in(&settings, &file, &text)).await?;
    found.map_err(faulty)
}

fn found_in(settings: &Settings, file: &str, text: &str) -> Result<routing::Policy, Vec<Fault>> {
    let path = settings.policy.folder.join(file);
    // Its own faults first: what else is wrong in the folder is nothing that a draft can mend.
    let policy = parse_policy(&path, text)?;
    Policies::with_draft(settings, &path, text)?;
    Ok(policy)
}

/// Whether whoever writes knows what stands there.
fn fits(headers: &HeaderMap, before: Option<&str>) -> Result<(), Problem> {
    let given = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let is_known = match (given(IF_MATCH), given(IF_NONE_MATCH), before) {
        (Some(known), _, Some(text)) => known == name_of(text),
        (None, Some("*"), None) => true,
        (None, None, _) => {
            let detail = "send `If-Match` with the `ETag` of the file, or `If-None-Match: *` for a new one";
            return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, detail));
        }
        _ => false,
    };
    let detail = "the file is not as it was when it was read: read it again";
    is_known.then_some(()).ok_or_else(|| Problem::new(StatusCode::PRECONDITION_FAILED, detail))
}

/// Puts a text in a file's place, whole or not at all; takes the file away when there is none.
async fn put(path: &FilePath, text: Option<String>) -> Result<(), Problem> {
    let path = path.to_owned();
    let write = move || match text {
        Some(text) => {
            let beside = path.with_extension("toml.new");
            std::fs::write(&beside, text)?;
            if let Ok(before) = std::fs::metadata(&path) {
                std::fs::set_permissions(&beside, before.permissions())?;
            }
            std::fs::File::open(&beside)?.sync_all()?;
            std::fs::rename(beside, path)
        }
        None => std::fs::remove_file(path),
    };
    blocking(write).await?.map_err(|error| {
        Problem::new(StatusCode::CONFLICT, format!("the file cannot be written, by the server's user: {error}"))
    })
}

/// A policy's file by its name, which leads nowhere else.
fn path_of(app: &App, file: &str) -> Result<PathBuf, Problem> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let is_name = file.strip_suffix(".toml").is_some_and(|stem| !stem.is_empty() && !stem.starts_with('.'));
    if !is_name || file.len() > NAME_BYTES_MAX || !file.chars().all(is_letter) {
        return Err(no_such_file());
    }
    Ok(folder(app).join(file))
}

fn folder(app: &App) -> PathBuf {
    app.live.load().settings.policy.folder.clone()
}

fn texts_of(files: Vec<PathBuf>) -> Texts {
    let read = |file: PathBuf| Some((file.file_name()?.to_str()?.to_owned(), std::fs::read_to_string(&file).ok()?));
    files.into_iter().filter_map(read).collect()
}

/// What a text is known by.
fn name_of(text: &str) -> String {
    format!("\"{}\"", hexadecimal(&digest(&SHA256, text.as_bytes()).as_ref()[..16]))
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("what was to be done broke: {error}"))
    })
}

fn faulty(faults: Vec<Fault>) -> Problem {
    let detail = "the policy is broken: nothing of it was taken";
    Problem { faults, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
}

fn no_such_file() -> Problem {
    let detail = format!("no such file; one is called by at most {NAME_BYTES_MAX} of A-Z, a-z, 0-9, -, _, . and `.toml`");
    Problem::new(StatusCode::NOT_FOUND, detail)
}
