//! One call as the API shows it.
//!
//! Lists are bounded; beyond their limits the oldest entries are dropped.

mod afterwards;
mod decided;
mod deeds;
mod gist;
mod handled;
mod present;
mod summary;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::afterwards::{Late, OUTCOMES_MAX, Reply};
pub use self::decided::{Because, Decision, ServiceSwitch};
pub use self::deeds::{Breached, Prompt, PromptOutcome, Reroute, RerouteOutcome};
pub use self::gist::Gist;
pub use self::handled::{Escalated, Handled};
pub use self::present::{AudioClient, Supervisor, SupervisorState};
pub use self::summary::Summary;
use super::moment::Moment;
use crate::notice::{ForkedParty, LegReport, Notice, Outcome, PhraseHeard, Tags, TurnTaking, What, WordsRead};
use crate::pii::Pii;

/// Events kept per call (all but `observed`, which stand in the timeline).
pub const EVENTS_MAX: usize = 500;
/// Timeline steps kept per call: ten minutes of two steps per second.
pub const TIMELINE_MAX: usize = 1_200;
/// Decisions, prompts, re-routes, alerts, breaches and legs kept per call, each.
const DEEDS_MAX: usize = 100;
/// Phrases kept per call.
const PHRASES_MAX: usize = 300;
/// Suggestions among the events kept per call: they are long, and come as often as the customer speaks.
const SUGGESTIONS_MAX: usize = 10;

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CallState)]
pub enum State {
    /// INVITE accepted, nobody has answered yet.
    Ringing,
    /// Both sides are connected.
    Answered,
    /// Over.
    Ended,
}

/// One call.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CallHead)]
pub struct CallRecord {
    /// The call's id, as in notices.
    pub id: String,
    /// The node whose call it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub node: Option<String>,
    /// Where it stands.
    pub state: State,
    /// From header's value.
    pub from: Pii<String>,
    /// To header's value.
    pub to: Pii<String>,
    /// Name of the route.
    pub route: String,
    /// Scenario of the route.
    pub scenario: String,
    /// What its route says of its data.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    #[schema(nullable = false)]
    pub tags: Tags,
    /// By what the customer writes, when it is a chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub channel: Option<String>,
    /// What it is when it is forked to us; absent when we are in its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub fork: Option<Fork>,
    /// When the INVITE arrived.
    pub started: Moment,
    /// When both sides were connected.
    #[schema(required)]
    pub answered: Option<Moment>,
    /// When it was over.
    #[schema(required)]
    pub ended: Option<Moment>,
    /// From INVITE in to 200 out, milliseconds.
    #[schema(required)]
    pub setup_ms: Option<u64>,
    /// From answer to end, milliseconds.
    #[schema(required)]
    pub talk_ms: Option<u64>,
    /// Why it ended.
    #[schema(required)]
    pub end_reason: Option<String>,
    /// Name of the target the caller talks to.
    #[schema(required)]
    pub target: Option<String>,
    /// Its groups in comparisons of policies, e.g. `wording: control`; known once it is answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The caller's place in queues, where somebody has said one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub queue_priority: Option<u32>,
    /// The latest step of the caller's timeline.
    #[schema(required)]
    pub emotion: Option<Step>,
    /// The caller's worst moment.
    #[schema(required)]
    pub peak: Option<Peak>,
    /// What the policy decided.
    #[schema(value_type = Vec<Decision>)]
    pub decisions: VecDeque<Decision>,
    /// How the caller's mood has changed the way the caller is served.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    #[schema(value_type = Vec<ServiceSwitch>)]
    pub services: VecDeque<ServiceSwitch>,
    /// What was played.
    #[schema(value_type = Vec<Prompt>)]
    pub prompts: VecDeque<Prompt>,
    /// Where the caller was moved, or was to be.
    #[schema(value_type = Vec<Reroute>)]
    pub reroutes: VecDeque<Reroute>,
    /// What supervisors were told.
    #[schema(value_type = Vec<Alert>)]
    pub alerts: VecDeque<Alert>,
    /// Compliance rules that whoever serves has broken.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    #[schema(value_type = Vec<Breached>)]
    pub breaches: VecDeque<Breached>,
    /// What whoever serves was to write.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    #[schema(value_type = Vec<Reply>)]
    pub replies: VecDeque<Reply>,
    /// What has come of it, as other systems say, in the order in which they did.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    #[schema(value_type = Vec<Outcome>)]
    pub outcomes: VecDeque<Outcome>,
    /// How the caller and each callee took turns, in the order in which they parted.
    #[schema(value_type = Vec<Conversation>)]
    pub conversations: VecDeque<Conversation>,
    /// Phrases of the lists that were said, in order; other words stand in the events alone, where dictation is taken.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    #[schema(value_type = Vec<Phrase>)]
    pub phrases: VecDeque<Phrase>,
    /// Who listened to the call by phone, or spoke into it, or was called to.
    #[schema(value_type = Vec<Supervisor>)]
    pub supervisors: VecDeque<Supervisor>,
    /// Who had a live copy of the audio.
    #[schema(value_type = Vec<AudioClient>)]
    pub audio: VecDeque<AudioClient>,
    /// What each leg carried and how it sounded, in the order in which they ended.
    #[schema(value_type = Vec<LegReport>)]
    pub legs: VecDeque<LegReport>,
    /// How it stands with the caller's consent to words being kept: `given`, `refused` or `open`; absent where nobody asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub consent: Option<String>,
    /// Whether its audio goes past us, from one side to the other.
    pub bypassed: bool,
    /// RTP packets lost on the way to us, both legs; known at the end.
    #[schema(required)]
    pub packets_lost: Option<u64>,
    /// The emotion timeline of both parties, oldest first.
    #[serde(skip)]
    #[schema(value_type = Vec<Step>)]
    pub timeline: VecDeque<Step>,
    /// The words that each party's timeline tells last.
    #[serde(skip)]
    words: BTreeMap<String, WordsRead>,
    /// What lasts longer than the lists that it stands in.
    #[serde(skip)]
    pub gist: Gist,
    /// All other notices, oldest first.
    #[serde(skip)]
    #[schema(value_type = Vec<TimedNotice>)]
    pub events: VecDeque<TimedNotice>,
}

