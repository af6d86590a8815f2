//! `calmline policy explain`: what was decided about a call, when, and why.

use serde_json::Value;

use super::read::events_of;
use crate::api;
use crate::cli::{Failure, PolicyExplainArgs, print_line};
use crate::notice::{Notice, ServedAs, What};

/// Runs `calmline policy explain`.
pub(super) fn run(args: &PolicyExplainArgs) -> Result<(), Failure> {
    let events = match &args.from {
        Some(file) => events_of(file, &args.call)?,
        None => {
            let record = api::get(&args.server, &format!("/v1/calls/{}", args.call))?;
            record["events"].as_array().cloned().unwrap_or_default()
        }
    };
    if events.is_empty() {
        return Err(Failure::Failed(format!("{}: expected a call with events, found none", args.call)));
    }
    let told: Vec<String> = events.iter().filter_map(line).collect();
    told.iter().try_for_each(print_line)?;
    if !events.iter().any(|event| event["type"] == "decided") {
        print_line("no rule fired")?;
    }
    Ok(())
}

/// One event in words; `None` for those that have nothing to do with policies.
pub(super) fn line(event: &Value) -> Option<String> {
    let Notice { call_ms, what, .. } = serde_json::from_value(event.clone()).ok()?;
    let words = match what {
        What::CallStarted { scenario, route, .. } => format!("route {route}, scenario {scenario}"),
        What::CallAnswered { target, .. } => format!("answered by {target}; rules apply from here on"),
        What::EscalationLikely { score, evidence } => {
            format!("likely to escalate ({:.0} %): {}", score * 100.0, evidence.join(", "))
        }
        What::ComplianceBreached(breach) => format!("{} {} is broken: {}", breach.duty, breach.rule, breach.text),
        What::Consent { state, by } => format!("consent is {state}, by {by}"),
        What::FactsTold { known, forgotten, .. } => {
            format!("told: {}; taken back: {}", listed(&known), listed(&forgotten))
        }
        What::ServiceSwitched { before, after, .. } => {
            format!("served {}, before {}", served(after.as_ref()), served(before.as_ref()))
        }
        What::RerouteFailed { via, target, reason } => format!("moving to {target} by {via} failed: {reason}"),
        What::Rerouted { via, target, .. } => {
            format!("moved to {target} by {via}; no rule moves the call from here on")
        }
        What::CallEnded { reason, .. } => format!("ended: {reason}"),
        decided @ What::Decided { .. } => because(decided),
        _ => return None,
    };
    Some(format!("{:>8.1} s  {words}", call_ms as f64 / 1_000.0))
}

/// A decision, with what made its rule apply.
fn because(decided: What) -> String {
    let What::Decided {
        rule,
        policy,
        emotion,
        level,
        score,
        lasted_ms,
        failure,
        keys,
        interruptions,
        said,
        facts,
        group,
        actions,
    } = decided
    else {
        return String::new();
    };
    let mut reasons = vec![format!("{emotion} {level} ({score:.2}) for {:.1} s", lasted_ms as f64 / 1_000.0)];
    reasons.extend(failure.map(|failure| format!("failed: {failure}")));
    reasons.extend(keys.map(|keys| format!("keys {keys}")));
    reasons.extend(interruptions.map(|times| format!("{times} interruptions")));
    reasons.extend(said.map(|said| format!("said {said}")));
    reasons.extend(facts);
    reasons.extend(group.map(|group| format!("group {group}")));
    format!("{policy} {rule} because {} -> {}", reasons.join("; "), actions.join(", "))
}

fn served(by: Option<&ServedAs>) -> String {
    let Some(ServedAs { service, served_by, priority, .. }) = by else { return "as usual".to_owned() };
    format!("as {service} (by {served_by}, priority {priority})")
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
