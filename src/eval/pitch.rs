//! `calmline eval pitch`: pitch tracks against contours that are known.
//!
//! A folder holds `source/*.wav` (16 kHz), `truth/*.csv` beside them, one folder of signals per condition, and
//! `tracks/TOOL/CONDITION/*.csv` of other tools. Ours is tracked here; all are counted by the same rule.

pub(in crate::eval) mod conditions;
mod score;
mod truth;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use prosody::SampleRate;
use prosody::pitch::Tracker;
use serde::Serialize;

use self::conditions::Condition;
use self::score::{Figures, Score, Tracked};
use super::{bold, cpu_s, progress, recording};
use crate::cli::{EvalPitchArgs, Failure, print_line};

/// How our own tracker is called in tables.
const OURS: &str = "calmline";
/// The most signals in a folder.
const SIGNALS_MAX: usize = 10_000;

/// One row of the result.
#[derive(Debug, Serialize)]
struct Row {
    condition: String,
    kind: String,
    tool: String,
    #[serde(flatten)]
    figures: Figures,
}

/// The kind that stands for all of them together but the one with consonants, which is told apart.
const CONTOURS: &str = "contours";
const PHRASES: &str = "phrases";

/// Runs the command.
///
/// # Errors
/// When the folder holds nothing to score or cannot be read or written.
pub fn run(args: &EvalPitchArgs) -> Result<(), Failure> {
    if args.make {
        conditions::make(&args.data, args.voices, args.seed)?;
    }
    let truths = truth::read_all(&args.data.join("truth"))?;
    let mut scores: BTreeMap<(usize, String, String), Score> = BTreeMap::new();
    let mut cost = Cost::default();
    let present: Vec<Condition> =
        Condition::all().into_iter().filter(|condition| args.data.join(condition.name()).is_dir()).collect();
    for (number, condition) in present.iter().enumerate() {
        for (signal, truth) in &truths {
            let mut add = |tool: &str, track: &[Tracked]| {
                for kind in kinds(signal) {
                    scores.entry((number, kind, tool.to_owned())).or_default().add(truth, track);
                }
            };
            let path = args.data.join(condition.name()).join(format!("{signal}.wav"));
            if path.is_file() {
                add(OURS, &track(&path, condition.rate(), &mut cost)?);
            }
            for (tool, folder) in tools(&args.data)? {
                let path = folder.join(condition.name()).join(format!("{signal}.csv"));
                if path.is_file() {
                    add(&tool, &truth::read_track(&path)?);
                }
            }
        }
        progress(number + 1, present.len());
    }
    let rows: Vec<Row> = scores
        .into_iter()
        .map(|((number, kind, tool), score)| Row {
            condition: present[number].name(),
            kind,
            tool,
            figures: score.figures(),
        })
        .collect();
    if rows.is_empty() {
        let name = args.data.display();
        return Err(Failure::Failed(format!("{name}: expected signals and truths, found none (--make makes them)")));
    }
    report(&rows, &cost, args)
}

/// What our tracker took.
#[derive(Debug, Default, Serialize)]
struct Cost {
    cpu_s: f64,
    audio_s: f64,
}

/// Our own track of a recording, in packets of 20 ms as on a call.
fn track(path: &Path, rate: SampleRate, cost: &mut Cost) -> Result<Vec<Tracked>, Failure> {
    let samples = recording::read(path, rate.hz())?;
    let began = cpu_s();
    let mut tracker = Tracker::new(rate);
    let mut out = Vec::with_capacity(samples.len() / rate.hop() + 1);
    for packet in samples.chunks(2 * rate.hop()) {
        tracker.push(packet, &mut out);
    }
    tracker.finish(&mut out);
    cost.cpu_s += cpu_s() - began;
    cost.audio_s += samples.len() as f64 / f64::from(rate.hz());
    let middle = |position: u64| (position as f64 + 0.5 * rate.hop() as f64) / f64::from(rate.hz());
    Ok(out.iter().map(|p| Tracked { time_s: middle(p.position), hz: p.hz.unwrap_or(0.0) }).collect())
}

/// A signal counts for its own kind, and for all contours unless it is a phrase.
fn kinds(signal: &str) -> Vec<String> {
    let kind = signal.rsplit_once('-').map_or(signal, |(kind, _)| kind);
    let mut kinds = vec![kind.to_owned()];
    kinds.extend((kind != PHRASES).then(|| CONTOURS.to_owned()));
    kinds
}

/// The folders of other tools' tracks, by name.
fn tools(data: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let folder = data.join("tracks");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let named = |error: std::io::Error| Failure::of(folder.display(), error);
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).map_err(named)? {
        let path = entry.map_err(named)?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_dir()) {
            found.push((name.to_owned(), path.clone()));
        }
    }
    found.sort();
    Ok(found)
}

fn report(rows: &[Row], cost: &Cost, args: &EvalPitchArgs) -> Result<(), Failure> {
    if let Some(path) = &args.csv {
        let named = |error: csv::Error| Failure::of(path.display(), error);
        let mut writer = csv::Writer::from_path(path).map_err(named)?;
        writer.write_record(HEADER).map_err(named)?;
        for row in rows {
            writer.write_record(row.record()).map_err(named)?;
        }
        writer.flush().map_err(|error| Failure::of(path.display(), error))?;
    }
    if args.json {
        let text = serde_json::to_string(&serde_json::json!({ "rows": rows, "calmline": cost }))
            .map_err(|error| Failure::of("writing JSON", error))?;
        return print_line(text);
    }
    let wanted: &[&str] = if args.kinds { &[] } else { &[CONTOURS, PHRASES] };
    print_line(bold("condition        kind       tool             GPE %   FFE %   VDE %  fine cents"))?;
    for row in rows.iter().filter(|row| wanted.is_empty() || wanted.contains(&row.kind.as_str())) {
        let Figures { gpe_percent, ffe_percent, vde_percent, fine_cents, .. } = row.figures;
        print_line(format_args!(
            "{:<16} {:<10} {:<15} {gpe_percent:>6.2} {ffe_percent:>7.2} {vde_percent:>7.2} {fine_cents:>9.1}",
            row.condition, row.kind, row.tool
        ))?;
    }
    print_line(format_args!(
        "{OURS}: {:.6} CPU seconds per second over {:.0} s of audio",
        cost.cpu_s / cost.audio_s.max(f64::MIN_POSITIVE),
        cost.audio_s
    ))
}

const HEADER: [&str; 8] =
    ["condition", "kind", "tool", "frames", "gpe_percent", "ffe_percent", "vde_percent", "fine_cents"];

impl Row {
    fn record(&self) -> [String; 8] {
        let Figures { frames, gpe_percent, ffe_percent, vde_percent, fine_cents } = self.figures;
        let percent = |value: f64| format!("{value:.3}");
        [
            self.condition.clone(),
            self.kind.clone(),
            self.tool.clone(),
            frames.to_string(),
            percent(gpe_percent),
            percent(ffe_percent),
            percent(vde_percent),
            percent(fine_cents),
        ]
    }
}
