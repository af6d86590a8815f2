//! Every metric the program has, in one table: name with unit, kind, labels, help.
//!
//! A contract with dashboards and alarms: names and meanings stay. Call ids and numbers of callers never become labels.

use super::elsewhere::{
    REMOTE_RECOGNITION_ANSWERS, REMOTE_RECOGNITION_AUDIO, REMOTE_RECOGNITION_CONNECTIONS, REMOTE_RECOGNITION_STREAMS,
    REMOTE_RECOGNITION_UP,
};
use super::knowledge::{ADVICE, KNOWLEDGE};
use super::legs::{LEG_BURST, LEG_DISCARDED, LEG_JITTER, LEG_LOSS, LEG_OPINION, LEG_RATING, LEG_ROUND_TRIP};
use super::media::{
    CONCEALED, MEDIA_RESTARTS, PACKETS_LOST, PACKETS_REFUSED, PACKETS_RELAYED, PACKETS_UNAUTHENTIC, TAP_DROPPED,
    UNDERRUNS,
};
use super::models::MODEL_FAILURES;
use super::mood::{BREACHES, GROUP_TURNS};
use super::reels::{REEL_AUDIO, REELS, REELS_BYTES, REELS_ENDED, REELS_UP};
use super::shadow::{SHADOW_CPU, SHADOW_DIFFERENCE, SHADOW_STEPS};
use super::site::{
    BUS_EVENTS, BUS_RESTORES, BUS_UP, LEASES, NODE_INFO, NODES_HEARD, ORDERS_CARRIED, SITE_LIBRARIES,
    SITE_LIBRARIES_BEHIND,
};
use super::sources::{PULLS, SOURCE_ACCURACY, SOURCE_AGE, SOURCE_COMPLETENESS, SOURCE_ROWS};
use super::watching::{CAPTURED_DROPPED, HEP, TELEMETRY};
use super::{
    api::{CONNECTIONS, CONNECTIONS_REFUSED, REQUESTS_LIMITED},
    bounds::Bounds,
};

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size, with these upper bounds.
    Histogram(Bounds),
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Name with unit; counters end in `_total`.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Label names, in the order values are given.
    pub labels: &'static [&'static str],
    /// One line for the reader of `/metrics`.
    pub help: &'static str,
}

pub(super) const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

pub(super) const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

pub(super) const fn histogram(
    name: &'static str,
    bounds: Bounds,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Histogram(bounds), labels, help }
}

/// Calls accepted for routing.
pub const CALLS_STARTED: Metric = counter("calmline_calls_started_total", &[], "Calls accepted for routing.");
/// Calls refused.
pub const CALLS_REFUSED: Metric =
    counter("calmline_calls_refused_total", &["code"], "New calls refused by us, by SIP status code.");
/// Calls sent elsewhere.
pub const CALLS_REDIRECTED: Metric =
    counter("calmline_calls_redirected_total", &["target"], "New calls sent elsewhere by 302, by target.");
/// Whether a PBX can be reached.
pub const PBX_UP: Metric =
    gauge("calmline_pbx_up", &["pbx"], "1 while the PBX takes orders, else 0; NaN once it is configured no more.");
/// Orders that wait for a PBX.
pub const PBX_WAITING: Metric =
    gauge("calmline_pbx_waiting_orders", &["pbx"], "Orders that wait for the PBX to be reached.");
/// Orders to PBXs.
pub const PBX_ORDERS: Metric = counter(
    "calmline_pbx_orders_total",
    &["pbx", "outcome"],
    "Orders to PBXs and webhooks, by outcome: done, accepted, failed, expired, full.",
);
/// Calls answered.
pub const CALLS_ANSWERED: Metric = counter("calmline_calls_answered_total", &[], "Calls with both sides connected.");
/// Calls ended.
pub const CALLS_ENDED: Metric = counter("calmline_calls_ended_total", &["reason"], "Calls ended, by reason.");
/// Calls that are up.
pub const CALLS_ACTIVE: Metric = gauge("calmline_calls_active", &[], "Calls that are up or being set up.");
/// Forked calls.
pub const FORKS: Metric = counter(
    "calmline_forked_calls_total",
    &["source"],
    "Calls that were forked to us, by source: siprec, audiosocket, freeswitch, asterisk, twilio, rtp.",
);
/// Chats.
pub const CHATS: Metric = counter("calmline_chats_total", &[], "Chats that have begun; they are calls, too.");
/// Messages that say nothing.
pub const MESSAGES_DROPPED: Metric =
    counter("calmline_messages_dropped_total", &["why"], "Messages of chats that were empty, garbled or a duplicate.");
