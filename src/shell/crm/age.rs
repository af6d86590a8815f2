//! Parcels that are kept no longer: those set aside long ago, and those about calls that are as old as they may become.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{Clerk, LOOK_EVERY};
use crate::crm::{Parcel, State};
use crate::web::Moment;

/// Parcels that were set aside are kept for so long.
const ASIDE_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

impl Clerk {
    /// Forgets what was set aside long ago, and now and then what is about calls that are gone.
    pub(super) async fn prune(&mut self) {
        let before = ago(ASIDE_KEPT);
        let is_old = |parcel: &&Parcel| parcel.state == State::SetAside && parcel.unix_ms < before;
        let old: Vec<u64> = self.parcels.values().filter(is_old).map(|parcel| parcel.id).collect();
        self.remove(&old).await;
        if Instant::now() >= self.look_at {
            self.forget_calls_gone().await;
        }
    }

    /// Forgets what is about calls that were removed by their age. What is held, or still up, is kept, and with it what is to be
    /// told of it; so are all others until a store that is down says which those are.
    pub(super) async fn forget_calls_gone(&mut self) {
        self.look_at = Instant::now() + LOOK_EVERY;
        let before = ago(self.store.keeps());
        let old = || self.parcels.values().filter(|parcel| parcel.is_of_call_before(before));
        let calls: BTreeSet<String> = old().map(|parcel| parcel.call.clone()).collect();
        if calls.is_empty() {
            return;
        }
        let Ok(kept) = self.store.kept_of(calls).await else { return };
        let gone: Vec<u64> = old().filter(|parcel| !kept.contains(&parcel.call)).map(|parcel| parcel.id).collect();
        self.remove(&gone).await;
    }
}

/// When it was so long ago, milliseconds since 1970.
fn ago(span: Duration) -> u64 {
    Moment::now().0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
