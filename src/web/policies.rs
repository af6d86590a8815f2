//! `/v1/policies`: which policies are in force, what is in force of each, and the step back to those before.
//!
//! Their files are one of the libraries: listed, read, checked and replaced there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use routing::Policy;
use serde::Serialize;
use utoipa::ToSchema;

use super::libraries::{blocking, broken};
use super::orders::{answered, ask};
use super::problem::Problem;
use super::reload::give_all;
use super::routes::App;
use super::shared::Turn;
use super::signing::Who;
use crate::control::{Done, Order};
use crate::libraries::Kind;

/// The policies' files by name, as they were read when they were taken up.
pub(super) type Texts = BTreeMap<String, String>;

/// What is in force, and what a step back leads to.
#[derive(Debug, Default)]
pub(super) struct InForce {
    state: Mutex<Course>,
    /// One draft at a time is tried on calls.
    pub(super) trial: Arc<tokio::sync::Mutex<()>>,
}

/// Of all files together, and of each by itself.
#[derive(Debug, Default)]
struct Course {
    now: Arc<Texts>,
    before: Option<Arc<Texts>>,
    /// What was in force of each file before what is, since the start.
    each_before: Texts,
}

impl Course {
    /// These are in force from now on; those that were.
    fn exchange(&mut self, texts: Arc<Texts>) -> Arc<Texts> {
        let before = std::mem::replace(&mut self.now, texts);
        let changed = before.iter().filter(|(name, text)| self.now.get(*name) != Some(*text));
        self.each_before.extend(changed.map(|(name, text)| (name.clone(), text.clone())));
        // Names that are in force no more are remembered for one change.
        self.each_before.retain(|name, _| self.now.contains_key(name) || before.contains_key(name));
        before
    }
}

impl InForce {
    /// These are, and there is nothing to go back to.
    pub(super) fn new(texts: Texts) -> Self {
        let state = Course { now: Arc::new(texts), ..Course::default() };
        Self { state: Mutex::new(state), ..Self::default() }
    }

    /// A configuration was taken up: these are in force from now on.
    pub(super) fn took(&self, texts: Texts) {
        let mut state = self.state();
        let before = state.exchange(Arc::new(texts));
        state.before = Some(before);
    }

    /// Those before are, and a step back leads to those that were.
    pub(super) fn went_back(&self) {
        let mut state = self.state();
        if let Some(before) = state.before.take() {
            state.before = Some(state.exchange(before));
        }
    }

    /// Those in force.
    pub(super) fn now(&self) -> Arc<Texts> {
        Arc::clone(&self.state().now)
    }

    /// What was in force of a file before what is, as far as that was since the start.
    pub(super) fn before(&self, name: &str) -> Option<String> {
        self.state().each_before.get(name).cloned()
    }

    fn state(&self) -> MutexGuard<'_, Course> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Policies that a reload leaves in force, whatever their files say by now; one of them may be exchanged.
#[derive(Debug, Clone)]
pub struct KeptPolicies {
    in_force: Arc<InForce>,
    but: Option<(String, String)>,
}

impl KeptPolicies {
    /// All that are in force, but for one file: its name, and its text.
    pub(super) fn new(in_force: &Arc<InForce>, but: Option<(String, String)>) -> Self {
        Self { in_force: Arc::clone(in_force), but }
    }

    /// Whether that is all of them, as they are.
    pub fn is_all(&self) -> bool {
        self.but.is_none()
    }

    /// The files' texts by name, as of now.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let mut texts = (*self.in_force.now()).clone();
        texts.extend(self.but.clone());
        texts
    }
}

/// The policies of the server.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyList {
    policies: Vec<PolicyLine>,
}

/// One of them.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyLine {
    /// The name of its file, without `.toml`; its place is `/v1/libraries/policies/{name}`.
    name: String,
    /// `NAME@VERSION` of what is in force of it; `null` when nothing is.
    #[schema(required)]
    label: Option<String>,
    /// Whether the file is as it is in force.
    saved: bool,
}

/// What is in force of one file.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyInForce {
    /// `NAME@VERSION`.
    label: String,
    /// The file as it was when it was taken up.
    text: String,
}

/// `GET /v1/policies`.
pub(super) async fn list(State(app): State<App>) -> Result<Json<PolicyList>, Problem> {
    let (now, libraries) = (app.in_force.now(), app.live.load().libraries.clone());
    let kept = blocking(move || {
        let mut kept = Texts::new();
        for volume in libraries.volumes(Kind::Policies)? {
            let text = libraries.read(&volume)?;
            kept.extend(text.map(|text| (volume.name, text.text)));
        }
        Ok(kept)
    });
    let kept = kept.await?.map_err(broken)?;
    let names: BTreeSet<&String> = kept.keys().chain(now.keys()).collect();
    let policies = names.into_iter().map(|name| PolicyLine {
        name: name.clone(),
        label: now.get(name).and_then(|text| label(text)),
        saved: kept.get(name) == now.get(name),
    });
    Ok(Json(PolicyList { policies: policies.collect() }))
}

/// `GET /v1/policies/{name}`.
pub(super) async fn show(State(app): State<App>, Path(name): Path<String>) -> Result<Json<PolicyInForce>, Problem> {
    let now = app.in_force.now();
    let shown = now.get(&name).and_then(|text| Some(PolicyInForce { label: label(text)?, text: text.clone() }));
    shown.map(Json).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "nothing of that name is in force"))
}

/// `POST /v1/policies/back`.
pub(super) async fn back(State(app): State<App>, Extension(who): Extension<Who>) -> Result<Response, Problem> {
    // A replacement leaves in force what was so when it began to read.
    let _alone = app.replacing.lock().await;
    let turn = Turn::take_if_free(&app).await;
    let back = go_back(&app, &turn, who.name()).await;
    turn.end().await;
    answered(back?)
}

async fn go_back(app: &App, turn: &Turn, who: &str) -> Result<Done, Problem> {
    let done = ask(app, Order::PoliciesBack).await?;
    give_all(app, turn, who).await.map(|()| done)
}

fn label(text: &str) -> Option<String> {
    Policy::parse(text).ok().map(|policy| policy.label())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_back_to_what_was_in_force_of_it_before() {
        let texts = |all: &[(&str, &str)]| all.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        let in_force = InForce::new(texts(&[("own", "1"), ("other", "a")]));
        assert_eq!(in_force.before("own"), None);
        in_force.took(texts(&[("own", "2"), ("other", "a")]));
        in_force.took(texts(&[("own", "2"), ("other", "b")]));
        assert_eq!((in_force.before("own").as_deref(), in_force.before("other").as_deref()), (Some("1"), Some("a")));
        in_force.went_back();
        assert_eq!((in_force.before("own").as_deref(), in_force.before("other").as_deref()), (Some("1"), Some("b")));
        in_force.took(texts(&[("other", "b")]));
        assert_eq!((in_force.now().get("own"), in_force.before("own").as_deref()), (None, Some("2")));
    }
}