/// Replies that rules suggested.
pub const REPLIES_SUGGESTED: Metric =
    counter("calmline_replies_suggested_total", &[], "Replies that rules suggested in chats.");
/// Actions that a chat cannot take.
pub const ACTIONS_NOT_POSSIBLE: Metric =
    counter("calmline_actions_not_possible_total", &[], "Actions of rules that a chat cannot take.");
/// What has come of calls.
pub const OUTCOMES: Metric =
    counter("calmline_outcomes_total", &[], "Words of other systems about what has come of calls and chats.");
/// What was done about alerts.
pub const ALERTS_HANDLED: Metric = counter(
    "calmline_alerts_handled_total",
    &["deed"],
    "What people have done about alerts: acknowledged, assigned, snoozed, ended.",
);
/// Alerts that nobody reacted to.
pub const ALERTS_ESCALATED: Metric =
    counter("calmline_alerts_escalated_total", &["severity"], "Steps of alerts that nobody reacted to, by severity.");
/// Attempts to tell systems outside.
pub const DELIVERIES: Metric = counter(
    "calmline_deliveries_total",
    &["crm", "outcome"],
    "Attempts to tell a [crm.NAME] of an event, or to mail a report (mail:NAME): taken, again, set_aside, dropped (too many wait).",
);
/// Deliveries that are kept.
pub const DELIVERIES_KEPT: Metric =
    gauge("calmline_kept_deliveries", &["state"], "Deliveries that are kept: waiting, set_aside.");
/// Audio of forked calls.
pub const FORKED_SAMPLES: Metric = counter(
    "calmline_forked_samples_total",
    &["outcome"],
    "Samples of streams without SIP, when they are over: taken, dropped because too many waited, skipped in silence.",
);
/// Set-up time.
pub const CALL_SETUP: Metric =
    histogram("calmline_call_setup_seconds", Bounds::Waiting, &[], "From INVITE in to 200 out.");
/// Talking time, summed.
pub const CALL_TALK: Metric =
    counter("calmline_call_talk_seconds_total", &[], "Whole seconds between answer and end, all ended calls.");
/// Highest anger per call.
pub const CALL_ANGER_PEAK: Metric =
    histogram("calmline_call_anger_peak_ratio", Bounds::Score, &[], "Highest anger of the caller per ended call, 0-1.");
/// Steps of the emotion timeline.
pub const OBSERVATIONS: Metric =
    counter("calmline_observations_total", &["party", "level"], "Steps of the emotion timeline, by party and level.");
/// Interruptions.
pub const INTERRUPTIONS: Metric = counter(
    "calmline_interruptions_total",
    &["party"],
    "Times that a party began to speak over the other, by who did.",
);
/// Phrases.
pub const PHRASES: Metric = counter(
    "calmline_phrases_total",
    &["party", "intent"],
    "Phrases of the lists that were heard, by party and meaning.",
);
/// Decisions.
pub const DECISIONS: Metric = counter("calmline_decisions_total", &["rule"], "Decisions of the policy, by rule.");
/// Changes of service.
pub const SERVICE_SWITCHES: Metric = counter(
    "calmline_service_switches_total",
    &["service"],
    "Times that a caller's mood has changed how the caller is served, by the service from then on.",
);
/// Scenarios that turn.
pub const SCENARIO_TURNS: Metric = counter(
    "calmline_scenario_turns_total",
    &["scenario", "way"],
    "Times that the calls of a scenario have turned sour, or better.",
);
/// Warnings of escalations.
pub const WARNINGS: Metric =
    counter("calmline_escalation_warnings_total", &[], "Calls that were said to be likely to escalate.");
