//! Who may sign in now: those of the configuration, beside them those that are kept in the store, and whom a provider named.
//!
//! What requests meet is put together anew whenever either changes. Of the same name, the configuration's counts,
//! then the store's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::WebError;
use super::live::{Live, LiveOptions};
use super::routes::App;
use super::sessions::AGE_MAX;
use crate::accounts::Account;
use crate::settings::UserSettings;
use crate::shell::nats::Changes;
use crate::store::Store;

/// How long until a store that could not be read is read again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// How often a site's users are read again, of which no word has come that they have changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// People whom a provider has let in at a time; at the limit, whoever did so longest ago is out.
const GUESTS_MAX: usize = 1_000;

/// All, and what requests meet by them.
pub(super) struct Accounts {
    live: Arc<ArcSwap<Live>>,
    state: Mutex<State>,
    /// One change at a time.
    pub(super) changing: tokio::sync::Mutex<()>,
}

struct State {
    options: LiveOptions,
    /// Those of the store; nothing until it has been read.
    kept: Option<BTreeMap<String, Account>>,
    /// Whom an OpenID provider has let in, for as long as a session of theirs may last.
    guests: BTreeMap<String, Guest>,
}

struct Guest {
    settings: UserSettings,
    /// When they signed in last.
    since: Duration,
}

