//! Alerts that nobody reacts to: how long each has waited, and when more people are told of it, and more urgently.
//!
//! Pure: knows no clock, no store, and nobody who is told. Whoever does about an alert what ends its waiting, ends it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use routing::Severity;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::notice::{AlertDeed, AlertEscalated, Notice, What};
use crate::web::{Alert, Escalated, Handled, Moment, Place};

/// Alerts that wait at a time; beyond that the one that was raised first is given up.
pub const WAITING_MAX: usize = 1_000;
/// Calls and tenants that are remembered as forgotten until those are taken up that waited before.
const GONE_MAX: usize = 100_000;
/// How long one waits at most, whatever its steps.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// What happens when nobody has reacted for so long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EscalationStep {
    /// Since the alert was raised, or since it was to rest no longer.
    pub after: Duration,
    /// How urgent it is from then on; one degree more than before when nothing is said.
    pub severity: Option<Severity>,
    /// Whom it is for, by name; everybody who sees the call when nobody is named.
    pub to: Vec<String>,
    /// Systems outside that are told, as `[crm.NAME]`, besides those that are told of every step.
    pub crms: Vec<String>,
}

/// What an alert is known by: its call, when it was raised, and its rule.
pub type AlertName = (String, u64, String);

/// An alert that waits for a reaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingAlert {
    /// The call's id.
    pub call: String,
    /// When the alert was raised, milliseconds since the INVITE.
    pub call_ms: u64,
    /// The rule that raised it.
    pub rule: String,
    /// The call's route.
    pub route: String,
    /// The call's tenant, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// `info`, `warning`, `critical`: as it stands now.
    pub severity: String,
    /// What to say.
    pub text: String,
    /// When it was raised.
    pub raised: Moment,
    /// Since when it waits: since it was raised, or since it was to rest no longer.
    pub since: Moment,
    /// Steps that were taken since then.
    pub steps: usize,
    /// How it was put off last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled: Option<Handled>,
    /// The last of these steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated: Option<Escalated>,
}

impl WaitingAlert {
    /// One of a call of that place that has just begun to wait.
    fn fresh(call: &str, (route, tenant): Place, alert: Alert, raised: Moment) -> Self {
        let Alert { call_ms, severity, text, rule, .. } = alert;
        let (call, since, steps) = (call.to_owned(), raised, 0);
        let (handled, escalated) = (None, None);
        Self { call, call_ms, rule, route, tenant, severity, text, raised, since, steps, handled, escalated }
    }

    /// What it is known by.
    pub(crate) fn name(&self) -> AlertName {
        (self.call.clone(), self.call_ms, self.rule.clone())
    }
}

/// All alerts that wait.
#[derive(Debug, Default)]
pub struct Escalation {
    steps: Vec<EscalationStep>,
    waiting: BTreeMap<AlertName, WaitingAlert>,
    /// Those that are otherwise than they were when that was last asked.
    changed: BTreeSet<AlertName>,
    /// Until those are taken up that waited before.
    gone: Option<Gone>,
}

/// Whose alerts do not come back with those that waited before.
#[derive(Debug, Default)]
struct Gone {
    calls: BTreeSet<String>,
    tenants: BTreeSet<String>,
}

impl Gone {
    fn is_of(&self, alert: &WaitingAlert) -> bool {
        self.calls.contains(&alert.call) || alert.tenant.as_ref().is_some_and(|tenant| self.tenants.contains(tenant))
    }
}

impl Escalation {
    /// Nobody waits yet.
    pub fn new(steps: Vec<EscalationStep>) -> Self {
        Self { steps, gone: Some(Gone::default()), ..Self::default() }
    }

    /// Puts other steps in the place of those that there are. Steps that were taken stay taken.
    pub fn exchange(&mut self, steps: Vec<EscalationStep>) {
        self.steps = steps;
    }

    /// Takes up those that waited when the program before this one ended; what was heard since then counts more, and what was
    /// forgotten does not come back.
    pub fn take_up(&mut self, kept: Vec<WaitingAlert>) {
        let gone = self.gone.take().unwrap_or_default();
        for alert in kept {
            if gone.is_of(&alert) {
                // So that it goes from where it is kept, too.
                self.changed.insert(alert.name());
            } else if !self.changed.contains(&alert.name()) {
                self.waiting.entry(alert.name()).or_insert(alert);
            }
        }
    }

