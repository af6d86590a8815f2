//! Has alerts escalated that nobody reacts to: follows them, tells each step when it is due, and keeps what waits, where there
//! is a store, so that it goes on after a restart.
//!
//! A step is told, then written down: one during which the program is killed is told once more, to systems outside under the
//! same key. No call waits for any of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::told::Told;
use crate::escalation::{AlertName, Escalation, EscalationStep, WaitingAlert};
use crate::notice::{Notice, What};
use crate::store::{Store, TakenOver};
use crate::web::{Alert, Board, Bus, CallRecord, Moment, Place};

/// How often it is looked for what a clock that was set has made due, and for a store that was down.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a node of a site is not heard of until others take its alerts over.
const LEASE: Duration = Duration::from_secs(30);

/// The alerts that wait, as the rest of the program sees them. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Escalating(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<Escalation>,
    /// Something is otherwise.
    changed: Notify,
    /// Held by whoever writes down: nothing is written over what came later.
    keeping: tokio::sync::Mutex<()>,
}

impl Escalating {
    /// Nobody waits yet, and no step is told before [`Escalating::run`].
    pub fn new(steps: Vec<EscalationStep>) -> Self {
        Self(Arc::new(Shared { state: Mutex::new(Escalation::new(steps)), ..Shared::default() }))
    }

    /// Tells steps when they are due, on the current tokio runtime, with what waited before.
    pub fn run(&self, told: Told) -> JoinHandle<()> {
        tokio::spawn(run(Arc::clone(&self.0), told))
    }

    /// Hears what is told of calls; never waits.
    pub fn hear(&self, notice: &Notice, told: &Bus, now: Moment) {
        if !matches!(notice.what, What::Alert { .. } | What::AlertHandled(_)) {
            return;
        }
        let found = |record: &CallRecord| (record.place(), put_off(record, notice), record.started);
        let found = told.with_board(|board| board.call(&notice.call).map(found));
        let (place, put_off, started) = found.unwrap_or((Place::default(), None, now));
        let mut state = self.0.state();
        if let Some(alert) = put_off {
            let raised = Moment(started.0 + alert.call_ms);
            state.put_back(&notice.call, place.clone(), alert, raised);
        }
        state.hear(notice, place, now);
        drop(state);
        self.0.changed.notify_one();
    }

    /// Puts other steps in the place of those that there are.
    pub fn exchange(&self, steps: Vec<EscalationStep>) {
        self.0.state().exchange(steps);
        self.0.changed.notify_one();
    }

    /// The alert of that call, moment and rule, while it waits.
    pub fn find(&self, call: &str, call_ms: u64, rule: &str) -> Option<WaitingAlert> {
        self.0.state().find(call, call_ms, rule).cloned()
    }

    /// All that wait.
    pub fn waiting(&self) -> Vec<WaitingAlert> {
        self.0.state().waiting().cloned().collect()
    }

    /// Forgets the alerts of calls that are erased, in the store too.
    pub async fn forget(&self, calls: &[String], store: &Store) {
        let calls: BTreeSet<&str> = calls.iter().map(String::as_str).collect();
        self.0.state().forget(&calls);
        keep(&self.0, Some(store)).await;
    }

    /// Forgets the alerts of a tenant that is erased, in the store too.
    pub async fn forget_tenant(&self, tenant: &str, store: &Store) {
        self.0.state().forget_tenant(tenant);
        keep(&self.0, Some(store)).await;
    }

    /// Writes down what is otherwise, for a program that ends.
    pub async fn settle(&self, told: &Told) {
        keep(&self.0, told.store.as_ref()).await;
    }
}

