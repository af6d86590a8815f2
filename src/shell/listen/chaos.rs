//! Breaks the listening thread on purpose, so that tests can see that calls do not notice.

use std::str::FromStr;
use std::time::Duration;

/// One fault at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chaos {
    /// What breaks.
    pub fault: Fault,
    /// When, since the start of the clock.
    pub at: Duration,
}

/// The ways a thread can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It hangs for ten seconds.
    Stall,
    /// It panics.
    Panic,
    /// It ends without a word.
    Kill,
}

impl FromStr for Chaos {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("found {text:?}, expected stall@SECONDS, panic@SECONDS or kill@SECONDS");
        let (fault, at) = text.split_once('@').ok_or_else(expected)?;
        let fault = match fault {
            "stall" => Fault::Stall,
            "panic" => Fault::Panic,
            "kill" => Fault::Kill,
            _ => return Err(expected()),
        };
        let seconds: f64 = at.parse().map_err(|_| expected())?;
        let at = Duration::try_from_secs_f64(seconds).map_err(|_| expected())?;
        Ok(Self { fault, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fault_and_moment() {
        check("stall@5", Some((Fault::Stall, 5_000)));
        check("panic@0.5", Some((Fault::Panic, 500)));
        check("kill@12", Some((Fault::Kill, 12_000)));
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "stall", "sleep@5", "stall@", "stall@-1", "stall@x", "stall@inf", "stall@1e300"] {
            check(text, None);
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Option<(Fault, u64)>) {
        let got = text.parse::<Chaos>().ok().map(|chaos| (chaos.fault, chaos.at.as_millis() as u64));
        assert_eq!(got, expected, "{text:?}");
    }
}