/// A call that is forked to us.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Fork {
    /// `siprec`, `audiosocket`, `freeswitch`, `asterisk`, `twilio`, `rtp`.
    pub source: String,
    /// How its sender names the call.
    #[schema(required)]
    pub pbx_call: Option<String>,
    /// How the sides were told: `agents`, `metadata`, `order`.
    #[schema(required)]
    pub told_by: Option<String>,
    /// Who takes part, as said last.
    pub parties: Vec<ForkedParty>,
    /// What else was said.
    pub details: Pii<BTreeMap<String, String>>,
    /// Whether all its streams are switched off.
    pub paused: bool,
}

/// One step of the emotion timeline.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Step {
    /// Milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// `caller` or `callee`.
    pub party: String,
    /// The leading emotion.
    pub emotion: String,
    /// Level of anger.
    pub level: String,
    /// Smoothed probability of anger, 0-1.
    pub anger: f32,
    /// Change of `anger` per second.
    pub trend_per_s: f32,
    /// Median F0, Hz; 0 when unvoiced.
    pub pitch_hz: f32,
    /// Speech level, dBov.
    pub level_dbov: f32,
    /// What the party's last words say, while they count; in the timeline at the step that they came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub words: Option<WordsRead>,
}

/// The worst moment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Peak {
    /// Milliseconds since the INVITE arrived; absent when only the end of the call told it.
    #[schema(required)]
    pub call_ms: Option<u64>,
    /// Highest anger, 0-1.
    pub anger: f32,
    /// Highest level.
    pub level: String,
}

/// How the caller and one callee took turns.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Conversation {
    /// Milliseconds since the INVITE arrived, when it was over.
    pub call_ms: u64,
    /// Name of the callee's target.
    pub target: String,
    /// The caller's part.
    pub caller: TurnTaking,
    /// The callee's part.
    pub callee: TurnTaking,
}

/// A phrase that was said.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Phrase {
    /// Milliseconds since the INVITE arrived, when it was understood.
    pub call_ms: u64,
    /// `caller` or `callee`.
    pub party: String,
    /// What was said.
    #[serde(flatten)]
    pub phrase: PhraseHeard,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Alert {
    /// Milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// `info`, `warning`, `critical`.
    pub severity: String,
    /// What to say.
    pub text: String,
    /// Rule id.
    pub rule: String,
    /// What was done about it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub handled: Option<Handled>,
    /// How it became more urgent last, when nobody reacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub escalated: Option<Escalated>,
}

/// A notice with its moment.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = CallEvent)]
pub struct TimedNotice {
    /// When it was made.
    pub time: Moment,
    /// What was said.
    #[serde(flatten)]
    pub notice: Notice,
}

impl std::fmt::Debug for TimedNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "notice at {} ms", self.notice.call_ms)
    }
}

