//! Who was present besides the two parties of a call: supervisors by phone, and clients of its live audio.

use serde::Serialize;
use utoipa::ToSchema;

use super::{CallRecord, DEEDS_MAX, push};
use crate::notice::{Notice, What};
use crate::pii::Pii;

/// Where a supervisor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SupervisorState {
    /// Its phone is being called.
    Calling,
    /// It hears the call.
    Joined,
    /// It took part and does so no longer.
    Left,
    /// It has not come.
    Failed,
}

/// One supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Supervisor {
    /// Its number in the call; orders about it name it.
    pub supervisor: u32,
    /// When it was called, milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// Name of the target, or the SIP URI.
    pub target: Pii<String>,
    /// `listen`, `whisper` or `barge`.
    pub mode: String,
    /// Who alone hears a whisper: `caller` or `callee`.
    #[schema(required)]
    pub party: Option<String>,
    /// Whom it hears: `both`, `caller` or `callee`.
    pub hears: String,
    /// Where it stands.
    pub state: SupervisorState,
    /// From order to answer, milliseconds.
    #[schema(required)]
    pub answer_ms: Option<u64>,
    /// Why it has left, or has not come.
    #[schema(required)]
    pub reason: Option<String>,
}

/// One who has, or had, a live copy of the audio.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AudioClient {
    /// Its number in the call.
    pub client: u32,
    /// When it came, milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// `stereo` or `mixed`.
    pub layout: String,
    /// What it was too slow for, milliseconds.
    pub missed_ms: u64,
    /// How long it was there, milliseconds; nothing while it is.
    #[schema(required)]
    pub lasted_ms: Option<u64>,
}

impl CallRecord {
    /// The numbers of the supervisors who take part now.
    pub(super) fn present(&self) -> impl Iterator<Item = u32> {
        let joined = self.supervisors.iter().filter(|each| each.state == SupervisorState::Joined);
        joined.filter(|_| self.ended.is_none()).map(|each| each.supervisor)
    }

    pub(super) fn apply_supervisor(&mut self, notice: &Notice) {
        if let What::SupervisorCalled { supervisor, target, mode, party, hears } = &notice.what {
            let called = Supervisor {
                supervisor: *supervisor,
                call_ms: notice.call_ms,
                target: target.clone(),
                mode: mode.clone(),
                party: party.clone(),
                hears: hears.clone(),
                state: SupervisorState::Calling,
                answer_ms: None,
                reason: None,
            };
            return push(&mut self.supervisors, called, DEEDS_MAX);
        }
        match &notice.what {
            What::SupervisorJoined { supervisor, answer_ms } => {
                if let Some(joined) = self.supervisor(*supervisor) {
                    (joined.state, joined.answer_ms) = (SupervisorState::Joined, Some(*answer_ms));
                }
            }
            What::SupervisorChanged { supervisor, mode, party, hears } => {
                if let Some(changed) = self.supervisor(*supervisor) {
                    (changed.mode, changed.party) = (mode.clone(), party.clone());
                    changed.hears.clone_from(hears);
                }
            }
            What::SupervisorLeft { supervisor, reason } => {
                if let Some(left) = self.supervisor(*supervisor) {
                    (left.state, left.reason) = (SupervisorState::Left, Some(reason.clone()));
                }
            }
            What::SupervisorFailed { supervisor, reason } => {
                if let Some(failed) = self.supervisor(*supervisor) {
                    (failed.state, failed.reason) = (SupervisorState::Failed, Some(reason.clone()));
                }
            }
            _ => {}
        }
    }

    pub(super) fn apply_audio(&mut self, notice: &Notice) {
        let call_ms = notice.call_ms;
        match &notice.what {
            What::AudioOpened { client, layout } => {
                let (client, layout) = (*client, layout.clone());
                let opened = AudioClient { client, call_ms, layout, missed_ms: 0, lasted_ms: None };
                push(&mut self.audio, opened, DEEDS_MAX);
            }
            What::AudioMissed { client, missed_ms } => {
                if let Some(client) = self.audio_client(*client) {
                    client.missed_ms += missed_ms;
                }
            }
            What::AudioClosed { client, lasted_ms } => {
                if let Some(client) = self.audio_client(*client) {
                    client.lasted_ms = Some(*lasted_ms);
                }
            }
            _ => {}
        }
    }

    fn supervisor(&mut self, number: u32) -> Option<&mut Supervisor> {
        self.supervisors.iter_mut().rev().find(|each| each.supervisor == number)
    }

    fn audio_client(&mut self, number: u32) -> Option<&mut AudioClient> {
        self.audio.iter_mut().rev().find(|each| each.client == number)
    }
}