/// The alert that is put off by a notice of a call, where somebody may have reacted to it before.
fn put_off(record: &CallRecord, notice: &Notice) -> Option<Alert> {
    let What::AlertHandled(deed) = &notice.what else { return None };
    deed.snooze_s.and_then(|_| record.alert(deed.alert_ms, &deed.rule)).cloned()
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Escalation> {
        // A panic while the lock was held leaves the state usable: every step of it stands alone.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(shared: Arc<Shared>, told: Told) {
    let mut is_loaded = false;
    let mut turn = Turn::default();
    loop {
        if !is_loaded {
            is_loaded = load(&shared, &told).await;
        }
        if is_loaded {
            turn.look(&shared, &told).await;
        }
        let now = Moment::now();
        let due = if turn.is_ours(told.store.as_ref()) { shared.state().due(now) } else { Vec::new() };
        for notice in &due {
            told.tell_of(notice, now, None);
        }
        keep(&shared, told.store.as_ref()).await;
        let next = if turn.is_ours(told.store.as_ref()) { shared.state().deadline() } else { None };
        let pause = next.map_or(LOOK_EVERY, |next| Duration::from_millis(next.0.saturating_sub(Moment::now().0)));
        tokio::select! {
            () = shared.changed.notified() => {}
            () = tokio::time::sleep(pause.min(LOOK_EVERY)) => {}
        }
    }
}

/// Until when steps of a node's alerts are its own to tell, where it is one of several.
#[derive(Debug, Default)]
struct Turn {
    until: Option<Instant>,
    /// Whether the database has said so, and did not only say nothing.
    is_sure: bool,
    /// When it was looked last.
    looked: Option<Instant>,
}

impl Turn {
    fn is_ours(&self, store: Option<&Store>) -> bool {
        !store.is_some_and(Store::has_site) || self.until.is_some_and(|until| Instant::now() < until)
    }

    /// Keeps this node's alerts and deliveries its own, lets go of those that others have taken over, and takes over those of
    /// nodes that are gone. While the database does not answer, each node tells its own: a step that two tell is better than one that nobody does.
    async fn look(&mut self, shared: &Shared, told: &Told) {
        let Some(store) = told.store.as_ref().filter(|store| store.has_site()) else { return };
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now < looked + LOOK_EVERY / 2) {
            return;
        }
        self.looked = Some(now);
        let was_ours = self.is_sure && self.is_ours(Some(store));
        if let Err(why) = self.renew(shared, (store, told), (now, was_ours)).await {
            (self.until, self.is_sure) = (Some(now + LEASE), false);
            warn!(
                why,
                "whether other nodes have taken over its alerts is not known: their steps are told all the same"
            );
        }
    }

    async fn renew(
        &mut self,
        shared: &Shared,
        (store, told): (&Store, &Told),
        (now, was_ours): (Instant, bool),
    ) -> Result<(), String> {
        let outbox = told.outbox.as_ref();
        if !store.has_alerts_lease(LEASE).await? {
            // Somebody is taking them over right now.
            self.until = None;
            return Ok(());
        }
        if !was_ours {
            // What is being written down now may not be there yet.
            let alone = shared.keeping.lock().await;
            let kept = store.alerts().await?;
            shared.state().let_go(&kept);
            // Some may have been taken over without an answer that said so.
            take_in(shared, &told.bus, kept);
            drop(alone);
            if let Some(outbox) = outbox {
                outbox.let_go().await;
            }
        }
        (self.until, self.is_sure) = (Some(now + LEASE), true);
        for TakenOver { node, alerts, parcels, fault } in store.take_over().await? {
            if let Some(why) = fault {
                // What has come is looked for among what is kept, and the rest taken over again.
                self.is_sure = false;
                warn!(node, why, "a node is gone, and not all that waits there could be taken over yet");
            }
            let (waiting, deliveries) = (alerts.len(), parcels.len());
            info!(node, alerts = waiting, deliveries, "a node is gone: what waits there is taken over");
            store.audit("alerts_taken_over", json!({ "node": node, "alerts": waiting, "deliveries": deliveries }));
            take_in(shared, &told.bus, alerts);
            match outbox {
                Some(outbox) => outbox.take_over(parcels).await,
                None if deliveries > 0 => warn!(node, deliveries, "no system outside is told by this node: they wait"),
                None => {}
            }
        }
        Ok(())
    }
}

/// Goes on with alerts that are kept as this node's by now, but for those that somebody has reacted to while nobody had them.
fn take_in(shared: &Shared, bus: &Bus, alerts: Vec<WaitingAlert>) {
    let is_over = |board: &Board, alert: &WaitingAlert| {
        let shown = board.call(&alert.call).and_then(|record| record.alert(alert.call_ms, &alert.rule));
        let before = alert.handled.as_ref().map_or(alert.raised, |handled| handled.time);
        let handled = shown.and_then(|alert| alert.handled.as_ref());
        handled.is_some_and(|handled| handled.snooze_s.is_none() && handled.time > before)
    };
    let over: Vec<AlertName> =
        bus.with_board(|board| alerts.iter().filter(|alert| is_over(board, alert)).map(WaitingAlert::name).collect());
    let mut state = shared.state();
    state.take_over(alerts);
    state.end(&over);
}

/// Takes up what waited before; whether that is done. A store that is down may come later.
async fn load(shared: &Shared, told: &Told) -> bool {
    let Some(store) = &told.store else {
        shared.state().take_up(Vec::new());
        return true;
    };
    match store.alerts().await {
        Ok(kept) => {
            shared.state().take_up(kept);
            true
        }
        Err(why) => {
            warn!(why, "alerts of before cannot be read yet");
            false
        }
    }
}