impl CallRecord {
    /// A call that has just arrived.
    pub fn new(id: &str, from: &Pii<String>, to: &Pii<String>, route: &str, scenario: &str, now: Moment) -> Self {
        Self {
            id: id.to_owned(),
            node: None,
            state: State::Ringing,
            from: from.clone(),
            to: to.clone(),
            route: route.to_owned(),
            scenario: scenario.to_owned(),
            tags: Tags::default(),
            channel: None,
            queue_priority: None,
            fork: None,
            started: now,
            answered: None,
            ended: None,
            setup_ms: None,
            talk_ms: None,
            end_reason: None,
            target: None,
            groups: Vec::new(),
            emotion: None,
            peak: None,
            decisions: VecDeque::new(),
            services: VecDeque::new(),
            prompts: VecDeque::new(),
            reroutes: VecDeque::new(),
            alerts: VecDeque::new(),
            breaches: VecDeque::new(),
            replies: VecDeque::new(),
            outcomes: VecDeque::new(),
            conversations: VecDeque::new(),
            phrases: VecDeque::new(),
            supervisors: VecDeque::new(),
            audio: VecDeque::new(),
            legs: VecDeque::new(),
            bypassed: false,
            consent: None,
            packets_lost: None,
            timeline: VecDeque::new(),
            words: BTreeMap::new(),
            gist: Gist::default(),
            events: VecDeque::new(),
        }
    }

    /// Takes up one notice of this call.
    pub fn apply(&mut self, notice: &Notice, now: Moment) {
        let call_ms = notice.call_ms;
        self.gist.take(notice);
        match &notice.what {
            What::Observed { .. } => {
                self.apply_step(notice);
                return;
            }
            // What callers type is shown while it happens, and kept nowhere.
            What::KeyPressed { .. } => return,
            What::CallStarted { tags, .. } => self.tags = tags.clone(),
            What::CallRefused { .. }
            | What::CallRedirected { .. }
            | What::LoadChanged { .. }
            | What::PbxDone { .. }
            | What::PbxFailed { .. }
            | What::SecureInput { .. }
            | What::HandshakeDone { .. }
            | What::HandshakeFailed { .. }
            | What::CodecAsked { .. }
            | What::BypassFailed { .. }
            | What::FactsTold { .. }
            | What::MessageDropped { .. }
            | What::NotPossible { .. }
            | What::TicketAsked(_)
            | What::ScenarioTurned(_)
            | What::GroupTurned(_)
            | What::EscalationLikely { .. }
            | What::Said { is_final: false, .. }
            | What::Said { crosstalk: true, .. }
            | What::LanguageFound(_)
            | What::Interrupted { .. } => {}
            What::Said { party, is_final: true, phrases, crosstalk: false, .. } => {
                self.apply_phrases(call_ms, party, phrases);
            }
            What::ChatOpened { .. } | What::ReplySuggested { .. } | What::OutcomeTold(_) => self.apply_chat(notice),
            What::AlertHandled(deed) => self.apply_alert_deed(deed, now),
            What::PriorityChanged(change) => self.queue_priority = change.queue_priority,
            What::AlertEscalated(told) => self.apply_escalated(told, now),
            What::Consent { state, .. } => self.apply_consent(state),
            What::AnswersSuggested(_) => self.make_room_for_suggestion(),
            What::Bypassed { .. } => self.bypassed = true,
            What::BypassEnded { .. } => self.bypassed = false,
            What::CallForked { .. } | What::ForkPaused { .. } => self.apply_fork(&notice.what),
            What::CallAnswered { .. } => self.apply_answer(&notice.what, now),
            What::Decided { .. } => self.apply_decision(notice),
            What::ServiceSwitched { .. } => self.apply_service(notice),
            What::PromptStarted { .. } | What::PromptEnded { .. } | What::PromptFailed { .. } => {
                self.apply_prompt(notice);
            }
            What::RerouteStarted { .. } | What::Rerouted { .. } | What::RerouteFailed { .. } => {
                self.apply_reroute(notice);
            }
            What::LegEnded(report) => push(&mut self.legs, report.clone(), DEEDS_MAX),
            What::Alert { .. } | What::Conversation { .. } | What::ComplianceBreached(_) => self.apply_told(notice),
            What::SupervisorCalled { .. }
            | What::SupervisorJoined { .. }
            | What::SupervisorChanged { .. }
            | What::SupervisorLeft { .. }
            | What::SupervisorFailed { .. } => self.apply_supervisor(notice),
            What::AudioOpened { .. } | What::AudioMissed { .. } | What::AudioClosed { .. } => self.apply_audio(notice),
            What::CallEnded { .. } => self.apply_end(&notice.what, now),
        }
        push(&mut self.events, TimedNotice { time: now, notice: notice.clone() }, EVENTS_MAX);
    }

