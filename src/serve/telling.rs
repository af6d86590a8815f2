//! Who is told outside of calls, and when: systems and people by the outbox, reports by the clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::metrics::Metrics;
use crate::reporting::{ReportTerms, write_by_the_clock};
use crate::settings::Settings;
use crate::shell::crm::{Outbox, Receivers};
use crate::store::Store;
use crate::web::{Bus, Moment, Readiness};

/// How long what systems outside are to be told may take to be written down.
const SETTLE_WITHIN: Duration = Duration::from_secs(5);
/// How often calls are looked for that are shown too long, as the store looks for those that are kept too long.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// The outbox and the clock of reports, where there is a store.
pub(super) struct Telling {
    outbox: Option<Outbox>,
    reports: watch::Sender<ReportTerms>,
    /// Who notes minutes, has old calls shown as they are kept, and writes reports by the clock.
    clocks: Vec<JoinHandle<()>>,
}

impl Telling {
    /// Takes up what waits from before, and has reports written from now on.
    pub(super) async fn start(
        settings: &Settings,
        receivers: Receivers,
        (store, bus): (Option<&Store>, &Arc<Bus>),
        (metrics, readiness): (&Metrics, &Arc<Readiness>),
    ) -> Telling {
        let (reports, terms) = watch::channel(ReportTerms::of(settings));
        let Some(store) = store else { return Telling { outbox: None, reports, clocks: Vec::new() } };
        let outbox = Outbox::start(receivers, store.clone(), Arc::clone(bus), metrics.clone()).await;
        let keeping = (store.clone(), outbox.clone());
        let writing = write_by_the_clock(terms, keeping, Arc::clone(readiness));
        let noting = note_minutes(store.clone(), Arc::clone(readiness));
        let forgetting = forget_old(store.clone(), Arc::clone(bus));
        let clocks = vec![tokio::spawn(noting), tokio::spawn(forgetting), tokio::spawn(writing)];
        Telling { outbox: Some(outbox), reports, clocks }
    }

    /// What is to be told goes by this.
    pub(super) fn outbox(&self) -> Option<&Outbox> {
        self.outbox.as_ref()
    }

    /// Tells others from now on, and by other terms. What is on its way arrives.
    pub(super) fn exchange(&self, settings: &Settings, receivers: Receivers) {
        if let Some(outbox) = &self.outbox {
            outbox.exchange(receivers);
        }
        self.reports.send_replace(ReportTerms::of(settings));
    }

    /// Writes no more reports.
    pub(super) fn stop(&self) {
        self.clocks.iter().for_each(JoinHandle::abort);
    }

    /// Waits until everything that is to be told is written down.
    pub(super) async fn settle(&self) {
        if let Some(outbox) = &self.outbox {
            outbox.settle(SETTLE_WITHIN).await;
        }
    }
}

/// Has it noted, minute by minute, that the server is up, and whether it takes calls.
async fn note_minutes(store: Store, readiness: Arc<Readiness>) {
    // Twice a minute, so that none is missed.
    let mut every = tokio::time::interval(Duration::from_secs(30));
    loop {
        every.tick().await;
        // A store that is down is told of by itself; what is not noted counts as time in which nobody was there.
        let _ = store.note_minute(readiness.is_ready()).await;
    }
}

/// Has calls shown no longer than they are kept, minute by minute.
async fn forget_old(store: Store, bus: Arc<Bus>) {
    let mut every = tokio::time::interval(FORGET_EVERY);
    loop {
        every.tick().await;
        bus.forget_before(store.whole_since(Moment::now()));
    }
}
