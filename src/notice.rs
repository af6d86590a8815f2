//! What everybody who watches is told: the API's events, in the words of the API.
//!
//! A contract: names and meanings stay; fields are only added.

mod advice;
mod around;
mod handled;
mod outcome;
mod quality;
mod serving;
mod speaking;
mod tags;
mod told;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use advice::{Advice, AnswerFound};
pub use around::{CALLER_REPLACED, ForkedParty, GroupTurn, HANDED_OVER, LoadReason, ScenarioTurn};
pub use handled::{AlertDeed, AlertEscalated};
pub use outcome::Outcome;
pub use quality::{LegQuality, LegReport};
pub use serving::{Breach, PriorityChange, ServedAs, TicketAsked};
pub use speaking::{Delivery, ExpressionSeen, LanguageHeard, PhraseHeard, TurnTaking, WordFound, WordsRead};
pub use tags::Tags;
pub use told::Notice;

use crate::pii::Pii;

/// What happened to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = EventKind)]
pub enum What {
    /// An INVITE was accepted for routing.
    CallStarted {
        /// From header's value.
        from: Pii<String>,
        /// To header's value.
        to: Pii<String>,
        /// Name of the route that took it.
        route: String,
        /// Scenario of the route.
        scenario: String,
        /// What the route says of its data.
        #[serde(default, skip_serializing_if = "Tags::is_empty")]
        #[schema(nullable = false)]
        tags: Tags,
    },
    /// A new INVITE was refused by us.
    CallRefused {
        /// Status code sent.
        code: u16,
        /// Why.
        reason: String,
    },
    /// The call is forked to us: who takes part, as far as its sender says. Said again when that changes.
    CallForked {
        /// `siprec`, `audiosocket`, `freeswitch`, `asterisk`, `twilio`, `rtp`.
        source: String,
        /// True when it was told before, and something has changed.
        again: bool,
        /// How the sender names the call.
        #[schema(required)]
        pbx_call: Option<String>,
        /// How the sides were told: `agents`, `metadata`, `order`; absent where nothing had to be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        told_by: Option<String>,
        /// Who takes part.
        parties: Vec<ForkedParty>,
        /// What else was said.
        details: Pii<BTreeMap<String, String>>,
    },
    /// The call is a chat: its parties write; or, by the channel `recording`, one that is listened to afterwards. The caller
    /// is the customer.
    ChatOpened {
        /// By what the customer writes, e.g. `app`, `web`, `mini_program`.
        channel: String,
        /// How the channel's software names the chat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        name: Option<String>,
        /// What is written in it: `zh` or `en`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        language: Option<String>,
    },
    /// A message of a chat says nothing.
    MessageDropped {
        /// `caller` or `callee`.
        party: String,
        /// `empty`, `garbled` or `duplicate`.
        why: String,
    },
    /// What whoever serves is to write, by a rule.
    ReplySuggested {
        /// Rule id.
        rule: String,
        /// The id of the script, when it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        script: Option<String>,
        /// The text, with the chat's details in it.
        text: Pii<String>,
        /// Its language: `zh` or `en`.
        language: String,
    },
    /// The library has answers to what the customer has just said.
    AnswersSuggested(Box<Advice>),
    /// What a rule asks for cannot be done in a chat.
    NotPossible {
        /// Rule id.
        rule: String,
        /// The action, in words.
        action: String,
        /// Why.
        reason: String,
    },
    /// A rule wants a system outside to know.
    TicketAsked(TicketAsked),
    /// What has come of the call afterwards, as another system says; the call may have ended long ago.
    OutcomeTold(Outcome),
    /// Somebody has done something about an alert; the call may have ended.
    AlertHandled(AlertDeed),
    /// Nobody has reacted to an alert for long; the call may have ended.
    AlertEscalated(AlertEscalated),
    /// All streams of a forked call are switched off: on hold, or paused; or one is on again.
    ForkPaused {
        /// True when they are.
        on: bool,
    },
    /// The load of the server has become another one.
    LoadChanged {
        /// `normal`, `sparing` (listening is spared), `overloaded` (new calls are refused, too).
        load: String,
        /// What it was before.
        was: String,
        /// What has raised it; absent when it has fallen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        by: Option<LoadReason>,
    },
    /// A new call was sent elsewhere by 302.
    CallRedirected {
        /// Name of the target.
        target: String,
        /// Why.
        reason: String,
    },
    /// Both sides are connected.
    CallAnswered {
        /// Name of the target that answered.
        target: String,
        /// From INVITE in to 200 out, milliseconds.
        setup_ms: u64,
        /// True when nobody was called: the call is forked to us, or a chat, or a recording.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        uncalled: bool,
        /// The call's groups in comparisons of policies, e.g. `wording: control`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
    },
    /// A step of the emotion timeline.
    Observed {
        /// `caller` or `callee`.
        party: String,
        /// End of the judged window, milliseconds of the party's audio.
        audio_ms: u64,
        /// `neutral`, `anger`, `joy`, `sadness`.
        emotion: String,
        /// `low`, `medium`, `high`: level of anger.
        level: String,
        /// Smoothed probability of anger, 0-1.
        anger: f32,
        /// Change of `anger` per second.
        trend_per_s: f32,
        /// Median F0, Hz; 0 when unvoiced.
        pitch_hz: f32,
        /// F0 against the speaker's baseline, robust standard score.
        pitch_z: f32,
        /// Speech level, dBov.
        level_dbov: f32,
        /// Level against the speaker's baseline.
        level_z: f32,
        /// Syllables per second.
        syllables_per_s: f32,
        /// Rate against the speaker's baseline.
        rate_z: f32,
        /// What judged the voice: `model` or `signal_only`; `words_only` when none was heard lately.
        source: String,
        /// What the party's last words say, while they count.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        words: Option<Box<WordsRead>>,
        /// What was seen of the party last, while it counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        expression: Option<ExpressionSeen>,
        /// How the party speaks and how good its audio is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        delivery: Option<Delivery>,
        /// The party's part in the conversation so far; absent while only one party is listened to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        turns: Option<TurnTaking>,
        /// Every feature of the newest second of speech against the speaker's baseline, robust standard scores by
        /// openSMILE's name; only where the settings ask for them.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        scores: BTreeMap<String, f32>,
        /// The functionals of eGeMAPSv02 over the last 3 s, by openSMILE's name; only where the settings ask for them.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        functionals: BTreeMap<String, f32>,
    },
    /// A party has said something: phrases of the lists, and, where dictation is taken, all of it.
    Said {
        /// `caller` or `callee`.
        party: String,
        /// What understood it, as `engine` of `[recognition]`; `written` where nobody had to; empty of earlier versions.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        engine: String,
        /// False while the party goes on speaking: a later event takes the place of this one.
        #[serde(rename = "final")]
        is_final: bool,
        /// Where the speech begins, milliseconds of the party's audio.
        audio_ms: u64,
        /// Where it ends, or how far it has been heard.
        until_ms: u64,
        /// The phrases in it; none when what was told before is taken back.
        phrases: Vec<PhraseHeard>,
        /// All of it, personal data masked; only where dictation is taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        text: Option<Pii<String>>,
        /// True when it is the other party's voice, come back on this one's line: no policy and no emotion goes by it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        crosstalk: bool,
    },
    /// A party was listened to for the language that it speaks.
    LanguageFound(LanguageHeard),
    /// A party has begun to speak while the other one spoke, and both went on for half a second.
    Interrupted {
        /// Who interrupts: `caller` or `callee`.
        party: String,
        /// How often by now in this conversation.
        times: u32,
    },
    /// The caller and one callee talk no longer: how they took turns.
    Conversation {
        /// Name of the callee's target.
        target: String,
        /// The caller's part.
        caller: TurnTaking,
        /// The callee's part.
        callee: TurnTaking,
    },
    /// A rule fired.
    Decided {
        /// Rule id.
        rule: String,
        /// Policy name and version.
        policy: String,
        /// The emotion when it fired.
        emotion: String,
        /// The level when it fired.
        level: String,
        /// The score when it fired.
        score: f32,
        /// How long the emotion had lasted, milliseconds.
        lasted_ms: u64,
        /// For fallback rules: what failed.
        #[schema(required)]
        failure: Option<String>,
        /// For rules about keys: the keys of the rule.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        keys: Option<String>,
        /// For rules about interruptions: how often the caller had interrupted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        interruptions: Option<u32>,
        /// For rules about what was said: what it means.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        said: Option<String>,
        /// What else made the rule apply, in words, e.g. `order.state = delayed`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        facts: Vec<String>,
        /// The call's group in the policy's comparison, e.g. `wording: control`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        group: Option<String>,
        /// The actions, in words, e.g. `prompt sorry.wav`, `reroute bridge human`.
        actions: Vec<String>,
    },
    /// The caller is to be served otherwise from now on.
    ServiceSwitched {
        /// The id of the `[[service]]` that the mood asks for.
        rule: String,
        /// Policy name and version.
        policy: String,
        /// As before; absent where the policy has no usual service.
        #[schema(required)]
        before: Option<ServedAs>,
        /// From now on; absent where the policy has no usual service.
        #[schema(required)]
        after: Option<ServedAs>,
        /// The words of the new script, in the language of the call; headers of the INVITE stand in braces.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        words: Option<String>,
        /// Their language: `zh` or `en`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        language: Option<String>,
    },
    /// Somebody has changed the caller's place in queues.
    PriorityChanged(PriorityChange),
    /// How it stands with the caller's consent to words being told and kept, from now on.
    Consent {
        /// `given`, `refused` or `open`: nobody has said anything yet, which counts as refused.
        state: String,
        /// Who says so: `route`, `header`, `announcement` (it was heard), `key`, `operator`.
        by: String,
    },
    /// Somebody has said something of the customer or the order; what it says is not told.
    FactsTold {
        /// The facts that are known now, or otherwise than before.
        known: Vec<String>,
        /// Those that are not known any more.
        forgotten: Vec<String>,
        /// `sources`, when they were pulled and nobody asked to tell them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        by: Option<String>,
    },
    /// The caller is likely to get angry, or angrier.
    EscalationLikely {
        /// How likely, 0-1.
        score: f32,
        /// What speaks for it, in words.
        evidence: Vec<String>,
    },
    /// Whoever serves has said what is never to be said, or has not said what must be.
    ComplianceBreached(Breach),
    /// The calls of a scenario have turned sour, or better: their highest anger is another one than before.
    ScenarioTurned(ScenarioTurn),
    /// The calls of a queue, of a product, of a region have.
    GroupTurned(GroupTurn),
    /// A party pressed a key.
    KeyPressed {
        /// `caller` or `callee`.
        party: String,
        /// `0`-`9`, `*`, `#`, `A`-`D`, `!` for the hook; `•` while input is secure.
        key: String,
        /// `event` (RFC 4733), `info` (SIP INFO) or `audio` (its tones).
        way: String,
    },
    /// What the caller types is secret from now on, or no longer.
    SecureInput {
        /// True when it is.
        on: bool,
    },
    /// The audio of a party is protected by keys of a DTLS handshake.
    HandshakeDone {
        /// `caller` or `callee`.
        party: String,
        /// How, e.g. `AEAD_AES_128_GCM`.
        suite: String,
        /// From the agreement to the keys, milliseconds.
        took_ms: u64,
    },
    /// A DTLS handshake has brought no keys: nothing of the party is heard, and nothing is sent to it.
    HandshakeFailed {
        /// `caller` or `callee`.
        party: String,
        /// Why, in one word: `wrong_certificate`, `too_slow`, `not_begun`, `no_profile`, `busy`, …
        failure: String,
        /// Why, in words.
        reason: String,
    },
    /// A side was asked to speak the other's codec, so that nothing has to be transcoded.
    CodecAsked {
        /// `caller` or `callee`.
        party: String,
        /// The codec, e.g. `PCMA`.
        codec: String,
        /// `accepted`, `passed_over`, `crossed`, `failed`, `refused`; audio goes on in any case.
        outcome: String,
    },
    /// The two sides send their audio to each other, past us.
    Bypassed {
        /// From the order to the second answer, milliseconds.
        took_ms: u64,
        /// Who has let it: `operator`, `drain` or `overload`.
        by: String,
    },
    /// They do not, for this reason; it goes through us as before.
    BypassFailed {
        /// Why.
        reason: String,
        /// Who wanted it: `operator`, `drain` or `overload`.
        by: String,
    },
    /// Audio that went past us goes through us again.
    BypassEnded {
        /// Why.
        reason: String,
        /// How long the way back took, milliseconds.
        took_ms: u64,
        /// Who had let it go past us.
        by: String,
    },
    /// A prompt's first packet left.
    PromptStarted {
        /// The file; `say: TEXT` for a spoken text, as the policy has it.
        file: String,
        /// Who hears it: `caller` or `callee`.
        #[serde(default)]
        #[schema(required)]
        party: String,
        /// Its number.
        #[serde(default)]
        #[schema(required)]
        prompt: u32,
        /// From decision to first packet, milliseconds.
        reaction_ms: u64,
    },
    /// A prompt ended.
    PromptEnded {
        /// The file.
        file: String,
        /// Who heard it: `caller` or `callee`.
        #[serde(default)]
        #[schema(required)]
        party: String,
        /// Its number.
        #[serde(default)]
        #[schema(required)]
        prompt: u32,
        /// False when it was cut short.
        completed: bool,
    },
    /// A prompt could not be played.
    PromptFailed {
        /// The file.
        file: String,
        /// Who was to hear it: `caller` or `callee`.
        #[serde(default)]
        #[schema(required)]
        party: String,
        /// Its number.
        #[serde(default)]
        #[schema(required)]
        prompt: u32,
        /// Why.
        reason: String,
    },
    /// A re-route was begun.
    RerouteStarted {
        /// The way: `bridge`, `refer`, `attended`, `info`, `message`, `referred` (a far end asked for it), `replaces`, or a PBX's
        /// name; `caller_replaced` (somebody else is the caller) and `handed_over` (the server stops) move the caller nowhere.
        via: String,
        /// Name of the target.
        target: String,
    },
    /// The caller is with the new target.
    Rerouted {
        /// The way, as of `reroute_started`.
        via: String,
        /// Name of the target.
        target: String,
        /// From decision to the target's answer, milliseconds.
        answer_ms: u64,
        /// Bridge: from the target's answer to its first packet towards the caller, milliseconds.
        #[schema(required)]
        gap_ms: Option<u64>,
    },
    /// The target refused or did not answer in time; the caller stays.
    RerouteFailed {
        /// The way, as of `reroute_started`.
        via: String,
        /// Name of the target.
        target: String,
        /// Why.
        reason: String,
    },
    /// A PBX or webhook has done what a rule asked for besides moving the caller.
    PbxDone {
        /// Name of the PBX.
        pbx: String,
    },
    /// It has not, and why.
    PbxFailed {
        /// Name of the PBX.
        pbx: String,
        /// Why.
        reason: String,
    },
    /// A leg is over: what it carried and how it sounded.
    LegEnded(LegReport),
    /// A supervisor should look.
    Alert {
        /// `info`, `warning`, `critical`.
        severity: String,
        /// What to say.
        text: String,
        /// Rule id.
        rule: String,
        /// The PBX's name of a call that is forked to us.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        pbx_call: Option<String>,
    },
    /// A supervisor's phone is called.
    SupervisorCalled {
        /// Its number in the call, from 1.
        supervisor: u32,
        /// Name of the target, or the SIP URI.
        target: Pii<String>,
        /// `listen`, `whisper` or `barge`.
        mode: String,
        /// Who alone hears a whisper: `caller` or `callee`.
        #[schema(required)]
        party: Option<String>,
        /// Whom it hears: `both`, `caller` or `callee`.
        hears: String,
    },
    /// A supervisor has answered and hears the call.
    SupervisorJoined {
        /// Its number in the call.
        supervisor: u32,
        /// From order to answer, milliseconds.
        answer_ms: u64,
    },
    /// Others hear a supervisor from now on, or will once it answers.
    SupervisorChanged {
        /// Its number in the call.
        supervisor: u32,
        /// `listen`, `whisper` or `barge`.
        mode: String,
        /// Who alone hears a whisper: `caller` or `callee`.
        #[schema(required)]
        party: Option<String>,
        /// Whom it hears: `both`, `caller` or `callee`.
        hears: String,
    },
    /// A supervisor who took part does so no longer.
    SupervisorLeft {
        /// Its number in the call.
        supervisor: u32,
        /// Why.
        reason: String,
    },
    /// A supervisor has not come.
    SupervisorFailed {
        /// Its number in the call.
        supervisor: u32,
        /// Why.
        reason: String,
    },
    /// Somebody gets a live copy of the call's audio.
    AudioOpened {
        /// Its number in the call, from 1.
        client: u32,
        /// `stereo` or `mixed`.
        layout: String,
    },
    /// A client was too slow for some of the audio.
    AudioMissed {
        /// Its number in the call.
        client: u32,
        /// How much it did not get, milliseconds.
        missed_ms: u64,
    },
    /// A client gets no more audio.
    AudioClosed {
        /// Its number in the call.
        client: u32,
        /// How long it was there, milliseconds.
        lasted_ms: u64,
    },
    /// The call is over.
    CallEnded {
        /// Why, in a few words.
        reason: String,
        /// From answer to end, milliseconds; 0 when never answered.
        talk_ms: u64,
        /// Highest anger of the caller, 0-1.
        peak_anger: f32,
        /// Highest level of the caller.
        peak_level: String,
        /// RTP packets lost on the way to us, both legs.
        packets_lost: u64,
    },
}
