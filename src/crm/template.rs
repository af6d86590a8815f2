//! Bodies from templates: a JSON file whose texts have names in braces, in whose places stands what is known of the event.
//!
//! What is put in becomes part of a JSON text by the same writer as everything else, so that nothing in it can end the text.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::notice::{Notice, What};
use crate::web::{CallRecord, Moment, kind};

/// What can stand in braces.
pub const VARIABLES: [&str; 25] = [
    "anger",
    "by",
    "call",
    "channel",
    "complaint",
    "customer",
    "deed",
    "emotion",
    "entry",
    "event",
    "level",
    "priority",
    "reason",
    "repurchased",
    "resolved",
    "route",
    "rule",
    "satisfied",
    "scenario",
    "service",
    "severity",
    "target",
    "text",
    "time",
    "to",
];

/// A body with holes.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Value);

impl Template {
    /// Everything that is known, by its name.
    pub fn generic() -> Template {
        let named = |name: &&str| ((*name).to_owned(), Value::String(format!("{{{name}}}")));
        Template(Value::Object(VARIABLES.iter().map(named).collect()))
    }

    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Template, String> {
        let template: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut unknown = None;
        let mut look = |text: &str| {
            let found = routing::variables(text).find(|name| !VARIABLES.contains(name));
            unknown = unknown.take().or(found.map(|name| format!("the variable {{{name}}}")));
        };
        each_text(&template, &mut look);
        unknown.map_or(Ok(Template(template)), Err)
    }

    /// The body, with `facts` in the places of their names. A text that is nothing but one name becomes what stands for it,
    /// a number as a number; a name of which nothing is known becomes nothing.
    pub fn fill(&self, facts: &BTreeMap<&'static str, Value>) -> String {
        filled(&self.0, facts).to_string()
    }
}

