//! A system beside the server that tells it of all calls in turn, so that something of each changes: how long the customer has
//! been waiting, or what their face shows.
//!
//! Each message leads to an event of its call: `facts_told`, or by way of listening a step of its timeline.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::driver::invalid;

/// Connections that tell at the same time: each waits for its answer.
const TELLERS: usize = 4;
/// Longer than any answer takes.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// The largest answer that is read, bytes.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// The server's API, and how often it is told something.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    pub(super) web: SocketAddr,
    pub(super) token: String,
    /// Messages per second, over all calls in turn.
    pub(super) per_s: f64,
    /// What faces show, in place of how long the customer waits.
    pub(super) shows_faces: bool,
}

/// A connection that is kept.
struct Wire {
    reader: BufReader<TcpStream>,
    token: String,
}

#[derive(Deserialize)]
struct Listed {
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    id: String,
}

impl Telling {
    /// The calls that are up, at most a thousand.
    pub(super) fn calls(&self) -> io::Result<Vec<String>> {
        let (status, body) = Wire::open(self)?.ask("GET", "/v1/calls?state=active&limit=1000", "")?;
        if status != 200 {
            return Err(invalid(format!("the list of calls is answered with {status}")));
        }
        let listed: Listed = serde_json::from_slice(&body).map_err(|error| invalid(error.to_string()))?;
        Ok(listed.calls.into_iter().map(|call| call.id).collect())
    }

    /// Tells of each call in turn until it is over; how many messages were taken.
    pub(super) fn tell(&self, calls: &[String], over: &AtomicBool) -> u64 {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let tellers: Vec<_> =
                (0..TELLERS).map(|teller| scope.spawn(move || self.tell_some(calls, teller, begun, over))).collect();
            tellers.into_iter().filter_map(|teller| teller.join().ok()).sum()
        })
    }

    fn tell_some(&self, calls: &[String], teller: usize, begun: Instant, over: &AtomicBool) -> u64 {
        let Ok(mut wire) = Wire::open(self) else { return 0 };
        let mut taken = 0;
        for number in (teller..).step_by(TELLERS) {
            let due = begun + Duration::from_secs_f64(number as f64 / self.per_s);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if over.load(Ordering::Relaxed) || calls.is_empty() {
                break;
            }
            let call = &calls[number % calls.len()];
            match wire.tell(call, number / calls.len(), self.shows_faces) {
                Ok((200..=299, _)) => taken += 1,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        taken
    }
}

impl Wire {
    fn open(telling: &Telling) -> io::Result<Self> {
        let stream = TcpStream::connect(telling.web)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        Ok(Self { reader: BufReader::new(stream), token: telling.token.clone() })
    }

    /// Tells something of a call that was not so the round before.
    fn tell(&mut self, call: &str, round: usize, shows_faces: bool) -> io::Result<(u16, Vec<u8>)> {
        if shows_faces {
            let body = format!(r#"{{"label":"anger","score":0.{}}}"#, round % 9 + 1);
            return self.ask("POST", &format!("/v1/calls/{call}/expressions"), &body);
        }
        let body = format!(r#"{{"order":{{"waits_min":{}}}}}"#, round + 1);
        self.ask("PUT", &format!("/v1/calls/{call}/facts"), &body)
    }

    /// One request and its answer, which says how long it is (RFC 9112 §6.2).
    fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<(u16, Vec<u8>)> {
        let (token, length) = (&self.token, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: loadtest\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.reader.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut length = 0;
        while !line.trim().is_empty() {
            line.clear();
            self.reader.read_line(&mut line)?;
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or_default();
            }
        }
        let mut answer = Vec::new();
        (&mut self.reader).take(ANSWER_BYTES_MAX.min(length)).read_to_end(&mut answer)?;
        status.map(|status| (status, answer)).ok_or_else(|| invalid("an answer that is no HTTP".to_owned()))
    }
}
