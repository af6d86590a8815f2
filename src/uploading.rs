//! `calmline recordings add`: uploads recordings one after the other, waits where the server has no room, and tells what was heard.
//!
//! Listens to nothing itself.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{self, Parcel};
use crate::cli::{Failure, RecordingsAddArgs, print_line};
use crate::web::RECORDING_BYTES_MAX;

/// Recordings of one run.
const FILES_MAX: usize = 10_000;
/// How long one upload may take; the server itself waits for 60 s.
const UPLOAD_WITHIN: Duration = Duration::from_secs(90);
/// How long until a server without room is asked again, and until what it has is looked at again.
const PAUSE: Duration = Duration::from_millis(300);

/// Runs the command.
///
/// # Errors
/// When a recording cannot be read or uploaded, or was not listened to.
pub(crate) fn add(args: &RecordingsAddArgs) -> Result<(), Failure> {
    let files = files(&args.recordings)?;
    let mut batch = Batch::new(args)?;
    for file in &files {
        batch.upload(file)?;
    }
    while !batch.waiting.is_empty() {
        sleep(PAUSE);
        batch.look()?;
    }
    match batch.failed {
        0 => Ok(()),
        failed => Err(Failure::Failed(format!("{failed} of {} recordings were not listened to", files.len()))),
    }
}

/// The recordings, and those of the folders.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let named = |error: std::io::Error| Failure::of(path.display(), error);
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).map_err(named)? {
            let file = entry.map_err(named)?.path();
            inside
                .extend(Some(file).filter(|file| file.extension().is_some_and(|end| end.eq_ignore_ascii_case("wav"))));
        }
        if inside.is_empty() {
            return Err(Failure::of(path.display(), "expected recordings (.wav) in it, found none"));
        }
        inside.sort();
        files.extend(inside);
    }
    if files.len() > FILES_MAX {
        return Err(Failure::Failed(format!("expected at most {FILES_MAX} recordings, found {}", files.len())));
    }
    Ok(files)
}

/// What was uploaded and is not heard to its end.
struct Batch<'a> {
    args: &'a RecordingsAddArgs,
    customer: Option<String>,
    /// By file: the call that it becomes.
    waiting: VecDeque<(PathBuf, String)>,
    failed: usize,
    /// When anything was last heard of any of them.
    heard: Instant,
}