    fn apply_answer(&mut self, what: &What, now: Moment) {
        let What::CallAnswered { target, setup_ms, groups, .. } = what else { return };
        self.state = State::Answered;
        self.answered = Some(now);
        self.target = Some(target.clone());
        self.setup_ms = Some(*setup_ms);
        self.groups.clone_from(groups);
    }

    fn apply_end(&mut self, what: &What, now: Moment) {
        let What::CallEnded { reason, talk_ms, peak_anger, peak_level, packets_lost } = what else { return };
        self.state = State::Ended;
        self.ended = Some(now);
        self.end_reason = Some(reason.clone());
        self.talk_ms = Some(*talk_ms);
        self.packets_lost = Some(*packets_lost);
        let at = self.peak.take().and_then(|peak| peak.call_ms);
        self.peak = Some(Peak { call_ms: at, anger: *peak_anger, level: peak_level.clone() });
    }

    /// What was said before a refusal is shown no longer.
    fn apply_consent(&mut self, state: &str) {
        self.consent = Some(state.to_owned());
        if state == "refused" {
            self.phrases.clear();
            self.words.clear();
            self.gist.forget_words();
            self.timeline.iter_mut().chain(&mut self.emotion).for_each(|step| step.words = None);
            self.events.retain(|event| !event.notice.what.has_words());
        }
    }

    /// Whether somebody was called: a call in our path, none that is forked to us, no chat and no recording.
    pub fn was_called(&self) -> bool {
        self.fork.is_none() && self.channel.is_none()
    }

    /// How the caller came: `phone`, what a forked call comes by, or the channel of a chat.
    pub fn came_by(&self) -> &str {
        let forked = self.fork.as_ref().map(|fork| fork.source.as_str());
        self.channel.as_deref().or(forked).unwrap_or("phone")
    }

    fn apply_told(&mut self, notice: &Notice) {
        let call_ms = notice.call_ms;
        match &notice.what {
            What::Alert { severity, text, rule, pbx_call: _ } => {
                let (severity, text, rule) = (severity.clone(), text.clone(), rule.clone());
                let alert = Alert { call_ms, severity, text, rule, handled: None, escalated: None };
                push(&mut self.alerts, alert, DEEDS_MAX);
            }
            What::ComplianceBreached(breach) => {
                push(&mut self.breaches, Breached { call_ms, breach: breach.clone() }, DEEDS_MAX);
            }
            What::Conversation { target, caller, callee } => {
                let (target, caller, callee) = (target.clone(), *caller, *callee);
                push(&mut self.conversations, Conversation { call_ms, target, caller, callee }, DEEDS_MAX);
            }
            _ => {}
        }
    }

    fn apply_fork(&mut self, what: &What) {
        match what {
            What::CallForked { source, again: _, pbx_call, told_by, parties, details } => {
                let paused = self.fork.as_ref().is_some_and(|fork| fork.paused);
                self.fork = Some(Fork {
                    source: source.clone(),
                    pbx_call: pbx_call.clone(),
                    told_by: told_by.clone(),
                    parties: parties.clone(),
                    details: details.clone(),
                    paused,
                });
            }
            What::ForkPaused { on } => {
                if let Some(fork) = &mut self.fork {
                    fork.paused = *on;
                }
            }
            _ => {}
        }
    }

    fn apply_step(&mut self, notice: &Notice) {
        let What::Observed { party, emotion, level, anger, trend_per_s, pitch_hz, level_dbov, words, .. } =
            &notice.what
        else {
            return;
        };
        let mut step = Step {
            call_ms: notice.call_ms,
            party: party.clone(),
            emotion: emotion.clone(),
            level: level.clone(),
            anger: *anger,
            trend_per_s: *trend_per_s,
            pitch_hz: *pitch_hz,
            level_dbov: *level_dbov,
            words: words.as_deref().cloned(),
        };
        if party == "caller" {
            if self.peak.as_ref().is_none_or(|peak| *anger > peak.anger) {
                self.peak = Some(Peak { call_ms: Some(notice.call_ms), anger: *anger, level: level.clone() });
            }
            self.emotion = Some(step.clone());
        }
        // Told with every step while they count; one of them is enough to be kept.
        if words.is_some() && self.words.get(party) == words.as_deref() {
            step.words = None;
        } else if let Some(words) = &step.words {
            self.words.insert(party.clone(), words.clone());
        }
        push(&mut self.timeline, step, TIMELINE_MAX);
    }
}

fn push<T>(list: &mut VecDeque<T>, item: T, max: usize) {
    if list.len() == max {
        list.pop_front();
    }
    list.push_back(item);
}
