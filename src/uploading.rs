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
use crate::backtest::files_in;
use crate::cli::{Failure, RecordingsAddArgs, print_line};
use crate::web::RECORDING_BYTES_MAX;

/// Recordings of one run.
const FILES_MAX: usize = 10_000;
/// How long one upload may take; the server itself waits for 600 s, as long as something comes.
const UPLOAD_WITHIN: Duration = Duration::from_secs(630);
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
        let inside = files_in(path, |file| file.extension().is_some_and(|end| end.eq_ignore_ascii_case("wav")))?;
        if inside.is_empty() {
            return Err(Failure::of(path.display(), "expected recordings (.wav) in it, found none"));
        }
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
    /// Whether the server has ever answered: one that has may be away for a while.
    is_reached: bool,
    /// When anything was last heard of any of them.
    heard: Instant,
}

impl<'a> Batch<'a> {
    fn new(args: &'a RecordingsAddArgs) -> Result<Batch<'a>, Failure> {
        let customer = args.customer_env.as_ref().map(|name| {
            std::env::var(name).map_err(|error| Failure::of(format!("the customer's address in {name}"), error))
        });
        let customer = customer.transpose()?;
        Ok(Batch { args, customer, waiting: VecDeque::new(), failed: 0, is_reached: false, heard: Instant::now() })
    }

    /// Uploads a recording, as soon as there is room for it. One that is refused is told, and the next one has its turn.
    fn upload(&mut self, file: &Path) -> Result<(), Failure> {
        let body = match read(file) {
            Ok(body) => body,
            Err(why) => return self.tell_failed(file, None, &why),
        };
        loop {
            let (status, told) = match api::send(&self.args.server, self.parcel(file, body.clone())) {
                Ok(answer) => answer,
                // As one without room. What it has taken nevertheless is listened to twice.
                Err(failure) if self.is_reached => {
                    self.wait_for_room(&failure.to_string())?;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            self.is_reached = true;
            match status {
                202 => {
                    let call = told["call"].as_str().unwrap_or_default().to_owned();
                    self.waiting.push_back((file.to_owned(), call));
                    self.heard = Instant::now();
                    // At once, since the server remembers a thousand, and a batch may be longer.
                    return self.look();
                }
                // No room: it comes with time.
                429 | 503 => self.wait_for_room(&refusal(status, &told))?,
                // Every other recording would be refused as well.
                401 | 403 | 404 => return Err(Failure::of(file.display(), refusal(status, &told))),
                _ => return self.tell_failed(file, None, &refusal(status, &told)),
            }
        }
    }

    /// Waits until one of those that were uploaded is over, so that bodies are not sent in vain; a moment where none waits.
    fn wait_for_room(&mut self, why: &str) -> Result<(), Failure> {
        let before = self.waiting.len();
        loop {
            sleep(PAUSE);
            self.look()?;
            self.check_patience(why)?;
            if before == 0 || self.waiting.len() < before {
                return Ok(());
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
        Parcel {
            path: "/v1/recordings",
            query: query.into(),
            headers: headers.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
            body,
            within: UPLOAD_WITHIN,
        }
    }

    /// Looks at those that were uploaded, oldest first, and tells of those that are heard to their end.
    fn look(&mut self) -> Result<(), Failure> {
        // The server hears one after the other: the first one that is not over is the last that can be.
        while let Some((file, call)) = self.waiting.front().cloned() {
            let (status, told) = match api::look(&self.args.server, &format!("/v1/recordings/{call}")) {
                Ok(answer) => answer,
                Err(failure) => return self.check_patience(&failure.to_string()),
            };
            match (status, told["state"].as_str()) {
                (200, Some("done")) => self.tell_done(&file, &call, &told)?,
                (200, Some("failed")) => {
                    self.tell_failed(&file, Some(&call), told["reason"].as_str().unwrap_or("it is not said why"))?;
                }
                (200, _) => return self.check_patience("the server does not get on"),
                (401 | 403, _) => return Err(Failure::of(file.display(), refusal(status, &told))),
                // It knows the recording no more: it has begun anew since.
                (404, _) => self.tell_failed(&file, Some(&call), &refusal(status, &told))?,
                _ => return self.check_patience(&refusal(status, &told)),
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
        // It was listened to, whether what it has become can be had or not.
        let record = match api::look(&self.args.server, &format!("/v1/calls/{call}")) {
            Ok((200, record)) => record,
            _ => Value::Null,
        };
        let is_known = !record.is_null();
        let rules: Vec<&str> = each(&record["decisions"], "rule").collect();
        let alerts: Vec<&str> = each(&record["alerts"], "severity").collect();
        if self.args.json {
            return print_line(json!({
                "file": file, "call": call, "state": "done", "duration_ms": told["duration_ms"], "took_ms": told["took_ms"],
                "words": told["words"], "peak": record["peak"],
                "rules": is_known.then_some(&rules), "alerts": is_known.then_some(&alerts),
            }));
        }
        let seconds = |key: &str| told[key].as_f64().unwrap_or_default() / 1_000.0;
        let (name, lasts_s, took_s) = (file.display(), seconds("duration_ms"), seconds("took_ms"));
        let heard = format!("{name}: {call}, {lasts_s:.1} s, heard in {took_s:.1} s");
        if !is_known {
            return print_line(format_args!("{heard}; what came of it cannot be had"));
        }
        let peak = &record["peak"];
        let anger = peak["anger"].as_f64().map(|anger| format!("{anger:.2}"));
        let peak = match (peak["level"].as_str(), anger) {
            (Some(level), Some(anger)) => format!("anger up to {anger} ({level})"),
            _ => "nobody was heard speaking".to_owned(),
        };
        let rules = if rules.is_empty() { "nothing".to_owned() } else { rules.join(", ") };
        print_line(format_args!("{heard}: {peak}; {} alerts; decided {rules}", alerts.len()))
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
fn refusal(status: u16, told: &Value) -> String {
    format!("{status}: {}", told["detail"].as_str().unwrap_or("it is not said why"))
}

/// One text of every element of a list.
fn each<'a>(list: &'a Value, key: &'a str) -> impl Iterator<Item = &'a str> {
    list.as_array().into_iter().flatten().filter_map(move |one| one[key].as_str())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;
    use crate::cli::ServerArgs;

    #[test]
    fn a_server_that_is_away_for_a_moment_does_not_end_the_batch() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        for (name, text) in [("1.wav", "RIFF"), ("2.wav", "RIFF"), ("token", "0123456789abcdef")] {
            fs::write(file(name), text).expect("a file");
        }
        let (url, asked) = server(vec![
            Some((202, r#"{"call":"a"}"#)),
            Some((200, r#"{"state":"running"}"#)),
            // In front of the server somebody else answers; then nobody does; then it has begun anew.
            Some((503, "<html>")),
            None,
            Some((404, r#"{"detail":"no such recording"}"#)),
            Some((202, r#"{"call":"b"}"#)),
            Some((200, r#"{"state":"done","duration_ms":1000,"took_ms":500}"#)),
            Some((500, "{}")),
        ]);
        let token_file = Some(file("token"));
        let server = ServerArgs { url: Some(url), token_env: String::new(), token_file, authorities: None };
        let args = RecordingsAddArgs {
            recordings: vec![folder.path().to_owned()],
            agent: None,
            route: None,
            language: None,
            customer_env: None,
            within_s: 60,
            json: false,
            server,
        };
        let told = add(&args).expect_err("the first one is lost").to_string();
        assert_eq!(told, "1 of 2 recordings were not listened to");
        let expected = [
            "POST /v1/recordings?name=1.wav",
            "GET /v1/recordings/a",
            "POST /v1/recordings?name=2.wav",
            "GET /v1/recordings/a",
            "GET /v1/recordings/a",
            "POST /v1/recordings?name=2.wav",
            "GET /v1/recordings/b",
            "GET /v1/calls/b",
        ];
        assert_eq!(asked.join().expect("all were asked"), expected);
        let told = add(&args).expect_err("nobody is there, and was not before").to_string();
        assert!(told.starts_with("/v1/recordings: "), "{told}");
    }

    /// A server that answers one request after the other, or hangs up; where it is, and what it was asked.
    fn server(answers: Vec<Option<(u16, &'static str)>>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let serve = move || -> Vec<String> { answers.into_iter().map(|answer| answered(&listener, answer)).collect() };
        (url, thread::spawn(serve))
    }

    /// Takes one request: its method and where it goes.
    fn answered(listener: &TcpListener, answer: Option<(u16, &str)>) -> String {
        let mut stream = BufReader::new(listener.accept().expect("somebody asks").0);
        let mut line = || {
            let mut line = String::new();
            stream.read_line(&mut line).expect("a line");
            line.trim_end().to_owned()
        };
        let request = line();
        let head: Vec<String> = std::iter::repeat_with(&mut line).take_while(|line| !line.is_empty()).collect();
        let length = |line: &String| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok();
        let length: usize = head.iter().find_map(length).unwrap_or_default();
        stream.read_exact(&mut vec![0; length]).expect("the body");
        if let Some((status, body)) = answer {
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.get_mut().write_all(answer.as_bytes()).expect("it listens");
        }
        request.trim_end_matches(" HTTP/1.1").to_owned()
    }
}
