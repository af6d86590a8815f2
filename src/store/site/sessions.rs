//! Who is signed in at the nodes of a site: a session that began at one of them is one at all.

use serde::{Deserialize, Serialize};

use super::Site;
use crate::store::Store;

/// What sessions lie in.
pub(super) const TREE: &str = "sessions";

/// A session, as nodes tell each other of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteSession {
    /// The hash of the number that the browser has.
    pub name: [u8; 32],
    /// Whose it is.
    pub user: String,
    /// A hash of what they signed in by: with another password or second factor it is over.
    pub means: [u8; 32],
    /// When it began, milliseconds since 1970.
    pub began: u64,
    /// When it was used last, as far as it was told.
    pub used: u64,
}

impl Site {
    fn session(&self, name: &[u8; 32]) -> Result<Option<SiteSession>, String> {
        let key = self.session_key(name);
        let sealed = self.sessions.get(key)?;
        sealed.map(|sealed| self.opened_session(&key, &sealed)).transpose()
    }

    fn sessions(&self) -> Result<Vec<SiteSession>, String> {
        let pairs = self.sessions.scan_prefix(&[]);
        pairs.map(|pair| pair.and_then(|(key, sealed)| self.opened_session(&key, &sealed))).collect()
    }

    fn keep_sessions(&self, begun: &[SiteSession], used: &[SiteSession], gone: &[[u8; 32]]) -> Result<(), String> {
        let used = used.iter().map(|session| self.sealed_session(session));
        self.together.update(TREE, used.collect::<Result<_, _>>()?)?;
        let mut batch = super::Batch::default();
        for session in begun {
            let (key, sealed) = self.sealed_session(session)?;
            batch.insert(key, sealed);
        }
        gone.iter().for_each(|name| batch.remove(self.session_key(name)));
        self.sessions.apply(batch)
    }

    fn sealed_session(&self, session: &SiteSession) -> Result<(Vec<u8>, Vec<u8>), String> {
        let key = self.session_key(&session.name);
        let plain = serde_json::to_vec(session).map_err(|error| error.to_string())?;
        Ok((key.to_vec(), self.seal(&context(&key), &plain)?))
    }

    fn session_key(&self, name: &[u8; 32]) -> [u8; 16] {
        self.blind(b"session ", name)
    }

    fn opened_session(&self, key: &[u8], sealed: &[u8]) -> Result<SiteSession, String> {
        let plain = self.unseal(&context(key), sealed)?;
        serde_json::from_slice(&plain).map_err(|error| error.to_string())
    }
}

impl Store {
    /// A session of a site's by the hash of its number; none where there is no site.
    ///
    /// # Errors
    /// As [`Store::has_lease`]; when what the database holds was altered.
    pub async fn session(&self, name: [u8; 32]) -> Result<Option<SiteSession>, String> {
        self.of_site(None, move |site| site.session(&name)).await
    }

    /// All sessions of a site.
    ///
    /// # Errors
    /// As [`Store::session`].
    pub async fn sessions(&self) -> Result<Vec<SiteSession>, String> {
        self.of_site(Vec::new(), Site::sessions).await
    }

    /// Tells the site of sessions that have begun, of those that were used, unless another node has ended them, and of those that
    /// are over.
    ///
    /// # Errors
    /// As [`Store::has_lease`].
    pub async fn keep_sessions(
        &self,
        begun: Vec<SiteSession>,
        used: Vec<SiteSession>,
        gone: Vec<[u8; 32]>,
    ) -> Result<(), String> {
        self.of_site((), move |site| site.keep_sessions(&begun, &used, &gone)).await
    }
}

fn context(key: &[u8]) -> Vec<u8> {
    [b"session ", key].concat()
}
