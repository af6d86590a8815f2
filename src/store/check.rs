//! Has the whole audit trail read while the server runs, and says what was found.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::thread;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::{error, info};
use utoipa::ToSchema;

use super::Store;
use super::audit::{Verified, verify_up_to};

/// What became of the last look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Checking {
    /// Nobody has asked since the start.
    #[default]
    None,
    /// It goes on.
    Running,
    /// It is over.
    Done {
        /// Whether everything is as it was written.
        is_whole: bool,
        /// Entries that were read.
        entries: u64,
        /// Checkpoints whose signature is right.
        checkpoints: u64,
        /// The last entry's number.
        last: u64,
        /// Its code, base64: whoever keeps both elsewhere can tell a trail that was put back as a whole.
        code: String,
        /// What is wrong, at most 100 findings.
        findings: Vec<String>,
    },
    /// It could not be read.
    Failed {
        /// Why.
        why: String,
    },
}

/// Why nobody looks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCheck {
    /// Somebody does already.
    #[error("the trail is being read already")]
    Running,
    /// What the system said.
    #[error("no thread to read it: {0}")]
    NoThread(String),
}

impl Store {
    /// Begins to read the whole trail, up to the last entry that is on the disk now.
    ///
    /// # Errors
    /// When that goes on already, or there is no thread for it.
    pub fn begin_check(&self) -> Result<(), NoCheck> {
        let mut state = self.check.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == Checking::Running {
            return Err(NoCheck::Running);
        }
        let store = self.clone();
        let look = move || {
            let found = or_broken(|| store.looked_through());
            match &found {
                Checking::Done { is_whole: false, findings, .. } => {
                    error!(findings = findings.len(), "the audit trail is not as it was written");
                }
                other => info!(?other, "the audit trail was read"),
            }
            store.audit("audit_verified", serde_json::to_value(&found).unwrap_or_else(|_| json!({})));
            *store.check.lock().unwrap_or_else(PoisonError::into_inner) = found;
        };
        // A thread of its own: a server that ends does not wait for it.
        let begun = thread::Builder::new().name("verify".into()).spawn(look);
        begun.map_err(|error| NoCheck::NoThread(error.to_string()))?;
        *state = Checking::Running;
        Ok(())
    }

    /// What became of the last look.
    pub fn last_check(&self) -> Checking {
        self.check.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn looked_through(&self) -> Checking {
        let written = self.journal.last_seq();
        match verify_up_to(&self.trail, &self.keys, written) {
            Ok(Verified { entries, checkpoints, end: (last, code), findings }) => Checking::Done {
                is_whole: findings.is_empty(),
                entries,
                checkpoints,
                last,
                code,
                findings: findings.iter().map(ToString::to_string).collect(),
            },
            Err(error) => Checking::Failed { why: error.to_string() },
        }
    }
}

/// What was found; that it broke, when looking panics.
fn or_broken(look: impl FnOnce() -> Checking) -> Checking {
    catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| Checking::Failed { why: "it broke".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_breaks_is_over() {
        assert_eq!(or_broken(|| panic!("on purpose")), Checking::Failed { why: "it broke".to_owned() });
        assert_eq!(or_broken(Checking::default), Checking::None);
    }
}