fn each_text(value: &Value, look: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => look(text),
        Value::Array(values) => values.iter().for_each(|value| each_text(value, look)),
        Value::Object(values) => values.values().for_each(|value| each_text(value, look)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn filled(value: &Value, facts: &BTreeMap<&'static str, Value>) -> Value {
    match value {
        Value::String(text) => {
            let alone = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            if let Some(name) = alone.filter(|name| VARIABLES.contains(name)) {
                return facts.get(name).cloned().unwrap_or(Value::Null);
            }
            routing::fill(text, |name| match facts.get(name)? {
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            })
            .into()
        }
        Value::Array(values) => values.iter().map(|value| filled(value, facts)).collect(),
        Value::Object(values) => values.iter().map(|(key, value)| (key.clone(), filled(value, facts))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// What is known of an event and of its call: nothing that was said, and no address; `customer` is what stands for one.
pub fn facts_of(
    notice: &Notice,
    time: Moment,
    call: Option<&CallRecord>,
    customer: Option<String>,
) -> BTreeMap<&'static str, Value> {
    let mut facts =
        BTreeMap::from([("event", json!(kind(&notice.what))), ("time", json!(time)), ("call", json!(notice.call))]);
    if let Some(call) = call {
        facts.extend([
            ("route", json!(call.route)),
            ("scenario", json!(call.scenario)),
            ("channel", json!(call.came_by())),
            ("target", json!(call.target)),
        ]);
        if let Some(step) = &call.emotion {
            facts.extend([
                ("emotion", json!(step.emotion)),
                ("level", json!(step.level)),
                ("anger", thousandths(step.anger)),
            ]);
        }
        if let Some(served) = call.services.back().and_then(|switch| switch.after.as_ref()) {
            facts.extend([("service", json!(served.service)), ("priority", json!(served.priority))]);
        }
    }
    facts.extend(customer.map(|customer| ("customer", json!(customer))));
    facts.extend(of_what(&notice.what));
    if let What::AlertHandled(deed) = &notice.what
        && let Some(alert) = call.and_then(|call| call.alert(deed.alert_ms, &deed.rule))
    {
        facts.extend([("severity", json!(alert.severity)), ("text", json!(alert.text))]);
    }
    facts.retain(|_, value| !value.is_null());
    facts
}

fn of_what(what: &What) -> Vec<(&'static str, Value)> {
    match what {
        What::Alert { severity, text, rule, .. } => {
            vec![("severity", json!(severity)), ("text", json!(text)), ("rule", json!(rule))]
        }
        What::AlertEscalated(told) => vec![
            ("severity", json!(told.severity)),
            ("text", json!(told.text)),
            ("rule", json!(told.rule)),
            ("route", json!(told.route)),
        ],
        What::PriorityChanged(change) => vec![("priority", json!(change.queue_priority))],
        What::TicketAsked(asked) => vec![
            ("rule", json!(asked.rule)),
            ("emotion", json!(asked.emotion)),
            ("level", json!(asked.level)),
            ("anger", thousandths(asked.score)),
        ],
        What::Decided { rule, .. } | What::ServiceSwitched { rule, .. } => vec![("rule", json!(rule))],
        What::EscalationLikely { score, evidence } => {
            vec![("anger", thousandths(*score)), ("reason", json!(evidence.join(", ")))]
        }
        What::ComplianceBreached(breach) => vec![
            ("rule", json!(breach.rule)),
            ("reason", json!(breach.duty)),
            ("text", json!(breach.text)),
            ("target", json!(breach.target)),
        ],
        What::Rerouted { target, .. } | What::RerouteStarted { target, .. } => vec![("target", json!(target))],
        What::RerouteFailed { target, reason, .. } => vec![("target", json!(target)), ("reason", json!(reason))],
        What::AnswersSuggested(advice) => {
            let best = advice.answers.first();
            vec![("entry", json!(best.map(|best| &best.entry))), ("text", json!(best.map(|best| &best.answer)))]
        }
        What::OutcomeTold(outcome) => vec![
            ("complaint", json!(outcome.complaint)),
            ("satisfied", json!(outcome.satisfied)),
            ("repurchased", json!(outcome.repurchased)),
            ("resolved", json!(outcome.resolved)),
        ],
        What::AlertHandled(deed) => {
            vec![("rule", json!(deed.rule)), ("deed", json!(deed.deed)), ("by", json!(deed.by)), ("to", json!(deed.to))]
        }
        What::CallEnded { reason, peak_anger, peak_level, .. } => {
            vec![("reason", json!(reason)), ("anger", thousandths(*peak_anger)), ("level", json!(peak_level))]
        }
        _ => Vec::new(),
    }
}

/// A thousandth is finer than any of it is known.
fn thousandths(value: f32) -> Value {
    json!((f64::from(value) * 1_000.0).round() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_the_places_of_names_and_end_no_text() {
        let template = Template::parse(
            r#"{ "ticket": { "subject": "[{severity}] {text}", "score": "{anger}", "tags": ["calmline", "{scenario}"], "open": true } }"#,
        );
        let facts = BTreeMap::from([
            ("severity", json!("critical")),
            ("text", json!("\"}, {\"admin\": true, \"x\": \"{rule}\\")),
            ("anger", json!(0.875)),
        ]);
        let filled: Value =
            serde_json::from_str(&template.expect("good").fill(&facts)).expect("JSON, whatever is in it");
        assert_eq!(
            filled,
            json!({ "ticket": {
                "subject": "[critical] \"}, {\"admin\": true, \"x\": \"{rule}\\",
                "score": 0.875,
                "tags": ["calmline", null],
                "open": true,
            } })
        );
    }

    #[test]
    fn what_is_no_template_is_named() {
        for (text, why) in
            [("{", "EOF"), (r#"{ "a": ["{name}"] }"#, "the variable {name}"), (r#"{ "a": "x {} y" }"#, "{}")]
        {
            let found = Template::parse(text).expect_err(text);
            assert!(found.contains(why), "{found}");
        }
    }

    #[test]
    fn shipped_templates_are_good() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/crm");
        let mut files = 0;
        for entry in std::fs::read_dir(folder).expect("templates") {
            let file = entry.expect("a file").path();
            let text = std::fs::read_to_string(&file).expect("text");
            Template::parse(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
            files += 1;
        }
        assert_eq!(files, 3);
    }

    #[test]
    fn all_that_is_known_is_told_by_name_and_nothing_that_was_said() {
        let notices = crate::notice_samples::one_of_each();
        let mut board = crate::web::Board::default();
        let mut told = String::new();
        for notice in &notices {
            board.apply(notice, 1_700_000_000_000);
            let facts = facts_of(notice, Moment(1_700_000_000_000), board.call(&notice.call), Some("person:1".into()));
            assert!(facts.keys().all(|name| VARIABLES.contains(name)), "{facts:?}");
            told += &Template::generic().fill(&facts);
        }
        for expected in ["\"scenario\":\"after-sales\"", "\"satisfied\":2", "\"deed\":\"assigned\"", "\"to\":\"wang\""]
        {
            assert!(told.contains(expected), "{expected}: {told}");
        }
        for secret in ["13800138000", "我要投诉", "Li"] {
            assert!(!told.contains(secret), "{secret} is told");
        }
    }
}
