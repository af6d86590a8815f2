//! The program's figures for Prometheus: made from notices and from named calls of the shell.
//!
//! Knows no web server: `render` makes the text, whoever serves it. No global recorder: two servers in one
//! process keep their figures apart. All metrics stand in one table.

mod api;
mod begun;
mod bounds;
mod browsers;
mod elsewhere;
mod exemplars;
mod knowledge;
mod legs;
mod media;
mod models;
mod mood;
mod reels;
mod shadow;
mod site;
mod sources;
mod store;
mod table;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::control::{Load, Measured};
use crate::notice::{Notice, PhraseHeard, What};
use crate::settings::Measure;
use crate::shell::listen::UtteranceFigures;
use crate::shell::recognize::RecognizingFigures;
pub use bounds::Bounds;
pub use browsers::{BrowserEnd, BrowserRefusal, CountedBrowser};
use exemplars::Exemplars;
pub use media::MediaCounts;
use table::{
    ACTIONS_NOT_POSSIBLE, ALERTS, ALERTS_ESCALATED, ALERTS_HANDLED, AUDIO_CLIENTS, AUDIO_MISSED, BUILD_INFO, BYPASSES,
    CALL_ANGER_PEAK, CALL_SETUP, CALL_TALK, CALLS_ACTIVE, CALLS_ANSWERED, CALLS_ENDED, CALLS_REDIRECTED, CALLS_REFUSED,
    CALLS_STARTED, CHATS, COPIER_RESTARTS, COPIES_DROPPED, DECISIONS, DELIVERIES, DELIVERIES_KEPT, DNS_TROUBLES,
    FEEDBACK_TOLD, FORKED_SAMPLES, FORKS, HANDSHAKE, HANDSHAKE_DATAGRAMS_DROPPED, HANDSHAKES, INTERRUPTIONS, KEYS,
    LISTENER_RESTARTS, LISTENER_UP, LISTENING_BACKLOG, LOAD_CHANGES, LOAD_INFO, LOAD_LATENESS, LOAD_SHARE,
    MESSAGES_DROPPED, OBSERVATIONS, OUTCOMES, PBX_ORDERS, PBX_UP, PBX_WAITING, PHRASES, POLICY_INFO, PROMPTS, REACTION,
    RECOGNITION_AUDIO, RECOGNITION_BACKLOG, RECOGNITION_RATIO, RECOGNITION_RESTARTS, RECOGNITION_UNDECODED,
    RECOGNITION_UP, REINVITES, RELOADS, REPLIES_SUGGESTED, REROUTE_ANSWER, REROUTE_GAP, REROUTES, SIP_CERTIFICATES,
    SIP_CONNECTIONS, SIP_FAILOVERS, SIP_KEPT_BACK, SIP_REFUSED, SIP_RESTRAINED, SUPERVISORS, SUPERVISORS_ACTIVE,
    TICK_LATENESS, TRUNK_REGISTERED, TRUNK_UP, UTTERANCES,
};
pub use table::{Kind, Metric, TABLE};

/// Values one label of one metric may take; further ones are counted as `other`.
pub const LABEL_VALUES_MAX: usize = 64;
/// Bytes of one label value; longer ones are cut.
pub const LABEL_BYTES_MAX: usize = 64;
/// Histogram values between two clean-ups of the recorder's buffers.
const UPKEEP_EVERY: u64 = 1_024;

