//! What reports need of a call.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};

use crate::web::{CallRecord, PromptOutcome, RerouteOutcome, SupervisorState};

/// Rules told of one call.
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
    /// Its groups in the comparisons of policies; of what older versions kept, one at most.
    #[serde(default, alias = "group", deserialize_with = "one_or_many")]
    pub groups: BTreeSet<String>,
    /// Whether it was answered.
    pub answered: bool,
    /// From the INVITE to the answer; nothing where nobody was called.
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

impl From<&CallRecord> for CallFacts {
    fn from(record: &CallRecord) -> Self {
        let gist = &record.gist;
        // A timeline may be forgotten: high anger is known by the first decision about it, too.
        let decided = record.decisions.iter().find(|decision| decision.because.level == "high");
        let high_ms = [gist.first_high_ms, decided.map(|decision| decision.call_ms)];
        let high_ms = high_ms.into_iter().flatten().min();
        let took_part = |state: SupervisorState| !matches!(state, SupervisorState::Failed | SupervisorState::Calling);
        let prompts = record.prompts.iter().filter(|prompt| prompt.outcome != PromptOutcome::Failed);
        let prompts = prompts.map(|prompt| prompt.call_ms);
        let moves = |outcome| {
            record.reroutes.iter().filter(move |reroute| reroute.moves_caller() && reroute.outcome == outcome)
        };
        let moved = moves(RerouteOutcome::Done).next().is_some();
        let supervisors = record.supervisors.iter().filter(|supervisor| took_part(supervisor.state));
        let supervisors = supervisors.map(|supervisor| supervisor.call_ms);
        let deeds = prompts.chain(moves(RerouteOutcome::Done).map(|reroute| reroute.call_ms)).chain(supervisors);
        let first_deed = high_ms.and_then(|high| deeds.filter(|deed| *deed >= high).min());
        let answered_ms = record.answered.map(|answered| answered.0.saturating_sub(record.started.0));
        let level = record.peak.as_ref().map_or("low", |peak| &peak.level).to_owned();
        // Older versions tell a group with the decisions alone.
        let decided = record.decisions.iter().filter_map(|decision| decision.because.group.as_ref());
        let groups = record.groups.iter().chain(decided).cloned().collect();
        // The end of every call tells one; only what was observed has a time.
        let heard = record.peak.as_ref().filter(|peak| peak.call_ms.is_some());
        let mut facts = Self {
            route: record.route.clone(),
            channel: Some(record.came_by().to_owned()),
            scenario: record.scenario.clone(),
            target: record.target.clone(),
            groups,
            answered: record.answered.is_some(),
            setup_ms: record.setup_ms.filter(|_| record.was_called()),
            talk_ms: record.talk_ms.unwrap_or_default(),
            until_high_ms: high_ms.zip(answered_ms).map(|(high, answered)| high.saturating_sub(answered)),
            acted: level == "high" && first_deed.is_some(),
            reaction_ms: high_ms.zip(first_deed).map(|(high, deed)| deed - high),
            calmed: record.emotion.as_ref().is_some_and(|step| step.level == "low"),
            moved,
            move_failed: !moved && moves(RerouteOutcome::Failed).next().is_some(),
            alerts: record.alerts.len() as u64,
            supervised: record.supervisors.iter().any(|supervisor| took_part(supervisor.state)),
            informed: gist.informed,
            rules: record.decisions.iter().map(|decision| decision.rule.clone()).take(NAMES_MAX).collect(),
            breaches: record.breaches.iter().map(|own| own.breach.rule.clone()).take(NAMES_MAX).collect(),
            said: gist.meanings.clone(),
            emotion: gist.leading_emotion().map(str::to_owned),
            anger_tenth: heard.map(|peak| (peak.anger * 10.0).clamp(0.0, 9.0) as u8),
            warned: gist.warned_ms.is_some(),
            lead_ms: gist.warned_ms.zip(high_ms).and_then(|(warned, high)| high.checked_sub(warned)),
            worded: gist.worded,
            torn: record.end_reason.as_deref() == Some("the server ended"),
            level,
            ..Self::default()
        };
        facts.tell_outcomes(record);
        facts
    }
}

/// Groups as this version keeps them, or the one of older versions.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Kept {
        Many(BTreeSet<String>),
        One(Option<String>),
    }
    Ok(match Kept::deserialize(deserializer)? {
        Kept::Many(groups) => groups,
        Kept::One(group) => group.into_iter().collect(),
    })
}
