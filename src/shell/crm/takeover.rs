//! What another node of the site has taken over is not this one's any more, and what this one has taken over is.

use std::collections::BTreeSet;

use tracing::warn;

use super::Clerk;

impl Clerk {
    /// Forgets what was written down and is not this node's any more: another one has taken it over. Takes up what is this node's by
    /// now, and was not known to be.
    pub(super) async fn let_go(&mut self) {
        let done: Vec<u64> = std::mem::take(&mut self.done).into_iter().collect();
        self.remove(&done).await;
        let waiting = match self.store.parcels().await {
            Ok(waiting) => waiting,
            Err(why) => return warn!(why, "whether other nodes have taken over deliveries is not known"),
        };
        let kept: BTreeSet<u64> = waiting.iter().map(|parcel| parcel.id).collect();
        self.parcels.retain(|id, _| kept.contains(id) || self.unkept.contains(id));
        if self.is_loaded {
            self.take(waiting.into_iter().filter(|parcel| !self.done.contains(&parcel.id)).collect());
        }
        let unkept: Vec<u64> = self.unkept.iter().copied().collect();
        self.keep(&unkept).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Deed, Outbox, Receivers};
    use crate::crm::Parcel;
    use crate::metrics::Metrics;
    use crate::store::{NodesOfTests, parcel_of_tests};
    use crate::web::{Bus, Moment};

    fn parcel(id: u64) -> Parcel {
        Parcel { unix_ms: Moment::now().0, ..parcel_of_tests(id, "") }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_taken_over_without_a_word_is_taken_up_and_what_is_done_with_is_not() {
        let Some(nodes) = NodesOfTests::new() else { return };
        let store = nodes.store("a");
        store.keep_parcels(vec![parcel(1), parcel(2)]).await.expect("written");
        let outbox = Outbox::start(Receivers::default(), store.clone(), Arc::new(Bus::new()), Metrics::new()).await;
        let listed = async || {
            let listed = outbox.list(None, None, 10).await.expect("it is there");
            listed.iter().map(|parcel| parcel.id).collect::<Vec<_>>()
        };
        assert_eq!(listed().await, [1, 2]);
        // As a takeover leaves it that broke off half-way.
        store.keep_parcels(vec![parcel(3)]).await.expect("written");
        let broken = nodes.refuse_removals("parcels").await;
        assert_eq!(outbox.act(Deed::Drop, 1).await, Some(true));
        assert_eq!(listed().await, [2]);
        outbox.let_go().await;
        assert_eq!(listed().await, [2, 3], "the first one is done with, though it is still kept");
        assert_eq!(store.parcels().await.expect("readable").len(), 3);
        broken.mend().await;
        outbox.let_go().await;
        assert_eq!(listed().await, [2, 3]);
        assert_eq!(store.parcels().await.expect("readable").len(), 2, "and is removed as soon as it can be");
        store.stop();
    }
}
