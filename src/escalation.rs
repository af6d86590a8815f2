//! Alerts that nobody reacts to: how long each has waited, and when more people are told of it, and more urgently.
//!
//! Pure: knows no clock, no store, and nobody who is told. Whoever does about an alert what ends its waiting, ends it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use routing::Severity;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::notice::{AlertDeed, AlertEscalated, Notice, What};
use crate::web::Moment;

/// Alerts that wait at a time; beyond that the one that was raised first is given up.
pub const WAITING_MAX: usize = 1_000;
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
}

impl WaitingAlert {
    fn name(&self) -> AlertName {
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
}

impl Escalation {
    /// Nobody waits yet.
    pub fn new(steps: Vec<EscalationStep>) -> Self {
        Self { steps, ..Self::default() }
    }

    /// Puts other steps in the place of those that there are. Steps that were taken stay taken.
    pub fn exchange(&mut self, steps: Vec<EscalationStep>) {
        self.steps = steps;
    }

    /// Takes up those that waited when the program before this one ended; what was heard since then counts more.
    pub fn take_up(&mut self, kept: Vec<WaitingAlert>) {
        for alert in kept {
            self.waiting.entry(alert.name()).or_insert(alert);
        }
    }

    /// Hears what is told of a call of that route, and of that tenant.
    pub fn hear(&mut self, notice: &Notice, route: &str, tenant: Option<&str>, now: Moment) {
        match &notice.what {
            What::Alert { severity, text, rule, .. } => self.insert(WaitingAlert {
                call: notice.call.clone(),
                call_ms: notice.call_ms,
                rule: rule.clone(),
                route: route.to_owned(),
                tenant: tenant.map(str::to_owned),
                severity: severity.clone(),
                text: text.clone(),
                raised: now,
                since: now,
                steps: 0,
            }),
            What::AlertHandled(deed) => self.handled(&notice.call, deed, now),
            _ => {}
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
        let gone: Vec<AlertName> =
            self.waiting.keys().filter(|(call, ..)| calls.contains(call.as_str())).cloned().collect();
        gone.iter().for_each(|name| self.remove(name));
    }

    /// What is to be told by now: every step once, in order, those too that were missed while nobody asked.
    pub fn due(&mut self, now: Moment) -> Vec<Notice> {
        let old: Vec<AlertName> =
            self.waiting.values().filter(|alert| is_old(alert, now)).map(WaitingAlert::name).collect();
        old.iter().for_each(|name| self.remove(name));
        let mut told = Vec::new();
        for (name, alert) in &mut self.waiting {
            while let Some(step) = self.steps.get(alert.steps).filter(|step| due_at(alert, step) <= now) {
                alert.steps += 1;
                alert.severity = step.severity.map_or_else(|| one_up(&alert.severity), Severity::as_str).to_owned();
                told.push(notice_of(alert, step, now));
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
pub fn severity_named(name: &str) -> Option<Severity> {
    Severity::ALL.into_iter().find(|severity| severity.as_str() == name)
}

fn one_up(severity: &str) -> &'static str {
    match severity_named(severity) {
        Some(Severity::Info) => Severity::Warning.as_str(),
        Some(Severity::Warning | Severity::Critical) | None => Severity::Critical.as_str(),
    }
}

fn notice_of(alert: &WaitingAlert, step: &EscalationStep, now: Moment) -> Notice {
    let WaitingAlert { call, call_ms, rule, route, tenant, severity, text, raised, since, steps } = alert.clone();
    let what = What::AlertEscalated(AlertEscalated {
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
    });
    Notice { call, call_ms: call_ms + now.0.saturating_sub(raised.0), what }
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
        before.hear(&deed("call-2", "angry", "acknowledged", None), "", None, at(61));
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
        let (severity, text, rule) = ("info".to_owned(), "angry caller".to_owned(), "angry".to_owned());
        let what = What::Alert { severity, text, rule, pbx_call: None };
        let notice = Notice { call: call.to_owned(), call_ms: 5_000, what };
        escalation.hear(&notice, "hotline", None, at(seconds));
    }

    fn deed(call: &str, rule: &str, deed: &str, snooze_s: Option<u64>) -> Notice {
        let (rule, deed, by) = (rule.to_owned(), deed.to_owned(), "li".to_owned());
        let what = What::AlertHandled(AlertDeed { alert_ms: 5_000, rule, deed, by, to: None, snooze_s });
        Notice { call: call.to_owned(), call_ms: 105_000, what }
    }

    fn handle(escalation: &mut Escalation, rule: &str, done: &str, snooze_s: Option<u64>) {
        escalation.hear(&deed("call-1", rule, done, snooze_s), "", None, at(100));
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