    /// Lets go of those that somebody else has taken over: all that are neither `kept` any more nor otherwise since.
    pub fn let_go(&mut self, kept: &[WaitingAlert]) {
        let kept: BTreeSet<AlertName> = kept.iter().map(WaitingAlert::name).collect();
        self.waiting.retain(|name, _| kept.contains(name) || self.changed.contains(name));
    }

    /// Takes up alerts that waited elsewhere, and are kept as this one's already; what is known of them here counts more, also that
    /// they wait no longer.
    pub fn take_over(&mut self, kept: Vec<WaitingAlert>) {
        for alert in kept {
            if !self.changed.contains(&alert.name()) {
                self.waiting.entry(alert.name()).or_insert(alert);
            }
        }
    }

    /// Ends alerts that somebody has reacted to elsewhere.
    pub fn end(&mut self, over: &[AlertName]) {
        over.iter().for_each(|name| self.remove(name));
    }

    /// Hears what is told of a call of that place.
    pub fn hear(&mut self, notice: &Notice, place: Place, now: Moment) {
        let Notice { call, call_ms, what } = notice;
        match what {
            What::Alert { severity, text, rule, .. } => {
                let (severity, text, rule) = (severity.clone(), text.clone(), rule.clone());
                let alert = Alert { call_ms: *call_ms, severity, text, rule, handled: None, escalated: None };
                self.insert(WaitingAlert::fresh(call, place, alert, now));
            }
            What::AlertHandled(deed) => self.handled(call, deed, now),
            _ => {}
        }
    }

    /// Has an alert wait again to which somebody had reacted; one that waits stays as it is.
    pub fn put_back(&mut self, call: &str, place: Place, alert: Alert, raised: Moment) {
        if self.find(call, alert.call_ms, &alert.rule).is_none() {
            self.insert(WaitingAlert::fresh(call, place, alert, raised));
        }
    }

    fn insert(&mut self, alert: WaitingAlert) {
        let name = alert.name();
        self.changed.insert(name.clone());
        self.waiting.insert(name, alert);
        if self.waiting.len() > WAITING_MAX {
            let first = self.waiting.values().min_by_key(|alert| alert.raised).map(WaitingAlert::name);
            first.into_iter().for_each(|name| self.remove(&name));
        }
    }

    fn handled(&mut self, call: &str, deed: &AlertDeed, now: Moment) {
        let name = (call.to_owned(), deed.alert_ms, deed.rule.clone());
        let Some(seconds) = deed.snooze_s else { return self.remove(&name) };
        if let Some(alert) = self.waiting.get_mut(&name) {
            (alert.since, alert.steps) = (Moment(now.0 + seconds * 1_000), 0);
            (alert.handled, alert.escalated) = (Some(Handled::of(deed, now)), None);
            self.changed.insert(name);
        }
    }

    fn remove(&mut self, name: &AlertName) {
        if self.waiting.remove(name).is_some() {
            self.changed.insert(name.clone());
        }
    }

    /// Forgets the alerts of calls.
    pub fn forget(&mut self, calls: &BTreeSet<&str>) {
        if let Some(gone) = &mut self.gone {
            let room = GONE_MAX.saturating_sub(gone.calls.len());
            gone.calls.extend(calls.iter().take(room).map(|call| (*call).to_owned()));
        }
        self.remove_all(|alert| calls.contains(alert.call.as_str()));
    }

    /// Forgets the alerts of a tenant.
    pub fn forget_tenant(&mut self, tenant: &str) {
        if let Some(gone) = self.gone.as_mut().filter(|gone| gone.tenants.len() < GONE_MAX) {
            gone.tenants.insert(tenant.to_owned());
        }
        self.remove_all(|alert| alert.tenant.as_deref() == Some(tenant));
    }

    fn remove_all(&mut self, is_over: impl Fn(&WaitingAlert) -> bool) {
        let over: Vec<AlertName> =
            self.waiting.values().filter(|alert| is_over(alert)).map(WaitingAlert::name).collect();
        over.iter().for_each(|name| self.remove(name));
    }

