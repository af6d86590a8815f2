//! `[telemetry]`: a receiver of traces and logs by OTLP over HTTP, such as an OpenTelemetry collector.

use std::path::{Path, PathBuf};
use std::time::Duration;

use routing::section::{Section, number, whole};
use toml::Value;

use super::SecretSource;
use super::pbx::url;
use super::read::{count, path, span, variable};

/// What is told, and to whom.
#[derive(Debug, Clone, PartialEq)]
pub struct TelemetrySettings {
    /// Where the receiver's paths begin, e.g. `https://otel.example:4318`; `/v1/traces` and `/v1/logs` follow.
    pub endpoint: String,
    /// More headers, `NAME=VALUE` with commas between, when it wants any.
    pub headers: Option<SecretSource>,
    /// Whose certificates are good; the system's when nothing is said.
    pub authorities: Option<PathBuf>,
    /// The share of calls whose spans are told, 0-1.
    pub sample: f64,
    /// Whether lines of the log are told.
    pub logs: bool,
    /// Spans, and lines, that may wait.
    pub queue: usize,
    /// How long one request may take.
    pub within: Duration,
}

/// Reads the section.
pub(super) fn read_telemetry(mut section: Section<'_>, folder: &Path) -> Option<TelemetrySettings> {
    if !section.is_present() {
        section.finish();
        return None;
    }
    let endpoint = section.need("endpoint", "a URL, https:// or http://", url);
    let file = section.read("headers_file", "a file's path", path(folder)).map(SecretSource::File);
    let from = section.read("headers_env", "the name of an environment variable", variable);
    if file.is_some() && from.is_some() {
        section.fault("headers_env", "both headers_file and headers_env", "one of them");
    }
    let authorities = section.read("authorities", "a file's path", path(folder));
    let sample = section.read("sample", "a number from 0 to 1", number(0.0..=1.0)).unwrap_or(1.0);
    let logs = section.read("logs", "true or false", Value::as_bool).unwrap_or(true);
    let queue = section.read("queue", "a whole number from 64 to 100000", whole(64..=100_000)).map_or(4_096, count);
    let within = span(&mut section, "within_s", 1..=60).unwrap_or(Duration::from_secs(10));
    section.finish();
    let headers = file.or(from.map(SecretSource::Variable));
    Some(TelemetrySettings { endpoint: endpoint?, headers, authorities, sample, logs, queue, within })
}