/// Writes down what is otherwise than before.
async fn keep(shared: &Shared, store: Option<&Store>) {
    let _alone = shared.keeping.lock().await;
    let changes = shared.state().changes();
    let Some(store) = store.filter(|_| !changes.is_empty()) else { return };
    if let Err(why) = store.keep_alerts(changes.clone()).await {
        warn!(why, "alerts that wait are in memory only");
        shared.state().not_kept(changes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::notice::AlertDeed;
    use crate::notice_samples::one_of_each;
    use crate::store::NodesOfTests;
    use crate::web::Delivery;

    #[tokio::test]
    async fn steps_are_told_to_whoever_watches_until_somebody_reacts() {
        let bus = Arc::new(Bus::new());
        let step = |after_ms| EscalationStep {
            after: Duration::from_millis(after_ms),
            severity: None,
            to: Vec::new(),
            crms: Vec::new(),
        };
        let escalating = Escalating::new(vec![step(1), step(2), step(3_600_000)]);
        let told = Told { bus: Arc::clone(&bus), store: None, outbox: None, metrics: Metrics::new() };
        let running = escalating.run(told);
        let mut watch = bus.subscribe(None);
        let samples = one_of_each();
        let sample =
            |wanted: fn(&What) -> bool| samples.iter().find(|notice| wanted(&notice.what)).expect("one of each");
        let alert = sample(|what| matches!(what, What::Alert { .. }));
        bus.publish(&samples[0]);
        bus.publish(alert);
        escalating.hear(alert, &bus, Moment::now());
        let mut steps = Vec::new();
        while steps.len() < 2 {
            let Some(Delivery::Event(event)) = watch.next().await else { panic!("it goes on") };
            if event.kind == "alert_escalated" {
                let json: serde_json::Value = serde_json::from_str(&event.json).expect("JSON");
                steps.push((json["step"].clone(), event.route.clone()));
            }
        }
        let route = bus.with_board(|board| board.call("call-1").map(|record| record.route.clone()));
        assert_eq!(steps, [(1.into(), route.clone()), (2.into(), route)]);
        let shown = bus.with_board(|board| board.call("call-1")?.alerts[0].escalated.clone());
        assert_eq!(shown.map(|escalated| escalated.step), Some(2));
        assert_eq!(escalating.waiting().len(), 1);
        let What::AlertHandled(deed) = &sample(|what| matches!(what, What::AlertHandled(_))).what else {
            unreachable!()
        };
        let deed = AlertDeed { alert_ms: alert.call_ms, ..deed.clone() };
        let handled = |deed| Notice { what: What::AlertHandled(deed), ..alert.clone() };
        escalating.hear(&handled(deed.clone()), &bus, Moment::now());
        assert_eq!(escalating.waiting(), [], "somebody has it");
        let (now, snoozed) = (Moment::now(), AlertDeed { deed: "snoozed".into(), snooze_s: Some(600), ..deed });
        escalating.hear(&handled(snoozed), &bus, now);
        let since: Vec<Moment> = escalating.waiting().iter().map(|alert| alert.since).collect();
        assert_eq!(since, [Moment(now.0 + 600_000)], "and puts it off");
        running.abort();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn alerts_that_were_taken_over_without_a_word_are_gone_on_with() {
        let Some(nodes) = NodesOfTests::new() else { return };
        let store = nodes.store("a");
        let told = Told { bus: Arc::default(), store: Some(store.clone()), outbox: None, metrics: Metrics::new() };
        let shared = Shared::default();
        assert!(load(&shared, &told).await);
        // As a takeover leaves it that broke off half-way.
        let alert = waiting_alert();
        store.keep_alerts(vec![(alert.name(), Some(alert.clone()))]).await.expect("written");
        let mut turn = Turn::default();
        turn.look(&shared, &told).await;
        let waiting: Vec<WaitingAlert> = shared.state().waiting().cloned().collect();
        assert_eq!((waiting, turn.is_sure), (vec![alert], true));
        store.stop();
    }

    #[test]
    fn what_was_done_about_an_alert_while_its_node_was_gone_counts() {
        let (bus, shared, alert) = (Bus::of_node("a"), Shared::default(), waiting_alert());
        let samples = one_of_each();
        for notice in [&samples[0], &samples[10]] {
            assert!(bus.publish_from("b", notice, alert.raised));
        }
        take_in(&shared, &bus, vec![alert.clone()]);
        assert_eq!(shared.state().waiting().count(), 1, "nobody has reacted");
        let deed = AlertDeed {
            alert_ms: alert.call_ms,
            rule: alert.rule.clone(),
            deed: "acknowledged".to_owned(),
            by: "li".to_owned(),
            to: None,
            snooze_s: None,
        };
        let handled = Notice { what: What::AlertHandled(deed), ..samples[10].clone() };
        bus.publish_at(&handled, Moment(alert.raised.0 + 1));
        let shared = Shared::default();
        take_in(&shared, &bus, vec![alert.clone()]);
        let mut state = shared.state();
        assert_eq!((state.waiting().count(), state.changes()), (0, vec![(alert.name(), None)]), "nor is it kept");
    }

    /// One that waits since a moment ago.
    fn waiting_alert() -> WaitingAlert {
        let escalating = Escalating::default();
        escalating.hear(&one_of_each()[10], &Bus::new(), Moment::now());
        escalating.waiting().remove(0)
    }
}
