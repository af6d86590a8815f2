//! What the demo reports in the end: one row per call, as a table and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

/// The whole demo.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// One entry per call, in the order they were made.
    pub calls: Vec<CallSummary>,
    /// Alerts that reached the subscribed supervisor client.
    pub alerts_received: usize,
    /// `model` or `signal_only`: what judged the voice.
    pub listening: String,
    /// The recogniser that heard words, or that there was none, and why.
    pub words: String,
    /// What the server's own counters say, by metric.
    pub metrics: BTreeMap<String, f64>,
}

/// One call.
#[derive(Debug, Clone, Serialize)]
pub struct CallSummary {
    /// `calm`, `angry`, or the recording's file name.
    pub name: String,
    /// The server's id of the call.
    pub call: String,
    /// From answer to end, seconds.
    pub duration_s: f64,
    /// The emotion at the caller's peak.
    pub peak_emotion: String,
    /// Highest level of anger.
    pub peak_level: String,
    /// Highest smoothed probability of anger, 0-1.
    pub peak_anger: f32,
    /// The rule that did something to the call, with policy and version; `null` when none fired.
    pub decision: Option<String>,
    /// From the moment the caller had said what first reached the rule's level to the prompt in the caller's ear, ms.
    pub reaction_ms: Option<u64>,
    /// From the recording's known change of mood to that moment, ms; only for the built-in angry caller.
    pub onset_to_level_ms: Option<u64>,
    /// The caller ended up with the human.
    pub rerouted: bool,
    /// On the re-route: from the target's answer to its first packet towards the caller, ms.
    pub gap_ms: Option<u64>,
    /// The prompt was found in what the caller's phone heard.
    pub prompt_played: bool,
    /// After the re-route the human's phone heard the caller and the caller's phone heard the human.
    pub both_heard: bool,
    /// RTP packets that did not arrive, all legs, both directions.
    pub packets_lost: u64,
    /// Delay the server adds to a packet.
    pub added_latency_ms: Latency,
    /// The picture's path.
    pub picture: String,
    /// What was not as expected, in words; empty when all was.
    pub faults: Vec<String>,
}

/// Percentiles of a delay, milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

impl Summary {
    /// Everything that was not as expected.
    pub fn faults(&self) -> Vec<String> {
        let of_call = |call: &CallSummary| {
            let name = call.name.clone();
            call.faults.clone().into_iter().map(move |fault| format!("{name}: {fault}"))
        };
        self.calls.iter().flat_map(of_call).collect()
    }

    /// The summary as a table for a terminal.
    pub fn table(&self) -> String {
        let head =
            ["call", "duration", "peak anger", "decision", "reaction", "re-routed", "heard", "lost", "added p50 / p99"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.calls.iter().map(CallSummary::row));
        let columns: Vec<usize> = (0..head.len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
            .collect();

        let mut text = String::new();
        for (index, row) in rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().zip(&columns).map(|(cell, &width)| format!("{cell:<width$}")).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
            if index == 0 {
                let line: Vec<String> = columns.iter().map(|&width| "─".repeat(width)).collect();
                text.push_str(&line.join("  "));
                text.push('\n');
            }
        }
        text
    }
}

impl CallSummary {
    fn row(&self) -> Vec<String> {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        let yes_no = |value: bool| if value { "yes" } else { "no" }.to_owned();
        vec![
            self.name.clone(),
            format!("{:.1} s", self.duration_s),
            format!("{:.2} {}", self.peak_anger, self.peak_level),
            or_dash(self.decision.clone()),
            or_dash(self.reaction_ms.map(|ms| format!("{ms} ms"))),
            or_dash(
                self.rerouted.then(|| self.gap_ms.map_or_else(|| "yes".to_owned(), |gap| format!("yes, gap {gap} ms"))),
            ),
            if self.rerouted { yes_no(self.both_heard) } else { "–".to_owned() },
            self.packets_lost.to_string(),
            format!("{:.3} / {:.3} ms", self.added_latency_ms.p50, self.added_latency_ms.p99),
        ]
    }
}
