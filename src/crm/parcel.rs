//! One delivery: its body, how often it was tried, and when it is tried next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::pii::Pii;

/// Something that is to be taken by a system outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// Its number.
    pub id: u64,
    /// The system, as `[crm.NAME]`.
    pub crm: String,
    /// The one address that a mail goes to; nothing when it goes to all that its receiver has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Pii<String>>,
    /// The call that it is about.
    pub call: String,
    /// When that call began, milliseconds since 1970; nothing where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_unix_ms: Option<u64>,
    /// The type of the event.
    pub event: String,
    /// What the receiver knows it by, however often it comes.
    pub key: String,
    /// The body, JSON.
    pub body: String,
    /// When the event was, milliseconds since 1970.
    pub unix_ms: u64,
    /// Attempts so far.
    pub attempts: u32,
    /// What becomes of it.
    pub state: State,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

impl Parcel {
    /// Whether it is about a call that began before `before_unix_ms`, or about what was told of one before then.
    pub fn is_of_call_before(&self, before_unix_ms: u64) -> bool {
        !self.call.is_empty() && self.began_unix_ms.unwrap_or(self.unix_ms) < before_unix_ms
    }
}

/// What becomes of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is tried from then on, milliseconds since 1970.
    Waiting(u64),
    /// It is tried no more until somebody says so.
    SetAside,
}

/// What a receiver has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has taken it.
    Taken,
    /// Not now; it may say when.
    Later(String, Option<Duration>),
    /// Not this one, ever.
    Refused(String),
}

/// What follows from an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is done with.
    Done,
    /// It is tried again after this time.
    Again(Duration),
    /// It is set aside.
    Aside,
}

impl Answer {
    /// What a status of HTTP says (RFC 9110 §15): 408, 425, 429 and 5xx pass, all other refusals stay.
    pub fn of_status(code: u16, reason: &str, retry_after: Option<Duration>) -> Answer {
        let said = format!("{code} {reason}").trim_end().to_owned();
        match code {
            200..=299 => Answer::Taken,
            408 | 425 | 429 | 500..=599 => Answer::Later(said, retry_after),
            _ => Answer::Refused(said),
        }
    }
}

/// What follows from the answer to attempt number `attempts`, from 1. `chance`, 0-1, spreads attempts of many servers.
pub fn after(answer: &Answer, attempts: u32, retry: Duration, attempts_max: u32, chance: f64) -> Fate {
    match answer {
        Answer::Taken => Fate::Done,
        Answer::Refused(_) => Fate::Aside,
        Answer::Later(..) if attempts >= attempts_max => Fate::Aside,
        Answer::Later(_, asked) => {
            let doubled = retry.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(PAUSE_MAX);
            let pause = doubled.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0));
            Fate::Again(pause.max(asked.unwrap_or_default().min(PAUSE_MAX)))
        }
    }
}

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(900);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        for (code, expected) in [(200, "taken"), (204, "taken"), (302, "refused"), (400, "refused"), (404, "refused")] {
            check_status(code, expected);
        }
        for code in [408, 429, 500, 503] {
            check_status(code, "later");
        }
    }

    #[test]
    fn pauses_double_are_spread_and_have_an_end() {
        let later = Answer::Later("503".to_owned(), None);
        for (attempts, chance, expected) in [
            (1, 1.0, Fate::Again(Duration::from_secs(2))),
            (1, 0.0, Fate::Again(Duration::from_secs(1))),
            (4, 1.0, Fate::Again(Duration::from_secs(16))),
            (15, 1.0, Fate::Again(PAUSE_MAX)),
            (16, 1.0, Fate::Aside),
            (u32::MAX, 1.0, Fate::Aside),
        ] {
            assert_eq!(after(&later, attempts, Duration::from_secs(2), 16, chance), expected, "{attempts} {chance}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_time_and_not_for_ever() {
        let asked = |seconds| Answer::Later("429".to_owned(), Some(Duration::from_secs(seconds)));
        let retry = Duration::from_secs(2);
        assert_eq!(after(&asked(60), 1, retry, 16, 0.5), Fate::Again(Duration::from_secs(60)));
        assert_eq!(after(&asked(86_400), 1, retry, 16, 0.5), Fate::Again(PAUSE_MAX));
        assert_eq!(after(&Answer::Refused("422".to_owned()), 1, retry, 16, 0.5), Fate::Aside);
        assert_eq!(after(&Answer::Taken, 1, retry, 16, 0.5), Fate::Done);
    }

    #[track_caller]
    fn check_status(code: u16, expected: &str) {
        let found = match Answer::of_status(code, "", None) {
            Answer::Taken => "taken",
            Answer::Later(..) => "later",
            Answer::Refused(_) => "refused",
        };
        assert_eq!(found, expected, "{code}");
    }
}
