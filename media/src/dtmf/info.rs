//! Keys in the bodies of SIP INFO requests: `application/dtmf-relay` and `application/dtmf`, as PBXs write them.
//!
//! No standard says how; blanks, letter case, line ends and unknown lines are passed over.

use super::Key;

/// A key as a body tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InfoKey {
    /// Which.
    pub key: Key,
    /// How long it was down, if said: milliseconds, at most [`DURATION_MS_MAX`].
    pub duration_ms: Option<u32>,
}

/// The longest body that is read, octets.
pub const BODY_BYTES_MAX: usize = 512;
/// What is said to be longer is taken for this, milliseconds.
pub const DURATION_MS_MAX: u32 = 60_000;

/// The key in a body; `None` for other content types and for bodies that name no key.
pub fn parse(content_type: &str, body: &[u8]) -> Option<InfoKey> {
    let body = std::str::from_utf8(body).ok().filter(|body| body.len() <= BODY_BYTES_MAX)?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/dtmf-relay") {
        relay(body)
    } else if media_type.eq_ignore_ascii_case("application/dtmf") {
        // Some write the other type's lines under this one.
        key(body.trim()).map(|key| InfoKey { key, duration_ms: None }).or_else(|| relay(body))
    } else {
        None
    }
}

fn relay(body: &str) -> Option<InfoKey> {
    let mut signal = None;
    let mut duration_ms = None;
    for (name, value) in body.split(['\r', '\n']).filter_map(|line| line.split_once('=')) {
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if name.eq_ignore_ascii_case("signal") {
            signal = signal.or_else(|| key(value));
        } else if name.eq_ignore_ascii_case("duration") {
            duration_ms = value.parse::<u64>().ok().map(|value| value.min(DURATION_MS_MAX.into()) as u32);
        }
    }
    signal.map(|key| InfoKey { key, duration_ms })
}

/// A letter of a key, or its event code.
fn key(text: &str) -> Option<Key> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Key::try_from(letter).ok(),
        _ if text.eq_ignore_ascii_case("flash") || text.eq_ignore_ascii_case("hf") => Some(Key::FLASH),
        _ if text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_digit()) => {
            text.parse().ok().and_then(Key::from_event)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relay_bodies() {
        check("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", Some(('5', Some(160))));
        check("application/dtmf-relay", "Signal= #\r\nDuration= 250", Some(('#', Some(250))));
        check("Application/DTMF-Relay; charset=utf-8", "signal = *\nDURATION = 90\n", Some(('*', Some(90))));
        check("application/dtmf-relay", "Duration=100\r\nSignal=\"d\"\r\nVolume=10", Some(('D', Some(100))));
        check("application/dtmf-relay", "Signal=11\r", Some(('#', None)));
        check("application/dtmf-relay", "Signal=16", Some(('!', None)));
        check("application/dtmf-relay", "Signal=hf\nDuration=long", Some(('!', None)));
        check("application/dtmf-relay", "Signal=1\nDuration=99999999999", Some(('1', Some(60_000))));
    }

    #[test]
    fn bare_bodies() {
        check("application/dtmf", "7", Some(('7', None)));
        check("application/dtmf", " a \r\n", Some(('A', None)));
        check("application/dtmf", "Signal=5\r\nDuration=160", Some(('5', Some(160))));
    }

    #[test]
    fn others_name_no_key() {
        check("application/dtmf-relay", "", None);
        check("application/dtmf-relay", "5", None);
        check("application/dtmf-relay", "Signal=\r\nDuration=1", None);
        check("application/dtmf-relay", "Signal=17", None);
        check("application/dtmf-relay", "Signal=123", None);
        check("application/dtmf", "55555", None);
        check("application/sdp", "5", None);
        check("application/dtmf", &" ".repeat(600), None);
        assert_eq!(parse("application/dtmf", &[0xff]), None);
    }

    #[track_caller]
    fn check(content_type: &str, body: &str, expected: Option<(char, Option<u32>)>) {
        let expected =
            expected.map(|(letter, duration_ms)| InfoKey { key: Key::try_from(letter).expect("a key"), duration_ms });
        assert_eq!(parse(content_type, body.as_bytes()), expected);
    }
}
