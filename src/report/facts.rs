//! What reports need of a call.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::notice::What;
use crate::web::{CallRecord, PromptOutcome, RerouteOutcome, SupervisorState};

/// Meanings and rules told of one call.
const NAMES_MAX: usize = 20;

/// A call, as reports see it. Nothing in it names anybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFacts {
    /// The route.
    pub route: String,
    /// How the caller came; missing in what older versions kept.
    #[serde(default)]
    pub channel: Option<String>,
    /// Its scenario.
    pub scenario: String,
    /// Whom the caller spoke to last.
    pub target: Option<String>,
    /// The group of the policy's comparison.
    pub group: Option<String>,
    /// Whether it was answered.
    pub answered: bool,
    /// From the INVITE to the answer.
    pub setup_ms: Option<u64>,
    /// How long both sides were connected.
    pub talk_ms: u64,
    /// The highest level of the caller's anger: `low`, `medium`, `high`.
    pub level: String,
    /// From the answer to the first high anger.
    pub until_high_ms: Option<u64>,
    /// Whether something was done about high anger: a prompt was played, or the caller was moved, or a supervisor came.
    pub acted: bool,
    /// From the first high anger to that.
    pub reaction_ms: Option<u64>,
    /// Whether the caller's anger was low at the end.
    pub calmed: bool,
    /// Whether the caller was moved.
    pub moved: bool,
    /// Whether the caller was to be moved, and was not.
    pub move_failed: bool,
    /// How many alerts there were.
    pub alerts: u64,
    /// Whether a supervisor took part.
    pub supervised: bool,
    /// Whether something was known of the customer or the order.
    #[serde(default)]
    pub informed: bool,
    /// The rules that made a decision.
    pub rules: BTreeSet<String>,
    /// The compliance rules that were broken; missing in what older versions kept.
    #[serde(default)]
    pub breaches: BTreeSet<String>,
    /// What the caller's phrases mean, and what the text model finds that the caller wants.
    pub said: BTreeSet<String>,
    /// The emotion that led most steps of the caller's timeline; this and the following are missing in what older versions kept.
    #[serde(default)]
    pub emotion: Option<String>,
    /// The caller's highest anger, in tenths, 0-9; nothing where nobody listened.
    #[serde(default)]
    pub anger_tenth: Option<u8>,
    /// Whether early warning said that it would come to anger.
    #[serde(default)]
    pub warned: bool,
    /// From that to the first high anger, when that came later.
    #[serde(default)]
    pub lead_ms: Option<u64>,
    /// Whether words of the caller were heard or read.
    #[serde(default)]
    pub worded: bool,
    /// Whether it was cut off by the end of the program that told of it.
    #[serde(default)]
    pub torn: bool,
    /// Whether the customer has filed a complaint, as was said last; this and the following are missing where nobody says.
    #[serde(default)]
    pub complaint: Option<bool>,
    /// How satisfied the customer is, 1-5.
    #[serde(default)]
    pub satisfied: Option<u8>,
    /// Whether the customer has bought again.
    #[serde(default)]
    pub repurchased: Option<bool>,
    /// Whether what the customer wanted is settled.
    #[serde(default)]
    pub resolved: Option<bool>,
}

impl CallFacts {
    /// Takes over what has come of the call, as was said last; nothing else.
    pub fn tell_outcomes(&mut self, record: &CallRecord) {
        let told = || record.outcomes.iter().rev();
        self.complaint = told().find_map(|outcome| outcome.complaint);
        self.satisfied = told().find_map(|outcome| outcome.satisfied);
        self.repurchased = told().find_map(|outcome| outcome.repurchased);
        self.resolved = told().find_map(|outcome| outcome.resolved);
    }
}

/// What the caller said, by its meaning.
fn meanings(record: &CallRecord) -> BTreeSet<String> {
    let phrases = record.phrases.iter().filter(|phrase| phrase.party == "caller").map(|phrase| &phrase.phrase.intent);
    let steps = record.timeline.iter().filter(|step| step.party == "caller");
    let wanted = steps.filter_map(|step| step.words.as_ref()).flat_map(|words| &words.intents);
    let mut meanings = BTreeSet::new();
    for meaning in phrases.chain(wanted) {
        if meanings.len() < NAMES_MAX && !meanings.contains(meaning) {
            meanings.insert(meaning.clone());
        }
    }
    meanings
}

