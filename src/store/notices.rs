//! What of a notice is kept, and what of it is audited.

use super::AuditEntry;
use super::slots::Class;
use crate::notice::{Notice, What};
use crate::web::kind;

/// Whether a notice has to be on the disk before anybody acts on it.
pub(super) fn is_decisive(what: &What) -> bool {
    matches!(what, What::Decided { .. } | What::ServiceSwitched { .. } | What::Alert { .. })
}

/// Whether a notice stays with its call. What callers type is kept nowhere, and what is said only once it is whole.
pub(super) fn is_kept(what: &What) -> bool {
    !matches!(what, What::KeyPressed { .. } | What::Said { is_final: false, .. })
}

/// With what a notice is forgotten.
pub(super) fn class_of(what: &What) -> Class {
    match what {
        _ if what.has_words() => Class::Words,
        What::Observed { .. } => Class::Timeline,
        _ => Class::Record,
    }
}

/// The audit entry of a notice, when it tells of a deed.
pub fn entry_of(notice: &Notice) -> Option<AuditEntry> {
    let who = match &notice.what {
        What::Consent { by, .. } if by == "operator" => "operator",
        What::FactsTold { by: Some(_), .. } => "server",
        What::Decided { .. }
        | What::ServiceSwitched { .. }
        | What::EscalationLikely { .. }
        | What::Alert { .. }
        | What::PromptStarted { .. }
        | What::PromptFailed { .. }
        | What::ReplySuggested { .. }
        | What::NotPossible { .. }
        | What::TicketAsked(_)
        | What::RerouteStarted { .. }
        | What::Rerouted { .. }
        | What::RerouteFailed { .. }
        | What::PbxDone { .. }
        | What::PbxFailed { .. } => "policy",
        What::SupervisorCalled { .. }
        | What::SupervisorJoined { .. }
        | What::SupervisorChanged { .. }
        | What::SupervisorLeft { .. }
        | What::SupervisorFailed { .. }
        | What::AudioOpened { .. }
        | What::AudioClosed { .. }
        | What::FactsTold { .. }
        | What::OutcomeTold(_) => "operator",
        What::AlertHandled(deed) => &deed.by,
        What::PriorityChanged(change) => &change.by,
        What::Consent { .. }
        | What::SecureInput { .. }
        | What::Bypassed { .. }
        | What::BypassFailed { .. }
        | What::BypassEnded { .. }
        | What::LoadChanged { .. }
        | What::ComplianceBreached(_)
        | What::ScenarioTurned(_)
        | What::GroupTurned(_)
        | What::AlertEscalated(_) => "server",
        What::CallStarted { .. }
        | What::CallRefused { .. }
        | What::CallForked { .. }
        | What::ForkPaused { .. }
        | What::ChatOpened { .. }
        | What::MessageDropped { .. }
        | What::CallRedirected { .. }
        | What::CallAnswered { .. }
        | What::Observed { .. }
        | What::Said { .. }
        | What::LanguageFound(_)
        | What::AnswersSuggested(_)
        | What::Interrupted { .. }
        | What::Conversation { .. }
        | What::KeyPressed { .. }
        | What::HandshakeDone { .. }
        | What::HandshakeFailed { .. }
        | What::CodecAsked { .. }
        | What::PromptEnded { .. }
        | What::LegEnded(_)
        | What::AudioMissed { .. }
        | What::CallEnded { .. } => return None,
    };
    let what = audited(notice);
    Some(AuditEntry { kind: kind(&notice.what).to_owned(), who: who.to_owned(), call: notice.call.clone(), what })
}

/// What the trail, which is kept for good, has of a notice.
fn audited(notice: &Notice) -> serde_json::Value {
    let mut what = serde_json::to_value(notice).expect("notices hold only strings and numbers");
    // Which facts of a customer or an order spoke for it, not what they are.
    for fact in what.get_mut("facts").and_then(serde_json::Value::as_array_mut).into_iter().flatten() {
        let name = fact.as_str().and_then(|fact| fact.split(" = ").next()).unwrap_or_default();
        *fact = name.into();
    }
    // Which reply, not its words: details of the customer are filled in.
    if let (What::ReplySuggested { .. }, Some(told)) = (&notice.what, what.as_object_mut()) {
        told.remove("text");
    }
    what
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice_samples::one_of_each;

    #[test]
    fn what_callers_type_is_neither_kept_nor_audited() {
        let typed: Vec<Notice> =
            one_of_each().into_iter().filter(|notice| matches!(notice.what, What::KeyPressed { .. })).collect();
        assert!(!typed.is_empty());
        for notice in typed {
            assert!(!is_kept(&notice.what) && entry_of(&notice).is_none(), "{notice:?}");
        }
    }

    #[test]
    fn consent_is_audited_with_who_said_so() {
        let of = |by: &str| {
            let what = What::Consent { state: "given".to_owned(), by: by.to_owned() };
            entry_of(&Notice { call: "call-1".to_owned(), call_ms: 1, what }).map(|entry| (entry.kind, entry.who))
        };
        let entry = |who: &str| Some(("consent".to_owned(), who.to_owned()));
        assert_eq!((of("key"), of("operator")), (entry("server"), entry("operator")));
    }

    #[test]
    fn facts_of_customers_are_audited_by_name() {
        let entries: Vec<String> =
            one_of_each().iter().filter_map(entry_of).map(|entry| entry.what.to_string()).collect();
        assert!(entries.iter().any(|entry| entry.contains("order.state")));
        assert!(entries.iter().all(|entry| !entry.contains("delayed")), "{entries:?}");
    }

    #[test]
    fn replies_are_audited_by_script_and_without_their_words() {
        let reply = one_of_each().into_iter().find(|notice| matches!(notice.what, What::ReplySuggested { .. }));
        let entry = reply.as_ref().and_then(entry_of).expect("it is audited");
        assert_eq!((&entry.what["rule"], &entry.what["script"]), (&"sorry-first".into(), &"sorry".into()));
        assert!(entry.what.get("text").is_none(), "{entry:?}");
    }

    #[test]
    fn every_decision_is_audited_before_it_is_acted_on() {
        let decisive: Vec<Notice> = one_of_each().into_iter().filter(|notice| is_decisive(&notice.what)).collect();
        let kinds: Vec<String> = decisive.iter().filter_map(entry_of).map(|entry| entry.kind).collect();
        assert_eq!(kinds, ["decided", "alert", "service_switched"]);
    }
}
