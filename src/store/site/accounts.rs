//! Who may sign in at any node of a site, beside those of the configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Site;
use crate::accounts::Account;

/// An account with its name, as it is sealed.
#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
    account: Account,
}

impl Site {
    /// All of them, by name.
    ///
    /// # Errors
    /// When the database does not answer, or holds what was altered.
    pub(in super::super) fn accounts(&self) -> Result<BTreeMap<String, Account>, String> {
        let mut accounts = BTreeMap::new();
        for pair in self.accounts.scan_prefix(&[]) {
            let (key, sealed) = pair?;
            let plain = self.unseal(&context(&key), &sealed)?;
            let Named { name, account } = serde_json::from_slice(&plain).map_err(|error| error.to_string())?;
            accounts.insert(name, account);
        }
        Ok(accounts)
    }

    /// Writes one down, or removes it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(in super::super) fn keep_account(&self, name: &str, account: Option<&Account>) -> Result<(), String> {
        let key = self.blind(b"account ", name.as_bytes());
        match account {
            Some(account) => self.accounts.insert(key, self.sealed_account(name, account)?),
            None => self.accounts.remove(key),
        }
    }

    /// Writes one down that a node had before it was one of several; who has that name already stays.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(in super::super) fn bring_account(&self, name: &str, account: &Account) -> Result<(), String> {
        let key = self.blind(b"account ", name.as_bytes());
        self.together.first("accounts", &key, &self.sealed_account(name, account)?).map(drop)
    }

    fn sealed_account(&self, name: &str, account: &Account) -> Result<Vec<u8>, String> {
        let named = Named { name: name.to_owned(), account: account.clone() };
        let plain = serde_json::to_vec(&named).map_err(|error| error.to_string())?;
        self.seal(&context(&self.blind(b"account ", name.as_bytes())), &plain)
    }
}

fn context(key: &[u8]) -> Vec<u8> {
    [b"account ", key].concat()
}