    /// What is to be told by now: every step once, in order, those too that were missed while nobody asked.
    pub fn due(&mut self, now: Moment) -> Vec<Notice> {
        self.remove_all(|alert| is_old(alert, now));
        let mut told = Vec::new();
        for (name, alert) in &mut self.waiting {
            while let Some(step) = self.steps.get(alert.steps).filter(|step| due_at(alert, step) <= now) {
                alert.steps += 1;
                alert.severity = step.severity.map_or_else(|| one_up(&alert.severity), Severity::as_str).to_owned();
                told.push(take(alert, step, now));
                self.changed.insert(name.clone());
            }
        }
        told
    }

    /// When something is to be told next.
    pub fn deadline(&self) -> Option<Moment> {
        let next = |alert: &WaitingAlert| self.steps.get(alert.steps).map(|step| due_at(alert, step));
        self.waiting.values().filter_map(next).min()
    }

    /// Every alert that is otherwise than when this was last asked; nothing of those that wait no longer.
    pub fn changes(&mut self) -> Vec<(AlertName, Option<WaitingAlert>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|name| (name.clone(), self.waiting.get(&name).cloned())).collect()
    }

    /// Notes that changes could not be kept: they are asked for again.
    pub fn not_kept(&mut self, changes: Vec<(AlertName, Option<WaitingAlert>)>) {
        self.changed.extend(changes.into_iter().map(|(name, _)| name));
    }

    /// The alert of that name, while it waits.
    pub fn find(&self, call: &str, call_ms: u64, rule: &str) -> Option<&WaitingAlert> {
        self.waiting.get(&(call.to_owned(), call_ms, rule.to_owned()))
    }

    /// All that wait.
    pub fn waiting(&self) -> impl Iterator<Item = &WaitingAlert> {
        self.waiting.values()
    }
}

fn is_old(alert: &WaitingAlert, now: Moment) -> bool {
    alert.since.0.saturating_add(KEPT.as_millis() as u64) < now.0
}

fn due_at(alert: &WaitingAlert, step: &EscalationStep) -> Moment {
    Moment(alert.since.0 + step.after.as_millis() as u64)
}

/// The severity of that name.
fn severity_named(name: &str) -> Option<Severity> {
    Severity::ALL.into_iter().find(|severity| severity.as_str() == name)
}

fn one_up(severity: &str) -> &'static str {
    match severity_named(severity) {
        Some(Severity::Info) => Severity::Warning.as_str(),
        Some(Severity::Warning | Severity::Critical) | None => Severity::Critical.as_str(),
    }
}

