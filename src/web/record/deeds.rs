//! What was played in a call, where its caller was moved, and which compliance rules were broken.

use serde::Serialize;
use utoipa::ToSchema;

use super::{CallRecord, DEEDS_MAX, push};
use crate::notice::{Breach, CALLER_REPLACED, HANDED_OVER, Notice, What};

/// How far a prompt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptOutcome {
    /// It plays.
    Playing,
    /// It was heard to its end.
    Completed,
    /// It was cut short.
    Cut,
    /// It could not be played.
    Failed,
}

/// One prompt.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Prompt {
    /// Milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// Its number; orders about it name it.
    pub prompt: u32,
    /// The file.
    pub file: String,
    /// Who hears it: `caller` or `callee`.
    pub party: String,
    /// From decision to first packet, milliseconds.
    #[schema(required)]
    pub reaction_ms: Option<u64>,
    /// How far it came.
    pub outcome: PromptOutcome,
    /// Why it could not be played.
    #[schema(required)]
    pub reason: Option<String>,
}

/// What became of a re-route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RerouteOutcome {
    /// The target is being called.
    Trying,
    /// The caller is with the target.
    Done,
    /// The caller stayed.
    Failed,
}

/// One re-route.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Reroute {
    /// Milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// The way, as in notices.
    pub via: String,
    /// Name of the target.
    pub target: String,
    /// What became of it.
    pub outcome: RerouteOutcome,
    /// From decision to the target's answer, milliseconds.
    #[schema(required)]
    pub answer_ms: Option<u64>,
    /// From the target's answer to its first packet towards the caller, milliseconds.
    #[schema(required)]
    pub gap_ms: Option<u64>,
    /// Why it failed.
    #[schema(required)]
    pub reason: Option<String>,
}

impl Reroute {
    /// Whether it is about moving the caller to somebody else, who serves from then on.
    pub fn moves_caller(&self) -> bool {
        !matches!(self.via.as_str(), CALLER_REPLACED | HANDED_OVER)
    }
}

/// A compliance rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Breached {
    /// Milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// Which, and how.
    #[serde(flatten)]
    pub breach: Breach,
}

impl CallRecord {
    pub(super) fn apply_prompt(&mut self, notice: &Notice) {
        let call_ms = notice.call_ms;
        let prompt = match &notice.what {
            What::PromptStarted { file, party, prompt, reaction_ms } => Prompt {
                call_ms,
                prompt: *prompt,
                file: file.clone(),
                party: party.clone(),
                reaction_ms: Some(*reaction_ms),
                outcome: PromptOutcome::Playing,
                reason: None,
            },
            What::PromptFailed { file, party, prompt, reason } => Prompt {
                call_ms,
                prompt: *prompt,
                file: file.clone(),
                party: party.clone(),
                reaction_ms: None,
                outcome: PromptOutcome::Failed,
                reason: Some(reason.clone()),
            },
            What::PromptEnded { prompt, completed, .. } => {
                if let Some(prompt) = self.prompts.iter_mut().rev().find(|each| each.prompt == *prompt) {
                    prompt.outcome = if *completed { PromptOutcome::Completed } else { PromptOutcome::Cut };
                }
                return;
            }
            _ => return,
        };
        push(&mut self.prompts, prompt, DEEDS_MAX);
    }

    pub(super) fn apply_reroute(&mut self, notice: &Notice) {
        match &notice.what {
            What::RerouteStarted { via, target } => {
                self.reroute(notice.call_ms, via, target);
            }
            What::Rerouted { via, target, answer_ms, gap_ms } => {
                let reroute = self.reroute(notice.call_ms, via, target);
                reroute.outcome = RerouteOutcome::Done;
                reroute.answer_ms = Some(*answer_ms);
                reroute.gap_ms = *gap_ms;
                if via != CALLER_REPLACED {
                    self.target = Some(target.clone());
                }
            }
            What::RerouteFailed { via, target, reason } => {
                let reroute = self.reroute(notice.call_ms, via, target);
                reroute.outcome = RerouteOutcome::Failed;
                reroute.reason = Some(reason.clone());
            }
            _ => {}
        }
    }

    /// The open re-route to `target`, or a new one.
    fn reroute(&mut self, call_ms: u64, via: &str, target: &str) -> &mut Reroute {
        let open = self.reroutes.iter().rposition(|reroute| {
            reroute.outcome == RerouteOutcome::Trying && reroute.via == via && reroute.target == target
        });
        let index = open.unwrap_or_else(|| {
            let reroute = Reroute {
                call_ms,
                via: via.to_owned(),
                target: target.to_owned(),
                outcome: RerouteOutcome::Trying,
                answer_ms: None,
                gap_ms: None,
                reason: None,
            };
            push(&mut self.reroutes, reroute, DEEDS_MAX);
            self.reroutes.len() - 1
        });
        &mut self.reroutes[index]
    }
}
