//! What is known of an event when systems outside are told of it: by the board, and of calls that it shows no longer, by what is
//! kept.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use tracing::warn;

use crate::crm::facts_of;
use crate::notice::{Notice, What};
use crate::store::Store;
use crate::web::{Bus, CallRecord, Moment};

/// How long it is waited for what is kept of a call; after that the event is told without.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// What is known of an event and of its call.
pub(super) async fn facts_about(
    (notice, time): (&Notice, Moment),
    bus: &Bus,
    store: &Store,
) -> BTreeMap<&'static str, Value> {
    let known = |call: Option<&CallRecord>| {
        let customer = call.and_then(|call| store.pseudonym(call.from.reveal()));
        facts_of(notice, time, call, customer)
    };
    match bus.with_board(|board| board.call(&notice.call).map(|call| known(Some(call)))) {
        Some(facts) => facts,
        None => known(kept(notice, store).await.as_ref()),
    }
}

/// The call of an event that may come long after its end; of nothing else there is more in the store than on the board.
async fn kept(notice: &Notice, store: &Store) -> Option<CallRecord> {
    if !matches!(notice.what, What::OutcomeTold(_) | What::AlertHandled(_) | What::AlertEscalated(_)) {
        return None;
    }
    let why = match timeout(READ_WITHIN, store.call(notice.call.clone())).await {
        Ok(Ok(call)) => return call,
        Ok(Err(why)) => why,
        Err(_) => "it takes too long".to_owned(),
    };
    warn!(call = notice.call, why, "a system is told of a call without what is kept of it");
    None
}
