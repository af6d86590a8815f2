//! Who may sign in, beside those of the configuration: sealed, under names in which nothing can be read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Embedded;
use crate::accounts::Account;

/// An account with its name, as it is sealed.
#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
    account: Account,
}

impl Embedded {
    /// All of them, by name.
    ///
    /// # Errors
    /// When the store cannot be read, or what it holds cannot be opened.
    pub fn accounts(&self) -> Result<BTreeMap<String, Account>, String> {
        if let Some(site) = self.site() {
            return site.accounts();
        }
        let mut accounts = BTreeMap::new();
        for key in self.accounts.keys(&[], None) {
            let key = key?;
            let Some(sealed) = self.accounts.get(&key)? else { continue };
            let plain = self.keys.open_value(&context(&key), &sealed).map_err(|error| error.to_string())?;
            let Named { name, account } = serde_json::from_slice(&plain).map_err(|error| error.to_string())?;
            accounts.insert(name, account);
        }
        Ok(accounts)
    }

    /// Writes one down, or removes it; on the disk when this returns.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep_account(&self, name: &str, account: Option<&Account>) -> Result<(), String> {
        if let Some(site) = self.site() {
            return site.keep_account(name, account);
        }
        let key = self.keys.blind(&[b"account ", name.as_bytes()].concat());
        match account {
            Some(account) => {
                let named = Named { name: name.to_owned(), account: account.clone() };
                let plain = serde_json::to_vec(&named).map_err(|error| error.to_string())?;
                self.accounts.insert(key, self.keys.seal(&context(&key), &plain))?;
            }
            None => self.accounts.remove(key)?,
        }
        self.flush()
    }
}

fn context(key: &[u8]) -> Vec<u8> {
    [b"account ", key].concat()
}
