//! What nobody may see of a message: keys of SRTP, digits that are pressed, answers to digest challenges. In its place stand
//! as many `x`, so that all lengths hold.
//!
//! Digits in INFO are blanked in any case: the message is here before call control knows whether they are secret.

/// A message without what nobody may see.
pub(super) fn blanked(message: &[u8]) -> Vec<u8> {
    let mut octets = message.to_vec();
    let body = body_of(&octets);
    let tells_digits = headers(&octets[..body])
        .any(|(name, value)| is_one_of(name, &["content-type", "c"]) && contains(&value.to_ascii_lowercase(), b"dtmf"));
    let mut at = 0;
    while at < octets.len() {
        let end = octets[at..].iter().position(|octet| *octet == b'\n').map_or(octets.len(), |length| at + length);
        let line = &mut octets[at..end];
        if at < body {
            blank_answer(line);
        } else {
            blank_key(line);
            if tells_digits {
                blank_digits(line);
            }
        }
        at = end + 1;
    }
    octets
}

/// The Call-ID of a message.
pub(super) fn call_id(message: &[u8]) -> Option<&str> {
    let mut headers = headers(&message[..body_of(message)]);
    let (_, value) = headers.find(|(name, _)| is_one_of(name, &["call-id", "i"]))?;
    std::str::from_utf8(value).ok().filter(|value| !value.is_empty())
}

/// Where the body begins.
fn body_of(message: &[u8]) -> usize {
    let after = |end: &[u8]| message.windows(end.len()).position(|window| window == end).map(|at| at + end.len());
    after(b"\r\n\r\n").or_else(|| after(b"\n\n")).unwrap_or(message.len())
}

fn headers(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    head.split(|octet| *octet == b'\n').skip(1).filter_map(|line| {
        let colon = line.iter().position(|octet| *octet == b':')?;
        Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
    })
}

/// Blanks what proves that somebody has a password (RFC 7616 §3.4.1).
fn blank_answer(line: &mut [u8]) {
    let name = line.split(|octet| *octet == b':').next().unwrap_or_default().trim_ascii();
    if is_one_of(name, &["authorization", "proxy-authorization"])
        && let Some(at) = find(&line.to_ascii_lowercase(), b"response=")
    {
        fill(&mut line[at + b"response=".len()..], b",\r", |octet| octet != b'"');
    }
}

/// Blanks the key of an `a=crypto` line (RFC 4568 §9.2).
fn blank_key(line: &mut [u8]) {
    let mut from = 0;
    while line.starts_with(b"a=crypto:")
        && let Some(at) = find(&line[from..], b"inline:")
    {
        from += at + b"inline:".len();
        fill(&mut line[from..], b"|; \r", |_| true);
    }
}

/// Blanks the key of a body of DTMF: the value of `Signal`, or what stands there alone.
fn blank_digits(line: &mut [u8]) {
    let value = line.iter().position(|octet| *octet == b'=').map_or(0, |at| at + 1);
    let is_duration = is_one_of(line[..value].trim_ascii(), &["duration="]);
    if !is_duration {
        fill(&mut line[value..], b"\r", |octet| !octet.is_ascii_whitespace());
    }
}

/// Blanks what is `wanted` up to one of `ends`.
fn fill(octets: &mut [u8], ends: &[u8], wanted: impl Fn(u8) -> bool) {
    for octet in octets.iter_mut().take_while(|octet| !ends.contains(octet)) {
        if wanted(*octet) {
            *octet = b'x';
        }
    }
}

fn is_one_of(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|each| name.eq_ignore_ascii_case(each.as_bytes()))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    find(text, part).is_some()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_become_as_many_x() {
        for (message, expected) in [
            (
                "INFO sip:a SIP/2.0\r\nCall-ID: 1\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5\r\nDuration=160\r\n",
                "INFO sip:a SIP/2.0\r\nCall-ID: 1\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=x\r\nDuration=160\r\n",
            ),
            (
                "INFO sip:a SIP/2.0\r\nc: application/DTMF\r\n\r\n 11\r\n",
                "INFO sip:a SIP/2.0\r\nc: application/DTMF\r\n\r\n xx\r\n",
            ),
            (
                "INVITE sip:a SIP/2.0\r\n\r\nv=0\r\na=crypto:1 AES inline:QUJD|2^20 inline:REVG;x\r\na=ptime:20",
                "INVITE sip:a SIP/2.0\r\n\r\nv=0\r\na=crypto:1 AES inline:xxxx|2^20 inline:xxxx;x\r\na=ptime:20",
            ),
            (
                "INVITE sip:a SIP/2.0\r\nProxy-Authorization: Digest username=\"u\", Response=\"0a1b\", nc=1\r\n\r\n",
                "INVITE sip:a SIP/2.0\r\nProxy-Authorization: Digest username=\"u\", Response=\"xxxx\", nc=1\r\n\r\n",
            ),
            (
                "INFO sip:a SIP/2.0\r\nContent-Type: application/json\r\n\r\n{\"Signal\":5}",
                "INFO sip:a SIP/2.0\r\nContent-Type: application/json\r\n\r\n{\"Signal\":5}",
            ),
        ] {
            assert_eq!(String::from_utf8_lossy(&blanked(message.as_bytes())), expected);
        }
    }

    #[test]
    fn a_message_is_known_by_its_call_id() {
        for (message, expected) in [
            ("BYE sip:a SIP/2.0\r\nVia: x\r\nCALL-ID :  7@pbx \r\n\r\n", Some("7@pbx")),
            ("SIP/2.0 200 OK\ni:8\n\n", Some("8")),
            ("BYE sip:a SIP/2.0\r\n\r\nCall-ID: 9\r\n", None),
            ("\r\n\r\n", None),
        ] {
            assert_eq!(call_id(message.as_bytes()), expected, "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_keep_their_length(message in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(blanked(&message).len(), message.len());
            let _ = call_id(&message);
        }

        #[test]
        fn no_digit_of_a_body_is_left(digits in "[0-9A-D*#]{1,4}", space in "[ \t]{0,2}") {
            let message = format!("INFO sip:a SIP/2.0\r\nContent-Type:application/dtmf-relay\r\n\r\nSignal={space}{digits}\r\n");
            let blank = blanked(message.as_bytes());
            let body = &blank[blank.len() - digits.len() - 2..blank.len() - 2];
            prop_assert!(body.iter().all(|octet| *octet == b'x'));
        }
    }
}
