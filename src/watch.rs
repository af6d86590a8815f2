//! `calmline calls`, `calmline alerts`, `calmline tail` and `calmline capture`: what a running server tells, as tables for
//! people, as JSON for programs, and as packets for Wireshark.

mod capture;
mod table;
mod tail;

use reqwest::Method;
use serde_json::{Value, json};

use crate::api;
use crate::cli::{
    AlertArgs, AlertAssignArgs, AlertDeedCommand, AlertSnoozeArgs, AlertsArgs, AlertsListArgs, CallsArgs, CallsState,
    Failure, print_line,
};
use crate::hexadecimal::escaped;
pub(crate) use capture::run as capture;
use table::Table;
pub(crate) use tail::run as tail;

/// Runs `calmline calls`.
///
/// # Errors
/// When the server cannot be asked.
pub(crate) fn calls(args: &CallsArgs) -> Result<(), Failure> {
    let state = match args.state {
        CallsState::Active => Some("active"),
        CallsState::Ended => Some("ended"),
        CallsState::All => None,
    };
    let limit = args.limit.to_string();
    let query = [("limit", Some(limit.as_str())), ("state", state), ("before", args.before.as_deref())];
    let told = api::get(&args.server, &api::with_query("/v1/calls", &query))?;
    let calls = list_of(&told, "calls");
    if args.json {
        return calls.iter().try_for_each(print_line);
    }
    let mut table = Table::new(["CALL", "STATE", "ANGER", "STARTED", "ROUTE", "TARGET", "ALERTS", "FROM"]);
    for call in calls {
        let step = if call["emotion"].is_null() { &call["peak"] } else { &call["emotion"] };
        let anger = match step["anger"].as_f64() {
            Some(anger) => format!("{} {anger:.2}", text(&step["level"])),
            None => "-".to_owned(),
        };
        table.row([
            text(&call["id"]),
            text(&call["state"]),
            anger,
            text(&call["started"]),
            text(&call["route"]),
            text(&call["target"]),
            text(&call["alerts"]),
            text(&call["from"]),
        ]);
    }
    table.print()
}

/// Runs `calmline alerts`.
///
/// # Errors
/// When the server cannot be asked, or does not do it.
pub(crate) fn alerts(args: &AlertsArgs) -> Result<(), Failure> {
    match &args.deed {
        None => list_alerts(&args.list),
        Some(AlertDeedCommand::Acknowledge(alert)) => handle(alert, json!({ "deed": "acknowledge" })),
        Some(AlertDeedCommand::End(alert)) => handle(alert, json!({ "deed": "end" })),
        Some(AlertDeedCommand::Assign(AlertAssignArgs { to, alert })) => {
            handle(alert, json!({ "deed": "assign", "to": to }))
        }
        Some(AlertDeedCommand::Snooze(AlertSnoozeArgs { seconds, alert })) => {
            handle(alert, json!({ "deed": "snooze", "snooze_s": seconds }))
        }
    }
}

fn list_alerts(args: &AlertsListArgs) -> Result<(), Failure> {
    let limit = args.limit.to_string();
    let query = [("limit", Some(limit.as_str())), ("state", Some(if args.all { "all" } else { "open" }))];
    let told = api::get(&args.server, &api::with_query("/v1/alerts", &query))?;
    let alerts = list_of(&told, "alerts");
    if args.json {
        return alerts.iter().try_for_each(print_line);
    }
    let mut table = Table::new(["ALERT", "SEVERITY", "RAISED", "ROUTE", "STATE", "TEXT"]);
    for alert in alerts {
        let name = format!("{}/{}/{}", text(&alert["call"]), alert["call_ms"], text(&alert["rule"]));
        let severity = if alert["escalated"].is_null() { &alert["severity"] } else { &alert["escalated"]["severity"] };
        table.row([
            name,
            text(severity),
            text(&alert["raised"]),
            text(&alert["route"]),
            state_of(alert),
            text(&alert["text"]),
        ]);
    }
    table.print()
}

/// What has become of an alert so far.
fn state_of(alert: &Value) -> String {
    let handled = &alert["handled"];
    if let Some(deed) = handled["deed"].as_str() {
        let who = handled["to"].as_str().or(handled["by"].as_str()).unwrap_or_default();
        return format!("{deed} ({who})");
    }
    match alert["escalated"]["waited_s"].as_u64() {
        Some(waited_s) => format!("nobody for {waited_s} s"),
        None => "open".to_owned(),
    }
}

/// Has something done about an alert.
fn handle(AlertArgs { alert, server }: &AlertArgs, mut body: Value) -> Result<(), Failure> {
    let (call, alert_ms, rule) = named(alert).ok_or_else(|| {
        Failure::Failed(format!("found {alert:?}, expected CALL/MILLISECONDS/RULE as `calmline alerts` lists it"))
    })?;
    body["alert_ms"] = alert_ms.into();
    body["rule"] = rule.into();
    let path = format!("/v1/calls/{}/alerts", escaped(call));
    api::ask(server, Method::POST, &path, Some(&body))?;
    print_line(format_args!("{alert}: {}", body["deed"].as_str().unwrap_or_default()))
}

/// The parts of an alert's name.
fn named(alert: &str) -> Option<(&str, u64, &str)> {
    let (call, rest) = alert.split_once('/')?;
    let (milliseconds, rule) = rest.split_once('/')?;
    (!call.is_empty() && !rule.is_empty()).then_some((call, milliseconds.parse().ok()?, rule))
}

fn list_of<'a>(told: &'a Value, key: &str) -> &'a [Value] {
    told[key].as_array().map_or(&[], Vec::as_slice)
}

/// A value as a cell of a table.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_named_as_they_are_listed() {
        assert_eq!(named("call-1/14000/angry"), Some(("call-1", 14_000, "angry")));
        for wrong in ["", "call-1", "call-1/14000", "call-1/x/angry", "/1/angry", "call-1/1/"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_became_of_an_alert_is_said_in_words() {
        for (alert, expected) in [
            (json!({}), "open"),
            (json!({ "escalated": { "waited_s": 60 } }), "nobody for 60 s"),
            (json!({ "handled": { "deed": "acknowledged", "by": "li" } }), "acknowledged (li)"),
            (json!({ "handled": { "deed": "assigned", "by": "li", "to": "wang" } }), "assigned (wang)"),
        ] {
            assert_eq!(state_of(&alert), expected);
        }
    }
}