/// Keys.
pub const KEYS: Metric = counter(
    "calmline_keys_total",
    &["party", "way"],
    "Keys that parties pressed, by how they came: event, info, audio.",
);
/// Prompts.
pub const PROMPTS: Metric =
    counter("calmline_prompts_total", &["outcome"], "Prompts, by outcome: started, completed, cut, failed.");
/// Reaction time.
pub const REACTION: Metric =
    histogram("calmline_reaction_seconds", Bounds::Waiting, &[], "From decision to the prompt's first packet.");
/// Re-routes.
pub const REROUTES: Metric = counter(
    "calmline_reroutes_total",
    &["via", "outcome"],
    "Re-routes, by way (bridge, refer, …, or the PBX's name) and outcome: started, done, failed.",
);
/// Answer time of re-routes.
pub const REROUTE_ANSWER: Metric = histogram(
    "calmline_reroute_answer_seconds",
    Bounds::Waiting,
    &["via"],
    "From decision to the answer of the new target.",
);
/// Audio gap of re-routes.
pub const REROUTE_GAP: Metric = histogram(
    "calmline_reroute_gap_seconds",
    Bounds::Waiting,
    &["via"],
    "From the new target's answer to its first packet towards the caller.",
);
/// Supervisors.
pub const SUPERVISORS: Metric =
    counter("calmline_supervisors_total", &["outcome"], "Supervisors, by outcome: called, joined, left, failed.");
/// Supervisors who take part.
pub const SUPERVISORS_ACTIVE: Metric =
    gauge("calmline_supervisors_active", &[], "Supervisors who hear a call by phone or browser.");
/// Browsers of supervisors.
pub const BROWSERS_ACTIVE: Metric =
    gauge("calmline_browsers_active", &[], "Supervisors' browsers that are connected, or are about to be.");
/// Browsers that were not connected.
pub const BROWSERS_REFUSED: Metric = counter(
    "calmline_browsers_refused_total",
    &["reason"],
    "Supervisors' browsers that were not connected, by reason: off, full, offer, denied, failed.",
);
/// Browsers that are no longer.
pub const BROWSERS_ENDED: Metric = counter(
    "calmline_browsers_ended_total",
    &["reason"],
    "Supervisors' browsers that were let in, by what ended it: ordered, signed_out, not_connected, lost, closing.",
);
/// Packets of browsers that were not passed on.
pub const BROWSERS_DROPPED: Metric =
    counter("calmline_browsers_dropped_packets_total", &[], "Packets that supervisors' browsers sent too fast.");
/// Clients of live audio.
pub const AUDIO_CLIENTS: Metric =
    gauge("calmline_audio_clients_active", &[], "Clients of the API that get a live copy of a call's audio.");
/// Audio that clients missed.
pub const AUDIO_MISSED: Metric = counter(
    "calmline_audio_missed_frames_total",
    &[],
    "Frames of 20 ms that clients of live audio were too slow for; calls do not notice.",
);
/// Copies that were lost.
pub const COPIES_DROPPED: Metric = counter(
    "calmline_copy_dropped_packets_total",
    &[],
    "Packets missing in live copies of calls because their ring was full; the calls had them.",
);
/// Restarts of the copying thread.
pub const COPIER_RESTARTS: Metric =
    counter("calmline_copier_restarts_total", &[], "How often the thread that makes live copies began anew.");
/// Offers inside calls.
pub const REINVITES: Metric = counter(
    "calmline_reinvites_total",
    &["party", "outcome"],
    "Re-INVITEs to make both sides speak one codec, by outcome: accepted, passed_over, crossed, failed, refused.",
);
/// Audio that goes past us.
pub const BYPASSES: Metric = counter(
    "calmline_bypasses_total",
    &["outcome", "by"],
    "Calls whose audio was to go past us, by outcome, done, failed or ended (it goes through us again), and by who let \
     it: operator, drain, overload.",
);
/// Refused SIP.
pub const SIP_REFUSED: Metric = counter(
    "calmline_sip_refused_total",
    &["reason"],
    "Messages and connections refused: unknown_source, transport, certificate, authentication, rate, malformed, \
     connections, handshake, loop.",
);
/// Connections.
pub const SIP_CONNECTIONS: Metric =
    gauge("calmline_sip_connections_active", &[], "SIP connections (TCP, TLS, WebSocket) up.");