/// The handle everybody counts through; clones share the figures.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    label_values: Mutex<BTreeMap<(&'static str, &'static str), BTreeSet<String>>>,
    policies: Mutex<BTreeSet<String>>,
    histogram_values: AtomicU64,
    /// By party, milliseconds.
    concealed_ms: Mutex<BTreeMap<String, u64>>,
    exemplars: Exemplars,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics described; those without labels, and those that alert rules watch, stand at zero.
    pub fn new() -> Self {
        let mut builder = PrometheusBuilder::new();
        for metric in TABLE {
            if let Kind::Histogram(bounds) = metric.kind {
                builder = builder
                    .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds.upper())
                    .expect("bucket sets are not empty");
            }
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let metrics = Self {
            inner: Arc::new(Inner {
                recorder,
                handle,
                label_values: Mutex::default(),
                policies: Mutex::default(),
                histogram_values: AtomicU64::new(0),
                concealed_ms: Mutex::default(),
                exemplars: Exemplars::default(),
            }),
        };
        metrics.describe_all();
        metrics.begin_series();
        metrics.gauge(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        metrics
    }

    /// The figures in Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        self.inner.handle.render()
    }

    /// Counts what a notice says. Every notice once.
    pub fn observe(&self, notice: &Notice) {
        let call = &notice.call;
        match &notice.what {
            What::CallStarted { .. } => {
                self.count(&CALLS_STARTED, &[], 1);
                self.gauge(&CALLS_ACTIVE, &[]).increment(1.0);
            }
            What::CallRefused { code, .. } => self.count(&CALLS_REFUSED, &[&code.to_string()], 1),
            What::CallRedirected { target, .. } => self.count(&CALLS_REDIRECTED, &[target], 1),
            What::LoadChanged { load, .. } => self.count(&LOAD_CHANGES, &[load], 1),
            What::CallAnswered { .. } => self.observe_answer(call, &notice.what),
            What::CallForked { source, again: false, .. } => self.count(&FORKS, &[source], 1),
            What::CallForked { again: true, .. } | What::ForkPaused { .. } | What::PriorityChanged(_) => {}
            What::ChatOpened { .. }
            | What::MessageDropped { .. }
            | What::ReplySuggested { .. }
            | What::AnswersSuggested(_)
            | What::NotPossible { .. }
            | What::OutcomeTold(_)
            | What::AlertHandled(_)
            | What::AlertEscalated(_) => self.observe_chat(&notice.what),
            What::Observed { party, level, .. } => self.count(&OBSERVATIONS, &[party, level], 1),
            What::Interrupted { party, .. } => self.count(&INTERRUPTIONS, &[party], 1),
            What::Conversation { .. }
            | What::Consent { .. }
            | What::TicketAsked(_)
            | What::LanguageFound(_)
            | What::SupervisorChanged { .. } => {}
            What::Said { party, is_final, phrases, crosstalk, .. } => {
                self.count_phrases(party, phrases, *is_final && !crosstalk);
            }
            What::Decided { rule, .. } => self.count(&DECISIONS, &[rule], 1),
            What::ServiceSwitched { .. }
            | What::ComplianceBreached(_)
            | What::ScenarioTurned(_)
            | What::GroupTurned(_)
            | What::EscalationLikely { .. } => self.observe_mood(&notice.what),
            What::KeyPressed { party, way, .. } => self.count(&KEYS, &[party, way], 1),
            What::SecureInput { .. } | What::FactsTold { .. } | What::PbxDone { .. } | What::PbxFailed { .. } => {}
            What::HandshakeDone { took_ms, .. } => {
                self.count(&HANDSHAKES, &["done"], 1);
                self.record_ms_of(call, &HANDSHAKE, &[], *took_ms);
            }
            What::HandshakeFailed { failure, .. } => self.count(&HANDSHAKES, &[failure], 1),
            What::CodecAsked { party, outcome, .. } => self.count(&REINVITES, &[party, outcome], 1),
            What::Bypassed { .. } | What::BypassFailed { .. } | What::BypassEnded { .. } => {
                self.observe_bypass(&notice.what);
            }
            What::PromptStarted { .. } | What::PromptEnded { .. } | What::PromptFailed { .. } => {
                self.observe_prompt(call, &notice.what);
            }
            What::RerouteStarted { .. } | What::Rerouted { .. } | What::RerouteFailed { .. } => {
                self.observe_reroute(call, &notice.what);
            }
            What::LegEnded(report) => self.observe_leg(call, report),
            What::Alert { severity, .. } => self.count(&ALERTS, &[severity], 1),
            What::SupervisorCalled { .. }
            | What::SupervisorJoined { .. }
            | What::SupervisorLeft { .. }
            | What::SupervisorFailed { .. } => self.observe_supervisor(&notice.what),
            What::AudioOpened { .. } => self.gauge(&AUDIO_CLIENTS, &[]).increment(1.0),
            What::AudioMissed { missed_ms, .. } => self.count(&AUDIO_MISSED, &[], missed_ms / 20),
            What::AudioClosed { .. } => self.gauge(&AUDIO_CLIENTS, &[]).decrement(1.0),
            What::CallEnded { .. } => self.observe_end(call, &notice.what),
        }
    }

    fn observe_answer(&self, call: &str, what: &What) {
        let What::CallAnswered { setup_ms, uncalled, .. } = what else { return };
        self.count(&CALLS_ANSWERED, &[], 1);
        if !uncalled {
            self.record_ms_of(call, &CALL_SETUP, &[], *setup_ms);
        }
    }

    fn observe_end(&self, call: &str, what: &What) {
        let What::CallEnded { reason, talk_ms, peak_anger, .. } = what else { return };
        self.count(&CALLS_ENDED, &[reason], 1);
        self.gauge(&CALLS_ACTIVE, &[]).decrement(1.0);
        self.count(&CALL_TALK, &[], talk_ms / 1_000);
        self.record_of(call, &CALL_ANGER_PEAK, &[], f64::from(*peak_anger));
    }

    /// Counts what became of an attempt to tell a system outside.
    pub fn count_delivery(&self, crm: &str, outcome: &str) {
        self.count(&DELIVERIES, &[crm, outcome], 1);
    }

    /// Says how many deliveries wait, and how many were set aside.
    pub fn set_deliveries(&self, waiting: usize, set_aside: usize) {
        self.gauge(&DELIVERIES_KEPT, &["waiting"]).set(waiting as f64);
        self.gauge(&DELIVERIES_KEPT, &["set_aside"]).set(set_aside as f64);
    }

    /// Adds what became of the audio of one voice of a stream that is over.
    pub fn count_forked_audio(&self, figures: forks::pacing::Figures) {
        let forks::pacing::Figures { taken, dropped, skipped } = figures;
        for (what, samples) in [("taken", taken), ("dropped", dropped), ("skipped", skipped)] {
            self.count(&FORKED_SAMPLES, &[what], samples);
        }
    }

    /// A datagram of a handshake was dropped because too many wait.
    pub fn count_handshake_datagram_dropped(&self) {
        self.count(&HANDSHAKE_DATAGRAMS_DROPPED, &[], 1);
    }

    /// A message or connection was refused.
    pub fn count_sip_refused(&self, reason: &str) {
        self.count(&SIP_REFUSED, &[reason], 1);
    }

    /// A call is sent to the next place of its target.
    pub fn count_failover(&self) {
        self.count(&SIP_FAILOVERS, &[], 1);
    }

    /// A call is not sent to a server that has asked for fewer.
    pub fn count_kept_back(&self, reason: &str) {
        self.count(&SIP_KEPT_BACK, &[reason], 1);
    }

    /// How many servers ask for fewer calls, or none.
    pub fn set_servers_restrained(&self, servers: usize) {
        self.gauge(&SIP_RESTRAINED, &[]).set(servers as f64);
    }

    /// What share of new calls trunks are told to keep back, in percent.
    pub fn set_feedback_told(&self, percent: u32) {
        self.gauge(&FEEDBACK_TOLD, &[]).set(f64::from(percent) / 100.0);
    }

    /// Certificate files had changed.
    pub fn count_certificates(&self, outcome: &str) {
        self.count(&SIP_CERTIFICATES, &[outcome], 1);
    }

    /// The configuration was read again: `taken`, or `refused`.
    pub fn count_reload(&self, outcome: &str) {
        self.count(&RELOADS, &[outcome], 1);
    }

    /// A question to the DNS had no answer.
    pub fn count_dns(&self, outcome: &str) {
        self.count(&DNS_TROUBLES, &[outcome], 1);
    }

    /// How many SIP connections are up.
    pub fn set_sip_connections(&self, count: usize) {
        self.gauge(&SIP_CONNECTIONS, &[]).set(count as f64);
    }

    /// Whether a trunk answers, and whether we are registered there; what is not known is not shown.
    pub fn set_trunk(&self, trunk: &str, up: Option<bool>, registered: Option<bool>) {
        for (metric, value) in [(&TRUNK_UP, up), (&TRUNK_REGISTERED, registered)] {
            if let Some(value) = value {
                self.gauge(metric, &[trunk]).set(f64::from(u8::from(value)));
            }
        }
    }

    /// There is no trunk of that name any more.
    pub fn forget_trunk(&self, trunk: &str) {
        for metric in [&TRUNK_UP, &TRUNK_REGISTERED] {
            self.gauge(metric, &[trunk]).set(known(None));
        }
    }

    /// How late a media tick ran.
    pub fn record_tick_lateness(&self, lateness: Duration) {
        self.record(&TICK_LATENESS, &[], lateness.as_secs_f64());
    }

    /// What was measured of the load, and what is done about it.
    pub fn set_load(&self, load: Load, measured: &Measured) {
        for each in Load::ALL {
            self.gauge(&LOAD_INFO, &[each.as_str()]).set(f64::from(u8::from(each == load)));
        }
        for measure in Measure::ALL {
            let value = f64::from(measured.of(measure));
            match measure.key().strip_suffix("_percent") {
                Some(share) => self.gauge(&LOAD_SHARE, &[share]).set(value / 100.0),
                None => self.gauge(&LOAD_LATENESS, &[]).set(value / 1_000.0),
            }
        }
    }

    /// Packets that live copies of calls did not get since the last report.
    pub fn count_copies_dropped(&self, packets: u64) {
        self.count(&COPIES_DROPPED, &[], packets);
    }

    /// The copying thread began anew.
    pub fn count_copier_restart(&self) {
        self.count(&COPIER_RESTARTS, &[], 1);
    }

    /// The listening thread was started anew; `cause` is one of a few words, e.g. `panic`, `stall`.
    pub fn count_listener_restart(&self, cause: &str) {
        self.count(&LISTENER_RESTARTS, &[cause], 1);
    }

    /// Whether the listening thread works.
    pub fn set_listener_up(&self, up: bool) {
        self.gauge(&LISTENER_UP, &[]).set(if up { 1.0 } else { 0.0 });
    }

    /// Whether a PBX takes orders; nothing when there is none of that name any more.
    pub fn set_pbx_up(&self, pbx: &str, up: Option<bool>) {
        self.gauge(&PBX_UP, &[pbx]).set(known(up));
    }

    /// Orders that wait for a PBX to be reached.
    pub fn set_pbx_waiting(&self, pbx: &str, orders: usize) {
        self.gauge(&PBX_WAITING, &[pbx]).set(orders as f64);
    }

    /// An order to a PBX has come to its end; `outcome` is one of a few words.
    pub fn count_pbx_order(&self, pbx: &str, outcome: &str) {
        self.count(&PBX_ORDERS, &[pbx, outcome], 1);
    }

    /// Whether words are heard, and what that costs.
    pub fn set_recognition(&self, up: bool, figures: &RecognizingFigures) {
        let RecognizingFigures { heard, decoded, busy, backlog, dropped, undecoded, restarts } = figures;
        self.counter(&RECOGNITION_RESTARTS, &[]).absolute(*restarts);
        self.counter(&RECOGNITION_UNDECODED, &[]).absolute(*undecoded);
        self.gauge(&RECOGNITION_UP, &[]).set(f64::from(u8::from(up)));
        self.gauge(&RECOGNITION_BACKLOG, &[]).set(backlog.as_secs_f64());
        let ratio = busy.as_secs_f64() / heard.as_secs_f64().max(f64::MIN_POSITIVE);
        self.gauge(&RECOGNITION_RATIO, &[]).set(if heard.is_zero() { 0.0 } else { ratio });
        let seconds = [("heard", heard), ("decoded", decoded), ("dropped", dropped)];
        seconds
            .into_iter()
            .for_each(|(what, so_far)| self.counter(&RECOGNITION_AUDIO, &[what]).absolute(so_far.as_secs()));
    }

    /// What has become of what parties said or typed.
    pub fn set_utterances(&self, &UtteranceFigures { read, dropped }: &UtteranceFigures) {
        let figures = [("read", read), ("dropped", dropped)];
        figures.into_iter().for_each(|(what, so_far)| self.counter(&UTTERANCES, &[what]).absolute(so_far));
    }

    /// Packets that wait in the tap.
    pub fn set_listening_backlog(&self, packets: usize) {
        self.gauge(&LISTENING_BACKLOG, &[]).set(packets as f64);
    }

    /// The policies in force, each as `name@version`; replaces those of an earlier call.
    pub fn set_policies(&self, policies: &[&str]) {
        let mut known = self.inner.policies.lock().unwrap_or_else(PoisonError::into_inner);
        for old in known.iter().filter(|old| !policies.contains(&old.as_str())) {
            self.gauge(&POLICY_INFO, &[old]).set(0.0);
        }
        for policy in policies {
            self.gauge(&POLICY_INFO, &[policy]).set(1.0);
        }
        *known = policies.iter().map(|&policy| policy.to_owned()).collect();
    }

    fn observe_supervisor(&self, what: &What) {
        let (step, change) = match what {
            What::SupervisorCalled { .. } => ("called", 0.0),
            What::SupervisorJoined { .. } => ("joined", 1.0),
            What::SupervisorLeft { .. } => ("left", -1.0),
            _ => ("failed", 0.0),
        };
        self.count(&SUPERVISORS, &[step], 1);
        self.gauge(&SUPERVISORS_ACTIVE, &[]).increment(change);
    }

    fn count_phrases(&self, party: &str, phrases: &[PhraseHeard], is_final: bool) {
        let whole = phrases.iter().filter(|_| is_final);
        whole.for_each(|phrase| self.count(&PHRASES, &[party, &phrase.intent], 1));
    }

    fn observe_chat(&self, what: &What) {
        match what {
            What::ChatOpened { .. } => self.count(&CHATS, &[], 1),
            What::MessageDropped { why, .. } => self.count(&MESSAGES_DROPPED, &[why], 1),
            What::ReplySuggested { .. } => self.count(&REPLIES_SUGGESTED, &[], 1),
            What::NotPossible { .. } => self.count(&ACTIONS_NOT_POSSIBLE, &[], 1),
            What::OutcomeTold(_) => self.count(&OUTCOMES, &[], 1),
            What::AlertHandled(deed) => self.count(&ALERTS_HANDLED, &[&deed.deed], 1),
            What::AlertEscalated(told) => self.count(&ALERTS_ESCALATED, &[&told.severity], 1),
            _ => {}
        }
    }

    fn observe_bypass(&self, what: &What) {
        let (outcome, by) = match what {
            What::Bypassed { by, .. } => ("done", by),
            What::BypassFailed { by, .. } => ("failed", by),
            What::BypassEnded { by, .. } => ("ended", by),
            _ => return,
        };
        self.count(&BYPASSES, &[outcome, by], 1);
    }

    fn observe_prompt(&self, call: &str, what: &What) {
        let outcome = match what {
            What::PromptStarted { reaction_ms, .. } => {
                self.record_ms_of(call, &REACTION, &[], *reaction_ms);
                "started"
            }
            What::PromptEnded { completed: true, .. } => "completed",
            What::PromptEnded { .. } => "cut",
            _ => "failed",
        };
        self.count(&PROMPTS, &[outcome], 1);
    }

    fn observe_reroute(&self, call: &str, what: &What) {
        let (via, outcome) = match what {
            What::RerouteStarted { via, .. } => (via, "started"),
            What::Rerouted { via, answer_ms, gap_ms, .. } => {
                self.record_ms_of(call, &REROUTE_ANSWER, &[via], *answer_ms);
                if let Some(gap_ms) = gap_ms {
                    self.record_ms_of(call, &REROUTE_GAP, &[via], *gap_ms);
                }
                (via, "done")
            }
            What::RerouteFailed { via, .. } => (via, "failed"),
            _ => return,
        };
        self.count(&REROUTES, &[via, outcome], 1);
    }

    fn describe_all(&self) {
        for metric in TABLE {
            let name = metric.name.into();
            let unit = metric.name.contains("_seconds").then_some(Unit::Seconds);
            let help = metric.help.into();
            match metric.kind {
                Kind::Counter => self.inner.recorder.describe_counter(name, unit, help),
                Kind::Gauge => self.inner.recorder.describe_gauge(name, unit, help),
                Kind::Histogram(_) => self.inner.recorder.describe_histogram(name, unit, help),
            }
            if metric.labels.is_empty() {
                match metric.kind {
                    Kind::Counter => self.counter(metric, &[]).increment(0),
                    Kind::Gauge => self.gauge(metric, &[]).set(0.0),
                    Kind::Histogram(_) => drop(self.histogram(metric, &[])),
                }
            }
        }
    }

    fn count(&self, metric: &Metric, labels: &[&str], by: u64) {
        self.counter(metric, labels).increment(by);
    }

    fn record(&self, metric: &Metric, labels: &[&str], value: f64) {
        self.record_by(&self.key(metric, labels), value);
    }

    fn record_by(&self, key: &Key, value: f64) {
        self.inner.recorder.register_histogram(key, &METADATA).record(value);
        let values = self.inner.histogram_values.fetch_add(1, Ordering::Relaxed);
        if values % UPKEEP_EVERY == UPKEEP_EVERY - 1 {
            self.inner.handle.run_upkeep();
        }
    }

    fn counter(&self, metric: &Metric, labels: &[&str]) -> Counter {
        self.inner.recorder.register_counter(&self.key(metric, labels), &METADATA)
    }

    fn gauge(&self, metric: &Metric, labels: &[&str]) -> Gauge {
        self.inner.recorder.register_gauge(&self.key(metric, labels), &METADATA)
    }

    fn histogram(&self, metric: &Metric, labels: &[&str]) -> Histogram {
        self.inner.recorder.register_histogram(&self.key(metric, labels), &METADATA)
    }

    fn key(&self, metric: &Metric, values: &[&str]) -> Key {
        debug_assert_eq!(metric.labels.len(), values.len(), "{} needs a value per label", metric.name);
        let labels: Vec<Label> = metric
            .labels
            .iter()
            .zip(values)
            .map(|(&label, &value)| Label::new(label, self.bounded(metric.name, label, value)))
            .collect();
        Key::from_parts(metric.name, labels)
    }

    /// The value itself while the label has few, `other` afterwards.
    fn bounded(&self, metric: &'static str, label: &'static str, value: &str) -> String {
        let value = &value[..value.floor_char_boundary(LABEL_BYTES_MAX)];
        let mut all = self.inner.label_values.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry((metric, label)).or_default();
        if known.contains(value) {
            return value.to_owned();
        }
        if known.len() >= LABEL_VALUES_MAX {
            return "other".to_owned();
        }
        known.insert(value.to_owned());
        value.to_owned()
    }
}

/// 1 or 0; no number when it is not known, which no alarm takes for either.
fn known(flag: Option<bool>) -> f64 {
    flag.map_or(f64::NAN, |flag| f64::from(u8::from(flag)))
}

const METADATA: Metadata<'static> = Metadata::new("calmline", Level::INFO, None);

#[cfg(test)]
mod tests;
