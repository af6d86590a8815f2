//! Requests that nobody looks at, for the audit trail: of those who do not show who they are, and of those who ask too often.
//!
//! Of whoever is refused the first one is written down at once, and how many followed minute by minute: nobody fills the trail
//! by asking, and nobody waits for it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::limits::{Asker, network};
use crate::store::{AuditEntry, Store};

/// How often it is written down how many followed.
const EVERY: Duration = Duration::from_secs(60);
/// Whoever is told apart in that time; others count together.
const APART_MAX: usize = 64;

/// How many were refused lately.
#[derive(Debug)]
pub(super) struct Denials {
    store: Option<Store>,
    /// Those behind the first.
    counted: Mutex<BTreeMap<Denied, u64>>,
}

/// Who is refused, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Denied {
    /// As in other entries; empty of strangers.
    who: String,
    /// Where strangers ask from: of IPv6 the network; nothing of all who are not told apart.
    from: Option<IpAddr>,
    status: u16,
}

impl Denials {
    /// Nobody was refused yet.
    pub(super) fn new(store: Option<Store>) -> Self {
        Self { store, counted: Mutex::default() }
    }

    /// Takes note that somebody is refused.
    pub(super) fn note(&self, asker: Asker<'_>, status: StatusCode) {
        let Some(store) = &self.store else { return };
        let (who, from) = match asker {
            Asker::Token => ("api", None),
            Asker::Person(name) => (name, None),
            Asker::Stranger(address) => ("", Some(network(address))),
        };
        let mut denied = Denied { who: who.to_owned(), from, status: status.as_u16() };
        let mut counted = self.counted();
        if counted.len() >= APART_MAX && !counted.contains_key(&denied) {
            denied = Denied { who: String::new(), from: None, ..denied };
        }
        match counted.entry(denied) {
            Entry::Occupied(mut followed) => *followed.get_mut() += 1,
            Entry::Vacant(first) => {
                store.journal().record(first.key().entry(1));
                first.insert(0);
            }
        }
    }

    /// Writes down how many followed the first ones, and begins anew.
    fn tell(&self) {
        let counted = std::mem::take(&mut *self.counted());
        let Some(store) = &self.store else { return };
        for (denied, followed) in counted.iter().filter(|(_, followed)| **followed > 0) {
            store.journal().record(denied.entry(*followed));
        }
    }

    fn counted(&self) -> MutexGuard<'_, BTreeMap<Denied, u64>> {
        // A count is one step.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Denied {
    fn entry(&self, count: u64) -> AuditEntry {
        let Denied { who, from, status } = self;
        let what = json!({ "from": from, "status": status, "count": count });
        AuditEntry { kind: "access_denied".to_owned(), who: who.clone(), call: String::new(), what }
    }
}

/// Writes down how many were refused, minute by minute and when the API closes.
pub(super) async fn tell(denials: Arc<Denials>, closing: CancellationToken) {
    loop {
        let is_over = tokio::time::timeout(EVERY, closing.cancelled()).await.is_ok();
        denials.tell();
        if is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::settings::StoreSettings;
    use crate::store::audit::AuditWanted;

    #[tokio::test]
    async fn nobody_fills_the_trail_by_asking() {
        let root = tempfile::tempdir().expect("a folder");
        let store = Store::start(&StoreSettings::within(root.path(), Duration::MAX), &Metrics::new()).expect("a store");
        let denials = Denials::new(Some(store.clone()));
        let stranger = |number: u8| Asker::Stranger([192, 0, 2, number].into());
        for _ in 0..1_000 {
            denials.note(stranger(1), StatusCode::UNAUTHORIZED);
        }
        denials.note(Asker::Person("li"), StatusCode::TOO_MANY_REQUESTS);
        for number in 2..200 {
            denials.note(stranger(number), StatusCode::UNAUTHORIZED);
        }
        denials.tell();
        denials.tell();
        store.stop();
        let wanted = AuditWanted { kind: Some("access_denied".to_owned()), max: 1_000, ..AuditWanted::default() };
        let found = store.search_audit(wanted).await.expect("it is read").entries;
        let count = |from: serde_json::Value| -> Vec<u64> {
            let of = found.iter().filter(|(_, _, entry)| entry.who.is_empty() && entry.what["from"] == from);
            of.filter_map(|(_, _, entry)| entry.what["count"].as_u64()).collect()
        };
        assert_eq!(count("192.0.2.1".into()), [999, 1], "newest first");
        assert_eq!(count("192.0.2.63".into()), [1]);
        assert_eq!(count(serde_json::Value::Null), [135, 1], "those who are not told apart");
        assert!(found.iter().any(|(_, _, entry)| entry.who == "li" && entry.what["status"] == 429));
        assert_eq!(found.len(), APART_MAX + 1 + 2);
    }
}