/// Fail-overs.
pub const SIP_FAILOVERS: Metric =
    counter("calmline_sip_failovers_total", &[], "Calls sent to the next place of their target (RFC 3263).");
/// Calls kept back.
pub const SIP_KEPT_BACK: Metric = counter(
    "calmline_sip_invites_kept_back_total",
    &["reason"],
    "INVITEs not sent to a server that has asked for fewer (feedback, RFC 7339) or none for a while (retry_after).",
);
/// Servers that ask.
pub const SIP_RESTRAINED: Metric = gauge(
    "calmline_sip_servers_restrained_active",
    &[],
    "Servers that have asked us for fewer new calls, or none for a while.",
);
/// Our own word.
pub const FEEDBACK_TOLD: Metric = gauge(
    "calmline_overload_feedback_ratio",
    &[],
    "The share of new calls that trunks which ask (RFC 7339) are told to keep back, 0-1.",
);
/// Certificates.
pub const SIP_CERTIFICATES: Metric = counter(
    "calmline_sip_certificates_total",
    &["outcome"],
    "Times that certificate files had changed, by outcome: loaded, refused.",
);
/// The configuration.
pub const RELOADS: Metric = counter(
    "calmline_reloads_total",
    &["outcome"],
    "Times that the configuration was read again, by outcome: taken, refused.",
);
/// DNS.
pub const DNS_TROUBLES: Metric = counter(
    "calmline_dns_troubles_total",
    &["outcome"],
    "Questions without an answer of the DNS: failed, or answered from memory: remembered.",
);
/// Trunks that answer.
pub const TRUNK_UP: Metric =
    gauge("calmline_trunk_up", &["trunk"], "1 when a trunk answers OPTIONS, 0 when it does not; NaN once it is gone.");
/// Trunks that know us.
pub const TRUNK_REGISTERED: Metric = gauge(
    "calmline_trunk_registration_up",
    &["trunk"],
    "1 when we are registered at a trunk, 0 when we should be; NaN once it is gone.",
);
/// Alerts.
pub const ALERTS: Metric = counter("calmline_alerts_total", &["severity"], "Alerts to supervisors, by severity.");
/// Handshakes.
pub const HANDSHAKES: Metric = counter(
    "calmline_handshakes_total",
    &["outcome"],
    "DTLS handshakes of legs, by outcome: done, or why they failed, e.g. wrong_certificate, too_slow, not_begun.",
);
/// Duration of handshakes.
pub const HANDSHAKE: Metric = histogram(
    "calmline_handshake_seconds",
    Bounds::Waiting,
    &[],
    "From offer and answer to the keys of a DTLS handshake.",
);
/// Handshake datagrams dropped.
pub const HANDSHAKE_DATAGRAMS_DROPPED: Metric = counter(
    "calmline_handshake_datagrams_dropped_total",
    &[],
    "Datagrams of DTLS handshakes dropped because too many waited; far ends repeat them.",
);
/// What is done about the load.
pub const LOAD_INFO: Metric = gauge(
    "calmline_load_info",
    &["load"],
    "1 for what is done about the load: normal, sparing (listening is spared), overloaded (new calls are refused, too).",
);
/// Changes of the load.
pub const LOAD_CHANGES: Metric =
    counter("calmline_load_changes_total", &["load"], "How often the load became normal, sparing, overloaded.");
/// Shares that are measured of the load.
pub const LOAD_SHARE: Metric = gauge(
    "calmline_load_ratio",
    &["measure"],
    "What is measured of the load, 0-1: cpu, backlog, queue, unsent; as in [limits.overload].",
);
/// Lateness that is measured of the load.
pub const LOAD_LATENESS: Metric =
    gauge("calmline_load_lateness_seconds", &[], "How late 5 % of the media ticks of the last 2 s ran, or later.");
