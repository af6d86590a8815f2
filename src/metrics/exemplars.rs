//! One call for each bucket of a histogram, so that a figure leads to a call and its trace: exemplars of OpenMetrics 1.0.
//!
//! The library that keeps the figures knows no exemplars; they are kept here, and put into the text that it writes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::Label;

use super::table::{Kind, Metric};
use super::{LABEL_BYTES_MAX, Metrics};
use crate::shell::clock::since_1970;
use crate::telemetry::trace_of;

/// Buckets that have an exemplar at a time; further ones get none.
const EXEMPLARS_MAX: usize = 4_096;

/// The last call of each bucket.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<BTreeMap<Place, Exemplar>>);

/// A bucket: the metric, its labels as they are written, and which one.
type Place = (&'static str, String, usize);

#[derive(Debug, Clone)]
struct Exemplar {
    call: String,
    value: f64,
    at: Duration,
}

impl Exemplars {
    fn keep(&self, metric: &Metric, labels: String, call: &str, value: f64) {
        let Kind::Histogram(bounds) = metric.kind else { return };
        let bucket = bounds.upper().partition_point(|upper| *upper < value);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (metric.name, labels, bucket);
        if kept.len() < EXEMPLARS_MAX || kept.contains_key(&place) {
            let call = call[..call.floor_char_boundary(LABEL_BYTES_MAX)].to_owned();
            kept.insert(place, Exemplar { call, value, at: since_1970() });
        }
    }
}

impl Metrics {
    /// Records a value of a call, which becomes the exemplar of its bucket.
    pub(super) fn record_of(&self, call: &str, metric: &Metric, labels: &[&str], value: f64) {
        let key = self.key(metric, labels);
        self.record_by(&key, value);
        let written = |label: &Label| format!("{}=\"{}\"", label.key(), escaped(label.value()));
        let written: Vec<String> = key.labels().map(written).collect();
        self.inner.exemplars.keep(metric, written.join(","), call, value);
    }

    /// [`record_of`](Self::record_of), of milliseconds.
    pub(super) fn record_ms_of(&self, call: &str, metric: &Metric, labels: &[&str], milliseconds: u64) {
        self.record_of(call, metric, labels, milliseconds as f64 / 1_000.0);
    }

    /// The figures in the text format of OpenMetrics 1.0, with exemplars: `trace_id` and `call`.
    pub fn render_open(&self) -> String {
        let text = self.render();
        let kept = self.inner.exemplars.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut open = String::with_capacity(text.len() + kept.len() * 128);
        let mut bucket = 0;
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(about) = line.strip_prefix("# ") {
                open.push_str(&described(about));
            } else {
                open.push_str(line);
                if let Some((name, labels)) = bucket_of(line) {
                    if let Some(exemplar) = kept.get(&(name, labels.to_owned(), bucket)) {
                        exemplar.write(&mut open);
                    }
                    bucket += 1;
                } else {
                    bucket = 0;
                }
            }
            open.push('\n');
        }
        open + "# EOF\n"
    }
}

impl Exemplar {
    fn write(&self, open: &mut String) {
        let Self { call, value, at } = self;
        let trace = u128::from_be_bytes(trace_of(call));
        let (call, at) = (escaped(call), at.as_secs_f64());
        // Writing to a string cannot fail.
        let _ = write!(open, " # {{trace_id=\"{trace:032x}\",call=\"{call}\"}} {value} {at:.3}");
    }
}

/// `HELP` or `TYPE` of a family: OpenMetrics calls a counter what stands before its `_total`.
fn described(about: &str) -> String {
    let mut parts = about.splitn(3, ' ');
    let mut part = || parts.next().unwrap_or_default();
    let (keyword, name, rest) = (part(), part(), part());
    let family = name.strip_suffix("_total").unwrap_or(name);
    let rest = if keyword == "HELP" { rest.replace('"', "\\\"") } else { rest.to_owned() };
    format!("# {keyword} {family} {rest}")
}

/// The histogram that a line is a bucket of, and its labels without the bound; bounds are written last.
fn bucket_of(line: &str) -> Option<(&'static str, &str)> {
    let (name, rest) = line.split_once("_bucket{")?;
    let (labels, _) = rest.rsplit_once("le=\"")?;
    let metric = super::TABLE.iter().find(|metric| metric.name == name)?;
    Some((metric.name, labels.strip_suffix(',').unwrap_or(labels)))
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::table::{CALL_SETUP, REROUTE_ANSWER};
    use super::*;

    #[test]
    fn a_value_leads_to_its_call() {
        let metrics = Metrics::new();
        metrics.record_ms_of("call-1", &CALL_SETUP, &[], 120);
        metrics.record_ms_of("call-2", &CALL_SETUP, &[], 130);
        metrics.record_ms_of("call-3", &CALL_SETUP, &[], 60_000);
        metrics.record_ms_of("call-4", &REROUTE_ANSWER, &["a \"b\" \\ c"], 5);
        let text = metrics.render_open();
        let trace = |call| format!("trace_id=\"{:032x}\"", u128::from_be_bytes(trace_of(call)));
        for (bucket, call, value) in [
            ("calmline_call_setup_seconds_bucket{le=\"0.25\"} 2", "call-2", "0.13"),
            ("calmline_call_setup_seconds_bucket{le=\"+Inf\"} 3", "call-3", "60"),
            (r#"calmline_reroute_answer_seconds_bucket{via="a \"b\" \\ c",le="0.005"} 1"#, "call-4", "0.005"),
        ] {
            let expected = format!("{bucket} # {{{},call=\"{call}\"}} {value} ", trace(call));
            assert!(text.lines().any(|line| line.starts_with(&expected)), "no {expected} in\n{text}");
        }
        assert_eq!(text.matches(" # {").count(), 3, "one of each bucket\n{text}");
        assert!(!metrics.render().contains("call-"), "the older format knows none");
    }

    #[test]
    fn the_text_is_of_openmetrics() {
        let text = Metrics::new().render_open();
        assert!(text.ends_with("\n# EOF\n") && !text.contains("\n\n"), "{text}");
        for expected in ["# TYPE calmline_calls_started counter\n", "\ncalmline_calls_started_total 0\n"] {
            assert!(text.contains(expected), "no {expected} in\n{text}");
        }
        let families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(families.iter().all(|family| !family.contains("_total ")), "{families:?}");
    }

    #[test]
    fn there_are_only_so_many() {
        let exemplars = Exemplars::default();
        for number in 0..EXEMPLARS_MAX + 10 {
            exemplars.keep(&CALL_SETUP, format!("n=\"{number}\""), "call-1", 0.1);
        }
        exemplars.keep(&CALL_SETUP, "n=\"0\"".to_owned(), "call-2", 0.1);
        let kept = exemplars.0.lock().expect("nobody has failed");
        assert_eq!(kept.len(), EXEMPLARS_MAX);
        assert!(kept.values().any(|exemplar| exemplar.call == "call-2"), "known buckets go on");
    }
}
