//! The libraries of a site: what is put in force at one node comes to all, under one number.
//!
//! Every node follows by itself, a file at a time and in the order of changes. One that cannot take a file keeps what it had, says
//! so, and tries again; a node that was away takes what it has missed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::accounts::changed;
use super::calls::store_down;
use super::libraries::{blocking, broken, find, put_in_place, texts};
use super::policies::KeptPolicies;
use super::problem::Problem;
use super::reload::read_again;
use super::routes::App;
use crate::libraries::Kind;
use crate::store::{SiteFile, Store};

/// Whoever changes a site's libraries, and for how long that may take.
const LEASE: &str = "configuration";
const LEASE_LASTS: Duration = Duration::from_secs(90);
/// How often it is looked for changes of which no word has come.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// When a file is tried again that could not be taken.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Where this node stands.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Standing>);

/// The libraries of a site, at one node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SiteLibraries)]
pub(super) struct Standing {
    /// The number of the last change that this node has taken; 0 before the first one.
    number: u64,
    /// The number of the site's last change, as far as this node knows.
    site: u64,
    /// Why this node has not taken the next one, where it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fault: Option<String>,
}

impl Shared {
    /// Where this node stands now.
    pub(super) fn standing(&self) -> Standing {
        self.state().clone()
    }

    fn state(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// This node's turn to change the site's libraries.
pub(super) enum Turn {
    /// There is no site.
    Alone,
    /// It has it, until it is given back.
    Taken(Store),
    /// What is done is done at this node alone, and why.
    Refused(Store, String),
}

impl Turn {
    /// Takes it. Whoever has it ends it.
    ///
    /// # Errors
    /// When another node has it, this one has not taken all changes yet, or the store is down.
    pub(super) async fn take(app: &App) -> Result<Turn, Problem> {
        let Some(store) = app.store.clone().filter(Store::has_site) else { return Ok(Turn::Alone) };
        let unavailable = |detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        if !store.has_lease(LEASE.to_owned(), LEASE_LASTS).await.map_err(store_down)? {
            return Err(unavailable("the site's libraries are being changed by another node: try again".to_owned()));
        }
        let site = store.configuration_number().await;
        let own = app.shared.standing();
        let turn = Turn::Taken(store);
        let refusal = match site {
            Ok(site) if site == own.number => return Ok(turn),
            Ok(site) => {
                let why = own.fault.unwrap_or_else(|| "it takes the others in a moment".to_owned());
                unavailable(format!("this node has change {} of {site} of the site's libraries: {why}", own.number))
            }
            Err(why) => store_down(why),
        };
        turn.end().await;
        Err(refusal)
    }

    /// The same for what is done at this node in any case: where it does not have the turn, giving says why.
    pub(super) async fn take_if_free(app: &App) -> Turn {
        match (Self::take(app).await, &app.store) {
            (Ok(turn), _) => turn,
            (Err(problem), Some(store)) => {
                let why = problem.detail;
                tracing::warn!(why, "what is in force at this node from now on is not given to the others");
                Turn::Refused(store.clone(), why)
            }
            (Err(_), None) => Turn::Alone,
        }
    }

    /// Gives files to the site that are in force here; nothing is given where they are the site's already.
    ///
    /// # Errors
    /// Why other nodes do not have them.
    pub(super) async fn give(&self, app: &App, who: &str, files: Vec<(Kind, String, String)>) -> Result<(), String> {
        let (store, refused) = match self {
            Turn::Alone => return Ok(()),
            Turn::Taken(store) => (store, None),
            Turn::Refused(store, why) => (store, Some(why)),
        };
        let there = store.configuration_after(0).await?;
        let is_new = |(kind, name, text): &(Kind, String, String)| {
            !there.iter().any(|file| file.kind == kind.name() && file.name == *name && file.text == *text)
        };
        let file = |(kind, name, text): (Kind, String, String)| {
            let (kind, who, node) = (kind.name().to_owned(), who.to_owned(), String::new());
            SiteFile { number: 0, kind, name, text, node, who }
        };
        let files: Vec<SiteFile> = files.into_iter().filter(is_new).map(file).collect();
        if files.is_empty() {
            return Ok(());
        }
        if let Some(why) = refused {
            return Err(why.clone());
        }
        let count = files.len();
        let number = store.configure(files).await?;
        store.audited("libraries_given", who, "", json!({ "number": number, "files": count })).await;
        *app.shared.state() = Standing { number, site: number, fault: None };
        show(app);
        if let Some(carrier) = &app.carrier {
            carrier.tell_changed().await;
        }
        Ok(())
    }

    /// Lets other nodes have their turns.
    pub(super) async fn end(self) {
        if let Turn::Taken(store) = self {
            // One that cannot be given back lapses.
            let _ = store.give_back(LEASE.to_owned()).await;
        }
    }
}

/// What of this node's libraries a site may have: what lies in files of its own. Of policies, what is in force.
///
/// # Errors
/// When a file cannot be read.
pub(super) async fn own_files(app: &App) -> Result<Vec<(Kind, String, String)>, Problem> {
    let (libraries, in_force) = (app.live.load().libraries.clone(), app.in_force.now());
    blocking(move || texts(&libraries, &in_force)).await?.map_err(broken)
}

/// Follows the site's libraries until the API closes.
pub(super) async fn follow(app: App, store: Store) {
    let mut changes = match &app.carrier {
        Some(carrier) => carrier.changes().await.ok(),
        None => None,
    };
    loop {
        let pause = match look(&app, &store).await {
            Ok(true) => LOOK_EVERY,
            Ok(false) => AGAIN_AFTER,
            Err(why) => {
                tracing::debug!(why, "the site's libraries cannot be read now");
                LOOK_EVERY
            }
        };
        show(&app);
        tokio::select! {
            () = app.closing.cancelled() => return,
            () = changed(&mut changes) => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Takes what has changed; whether this node has all of it then.
async fn look(app: &App, store: &Store) -> Result<bool, String> {
    let site = store.configuration_number().await?;
    if site == app.shared.standing().number {
        return Ok(true);
    }
    let _alone = app.replacing.lock().await;
    let own = app.shared.standing();
    app.shared.state().site = site;
    for file in store.configuration_after(own.number).await? {
        if let Err(why) = take(app, &file, own.number == 0).await {
            return Ok(refuse(app, store, &file, why).await);
        }
        // Others of the same change may follow.
        app.shared.state().number = file.number - 1;
    }
    *app.shared.state() = Standing { number: site, site, fault: None };
    tracing::info!(number = site, "the site's libraries are in force here");
    store.audited("libraries_taken", "server", "", json!({ "number": site })).await;
    Ok(true)
}

/// Keeps what there is, and says why, once for each reason.
async fn refuse(app: &App, store: &Store, file: &SiteFile, why: String) -> bool {
    let SiteFile { number, kind, name, .. } = file;
    let why = format!("{kind} {name} of change {number}: {why}");
    let before = app.shared.state().fault.replace(why.clone());
    if before.as_ref() != Some(&why) {
        tracing::error!(why, "the site's libraries cannot be taken: what was in force stays so here");
        let what = json!({ "number": number, "kind": kind, "name": name, "why": why });
        store.audited("libraries_refused", "server", "", what).await;
    }
    false
}

/// Puts one file in force here, as if it had been sent to this node.
async fn take(app: &App, file: &SiteFile, is_start: bool) -> Result<(), String> {
    let said = |problem: Problem| {
        let faults: Vec<String> = problem.faults.iter().map(ToString::to_string).collect();
        if faults.is_empty() { problem.detail } else { faults.join("; ") }
    };
    let (_, volume, there) = find(app, &file.kind, &file.name).await.map_err(said)?;
    let is_policy = volume.kind == Kind::Policies;
    let is_in_force = !is_policy || app.in_force.now().get(&file.name) == Some(&file.text);
    if there.is_some_and(|there| there.text == file.text) {
        // At the start all was read just now.
        if is_start && is_in_force {
            return Ok(());
        }
        let but = is_policy.then(|| (file.name.clone(), file.text.clone()));
        return read_again(app, KeptPolicies::new(&app.in_force, but)).await.map(drop).map_err(said);
    }
    let by = format!("node {}, {}", file.node, file.who);
    let placed = put_in_place(app, &by, (&file.kind, &file.name), file.text.clone());
    placed.await.map_err(said)
}

fn show(app: &App) {
    let Standing { number, site, .. } = app.shared.standing();
    app.metrics.set_site_libraries(number, site.saturating_sub(number));
}
