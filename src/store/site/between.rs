//! What nodes tell each other outside the database: sealed by a key of the site, so that nobody else on the way reads it, makes it
//! or alters it.

use super::{Door, seal, unseal};
use crate::store::Store;

const NOT_ENTERED: &str = "the site has not been entered: [node] names none, or the database was never there";

impl Store {
    /// Seals what a node tells another one; only the same context opens it.
    ///
    /// # Errors
    /// When the site was never entered since the start, or the system gives no random numbers.
    pub fn seal_between(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, String> {
        let key = self.keeper.door().and_then(Door::between).ok_or(NOT_ENTERED)?;
        seal(key, context.as_bytes(), plain).map_err(|error| error.to_string())
    }

    /// Opens what another node has sealed.
    ///
    /// # Errors
    /// When the site was never entered since the start; and where it was sealed by another key, for something else, or altered.
    pub fn open_between(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, String> {
        let key = self.keeper.door().and_then(Door::between).ok_or(NOT_ENTERED)?;
        unseal(key, context.as_bytes(), sealed).map_err(|error| error.to_string())
    }
}
