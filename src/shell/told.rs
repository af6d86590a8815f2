//! Where everybody is told of calls by whoever is not call control: people and what goes on beside calls.

use std::sync::Arc;

use super::crm::Outbox;
use crate::metrics::Metrics;
use crate::notice::{Notice, Outcome};
use crate::store::Store;
use crate::web::{Bus, Late, Moment, Place};

/// Where that is.
#[derive(Clone)]
pub struct Told {
    /// Everybody who watches.
    pub bus: Arc<Bus>,
    /// What is kept, where anything is.
    pub store: Option<Store>,
    /// Systems outside, where any are.
    pub outbox: Option<Outbox>,
    /// The figures.
    pub metrics: Metrics,
}

impl Told {
    /// Tells everybody what was heard of a recording; what was decided stands in the audit trail first.
    pub(super) fn tell_all(&self, notice: &Notice, now: Moment) {
        if let Some(store) = &self.store {
            // What the disk did not take in time is counted, and told all the same.
            let _ = store.commit(std::iter::once(notice));
        }
        self.tell(notice, now);
    }

    /// Tells everybody of a call; where something was decided, whoever tells it has it in the audit trail already.
    pub fn tell(&self, notice: &Notice, now: Moment) {
        self.metrics.observe(notice);
        self.bus.publish_at(notice, now);
        if let Some(store) = &self.store {
            store.keep(notice, now);
        }
        self.offer(notice, now);
    }

    /// Tells everybody of a call that is up or over: what is kept of one that is over stays as it is, and the audit trail has it
    /// alone. Who sees it is told by the board, or else by its place.
    pub fn tell_of(&self, notice: &Notice, now: Moment, place: Option<Place>) {
        self.metrics.observe(notice);
        let is_up = self.bus.with_board(|board| board.is_active(&notice.call));
        self.bus.publish_of(notice, now, place);
        if let Some(store) = &self.store {
            match is_up {
                true => store.keep(notice, now),
                false => store.record(notice),
            }
        }
        self.offer(notice, now);
    }

    /// Tells everybody words, unless consent was refused meanwhile.
    pub(super) fn tell_words(&self, notice: &Notice, now: Moment) {
        self.bus.publish_words_at(notice, now, || self.tell_others(notice, now));
    }

    /// Tells everybody what has come of a call, unless that was said before: of one that is up, and where nothing is kept, of any
    /// that is shown.
    ///
    /// # Returns
    /// What has become of it; nothing where the call is none of these.
    pub fn tell_outcome(&self, call: &str, outcome: &Outcome, now: Moment) -> Option<Late> {
        let tell_others = |notice: &Notice| self.tell_others(notice, now);
        self.bus.publish_outcome_at((call, outcome), now, self.store.is_none(), tell_others)
    }

    fn tell_others(&self, notice: &Notice, now: Moment) {
        self.metrics.observe(notice);
        if let Some(store) = &self.store {
            store.keep(notice, now);
        }
        self.offer(notice, now);
    }

    fn offer(&self, notice: &Notice, now: Moment) {
        if let Some(outbox) = &self.outbox {
            outbox.offer(notice, now);
        }
    }
}