/// Notes that a step is taken: what is told of it.
fn take(alert: &mut WaitingAlert, step: &EscalationStep, now: Moment) -> Notice {
    let WaitingAlert { call, call_ms, rule, route, tenant, severity, text, raised, since, steps, .. } = alert.clone();
    let told = AlertEscalated {
        alert_ms: call_ms,
        rule,
        step: steps as u32,
        waited_s: now.0.saturating_sub(since.0) / 1_000,
        severity,
        text,
        route,
        tenant,
        since,
        to: step.to.clone(),
        crms: step.crms.clone(),
    };
    alert.escalated = Some(Escalated::of(&told, now));
    Notice { call, call_ms: call_ms + now.0.saturating_sub(raised.0), what: What::AlertEscalated(told) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAISED: u64 = 1_700_000_000_000;

    #[test]
    fn every_step_is_told_once_and_louder_each_time() {
        let mut escalation = Escalation::new(steps());
        raise(&mut escalation, "call-1", 0);
        check(&mut escalation, 59, &[]);
        check(&mut escalation, 60, &["call-1 1 warning after 60 s"]);
        check(&mut escalation, 61, &[]);
        check(&mut escalation, 300, &["call-1 2 critical after 300 s to li,wang by pager"]);
        let escalated = escalation.find("call-1", 5_000, "angry").and_then(|alert| alert.escalated.clone());
        assert_eq!(escalated.map(|told| (told.step, told.severity, told.time)), Some((2, "critical".into(), at(300))));
        check(&mut escalation, 80_000, &[]);
        assert_eq!((escalation.deadline(), escalation.waiting().count()), (None, 1), "it can still be handled");
        check(&mut escalation, 24 * 3_600 + 1, &[]);
        assert_eq!(escalation.waiting().count(), 0, "not for ever");
    }

    #[test]
    fn whoever_reacts_ends_it_and_a_rest_puts_it_off() {
        for (deed, snooze_s, left) in [
            ("acknowledged", None, None),
            ("assigned", None, None),
            ("ended", None, None),
            ("snoozed", Some(600), Some(Moment(RAISED + 100_000 + 600_000 + 60_000))),
        ] {
            let mut escalation = Escalation::new(steps());
            raise(&mut escalation, "call-1", 0);
            check(&mut escalation, 60, &["call-1 1 warning after 60 s"]);
            handle(&mut escalation, "another", deed, snooze_s);
            assert!(escalation.deadline().is_some());
            handle(&mut escalation, "angry", deed, snooze_s);
            assert_eq!(escalation.deadline(), left, "{deed}");
            check(&mut escalation, 700, &[]);
            let again: &[&str] = if left.is_some() { &["call-1 1 critical after 60 s"] } else { &[] };
            check(&mut escalation, 760, again);
        }
    }

    #[test]
    fn a_restart_neither_forgets_nor_repeats_a_step() {
        let mut before = Escalation::new(steps());
        let mut kept = BTreeMap::new();
        raise(&mut before, "call-1", 0);
        raise(&mut before, "call-2", 10);
        check(&mut before, 60, &["call-1 1 warning after 60 s"]);
        before.hear(&deed("call-2", "angry", "acknowledged", None), Place::default(), at(61));
        for (name, alert) in before.changes() {
            kept.insert(name, alert);
        }
        assert!(before.changes().is_empty(), "nothing is otherwise since");

        // It was down for long: what was missed comes in order.
        let written: Vec<Vec<u8>> =
            kept.values().flatten().map(|alert| serde_json::to_vec(alert).expect("text")).collect();
        let read = |bytes: &Vec<u8>| serde_json::from_slice(bytes).expect("as written");
        let mut after = Escalation::new(steps());
        after.take_up(written.iter().map(read).collect());
        check(&mut after, 299, &[]);
        let mut late = Escalation::new(steps());
        raise(&mut late, "call-3", 0);
        after.take_up(late.waiting().cloned().collect());
        let missed = [
            "call-1 2 critical after 900 s to li,wang by pager",
            "call-3 1 warning after 900 s",
            "call-3 2 critical after 900 s to li,wang by pager",
        ];
        check(&mut after, 900, &missed);
        check(&mut after, 901, &[]);
    }

    #[test]
    fn what_could_not_be_kept_is_asked_for_again() {
        let mut escalation = Escalation::new(steps());
        raise(&mut escalation, "call-1", 0);
        let changes = escalation.changes();
        escalation.not_kept(changes.clone());
        assert_eq!((escalation.changes(), escalation.changes()), (changes, Vec::new()));
        escalation.forget(&BTreeSet::from(["call-1"]));
        let gone: Vec<bool> = escalation.changes().iter().map(|(_, alert)| alert.is_none()).collect();
        assert_eq!((gone, escalation.waiting().count()), (vec![true], 0));
    }

    #[test]
    fn what_is_forgotten_or_handled_before_it_is_taken_up_does_not_come_back() {
        let mut kept = Escalation::new(steps());
        for (call, tenant) in [("call-1", None), ("call-2", Some("shop")), ("call-3", None), ("call-4", None)] {
            raise_of(&mut kept, call, tenant, 0);
        }
        let kept: Vec<WaitingAlert> = kept.waiting().cloned().collect();
        let mut escalation = Escalation::new(steps());
        raise(&mut escalation, "call-4", 0);
        escalation.hear(&deed("call-4", "angry", "acknowledged", None), Place::default(), at(1));
        escalation.forget(&BTreeSet::from(["call-1"]));
        escalation.forget_tenant("shop");
        escalation.take_up(kept.clone());
        let waiting =
            |escalation: &Escalation| -> Vec<String> { escalation.waiting().map(|alert| alert.call.clone()).collect() };
        assert_eq!(waiting(&escalation), ["call-3"]);
        let changes = escalation.changes();
        let gone: Vec<&str> = changes.iter().map(|((call, ..), _)| call.as_str()).collect();
        assert_eq!(gone, ["call-1", "call-2", "call-4"], "they are kept no more either");
        assert!(changes.iter().all(|(_, alert)| alert.is_none()));

        let mut escalation = Escalation::new(steps());
        escalation.take_up(kept);
        escalation.forget_tenant("shop");
        assert_eq!(waiting(&escalation), ["call-1", "call-3", "call-4"]);
    }

    #[test]
    fn what_is_taken_over_does_not_bring_back_what_is_over_here() {
        let mut there = Escalation::new(steps());
        for call in ["call-1", "call-2", "call-3"] {
            raise(&mut there, call, 0);
        }
        let kept: Vec<WaitingAlert> = there.waiting().cloned().collect();
        let mut escalation = Escalation::new(steps());
        escalation.take_over(kept.clone());
        escalation.hear(&deed("call-1", "angry", "acknowledged", None), Place::default(), at(1));
        escalation.take_over(kept.clone());
        assert_eq!(escalation.waiting().count(), 2, "that one is over, and not yet written down as such");
        escalation.end(&[kept[1].name()]);
        assert_eq!(escalation.waiting().map(|alert| alert.call.as_str()).collect::<Vec<_>>(), ["call-3"]);
        assert_eq!(escalation.changes().len(), 2);
    }

    #[test]
    fn there_are_never_more_than_there_is_room_for() {
        let mut escalation = Escalation::new(steps());
        for number in 0..WAITING_MAX as u64 + 3 {
            raise(&mut escalation, &format!("call-{number}"), number);
        }
        assert_eq!(escalation.waiting().count(), WAITING_MAX);
        assert!(
            escalation.find("call-2", 5_000, "angry").is_none() && escalation.find("call-3", 5_000, "angry").is_some()
        );
    }

    fn steps() -> Vec<EscalationStep> {
        let step = |seconds, severity, to: &[&str], crms: &[&str]| EscalationStep {
            after: Duration::from_secs(seconds),
            severity,
            to: to.iter().map(|name| (*name).to_owned()).collect(),
            crms: crms.iter().map(|name| (*name).to_owned()).collect(),
        };
        vec![step(60, None, &[], &[]), step(300, Some(Severity::Critical), &["li", "wang"], &["pager"])]
    }

    fn at(seconds: u64) -> Moment {
        Moment(RAISED + seconds * 1_000)
    }

    fn raise(escalation: &mut Escalation, call: &str, seconds: u64) {
        raise_of(escalation, call, None, seconds);
    }

    fn raise_of(escalation: &mut Escalation, call: &str, tenant: Option<&str>, seconds: u64) {
        let (severity, text, rule) = ("info".to_owned(), "angry caller".to_owned(), "angry".to_owned());
        let what = What::Alert { severity, text, rule, pbx_call: None };
        let notice = Notice { call: call.to_owned(), call_ms: 5_000, what };
        escalation.hear(&notice, ("hotline".to_owned(), tenant.map(str::to_owned)), at(seconds));
    }

    fn deed(call: &str, rule: &str, deed: &str, snooze_s: Option<u64>) -> Notice {
        let (rule, deed, by) = (rule.to_owned(), deed.to_owned(), "li".to_owned());
        let what = What::AlertHandled(AlertDeed { alert_ms: 5_000, rule, deed, by, to: None, snooze_s });
        Notice { call: call.to_owned(), call_ms: 105_000, what }
    }

    fn handle(escalation: &mut Escalation, rule: &str, done: &str, snooze_s: Option<u64>) {
        escalation.hear(&deed("call-1", rule, done, snooze_s), Place::default(), at(100));
    }

    #[track_caller]
    fn check(escalation: &mut Escalation, seconds: u64, expected: &[&str]) {
        let told: Vec<String> = escalation.due(at(seconds)).iter().map(words).collect();
        assert_eq!(told, expected);
    }

    fn words(notice: &Notice) -> String {
        let What::AlertEscalated(told) = &notice.what else { panic!("{notice:?}") };
        let AlertEscalated { step, severity, waited_s, to, crms, .. } = told;
        let mut words = format!("{} {step} {severity} after {waited_s} s", notice.call);
        if !to.is_empty() {
            words += &format!(" to {} by {}", to.join(","), crms.join(","));
        }
        words
    }
}
