//! Who may sign in now: those of the configuration, and beside them those that are kept in the store.
//!
//! What requests meet is put together anew whenever either changes. Of the same name, the configuration's counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::WebError;
use super::live::{Live, LiveOptions};
use crate::accounts::Account;
use crate::store::Store;

/// How long until a store that could not be read is read again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Both, and what requests meet by them.
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
}

impl Accounts {
    /// Those of the configuration alone.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn new(options: LiveOptions) -> Result<Self, WebError> {
        let live = Arc::new(ArcSwap::from_pointee(Live::new(options.clone())?));
        let (state, changing) = (Mutex::new(State { options, kept: None }), tokio::sync::Mutex::default());
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
    pub(super) fn exchange(&self, options: LiveOptions) -> Result<(), WebError> {
        let mut state = self.state();
        self.live.store(Arc::new(together(&options, state.kept.as_ref())?));
        state.options = options;
        Ok(())
    }

    /// Others are kept from now on.
    ///
    /// # Errors
    /// As [`Accounts::exchange`].
    pub(super) fn keep(&self, kept: BTreeMap<String, Account>) -> Result<(), WebError> {
        let mut state = self.state();
        self.live.store(Arc::new(together(&state.options, Some(&kept))?));
        state.kept = Some(kept);
        Ok(())
    }

    /// Those that are kept, once they have been read.
    pub(super) fn kept(&self) -> Option<BTreeMap<String, Account>> {
        self.state().kept.clone()
    }

    /// Reads those that are kept, again and again until that succeeds.
    pub(super) async fn read(self: Arc<Self>, store: Store, closing: CancellationToken) {
        loop {
            match store.accounts().await {
                Ok(kept) => {
                    if self.keep(kept).is_ok() {
                        return;
                    }
                }
                Err(why) => {
                    tracing::warn!(why, "the users in the store cannot be read: those of the configuration sign in")
                }
            }
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(AGAIN_AFTER) => {}
            }
        }
    }

    /// Whether the configuration names somebody so.
    pub(super) fn is_configured(&self, name: &str) -> bool {
        self.state().options.users.contains_key(name)
    }

    /// The roles of those in the configuration, and whether a second factor is asked of them.
    pub(super) fn configured<T>(&self, read: impl FnOnce(&LiveOptions) -> T) -> T {
        read(&self.state().options)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What requests meet where both are let in.
fn together(options: &LiveOptions, kept: Option<&BTreeMap<String, Account>>) -> Result<Live, WebError> {
    let mut options = options.clone();
    for (name, account) in kept.into_iter().flatten() {
        if let Some(settings) = account.settings() {
            options.users.entry(name.clone()).or_insert(settings);
        }
    }
    Live::new(options)
}