impl<'a> Batch<'a> {
    fn new(args: &'a RecordingsAddArgs) -> Result<Batch<'a>, Failure> {
        let customer = args.customer_env.as_ref().map(|name| {
            std::env::var(name).map_err(|error| Failure::of(format!("the customer's address in {name}"), error))
        });
        let customer = customer.transpose()?;
        Ok(Batch { args, customer, waiting: VecDeque::new(), failed: 0, heard: Instant::now() })
    }

    /// Uploads a recording, as soon as there is room for it. One that is refused is told, and the next one has its turn.
    fn upload(&mut self, file: &Path) -> Result<(), Failure> {
        let body = match read(file) {
            Ok(body) => body,
            Err(why) => return self.tell_failed(file, None, &why),
        };
        loop {
            let (status, told) = api::send(&self.args.server, self.parcel(file, body.clone()))?;
            match status {
                202 => {
                    let call = told["call"].as_str().unwrap_or_default().to_owned();
                    self.waiting.push_back((file.to_owned(), call));
                    self.heard = Instant::now();
                    // At once, since the server remembers a thousand, and a batch may be longer.
                    return self.look();
                }
                // No room: it comes with time.
                429 | 503 => {
                    sleep(PAUSE);
                    self.look()?;
                    self.check_patience(&format!("{status}: {}", why(&told)))?;
                }
                // Every other recording would be refused as well.
                401 | 403 | 404 => return Err(Failure::of(file.display(), format!("{status}: {}", why(&told)))),
                _ => return self.tell_failed(file, None, &format!("{status}: {}", why(&told))),
            }
        }
    }

    fn parcel(&self, file: &Path, body: Vec<u8>) -> Parcel<'static> {
        let RecordingsAddArgs { agent, route, language, .. } = self.args;
        let name =
            file.file_name().map(|name| name.to_string_lossy().chars().take(NAME_CHARACTERS).collect::<String>());
        let query = [
            ("agent", agent.map(|agent| agent.to_string())),
            ("route", route.clone()),
            ("language", language.clone()),
            ("name", name),
        ];
        let headers = [("content-type", Some("audio/wav".to_owned())), ("x-calmline-customer", self.customer.clone())];
        let said = |(key, value): (&'static str, Option<String>)| Some((key, value?));
        Parcel {
            path: "/v1/recordings",
            query: query.into_iter().filter_map(said).collect(),
            headers: headers.into_iter().filter_map(said).collect(),
            body,
            within: UPLOAD_WITHIN,
        }
    }

    /// Looks at those that were uploaded, oldest first, and tells of those that are heard to their end.
    fn look(&mut self) -> Result<(), Failure> {
        // The server hears one after the other: the first one that is not over is the last that can be.
        while let Some((file, call)) = self.waiting.front().cloned() {
            let told = api::get(&self.args.server, &format!("/v1/recordings/{call}"))?;
            match told["state"].as_str() {
                Some("done") => self.tell_done(&file, &call, &told)?,
                Some("failed") => {
                    self.tell_failed(&file, Some(&call), told["reason"].as_str().unwrap_or("it is not said why"))?;
                }
                _ => return self.check_patience("the server does not get on"),
            }
            self.waiting.pop_front();
            self.heard = Instant::now();
        }
        Ok(())
    }

    fn check_patience(&self, why: &str) -> Result<(), Failure> {
        let within_s = self.args.within_s;
        if self.heard.elapsed() < Duration::from_secs(within_s) {
            return Ok(());
        }
        Err(Failure::Failed(format!("nothing was heard of any recording for {within_s} s: {why}")))
    }

    fn tell_done(&self, file: &Path, call: &str, told: &Value) -> Result<(), Failure> {
        let record = api::get(&self.args.server, &format!("/v1/calls/{call}"))?;
        let rules: Vec<&str> = each(&record["decisions"], "rule").collect();
        let alerts: Vec<&str> = each(&record["alerts"], "severity").collect();
        if self.args.json {
            return print_line(json!({
                "file": file, "call": call, "state": "done", "duration_ms": told["duration_ms"], "took_ms": told["took_ms"],
                "words": told["words"], "peak": record["peak"], "rules": rules, "alerts": alerts,
            }));
        }
        let seconds = |key: &str| told[key].as_f64().unwrap_or_default() / 1_000.0;
        let peak = &record["peak"];
        let anger = peak["anger"].as_f64().map(|anger| format!("{anger:.2}"));
        let peak = match (peak["level"].as_str(), anger) {
            (Some(level), Some(anger)) => format!("anger up to {anger} ({level})"),
            _ => "nobody was heard speaking".to_owned(),
        };
        let rules = if rules.is_empty() { "nothing".to_owned() } else { rules.join(", ") };
        print_line(format_args!(
            "{}: {call}, {:.1} s, heard in {:.1} s: {peak}; {} alerts; decided {rules}",
            file.display(),
            seconds("duration_ms"),
            seconds("took_ms"),
            alerts.len()
        ))
    }

    fn tell_failed(&mut self, file: &Path, call: Option<&str>, why: &str) -> Result<(), Failure> {
        self.failed += 1;
        if self.args.json {
            return print_line(json!({ "file": file, "call": call, "state": "failed", "reason": why }));
        }
        print_line(format_args!("{}: not listened to: {why}", file.display()))
    }
}

/// How much of a file's name the server is told, characters.
const NAME_CHARACTERS: usize = 128;

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let bytes = fs::metadata(file).map_err(|error| error.to_string())?.len();
    if bytes > RECORDING_BYTES_MAX {
        return Err(format!("found {bytes} bytes, expected at most {RECORDING_BYTES_MAX}"));
    }
    fs::read(file).map_err(|error| error.to_string())
}

/// Why the server has refused something, in its own words.
fn why(told: &Value) -> &str {
    told["detail"].as_str().unwrap_or("it is not said why")
}

/// One text of every element of a list.
fn each<'a>(list: &'a Value, key: &'a str) -> impl Iterator<Item = &'a str> {
    list.as_array().into_iter().flatten().filter_map(move |one| one[key].as_str())
}