/// Why somebody whom the provider has named is not let in.
pub(super) enum Refused {
    /// The name is somebody else's.
    Taken(&'static str),
    /// Later they may be.
    NotYet(&'static str),
}

impl Accounts {
    /// Those of the configuration alone.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn new(options: LiveOptions) -> Result<Self, WebError> {
        let live = Arc::new(ArcSwap::from_pointee(Live::new(&options, options.users.clone())?));
        let (state, changing) =
            (Mutex::new(State { options, kept: None, guests: BTreeMap::new() }), tokio::sync::Mutex::default());
        Ok(Self { live, state, changing })
    }

    /// What requests meet.
    pub(super) fn live(&self) -> &Arc<ArcSwap<Live>> {
        &self.live
    }

    /// Another configuration counts from now on.
    ///
    /// # Errors
    /// The system gives no random numbers; then the one before counts.
    pub(super) fn exchange(&self, mut options: LiveOptions) -> Result<(), WebError> {
        let mut state = self.state();
        // What a provider said counts as long as it is the same one.
        let (before, now) = (state.options.oidc.as_deref(), options.oidc.as_deref());
        let is_same = before.zip(now).is_some_and(|(before, now)| before.is_as(now));
        let none = BTreeMap::new();
        let guests = if is_same { &state.guests } else { &none };
        // What goes on for long ends with a token that opens nothing any more, and not with another reading of it.
        let mut gone = Vec::new();
        for (name, before) in &state.options.tokens {
            match options.tokens.get_mut(name).filter(|token| token.is(before)) {
                Some(token) => token.ended = before.ended.clone(),
                None => gone.push(before.ended.clone()),
            }
        }
        self.live.store(Arc::new(together(&options, state.kept.as_ref(), guests)?));
        gone.iter().for_each(CancellationToken::cancel);
        if !is_same {
            state.guests.clear();
        }
        state.options = options;
        Ok(())
    }

    /// Others are kept from now on.
    ///
    /// # Errors
    /// As [`Accounts::exchange`].
    pub(super) fn keep(&self, kept: BTreeMap<String, Account>) -> Result<(), WebError> {
        let mut state = self.state();
        self.live.store(Arc::new(together(&state.options, Some(&kept), &state.guests)?));
        state.kept = Some(kept);
        Ok(())
    }

    /// Takes in somebody whom the provider has named.
    ///
    /// # Errors
    /// Why they cannot be: somebody else here has that name, perhaps another subject of the provider's, or it is not known yet
    /// whether the store, where there is one, has somebody of that name.
    pub(super) fn let_in(
        &self,
        name: &str,
        settings: UserSettings,
        has_store: bool,
        now: Duration,
    ) -> Result<(), Refused> {
        let mut state = self.state();
        if has_store && state.kept.is_none() {
            return Err(Refused::NotYet("the users have not been read yet: try again in a moment"));
        }
        let is_kept = state.kept.as_ref().is_some_and(|kept| kept.contains_key(name));
        if state.options.users.contains_key(name) || is_kept {
            return Err(Refused::Taken("somebody of that name signs in with a password here"));
        }
        state.guests.retain(|_, guest| now.saturating_sub(guest.since) <= AGE_MAX);
        let is_another = |guest: &Guest| guest.settings.password != settings.password;
        if state.guests.get(name).is_some_and(is_another) {
            return Err(Refused::Taken("somebody else of that name has signed in at the provider"));
        }
        if state.guests.len() >= GUESTS_MAX && !state.guests.contains_key(name) {
            let oldest = state.guests.iter().min_by_key(|(_, guest)| guest.since).map(|(name, _)| name.clone());
            oldest.and_then(|name| state.guests.remove(&name));
        }
        state.guests.insert(name.to_owned(), Guest { settings, since: now });
        let live = together(&state.options, state.kept.as_ref(), &state.guests);
        self.live.store(Arc::new(live.map_err(|_| Refused::NotYet("the system gives no random numbers"))?));
        Ok(())
    }

    /// Whether somebody of that name is known only because a provider has named them.
    pub(super) fn is_guest(&self, name: &str) -> bool {
        let state = self.state();
        let is_kept = state.kept.as_ref().is_some_and(|kept| kept.contains_key(name));
        !is_kept && !state.options.users.contains_key(name) && state.guests.contains_key(name)
    }

    /// Those that are kept, once they have been read.
    pub(super) fn kept(&self) -> Option<BTreeMap<String, Account>> {
        self.state().kept.clone()
    }

    /// Reads those that are kept, again and again until that succeeds; of a site, where any node may change them, for good.
    /// Sessions end of whoever is something else then.
    pub(super) async fn read(self: Arc<Self>, app: App, store: Store) {
        let mut changes = match &app.carrier {
            Some(carrier) if store.has_site() => carrier.changes().await.ok(),
            Some(_) | None => None,
        };
        loop {
            let pause = match self.read_once(&app, &store).await {
                Ok(()) if !store.has_site() => return,
                Ok(()) => LOOK_EVERY,
                Err(why) => {
                    tracing::warn!(why, "the users in the store cannot be read: those known by now sign in");
                    AGAIN_AFTER
                }
            };
            tokio::select! {
                () = app.closing.cancelled() => return,
                () = changed(&mut changes) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn read_once(&self, app: &App, store: &Store) -> Result<(), String> {
        // Not in the midst of a change, of which the store may not know yet.
        let _alone = self.changing.lock().await;
        let kept = store.accounts().await?;
        if self.kept().as_ref() == Some(&kept) {
            return Ok(());
        }
        self.keep(kept).map_err(|error| error.to_string())?;
        app.signed.look(&app.live.load());
        Ok(())
    }

    /// Whether the configuration names somebody so.
    pub(super) fn is_configured(&self, name: &str) -> bool {
        self.configured(|users| users.contains_key(name))
    }

    /// Those in the configuration, by name.
    pub(super) fn configured<T>(&self, read: impl FnOnce(&BTreeMap<String, UserSettings>) -> T) -> T {
        read(&self.state().options.users)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the word of another node that something has changed; for ever, where none can come.
pub(super) async fn changed(changes: &mut Option<Changes>) {
    if let Some(heard) = changes
        && heard.next().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// What requests meet where all are let in.
fn together(
    options: &LiveOptions,
    kept: Option<&BTreeMap<String, Account>>,
    guests: &BTreeMap<String, Guest>,
) -> Result<Live, WebError> {
    let mut users = options.users.clone();
    for (name, account) in kept.into_iter().flatten() {
        if let Some(settings) = account.settings() {
            users.entry(name.clone()).or_insert(settings);
        }
    }
    // Whoever got their name meanwhile is who counts, disabled or not.
    let is_kept = |name: &str| kept.is_some_and(|kept| kept.contains_key(name));
    for (name, Guest { settings, .. }) in guests.iter().filter(|(name, _)| !is_kept(name.as_str())) {
        users.entry(name.clone()).or_insert_with(|| settings.clone());
    }
    Live::new(options, users)
}