/// Tick lateness.
pub const TICK_LATENESS: Metric =
    histogram("calmline_media_tick_lateness_seconds", Bounds::Packet, &[], "How late a media tick ran.");
/// Listener restarts.
pub const LISTENER_RESTARTS: Metric =
    counter("calmline_listener_restarts_total", &["cause"], "Restarts of the listening thread, by cause.");
/// Listener up.
pub const LISTENER_UP: Metric = gauge("calmline_listener_up", &[], "1 while the listening thread works, else 0.");
/// Listening backlog.
pub const LISTENING_BACKLOG: Metric =
    gauge("calmline_listening_backlog_packets", &[], "Packets that wait in the tap for the listening thread.");
/// Recognition up.
pub const RECOGNITION_UP: Metric =
    gauge("calmline_recognition_up", &[], "1 while words are heard, else 0: no library, no model, or not asked for.");
/// Recognition backlog.
pub const RECOGNITION_BACKLOG: Metric =
    gauge("calmline_recognition_backlog_seconds", &[], "Audio of all parties that waits or is being recognised.");
/// Cost of recognition.
pub const RECOGNITION_RATIO: Metric = gauge(
    "calmline_recognition_real_time_ratio",
    &[],
    "Time spent on recognising per time of audio heard, since the start.",
);
/// Audio of the recogniser.
pub const RECOGNITION_AUDIO: Metric = counter(
    "calmline_recognition_audio_seconds_total",
    &["what"],
    "Whole seconds of audio heard, decoded (speech) and dropped (too much waited), all parties.",
);
/// Recogniser restarts.
pub const RECOGNITION_RESTARTS: Metric =
    counter("calmline_recognition_restarts_total", &[], "How often the recogniser broke and another one was loaded.");
/// Stretches that nobody decoded.
pub const RECOGNITION_UNDECODED: Metric = counter(
    "calmline_recognition_undecoded_total",
    &[],
    "Stretches of speech that the recogniser took and did not decode: too much waited, or it failed on them.",
);
/// Words that were read.
pub const UTTERANCES: Metric = counter(
    "calmline_utterances_total",
    &["outcome"],
    "What parties said or typed, read as words or dropped (too much waited, or nobody listens to the party any more).",
);
/// Store up.
pub const STORE_UP: Metric = gauge(
    "calmline_store_up",
    &[],
    "1 while calls and the audit trail are written, else 0: it fails, or is not asked for.",
);
/// Size of the kept calls.
pub const STORE_BYTES: Metric = gauge("calmline_store_bytes", &[], "What the kept calls take on disk.");
/// Notices of calls.
pub const STORE_NOTICES: Metric = counter(
    "calmline_store_notices_total",
    &["outcome"],
    "Notices of calls that were kept, or dropped (too many waited, or the disk failed).",
);
/// Calls that were removed.
pub const STORE_REMOVED: Metric =
    counter("calmline_store_calls_removed_total", &[], "Kept calls that were removed for their age.");
/// Audit entries.
pub const AUDIT_ENTRIES: Metric = counter(
    "calmline_audit_entries_total",
    &["outcome"],
    "Audit entries written, lost (the disk failed, or too many waited), or late: acted on before the disk had them.",
);
/// Policies in force.
pub const POLICY_INFO: Metric =
    gauge("calmline_policy_info", &["policy"], "1 for the policies in force (name@version), 0 for earlier ones.");
/// Build.
pub const BUILD_INFO: Metric =
    gauge("calmline_build_info", &["version"], "Always 1; the label says which version runs.");

