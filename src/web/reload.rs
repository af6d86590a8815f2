//! `POST /v1/reload`: has the configuration read again, and says what came of it.
//!
//! Reads nothing itself: whoever runs the server does, and answers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::policies::KeptPolicies;
use super::problem::Problem;
use super::routes::App;
use super::shared::{Turn, own_files};
use super::signing::Who;
use crate::settings::Fault;
use crate::store::Store;

/// Somebody wants the configuration to be read again.
#[derive(Debug)]
pub struct ReloadAsked {
    /// Hears what came of it: what was taken, or every fault for which nothing was.
    pub waits: oneshot::Sender<Result<Reloaded, Vec<Fault>>>,
    /// The policies that are to be in force then; those of the files when nothing is said.
    pub policies: Option<KeptPolicies>,
}

/// What a reload has led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reloaded {
    /// The policies that new calls begin with, `NAME@VERSION`.
    pub policies: Vec<String>,
    /// Keys that have changed in the file and stay as they were until the server is started again.
    pub needs_restart: Vec<String>,
}

/// `POST /v1/reload`.
pub(super) async fn reload(State(app): State<App>, Extension(who): Extension<Who>) -> Result<Json<Reloaded>, Problem> {
    // Not in the midst of a replacement, whose file may be taken back.
    let _alone = app.replacing.try_lock().map_err(|_| unavailable("the configuration is being read already"))?;
    let turn = Turn::take_if_free(&app).await;
    let reloaded = reload_and_give(&app, &turn, who.name()).await;
    turn.end().await;
    reloaded.map(Json)
}

/// Has everything read again, and gives a site what its libraries say then.
async fn reload_and_give(app: &App, turn: &Turn, who: &str) -> Result<Reloaded, Problem> {
    let (waits, outcome) = oneshot::channel();
    let asked = ReloadAsked { waits, policies: None };
    app.reloads.try_send(asked).map_err(|_| unavailable("the configuration is being read already"))?;
    let reloaded = outcome_of(outcome).await?;
    give_all(app, turn, who).await.map(|()| reloaded)
}

/// Gives a site the libraries that are in force here.
///
/// # Errors
/// Why other nodes do not have them; they are in force here all the same.
pub(super) async fn give_all(app: &App, turn: &Turn, who: &str) -> Result<(), Problem> {
    let alone = |why: String| unavailable(&format!("it is in force at this node alone: {why}"));
    if app.store.as_ref().is_some_and(Store::has_site) {
        turn.give(app, who, own_files(app).await?).await.map_err(alone)?;
    }
    Ok(())
}

/// Has the configuration read again with these policies, after whoever has asked for that before.
pub(super) async fn read_again(app: &App, policies: KeptPolicies) -> Result<Reloaded, Problem> {
    let (waits, outcome) = oneshot::channel();
    let asked = ReloadAsked { waits, policies: Some(policies) };
    app.reloads.send(asked).await.map_err(|_| unavailable("the server ends"))?;
    outcome_of(outcome).await
}

async fn outcome_of(outcome: oneshot::Receiver<Result<Reloaded, Vec<Fault>>>) -> Result<Reloaded, Problem> {
    match outcome.await {
        Ok(Ok(reloaded)) => Ok(reloaded),
        Ok(Err(faults)) => {
            let detail = "the configuration is broken: nothing of it was taken, the one before stays in force";
            Err(Problem { faults, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail) })
        }
        Err(_) => Err(unavailable("the server ends")),
    }
}

fn unavailable(why: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
}
