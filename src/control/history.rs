//! How callers felt in their last calls, for those routes that send angry ones to a human at once.
//!
//! In memory only, for a bounded number of callers; a calm call clears its caller. Anonymous callers are not remembered.
//!
//! Beside it, by what callers are known again, for that and for comparisons of two ways.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nlu::Level;

use crate::settings::{is_nameless, uri_of};

/// The callers whose last call was an angry one.
#[derive(Debug, Default)]
pub(super) struct History {
    callers: BTreeMap<String, (Duration, Level)>,
    /// The same, by the end of the call.
    oldest: BTreeSet<(Duration, String)>,
}

impl History {
    /// Notes at `now` how angry a caller has been; `from` is the From header's value.
    pub(super) fn note(&mut self, now: Duration, from: &str, peak: Level) {
        let Some(caller) = compared_by(from) else { return };
        if let Some((at, _)) = self.callers.remove(&caller) {
            self.oldest.remove(&(at, caller.clone()));
        }
        if peak < Level::Medium {
            return;
        }
        if self.callers.len() >= CALLERS_MAX
            && let Some((_, oldest)) = self.oldest.pop_first()
        {
            self.callers.remove(&oldest);
        }
        self.oldest.insert((now, caller.clone()));
        self.callers.insert(caller, (now, peak));
    }

    /// Whether a caller was at least this angry in a last call that ended at most `within` ago.
    pub(super) fn tells(&self, now: Duration, from: &str, level: Level, within: Duration) -> bool {
        let found = compared_by(from).and_then(|caller| self.callers.get(&caller));
        found.is_some_and(|&(at, peak)| peak >= level && now.saturating_sub(at) <= within)
    }
}

/// The caller's URI without parameters; nothing for callers without a name of their own.
pub(super) fn caller(from: &str) -> Option<String> {
    let uri = uri_of(from).to_ascii_lowercase();
    let (user, host) = uri.split_once(':')?.1.split_once('@')?;
    let fits = !is_nameless(user, host) && uri.len() <= CALLER_OCTETS_MAX;
    fits.then(|| uri.split(';').next().unwrap_or_default().to_owned())
}

/// By what a caller is known again, and stays in one group of a comparison, from call to call: what [`caller`] says, and
/// else a number, a name, or what stands for a customer who writes (`person:…`); nothing for callers without a name of their
/// own.
pub(crate) fn compared_by(from: &str) -> Option<String> {
    // As it was from the beginning where there is one: another key would deal callers out anew.
    caller(from).or_else(|| name_without_host(from))
}

/// Whom an address names that has no host, or no scheme.
fn name_without_host(from: &str) -> Option<String> {
    let uri = uri_of(from).to_ascii_lowercase();
    if uri.len() > CALLER_OCTETS_MAX {
        return None;
    }
    let name = match uri.split_once(':') {
        Some(("person", person)) => return (!person.is_empty()).then_some(uri),
        Some(("tel", number)) => number,
        Some((user, _)) if user.contains('@') => return caller(&format!("sip:{uri}")),
        None if uri.contains('@') => return caller(&format!("sip:{uri}")),
        None => &uri,
        Some(_) => return None,
    };
    let name = name.split(';').next().unwrap_or_default();
    let is_number = name.chars().all(|char| char.is_ascii_digit() || "+-.() ".contains(char));
    // What a number is set apart with for the eye is no part of it (RFC 3966 §4).
    let name = if is_number { name.replace(['-', '.', '(', ')', ' '], "") } else { name.trim().to_owned() };
    (!is_nameless(&name, "")).then_some(name)
}

/// The most callers that are remembered; the oldest go first.
const CALLERS_MAX: usize = 10_000;
/// The longest URI that is remembered.
const CALLER_OCTETS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn the_last_call_counts_for_a_while() {
        let (mut history, now) = (History::default(), 10 * HOUR);
        history.note(now, "\"Li\" <sip:Li@pbx;user=phone>", Level::High);
        let li = "<sip:li@PBX>;tag=9";
        assert!(history.tells(now + HOUR, li, Level::Medium, HOUR));
        assert!(!history.tells(now + HOUR + Duration::from_secs(1), li, Level::Medium, HOUR));
        assert!(!history.tells(now, "<sip:wang@pbx>", Level::Medium, HOUR));
        history.note(now + HOUR, li, Level::Medium);
        assert!(!history.tells(now + HOUR, li, Level::High, HOUR));
        history.note(now + HOUR, li, Level::Low);
        assert!(!history.tells(now + HOUR, li, Level::Medium, HOUR));
    }

    #[test]
    fn nameless_callers_are_not_one_caller() {
        let mut history = History::default();
        for from in ["\"Anonymous\" <sip:anonymous@anonymous.invalid>", "<sip:@pbx>", "<sip:pbx>", "tel:", ""] {
            history.note(HOUR, from, Level::High);
            assert!(!history.tells(HOUR, from, Level::Medium, HOUR), "{from}");
        }
    }

    #[test]
    fn a_number_without_a_host_is_known_again_however_it_is_written() {
        let mut history = History::default();
        history.note(HOUR, "<tel:+86-138-0013-8000;phone-context=cn>;tag=1", Level::High);
        assert!(history.tells(HOUR, "tel:+8613800138000", Level::High, HOUR));
        assert!(!history.tells(HOUR, "tel:+8613800138001", Level::Medium, HOUR));
    }

    #[test]
    fn whoever_has_a_name_is_compared_by_it_from_call_to_call() {
        for (from, expected) in [
            // As ever.
            ("\"Li\" <sip:Li@PBX;user=phone>;tag=9", Some("sip:li@pbx")),
            ("person:0011AA", Some("person:0011aa")),
            ("<tel:+86-138-0013-8000;phone-context=cn>;tag=1", Some("+8613800138000")),
            ("138 0013 8000", Some("13800138000")),
            ("201", Some("201")),
            ("Alice", Some("alice")),
            ("li@pbx", Some("sip:li@pbx")),
            ("li@pbx:5060", Some("sip:li@pbx:5060")),
            ("\"Anonymous\" <sip:anonymous@anonymous.invalid>", None),
            ("anonymous@pbx", None),
            ("anonymous", None),
            ("sip:pbx", None),
            ("tel:", None),
            ("tel:-", None),
            ("person:", None),
            ("", None),
        ] {
            assert_eq!(compared_by(from).as_deref(), expected, "{from:?}");
        }
        assert_eq!(compared_by(&"1".repeat(CALLER_OCTETS_MAX + 1)), None);
    }

    #[test]
    fn is_bounded() {
        let mut history = History::default();
        for number in 0..=CALLERS_MAX {
            history.note(Duration::from_secs(number as u64), &format!("sip:{number}@pbx"), Level::High);
        }
        assert_eq!((history.callers.len(), history.oldest.len()), (CALLERS_MAX, CALLERS_MAX));
        assert!(!history.tells(HOUR, "sip:0@pbx", Level::High, 10 * HOUR));
        assert!(history.tells(HOUR, "sip:1@pbx", Level::High, 10 * HOUR));
    }
}
