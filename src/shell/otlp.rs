//! Tells a receiver of spans and of lines of the log, by OTLP over HTTP (protobuf). Nothing waits for it.
//!
//! What finds no room in the queue is left out and counted. A request that fails for a while is tried again; what is queued
//! meanwhile is bounded.

use std::future::Future;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tracing::{Level, info, warn};

use super::clock::since_1970;
use super::pbx::client;
use super::sip::client_by;
use crate::log::{Line, Lines};
use crate::metrics::Metrics;
use crate::notice::Notice;
use crate::settings::{SecretSource, TelemetrySettings};
use crate::telemetry::{Recorder, nanos, text, trace_of};

/// What goes into one request at most.
const BATCH_MAX: usize = 512;
/// How long the first of a batch waits for others.
const GATHERING: Duration = Duration::from_secs(1);
/// Pauses before a batch is tried again.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(10)];

/// The way to a receiver. It is told what is queued, and no more, once this is dropped.
#[derive(Debug)]
pub struct Otlp {
    recorder: Recorder,
    spans: Sender<Span>,
    lines: Lines,
    metrics: Metrics,
}

impl Otlp {
    /// Begins to tell, as the node of this name. Runs on the current tokio runtime.
    ///
    /// # Errors
    /// What is not to be had: headers, authorities, or a client.
    pub fn start(settings: &TelemetrySettings, node: &str, lines: Lines, metrics: &Metrics) -> Result<Self, String> {
        let by = client_by(settings.authorities.as_deref()).map_err(|error| error.to_string())?;
        let to = |path: &str, signal| {
            Ok::<_, String>(Receiving {
                client: client(&by)?,
                url: format!("{}{path}", settings.endpoint),
                headers: headers(settings.headers.as_ref())?,
                within: settings.within,
                signal,
                metrics: metrics.clone(),
                pauses: &PAUSES,
                is_heard: true,
            })
        };
        let resource = resource(node);
        let (spans, inlet) = mpsc::channel(settings.queue);
        let of_spans = resource.clone();
        tokio::spawn(to("/v1/traces", "traces")?.run(inlet, move |batch| traces(&of_spans, batch)));
        if settings.logs {
            let (follower, inlet) = mpsc::channel(settings.queue);
            tokio::spawn(to("/v1/logs", "logs")?.run(inlet, move |batch| logs(&resource, &batch)));
            lines.follow(follower);
        }
        info!(sample = settings.sample, logs = settings.logs, "OTLP");
        Ok(Self { recorder: Recorder::new(settings.sample), spans, lines, metrics: metrics.clone() })
    }

    /// Something has happened to a call.
    pub fn tell(&mut self, notice: &Notice) {
        for span in self.recorder.take(since_1970(), notice) {
            if self.spans.try_send(span).is_err() {
                self.metrics.count_told("traces", "dropped", 1);
            }
        }
        let dropped = self.lines.take_dropped();
        if dropped > 0 {
            self.metrics.count_told("logs", "dropped", dropped);
        }
    }
}

/// One path of a receiver.
struct Receiving {
    client: reqwest::Client,
    url: String,
    headers: HeaderMap,
    within: Duration,
    signal: &'static str,
    metrics: Metrics,
    /// Before each further try.
    pauses: &'static [Duration],
    /// Whether the last request was taken, so that the log says once that it was not.
    is_heard: bool,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Taken,
    Later(String),
    Never(String),
}

impl Receiving {
    async fn run<T>(mut self, mut inlet: Receiver<T>, encode: impl Fn(Vec<T>) -> Vec<u8>) {
        let mut batch = Vec::new();
        while inlet.recv_many(&mut batch, BATCH_MAX).await > 0 {
            if batch.len() < BATCH_MAX {
                tokio::time::sleep(GATHERING).await;
                while batch.len() < BATCH_MAX
                    && let Ok(one) = inlet.try_recv()
                {
                    batch.push(one);
                }
            }
            let count = batch.len() as u64;
            let body = encode(std::mem::take(&mut batch));
            let outcome = self.deliver(&body).await;
            self.metrics.count_told(self.signal, outcome, count);
        }
    }

    /// Posts until it is taken, refused for good, or tried often enough.
    async fn deliver(&mut self, body: &[u8]) -> &'static str {
        for pause in self.pauses.iter().map(Some).chain([None]) {
            let why = match self.post(body).await {
                Answer::Taken => {
                    self.is_heard = true;
                    return "sent";
                }
                Answer::Never(why) => {
                    self.complain(&why);
                    return "failed";
                }
                Answer::Later(why) => why,
            };
            self.complain(&why);
            match pause {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => break,
            }
        }
        "failed"
    }

    fn complain(&mut self, why: &str) {
        if std::mem::replace(&mut self.is_heard, false) {
            warn!(signal = self.signal, why, "the receiver of telemetry takes nothing");
        }
    }

    fn post(&self, body: &[u8]) -> impl Future<Output = Answer> + Send + 'static {
        let request = self
            .client
            .post(&self.url)
            .timeout(self.within)
            .headers(self.headers.clone())
            .header("Content-Type", "application/x-protobuf")
            .body(body.to_vec());
        async move {
            match request.send().await {
                Ok(answer) if answer.status().is_success() => Answer::Taken,
                // OTLP names the ones that are worth another try.
                Ok(answer) => match answer.status().as_u16() {
                    status @ (429 | 502 | 503 | 504) => Answer::Later(format!("status {status}")),
                    status => Answer::Never(format!("status {status}")),
                },
                Err(error) => Answer::Later(super::pbx::in_words(&error)),
            }
        }
    }
}

/// `NAME=VALUE` with commas between.
fn headers(source: Option<&SecretSource>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let Some(source) = source else { return Ok(headers) };
    for pair in source.fetch()?.reveal().split(',') {
        let wrong = || "headers: expected NAME=VALUE with commas between, found something else".to_owned();
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let mut value: HeaderValue = value.trim().parse().map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn resource(node: &str) -> Resource {
    let plain = |key: &str, value: &str| {
        let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
        KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
    };
    let attributes = vec![
        plain("service.name", "calmline"),
        plain("service.version", env!("CARGO_PKG_VERSION")),
        plain("service.instance.id", node),
    ];
    Resource { attributes, ..Resource::default() }
}

fn scope() -> Option<InstrumentationScope> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Some(InstrumentationScope { name: "calmline".to_owned(), version, ..InstrumentationScope::default() })
}

fn traces(resource: &Resource, spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: Some(resource.clone()), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn logs(resource: &Resource, lines: &[Line]) -> Vec<u8> {
    let log_records = lines.iter().map(record).collect();
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: Some(resource.clone()), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// A line about a call carries the call's trace, whether that is told or not.
fn record(line: &Line) -> LogRecord {
    let severity = match line.level {
        Level::ERROR => SeverityNumber::Error,
        Level::WARN => SeverityNumber::Warn,
        Level::INFO => SeverityNumber::Info,
        Level::DEBUG => SeverityNumber::Debug,
        Level::TRACE => SeverityNumber::Trace,
    };
    let fields = line.fields.iter().map(|(name, value)| text(name, value));
    LogRecord {
        time_unix_nano: nanos(line.at),
        observed_time_unix_nano: nanos(line.at),
        severity_number: severity as i32,
        severity_text: line.level.to_string(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(line.message.clone())) }),
        attributes: std::iter::once(text("target", &line.target)).chain(fields).collect(),
        trace_id: line.call().map(|call| trace_of(call).to_vec()).unwrap_or_default(),
        ..LogRecord::default()
    }
}

#[cfg(test)]
mod tests;
