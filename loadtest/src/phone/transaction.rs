//! Requests until they are answered, and final responses to INVITE until they are confirmed (RFC 3261 §17).

use std::net::SocketAddr;
use std::time::Duration;

use super::{T1, T2};

/// Our request that waits for its final response.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) branch: String,
    pub(super) method: String,
    pub(super) cseq: u32,
    /// An INVITE that has not been answered provisionally cannot be cancelled yet.
    pub(super) provisional: bool,
    repeat: Repeat,
}

impl Client {
    pub(super) fn new(now: Duration, method: &str, cseq: u32, branch: String, to: SocketAddr, bytes: Vec<u8>) -> Self {
        let interval_max = if method == "INVITE" { Duration::MAX } else { T2 };
        let repeat = Repeat::new(now, to, bytes, interval_max);
        Client { branch, method: method.to_owned(), cseq, provisional: false, repeat }
    }

    /// A provisional response came.
    pub(super) fn proceed(&mut self, now: Duration) {
        self.provisional = true;
        if self.method == "INVITE" {
            // It may ring for long (Timer C, RFC 3261 §16.6).
            self.repeat.next_at = None;
            self.repeat.gives_up_at = now + Duration::from_secs(180);
        } else {
            self.repeat.interval = T2;
        }
    }

    pub(super) fn repeat(&mut self) -> &mut Repeat {
        &mut self.repeat
    }

    pub(super) fn deadline(&self) -> Duration {
        self.repeat.deadline()
    }
}

/// A datagram that is sent again, less and less often, until something stops it.
#[derive(Debug)]
pub(super) struct Repeat {
    to: SocketAddr,
    bytes: Vec<u8>,
    next_at: Option<Duration>,
    interval: Duration,
    interval_max: Duration,
    gives_up_at: Duration,
}

/// What is to be done with a repeated datagram.
pub(super) enum Due {
    Nothing,
    Send(SocketAddr, Vec<u8>),
    GiveUp,
}

impl Repeat {
    /// The first copy was just sent.
    pub(super) fn new(now: Duration, to: SocketAddr, bytes: Vec<u8>, interval_max: Duration) -> Self {
        Repeat { to, bytes, next_at: Some(now + T1), interval: T1, interval_max, gives_up_at: now + T1 * 64 }
    }

    pub(super) fn due(&mut self, now: Duration) -> Due {
        if now >= self.gives_up_at {
            return Due::GiveUp;
        }
        match self.next_at {
            Some(at) if at <= now => {
                self.interval = self.interval.saturating_mul(2).min(self.interval_max);
                self.next_at = Some(now + self.interval);
                Due::Send(self.to, self.bytes.clone())
            }
            _ => Due::Nothing,
        }
    }

    pub(super) fn deadline(&self) -> Duration {
        self.next_at.map_or(self.gives_up_at, |at| at.min(self.gives_up_at))
    }
}

/// The responses that were given, so that a repeated request gets the same one.
#[derive(Debug, Default)]
pub(super) struct Answered {
    last: Vec<(String, Vec<u8>)>,
}

/// How many requests are remembered per call.
const ANSWERED_MAX: usize = 16;

impl Answered {
    pub(super) fn remember(&mut self, key: String, response: Vec<u8>) {
        self.last.retain(|(known, _)| *known != key);
        if self.last.len() >= ANSWERED_MAX {
            self.last.remove(0);
        }
        self.last.push((key, response));
    }

    pub(super) fn response(&self, key: &str) -> Option<&[u8]> {
        self.last.iter().find(|(known, _)| known == key).map(|(_, response)| response.as_slice())
    }
}