/// All of them.
pub const TABLE: &[Metric] = &[
    CALLS_STARTED,
    CALLS_REFUSED,
    CALLS_ANSWERED,
    CALLS_ENDED,
    CALLS_ACTIVE,
    FORKS,
    CHATS,
    MESSAGES_DROPPED,
    REPLIES_SUGGESTED,
    ACTIONS_NOT_POSSIBLE,
    KNOWLEDGE,
    ADVICE,
    PULLS,
    SOURCE_AGE,
    SOURCE_ROWS,
    SOURCE_COMPLETENESS,
    SOURCE_ACCURACY,
    OUTCOMES,
    ALERTS_HANDLED,
    ALERTS_ESCALATED,
    DELIVERIES,
    DELIVERIES_KEPT,
    REQUESTS_LIMITED,
    CONNECTIONS,
    CONNECTIONS_REFUSED,
    FORKED_SAMPLES,
    CALL_SETUP,
    CALL_TALK,
    CALL_ANGER_PEAK,
    OBSERVATIONS,
    INTERRUPTIONS,
    PHRASES,
    DECISIONS,
    SERVICE_SWITCHES,
    SCENARIO_TURNS,
    WARNINGS,
    BREACHES,
    GROUP_TURNS,
    KEYS,
    PROMPTS,
    REACTION,
    REROUTES,
    CALLS_REDIRECTED,
    PBX_UP,
    PBX_WAITING,
    PBX_ORDERS,
    REROUTE_ANSWER,
    REROUTE_GAP,
    SUPERVISORS,
    SUPERVISORS_ACTIVE,
    BROWSERS_ACTIVE,
    BROWSERS_REFUSED,
    BROWSERS_ENDED,
    BROWSERS_DROPPED,
    AUDIO_CLIENTS,
    AUDIO_MISSED,
    COPIES_DROPPED,
    COPIER_RESTARTS,
    CAPTURED_DROPPED,
    HEP,
    TELEMETRY,
    REINVITES,
    BYPASSES,
    SIP_REFUSED,
    SIP_CONNECTIONS,
    SIP_FAILOVERS,
    SIP_KEPT_BACK,
    SIP_RESTRAINED,
    FEEDBACK_TOLD,
    SIP_CERTIFICATES,
    RELOADS,
    DNS_TROUBLES,
    TRUNK_UP,
    TRUNK_REGISTERED,
    LEG_OPINION,
    LEG_RATING,
    LEG_ROUND_TRIP,
    LEG_JITTER,
    LEG_LOSS,
    LEG_DISCARDED,
    LEG_BURST,
    ALERTS,
    PACKETS_RELAYED,
    PACKETS_REFUSED,
    PACKETS_LOST,
    PACKETS_UNAUTHENTIC,
    UNDERRUNS,
    CONCEALED,
    HANDSHAKES,
    HANDSHAKE,
    HANDSHAKE_DATAGRAMS_DROPPED,
    MEDIA_RESTARTS,
    TAP_DROPPED,
    LOAD_INFO,
    LOAD_CHANGES,
    LOAD_SHARE,
    LOAD_LATENESS,
    TICK_LATENESS,
    LISTENER_RESTARTS,
    LISTENER_UP,
    LISTENING_BACKLOG,
    MODEL_FAILURES,
    STORE_UP,
    STORE_BYTES,
    STORE_NOTICES,
    STORE_REMOVED,
    AUDIT_ENTRIES,
    REELS,
    REELS_UP,
    REELS_BYTES,
    REEL_AUDIO,
    REELS_ENDED,
    RECOGNITION_UP,
    RECOGNITION_BACKLOG,
    RECOGNITION_RATIO,
    RECOGNITION_AUDIO,
    RECOGNITION_RESTARTS,
    RECOGNITION_UNDECODED,
    REMOTE_RECOGNITION_UP,
    REMOTE_RECOGNITION_STREAMS,
    REMOTE_RECOGNITION_CONNECTIONS,
    REMOTE_RECOGNITION_ANSWERS,
    REMOTE_RECOGNITION_AUDIO,
    UTTERANCES,
    SHADOW_DIFFERENCE,
    SHADOW_STEPS,
    SHADOW_CPU,
    POLICY_INFO,
    BUILD_INFO,
    NODE_INFO,
    NODES_HEARD,
    BUS_UP,
    BUS_EVENTS,
    BUS_RESTORES,
    ORDERS_CARRIED,
    LEASES,
    SITE_LIBRARIES,
    SITE_LIBRARIES_BEHIND,
];