/// The emotion that led most steps of the caller's timeline.
fn leading(record: &CallRecord) -> Option<String> {
    let mut steps: BTreeMap<&str, u32> = BTreeMap::new();
    for step in record.timeline.iter().filter(|step| step.party == "caller") {
        *steps.entry(&step.emotion).or_default() += 1;
    }
    steps.into_iter().max_by_key(|(_, count)| *count).map(|(emotion, _)| emotion.to_owned())
}

impl From<&CallRecord> for CallFacts {
    fn from(record: &CallRecord) -> Self {
        let first_high = record.timeline.iter().find(|step| step.party == "caller" && step.level == "high");
        // The timeline has an end of its own: an earlier high is known by the first decision about it.
        let decided = record.decisions.iter().find(|decision| decision.because.level == "high");
        let high_ms = [first_high.map(|step| step.call_ms), decided.map(|decision| decision.call_ms)];
        let high_ms = high_ms.into_iter().flatten().min();
        let took_part = |state: SupervisorState| !matches!(state, SupervisorState::Failed | SupervisorState::Calling);
        let prompts = record.prompts.iter().filter(|prompt| prompt.outcome != PromptOutcome::Failed);
        let prompts = prompts.map(|prompt| prompt.call_ms);
        let moves = record.reroutes.iter().filter(|reroute| reroute.outcome == RerouteOutcome::Done);
        let moves = moves.map(|reroute| reroute.call_ms);
        let supervisors = record.supervisors.iter().filter(|supervisor| took_part(supervisor.state));
        let supervisors = supervisors.map(|supervisor| supervisor.call_ms);
        let deeds = prompts.chain(moves).chain(supervisors);
        let first_deed = high_ms.and_then(|high| deeds.filter(|deed| *deed >= high).min());
        let answered_ms = record.answered.map(|answered| answered.0.saturating_sub(record.started.0));
        let moved = record.reroutes.iter().any(|reroute| reroute.outcome == RerouteOutcome::Done);
        let level = record.peak.as_ref().map_or("low", |peak| &peak.level).to_owned();
        let group = record.decisions.iter().find_map(|decision| decision.because.group.clone());
        let warning = |what: &What| matches!(what, What::EscalationLikely { .. });
        let warned_ms =
            record.events.iter().find(|event| warning(&event.notice.what)).map(|event| event.notice.call_ms);
        let words = record.timeline.iter().any(|step| step.party == "caller" && step.words.is_some());
        // The end of every call tells one; only what was observed has a time.
        let heard = record.peak.as_ref().filter(|peak| peak.call_ms.is_some());
        let mut facts = Self {
            route: record.route.clone(),
            channel: Some(record.came_by().to_owned()),
            scenario: record.scenario.clone(),
            target: record.target.clone(),
            group,
            answered: record.answered.is_some(),
            setup_ms: record.setup_ms,
            talk_ms: record.talk_ms.unwrap_or_default(),
            until_high_ms: high_ms.zip(answered_ms).map(|(high, answered)| high.saturating_sub(answered)),
            acted: level == "high" && first_deed.is_some(),
            reaction_ms: high_ms.zip(first_deed).map(|(high, deed)| deed - high),
            calmed: record.emotion.as_ref().is_some_and(|step| step.level == "low"),
            moved,
            move_failed: !moved && record.reroutes.iter().any(|reroute| reroute.outcome == RerouteOutcome::Failed),
            alerts: record.alerts.len() as u64,
            supervised: record.supervisors.iter().any(|supervisor| took_part(supervisor.state)),
            informed: record.events.iter().any(|event| is_informing(&event.notice.what)),
            rules: record.decisions.iter().map(|decision| decision.rule.clone()).take(NAMES_MAX).collect(),
            breaches: record.breaches.iter().map(|own| own.breach.rule.clone()).take(NAMES_MAX).collect(),
            said: meanings(record),
            emotion: leading(record),
            anger_tenth: heard.map(|peak| (peak.anger * 10.0).clamp(0.0, 9.0) as u8),
            warned: warned_ms.is_some(),
            lead_ms: warned_ms.zip(high_ms).and_then(|(warned, high)| high.checked_sub(warned)),
            worded: words || record.phrases.iter().any(|phrase| phrase.party == "caller"),
            torn: record.end_reason.as_deref() == Some("the server ended"),
            level,
            ..Self::default()
        };
        facts.tell_outcomes(record);
        facts
    }
}

/// Whether facts of the customer or the order were told.
fn is_informing(what: &What) -> bool {
    matches!(what, What::FactsTold { known, .. } if !known.is_empty())
}
