//! What was said in a call that is up is forgotten when the caller does not agree that it is kept.

use super::super::audit::{AuditWanted, Trail, search};
use super::super::slots::{Class, seat_of};
use super::super::trees::Batch;
use super::{CallName, Embedded, Order, RUNNING_MAX, Running};

/// Refusals that are read of the trail at a time.
const REFUSALS_AT_ONCE: usize = 1_000;
/// How often it is read on: each time a bounded piece of it.
const READ_ON_MAX: usize = 1_000;

impl Running {
    /// Notes callers who refused, as the audit trail has it, while the program before this one could not keep it.
    ///
    /// # Errors
    /// When the store or the trail cannot be read.
    pub fn note_refused_before(&mut self, embedded: &Embedded, trail: &Trail) -> Result<(), String> {
        let mut since = None;
        for entry in embedded.running.pairs(&[], None, Order::Up) {
            let (_, place) = entry?;
            let started = place.first_chunk().map(|chunk| u64::from_be_bytes(*chunk));
            since = since.into_iter().chain(started).min();
        }
        let Some(from_unix_ms) = since else { return Ok(()) };
        let (kind, max) = (Some("consent".to_owned()), REFUSALS_AT_ONCE);
        let mut wanted = AuditWanted { kind, from_unix_ms, max, ..AuditWanted::default() };
        for _ in 0..READ_ON_MAX {
            let found = search(trail, &embedded.keys, &wanted).map_err(|error| error.to_string())?;
            let refused = found.entries.iter().filter(|(_, _, entry)| entry.what["state"] == "refused");
            let room = RUNNING_MAX.saturating_sub(self.refused.len());
            self.refused.extend(refused.map(|(_, _, entry)| embedded.keys.blind(entry.call.as_bytes())).take(room));
            wanted.below = found.next;
            if found.next.is_none() {
                break;
            }
        }
        Ok(())
    }
}

impl Embedded {
    /// Forgets the words of a call that is up, and its kept audio; the words of somebody who is held stay.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(super) fn forget_words(&self, running: &mut Running, name: &CallName) -> Result<(), String> {
        self.forget_reels(&[*name])?;
        let Some(call) = running.calls.get_mut(name) else { return Ok(()) };
        if self.held_by(name)?.is_some() {
            return Ok(());
        }
        // What comes from now on is sealed by other keys than those that go. Of a tenant that was erased nothing opens anyway.
        let Some(keys) = self.keys_beside(&call.keys)? else { return Ok(()) };
        call.keys = keys;
        let (mut seats, mut gone) = (Vec::new(), Batch::default());
        for entry in self.notices.scan_prefix(name) {
            let (key, sealed) = entry?;
            if let Some((seat, Class::Words)) = seat_of(&sealed) {
                seats.push(seat);
                gone.remove(key);
            }
        }
        seats.dedup();
        self.slots().destroy(&seats, &[Class::Words]).map_err(|error| error.to_string())?;
        self.notices.apply(gone)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::metrics::Metrics;
    use crate::notice::{Notice, What};
    use crate::notice_samples::one_of_each;
    use crate::settings::StoreSettings;
    use crate::store::Store;
    use crate::web::Moment;

    #[tokio::test]
    async fn a_refusal_that_only_the_trail_has_is_carried_out_at_the_next_start() {
        let root = tempfile::tempdir().expect("a folder");
        let store = store(root.path());
        let of_kind = |is: fn(&What) -> bool| one_of_each().into_iter().find(|notice| is(&notice.what)).expect("one");
        let started = of_kind(|what| matches!(what, What::CallStarted { .. }));
        let said = of_kind(|what| matches!(what, What::Said { is_final: true, .. }));
        for call in ["call-1", "call-2"] {
            for notice in [&started, &said] {
                store.keep(&Notice { call: call.to_owned(), ..notice.clone() }, Moment::now());
            }
        }
        // As when calls cannot be kept: the trail alone has it.
        let what = What::Consent { state: "refused".to_owned(), by: "key".to_owned() };
        store.record(&Notice { call: "call-1".to_owned(), call_ms: 9_000, what });
        store.stop();
        drop(store);

        let store = self::store(root.path());
        for (call, has_words) in [("call-1", false), ("call-2", true)] {
            let record = store.call(call.to_owned()).await.expect("readable").expect("kept");
            assert_eq!((!record.phrases.is_empty(), record.ended.is_some()), (has_words, true), "{call}");
        }
        store.stop();
    }

    fn store(root: &std::path::Path) -> Store {
        Store::start(&StoreSettings::within(root, Duration::MAX), &Metrics::new()).expect("a store")
    }
}
