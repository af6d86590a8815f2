//! Reads interactions: sets that were written down, logs of the API's events, and calls as the API shows them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use routing::backtest::{Interaction, read_set};
use serde_json::Value;

use super::hearing::Hearing;
use super::recorded::Recorded;
use crate::cli::Failure;
use crate::settings::Zone;

/// Files of one run.
const FILES_MAX: usize = 10_000;
/// The largest file.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Reads every interaction of files and folders, in the order of their names; recordings where somebody listens to them.
pub(crate) fn interactions(
    paths: &[PathBuf],
    zone: Option<&Zone>,
    hearing: Option<&Hearing>,
) -> Result<Vec<Interaction>, Failure> {
    let mut all = Vec::new();
    for file in files(paths)? {
        if kind(&file) == Some(Kind::Recording) {
            let nobody =
                || Failure::of(file.display(), "expected --scenario with a recording: which policies are for it");
            all.extend(hearing.ok_or_else(nobody)?.listen(&file)?);
            continue;
        }
        let text = read_text(&file)?;
        match kind(&file) {
            Some(Kind::Set) => {
                let set = read_set(&text).map_err(|faults| {
                    let lines = faults.iter().map(|fault| format!("{}: {fault}", file.display()));
                    Failure::Configuration(lines.collect())
                })?;
                all.extend(set);
            }
            Some(Kind::Log) => {
                all.extend(calls_of(&file, &text)?.into_values().filter_map(|call| call.into_interaction(zone)));
            }
            Some(Kind::Record) => {
                let record = json(&file, 1, &text)?;
                all.extend(recorded(&record).into_interaction(zone));
            }
            Some(Kind::Recording) | None => {}
        }
    }
    Ok(all)
}

/// The events of one call in a file, oldest first.
pub(super) fn events_of(file: &Path, call: &str) -> Result<Vec<Value>, Failure> {
    let text = read_text(file)?;
    let events = if kind(file) == Some(Kind::Record) {
        let record = json(file, 1, &text)?;
        record["events"].as_array().cloned().unwrap_or_default()
    } else {
        lines(file, &text)?
    };
    Ok(events.into_iter().filter(|event| event["call"] == call).collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `[[interaction]]`s.
    Set,
    /// One event a line.
    Log,
    /// One call.
    Record,
    /// The sound of one call.
    Recording,
}

fn kind(file: &Path) -> Option<Kind> {
    match file.extension()?.to_str()? {
        "toml" => Some(Kind::Set),
        "jsonl" | "ndjson" => Some(Kind::Log),
        "json" => Some(Kind::Record),
        "wav" => Some(Kind::Recording),
        _ => None,
    }
}

/// The files, and those of the folders that hold interactions.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() && kind(path).is_none() {
            let expected = "expected a set (.toml), a log of events (.jsonl), a call (.json), a recording (.wav) or a folder of these";
            return Err(Failure::of(path.display(), expected));
        }
        files.extend(files_in(path, |file| kind(file).is_some())?);
    }
    if files.len() > FILES_MAX {
        return Err(Failure::Failed(format!("expected at most {FILES_MAX} files, found {}", files.len())));
    }
    Ok(files)
}

/// The files of a folder that are wanted, in the order of their names; of a file, itself.
pub(crate) fn files_in(path: &Path, is_wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let named = |error: std::io::Error| Failure::of(path.display(), error);
    let mut inside = Vec::new();
    for entry in fs::read_dir(path).map_err(named)? {
        inside.extend(Some(entry.map_err(named)?.path()).filter(|file| is_wanted(file)));
    }
    inside.sort();
    Ok(inside)
}

fn read_text(file: &Path) -> Result<String, Failure> {
    let named = |error: std::io::Error| Failure::of(file.display(), error);
    let bytes = fs::metadata(file).map_err(named)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(Failure::of(file.display(), format!("expected at most {FILE_BYTES_MAX} bytes, found {bytes}")));
    }
    fs::read_to_string(file).map_err(named)
}

/// The calls of a log, by id.
fn calls_of(file: &Path, text: &str) -> Result<BTreeMap<String, Recorded>, Failure> {
    let mut calls: BTreeMap<String, Recorded> = BTreeMap::new();
    for event in lines(file, text)? {
        let Some(id) = event["call"].as_str().filter(|id| !id.is_empty()) else { continue };
        calls.entry(id.to_owned()).or_insert_with(|| Recorded::new(id)).take(&event);
    }
    Ok(calls)
}

/// A call as the API shows it, as a story for policies; `None` for one that was never answered.
pub(crate) fn interaction_of(record: &Value, zone: Option<&Zone>) -> Option<Interaction> {
    recorded(record).into_interaction(zone)
}

fn recorded(record: &Value) -> Recorded {
    let mut call = Recorded::new(record["id"].as_str().unwrap_or_default());
    // Events of old calls may have lost their beginning; the head of the record has not.
    call.set_scenario(record["scenario"].as_str().unwrap_or_default());
    record["events"].as_array().into_iter().flatten().for_each(|event| call.take(event));
    record["timeline"].as_array().into_iter().flatten().for_each(|step| call.take_step(step));
    call
}

fn lines(file: &Path, text: &str) -> Result<Vec<Value>, Failure> {
    // Streams of events are copied with their `data:` in front as often as without.
    let lines = text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line).trim());
    let full = lines.enumerate().filter(|(_, line)| line.starts_with('{'));
    full.map(|(at, line)| json(file, at + 1, line)).collect()
}

fn json(file: &Path, line: usize, text: &str) -> Result<Value, Failure> {
    let expected = |error| Failure::of(format!("{}, line {line}", file.display()), format!("expected JSON: {error}"));
    serde_json::from_str(text).map_err(expected)
}
