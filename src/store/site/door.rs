//! How a site is entered: its secret lies in the database, sealed by the master key that its nodes share.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ring::aead::LessSafeKey;
use ring::hmac;
use zeroize::Zeroizing;

use super::super::keys::{KEY_BYTES, KeyError, MasterKey, random};
use super::super::opening::Masters;
use super::super::trees::Together;
use super::{seal, unseal};
use crate::settings::SiteSettings;

/// Where the secret lies.
const TREE: &str = "site";
const SECRET: &[u8] = b"secret";

/// Which site it is, and what opens it.
#[derive(Clone)]
pub(in super::super) struct Door {
    pub(super) settings: SiteSettings,
    /// The master key's, then those of before.
    keys: Arc<Mutex<Vec<LessSafeKey>>>,
    /// What hides names, once the site was entered.
    index: Arc<OnceLock<hmac::Key>>,
    /// What seals messages between nodes, once the site was entered.
    between: Arc<OnceLock<LessSafeKey>>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Door({:?})", self.settings)
    }
}

impl Door {
    /// # Errors
    /// When a master key cannot be had.
    pub(in super::super) fn new(site: &SiteSettings, masters: &mut Masters<'_>) -> Result<Self, KeyError> {
        let previous = masters.previous()?.map(sealing);
        let keys = std::iter::once(sealing(masters.current())).chain(previous).collect();
        let keys = Arc::new(Mutex::new(keys));
        Ok(Self { settings: site.clone(), keys, index: Arc::default(), between: Arc::default() })
    }

    /// What the nodes are together.
    pub(in super::super) fn name(&self) -> &str {
        &self.settings.name
    }

    /// What hides the site's names; nothing before it was entered once.
    pub(super) fn index(&self) -> Option<&hmac::Key> {
        self.index.get()
    }

    pub(super) fn note_index(&self, index: hmac::Key) -> hmac::Key {
        self.index.get_or_init(|| index).clone()
    }

    /// What seals messages between nodes; nothing before the site was entered once.
    pub(super) fn between(&self) -> Option<&LessSafeKey> {
        self.between.get()
    }

    pub(super) fn note_between(&self, key: LessSafeKey) {
        self.between.get_or_init(|| key);
    }

    /// Seals the secret by another master key from the next opening on.
    pub(in super::super) fn exchange(&self, master: &MasterKey) {
        let mut keys = self.keys();
        keys.insert(0, sealing(master));
        keys.truncate(2);
    }

    /// The site's secret, which the first node makes; sealed anew where a master key of before had sealed it.
    ///
    /// # Errors
    /// When the database does not answer, or no master key opens it.
    pub(super) fn secret(&self, together: &Together) -> Result<Zeroizing<Vec<u8>>, String> {
        let keys = self.keys().clone();
        let [current, ..] = &*keys else { return Err("no master key".to_owned()) };
        let said = |error: KeyError| error.to_string();
        let fresh = Zeroizing::new(random::<KEY_BYTES>().map_err(said)?);
        let sealed = together.first(TREE, SECRET, &seal(current, SECRET, &*fresh).map_err(said)?)?;
        let opened = keys.iter().position(|key| unseal(key, SECRET, &sealed).is_ok());
        let Some(at) = opened else {
            let name = &self.settings.name;
            return Err(format!(
                "expected the master key that the other nodes of the site \"{name}\" have, found another one: \
                 nodes of one site share it; while it is changed, previous_key_file names the one of before"
            ));
        };
        let secret = Zeroizing::new(unseal(&keys[at], SECRET, &sealed).map_err(said)?);
        if at > 0 {
            together.tree(TREE).insert(SECRET, seal(current, SECRET, &secret).map_err(said)?)?;
        }
        Ok(secret)
    }

    fn keys(&self) -> MutexGuard<'_, Vec<LessSafeKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sealing(master: &MasterKey) -> LessSafeKey {
    master.sealing(b"site, version 1")
}
