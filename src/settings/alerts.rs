//! `[alerts]`: what becomes of alerts that nobody reacts to.

use std::time::Duration;

use routing::Severity;
use routing::section::{Section, choice, list, name, one_of, whole};

use super::Settings;
use crate::escalation::EscalationStep;

/// Steps of one server.
const STEPS_MAX: usize = 10;
/// Names of one step.
const NAMES_MAX: usize = 50;
/// The longest until a step, seconds; alerts wait no longer than a day.
const AFTER_S_MAX: i64 = 12 * 3_600;
/// When nobody has reacted for so long, unless something else is said.
const FIRST_AFTER: Duration = Duration::from_secs(60);

/// How alerts are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertSettings {
    /// What happens when nobody reacts, in order.
    pub escalation: Vec<EscalationStep>,
}

impl Default for AlertSettings {
    fn default() -> Self {
        let first = EscalationStep { after: FIRST_AFTER, severity: None, to: Vec::new(), crms: Vec::new() };
        Self { escalation: vec![first] }
    }
}

/// Reads the section.
pub(super) fn read_alerts(mut section: Section<'_>) -> AlertSettings {
    let mut steps: Vec<EscalationStep> = Vec::new();
    let is_named = section.has("escalation");
    section.each("escalation", |step| {
        let expected = format!("whole seconds from 1 to {AFTER_S_MAX}");
        let after = step.need("after_s", expected, whole(1..=AFTER_S_MAX));
        let after = after.map(|seconds| Duration::from_secs(seconds.unsigned_abs()));
        let before = steps.last().map_or(Duration::ZERO, |step| step.after);
        if let Some(after) = after.filter(|after| *after <= before) {
            step.fault("after_s", after.as_secs(), "more than in the step before");
        }
        let severities = one_of(&Severity::ALL, Severity::as_str);
        let severity = step.read("severity", severities, choice(&Severity::ALL, Severity::as_str));
        let to = step.read("to", "a list of 1-50 names of users", list(NAMES_MAX, name)).unwrap_or_default();
        let crms = step.read("crm", "a list of 1-50 names of [crm.NAME]s", list(NAMES_MAX, name)).unwrap_or_default();
        steps.extend(after.map(|after| EscalationStep { after, severity, to, crms }));
    });
    if steps.len() > STEPS_MAX {
        section.fault("escalation", format!("{} of them", steps.len()), format!("at most {STEPS_MAX}"));
    }
    section.finish();
    if is_named { AlertSettings { escalation: steps } } else { AlertSettings::default() }
}

/// Whether the systems that steps name are there.
pub(super) fn check_steps(root: &mut Section<'_>, settings: &Settings) {
    for name in settings.alerts.escalation.iter().flat_map(|step| &step.crms) {
        if !settings.crms.contains_key(name) {
            root.fault("alerts.escalation.crm", format!("\"{name}\""), "the names of [crm.NAME]s");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Fault;
    use super::*;

    #[test]
    fn steps_come_in_order_and_one_is_there_when_none_is_named() {
        let read = |text: &str| Settings::parse(text, Path::new("c.toml")).expect("good").alerts;
        assert_eq!(read(""), AlertSettings::default());
        assert_eq!(read("[alerts]\nescalation = []").escalation, []);
        let text = "[[alerts.escalation]]\nafter_s = 30\n[[alerts.escalation]]\nafter_s = 90\nseverity = \"critical\"\nto = [\"li\"]";
        let steps = read(text).escalation;
        assert_eq!(steps.iter().map(|step| step.after.as_secs()).collect::<Vec<_>>(), [30, 90]);
        assert_eq!((steps[0].severity, steps[1].severity), (None, Some(Severity::Critical)));
        assert_eq!(steps[1].to, ["li"]);
    }

    #[test]
    fn faults_are_named() {
        for (text, fault) in [
            ("", "alerts.escalation[1].after_s: found nothing, expected whole seconds from 1 to 43200"),
            ("after_s = 0", "alerts.escalation[1].after_s: found 0"),
            ("after_s = 9\nseverity = \"loud\"", "alerts.escalation[1].severity: found \"loud\""),
            ("after_s = 9\ncrm = [\"nobody\"]", "alerts.escalation.crm: found \"nobody\", expected the names of"),
            ("after_s = 9\n[[alerts.escalation]]\nafter_s = 9", "alerts.escalation[2].after_s: found 9, expected more"),
            ("after_s = 9\nafter = 9", "alerts.escalation[1].after"),
        ] {
            let faults =
                Settings::parse(&format!("[[alerts.escalation]]\n{text}"), Path::new("c.toml")).expect_err(text);
            let told: Vec<String> = faults.iter().map(Fault::to_string).collect();
            assert!(told.len() == 1 && told[0].starts_with(&format!("c.toml: {fault}")), "{told:?}");
        }
    }
}
