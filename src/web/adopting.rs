//! One sign-in for all nodes of a site: each tells the site's database of the sessions that begin and end at it, and asks there
//! for one that it does not know.
//!
//! Without the database, sessions go on where they are known, and begin and end at one node alone until it is back.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{debug, warn};

use super::routes::App;
use super::sessions::{News, lapsed, name_of};
use super::signing::cookie;
use crate::store::Store;

/// How often nodes look what has become of each other's sessions.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a sign-in or sign-out waits until the others know it.
const TELLING_MAX: Duration = Duration::from_secs(2);
/// How long somebody waits for a turn to ask for a session of another node.
const ASKING_WAIT_MAX: Duration = Duration::from_secs(5);
/// The length of a session's number, as a cookie carries it.
const NUMBER_BYTES: usize = 43;

/// Whoever comes with a session that this node does not know may have signed in at another one.
pub(super) async fn adopted(State(app): State<App>, request: Request, next: Next) -> Response {
    let number = cookie(request.headers()).filter(|number| number.len() == NUMBER_BYTES && !app.signed.knows(number));
    if let (Some(number), Some(store)) = (number, of_site(&app)) {
        adopt(&app, store, number).await;
    }
    next.run(request).await
}

/// Where somebody asks with made-up numbers, few of these questions are asked at a time: whoever comes besides waits for a turn, as
/// many do when a node is gone.
async fn adopt(app: &App, store: &Store, number: &str) {
    let Ok(_seat) = app.signed.asking_waiting().try_acquire() else { return };
    let Ok(Ok(_turn)) = tokio::time::timeout(ASKING_WAIT_MAX, app.signed.asking().acquire()).await else { return };
    // Pages ask for much at once: another request may have brought it.
    if app.signed.knows(number) {
        return;
    }
    match store.session(name_of(number)).await {
        Ok(Some(told)) => app.signed.adopt(&told, &app.live.load()),
        Ok(None) => {}
        Err(why) => debug!(why, "whether a session began at another node is not known"),
    }
}

/// Tells the other nodes at once of what began or ended here.
pub(super) async fn tell(app: &App) {
    let Some(store) = of_site(app) else { return };
    let told = tokio::time::timeout(TELLING_MAX, told(app, store)).await;
    if let Err(why) = told.unwrap_or_else(|_| Err("the database does not answer".to_owned())) {
        warn!(why, "other nodes are told of this session later");
    }
}

/// Follows the sessions of the other nodes until the API closes.
pub(super) async fn follow(app: App, store: Store) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            _ = every.tick() => {}
        }
        if let Err(why) = exchange(&app, &store).await {
            debug!(why, "the sessions of other nodes are not known");
        }
    }
}

async fn exchange(app: &App, store: &Store) -> Result<(), String> {
    told(app, store).await?;
    let _turn = app.signed.telling().lock().await;
    let since = app.signed.now();
    let all = store.sessions().await?;
    app.signed.hear(&all, since);
    let lapsed = lapsed(&all, app.signed.at().everywhere);
    if !lapsed.is_empty() {
        store.keep_sessions(Vec::new(), Vec::new(), lapsed).await?;
    }
    Ok(())
}

async fn told(app: &App, store: &Store) -> Result<(), String> {
    // One after the other: what was not written yet is not missed in what is read.
    let _turn = app.signed.telling().lock().await;
    let news = app.signed.news();
    if news != News::default() {
        store.keep_sessions(news.begun.clone(), news.used.clone(), news.gone.clone()).await?;
        app.signed.told(&news);
    }
    Ok(())
}

fn of_site(app: &App) -> Option<&Store> {
    app.store.as_ref().filter(|store| store.has_site())
}
